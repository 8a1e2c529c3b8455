"""The error of data that cannot be used."""

from mmtf.errors import ConfigError


class DataError(ConfigError):
    """Data that cannot be used: what was expected, what came, what to do."""

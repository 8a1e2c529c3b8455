"""The error of data that cannot be used."""

from mmtf.errors import ConfigError


class DataError(ConfigError):
    """Unusable data: the message says what was expected, what was received and what to do."""

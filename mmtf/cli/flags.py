"""A flag that would do nothing is refused. No TensorFlow here."""

from mmtf.errors import ConfigError


def require_used(values, uses: dict[str, tuple[bool, str]]) -> None:
    """Raises ConfigError for a flag of the command line that nothing would read.

    Args:
      values: `flags.FLAGS`.
      uses: name of a flag -> (whether it is read, what it would need).

    Example:
      >>> from absl import flags
      >>> values = flags.FlagValues()
      >>> _ = flags.DEFINE_integer("port", 1, "Of the workers.", flag_values=values)
      >>> _ = values(["program", "--port=2"])
      >>> require_used(values, {"port": (False, "--cluster=slurm")})
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected --port with --cluster=slurm. Received: --port=2 without.
    """
    for name, (used, needs) in uses.items():
        if values[name].present and not used:
            given = values[name].serialize() or f"--{name}="
            raise ConfigError(f"Expected --{name} with {needs}. Received: {given} without.")

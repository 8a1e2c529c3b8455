"""The command `python -m mmtf.magnet`, implemented in `mmtf.cli.magnet`."""

from absl import app, flags

# Started as a command; nothing in mmtf imports this module.
from mmtf.cli import magnet as command

if __name__ == "__main__":
    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

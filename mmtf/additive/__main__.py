"""The command `python -m mmtf.additive`, implemented in `mmtf.cli.additive`."""

from absl import app, flags

# Started as a command; nothing in mmtf imports this module.
from mmtf.cli import additive as command

if __name__ == "__main__":
    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

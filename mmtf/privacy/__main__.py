"""The command `python -m mmtf.privacy`, implemented in `mmtf.cli.privacy`."""

from absl import app, flags

# Started as a command; nothing in mmtf imports this module.
from mmtf.cli import privacy as command

if __name__ == "__main__":
    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

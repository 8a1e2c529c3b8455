"""The command `python -m mmtf.run`, implemented in `mmtf.cli.run`."""

from absl import app, flags

from mmtf.cli import run as command

if __name__ == "__main__":
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

"""The command `python -m mmtf.mixture`, implemented in `mmtf.cli.mixture`."""

from absl import app, flags

from mmtf.cli import mixture as command

if __name__ == "__main__":
    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

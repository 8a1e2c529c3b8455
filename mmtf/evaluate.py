"""`mmtf.evaluate(...)`, the function; `python -m mmtf.evaluate`, the command: one name for both."""

import sys
import types


class _Callable(types.ModuleType):
    """A module that is called as the function of `mmtf.evaluation.payoff`."""

    def __call__(self, *arguments, **options):
        from mmtf.evaluation.payoff import evaluate

        return evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    from absl import app, flags

    from mmtf.cli import evaluate as command

    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(command)
    app.run(command.main)

"""`mmtf.evaluate(...)`, the function, and `python -m mmtf.evaluate`, the command."""

import sys
import types
from typing import Any


class _Callable(types.ModuleType):
    """A callable module: calling it calls `mmtf.evaluation.frame.evaluate`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from mmtf.evaluation.frame import evaluate

        return evaluate(*arguments, **options)


sys.modules[__name__].__class__ = _Callable

if __name__ == "__main__":
    from absl import app, flags

    from mmtf.cli import evaluate as command
    from mmtf.cli import evaluate_flags

    command.define_flags()
    __doc__ = command.__doc__
    flags.adopt_module_key_flags(evaluate_flags)
    app.run(command.main)

"""`python -m mmtf.run` and `mmtf.evaluate`, called in the process of the test.

A process of its own imports TensorFlow first, which takes longer than most of what it is to show.
"""

import contextlib
import dataclasses
import functools
import importlib
import io
import os
import signal
import sys
import types
from collections.abc import Iterator
from unittest import mock

from absl import flags

import mmtf.cli.evaluate
import mmtf.cli.run

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@dataclasses.dataclass(frozen=True)
class Done:
    """What subprocess.run tells of a process with capture_output and text."""

    returncode: int
    stdout: str
    stderr: str


def call(module: str, *given: str, cwd: str = ROOT, env: dict[str, str] | None = None) -> Done:
    """What `python -m module` does with these flags in `cwd`, and with `env` in its environment."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, env or {}))
        stack.enter_context(_importing_from(os.path.abspath(cwd)))
        stack.enter_context(mock.patch.object(sys, "argv", [module, *given]))
        for number in (signal.SIGTERM, signal.SIGINT):
            stack.callback(signal.signal, number, signal.getsignal(number))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        status = {"mmtf.run": _run, "mmtf.evaluate": _evaluate}[module]([module, *given])
    return Done(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _importing_from(folder: str) -> Iterator[None]:
    """`folder` is the current one and searched first, as with `python -m`; its modules are let go.

    Those of the tests' own folders stay, for they are found in the same way without it.
    """
    before, loaded = os.getcwd(), set(sys.modules)
    os.chdir(folder)
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(folder)
        for name in set(sys.modules) - loaded if folder != ROOT else ():
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(folder + os.sep):
                del sys.modules[name]


def _run(argv: list[str]) -> int:
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    try:
        return mmtf.cli.run.main(flags.FLAGS(argv))
    finally:
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()


def _evaluate(argv: list[str]) -> int:
    """With flags of its own: mmtf.run, in the same process, has some of the same names."""
    own = flags.FlagValues()
    names = [name for name in dir(flags) if name.startswith("DEFINE_")]
    defining = {name: functools.partial(getattr(flags, name), flag_values=own) for name in names}
    command = mmtf.cli.evaluate
    with mock.patch.object(command, "flags", types.SimpleNamespace(**defining)):
        command.define_flags()
    with mock.patch.object(command, "FLAGS", own):
        return command.main(own(argv))

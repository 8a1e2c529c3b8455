"""`python -m` of modules that need no TensorFlow, each in a process of its own, forked.

Most of the time of such a process is the start of Python and its imports. Here one process, which
multiprocessing's fork server keeps, imports what they share, and forks for each call.
"""

import functools
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Neither TensorFlow, which the commands are to do without, nor a module that defines flags.
SHARED = ["absl.app", "numpy", "matplotlib.figure", "scripts.reproduce"]


@functools.cache
def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(SHARED)
    return context


def call(
    module: str, *given: str, root: str = ROOT, first: str = ""
) -> subprocess.CompletedProcess:
    """What `python -m module` does with these arguments in the root of a checkout.

    Args:
      module: its name.
      given: the arguments.
      root: the checkout: this one, or a copy of it, whose modules are imported then.
      first: code that is executed before.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        process = _context().Process(target=_run, args=(module, given, paths, root, first))
        process.start()
        process.join()
        out, err = (pathlib.Path(path).read_text() for path in paths)
    return subprocess.CompletedProcess([module, *given], process.exitcode, out, err)


def _run(module, given, paths, root, first):
    for number, path in enumerate(paths, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    if root != ROOT:
        ours = {name: getattr(one, "__file__", None) or "" for name, one in sys.modules.items()}
        for name, file in ours.items():
            if file.startswith(ROOT + os.sep):
                del sys.modules[name]
    os.chdir(root)
    sys.path.insert(0, root)
    sys.argv = [module, *given]
    exec(first, {})
    runpy.run_module(module, run_name="__main__", alter_sys=True)

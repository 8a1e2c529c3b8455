"""Trains the nets of a comparison by `python -m mmtf.run`, each in a workdir of its own."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence

from mmtf.errors import ConfigError, RunError, require


def train(name: str, flags: Sequence[str], workdir: str) -> str:
    """Trains a net, or goes on, or does nothing if it is finished; returns its workdir.

    Args:
      name: of the net, for messages.
      flags: of mmtf.run.
      workdir: where it is trained.

    Raises:
      RunError: the command failed.
    """
    command = [sys.executable, "-m", "mmtf.run", *flags, f"--workdir={workdir}"]
    print(f"{name}: {shlex.join(command[1:])}", file=sys.stderr, flush=True)
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    if status:
        raise RunError(f"Training {name} ended with status {status}: {shlex.join(command[1:])}")
    return workdir


def pairs(flag: str, given: Iterable[str]) -> dict[str, str]:
    """Returns name -> text of values NAME=TEXT of a flag.

    Raises:
      ConfigError: another form, or a name twice.

    Example:
      >>> pairs("train", ["long=--game=lwa --schedule=long"])
      {'long': '--game=lwa --schedule=long'}
    """
    found: dict[str, str] = {}
    for one in given:
        name, separator, rest = one.partition("=")
        require(bool(name and separator and rest), f"--{flag}=NAME=...", one)
        require(name not in found, f"--{flag} of different names", one)
        found[name] = rest
    return found


def refuse_trial(
    trial: bool, output: str, page: str, committed: Iterable[str | os.PathLike]
) -> None:
    """A trial must not be written among the committed records, or over the page.

    Args:
      trial: whether --steps or --dataset make it one.
      output, page: where it would be written.
      committed: the folder of the committed records, and the page.

    Raises:
      ConfigError: it would.
    """
    records, ours = map(os.path.abspath, committed)
    inside = os.path.commonpath([records, os.path.abspath(output)]) == records
    if trial and (inside or os.path.abspath(page) == ours):
        raise ConfigError(
            "Expected --output=FOLDER and --page=FILE for a trial. Received: --steps or --dataset "
            "without them."
        )

"""Finds the checkpoints of a folder and restores the newest that can be read."""

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from mmtf.errors import ConfigError, RunError, reason_of

# TensorFlow's list of the checkpoints in a folder, written after each of them is complete.
STATE = "checkpoint"
_NAME = re.compile(r"ckpt-(\d+)")


class CheckpointError(RunError):
    """A checkpoint cannot be written or read; the message says why and what to do."""


def checkpoint_manager(
    checkpoint: tf.train.Checkpoint, folder: str, keep: int = 2
) -> tf.train.CheckpointManager:
    """A manager that keeps the newest `keep` checkpoints in a folder.

    Raises:
      ConfigError: the folder has checkpoints of another program, which the manager would delete.
    """
    manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=keep)
    names = [os.path.basename(path) for path in manager.checkpoints]
    others = [name for name in names if not _NAME.fullmatch(name)]
    if others:
        raise ConfigError(
            f"Expected a checkpoint folder that is new or was written by mmtf. Received: {folder} "
            f"with {', '.join(others)}. Give another folder."
        )
    return manager


def checkpoint_paths(folder: str) -> list[str]:
    """Paths of the checkpoints in a folder, without a suffix, by their numbers.

    They come from the files, not from TensorFlow's list of them, which may itself be damaged.
    """
    found = {}
    for index in glob.glob(os.path.join(glob.escape(folder), "ckpt-*.index")):
        path = index.removesuffix(".index")
        match = _NAME.fullmatch(os.path.basename(path))
        if match:
            found[int(match.group(1))] = path
    return [found[number] for number in sorted(found)]


def restore_newest(
    folder: str, restore: Callable[[str], Any], report: Callable[[str], None]
) -> bool:
    """Restores the newest checkpoint of a folder that can be read.

    A run that is killed while it saves for the first time leaves a part of a checkpoint: that is
    the same as none.

    Args:
      folder: folder of the checkpoints.
      restore: restores the checkpoint of a path, or raises an exception and changes nothing.
      report: called with a line of text for every checkpoint that is skipped.

    Returns:
      Whether one was restored; False where none was ever complete.

    Raises:
      CheckpointError: there are complete checkpoints, and none can be read.
    """
    paths = checkpoint_paths(folder)
    for path in reversed(paths):
        try:
            restore(path)
            return True
        except (tf.errors.OpError, AssertionError, ValueError, IndexError, OSError) as error:
            name, reason = type(error).__name__, reason_of(error)[:160]
            report(f"WARNING: checkpoint {path} cannot be read ({name}: {reason}) and is skipped.")
    if os.path.exists(os.path.join(folder, STATE)):
        raise CheckpointError(
            f"None of the checkpoints in {folder} can be read. Delete that folder to start from "
            "step 0, or use another one."
        )
    if paths:
        report(f"WARNING: no checkpoint in {folder} was completed: starting from step 0.")
    return False


@contextlib.contextmanager
def saving(step: int, folder: str) -> Iterator[None]:
    """Raises CheckpointError, with what to do, if the block cannot save `step` in `folder`."""
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        raise CheckpointError(
            f"Step {step} could not be saved in {folder} ({reason_of(error)}). Make room or mend "
            "the folder and start the same command again: it goes on from the checkpoint before."
        ) from error

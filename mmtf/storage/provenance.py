"""Provenance of a result: versions, hardware, environment, source commit and command."""

import functools
import hashlib
import os
import pathlib
import platform
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

import mmtf
from mmtf.runtime import cpu

# Flags whose values are paths on this machine; they are left out of the recorded command.
FOLDERS = (
    *("workdir", "data_dir", "data", "replay", "output", "classifiers", "runs", "figure"),
    *("workdirs", "page"),
)

# Environment variables of TensorFlow that affect rounding or compilation.
DECIDING = (
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "TF_ENABLE_ONEDNN_OPTS",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TF_CUDNN_USE_AUTOTUNE",
    "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE",
)


def provenance() -> dict:
    """The provenance of results of this process, as JSON types.

    Returns:
      A dict with the keys versions, hardware, environment (see `environment`), commit and command.
    """
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {
        "versions": {
            "mmtf": mmtf.__version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "hardware": {
            "cpu": cpu.cpu_name(),
            "instructions": cpu.instruction_set(),
            "cores": os.cpu_count(),
            "gpus": [detail.get("device_name", "GPU") for detail in details],
        },
        "environment": environment(),
        "commit": COMMIT,
        "command": [os.path.basename(sys.argv[0]), *_recipe(sys.argv[1:])],
    }


def environment() -> dict[str, str]:
    """The environment variables of DECIDING that are set, without the values of path options."""
    return {
        name: " ".join(
            option.partition("=")[0] if "/" in option else option
            for option in os.environ[name].split()
        )
        for name in DECIDING
        if os.environ.get(name, "").strip()
    }


@functools.cache
def source_digest() -> str:
    """SHA-256 (hexadecimal) of all source files of mmtf.

    It is part of the keys of caches, so that results of another version of mmtf are not reused.
    """
    root = pathlib.Path(mmtf.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _recipe(arguments: list[str]) -> list[str]:
    """The arguments without the flags in FOLDERS and their values.

    Example:
      >>> _recipe(["--eta=0.3", "--workdir", "runs/mine", "--data_dir=/data", "--seed", "1"])
      ['--eta=0.3', '--seed', '1']
    """
    kept, folder = [], False
    for argument in arguments:
        name, equals, _ = argument.lstrip("-").partition("=")
        if argument.startswith("-"):
            folder = name in FOLDERS
        if not folder:
            kept.append(argument)
        # In `--workdir FOLDER` the next argument is left out, too.
        folder = folder and argument.startswith("-") and not equals
    return kept


def _commit() -> str | None:
    """The commit of the checkout, with `+changes` if tracked files of mmtf differ from it.

    Outside a repository (in a container, for example) it is the environment variable MMTF_COMMIT,
    or None.
    """
    folder = os.path.dirname(os.path.dirname(os.path.abspath(mmtf.__file__)))
    if not os.path.exists(os.path.join(folder, ".git")):
        return os.environ.get("MMTF_COMMIT") or None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", "mmtf")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(folder, *arguments):
    done = subprocess.run(
        ["git", "-C", folder, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# Determined on import, like the code that runs; the files may change during a long run.
COMMIT = _commit()

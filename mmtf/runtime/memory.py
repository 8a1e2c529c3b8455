"""Finds out how much memory the GPU or the machine has, without allocating any."""

import functools
import os
import pathlib
import subprocess

import tensorflow as tf

UNKNOWN = 8 * 2**30
# Files with the memory limit of a container: control groups version 2, then version 1.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@functools.cache
def device_memory() -> int:
    """Total memory of the smallest GPU in bytes; without a GPU, of the machine or its container.

    It is the total rather than the free memory because batch sizes depend on it, and random starts
    are drawn per batch: equal calls must give equal results.

    Example:
      >>> device_memory() > 2**20
      True
    """
    if tf.config.list_physical_devices("GPU"):
        return _gpu_memory()
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in LIMITS:
        try:
            text = pathlib.Path(path).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            sizes.append(int(text))
    return min(sizes)


def _gpu_memory() -> int:
    """Memory of the smallest GPU in bytes, by nvidia-smi; 8 GiB if that fails."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        return min(int(line) for line in lines) * 2**20
    except (OSError, subprocess.CalledProcessError, ValueError):
        return UNKNOWN

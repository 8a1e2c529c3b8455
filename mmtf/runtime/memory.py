"""How much memory the device that computes has; asks the system, allocates nothing."""

import functools
import os
import pathlib
import subprocess

import tensorflow as tf

UNKNOWN = 8 * 2**30
# A container's limit, of version 2 and of version 1 of control groups.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@functools.cache
def device_memory() -> int:
    """Bytes of the smallest GPU, or of the machine or its container where there is no GPU.

    What the device has in all, not what is free just now: the same on every call, so that batches
    sized by it, and the random starts that go by batch, are the same again.

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
    """By the driver's own tool; 8 GiB where it does not answer."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        return min(int(line) for line in lines) * 2**20
    except (OSError, subprocess.CalledProcessError, ValueError):
        return UNKNOWN

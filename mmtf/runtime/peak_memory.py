"""The largest memory that this process has had; imports no TensorFlow."""

import resource
import sys


def peak_memory_mib() -> float:
    """Largest resident memory of this process since it started, in MiB.

    It only ever grows, and includes TensorFlow itself, the data and everything computed before;
    memory of a GPU is not part of it. On Linux it is VmHWM of /proc/self/status, elsewhere
    getrusage's ru_maxrss, which on Linux may be that of the process that started this one.

    Example:
      >>> 1 < peak_memory_mib() <= peak_memory_mib()
      True
    """
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

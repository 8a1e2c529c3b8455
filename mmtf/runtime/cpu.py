"""What this machine's processor is called and can do."""

import os
import platform

# The widest first. Two processors of one name may differ in this, and in speed by a factor of two.
INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
BFLOAT16 = {"amx_bf16", "avx512_bf16"}


def cpu_name() -> str:
    """The model's name as the system gives it.

    Example:
      >>> isinstance(cpu_name(), str)
      True
    """
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def instructions() -> str:
    """The widest of INSTRUCTIONS that it has; "" with none of them, or where nobody says.

    Example:
      >>> instructions() in (*INSTRUCTIONS, "")
      True
    """
    flags = _of_cpuinfo("flags").split()
    return next((name for name in INSTRUCTIONS if name in flags), "")


def computes_bfloat16() -> bool:
    """Whether it has bfloat16 instructions; elsewhere bfloat16 is emulated, and much slower.

    Example:
      >>> computes_bfloat16() == (instructions() in BFLOAT16)
      True
    """
    return instructions() in BFLOAT16


def _of_cpuinfo(field):
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    return ""

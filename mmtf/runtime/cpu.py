"""Name and widest vector instruction set of this machine's processor."""

import os
import platform

# The widest first. Processors of one model name can differ in it (in virtual machines), and then in
# speed by a factor of two.
INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
BFLOAT16_SETS = {"amx_bf16", "avx512_bf16"}


def cpu_name() -> str:
    """Model name of the processor, from /proc/cpuinfo or Python's `platform`.

    Example:
      >>> isinstance(cpu_name(), str)
      True
    """
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def instruction_set() -> str:
    """The first of INSTRUCTION_SETS that the processor has; "" if it has none, or is unknown.

    Example:
      >>> instruction_set() in (*INSTRUCTION_SETS, "")
      True
    """
    flags = _of_cpuinfo("flags").split()
    return next((name for name in INSTRUCTION_SETS if name in flags), "")


def has_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; without them, bfloat16 is slow.

    Example:
      >>> has_bfloat16() == (instruction_set() in BFLOAT16_SETS)
      True
    """
    return instruction_set() in BFLOAT16_SETS


def _of_cpuinfo(field: str) -> str:
    """The first value of `field` in /proc/cpuinfo; "" if there is none."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    return ""

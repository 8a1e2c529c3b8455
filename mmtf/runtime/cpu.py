"""The name of this machine's processor and its widest instruction set."""

import os
import platform

# The widest first. Processors of one name may differ in this, and in speed by a factor of two.
INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
BFLOAT16_SETS = {"amx_bf16", "avx512_bf16"}


def cpu_name() -> str:
    """The processor's model name as the system gives it.

    Example:
      >>> isinstance(cpu_name(), str)
      True
    """
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def instruction_set() -> str:
    """The widest of INSTRUCTION_SETS that the processor has; "" with none, or where unknown.

    Example:
      >>> instruction_set() in (*INSTRUCTION_SETS, "")
      True
    """
    flags = _of_cpuinfo("flags").split()
    return next((name for name in INSTRUCTION_SETS if name in flags), "")


def has_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; elsewhere bfloat16 is emulated, much slower.

    Example:
      >>> has_bfloat16() == (instruction_set() in BFLOAT16_SETS)
      True
    """
    return instruction_set() in BFLOAT16_SETS


def _of_cpuinfo(field: str) -> str:
    """Its first value in /proc/cpuinfo, "" where there is none."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == field:
                    return value.strip()
    return ""

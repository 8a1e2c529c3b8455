"""Name of this machine's processor, and the widest vector instructions that TensorFlow uses."""

import os
import platform

# The widest first. Processors of one model name can differ in it (in virtual machines), and then in
# speed by a factor of two.
INSTRUCTION_SETS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")
BFLOAT16_SETS = {"amx_bf16", "avx512_bf16"}

# What each value of ONEDNN_MAX_CPU_ISA still allows, as the first allowed one of INSTRUCTION_SETS;
# values not named, such as DEFAULT, allow everything.
ONEDNN_LIMITS = {
    "SSE41": None,
    "AVX": None,
    "AVX2": "avx2",
    "AVX2_VNNI": "avx2",
    "AVX2_VNNI_2": "avx2",
    "AVX512_CORE": "avx512f",
    "AVX512_CORE_VNNI": "avx512f",
    "AVX512_CORE_BF16": "avx512_bf16",
    "AVX512_CORE_FP16": "avx512_bf16",
    "AVX10_1_512": "avx512_bf16",
}


def cpu_name() -> str:
    """Model name of the processor, from /proc/cpuinfo or Python's `platform`.

    Example:
      >>> isinstance(cpu_name(), str)
      True
    """
    return _of_cpuinfo("model name") or platform.processor() or platform.machine()


def instruction_set() -> str:
    """The first of INSTRUCTION_SETS that the processor has and oneDNN may use; "" if there is none.

    The environment variable ONEDNN_MAX_CPU_ISA limits what oneDNN may use; oneDNN computes
    TensorFlow's convolutions and matrix products.

    Example:
      >>> instruction_set() in (*INSTRUCTION_SETS, "")
      True
    """
    flags = _of_cpuinfo("flags").split()
    limit = ONEDNN_LIMITS.get(os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper(), INSTRUCTION_SETS[0])
    allowed = INSTRUCTION_SETS[INSTRUCTION_SETS.index(limit) :] if limit else ()
    return next((name for name in allowed if name in flags), "")


def has_bfloat16() -> bool:
    """Whether `instruction_set` has bfloat16 products; without them, bfloat16 is slow.

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

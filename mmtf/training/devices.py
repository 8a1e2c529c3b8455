"""Which devices play, and in which floating-point type they compute."""

import os

import tensorflow as tf

from mmtf.config import PRECISIONS, require_choice


def default_strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over all GPUs where there is one, else the default, one-device strategy."""
    if tf.config.list_logical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def resolve_precision(precision: str) -> str:
    """`auto` -> `bfloat16` where the hardware computes in it, else `float32`.

    That is: every GPU has compute capability 8.0 or more, or, on a machine without a GPU, the
    CPU has bfloat16 instructions (avx512_bf16 or amx_bf16). Elsewhere bfloat16 is emulated and
    slower.
    """
    require_choice("precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    else:
        fast = bool({"avx512_bf16", "amx_bf16"} & _cpu_flags())
    return "bfloat16" if fast else "float32"


def _cpu_flags() -> set[str]:
    if not os.path.exists("/proc/cpuinfo"):
        return set()
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("flags"):
                return set(line.split())
    return set()

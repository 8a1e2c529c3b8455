"""Which devices play, and in which floating-point type they compute."""

import contextlib
import time
from collections.abc import Iterator

import tensorflow as tf

from mmtf.config import PRECISIONS
from mmtf.errors import ConfigError, require_choice
from mmtf.runtime import cpu

# Between the steps that regain Minimax-Grad's compilation on an H100, 12,600 the first time on a
# machine (49 s) and 3,100 after it (12 s): without XLA there are 228 a second, with it 2,036
# (results/benchmarks/gpu.json).
JIT_STEPS = 10_000


def default_strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over several GPUs; with one, or none, the default, one-device strategy.

    In a cluster, which lists the GPUs of all its workers, the default one as well: what one worker
    trains for itself (an attack network for a table) must not reach for the others' GPUs.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    tasks = {name.rpartition("/device:")[0] for name in gpus}
    if len(gpus) > 1 and len(tasks) == 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def resolve_jit(jit_compile: bool | None, strategy: tf.distribute.Strategy, steps: int) -> bool:
    """Whether XLA compiles the steps.

    Args:
      jit_compile: None: from JIT_STEPS steps on, on a single GPU, which the default strategy plays
        on.
      strategy: of tf.distribute.
      steps: of the whole run, resumed or not: XLA's random numbers are others.

    Raises:
      ConfigError: True with any other strategy, whose updates XLA cannot see into.
    """
    single = not tf.distribute.has_strategy() and strategy is tf.distribute.get_strategy()
    if jit_compile and not single:
        raise ConfigError(
            "Expected one device without a strategy for XLA (jit_compile). "
            f"Received: {type(strategy).__name__} with {strategy.num_replicas_in_sync} replica(s)."
        )
    if jit_compile is None:
        worth_it = steps >= JIT_STEPS and bool(tf.config.list_logical_devices("GPU"))
        jit_compile = single and worth_it
    return jit_compile


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
        fast = cpu.computes_bfloat16()
    return "bfloat16" if fast else "float32"


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Context manager: inside it float32 products on GPUs keep all 24 bits, not TF32's 11.

    A setting of the process: evaluations in threads of one process must not overlap.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def matmul_rate(dtype: str, size: int, blocks: int = 5) -> float:
    """FLOP/s of size x size matrix products, the best block of ten.

    Example:
      >>> matmul_rate("float32", 64) > 0
      True
    """
    a = tf.cast(tf.random.normal([size, size]), dtype)

    @tf.function
    def products(b):
        for _ in tf.range(10):
            b = a @ b / tf.cast(size, b.dtype)
        return tf.reduce_sum(b)

    float(products(a))
    seconds = []
    for _ in range(blocks):
        began = time.perf_counter()
        float(products(a))
        seconds.append(time.perf_counter() - began)
    return 10 * 2 * size**3 / min(seconds)

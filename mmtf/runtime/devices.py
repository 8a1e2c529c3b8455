"""On which devices training runs, by XLA or not, and in which precision."""

import contextlib
import time
from collections.abc import Iterator

import tensorflow as tf

from mmtf.errors import ConfigError, require_choice
from mmtf.runtime import PRECISIONS, cpu

# From so many steps on, XLA's compilation pays. For Minimax-Grad on an H100 that is 12,600 steps
# the first time on a machine (49 s) and 3,100 after it (12 s): without XLA it takes 228 steps a
# second, with it 2,036 (results/benchmarks/gpu.json).
JIT_STEPS = 10_000


def default_strategy() -> tf.distribute.Strategy:
    """MirroredStrategy over several GPUs of this process; else TensorFlow's default strategy.

    In a cluster, which lists the GPUs of all its workers, that is the default strategy, too: what
    one worker trains for itself (an attack network for a table) must not use the others' GPUs.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    tasks = {name.rpartition("/device:")[0] for name in gpus}
    if len(gpus) > 1 and len(tasks) == 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def resolve_jit(jit_compile: bool | None, strategy: tf.distribute.Strategy, steps: int) -> bool:
    """Whether XLA compiles the training steps.

    Args:
      jit_compile: True, False, or None: on a single GPU with the default strategy, for runs of at
        least JIT_STEPS steps.
      strategy: of tf.distribute.
      steps: of the whole run, also where it is resumed: XLA's random numbers differ, so that a run
        must not change over.

    Raises:
      ConfigError: True with a strategy that is not the default one: XLA cannot compile its updates.
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
    """`auto` -> `bfloat16` where the hardware has it, else `float32`.

    That is: every GPU has compute capability 8.0 or more, or, on a machine without a GPU, the
    CPU has bfloat16 instructions (avx512_bf16 or amx_bf16). Elsewhere bfloat16 is emulated and
    slower.

    Raises:
      ConfigError: not one of `auto`, `float32`, `bfloat16`.

    Example:
      >>> resolve_precision("float32")
      'float32'
    """
    require_choice("precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        fast = all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    else:
        fast = cpu.has_bfloat16()
    return "bfloat16" if fast else "float32"


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Context manager: inside it float32 has its 24 significant bits on GPUs, too, not TF32's 11.

    For evaluations, whose figures must not depend on the device. TF32 is a setting of the process,
    restored on leaving: two such contexts in threads of one process must not overlap.

    Example:
      >>> with full_float32():
      ...     tf.config.experimental.tensor_float_32_execution_enabled()
      False
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def matmul_rate(dtype: str, size: int, blocks: int = 5) -> float:
    """FLOP/s of size x size matrix products: ten of them, the fastest of `blocks` repetitions.

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

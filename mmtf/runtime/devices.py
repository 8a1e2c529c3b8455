"""Chooses the devices of training, whether XLA compiles it, and its precision."""

import contextlib
import time
from collections.abc import Iterator

import tensorflow as tf

from mmtf.errors import ConfigError, require_choice
from mmtf.runtime import PRECISIONS, cpu

# Number of steps from which XLA saves more time than its compilation takes. For Minimax-Grad on an
# H100 (228 steps per second without XLA, 2,036 with it) that is 12,600 steps for the first
# compilation on a machine (49 s) and 3,100 for later ones (12 s): results/benchmarks/gpu.json.
JIT_STEPS = 10_000


def default_strategy() -> tf.distribute.Strategy:
    """The strategy for a training run that is not given one.

    It is a MirroredStrategy if this process has several GPUs, else TensorFlow's current strategy.
    In a cluster, where TensorFlow lists the GPUs of all workers, it is the current strategy too: a
    worker that trains a model alone (an attack network in an evaluation) must not use the GPUs of
    other workers.
    """
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    tasks = {name.rpartition("/device:")[0] for name in gpus}
    if len(gpus) > 1 and len(tasks) == 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def resolve_jit(jit_compile: bool | None, strategy: tf.distribute.Strategy, steps: int) -> bool:
    """Whether XLA compiles the training steps.

    Args:
      jit_compile: True or False; None: True for runs of at least JIT_STEPS steps on a GPU with
        TensorFlow's default strategy.
      strategy: the tf.distribute strategy of the run.
      steps: total number of steps of the run, including those before it was resumed. With XLA the
        random numbers differ, so the answer must not change within a run.

    Raises:
      ConfigError: jit_compile is True and the strategy is not the default one; XLA cannot compile
        the updates of the others.
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
    """Replaces `auto` by `bfloat16` or `float32`, depending on the hardware.

    `auto` is `bfloat16` if every GPU has compute capability 8.0 or higher or, without a GPU, the
    CPU has bfloat16 instructions (`mmtf.runtime.cpu.has_bfloat16`). On other hardware bfloat16 is
    slower than float32.

    Args:
      precision: `auto`, `float32` or `bfloat16`.

    Raises:
      ConfigError: another value.

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
    """Context manager inside which TF32 is off: float32 products on GPUs use all 24 bits, not 11.

    Evaluations use it so that their results do not depend on the device. TF32 is a setting of the
    whole process, which is restored on leaving. The context must not be entered in two threads at
    the same time.

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
    """Measured speed of matrix products, in floating-point operations per second.

    Args:
      dtype: of the matrices, such as "float32".
      size: number of rows and columns, > 0.
      blocks: number of measurements, of ten products each; the fastest counts.

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

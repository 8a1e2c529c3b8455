"""Default batch size of attacks: 500 small images, or as many larger ones as fit into memory."""

import math

from mmtf.errors import require_int
from mmtf.runtime.memory import device_memory

LARGEST = 500
# Images with at most as many values as CIFAR-10's are attacked in batches of LARGEST on every
# machine: random starts are drawn per batch, so results depend on the batch size.
SMALL = 32 * 32 * 3
# Estimated number of float32 values in memory per input value during backpropagation. The outputs
# of all layers hold 247 times as many values as an image of 224 x 224 x 3 for Keras' ResNet50 (78
# times for mnist_cnn on MNIST, 43 times for cifar_cnn on CIFAR-10); the rest is for gradients.
VALUES_KEPT = 300
# Share of the memory for activations; the rest is for weights, images and the system.
SHARE = 0.25


def default_batch_size(
    image_shape: tuple[int, ...], *, calls: int = 1, memory: int | None = None
) -> int:
    """Number of images attacked together such that a classifier's activations should fit.

    It is 500 for images up to CIFAR-10's size. For larger ones it is the largest power of two, at
    least 1 and at most 500, for which batch size x 4 bytes x VALUES_KEPT x H W C x calls is at most
    a quarter of the memory. This is an estimate: a wider net than usual needs an explicit
    `batch_size`.

    Args:
      image_shape: (H, W, C).
      calls: forward passes that one gradient runs through, > 0; with EOT its number of samples.
      memory: bytes of the device; None: `device_memory()`.

    Raises:
      ConfigError: `calls` is not positive.

    Example:
      >>> default_batch_size((28, 28, 1)), default_batch_size((224, 224, 3), memory=16 * 2**30)
      (500, 16)
    """
    require_int("calls", calls)
    size = math.prod(image_shape)
    if size <= SMALL:
        return LARGEST
    memory = device_memory() if memory is None else memory
    fitting = SHARE * memory / (4 * VALUES_KEPT * size * calls)
    return min(LARGEST, 2 ** max(0, math.floor(math.log2(max(fitting, 1)))))

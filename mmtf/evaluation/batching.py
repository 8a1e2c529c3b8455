"""How many images are attacked together: as many as fit into memory, and 500 of small ones."""

import math

from mmtf.errors import require
from mmtf.runtime.memory import device_memory

LARGEST = 500
# Images of at most as many values as CIFAR-10's are attacked in batches of LARGEST on any machine:
# random starts go by batch, and these figures are to be the same everywhere.
SMALL = 32 * 32 * 3
# float32 values kept for one value of an image while a gradient is computed. The outputs of all
# layers are 247 times an image of 224 x 224 x 3 for Keras' ResNet50 (78 times MNIST's for
# mnist_cnn, 43 times CIFAR-10's for cifar_cnn); the rest is for gradients on their way back.
VALUES_KEPT = 300
# Of the memory, what activations may take: the rest is for weights, images and the system.
SHARE = 0.25


def default_batch_size(
    image_shape: tuple[int, ...], *, calls: int = 1, memory: int | None = None
) -> int:
    """Images attacked together, so that an estimate of a classifier's activations fits.

    500 for images up to CIFAR-10's size; for larger ones as many as
    4 bytes x VALUES_KEPT x H W C x calls take a quarter of the memory, a power of two, at least 1
    and at most 500. An estimate: a wider net than usual needs an explicit `batch_size`.

    Args:
      image_shape: (H, W, C).
      calls: calls of the classifier that a gradient runs through, as with EOT.
      memory: bytes of the device; None: what this machine's has (`device_memory`).

    Example:
      >>> default_batch_size((28, 28, 1)), default_batch_size((224, 224, 3), memory=16 * 2**30)
      (500, 16)
    """
    require(calls > 0, "calls > 0", calls)
    size = math.prod(image_shape)
    if size <= SMALL:
        return LARGEST
    memory = device_memory() if memory is None else memory
    fitting = SHARE * memory / (4 * VALUES_KEPT * size * calls)
    return min(LARGEST, 2 ** max(0, math.floor(math.log2(max(fitting, 1)))))

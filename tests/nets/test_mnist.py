"""The MNIST net, counted by hand."""

import pytest

from mmtf.nets.mnist import mnist_cnn


def parameters(height, width, channels, classes):
    """5x5 convolutions, two pools that halve rounding up, dense 512, logits."""
    first = 5 * 5 * channels * 32 + 32
    second = 5 * 5 * 32 * 64 + 64
    flat = -(-height // 4) * -(-width // 4) * 64
    return first + second + (flat * 512 + 512) + (512 * classes + classes)


@pytest.mark.parametrize("shape, classes", [((28, 28, 1), 10), ((32, 32, 3), 5), ((9, 7, 2), 2)])
def test_parameters(shape, classes):
    model = mnist_cnn(image_shape=shape, num_classes=classes)
    assert model.count_params() == parameters(*shape, classes)


def test_the_papers_size():
    assert parameters(28, 28, 1, 10) == 1_663_370 == mnist_cnn().count_params()

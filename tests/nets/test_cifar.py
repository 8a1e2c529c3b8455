"""The CIFAR-10 net, counted by hand."""

import pytest

from mmtf.nets.cifar import cifar_cnn


def parameters(height, width, channels, classes):
    """5x5 convolutions, two pools of stride 2 that round up, dense 384, dense 192, logits."""
    first = 5 * 5 * channels * 64 + 64
    second = 5 * 5 * 64 * 64 + 64
    flat = -(-height // 4) * -(-width // 4) * 64
    dense = (flat * 384 + 384) + (384 * 192 + 192)
    return first + second + dense + (192 * classes + classes)


@pytest.mark.parametrize("shape, classes", [((32, 32, 3), 10), ((28, 28, 1), 5), ((9, 7, 2), 2)])
def test_parameters(shape, classes):
    model = cifar_cnn(image_shape=shape, num_classes=classes)
    assert model.count_params() == parameters(*shape, classes)

"""A Keras classifier as a PyTorch module of the same weights."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import ConfigError
from mmtf.runtime.devices import full_float32

BLOCK = 500  # images at a time
# Two correct float32 nets differ in the order of summation: a dot product of d terms has an error
# of about sqrt(d) * 2^-24 times the size of its terms (d <= 3,136 here), in each of four layers.
LOGITS_TOLERANCE = 4 * np.sqrt(3136) * 2.0**-24


class MaxPoolSame(nn.Module):
    """Max-pooling with TensorFlow's padding `same`.

    If an odd number of rows or columns is missing, the extra one is padded at the bottom or right.
    """

    def __init__(self, size: int, stride: int):
        super().__init__()
        self.size, self.stride = size, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pools images [N, C, H, W]."""
        rows, columns = (self._missing(length) for length in x.shape[2:])
        padding = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
        return F.max_pool2d(F.pad(x, padding, value=-torch.inf), self.size, self.stride)

    def _missing(self, length):
        windows = -(-length // self.stride)
        return max((windows - 1) * self.stride + self.size - length, 0)


class FlattenLast(nn.Module):
    """Flattens [N, C, H, W] in the order H, W, C, as Keras does before a dense layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns [N, H * W * C]."""
        return x.permute(0, 2, 3, 1).flatten(1)


class TorchCopy(nn.Module):
    """Logits of images [N, C, H, W] in the box [-1, 1], or [0, 1] with `unit`."""

    def __init__(self, layers: nn.Sequential, *, unit: bool = False):
        super().__init__()
        self.layers, self.unit = layers, unit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of images [N, C, H, W]."""
        return self.layers(2.0 * x - 1.0 if self.unit else x)


def torch_copy_of(classifier: Any) -> TorchCopy:
    """A PyTorch module, in evaluation mode, with the weights and logits of a Keras classifier.

    Args:
      classifier: Keras Sequential of Conv2D (stride 1, `same`, odd kernel), MaxPooling2D (`same`),
        ReLU, Flatten, Dense and Dropout, as mnist_cnn and cifar_cnn are.

    Raises:
      ConfigError: another layer.
    """
    modules = [module for layer in classifier.layers for module in _modules(layer)]
    copy = TorchCopy(nn.Sequential(*modules)).eval()
    # Channels last halves the time of these nets on a CPU.
    return copy.requires_grad_(False).to(memory_format=torch.channels_last)


def check_copy(classifier: Any, copy: TorchCopy, x: Any) -> float:
    """The largest difference between the logits of both nets, relative to the largest logit.

    Args:
      classifier: the Keras model.
      copy: its PyTorch copy.
      x: images float32 NHWC in [-1, 1].

    Raises:
      ConfigError: the difference is larger than LOGITS_TOLERANCE.
    """
    ours, theirs = keras_logits(classifier, x), copy_logits(copy, x)
    difference = float(np.abs(ours - theirs).max() / np.abs(ours).max())
    if not difference <= LOGITS_TOLERANCE:
        raise ConfigError(
            f"Expected logits that agree to {LOGITS_TOLERANCE:.1e} of the largest. "
            f"Received: {difference:.1e}."
        )
    return difference


def keras_logits(classifier: Any, x: Any) -> np.ndarray:
    """Logits float32 [N, classes] of the Keras model for images NHWC in [-1, 1]."""
    full = as_classifier(classifier)
    with full_float32():
        blocks = [full(x[i : i + BLOCK], training=False) for i in range(0, len(x), BLOCK)]
    return np.concatenate([np.asarray(block) for block in blocks])


def copy_logits(copy: TorchCopy, x: Any) -> np.ndarray:
    """Logits float32 [N, classes] of the copy for images NHWC in its box."""
    with torch.no_grad():
        blocks = [copy(nchw(x[i : i + BLOCK])) for i in range(0, len(x), BLOCK)]
    return torch.cat(blocks).numpy()


def nchw(x: Any) -> torch.Tensor:
    """Converts an array [N, H, W, C] to a PyTorch tensor [N, C, H, W]."""
    return torch.from_numpy(np.transpose(x, [0, 3, 1, 2]).copy(order="C"))


def nhwc(x: torch.Tensor) -> np.ndarray:
    """Converts a PyTorch tensor [N, C, H, W] to an array [N, H, W, C]."""
    return np.ascontiguousarray(np.transpose(x.detach().numpy(), [0, 2, 3, 1]))


def _modules(layer) -> list[nn.Module]:
    """The PyTorch modules of one Keras layer, in evaluation mode."""
    kind = type(layer).__name__
    weights = [torch.from_numpy(np.array(weight)) for weight in layer.get_weights()]
    if kind == "Conv2D" and layer.padding == "same" and layer.strides == (1, 1):
        height, width, into, out = weights[0].shape
        made = nn.Conv2d(into, out, (height, width), padding=(height // 2, width // 2))
        made.weight.data = weights[0].permute(3, 2, 0, 1).contiguous()
        made.bias.data = weights[1]
    elif kind == "MaxPooling2D" and layer.padding == "same":
        made = MaxPoolSame(layer.pool_size[0], layer.strides[0])
    elif kind == "Dense":
        made = nn.Linear(*weights[0].shape)
        made.weight.data, made.bias.data = weights[0].T.contiguous(), weights[1]
        activation = layer.activation.__name__
        if activation not in ("linear", "relu"):
            raise ConfigError(f"Expected a linear or ReLU layer. Received: {activation}.")
        return [made, nn.ReLU()] if activation == "relu" else [made]
    elif kind in ("ReLU", "Flatten", "Dropout"):
        return {"ReLU": [nn.ReLU()], "Flatten": [FlattenLast()], "Dropout": []}[kind]
    else:
        raise ConfigError(
            f"Expected a layer that the PyTorch copy has. Received: {layer.name} ({kind})."
        )
    return [made]

"""mnist_cnn in plain PyTorch, channels last; TensorFlow is not imported."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.peers.speed.worker import Task


class Net(nn.Module):
    """mnist_cnn with the weights of the Keras model.

    Args:
      weights: those of the Keras model, in its order.
      dropout: dropout rate in training.
    """

    def __init__(self, weights: Sequence[np.ndarray], dropout: float):
        super().__init__()
        k1, b1, k2, b2, k3, b3, k4, b4 = (torch.from_numpy(np.array(one)) for one in weights)
        self.first, self.second = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.hidden, self.last = nn.Linear(3136, 512), nn.Linear(512, 10)
        self.dropout = dropout
        # Flattened NCHW here, NHWC in Keras.
        k3 = k3.reshape(7, 7, 64, 512).permute(3, 2, 0, 1).reshape(512, 3136)
        values = [k1.permute(3, 2, 0, 1), b1, k2.permute(3, 2, 0, 1), b2, k3, b3, k4.T, b4]
        with torch.no_grad():
            for parameter, value in zip(self.parameters(), values, strict=True):
                parameter.copy_(value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10] of images [N, 1, 28, 28] in [-1, 1]."""
        x = F.relu(F.max_pool2d(self.first(x), 2))
        x = F.relu(F.max_pool2d(self.second(x), 2))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.last(F.dropout(x, self.dropout, self.training))


def net_of(task: Task, dropout: float = 0.25) -> Net:
    """Returns the net with the weights of the task's classifier."""
    return Net(task.weights(), dropout).to(memory_format=torch.channels_last)


def tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Converts images NHWC to NCHW in channels-last memory, and labels to int64."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return x.to(memory_format=torch.channels_last), torch.from_numpy(labels.astype(np.int64))


def error_of(net: nn.Module, z: torch.Tensor, y: torch.Tensor) -> float:
    """Returns the share of images in `z` that the net misclassifies."""
    with torch.no_grad():
        return float((net(z).argmax(1) != y).float().mean())

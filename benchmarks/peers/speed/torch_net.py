"""mnist_cnn by hand in PyTorch, channels last, without TensorFlow in the process."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """The weights of Keras' mnist_cnn, in their order."""

    def __init__(self, weights, dropout):
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

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.first(x), 2))
        x = F.relu(F.max_pool2d(self.second(x), 2))
        x = F.relu(self.hidden(x.flatten(1)))
        return self.last(F.dropout(x, self.dropout, self.training))


def net_of(task, dropout=0.25) -> Net:
    return Net(task.weights(), dropout).to(memory_format=torch.channels_last)


def tensors(images, labels):
    """(NCHW in channels-last memory, int64)."""
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    return x.to(memory_format=torch.channels_last), torch.from_numpy(labels.astype(np.int64))


def error_of(net, z, y) -> float:
    with torch.no_grad():
        return float((net(z).argmax(1) != y).float().mean())

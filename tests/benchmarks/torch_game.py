"""Steps of Minimax-AttNet in PyTorch, in a process of its own.

PyTorch's CUDA build ends in a segmentation fault where TensorFlow was imported first. Started with
a folder as of `worker.Task` that holds attacker.npz, Adam's epsilon and the number of steps, it
prints the risks as JSON.
"""

import json
import os
import sys

import numpy as np

from benchmarks.peers.speed.worker import Task


class Steep(Task):
    """With weights twice as large, which make the penalty a notable part of the game."""

    def weights(self) -> list[np.ndarray]:
        """Returns the classifier's weights in order."""
        return [2 * one for one in super().weights()]


def main(folder: str, epsilon: str, steps: str) -> None:
    """Prints the risks of the game of networks without dropout on the folder's images."""
    import torch

    from benchmarks.peers.speed import torch_peer
    from benchmarks.peers.speed.torch_net import net_of

    assert "tensorflow" not in sys.modules
    task = Steep(folder, "float32", 1)
    attacker = torch_peer.AttackNet(dropout=0.0)
    with torch.no_grad(), np.load(os.path.join(folder, "attacker.npz")) as values:
        for mine, name in zip(attacker.parameters(), values.files, strict=True):
            mine.copy_(torch.from_numpy(values[name].T.copy()))
    block = torch_peer.attnet_game(net_of(task, dropout=0.0), attacker, task, float(epsilon))
    print(json.dumps([block() for _ in range(int(steps))]))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What tests ask of PyTorch's part of the speed benchmark, in a process of its own.

PyTorch's CUDA build ends in a segmentation fault where TensorFlow was imported first.
"""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.peers.speed.worker import Task

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Steep(Task):
    """With weights twice as large, which make the penalty a notable part of the game."""

    def weights(self) -> list[np.ndarray]:
        """Returns the classifier's weights in order."""
        return [2 * one for one in super().weights()]


def ask(question: str, *given: str | int | float) -> Any:
    """The value that a function of QUESTIONS returns in another process."""
    command = [sys.executable, os.path.abspath(__file__), question, *map(str, given)]
    path = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def risks(folder: str, epsilon: str, steps: str) -> list[float]:
    """The risks of Minimax-AttNet without dropout, from the weights in the folder's attacker.npz.

    Args:
      folder: as of `Task`.
      epsilon: of Adam.
      steps: number of steps.
    """
    import torch

    from benchmarks.peers.speed import torch_peer
    from benchmarks.peers.speed.torch_net import net_of

    task = Steep(folder, "float32", 1)
    attacker = torch_peer.AttackNet(dropout=0.0)
    with torch.no_grad(), np.load(os.path.join(folder, "attacker.npz")) as values:
        for mine, name in zip(attacker.parameters(), values.files, strict=True):
            mine.copy_(torch.from_numpy(values[name].T.copy()))
    block = torch_peer.attnet_game(net_of(task, dropout=0.0), attacker, task, float(epsilon))
    return [block() for _ in range(int(steps))]


def operations(folder: str, work: str) -> int:
    """The floating-point operations of a block of one step, as PyTorch counts them."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    from benchmarks.peers.speed import torch_peer

    total = [0]

    class Counter(TorchDispatchMode):
        """FlopCounterMode refuses gradients with respect to a leaf."""

        def __torch_dispatch__(self, function, kinds, arguments=(), options=None):
            found = function(*arguments, **(options or {}))
            count = flop_registry.get(function._overloadpacket)
            if count is not None:
                total[0] += count(*arguments, **(options or {}), out_val=found)
            return found

    block = getattr(torch_peer, f"prepare_{work}")(Task(folder, "float32", 1))
    with Counter():
        block()
    return total[0]


QUESTIONS = {"risks": risks, "operations": operations}

if __name__ == "__main__":
    print(json.dumps(QUESTIONS[sys.argv[1]](*sys.argv[2:])))
    assert "tensorflow" not in sys.modules

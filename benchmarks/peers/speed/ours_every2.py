"""mmtf with the penalty on every second example."""

from benchmarks.peers.speed.ours import prepare_training
from benchmarks.peers.speed.worker import Block, Task


def prepare_minimax_grad_step(task: Task) -> Block:
    """Training steps of `minimax_grad` with the penalty on every second example."""
    return prepare_training(task, "minimax_grad", penalty_every=2)

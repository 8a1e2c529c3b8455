"""mmtf with the penalty on every second example."""

from benchmarks.peers.speed.ours import prepare_training


def prepare_minimax_grad_step(task):
    return prepare_training(task, "minimax_grad", penalty_every=2)

"""mmtf with the fused penalty."""

from benchmarks.peers.speed.ours import prepare_training


def prepare_minimax_grad_step(task):
    return prepare_training(task, "minimax_grad", penalty="fused")

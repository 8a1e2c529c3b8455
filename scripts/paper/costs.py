"""Estimated durations for the plan, from seconds measured on two CPU cores with bfloat16.

On other machines they are scaled by the rate of float32 matrix products, steps also by batch size.
"""

from mmtf.presets import schedule_of
from scripts.paper.players import CURVE, IMAGES, replayed_round

# GFLOP/s of float32 matrix products where the seconds below were measured, on a faster CPU than
# that of peers-avx512_bf16.json: `git show 3bd9cab^:results/benchmarks/peers-avx512_bf16.json`.
MATMUL = 514.0

# Seconds of a training step at the fast schedule's batch size: results/section3, section4;
# Minimax-Grad's with the penalty on all examples. CIFAR-10's others are Minimax-Grad's, scaled in
# MNIST's proportions.
STEP = {
    "mnist": {
        "adv_fgsm": 0.021,
        "lwa": 0.039,
        "minimax_grad": 0.053,
        "minimax_attnet": 0.057,
        "alt_attnet": 0.043,
        "maximin_attnet": 0.057,
    },
    "cifar10": {
        "adv_fgsm": 0.018,
        "lwa": 0.028,
        "minimax_grad": 0.039,
        "minimax_attnet": 0.15,
        "alt_attnet": 0.11,
        "maximin_attnet": 0.15,
    },
}
# Seconds per image; AutoAttack's depend on how robust the classifier is.
IMAGE = {"fgsm_curr": 3e-4, "pgd_curr": 6e-3, "autoattack_curr": 0.4}
REPLAYED, PLAIN = 4e-4, 1e-4
# Seconds of a training step of an attack network.
ATTNET = {"attnet_curr": 0.014, "attnet_paper_curr": 0.013}
# Seconds to start (Python, TensorFlow, data), and of a run beyond its steps.
START, AROUND = 10.0, 20.0
TEST_IMAGES = 10_000


def pace(matmul: float) -> float:
    """Returns the factor by which a machine of this rate, float32 GFLOP/s, is slower.

    Example:
      >>> pace(257.0)
      2.0
    """
    return MATMUL / matmul


def train_seconds(dataset: str, game: str, steps: int, batch_size: int | None = None) -> float:
    """Returns a run's seconds for `steps` of `batch_size` images; None: the fast schedule's."""
    known = dataset if dataset in STEP else "mnist"
    share = 1.0
    if batch_size is not None:
        share = batch_size / schedule_of(game, known).batch_size
    return START + AROUND + steps * STEP[known][game] * share


def cell_seconds(attack: str, rounds: int, examples: int, steps: int | None) -> float:
    """Returns a cell's seconds on `examples` (0: all); `steps` are those of an attack network."""
    if attack in (CURVE, IMAGES):
        return START
    examples = examples or TEST_IMAGES
    if attack in ATTNET:
        return (steps or 0) * ATTNET[attack] + examples * PLAIN
    if replayed_round(attack, rounds) is not None:
        return examples * REPLAYED
    return examples * IMAGE.get(attack, PLAIN)

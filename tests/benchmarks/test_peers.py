"""mmtf's attacks reach what ART, Foolbox and the original AutoAttack reach (extra `peers`).

Two small nets, trained here, stand for an easy and a hardened classifier; the same comparisons on
full classifiers are in docs/evaluation.md.
"""

import dataclasses

import keras
import numpy as np
import pytest

import mmtf
from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.nets import NETS

for module in ("torch", "art", "foolbox", "pyautoattack"):
    pytest.importorskip(module, reason=f"no {module}: pip install 'mmtf[peers]'")

from benchmarks.peers.comparison import COMPARISONS, SAME, compare, shortfall  # noqa: E402
from benchmarks.peers.subject import Settings, subject_of  # noqa: E402
from benchmarks.peers.torch_copy import check_copy, torch_copy_of  # noqa: E402

pytestmark = pytest.mark.slow

EXAMPLES = 200
# The tolerance that the comparison is asked for: one image.
WITHIN = 1
SEEDS = 5
RADII = {"linf": 0.3, "l2": 2.0}
SETTINGS = Settings(queries=500)
# Game -> how it is trained: enough that one net breaks easily and the other does not.
SCHEDULES = {
    "undefended": Schedule(steps=400, learning_rate=1e-3),
    "minimax_grad": Schedule(steps=1500, learning_rate=1e-3, warmup_steps=500, decay="cosine"),
}


@pytest.fixture(scope="session")
def mnist():
    return mmtf.load_data("mnist")


@pytest.fixture(scope="session", params=list(SCHEDULES))
def subject(request, mnist):
    """A small net, trained by a game."""
    game = GAMES[request.param](mmtf.ThreatModel(eta=RADII["linf"]))
    trained = mmtf.train(
        game,
        mnist,
        schedule=SCHEDULES[request.param],
        model=_small_net(),
        precision="float32",
        progress=False,
    )
    return subject_of(trained.classifier)


def _small_net():
    """mnist_cnn with a quarter of the channels and an eighth of the hidden units."""
    layers = keras.layers
    initial = [keras.initializers.GlorotUniform(seed=i) for i in range(4)]
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, padding="same", kernel_initializer=initial[0]),
            layers.MaxPooling2D(2, padding="same"),
            layers.ReLU(),
            layers.Conv2D(16, 5, padding="same", kernel_initializer=initial[1]),
            layers.MaxPooling2D(2, padding="same"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(64, activation="relu", kernel_initializer=initial[2]),
            layers.Dense(10, kernel_initializer=initial[3]),
        ]
    )


@pytest.mark.parametrize("net", ["mnist_cnn", "cifar_cnn"])
def test_the_copy_gives_the_same_logits(net, rng):
    classifier = NETS[net]()
    x = rng.uniform(-1, 1, (8, *classifier.input_shape[1:])).astype(np.float32)
    check_copy(classifier, torch_copy_of(classifier), x)


def test_a_copy_of_other_weights_is_refused(rng):
    x = rng.uniform(-1, 1, (8, 28, 28, 1)).astype(np.float32)
    with pytest.raises(ConfigError, match="Expected logits that agree"):
        check_copy(NETS["mnist_cnn"](seed=0), torch_copy_of(NETS["mnist_cnn"](seed=1)), x)


@pytest.mark.parametrize("comparison", COMPARISONS, ids=lambda one: f"{one.title}-{one.norm}")
def test_reaches_at_least_the_error_of(comparison, subject, mnist):
    x, y = mnist.test(EXAMPLES)
    check_copy(subject.classifier, subject.torch_copy, x)
    comparison = dataclasses.replace(comparison, seeds=min(comparison.seeds, SEEDS))
    row = compare(subject, x, y, comparison, RADII[comparison.norm], SETTINGS)
    print(row)
    assert row["clean"] < row["ours"]["error"] < 1, "the comparison says nothing"
    for cell in row["peers"]:
        assert cell["violations"] == 0
        # Two standard errors of what random starts leave in the mean, 0 for a single run.
        assert shortfall(cell) <= WITHIN + 2 * (cell["gain_se"] or 0.0), cell
        if comparison.title == "FGSM":
            assert cell["largest_difference"] <= SAME
            assert cell["pixels_unexplained"] == 0

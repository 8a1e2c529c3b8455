"""Each sign is raised by the defense it is meant for, and by no honest one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import FGSM, PGD, ExpectationOverTransformation, Transfer
from mmtf.classifiers.detectors import ReconstructionDetector
from mmtf.classifiers.guarded import Guarded
from mmtf.evaluation import measure
from mmtf.evaluation.fitted import as_fitted
from mmtf.evaluation.gradient_masking import (
    MEANINGS,
    Finding,
    masking_in_classifier,
    masking_in_table,
)
from mmtf.evaluation.payoff_result import table_findings
from mmtf.evaluation.unions import balls_of, make_attacks_in
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.2)


@pytest.fixture
def data(rng, smooth):
    x = rng.uniform(-1, 1, (120, 4, 4, 1)).astype(np.float32)
    return x, np.argmax(smooth(x, training=False), 1).astype(np.int32)


def checks_of(classifier, data):
    return [sign.check for sign in masking_in_classifier("d", classifier, *data, THREAT)]


class Wrapped:
    """A defense around an honest classifier."""

    def __init__(self, call):
        self.call = call

    def __call__(self, x, training):
        return self.call(x)


def test_an_honest_classifier_raises_none(smooth, data):
    assert checks_of(smooth, data) == []


def test_rounding_gives_zero_gradients(smooth, data):
    def rounded(x):
        return smooth(tf.round(4.0 * x) / 4.0, training=False)

    assert "zero_gradient" in checks_of(Wrapped(rounded), data)


def test_a_detached_classifier_has_no_gradient(smooth, data):
    detached = Wrapped(lambda x: smooth(tf.stop_gradient(x), training=False))
    assert {"zero_gradient", "bounded_without_bound"} <= set(checks_of(detached, data))


def test_random_logits_are_noticed(smooth, data):
    noisy = Wrapped(
        lambda x: smooth(x, training=False) + 0.01 * tf.random.normal([tf.shape(x)[0], 3])
    )
    assert "random_output" in checks_of(noisy, data)


def test_a_gradient_that_leads_astray_is_noticed(smooth, data):
    """Forward as it is, backward with the sign turned: PGD fails even without a ball."""

    @tf.custom_gradient
    def turned(x):
        return tf.identity(x), lambda upstream: -upstream

    found = checks_of(Wrapped(lambda x: smooth(turned(x), training=False)), data)
    assert {"bounded_without_bound", "rough_loss"} <= set(found)


def test_gradients_that_are_not_finite_are_told_before_any_attack(smooth, data):
    def infinite(x):
        return smooth(x, training=False) + tf.norm(0.0 * x, axis=[1, 2])  # d sqrt(0) is not finite

    found = masking_in_classifier("d", Wrapped(infinite), *data, THREAT)
    assert {sign.check for sign in found} == {"zero_gradient"}


def test_large_logits_flatten_the_cross_entropy_alone(linear, data):
    steep = linear(3e3 * np.eye(16)[:, :3])
    found = masking_in_classifier(
        "d", steep, data[0], np.argmax(steep(data[0], training=False), 1), THREAT
    )
    values = [sign.value for sign in found if sign.check == "zero_gradient"]
    assert len(values) == 1 and values[0].startswith("of the cross-entropy")


def test_a_transferred_or_single_step_attack_that_beats_autoattack():
    few, many = np.arange(100) < 5, np.arange(100) < 19
    for name, check in (("fgsm", "single_step_wins"), ("pgd@other", "black_box_wins")):
        (sign,) = masking_in_table({("d", name, 0.1): many, ("d", "autoattack", 0.1): few})
        assert sign.check == check
    assert masking_in_table({("d", "square", 0.1): many, ("d", "autoattack", 0.1): few}) == []


def test_a_black_box_that_wins():
    few, many = np.arange(100) < 5, np.arange(100) < 19
    table = {("d", "pgd", 0.1): few, ("d", "square", 0.1): many, ("e", "pgd", 0.1): many}
    (sign,) = masking_in_table(table)
    assert (sign.defense, sign.check) == ("d", "black_box_wins")
    assert masking_in_table({("d", "pgd", 0.1): many, ("d", "square", 0.1): few}) == []
    # One example more is noise, a single step is no rival, and AutoAttack contains Square.
    assert (
        masking_in_table({("d", "pgd", 0.1): few, ("d", "square", 0.1): np.arange(100) < 6}) == []
    )
    assert masking_in_table({("d", "fgsm", 0.1): few, ("d", "square", 0.1): many}) == []
    table[("d", "autoattack", 0.1)] = many
    assert len(masking_in_table(table)) == 1
    # So are images made on another classifier.
    (sign,) = masking_in_table({("d", "pgd", 0.1): few, ("d", "fgsm@other", 0.1): many})
    assert sign.value.startswith("fgsm@other 0.19")


def test_a_black_box_that_wins_in_a_further_ball():
    """Columns are told by their attack: those of further balls, and of Python, have other names."""
    balls = balls_of([0.3], "linf", {"l2": [3.0]})[0.3]
    made = make_attacks_in(balls, {"pgd": {}, "square": {}})
    columns = {name: as_fitted(one) for name, one in made.items()}
    broken = {"pgd": 50, "square": 2, "pgd_l2": 2, "square_l2": 60}
    wrong = {("d", name, 0.3): np.arange(100) < count for name, count in broken.items()}
    (sign,) = table_findings(wrong, {0.3: columns})
    assert (sign.check, sign.value[:9]) == ("black_box_wins", "square_l2")
    ball = THREAT
    mine = {
        "long": ExpectationOverTransformation(PGD(ball, steps=2, stop_early=False), samples=2),
        "step": FGSM(ball),
        "moved": Transfer(lambda x, training: x, FGSM(ball)),
    }
    columns = {name: as_fitted(one) for name, one in mine.items()}
    broken = {"long": 5, "step": 19, "moved": 30}
    wrong = {("d", name, 0.2): np.arange(100) < count for name, count in broken.items()}
    found = table_findings(wrong, {0.2: columns})
    assert [sign.check for sign in found] == ["single_step_wins", "black_box_wins"]


def test_a_rejected_image_is_no_sign(linear, rng):
    """Unbounded PGD leaves what a detector of large changes accepts: right, and no masking."""
    x = rng.uniform(-0.2, 0.2, (60, 4, 4, 1)).astype(np.float32)
    honest = linear(np.eye(16)[:, :3])
    y = np.argmax(honest(x, training=False), 1).astype(np.int32)
    pixels = keras.Input((4, 4, 1))
    smaller = keras.Model(pixels, keras.layers.Rescaling(0.5, offset=0.25)(pixels))
    guard = ReconstructionDetector(autoencoder=smaller, threshold=0.12, p=1)
    guarded = Guarded(honest, detectors=[guard])
    assert guarded.accepts(x).numpy().all()
    whole = measure(guarded, PGD(ThreatModel(eta=2.0), steps=40), x, y, name="pgd")
    assert whole.error < 0.9 and not whole.accepted.all()
    assert masking_in_classifier("d", guarded, x, y, THREAT) == []


def test_a_single_step_that_wins():
    few, many = np.arange(100) < 5, np.arange(100) < 19
    table = {("d", "fgsm", 0.1): many, ("d", "pgd", 0.1): few}
    (sign,) = masking_in_table(table)
    assert (sign.defense, sign.check) == ("d", "single_step_wins")
    assert masking_in_table({**table, ("d", "apgd", 0.1): many}) == []
    # Images made on another classifier are a black box here.
    (sign,) = masking_in_table({("d", "fgsm@other", 0.1): many, ("d", "pgd", 0.1): few})
    assert sign.check == "black_box_wins"


def test_more_steps_that_do_less(linear, data):
    """Grooves of width 0.01 in the loss lead the small steps of a long attack astray."""
    honest = linear(np.eye(16)[:, :3])
    x, y = data
    y = np.argmax(honest(x, training=False), 1).astype(np.int32)

    @tf.custom_gradient
    def grooved(x):
        # The gradient is turned but in a groove around every multiple of 0.05.
        on_grid = tf.abs(x / 0.05 - tf.round(x / 0.05)) < 0.1
        return x, lambda upstream: tf.where(on_grid, upstream, -upstream)

    # Steps of 0.05 (2.5 eta / 10) keep a pixel in its groove or out of it; steps of 0.005 pass.
    x = (np.round(x / 0.05) * 0.05).astype(np.float32)
    found = masking_in_classifier(
        "d", Wrapped(lambda x: honest(grooved(x), training=False)), x, y, THREAT
    )
    assert "more_steps_weaker" in [sign.check for sign in found]


def test_a_larger_eta_that_does_less():
    few, many = np.arange(100) < 5, np.arange(100) < 30
    (sign,) = masking_in_table({("d", "pgd", 0.1): many, ("d", "pgd", 0.2): few})
    assert sign.check == "larger_eta_weaker"
    assert masking_in_table({("d", "pgd", 0.1): few, ("d", "pgd", 0.2): many}) == []
    # A transferred attack follows another classifier's loss: more steps would not help it.
    assert masking_in_table({("d", "pgd@other", 0.1): many, ("d", "pgd@other", 0.2): few}) == []
    # One example less is noise.
    assert masking_in_table({("d", "pgd", 0.1): few, ("d", "pgd", 0.2): np.arange(100) < 4}) == []


def test_every_sign_says_what_it_means():
    for check, meaning in MEANINGS.items():
        assert meaning in str(Finding("d", check, "x"))


def test_gradients_that_break_on_the_way_are_a_sign(linear):
    """The length of a feature that is dead has no gradient; it lives at every image."""
    weights = np.zeros([16, 3])
    weights[0] = [4, -2, -2]
    net, x = linear(weights, bias=[2.0, 0.0, 0.0]), np.full([20, 4, 4, 1], 0.5, np.float32)

    def breaks(x):
        return net.logits(x) + tf.norm(tf.nn.relu(x[:, :1, :1, 0]), axis=[1, 2])[:, None]

    found = masking_in_classifier("d", Wrapped(breaks), x, np.zeros(20, np.int32), THREAT)
    assert [sign.check for sign in found] == ["broken_attack"]

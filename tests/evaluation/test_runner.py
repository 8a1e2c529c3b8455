"""Errors of defenses with known answers; attacks that cheat; classifiers that hide."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import ATTACKS, ExpectationOverTransformation, Transfer
from mmtf.attacks.base import Attack
from mmtf.errors import ConfigError
from mmtf.evaluation import (
    BrokenConstraint,
    Result,
    measure,
    misclassified,
    perturb,
    validate_logits,
    wilson,
    worst,
)
from mmtf.evaluation.batching import LARGEST
from mmtf.threat import ThreatModel

SHAPE = (3, 3, 1)
ETA = 0.2
COUNT = 2 * LARGEST + 203  # the last block is not full


@pytest.fixture
def model(rng, linear):
    return linear(rng.normal(0, 0.5, (9, 2)), [0.1, -0.1])


@pytest.fixture
def batch(rng, model):
    """Images in the whole box; labels of which about a tenth are not the model's."""
    x = rng.uniform(-1, 1, (COUNT, *SHAPE)).astype(np.float32)
    y = model.logits64(x).argmax(1)
    return x, np.where(rng.uniform(size=COUNT) < 0.1, 1 - y, y)


def margins_under(model, x, y, threat):
    """The largest logit(wrong) - logit(true) in the ball and box, in closed form, float64."""
    weights = model.weights.astype(np.float64)
    d = (weights[:, 1 - y] - weights[:, y]).T.reshape(-1, *SHAPE)
    if threat.norm == "linf":
        z = np.clip(x + threat.eta * np.sign(d), -1, 1)
    else:
        z = x + threat.eta * d / np.sqrt((d**2).sum((1, 2, 3), keepdims=True))
    logits = model.logits64(z)
    rows = np.arange(len(y))
    return logits[rows, 1 - y] - logits[rows, y]


@pytest.mark.parametrize(
    "name, norm, options",
    [
        ("fgsm", "linf", {}),
        ("ifgsm", "linf", {}),
        ("pgd", "linf", {"steps": 5}),
        ("pgd", "linf", {"steps": 5, "stop_early": False}),
        ("pgd", "linf", {"steps": 5, "restarts": 2}),
        ("fgm", "l2", {}),
        ("pgd", "l2", {"steps": 20, "step_size": ETA}),
    ],
)
def test_the_error_on_a_linear_model_is_the_closed_form(name, norm, options, model, batch):
    x, y = batch
    threat = ThreatModel(eta=ETA, norm=norm)
    if norm == "l2":  # away from the box, which the closed form does not know
        x = (x * (1 - ETA)).astype(np.float32)
    margins = margins_under(model, x, y, threat)
    # An example within 1e-5 of the boundary could fall on either side in float32: there is none.
    assert np.abs(margins).min() > 1e-5
    attack = ATTACKS[name](threat, **options)
    outcome = measure(model, attack, x, y, name=name, keep=5)
    np.testing.assert_array_equal(outcome.wrong, margins > 0)
    clean = measure(model, ATTACKS["none"](threat), x, y, name="none")
    assert 0.05 < clean.error < outcome.error < 0.95
    assert (outcome.attack, outcome.n, outcome.images.shape) == (name, COUNT, (5, *SHAPE))
    assert outcome.error == (margins > 0).mean()
    assert outcome.interval == wilson(int((margins > 0).sum()), COUNT)
    assert outcome.seconds > 0 and len(clean.images) == 0


def test_perturb_gives_every_image_in_order(model, batch):
    x, y = batch
    attack = ATTACKS["fgsm"](ThreatModel(eta=ETA))
    whole = perturb(model, attack, x, y)
    assert whole.shape == x.shape and whole.dtype == np.float32
    for start in (0, LARGEST, COUNT - 3):
        rows = slice(start, start + 3)
        np.testing.assert_allclose(whole[rows], perturb(model, attack, x[rows], y[rows]), atol=3e-7)
    np.testing.assert_array_equal(
        misclassified(model, whole, y), margins_under_sign(model, whole, y)
    )


def margins_under_sign(model, z, y):
    return model.logits64(z).argmax(1) != y


def test_the_seed_reaches_the_attack_and_blocks_differ(model):
    threat = ThreatModel(eta=ETA)
    attack = ATTACKS["pgd"](threat, steps=1, step_size=1e-6)
    x, y = np.zeros((LARGEST + 1, *SHAPE), np.float32), np.zeros(LARGEST + 1, int)
    z = [perturb(model, attack, x, y, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(z[0], z[1])
    assert np.abs(z[0] - z[2]).max() > 0.01
    # Each block has its own starts: the second block's first image is not the first block's.
    assert np.abs(z[0][0] - z[0][LARGEST]).max() > 0.01


class Cheat(Attack):
    """Returns x + `delta` in the example `row`, and x elsewhere."""

    def __init__(self, threat, *, delta, row=0):
        super().__init__(threat)
        self.delta = delta
        self.row = row

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        chosen = tf.range(tf.shape(x)[0]) == self.row
        return x + tf.where(chosen, self.delta, 0.0)[:, None, None, None]


@pytest.mark.parametrize(
    "norm, delta", [("linf", 0.2 + 1e-4), ("linf", -0.3), ("l2", 0.1), ("linf", float("nan"))]
)
def test_a_cheating_attack_is_caught(norm, delta, model):
    x, y = np.zeros((4, *SHAPE), np.float32), np.zeros(4, int)
    attack = Cheat(ThreatModel(eta=ETA, norm=norm), delta=delta, row=2)
    with pytest.raises(BrokenConstraint, match=r"Cheat\(.* returned 1 of 4 images outside"):
        measure(model, attack, x, y, name="cheat")


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_are_no_classes_are_refused(label):
    """They would be errors of the classifier, or a traceback of TensorFlow's."""
    net, threat = dense(), ThreatModel(eta=ETA)
    x, y = np.zeros((4, 2, 2, 1), np.float32), np.array([0, 1, label, 2])
    attacks = [ATTACKS[name](threat) for name in ("none", "fgsm", "apgd")]
    attacks += [Transfer(net, attacks[1]), Transfer(net, attacks[2])]
    for attack in attacks[1:]:
        with pytest.raises(ConfigError, match="Expected labels .*, the numbers of the classes"):
            attack(net, x, y)
    for attack in attacks:
        for measured in (measure, perturb):
            named = {"name": "none"} if measured is measure else {}
            with pytest.raises(ConfigError, match=f"Received: .labels from .*{label}"):
                measured(net, attack, x, np.sort(y) if label < 0 else y, **named)
    with pytest.raises(ConfigError, match=f"Received: .labels from .*{label}"):
        misclassified(net, x, np.sort(y) if label < 0 else y)
    if label < 0:  # what a function has for classes is not known
        with pytest.raises(ConfigError, match="Expected labels >= 0"):
            attacks[2](lambda x, training=False: net(x), x, y)


def test_leaving_the_box_is_caught(model):
    x, y = np.full((4, *SHAPE), 0.95, np.float32), np.zeros(4, int)
    attack = Cheat(ThreatModel(eta=ETA), delta=0.1, row=3)
    with pytest.raises(BrokenConstraint, match="or the box"):
        perturb(model, attack, x, y)


def test_a_cheat_in_the_last_block_is_caught(model):
    """And an honest use of the whole ball is not."""
    x, y = np.zeros((LARGEST + 8, *SHAPE), np.float32), np.zeros(LARGEST + 8, int)
    attack = Cheat(ThreatModel(eta=ETA), delta=0.2)
    assert measure(model, attack, x, y, name="honest").n == LARGEST + 8
    x[LARGEST] = 0.9
    with pytest.raises(BrokenConstraint, match="1 of 8"):
        measure(model, attack, x, y, name="cheat")


@pytest.mark.parametrize("bad", [1.001, -1.001, np.nan, np.inf])
def test_images_outside_the_box_are_refused(bad, model):
    x = np.zeros((3, *SHAPE), np.float32)
    x[1, 1, 1, 0] = bad
    with pytest.raises(ConfigError, match=r"images in the box \[-1, 1\]"):
        measure(model, ATTACKS["none"](ThreatModel(eta=ETA)), x, np.zeros(3, int), name="none")


@pytest.mark.parametrize("images, labels", [(0, 0), (3, 2), (2, 3)])
def test_unequal_or_no_examples_are_refused(images, labels, model):
    x, y = np.zeros((images, *SHAPE), np.float32), np.zeros(labels, int)
    with pytest.raises(ConfigError, match="as many labels as images, at least one"):
        measure(model, ATTACKS["none"](ThreatModel(eta=ETA)), x, y, name="none")


def test_nan_logits_are_errors(linear):
    classifier = linear(np.full((9, 2), np.nan))
    x, y = np.zeros((3, *SHAPE), np.float32), np.zeros(3, int)
    assert misclassified(classifier, x, y).all()


def half_precision_model():
    """Logits (1, 1.001) in float32; both 1, a tie that goes to class 0, in bfloat16."""
    model = keras.Sequential([keras.Input((1, 1, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False, dtype="mixed_bfloat16"))
    model.set_weights([np.array([[1.0, 1.001]], np.float32)])
    return model


def test_evaluation_is_in_float32():
    model, x = half_precision_model(), np.ones((2, 1, 1, 1), np.float32)
    assert model(x).numpy().argmax(1).tolist() == [0, 0]
    assert misclassified(model, x, np.array([0, 1])).tolist() == [True, False]
    attack = ATTACKS["fgsm"](ThreatModel(eta=ETA))
    # The loss of label 1 rises with w_0 - w_1 < 0, hence as x falls; a bfloat16 gradient is 0.
    z = perturb(model, attack, x, np.array([1, 1]))
    np.testing.assert_allclose(z, 0.8, atol=1e-6)
    assert model.layers[-1].dtype_policy.name == "mixed_bfloat16"


def result_of(*wrong, seconds=1.0):
    return Result("some", np.array(wrong, bool), seconds, np.zeros((2, *SHAPE)))


def test_what_only_seems_broken_in_bfloat16_is_attacked_again_in_float32():
    """Logits 0 and x1 - x0: bfloat16 cannot tell x1 = 1.001 x0 from x0, so it takes x for broken;
    in the ball float32 breaks the one, and the other not."""
    hidden = keras.layers.Dense(2, kernel_initializer="identity", use_bias=False)
    last = keras.layers.Dense(2, kernel_initializer=lambda *_, **__: [[0, -1], [0, 1]])
    model = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(), hidden, last])
    x = np.array([[0.5, 0.5005], [0.25, 0.2501], [0.5, 0.7]], np.float32).reshape(3, 1, 2, 1)
    y = np.ones(3, np.int32)
    pgd = ATTACKS["pgd"](ThreatModel(eta=1e-4), steps=3)
    # The mean of several calls is computed as the classifier is.
    going_on = ATTACKS["pgd"](ThreatModel(eta=1e-4), steps=3, stop_early=False)
    for attack in (pgd, ExpectationOverTransformation(going_on, samples=2)):
        seen = []
        for precision in ("float32", "bfloat16"):
            z = perturb(model, attack, x, y, precision=precision)
            assert not attack.threat.violations(z, x).any()
            seen.append(misclassified(model, z, y))
        np.testing.assert_array_equal(seen, [[False, True, False]] * 2)
    assert hidden.dtype_policy.name == "float32"


def test_worst_is_the_per_example_or():
    one, two = result_of(1, 0, 0, 1), result_of(0, 0, 1, 1, seconds=2.5)
    clean = np.array([False, False, False, False])
    result = worst([one, two], clean)
    assert result.wrong.tolist() == [True, False, True, True]
    assert (result.attack, result.error, result.seconds) == ("worst", 0.75, 3.5)
    assert one.wrong.tolist() == [True, False, False, True]  # left alone
    assert worst([one], clean).error == one.error == 0.5
    # The image itself counts, whatever the attacks made of it.
    assert worst([one], ~clean).error == 1.0


def test_worst_needs_the_same_examples():
    with pytest.raises(ConfigError, match="on the same examples"):
        worst([result_of(1, 0), result_of(1, 0, 0)], np.array([False, False]))
    with pytest.raises(ConfigError):
        worst([], np.array([]))


def dense(activation=None, units=3):
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(units, activation=activation, bias_initializer="ones"))
    return model


def test_validate_logits(rng):
    x = rng.uniform(-1, 1, (20, 2, 2, 1)).astype(np.float32)
    validate_logits(dense(), x, 3)
    validate_logits(dense("relu"), x, 3)  # positive, but no probabilities
    validate_logits(dense("softmax"), x, 3)  # taken off
    with pytest.raises(ConfigError, match="as a softmax gives. Remove the softmax"):
        validate_logits(lambda x, training: dense("softmax")(x), x, 3)
    with pytest.raises(ConfigError, match="ends in a sigmoid. Remove the sigmoid"):
        validate_logits(dense("sigmoid"), x, 3)
    many = np.concatenate([x, x, x])
    with pytest.raises(ConfigError, match="as a sigmoid gives. Remove the sigmoid"):
        validate_logits(lambda x, training: dense("sigmoid")(x), many, 3)
    validate_logits(lambda x, training: dense("sigmoid")(x), x, 3)  # too few to tell
    with pytest.raises(ConfigError, match=r"to 10 logits. Received: output shape \(3,\)"):
        validate_logits(dense(), x, 10)
    for bad in (np.nan, np.inf):
        model = dense()
        model.layers[-1].bias.assign([0.0, bad, 0.0])
        with pytest.raises(ConfigError, match="NaN or infinity in .*bias"):
            validate_logits(model, x, 3)


def test_what_is_made_of_probabilities_may_be_logits(rng):
    """The output counts, not the last layer: operations are no layers."""
    inputs = keras.Input((2, 2, 1))
    flat = keras.layers.Flatten()(inputs)
    gate = keras.layers.Dense(3, activation="sigmoid")
    soft = keras.layers.Dense(3, activation="softmax")
    x = rng.uniform(-1, 1, (60, 2, 2, 1)).astype(np.float32)
    for logits in (keras.layers.Dense(3)(flat) * gate(flat), keras.ops.log(soft(flat))):
        validate_logits(keras.Model(inputs, logits), x, 3)
    inner = keras.Model(inputs, gate(flat))
    with pytest.raises(ConfigError, match="ends in a sigmoid"):
        validate_logits(keras.Sequential([keras.Input((2, 2, 1)), inner]), x, 3)


def test_validate_logits_wants_one_row_an_image(rng):
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Dense(3)])
    with pytest.raises(ConfigError, match=r"Received: output shape \(20, 2, 2, 3\)"):
        validate_logits(model, rng.uniform(-1, 1, (20, 2, 2, 1)).astype(np.float32), 3)

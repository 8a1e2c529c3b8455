"""What every attack promises, over a table of all of them: a new attack is one row."""

import functools
import inspect

import numpy as np
import pytest
import tensorflow as tf

from mmtf import attacks
from mmtf.attacks import ATTACKS
from mmtf.attacks.iterated import IteratedAttack
from mmtf.attacks.loop import run
from mmtf.classifiers.classifier import Classifier
from mmtf.config import NORMS
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel

BOTH = ("linf", "l2")
# Name -> (norms, further arguments).
TABLE = {
    "none": (NORMS, [{}]),
    "gradient_step": (NORMS, [{}]),
    "fgsm": (("linf",), [{}, {"target": "least_likely"}, {"target": "random"}, {"target": 1}]),
    "fgm": (("l2", "l1"), [{}, {"target": 1}]),
    "ifgsm": (
        ("linf",),
        [
            {"steps": 6},
            {"steps": 6, "stop_early": False},
            {"steps": 6, "decay": "linear", "target": "least_likely"},
        ],
    ),
    "apgd": (BOTH, [{"steps": 4}, {"steps": 4, "loss": "dlr"}, {"steps": 4, "target": 2}]),
    "apgd_targeted": (BOTH, [{"steps": 4}]),
    "deepfool": (BOTH, [{"steps": 4}]),
    "carlini_wagner": (
        ("l2",),
        [{"steps": 8, "searches": 2}, {"steps": 8, "searches": 2, "target": 0}],
    ),
    "fab": (BOTH, [{"steps": 4}]),
    "autoattack": (BOTH, [{"steps": 2, "queries": 4}]),
    "selective": (NORMS, [{"steps": 6}, {"steps": 6, "stop_early": False}]),
    "square": (BOTH, [{"steps": 8}, {"steps": 8, "target": "least_likely"}]),
    "pgd": (
        NORMS,
        [
            {"steps": 6},
            {"steps": 6, "loss": "margin"},
            {"steps": 6, "stop_early": False},
            {"steps": 6, "decay": "cosine", "target": "random"},
        ],
    ),
}
CASES = [
    pytest.param(name, norm, options, id="-".join([name, norm, *map(str, options.values())]))
    for name, (norms, variants) in TABLE.items()
    for norm in norms
    for options in (variants[:1] if norm == "l1" else variants)  # the ball alone differs
]
every_case = pytest.mark.parametrize("name, norm, options", CASES)
# With the first options of each: for what the further arguments have no part in.
every_kind = pytest.mark.parametrize(
    "name, norm, options",
    [(name, norm, variants[0]) for name, (norms, variants) in TABLE.items() for norm in norms],
    ids=lambda given: given if isinstance(given, str) else "",
)
every_name = pytest.mark.parametrize("name", TABLE)
ETA = {"linf": 0.2, "l2": 0.7, "l1": 1.5}
SHAPE = (4, 4, 1)
# An iterate is a sum of numbers up to 1: two roundings of 2^-24 a step, six steps; in l2 the
# direction adds a relative 1e-6 of the step, which the net's own curvature can double.
NOISE = 1e-5
SEED = (1, 2)


def make(name, norm, options):
    return ATTACKS[name](ThreatModel(eta=ETA[norm], norm=norm), **options)


@pytest.fixture(scope="module")
def batch(smooth):
    """40 images in the box, some in its corners; most labels as predicted, some already wrong."""
    rng = np.random.default_rng(0)
    x = np.clip(rng.uniform(-1.3, 1.3, (40, *SHAPE)), -1, 1).astype(np.float32)
    y = smooth(x, training=False).numpy().argmax(1)
    y[::7] = (y[::7] + 1) % 3
    return tf.constant(x), tf.constant(y, tf.int32)


def in_graph(attack, classifier):
    @tf.function(
        autograph=False,  # as the loops that call attacks are
        input_signature=[
            tf.TensorSpec([None, *SHAPE], tf.float32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def run(x, y, seed):
        z = attack(classifier, x, y, seed=seed)
        assert z.shape[1:] == SHAPE
        return z

    return lambda x, y, seed=SEED: run(x, y, tf.constant(seed)).numpy()


@functools.cache
def _played(name, norm, options, classifier):
    attack = make(name, norm, dict(options))
    return attack, in_graph(attack, classifier)


@pytest.fixture
def played(name, norm, options, smooth):
    """The attack of a case and its graph against `smooth`: traced once for all tests of the case.

    A test that changes an attack, or asks for one that nobody has used, makes its own.
    """
    return _played(name, norm, tuple(options.items()), smooth)


def test_the_table_is_complete():
    assert set(TABLE) == set(ATTACKS)


@every_name
def test_the_norms_are_those_of_the_table(name):
    assert set(ATTACKS[name].norms) == set(TABLE[name][0])
    for norm in set(NORMS) - set(TABLE[name][0]):
        with pytest.raises(ConfigError, match=f"for {ATTACKS[name].__name__}. Received: '{norm}'"):
            make(name, norm, {})


def assert_agree(ours, theirs):
    """The same images, up to NOISE; of 40, one may differ.

    Eagerly and in a graph sums are rounded differently, and how depends on the CPU. Where a step
    takes the sign of what is nothing but rounding, the paths of an image part.
    """
    apart = np.abs(np.asarray(ours) - np.asarray(theirs)).reshape(len(theirs), -1).max(1) > NOISE
    assert apart.sum() <= len(theirs) // 40, f"images {np.flatnonzero(apart)} differ"


@every_case
def test_eager_equals_graph(name, norm, options, played, smooth, batch):
    attack, graph = played
    eager = attack(smooth, *batch, seed=SEED).numpy()
    assert eager.dtype == np.float32
    assert_agree(graph(*batch), eager)


@every_case
def test_unknown_batch_sizes_in_a_graph(name, norm, options, played, smooth, batch):
    (attack, graph), (x, y) = played, batch
    for count in (40, 7, 1):
        expected = attack(smooth, x[:count], y[:count], seed=SEED)
        assert_agree(graph(x[:count], y[:count]), expected)


@every_case
def test_ball_and_box_are_held(name, norm, options, played, smooth, batch, excess):
    (attack, graph), (x, y) = played, batch
    for z in (attack(smooth, x, y, seed=SEED), graph(x, y)):
        assert not attack.threat.violations(z, x).any()
        # Without mmtf: some ulps of numbers up to 1.
        assert excess(z, x, attack.threat).max() < 5e-7
        assert name == "none" or np.abs(z - x).max() > 0.01


@every_case
def test_the_seed_decides(name, norm, options, played, smooth, batch):
    (attack, _), again = played, make(name, norm, options)
    z = attack(smooth, *batch, seed=SEED).numpy()
    np.testing.assert_array_equal(attack(smooth, *batch, seed=SEED), z)
    np.testing.assert_array_equal(again(smooth, *batch, seed=SEED), z)
    differs = np.abs(attack(smooth, *batch, seed=(1, 3)) - z).max() > 1e-3
    assert differs != attack.deterministic


@every_case
def test_a_batch_of_one(name, norm, options, played, smooth, batch, excess):
    (attack, _), (x, y) = played, batch
    z = attack(smooth, x[:1], y[:1], seed=SEED)
    assert z.shape == (1, *SHAPE) and excess(z, x[:1], attack.threat) < 5e-7


@every_case
def test_arrays_of_numpy_will_do(name, norm, options, played, smooth, batch):
    (attack, _), (x, y) = played, batch
    z = attack(smooth, x.numpy(), y.numpy(), seed=SEED)
    np.testing.assert_array_equal(z, attack(smooth, x, y, seed=SEED))


@every_case
def test_splitting_a_batch_changes_nothing(name, norm, options, smooth, batch):
    if options.get("target") == "random":
        pytest.skip("the target, too, is a matter of the place in the batch")
    attack, (x, y) = make(name, norm, options), batch
    if not attack.deterministic:
        # The start is a matter of the place in the batch; from a start on, nothing else is.
        for part in (attack, *getattr(attack, "parts", ())):
            part.start = lambda x, seed: x
    whole = attack(smooth, x, y, seed=SEED)
    parts = [attack(smooth, x[a:b], y[a:b], seed=SEED) for a, b in ((0, 1), (1, 14), (14, 40))]
    np.testing.assert_allclose(tf.concat(parts, 0), whole, rtol=0, atol=NOISE)


@every_case
def test_inputs_and_attack_are_left_alone(name, norm, options, smooth, batch):
    attack, (x, y) = make(name, norm, options), batch
    before, images, labels = dict(vars(attack)), x.numpy(), y.numpy()
    attack(smooth, x, y, seed=SEED)
    assert vars(attack) == before
    np.testing.assert_array_equal(x, images)
    np.testing.assert_array_equal(y, labels)


@every_name
def test_evaluation_mode_is_stated(name, batch, linear):
    """The mocks of this file assert training=False; here one shows that they would notice."""
    (norm, *_), (options, *_) = TABLE[name]
    attack, modes = make(name, norm, options), []
    classifier = linear(np.eye(16)[:, :3])

    def note(x, training):
        modes.append(training)
        return classifier.logits(x)

    attack(note, *batch, seed=SEED)
    assert set(modes) == (set() if name == "none" else {False})
    with pytest.raises(AssertionError):
        classifier(batch[0], training=True)


@every_case
def test_repr_says_every_argument(name, norm, options):
    attack = make(name, norm, options)
    text = repr(attack)
    again = eval(text, {type(attack).__name__: type(attack), "ThreatModel": ThreatModel})
    assert repr(again) == text
    for argument in inspect.signature(type(attack)).parameters:
        assert f"{argument}={getattr(attack, argument)!r}" in text
    for argument, value in options.items():
        assert f"{argument}={value!r}" in text


ITERATED = [name for name in TABLE if issubclass(ATTACKS[name], IteratedAttack)]
MAKERS = [*(ATTACKS[name] for name in ITERATED), IteratedAttack]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps > 0"),
        ({"steps": 3, "step_size": 0.0}, "step_size > 0"),
        ({"steps": 3, "step_size": -0.1}, "step_size > 0"),
        ({"steps": 3, "decay": "quadratic"}, "decay to be one of constant, linear, cosine"),
    ],
)
def test_impossible_steps_are_refused(maker, options, message):
    with pytest.raises(ConfigError, match=message):
        maker(ThreatModel(eta=0.3), **options)


def test_all_iterated_attacks_share_the_default_step():
    for maker in MAKERS:
        attack = functools.partial(maker, ThreatModel(eta=0.3))
        assert attack(steps=5).step_size == pytest.approx(2.5 * 0.3 / 5)
        assert attack(steps=5, step_size=0.01).step_size == 0.01


def test_the_room_offers_its_classes_by_name():
    for name in ATTACKS:
        maker = ATTACKS[name]
        assert getattr(attacks, maker.__name__) is maker
        assert maker.__name__ in dir(attacks) and maker.__name__ in attacks.__all__
    for name in ("Transfer", "ExpectationOverTransformation", "UniversalPerturbation"):
        assert getattr(attacks, name).__name__ == name and name in dir(attacks)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = attacks.Nothing


@every_case
def test_a_second_program_gives_the_same_images(name, norm, options, played, smooth, batch):
    """Whether run by `run` or called, once or twice: one compiled attack, one result."""
    attack, _ = played
    first, again = (run(attack, smooth, *batch, SEED).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert_agree(attack(smooth, *batch, seed=SEED), first)


@every_kind
def test_a_model_of_other_bounds_is_attacked_as_the_plain_one(
    name, norm, options, played, smooth, batch
):
    """A model that takes pixels in [0, 1] and maps them back: the same function of the images."""
    attack, _ = played

    def rescaled(x, training):
        return smooth(2.0 * x - 1.0, training=training)

    plain = attack(smooth, *batch, seed=SEED).numpy()
    found = attack(Classifier(rescaled, bounds=(0, 1)), *batch, seed=SEED)
    # The map rounds each pixel by 2^-24, which a step can carry to where its own sign is rounding.
    assert_agree(found, plain)

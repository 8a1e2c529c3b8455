"""A radius for each channel or value: the ball of a weighted norm, in closed form."""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.attacks import ATTACKS
from mmtf.config import RunConfig
from mmtf.errors import ConfigError
from mmtf.evaluation import measure
from mmtf.radius import as_radius, parse_radius, radius_text
from mmtf.runs.reading import read_config
from mmtf.threat import ThreatModel

ETA = (0.1, 0.0, 0.3)
SHAPE = (4, 3, 3)
ROUNDING = 5e-7


@pytest.fixture
def threat():
    return ThreatModel(eta=ETA)


@pytest.fixture
def batch(rng):
    x = rng.uniform(-0.6, 0.6, (30, *SHAPE)).astype(np.float32)
    return x, rng.integers(0, 3, 30).astype(np.int32)


@pytest.fixture
def three(rng, linear):
    return linear(rng.normal(0, 0.3, (int(np.prod(SHAPE)), 3)))


def test_forms_of_one_radius_are_one_threat_model():
    forms = ["0.1:0:0.3", [0.1, 0, 0.3], np.array(ETA), (0.1, "0", 0.3)[:1] + (0.0, 0.3)]
    assert {ThreatModel(eta=one) for one in forms} == {ThreatModel(eta=ETA)}
    assert ThreatModel(eta="8/255").eta == 8 / 255 == ThreatModel(eta=np.float64(8 / 255)).eta
    assert ThreatModel.from_epsilon("8/255").eta == 16 / 255
    assert ThreatModel.from_epsilon([0.05, 0, 0.15]) == ThreatModel(eta=ETA)
    assert ThreatModel(eta=ETA).epsilon == (0.05, 0.0, 0.15)


def test_a_radius_survives_repr_config_and_json():
    assert eval(repr(ThreatModel(eta=ETA))) == ThreatModel(eta=ETA)  # noqa: S307
    config = RunConfig(eta="0.1:0:0.3")
    again = RunConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config and again.eta == ETA and again.to_dict() == config.to_dict()
    assert parse_radius(radius_text(ETA, "{!r}")) == ETA
    assert RunConfig(eta="8/255").to_dict()["eta"] == 8 / 255


def test_radii_of_other_values_or_another_shape_have_another_repr():
    numbers = np.linspace(0.1, 0.2, 8)
    for shape, other in (((8, 1, 1), (1, 8, 1)), ((2, 2, 2), (1, 4, 2))):
        one, two = (ThreatModel(eta=numbers.reshape(own)) for own in (shape, other))
        near = ThreatModel(eta=(numbers * (1 + 1e-9)).reshape(shape))
        assert len({repr(one), repr(two), repr(near)}) == 3
        assert eval(repr(one)) == one  # noqa: S307
    many = np.linspace(0.1, 0.2, 32)
    large = [ThreatModel(eta=many.reshape(own)) for own in ((32, 1, 1), (1, 32, 1))]
    large.append(ThreatModel(eta=(many * (1 + 1e-9)).reshape(32, 1, 1)))
    assert len({repr(one) for one in large}) == 3 and max(len(repr(one)) for one in large) < 100
    # Cached results of these are found by their text.
    assert repr(ThreatModel(eta=0.3)) == "ThreatModel(eta=0.3, norm='linf', box=(-1.0, 1.0))"
    assert repr(ThreatModel(eta=ETA)).startswith("ThreatModel(eta=(0.1, 0.0, 0.3), ")


@pytest.mark.parametrize(
    "eta, message",
    [
        ([0.1, -0.2], "of numbers >= 0 and finite, one of them > 0"),
        ([0.0, 0.0], "one of them > 0"),
        ([0.1, float("nan")], "finite"),
        ([[0.1, 0.2]], r"of the shape \[C\] or \[H, W, C\]"),
        ([], "of the shape"),
        ([[0.1], [0.1, 0.2]], "eta > 0 and finite"),
        (True, "eta > 0 and finite"),
        (None, "eta > 0 and finite"),
        ("0.3 0.2", "0.3 or 8/255"),
    ],
)
def test_what_is_no_radius_is_refused_in_one_line(eta, message):
    with pytest.raises(ConfigError, match=message) as raised:
        ThreatModel(eta=eta)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("box", [(-1.0,), (-1, 0, 1), "ab", (1, -1), (0, float("inf")), None, 3])
def test_what_is_no_box_is_refused(box):
    with pytest.raises(ConfigError, match=r"box = \(low, high\) with low < high, finite"):
        ThreatModel(eta=0.3, box=box)


def test_an_array_is_refused_in_l2_and_on_other_images(threat):
    for made in (lambda: ThreatModel(eta=ETA, norm="l2"), lambda: RunConfig(eta=ETA, norm="l2")):
        with pytest.raises(ConfigError, match="one number with the norm l2"):
            made()
    for shape in ((4, 4, 1), (4, 4, 4), (3, 4)):
        x = tf.zeros([2, *shape])
        with pytest.raises(ConfigError, match="broadcasts over images of the shape"):
            threat.project(x, x)
    with pytest.raises(ConfigError, match="broadcasts"):
        ThreatModel(eta=np.full([4, 1, 3], 0.1)).require_shape((5, 3, 3))


def test_an_equal_radius_everywhere_is_that_number(batch, three):
    x, y = batch
    numbers, array = ThreatModel(eta=0.3), ThreatModel(eta=[0.3] * 3)
    z = x + np.random.default_rng(1).normal(0, 0.4, x.shape).astype(np.float32)
    np.testing.assert_array_equal(numbers.project(z, x), array.project(z, x))
    np.testing.assert_allclose(numbers.size(z - x), array.size(z - x), rtol=1e-12)
    for name in ("fgsm", "ifgsm", "deepfool", "fab", "square", "apgd", "gradient_step"):
        options = {"steps": 20} if name == "square" else {}
        one, other = (ATTACKS[name](ball, **options)(three, x, y) for ball in (numbers, array))
        np.testing.assert_allclose(one, other, rtol=0, atol=4 * ROUNDING)


def test_project_size_and_violations_go_by_each_radius(threat, batch, rng):
    x, _ = batch
    z = (x + rng.normal(0, 0.5, x.shape)).astype(np.float32)
    inside = threat.project(z, x).numpy()
    expected = np.clip(z, np.maximum(x - np.float32(ETA), -1), np.minimum(x + np.float32(ETA), 1))
    np.testing.assert_array_equal(inside, expected)
    assert not threat.violations(inside, x).any()
    for channel, radius in enumerate(ETA):
        beyond = x.copy()
        beyond[:, 0, 0, channel] += radius + 1e-5
        assert threat.violations(beyond, x).all()
    delta = np.zeros((3, *SHAPE))
    delta[0, 0, 0, 0], delta[1, 0, 0, 2], delta[2, 0, 0, 1] = 0.05, 0.15, 1e-5
    np.testing.assert_allclose(threat.size(delta), [0.15, 0.15, np.inf])


def test_random_starts_fill_the_box_of_radii(threat):
    x = tf.zeros([2000, *SHAPE])
    delta = threat.random_start(x, tf.constant([1, 2])).numpy()
    assert not threat.violations(delta, x).any() and (delta[..., 1] == 0).all()
    for channel in (0, 2):
        values = delta[..., channel] / ETA[channel]
        # Uniform on [-1, 1]: 24,000 draws of deviation 1 / sqrt(3); 5 sigma.
        assert abs(values.mean()) < 5 / np.sqrt(3 * values.size)
        assert abs((values**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / values.size)
        assert values.max() > 0.99


ETAS = [ETA, np.linspace(0, 0.3, 36).reshape(SHAPE)]


@pytest.mark.parametrize("eta", ETAS, ids=["channels", "values"])
@pytest.mark.parametrize(
    "name, options",
    [
        ("fgsm", {}),
        ("ifgsm", {"steps": 5, "stop_early": False}),
        ("pgd", {"steps": 5, "stop_early": False}),
        ("apgd", {"steps": 10, "stop_early": False}),
    ],
)
def test_attacks_find_the_maximum_over_the_ball(name, options, eta, linear, batch, rng):
    """Of two classes and a linear model: z = x + eta sign(w_wrong - w_true), value by value."""
    two = linear(rng.normal(0, 1, (int(np.prod(SHAPE)), 2)))
    x, y = batch[0], batch[1] % 2
    threat = ThreatModel(eta=eta)
    rising = (two.weights[:, 1 - y] - two.weights[:, y]).T.reshape(x.shape)
    expected = x + np.sign(rising) * np.broadcast_to(threat.radii, x.shape)
    z = ATTACKS[name](threat, **options)(two, x, y)
    np.testing.assert_allclose(z, expected, rtol=0, atol=4 * ROUNDING)


@pytest.mark.parametrize("name", ["deepfool", "fab"])
def test_minimal_perturbations_have_the_weighted_distance(name, linear, batch, rng):
    """Distance to the plane w z + b = 0: |w x + b| / sum_i weights_i |w_i|, reached within eta."""
    two = linear(rng.normal(0, 1, (int(np.prod(SHAPE)), 2)))
    x = batch[0] * 0.5  # away from the box
    threat = ThreatModel(eta=ETA)
    normal = (two.weights[:, 1] - two.weights[:, 0]).astype(np.float64).reshape(SHAPE)
    gap = (x * normal).sum((1, 2, 3))
    y = (gap > 0).astype(np.int32)
    distance = np.abs(gap) / (np.abs(normal) * threat.weights).sum()
    found = measure(two, ATTACKS[name](threat), x, y, name=name, distances=True)
    np.testing.assert_array_equal(found.wrong, distance < threat.radius)
    assert found.wrong.sum() > 5
    ratio = found.distance[found.wrong] / distance[found.wrong]
    # FAB and DeepFool overshoot by 5 % and 2 %; the bisection adds 2^-8.
    assert ratio.min() > 1 - 1e-3 and ratio.max() < 1.1


@pytest.mark.parametrize("name", ["square", "autoattack", "gradient_step", "universal"])
def test_the_other_attacks_keep_to_the_ball(name, threat, batch, three):
    x, y = batch
    if name == "universal":
        from mmtf.attacks.universal import universal_perturbation

        v, _ = universal_perturbation(three, x, threat)
        assert not threat.violations(v[None], np.zeros_like(v[None])).any() and np.abs(v).max() > 0
        return
    small = {"square": {"steps": 20}, "autoattack": {"steps": 5, "queries": 20}}
    z = ATTACKS[name](threat, **small.get(name, {}))(three, x, y)
    assert not threat.violations(z, x).any() and np.abs(z - x).max() > 0


@pytest.mark.parametrize("penalty", ["nested", "finite_difference"])
def test_the_penalty_of_minimax_grad_weighs_each_derivative(penalty):
    """gamma / 2N sum eta_k (dl / dz_k)^2, and its gradient, of a linear model and its softmax."""
    import keras

    from mmtf.games.players import Batch, StepContext
    from mmtf.training.dropout import seeded_dropout

    model = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, activation=None, use_bias=False))
    weights = np.array([[0.5, -0.3], [0.2, 0.9], [-0.7, 0.4]])
    model.layers[-1].set_weights([weights])
    x = np.array([[0.1, -0.2, 0.3], [0.4, 0.1, -0.5]])
    y = np.array([0, 1])
    game = mmtf.games.MinimaxGrad(ThreatModel(eta=ETA), penalty=penalty, difference_length=1e-2)
    players = game.make_players(model, lambda variables: None, (1, 1, 3), 2)
    seed = tf.constant([0, 0])
    dropout = functools.partial(seeded_dropout, seed=seed)
    context = StepContext(round=0, seed=seed, global_batch_size=2, replicas=1, dropout=dropout)
    batch = Batch(tf.constant(x.reshape(2, 1, 1, 3), tf.float32), tf.constant(y))

    def value(w):
        logits = x @ w
        soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        gradients = (soft - np.eye(2)[y]) @ w.T
        risk = -np.log(soft[np.arange(2), y]).mean()
        return risk, (np.array(ETA) * gradients**2).sum() / 4

    with tf.GradientTape() as tape:
        loss, metrics = game.objective(players, batch, batch, context)
    found = tape.gradient(loss, model.trainable_variables)[0].numpy()
    risk, term = value(weights)
    assert float(metrics["risk"]) == pytest.approx(risk, rel=1e-5)
    assert float(metrics["sensitivity"]) == pytest.approx(term, rel=1e-5)
    expected = np.empty_like(weights)
    for place in np.ndindex(*weights.shape):
        step = np.zeros_like(weights)
        step[place] = 1e-5
        expected[place] = (sum(value(weights + step)) - sum(value(weights - step))) / 2e-5
    # The finite difference of length 0.01 is off by O(0.01) of the penalty's gradient, 0.05.
    atol = 1e-5 if penalty == "nested" else 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("output", ["tanh", "normalized", "full"])
def test_an_attack_network_keeps_to_the_ball_and_is_saved(output, threat, batch, tmp_path):
    import keras

    net = mmtf.nets.ATTACK_NETS["mlp"](
        threat, image_shape=SHAPE, num_classes=3, seed=0, output=output
    )
    x, y = batch
    z = net([x, y]).numpy()
    assert not threat.violations(z, x).any() and np.abs(z - x).max() > 0
    net.save(tmp_path / "attacker.keras")
    again = keras.models.load_model(tmp_path / "attacker.keras")
    np.testing.assert_allclose(again([x, y]), z, rtol=0, atol=ROUNDING)


def test_the_config_of_a_run_with_radii_is_read(tmp_path):
    path = tmp_path / "config.json"
    for eta, good in ((ETA, True), (0.3, True), ([0.1, -0.1], False), ("x", False)):
        known = RunConfig(eta=ETA).to_dict()
        path.write_text(json.dumps({**known, "eta": eta}))
        if good:
            assert read_config(str(path))["eta"] in (list(ETA), 0.3)
        else:
            with pytest.raises(ConfigError, match="Expected a radius at eta of"):
                read_config(str(path))


def test_as_radius_names_the_setting():
    for wrong in (-1, "x"):
        with pytest.raises(ConfigError, match="Expected epsilon "):
            as_radius("epsilon", wrong)

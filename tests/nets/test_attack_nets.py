"""What every attack network promises: images in the ball and the box, and gradients that live."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.errors import ConfigError
from mmtf.nets import ATTACK_NETS
from mmtf.nets.attack_outputs import OUTPUTS, perturbed
from mmtf.threat import ThreatModel

SMALL = {"mlp": {"width": 8}, "conv": {"width": 4}, "unet": {"width": 4}, "universal": {}}
CASES = list(itertools.product(SMALL, OUTPUTS, ("linf", "l2")))
every_case = pytest.mark.parametrize("name, output, norm", CASES)
ETA = {"linf": 0.2, "l2": 0.7}


def make(name, output="full", norm="linf", **options):
    threat = ThreatModel(eta=ETA[norm], norm=norm)
    options = {**SMALL[name], "image_shape": (6, 7, 2), "num_classes": 3, **options}
    return ATTACK_NETS[name](threat, output=output, **options), threat


def batch(rng, shape=(6, 7, 2)):
    x = np.clip(rng.uniform(-1.3, 1.3, (9, *shape)), -1, 1).astype(np.float32)
    return tf.constant(x), tf.constant(np.arange(9) % 3, tf.int32)


def test_the_table_is_complete():
    assert set(SMALL) == set(ATTACK_NETS)


@every_case
def test_ball_and_box_are_held_at_any_scale(name, output, norm, rng, excess):
    model, threat = make(name, output, norm)
    x, y = batch(rng)
    for scale in (1.0, 1e4):
        model.set_weights([scale * weight for weight in model.get_weights()])
        z = model([x, y], training=False)
        assert z.dtype == "float32" and z.shape == x.shape
        assert not threat.violations(z, x).any()
        assert excess(z, x, threat).max() < 5e-7


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (5, 9, 1)])
def test_shapes(name, shape, rng):
    model, _ = make(name, image_shape=shape)
    x, y = batch(rng, shape)
    assert model([x, y]).shape == x.shape


@pytest.mark.parametrize("name", SMALL)
def test_a_net_is_the_same_whatever_the_image_data_format(name, rng, first_channels):
    (usual, _), inputs = make(name), batch(rng)
    first_channels()
    other, _ = make(name)
    assert [one.shape for one in other.weights] == [one.shape for one in usual.weights]
    np.testing.assert_array_equal(other([*inputs]), usual([*inputs]))


@pytest.mark.parametrize("name", SMALL)
def test_the_label_matters_only_where_it_is_an_input(name, rng):
    x, y = batch(rng)
    for label in (True, False):
        model, _ = make(name, label=label)
        # Biases of the label begin at random: another label, another perturbation.
        moved = model([x, y], training=False) - model([x, (y + 1) % 3], training=False)
        assert (np.abs(moved).max() > 1e-4) == label


@pytest.mark.parametrize("name", SMALL)
def test_seeds(name):
    one, same, other = (make(name, seed=seed)[0] for seed in (1, 1, 2))
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != c).any() for a, c in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_saving_and_loading(name, rng, tmp_path):
    model, _ = make(name)
    model.save(tmp_path / "attacker.keras")
    x, y = batch(rng)
    again = keras.models.load_model(tmp_path / "attacker.keras")
    np.testing.assert_array_equal(again([x, y], training=False), model([x, y], training=False))


def test_outputs_in_closed_form():
    x = np.zeros([1, 2, 2, 1], np.float32)
    raw = np.array([3.0, -3.0, 3.0, 3.0], np.float32).reshape(x.shape)  # root mean square 3
    threat = ThreatModel(eta=0.5)
    for output, factor in (("tanh", 3.0), ("normalized", 1.0), ("full", 3.0)):
        z = keras.ops.convert_to_numpy(perturbed(x, raw, threat, output))
        # EPSILON changes the root mean square by a relative 1e-6 / 18.
        np.testing.assert_allclose(z, 0.5 * np.tanh(factor * np.sign(raw)), rtol=0, atol=1e-6)
    l2 = ThreatModel(eta=0.5, norm="l2")
    for output in OUTPUTS:
        z = keras.ops.convert_to_numpy(perturbed(x, raw, l2, output))
        np.testing.assert_allclose(z, 0.5 * raw / 6.0, rtol=0, atol=1e-6)


def test_only_full_lets_gradients_through_the_box():
    x = tf.constant(np.array([-1.0, 0.0], np.float32).reshape(1, 2, 1, 1))
    raw = tf.Variable(np.array([-0.5, 0.5], np.float32).reshape(1, 2, 1, 1))  # first leaves the box
    alive = {}
    for output in OUTPUTS:
        with tf.GradientTape() as tape:
            z = perturbed(x, raw, ThreatModel(eta=0.3), output)
            # The mean of the outputs would be flat along raw / rms: weigh one pixel.
            first = z[0, 0, 0, 0]
        assert float(first) == -1.0
        alive[output] = bool(np.abs(tape.gradient(first, raw)).max() > 0)
    assert alive == {"tanh": False, "normalized": False, "full": True}


def test_unknown_output():
    with pytest.raises(ConfigError, match="output to be one of tanh, normalized, full"):
        make("mlp", output="clip")

"""Auto-encoders, their losses, and packs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf import magnet
from mmtf.attacks import PGD, Transfer
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError
from mmtf.evaluation.results import Result, worst
from mmtf.magnet.autoencoders import make_autoencoder
from mmtf.magnet.pack import judged
from mmtf.magnet.recipes import RECIPES
from mmtf.magnet.training import FitSettings, pack_loss

BRIEF = FitSettings(steps=40, batch_size=32)


@pytest.fixture(scope="module")
def digits():
    data = mmtf.load_data("digits")
    split = data.holdout(200)
    return data, split.train()[0], split.test()[0]


@pytest.fixture(scope="module")
def net():
    keras.utils.set_random_seed(0)
    return Classifier(
        keras.Sequential(
            [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
        ),
        name="net",
    )


def test_architectures():
    one, two = (make_autoencoder(name, (28, 28, 1)) for name in ("I", "II"))
    kinds = [type(layer).__name__ for layer in one.layers]
    assert kinds == [
        "Conv2D",
        "AveragePooling2D",
        "Conv2D",
        "Conv2D",
        "UpSampling2D",
        *["Conv2D"] * 2,
    ]
    # 3x3 convolutions of 1-3, 3-3, 3-3, 3-3, 3-1 and 1-3, 3-3, 3-1 channels.
    assert one.count_params() == (9 + 1) * 3 + 3 * (27 + 1) * 3 + 27 + 1
    assert two.count_params() == (9 + 1) * 3 + (27 + 1) * 3 + 27 + 1
    for model in (one, two):
        assert model.output_shape == (None, 28, 28, 1)
        convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
        assert {layer.activation.__name__ for layer in convolutions} == {"sigmoid"}
    with pytest.raises(ConfigError, match="even height"):
        make_autoencoder("I", (27, 28, 1))


def test_the_loss_of_a_pack_by_hand(rng):
    outputs = rng.uniform(size=(5, 3, 2, 2, 1))
    images = rng.uniform(size=(5, 2, 2, 1))
    expected = ((outputs - images[:, None]) ** 2).mean()
    expected -= 0.2 * ((outputs - outputs.mean(1, keepdims=True)) ** 2).mean()
    found = pack_loss(tf.constant(outputs), tf.constant(images), 0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_recipes_are_the_authors():
    mnist, cifar = RECIPES["mnist"], RECIPES["cifar10"]
    assert [(one.architecture, one.p, one.rate) for one in mnist.rules] == [
        ("I", 2.0, 0.001),
        ("II", 1.0, 0.001),
    ]
    assert (mnist.reformer, mnist.noise, cifar.reformer, cifar.noise) == ("I", 0.1, "II", 0.025)
    assert [(one.p, one.temperature, one.rate) for one in cifar.rules] == [
        (1.0, None, 0.005),
        (None, 10.0, 0.01),
        (None, 40.0, 0.01),
    ]


def test_a_guarded_classifier_of_digits(digits, net, tmp_path):
    _, x, held_out = digits
    recipe = magnet.recipe_for((28, 28, 1))
    kept = {"fit": BRIEF, "cache_dir": str(tmp_path)}
    guarded = magnet.make_guarded(net, x, held_out, recipe, **kept)
    # floor(0.001 * 200) = 0: no held-out image is rejected, and not all of them are either.
    assert guarded.accepts(tf.constant(held_out)).numpy().all()
    noise = tf.constant(np.sign(np.random.default_rng(0).normal(size=(20, 28, 28, 1))), tf.float32)
    assert not guarded.accepts(noise).numpy().any()
    again = magnet.make_guarded(net, x, held_out, recipe, **kept)
    assert again.fingerprint == guarded.fingerprint
    assert len(list(tmp_path.glob("*.keras"))) == 2


def test_training_restores_images_and_diversity_parts_them(digits):
    _, x, _ = digits

    def spread(diversity):
        models = [make_autoencoder("II", (28, 28, 1), seed=seed) for seed in (1, 2)]
        settings = FitSettings(steps=60, batch_size=32, diversity=diversity)
        magnet.train_autoencoders(models, x, settings)
        pixels = tf.constant((x[:100] + 1) / 2)
        outputs = tf.stack([model(pixels) for model in models], 1)
        mean = tf.reduce_mean(outputs, 1, keepdims=True)
        error = float(tf.reduce_mean((outputs - pixels[:, None]) ** 2))
        return float(tf.reduce_mean((outputs - mean) ** 2)), error

    (alike, error), (apart, _) = spread(0.0), spread(3.0)
    assert apart > 2 * alike
    pixels = (x[:100] + 1) / 2
    before = float(np.mean((make_autoencoder("II", (28, 28, 1))(pixels) - pixels) ** 2))
    assert error < 0.9 * before


def test_a_pack_is_the_mean_of_its_members_and_judged_by_one_of_them(digits, net):
    data, x, held_out = digits
    recipe = magnet.recipe_for((28, 28, 1))
    pack = magnet.make_pack(net, x, held_out, recipe, count=3, fit=FitSettings(steps=3))
    z, y = data.test(30)
    z = tf.constant(z)
    members = np.stack([one(z) for one in pack.members])
    np.testing.assert_allclose(pack(z), members.mean(0), rtol=1e-4, atol=1e-5)
    every = np.stack([one.accepts(z) for one in pack.members]).all(0)
    np.testing.assert_array_equal(pack.accepts(z), every)
    assert pack.rejection(z).shape == (30, 6)
    threat = mmtf.ThreatModel(eta=0.3)
    attack = Transfer(net, PGD(threat, steps=2, stop_early=False))
    found, again = (judged(pack, attack, z.numpy(), y, name="pgd@net") for _ in range(2))
    np.testing.assert_array_equal(found.wrong, again.wrong)
    assert found.accepted.shape == (30,)


def test_accepted_and_wrong_is_an_error_in_both_conventions():
    missed = np.array([True, True, False, False])
    accepted = np.array([True, False, True, False])
    # As measured: misclassified and accepted.
    one = Result("pgd", missed & accepted, accepted=accepted)
    assert one.wrong.tolist() == [True, False, False, False]
    assert one.failed.tolist() == [True, True, False, True]
    told = one.to_dict()
    assert (told["error"], told["reject_wrong"], told["rejected"]) == (0.25, 0.75, 0.5)
    assert told["reject_wrong_low"] < 0.75 < told["reject_wrong_high"]
    other = Result("fgsm", np.array([False, False, True, False]), accepted=np.ones(4, bool))
    both = worst([one, other], np.zeros(4, bool))
    assert both.wrong.tolist() == [True, False, True, False]
    assert both.failed.tolist() == [True, True, True, True]
    plain = worst([Result("pgd", missed)], np.zeros(4, bool))
    assert plain.accepted is None and "rejected" not in plain.to_dict()


def test_a_whole_learning_rate_is_a_number_like_others():
    def weights(rate):
        model = make_autoencoder("II", (4, 4, 1))
        settings = FitSettings(steps=2, batch_size=8, learning_rate=rate)
        magnet.train_autoencoders([model], np.zeros([8, 4, 4, 1], np.float32), settings)
        return model.get_weights()

    for one, other in zip(weights(1), weights(1.0), strict=True):
        np.testing.assert_array_equal(one, other)

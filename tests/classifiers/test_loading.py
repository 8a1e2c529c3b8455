"""Classifiers by their paths."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.queries import input_gradient
from mmtf.classifiers.export import save_serving
from mmtf.classifiers.loading import load_classifier, require_keras
from mmtf.data import to_unit_box
from mmtf.errors import ConfigError


def load_trusted(path, **options):
    return load_classifier(path, trust_saved_models=True, **options)


def test_a_name_that_is_no_text_is_made_one(tmp_path):
    name = os.fsdecode(b"caf\xe9.keras")
    kept = tmp_path / "model.keras"
    small_model().save(kept)
    os.rename(kept, tmp_path / name)
    assert load_classifier(str(tmp_path / name)).name == "caf?"


def small_model():
    return keras.Sequential([keras.Input((2, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])


def test_bounds_and_fingerprints(tmp_path):
    """The file and the SavedModel compute the same; each is known by what it holds."""
    model, x = small_model(), np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 2, 3, 1)
    model.save(tmp_path / "net.keras")
    save_serving(model, to_unit_box, (2, 3, 1), str(tmp_path / "served"))
    found = [load_classifier(str(tmp_path / "net.keras"), bounds=(0, 1))]
    trusted = {"bounds": (0, 1), "trust_saved_models": True}
    found.append(load_classifier(str(tmp_path / "served"), **trusted))
    for classifier in found:
        np.testing.assert_allclose(classifier(x), model((x + 1) / 2), atol=1e-6)
        assert classifier.bounds == (0.0, 1.0)
    prints = [one.fingerprint for one in found]
    assert prints == [one.fingerprint for one in found] and len(set(prints)) == 2
    other = load_classifier(str(tmp_path / "served"), trust_saved_models=True)
    assert other.fingerprint not in prints
    require_keras(found[0], "a test")
    with pytest.raises(ConfigError, match="Expected a Keras model for a test. Received: served"):
        require_keras(found[1], "a test")


def exported(path, call, shape=(None, 4, 4, 1), dtype=tf.float32):
    """A SavedModel of the function `call`, as other programs write them."""
    module = tf.Module()
    module.kernel = tf.Variable(tf.reshape(tf.range(48.0), [16, 3]) / 48)
    function = tf.function(lambda images: call(module, images))
    signature = function.get_concrete_function(tf.TensorSpec(shape, dtype, name="images"))
    tf.saved_model.save(module, str(path), signatures={"logits": signature})
    return str(path)


def product(module, images):
    return {"out": tf.reshape(tf.cast(images, tf.float32), [-1, 16]) @ module.kernel}


def test_a_signature_of_one_image_is_called_for_each(tmp_path, rng):
    """With its gradients, eagerly and in a graph: as one that takes any number."""
    any_number = load_trusted(exported(tmp_path / "any", product))
    one = load_trusted(exported(tmp_path / "one", product, (1, 4, 4, 1)))
    x = tf.constant(rng.uniform(-1, 1, (5, 4, 4, 1)), tf.float32)
    y = tf.constant([0, 1, 2, 0, 1])
    for function in (lambda c: c(x), lambda c: input_gradient(c, x, y)[1]):
        # One row of a product, and five: sums of 16 terms in another order.
        np.testing.assert_allclose(function(one), function(any_number), rtol=0, atol=1e-6)
        graph = tf.function(lambda c=one, f=function: f(c))()
        np.testing.assert_allclose(graph, function(any_number), rtol=0, atol=1e-6)


def test_a_signature_in_float64_is_given_float64(tmp_path, rng):
    def call(module, images):
        return {"out": tf.reshape(images, [-1, 16]) @ tf.cast(module.kernel, tf.float64)}

    classifier = load_trusted(exported(tmp_path / "it", call, dtype=tf.float64))
    logits = classifier(tf.constant(rng.uniform(-1, 1, (5, 4, 4, 1)), tf.float32))
    assert logits.dtype == tf.float32 and logits.shape == (5, 3)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shape": (7, 4, 4, 1)}, "Received: for 7 images in .* Export it with None"),
        ({"dtype": tf.uint8}, "a signature `logits` of floats. Received: uint8"),
        ({"dtype": tf.int32}, "a signature `logits` of floats. Received: int32"),
    ],
)
def test_a_signature_of_something_else(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message) as refused:
        load_trusted(exported(tmp_path / "it", product, **options))
    assert "\n" not in str(refused.value)


def test_one_of_the_outputs_of_a_signature(tmp_path):
    def two(module, images):
        return {**product(module, images), "sums": tf.reduce_sum(images, [1, 2])}

    path, x = exported(tmp_path / "it", two), tf.zeros([2, 4, 4, 1])
    assert load_trusted(path, output="out")(x).shape == (2, 3)
    with pytest.raises(ConfigError, match="2 outputs, .*'out' .3.*--model_output="):
        load_trusted(path)(x)

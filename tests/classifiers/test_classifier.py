"""A Classifier: scale, precision, programs, fingerprint."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import ConfigError


def small(seed=0):
    dense = keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))
    return keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), dense])


X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 2, 2, 1)


@pytest.mark.parametrize(
    "bounds, scaled",
    [((-1, 1), X), ((0, 1), (X + 1) / 2), ((0, 255), (X + 1) * 127.5)],
)
def test_images_of_the_box_are_mapped_onto_the_models_bounds(bounds, scaled):
    model = small()
    np.testing.assert_allclose(
        Classifier(model, bounds=bounds)(X), model(scaled), rtol=1e-6, atol=1e-6
    )


def test_the_preprocessing_sees_pixels_within_the_bounds():
    seen = []

    def preprocessing(x):
        seen.append((float(tf.reduce_min(x)), float(tf.reduce_max(x))))
        return x - 0.5

    model = small()
    logits = Classifier(model, bounds=(0, 1), preprocessing=preprocessing)(X)
    assert seen == [(0.0, 1.0)]
    np.testing.assert_allclose(logits, model((X + 1) / 2 - 0.5), rtol=1e-6, atol=1e-6)


def test_programs_are_traced_once_for_a_key_and_a_precision():
    classifier, traces = Classifier(small()), []

    def logits(classifier, x):
        traces.append(classifier.precision)
        return classifier(x)

    for _ in range(2):
        classifier.compiled("logits", logits)(X)
        classifier.at("bfloat16").compiled("logits", logits)(X)
    assert traces == ["float32", "bfloat16"]
    assert classifier.at("bfloat16").at("float32") is classifier


def test_bfloat16_rounds_hidden_layers_and_leaves_the_models_policy():
    hidden = keras.layers.Dense(64, kernel_initializer=keras.initializers.GlorotUniform(seed=1))
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), hidden, keras.layers.Dense(3)]
    )
    exact, rounded = (Classifier(model).at(p)(X) for p in ("float32", "bfloat16"))
    # bfloat16 has 8 bits: sums of 64 products of order 1 differ by more than float32 rounds.
    assert 1e-5 < np.abs(exact - tf.cast(rounded, tf.float32)).max() < 0.1
    assert hidden.dtype_policy.name == "float32"


def test_a_fingerprint_is_of_weights_layers_and_scale():
    one, same, other = small(), small(), small(1)
    assert Classifier(one).fingerprint == Classifier(one).fingerprint
    assert Classifier(one).fingerprint != Classifier(other).fingerprint
    assert Classifier(one).fingerprint != Classifier(one, bounds=(0, 1)).fingerprint
    same.set_weights(other.get_weights())
    before = Classifier(one).fingerprint
    one.set_weights(other.get_weights())
    assert Classifier(one).fingerprint != before
    with pytest.raises(ConfigError, match="a function with an attribute `fingerprint`"):
        _ = Classifier(lambda x, training=False: x).fingerprint


@pytest.mark.usefixtures("little_garbage")
def test_a_model_has_one_classifier_which_goes_with_it(tmp_path):
    model = small()
    classifier = as_classifier(model)
    assert as_classifier(model) is classifier and as_classifier(classifier) is classifier
    classifier.compiled("logits", lambda classifier, x: classifier(x))(X)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(X), model(X))
    gone = weakref.ref(model)
    del model, classifier
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "model, options",
    [
        (3, {}),
        (small, {"bounds": (1, 0)}),
        (small, {"bounds": (0, 1, 2)}),
        (small, {"precision": "x"}),
    ],
)
def test_what_is_no_classifier_is_refused(model, options):
    with pytest.raises(ConfigError, match="Expected"):
        Classifier(model, **options)

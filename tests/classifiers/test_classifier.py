"""A Classifier: scale, precision, programs, fingerprint."""

import functools
import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.eot import mean_of
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.guarded import Guarded
from mmtf.classifiers.smoothed import Smoothed
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


class Signed:
    """logits (0, sign * sum x)."""

    def __init__(self, sign):
        self.sign = sign

    def logits(self, x, training=False):
        total = tf.reduce_sum(x, [1, 2, 3])
        return tf.stack([tf.zeros_like(total), self.sign * total], 1)


def test_objects_of_one_class_have_classifiers_of_their_own():
    """A bound method has the attributes of its function, which all objects share."""
    one, other = Signed(1.0), Signed(-1.0)
    first, second = as_classifier(one.logits), as_classifier(other.logits)
    np.testing.assert_array_equal(first(X), one.logits(X))
    np.testing.assert_array_equal(second(X), other.logits(X))
    assert as_classifier(one.logits) is first and as_classifier(other.logits) is second
    one.sign = 2.0  # the object still counts
    np.testing.assert_array_equal(as_classifier(one.logits)(X), one.logits(X))


def test_a_wrapper_does_not_pass_for_what_it_wraps():
    def plain(x, training=False):
        return Signed(1.0).logits(x)

    plain.fingerprint = "plain"
    assert as_classifier(plain).model is plain

    @functools.wraps(plain)
    def defended(x, training=False):
        return -plain(x)

    assert as_classifier(defended).model is defended
    assert as_classifier(defended) is as_classifier(defended)
    np.testing.assert_array_equal(as_classifier(defended)(X), -plain(X))

    class Defense:
        def logits(self, x, training=False):
            return x

        logits.fingerprint = "of the function, the same for all objects"

    one, other = Defense(), Defense()
    with pytest.raises(ConfigError, match="attribute `fingerprint`"):
        _ = as_classifier(one.logits).fingerprint
    one.fingerprint, other.fingerprint = "one", "other"
    prints = {as_classifier(each.logits).fingerprint for each in (one, other, one)}
    assert len(prints) == 2
    with pytest.raises(ConfigError, match="attribute `fingerprint`"):
        _ = as_classifier(defended).fingerprint  # it is a copy of that of `plain`
    defended.fingerprint = "defended"
    assert as_classifier(defended).fingerprint != as_classifier(plain).fingerprint


@pytest.mark.parametrize("made", [Signed, len])
def test_a_class_and_a_built_in_keep_nothing(made):
    assert as_classifier(made).model is made


def test_preprocessings_of_one_name_have_fingerprints_of_their_own():
    def scaled(factor):
        return lambda x: factor * x

    model = small()
    prints = [Classifier(model, preprocessing=scaled(one)).fingerprint for one in (1.0, 1.0, 0.5)]
    assert prints[0] == prints[1] != prints[2]
    assert prints[0] != Classifier(model, preprocessing=scaled(1.0), bounds=(0, 1)).fingerprint

    def noisy(x):
        return x + tf.random.normal(tf.shape(x))

    with pytest.raises(ConfigError, match="a preprocessing that is not random, or with an attr"):
        _ = Classifier(model, preprocessing=noisy).fingerprint
    noisy.fingerprint = "noise of deviation 1"
    assert len({Classifier(model, preprocessing=noisy).fingerprint, *prints}) == 3


def test_preprocessings_may_change_the_shape():
    wide = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    for change in (tf.image.grayscale_to_rgb, lambda x: tf.image.resize(x, (4, 4))):
        _ = Classifier(wide, preprocessing=change).fingerprint
    unknown = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()])
    assert len(Classifier(unknown, preprocessing=tf.abs).fingerprint) == 64

    def impossible(x):
        raise ValueError("of five channels")

    with pytest.raises(ConfigError, match=r"of the shape \(4, 4, 3\), or .* of five channels"):
        _ = Classifier(wide, preprocessing=impossible).fingerprint


class Contrast(Classifier):
    """Classifies images of less contrast."""

    def __init__(self, model, limit, beside=None):
        super().__init__(model)
        self.limit, self._beside = limit, beside

    def __call__(self, x, training=False):
        return super().__call__(self.limit * x, training=training)


class Other(Contrast):
    pass


class Named(Contrast):
    fingerprint = "named"


class Forgetful(Contrast):
    def __init__(self, model, factor):
        super().__init__(model, factor / 2)


def test_subclasses_have_fingerprints_of_their_own():
    model = small()
    beside = [np.ones(2), np.zeros(2), small(1), small(2), Classifier(small(3)), {"a": [1, "b"]}]
    made = [
        *(Contrast(model, one) for one in (1.0, 0.5, np.float32(1.0), [1.0])),
        *(Contrast(model, 1.0, one) for one in beside),
        Other(model, 1.0),
        Classifier(model),
    ]
    assert len({one.fingerprint for one in made}) == len(made)
    assert Contrast(model, 0.5).fingerprint == made[1].fingerprint
    assert Contrast(model, 1.0, beside[2]).fingerprint == made[6].fingerprint
    assert Named(model, 1.0).fingerprint == "named"
    with pytest.raises(ConfigError, match="Expected an attribute factor of a Forgetful"):
        _ = Forgetful(model, 1.0).fingerprint
    with pytest.raises(ConfigError, match="the argument limit of Contrast as numbers, texts"):
        _ = Contrast(model, lambda x: x).fingerprint


def test_a_subclass_stays_itself_in_another_precision():
    model = small()
    half = Contrast(model, 0.5)
    mean_of(half, 2)
    rounded = half.at("bfloat16")
    assert type(rounded) is Contrast and rounded.at("float32") is half
    assert (half.precision, rounded.precision) == ("float32", "bfloat16")
    # bfloat16 has 8 bits; at full contrast the logits are twice as large.
    np.testing.assert_allclose(rounded(X), model(0.5 * X), rtol=2**-6, atol=2**-7)
    assert mean_of(rounded, 2) is mean_of(half, 2).at("bfloat16") is not mean_of(half, 2)
    assert mean_of(rounded, 2).base is rounded


def test_subclasses_of_guarded_and_smoothed_do_too():
    class Twice(Smoothed):
        def __call__(self, x, training=False):
            return 2.0 * super().__call__(x, training=training)

    class Shut(Guarded):
        def rejection(self, x):
            return tf.ones([tf.shape(x)[0], 1])

    model = small()
    assert Twice(model, sigma=0.5).fingerprint != Smoothed(model, sigma=0.5).fingerprint
    assert Twice(model, sigma=0.5).fingerprint != Twice(model, sigma=0.25).fingerprint
    assert Shut(model).fingerprint != Guarded(model).fingerprint


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

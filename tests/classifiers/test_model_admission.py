"""What no use of a model takes: train, evaluate and save_serving refuse it in the same line."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.admission import logits_on, require_model
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError

L = keras.layers
THREAT = mmtf.ThreatModel(eta=0.3)


def net(*first, dtype="float32", shape=(28, 28, 1)):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *first, L.Flatten(), L.Dense(10)])


def with_nan(value):
    model = net()
    kernel, bias = model.get_weights()
    kernel[3, 2] = value
    model.set_weights([kernel, bias])
    return model


def two_inputs():
    images, more = keras.Input((28, 28, 1), name="images"), keras.Input((3,), name="more")
    return keras.Model([images, more], L.Dense(10)(L.Concatenate()([L.Flatten()(images), more])))


def raising(error):
    def call(x, training=None):
        raise error

    model = net()
    model.layers[-1].call = call
    return model


REFUSED = {
    "uint8": (lambda: net(L.Rescaling(1 / 255), dtype="uint8"), "Input of floats.*uint8"),
    "int32": (lambda: net(L.Rescaling(1 / 255), dtype="int32"), "Input of floats.*int32"),
    "bool": (lambda: net(L.Rescaling(1.0), dtype="bool"), "Input of floats.*bool"),
    "uint8 inside": (
        lambda: keras.Sequential([keras.Input((28, 28, 1)), net(L.Rescaling(1.0), dtype="uint8")]),
        "Input of floats.*uint8 in sequential",
    ),
    "strings": (
        lambda: net(L.Lambda(lambda x: tf.strings.to_number(x)), dtype="string"),
        "string",
    ),
    "two inputs": (two_inputs, "one input.*images, more"),
    "channels first": (lambda: net(shape=(1, 28, 28)), r"channels first. Put a Permute"),
    "channels first inside": (
        lambda: net(L.MaxPooling2D(2, padding="same", data_format="channels_first")),
        "channels last. Received: max_pooling2d.*channels_first",
    ),
    "NaN": (lambda: with_nan(np.nan), "finite weights.*dense.*kernel"),
    "infinity": (lambda: with_nan(np.inf), "finite weights.*dense.*kernel"),
    "another size": (lambda: net(shape=(32, 32, 1)), "model of images .28, 28, 1.*cannot be call"),
    "what its layers raise": (lambda: raising(KeyError("no key")), "cannot be called.*no key"),
    "images out": (
        lambda: keras.Sequential([keras.Input((28, 28, 1)), L.Dense(10)]),
        r"output shape \(\d+, 28, 28, 10\)",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_all_three_refuse_it_in_one_line(kind, tmp_path):
    make, message = REFUSED[kind]
    data, model = mmtf.load_data("digits"), make()
    uses = [
        lambda: mmtf.evaluate(model, ["none"], data, threat=THREAT, checks=False),
        lambda: mmtf.save_serving(model, data.preprocess, (28, 28, 1), str(tmp_path / "served")),
        lambda: mmtf.train(
            mmtf.games.LWA(THREAT),
            data,
            schedule=mmtf.Schedule(steps=1),
            model=model,
            progress=False,
        ),
    ]
    for use in uses:
        with pytest.raises(ConfigError, match=message) as refused:
            use()
        assert "\n" not in str(refused.value) and "learning_rate" not in str(refused.value)
    assert not (tmp_path / "served").exists()


def test_the_advice_for_channels_first_works():
    first = keras.Sequential([keras.Input((1, 28, 28)), L.Permute((2, 3, 1)), net()])
    inside = [L.Permute((3, 1, 2)), L.GlobalAveragePooling2D(data_format="channels_first")]
    for model in (
        keras.Sequential([keras.Input((28, 28, 1)), L.Permute((3, 1, 2)), first]),
        keras.Sequential([keras.Input((28, 28, 1)), *inside, L.Dense(10)]),
    ):
        require_model(Classifier(model), (28, 28, 1))


def deep(dtype):
    """A convolution with moving statistics, all of one floating-point type."""
    layers = [L.Conv2D(2, 3), L.BatchNormalization(), L.ReLU(), L.Flatten(), L.Dense(3)]
    layers = [type(one).from_config({**one.get_config(), "dtype": dtype}) for one in layers]
    kind = dtype.removeprefix("mixed_") if dtype.startswith("mixed") else dtype
    return keras.Sequential([keras.Input((4, 4, 1), dtype=kind), *layers])


MODELS = {
    "float64": lambda: deep("float64"),
    "float16": lambda: deep("float16"),
    "bfloat16": lambda: deep("bfloat16"),
    "mixed_float16": lambda: deep("mixed_float16"),
    "a function in float64": lambda: (
        lambda x, training=False: tf.cast(tf.reshape(x, [-1, 16])[:, :3], tf.float64)
    ),
    "a function in NumPy": lambda: lambda x, training=False: np.reshape(x, [-1, 16])[:, :3],
}


@pytest.mark.parametrize("kind", MODELS)
def test_logits_are_float32_whatever_the_model_computes_in(kind, rng):
    model, x = MODELS[kind](), rng.uniform(-1, 1, (6, 4, 4, 1)).astype(np.float32)
    before = [one.dtype for one in model.weights] if isinstance(model, keras.Model) else []
    logits = Classifier(model)(x)
    assert logits.dtype == tf.float32
    if before:
        twin = deep("float32")
        twin.set_weights([np.asarray(one, np.float32) for one in model.get_weights()])
        # Weights and pixels are rounded to the model's type; the sums are those of float32.
        rounded = tf.cast(tf.cast(x, model.inputs[0].dtype), tf.float32)
        np.testing.assert_allclose(logits, twin(rounded), rtol=0, atol=1e-5)
        assert [one.dtype for one in model.weights] == before
    logits_on(model, x, 3)


@pytest.mark.parametrize("name", ["apgd", "carlini_wagner", "deepfool"])
def test_attacks_run_on_float64(name, rng):
    threat = mmtf.ThreatModel(eta=0.3, norm="l2")
    options = {"steps": 2, "searches": 1} if name == "carlini_wagner" else {"steps": 2}
    attack = mmtf.attacks.ATTACKS[name](threat, **options)
    x = rng.uniform(-1, 1, (4, 4, 4, 1)).astype(np.float32)
    model = keras.Sequential([keras.Input((4, 4, 1), dtype="float64"), L.Flatten(dtype="float64")])
    model.add(L.Dense(3, dtype="float64"))
    z = attack(model, x, np.argmax(model(x), -1))
    assert z.dtype == tf.float32 and z.shape == x.shape

"""One of several outputs is chosen by key, name or index, wherever a model is used."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError

L = keras.layers
THREAT = mmtf.ThreatModel(eta=0.3)


class Several(keras.Model):
    """A subclassed model of two outputs."""

    def __init__(self, wrap):
        super().__init__()
        self.flat, self.first, self.second = L.Flatten(), L.Dense(10), L.Dense(2)
        self.wrap = wrap

    def call(self, x):
        return self.wrap(self.first(self.flat(x)), self.second(self.flat(x)))


def subclassed(wrap):
    model = Several(wrap)
    model(np.zeros([1, 28, 28, 1], np.float32))
    return model


def functional(wrap):
    inputs = keras.Input((28, 28, 1))
    flat = L.Flatten()(inputs)
    return keras.Model(
        inputs, wrap(L.Dense(10, name="kind")(flat), L.Dense(2, name="age")(L.Dense(3)(flat)))
    )


KINDS = {
    "a dict": (lambda: functional(lambda a, b: {"logits": a, "other": b}), "logits"),
    "a list": (lambda: functional(lambda a, b: [b, a]), 1),
    "a list by name": (lambda: functional(lambda a, b: [b, a]), "kind"),
    "by index as a command gives it": (lambda: functional(lambda a, b: [b, a]), "1"),
    "a subclassed dict": (lambda: subclassed(lambda a, b: {"other": b, "logits": a}), "logits"),
    "a subclassed tuple": (lambda: subclassed(lambda a, b: (a, b)), 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_chosen(kind):
    make, output = KINDS[kind]
    model, x = make(), np.zeros([5, 28, 28, 1], np.float32)
    classifier = Classifier(model, output=output)
    assert classifier(x).shape == classifier.at("bfloat16")(x).shape == (5, 10)
    assert classifier.fingerprint != Classifier(model, output=0 if output != 0 else 1).fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_choice_all_are_named(kind, tmp_path):
    model, data = KINDS[kind][0](), mmtf.load_data("digits")
    uses = [
        lambda: mmtf.evaluate(model, ["none"], data, threat=THREAT),
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
        with pytest.raises(ConfigError, match="2 outputs, .*10.*Choose one.*--model_output=") as no:
            use()
        assert "\n" not in str(no.value)


@pytest.mark.parametrize("output", ["none of them", 2, -1, True])
def test_no_such_output(output):
    with pytest.raises(ConfigError, match="Expected output to be one of 'kind', 'age', or an"):
        Classifier(functional(lambda a, b: [a, b]), output=output)(tf.zeros([1, 28, 28, 1]))


@pytest.mark.parametrize("game", ["minimax_grad", "alt_attnet"])
def test_only_what_leads_to_it_is_trained(game, capfd):
    model, data = KINDS["a dict"][0](), mmtf.load_data("digits")
    before = {one.path: one.numpy() for one in model.weights}
    trained = mmtf.train(
        mmtf.games.GAMES[game](THREAT),
        data,
        schedule=mmtf.Schedule(steps=2, batch_size=16),
        model=Classifier(model, output="logits"),
        progress=False,
    )
    changed = {one.path for one in model.weights if (one.numpy() != before[one.path]).any()}
    assert changed == {"kind/kernel", "kind/bias"}
    frame = mmtf.evaluate(
        trained.classifier, ["fgsm"], data, threat=THREAT, max_examples=20, checks=False
    )
    assert trained.classifier.output == "logits" and len(frame) == 2
    assert "gradient" not in capfd.readouterr().err


def test_a_served_output(tmp_path):
    model, data = KINDS["a list"][0](), mmtf.load_data("digits")
    path = str(tmp_path / "served")
    mmtf.save_serving(Classifier(model, output=1), data.preprocess, (28, 28, 1), path)
    x, _ = data.test(5)
    logits = tf.saved_model.load(path).signatures["logits"](images=tf.constant(x))["logits"]
    # Two float32 evaluations of one product of 784 terms of order 1.
    np.testing.assert_allclose(logits, model(x)[1], rtol=0, atol=1e-4)

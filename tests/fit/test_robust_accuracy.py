"""RobustAccuracy: the value of an evaluation, when and from what it is measured."""

import types

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.errors import ConfigError
from mmtf.evaluation.runner import measure
from mmtf.fit import robust_accuracy

DATA = nets.data(12, seed=1)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.pairs = [(x[:5], y[:5]), (x[5:], y[5:])]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, number):
        return self.pairs[number]


def measured(*callbacks, epochs=1, validation_data=DATA, model=None, **options):
    model = model or nets.compiled(optimizer=keras.optimizers.SGD(0.1), **options)
    x, y = nets.data()
    kwargs = {"verbose": 0, "shuffle": False, "callbacks": list(callbacks)}
    return model, model.fit(x, y, epochs=epochs, validation_data=validation_data, **kwargs).history


def test_it_is_the_robust_accuracy_of_an_evaluation():
    attack = mmtf.attacks.PGD(nets.THREAT, steps=3)
    model, log = measured(
        mmtf.RobustAccuracy("pgd", steps=3),
        mmtf.RobustAccuracy(mmtf.attacks.PGD, steps=3, name="val_class"),
        mmtf.RobustAccuracy(attack, name="val_instance"),
        mmtf.RobustAccuracy("none", name="val_clean"),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    right = measure(model.model, attack, *DATA, name="pgd").robust_accuracy
    assert log["val_robust_accuracy"] == log["val_class"] == log["val_instance"] == [right]
    assert log["val_clean"] == pytest.approx(log["val_accuracy"])
    assert log["val_clean"][0] > right


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: (x, y, np.ones(12)),
        lambda x, y: (tf.constant(x), keras.utils.to_categorical(y, 3)),
        lambda x, y: tf.data.Dataset.from_tensor_slices((x, y[:, None])).batch(5),
        Batches,
    ],
    ids=["weights", "rows", "dataset", "py_dataset"],
)
def test_it_reads_what_fit_reads(make):
    """The first 7 examples, whatever holds them."""
    data = make(*DATA)
    callback = mmtf.RobustAccuracy("fgsm", examples=7, data=data)
    model, log = measured(callback, run_eagerly=True, validation_data=None)
    attack = mmtf.attacks.FGSM(nets.THREAT)
    right = measure(model.model, attack, DATA[0][:7], DATA[1][:7], name="fgsm").robust_accuracy
    assert log["val_robust_accuracy"] == [right]


def test_between_measurements_the_last_value_stands(monkeypatch):
    values = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr(
        robust_accuracy,
        "measure",
        lambda *args, **kwargs: types.SimpleNamespace(robust_accuracy=next(values)),
    )
    _, log = measured(mmtf.RobustAccuracy("fgsm", every=3), epochs=6, run_eagerly=True)
    # Measured in epochs 0, 3 and, the last, 5.
    assert log["val_robust_accuracy"] == [0.1, 0.1, 0.1, 0.2, 0.2, 0.3]


def test_pixels_in_the_bounds_of_the_model():
    x, y = DATA
    model = nets.compiled(
        model=keras.Sequential(
            [keras.Input(nets.SHAPE), keras.layers.Rescaling(1 / 127.5, -1.0), nets.net()]
        ),
        options={"bounds": (0, 255)},
        optimizer=keras.optimizers.SGD(0.0),
    )
    pixels = np.round(127.5 * (x + 1)).astype(np.uint8)
    callback = mmtf.RobustAccuracy("fgsm", data=(pixels, y))
    callback.set_model(model)
    callback.on_train_begin()
    logs = {}
    callback.on_epoch_end(0, logs)
    box = (pixels / 127.5 - 1).astype(np.float32)
    right = measure(nets.net(), mmtf.attacks.FGSM(nets.THREAT), box, y, name="fgsm")
    assert logs["val_robust_accuracy"] == right.robust_accuracy


def test_a_plain_model_can_be_watched():
    x, y = nets.data()
    plain = nets.net()
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = mmtf.RobustAccuracy("fgsm", data=(x, y), threat=nets.THREAT)
    assert 0 <= plain.fit(x, y, verbose=0, callbacks=[callback]).history[callback.name][0] <= 1


REFUSED = {
    "no such attack": (lambda: mmtf.RobustAccuracy("pdg", threat=nets.THREAT), "attack"),
    "no such option": (lambda: mmtf.RobustAccuracy("pgd", step=3, threat=nets.THREAT), "step"),
    "every": (lambda: mmtf.RobustAccuracy(every=0), "every"),
    "examples": (lambda: mmtf.RobustAccuracy(examples=2.5), "examples"),
    "options of an instance": (
        lambda: mmtf.RobustAccuracy(mmtf.attacks.FGSM(nets.THREAT), steps=2),
        "options in the attack",
    ),
    "an attack that learns": (
        lambda: mmtf.RobustAccuracy("attnet", threat=nets.THREAT),
        "no training of its own",
    ),
    "no data": (
        lambda: measured(mmtf.RobustAccuracy(), validation_data=None, run_eagerly=True),
        "validation_data",
    ),
    "data of another kind": (
        lambda: measured(mmtf.RobustAccuracy(data=iter([DATA])), run_eagerly=True),
        "arrays",
    ),
    "data of another range": (
        lambda: measured(mmtf.RobustAccuracy(data=(9 + DATA[0], DATA[1])), run_eagerly=True),
        "pixels from -1 to 1",
    ),
    "in the wrong place": (
        lambda: measured(
            keras.callbacks.EarlyStopping("val_robust_accuracy"),
            mmtf.RobustAccuracy(),
            run_eagerly=True,
        ),
        "before the callback that monitors",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_mistakes_end_in_one_line(case):
    make, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_bounds_are_the_box_or_stand_beside_the_default_box():
    x, y = DATA
    images, threat = (x + 1) / 2, mmtf.ThreatModel(eta=0.15, box=(0.0, 1.0))

    def begun(bounds, data):
        callback = mmtf.RobustAccuracy("none", threat=threat, bounds=bounds, data=data)
        callback.set_model(nets.net())
        callback.on_train_begin()
        return callback

    assert begun([0, 1], (images, y))._classifier.bounds == (-1.0, 1.0)  # nothing is rescaled
    with pytest.raises(ConfigError, match="threat model with box"):
        begun((0, 255), (255 * images, y))

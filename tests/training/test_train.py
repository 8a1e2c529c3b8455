"""`mmtf.train` with a user's own Keras model."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

import mmtf
from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.evaluation import measure
from mmtf.training.callbacks import Callbacks
from mmtf.training.checkpoints import Checkpoints

THREAT = mmtf.ThreatModel(eta=0.3)


class Own(keras.Model):
    """A subclassed model, as users write them."""

    def __init__(self, units=3, activation=None):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(units, activation=activation)

    def call(self, x, training=False):
        return self.dense(self.flatten(x))


def separable():
    """Three classes told apart by which of three pixels is lit: no attack of 0.3 can hide it."""
    labels = np.arange(60) % 3
    images = np.full([60, 4, 4, 1], -1.0, np.float32)
    images[np.arange(60), 0, labels, 0] = 1.0
    return mmtf.Dataset(
        name="separable",
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        num_classes=3,
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_subclassed_model_is_trained_in_place(precision):
    data, model = separable(), Own()
    model(data.train_images[:1])
    game = mmtf.games.GAMES["minimax_grad"](THREAT)
    schedule = Schedule(steps=150, batch_size=30, learning_rate=0.05)
    trained = mmtf.train(
        game, data, schedule=schedule, model=model, precision=precision, progress=False
    )
    assert trained.classifier is model and trained.steps == 150 and trained.seconds > 0
    # No more than all cores all the time; the two clocks are read at the same places.
    by_the_clock = schedule.batch_size / trained.images_per_second
    assert 0 < trained.processor_seconds_per_step < 1.1 * os.cpu_count() * by_the_clock
    assert model.dense.kernel.dtype == "float32" and model(data.train_images[:1]).dtype == "float32"
    x, y = data.test()
    attack = mmtf.attacks.ATTACKS["fgsm"](THREAT)
    assert measure(model, attack, x, y, name="fgsm").error == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Own, "Expected a built model"),
        (lambda: built(Own(units=4)), "to 3 logits"),
        (lambda: built(keras.Sequential([Own(), keras.layers.Lambda(tf.nn.softmax)])), "softmax"),
        (lambda: built(keras.Sequential([Own(), keras.layers.Dense(3, "sigmoid")])), "sigmoid"),
        (lambda: two_outputs(), "outputs"),
        (lambda: built(keras.Sequential([Own(), regularized()])), "without losses of its activ"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(make, message):
    game = mmtf.games.GAMES["lwa"](THREAT)
    with pytest.raises(ConfigError, match=message):
        mmtf.train(game, tiny.tiny_data(), schedule=Schedule(steps=1), model=make, progress=False)


def regularized():
    return keras.layers.Dense(3, activity_regularizer="l2")


def two_outputs():
    x = keras.Input((4, 4, 1))
    flat = keras.layers.Flatten()(x)
    return keras.Model(x, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)])


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"dataset": (np.zeros([2, 4, 4, 1]), [0, 1])}, "an mmtf.Dataset"),
        ({"game": "minimax_grad"}, "Expected a game, as mmtf.games.MinimaxGrad"),
        ({"schedule": 100}, r"schedule=mmtf.Schedule\(steps=...\). Received: 100"),
        ({"events": [keras.callbacks.ModelCheckpoint("x.keras")]}, "Callbacks, or a function"),
    ],
)
def test_another_kind_of_argument_is_refused(changed, message):
    options = {
        "game": mmtf.games.GAMES["lwa"](THREAT),
        "dataset": separable(),
        "schedule": Schedule(steps=1),
        **changed,
    }
    with pytest.raises(ConfigError, match=message):
        mmtf.train(options.pop("game"), options.pop("dataset"), **options, progress=False)


def test_a_number_is_no_threat_model():
    for kind in (mmtf.games.GAMES["lwa"], mmtf.attacks.ATTACKS["fgsm"]):
        with pytest.raises(ConfigError, match=r"threat=mmtf.ThreatModel\(eta=...\). Received: 0.3"):
            kind(0.3)


@pytest.mark.parametrize(
    "scale, box, message",
    [
        (lambda x: (x + 1) / 2, (-1.0, 1.0), r"both halves of the box .* use 2 \* x - 1"),
        (lambda x: x, (0.0, 1.0), r"in the box \[0, 1\]. Received: pixels from -1 to 1"),
    ],
)
def test_pixels_of_another_scale_are_refused_before_training(scale, box, message):
    data = separable()
    both = {name: scale(getattr(data, name)) for name in ("train_images", "test_images")}
    data = dataclasses.replace(data, **both)
    threat = mmtf.ThreatModel(eta=0.3, box=box)
    model = built(Own())
    with pytest.raises(ConfigError, match=message):
        game = mmtf.games.GAMES["lwa"](threat)
        mmtf.train(game, data, schedule=Schedule(steps=1), model=model, progress=False)
    with pytest.raises(ConfigError, match=message):
        mmtf.evaluate(model, ["none"], data, threat=threat)


def test_a_layer_without_a_second_derivative_is_told():
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Resizing(8, 8, "nearest"), Own()]
    )
    options = {"schedule": Schedule(steps=1, batch_size=8), "model": built(model)}
    with pytest.raises(ConfigError, match="ResizeNearestNeighborGrad.*finite_difference"):
        game = mmtf.games.GAMES["minimax_grad"](THREAT)
        mmtf.train(game, separable(), **options, progress=False)
    game = mmtf.games.GAMES["minimax_grad"](THREAT, penalty="finite_difference")
    assert mmtf.train(game, separable(), **options, progress=False).steps == 1


def test_events_themselves_will_do():
    seen = []
    events = Callbacks(on_metrics=lambda step, values: seen.append(step))
    game = mmtf.games.GAMES["lwa"](THREAT)
    options = {"schedule": Schedule(steps=2, batch_size=8), "model": built(Own())}
    mmtf.train(game, separable(), **options, events=events, progress=False)
    assert seen and seen[-1] == 2


def test_an_impossible_seed_is_refused():
    game = mmtf.games.GAMES["lwa"](THREAT)
    for seed in (-1, 2**31):
        with pytest.raises(ConfigError, match="seed in"):
            mmtf.train(game, tiny.tiny_data(), schedule=Schedule(steps=1), seed=seed)


class Shift(keras.layers.Layer):
    """Adds a variable of its own, in whose type TensorFlow wants everything."""

    def build(self, shape):
        self.shift = tf.Variable(0.5)

    def call(self, x):
        return tf.add(x, self.shift)


def test_auto_precision_stays_where_a_layer_takes_no_bfloat16(monkeypatch):
    from mmtf.training import admission as room

    real = room.resolve_precision
    monkeypatch.setattr(room, "resolve_precision", lambda p: "bfloat16" if p == "auto" else real(p))

    def play(precision):
        model = built(keras.Sequential([keras.layers.Flatten(), Shift(), keras.layers.Dense(3)]))
        options = {"schedule": Schedule(steps=1, batch_size=8), "progress": False}
        game = mmtf.games.GAMES["lwa"](THREAT)
        return mmtf.train(game, tiny.tiny_data(), model=model, precision=precision, **options)

    assert play("auto").precision == "float32"
    with pytest.raises(ConfigError, match="computes in bfloat16.*Give precision='float32'"):
        play("bfloat16")


def test_without_a_model_it_is_the_net_of_the_fast_schedule():
    from mmtf.training.admission import make_classifier

    data = mmtf.load_data("digits")
    for one in (data, data.holdout(100), dataclasses.replace(data, name="mnist:3.0.1")):
        model = make_classifier(None, one, 0).model
        (dropout,) = (x for x in model.layers if isinstance(x, keras.layers.Dropout))
        assert dropout.rate == 0.25


def built(model):
    model(np.zeros([1, 4, 4, 1], np.float32))
    return model


def test_checkpoints_of_another_run_are_refused(tmp_path):
    data, game = tiny.tiny_data(), mmtf.games.GAMES["lwa"]

    def play(eta=0.3, steps=3, seed=0, precision="float32", data=data, model=None):
        return mmtf.train(
            game(mmtf.ThreatModel(eta=eta)),
            data,
            schedule=Schedule(steps=steps, batch_size=8),
            model=model or tiny.tiny_net(),
            seed=seed,
            precision=precision,
            checkpoint_dir=str(tmp_path),
            progress=False,
        )

    first = play()
    tiny.assert_same(play().classifier.get_weights(), first.classifier.get_weights())
    same = {"eta": np.float64(0.3), "steps": np.int64(3), "seed": np.int64(0)}
    tiny.assert_same(play(**same).classifier.get_weights(), first.classifier.get_weights())
    other_data = dataclasses.replace(data, train_images=data.train_images / 2)
    other_model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.ReLU(), Own()])
    for other in (
        {"eta": 0.2},
        {"steps": 2},
        {"seed": 1},
        {"data": other_data},
        {"model": built(other_model)},
    ):
        (name,) = other
        with pytest.raises(
            ConfigError, match=f"Received those of another: .*{name}.*another folder"
        ):
            play(**other)


def test_checkpoints_from_before_an_option_go_on_as_everything_was_then(tmp_path):
    def play(**options):
        return mmtf.train(
            mmtf.games.GAMES["minimax_grad"](THREAT, **options),
            tiny.tiny_data(),
            schedule=Schedule(steps=2, batch_size=8),
            model=tiny.tiny_net(),
            checkpoint_dir=str(tmp_path),
            progress=False,
        )

    play()
    assert "penalty_every" not in (tmp_path / "run.json").read_text()
    play()
    with pytest.raises(ConfigError, match="game.penalty_every: '.absent.' -> 2"):
        play(penalty_every=2)


@pytest.mark.parametrize("name", ["weights", "bounds", "output", "extra"])
def test_settings_that_only_the_second_call_gives_are_refused(tmp_path, name):
    data, net = tiny.tiny_data(), tiny.tiny_net()
    given = {
        "weights": {"class_weight": {0: 50.0}},
        "bounds": {"model": mmtf.Classifier(tiny.tiny_net(), bounds=(0, 255))},
        "output": {"model": mmtf.Classifier(tiny.tiny_net(), output=0)},
        "extra": {"extra_data": tiny.tiny_data(8)},
    }

    def play(model, **options):
        return mmtf.train(
            mmtf.games.GAMES["undefended"](THREAT),
            data,
            schedule=Schedule(steps=4, batch_size=8),
            model=model,
            checkpoint_dir=str(tmp_path),
            progress=False,
            **options,
        )

    play(net)
    with pytest.raises(ConfigError, match=f"Received those of another: [^;]*{name}"):
        play(**{"model": tiny.tiny_net(), **given[name]})
    tiny.assert_same(play(tiny.tiny_net()).model.get_weights(), net.get_weights())


def test_settings_that_an_older_version_did_not_record_are_not_compared(tmp_path):
    record = tmp_path / "run.json"

    def play(game, **options):
        return mmtf.train(
            game(THREAT, tiny.tiny_net),
            tiny.tiny_data(),
            schedule=Schedule(steps=2, batch_size=8),
            model=tiny.tiny_net(),
            checkpoint_dir=str(tmp_path),
            progress=False,
            **options,
        )

    class Mine(mmtf.games.GAMES["lwa"]):
        def __init__(self, threat, function):
            super().__init__(threat)
            self.function = function

    play(Mine)
    old = json.loads(record.read_text())
    for name in ("networks", "constants", "output", "pixels", "extra", "weights"):
        del old["run"][name]
    assert old["run"]["game"]["function"] == "tiny.tiny_net"
    old["run"]["game"]["function"] = "function"
    record.write_text(json.dumps(old))
    play(Mine, class_weight={0: 2.0})


def test_a_users_game_without_its_arguments_as_attributes_is_kept(tmp_path):
    class Mine(mmtf.games.GAMES["lwa"]):
        def __init__(self, threat, strength):
            super().__init__(threat)
            self._strength = strength

    options = {"schedule": Schedule(steps=np.int64(2), batch_size=8), "seed": np.int64(1)}
    options |= {"checkpoint_dir": str(tmp_path), "progress": False}
    for _ in range(2):
        mmtf.train(Mine(THREAT, 2.0), tiny.tiny_data(), model=tiny.tiny_net(), **options)


def test_a_damaged_note_on_the_run_is_passed_over(tmp_path):
    trainer = tiny.make_trainer("lwa", steps=4)
    Checkpoints(str(tmp_path), trainer.players, run={"seed": 0}).save(2, seconds=1.0)
    for damage in (b"{}", b"\xff", b"[]", b"{", None):
        said = []
        if damage is None:
            (tmp_path / "run.json").unlink()
        else:
            (tmp_path / "run.json").write_bytes(damage)
        kept = Checkpoints(str(tmp_path), trainer.players, run={"seed": 1})
        assert kept.restore(said.append) == 2
        assert kept.precisions == ["not recorded"]
        assert [("run.json cannot be read" in line) for line in said] == [True] * bool(damage)


def test_a_run_resumed_in_another_precision_says_both(tmp_path):
    precisions = []
    for precision, last in (("bfloat16", 2), ("float32", 4)):
        trainer = tiny.make_trainer("lwa", steps=4, precision=precision)
        kept = Checkpoints(str(tmp_path), trainer.players, run={"seed": 0}, precision=precision)
        step = kept.restore(print)
        trainer.run(step, last - step)
        kept.save(last, seconds=1.0)
        precisions.append(list(kept.precisions))
    assert precisions == [["bfloat16"], ["bfloat16", "float32"]]

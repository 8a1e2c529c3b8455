"""AdversarialModel: the same training as mmtf.train's, by fit; its logs, files and errors."""

import itertools
import json
import zipfile

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.data import Batches
from mmtf.errors import ConfigError
from mmtf.kernels.adam import Adam
from mmtf.training.trainer import Trainer

GAMES = [
    "minimax_grad",
    pytest.param("minimax_attnet", marks=pytest.mark.slow),
    pytest.param("lwa", marks=pytest.mark.slow),
    pytest.param("adv_pgd", marks=pytest.mark.slow),
]


def dataset(count=20):
    x, y = nets.data(count)
    return mmtf.Dataset(
        name="tiny",
        train_images=x,
        train_labels=y,
        test_images=x[:6],
        test_labels=y[:6],
        num_classes=nets.CLASSES,
    )


@pytest.mark.parametrize("name", GAMES)
def test_fit_is_the_training_of_mmtf_train(name):
    """The same batches, optimizer and seed give the same weights, with dropout."""
    options = {"net_options": {"width": 8}} if "attnet" in name else {}
    batches = Batches(dataset(), batch_size=8, seed=3)
    trainer = Trainer(
        mmtf.games.GAMES[name](nets.THREAT, **options),
        nets.net(dropout=0.2),
        batches,
        schedule=mmtf.Schedule(steps=5, learning_rate=1e-2, decay="constant"),
        strategy=tf.distribute.get_strategy(),
        precision="float32",
        seed=3,
    )
    means = trainer.run(0, 5)
    model = nets.compiled(name, nets.net(dropout=0.2), options={"seed": 3}, optimizer=Adam(1e-2))
    stream = Batches(dataset(), batch_size=8, seed=3, in_memory=False).stream(0, 5)
    history = model.fit(stream, verbose=0).history
    # One loop in a graph against five calls: XLA is off, so the kernels are the same.
    nets.same(model.model.get_weights(), trainer.players.models["classifier"].get_weights(), 1e-6)
    assert history["risk"][0] == pytest.approx(float(means["risk"]), rel=1e-5)


def test_undefended_fit_is_keras_fit():
    x, y = nets.data()
    weights = np.linspace(0.5, 2, 20)
    plain = nets.net(keras.layers.BatchNormalization())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], run_eagerly=True)
    ours = nets.compiled(
        "undefended",
        nets.net(keras.layers.BatchNormalization()),
        optimizer=keras.optimizers.SGD(0.1),
        loss=loss,
        metrics=["accuracy"],
        options={"clean_metrics": True},
        run_eagerly=True,
    )
    fitting = {"batch_size": 8, "epochs": 2, "shuffle": False, "verbose": 0}
    fitting |= {"validation_data": (x, y)}
    plain.fit(x, y, class_weight={0: 2.0, 2: 0.5}, **fitting)
    ours.fit(x, y, class_weight={0: 2.0, 2: 0.5}, **fitting)
    keras_history = plain.fit(x, y, sample_weight=weights, **fitting)
    history = ours.fit(x, y, sample_weight=weights, **fitting).history
    nets.same(ours.get_weights(), plain.get_weights(), 1e-5)
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(history[name], keras_history.history[name], rtol=1e-5)
    # Without an attack the adversarial examples are the clean images.
    assert history["adversarial_accuracy"] == pytest.approx(keras_history.history["accuracy"])
    assert ours.evaluate(x, y, verbose=0) == pytest.approx(plain.evaluate(x, y, verbose=0))
    nets.same([ours.predict(x, verbose=0)], [plain.predict(x, verbose=0)], 1e-5)


def test_logs():
    x, y = nets.data()
    model = nets.compiled(
        "minimax_grad", metrics=["accuracy"], weighted_metrics=["accuracy"], run_eagerly=True
    )
    history = model.fit(x, y, batch_size=8, validation_data=(x, y), verbose=0).history
    assert sorted(history) == sorted(
        ["loss", "risk", "sensitivity", "adversarial_accuracy", "adversarial_weighted_accuracy"]
        + ["val_loss", "val_accuracy", "val_weighted_accuracy"]
    )
    assert history["loss"][0] == pytest.approx(history["risk"][0] + history["sensitivity"][0])
    assert model.train_on_batch(x, y, return_dict=True)["risk"] > 0


def test_adversarial_metrics_are_those_of_the_perturbed_images():
    x, y = nets.data()
    still = keras.optimizers.SGD(0.0)
    model = nets.compiled("lwa", metrics=["accuracy"], optimizer=still, run_eagerly=True)
    game = model.game
    z = game.perturb(model.players, mmtf.games.Batch(tf.constant(x), tf.constant(y)), None).x
    logits = model.model(z)
    log = model.fit(x, y, batch_size=7, verbose=0).history
    right = np.mean(np.argmax(logits, -1) == y)
    risk = np.mean(mmtf.losses.cross_entropy(logits, tf.constant(y)))
    assert log["adversarial_accuracy"][0] == pytest.approx(right)
    assert log["risk"][0] == pytest.approx(risk, rel=1e-5)


def test_a_game_of_ones_own_needs_no_report():
    class Trades(mmtf.games.AdvPGD):
        def objective(self, players, clean, perturbed, context):
            logits = players.classifier(clean.x, training=True)
            near = players.classifier(perturbed.x, training=True)
            risk = context.mean(mmtf.losses.cross_entropy(logits, clean.y))
            return risk + context.mean(tf.reduce_sum((near - logits) ** 2, -1)), {"risk": risk}

    x, y = nets.data()
    model = nets.compiled(Trades(nets.THREAT, max_steps=1), metrics=["accuracy"], run_eagerly=True)
    log = model.fit(x, y, verbose=0).history
    assert 0 <= log["adversarial_accuracy"][0] <= 1 and log["loss"][0] > log["risk"][0]


def test_labels_as_rows_are_the_same_as_integers():
    x, y = nets.data()
    rows = keras.utils.to_categorical(y, nets.CLASSES)
    found = []
    for labels, loss in (
        (y, keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
        (y[:, None], None),
        (rows, keras.losses.CategoricalCrossentropy(from_logits=True)),
    ):
        model = nets.compiled(metrics=["accuracy"], loss=loss, run_eagerly=True)
        log = model.fit(x, labels, shuffle=False, verbose=0, class_weight={0: 2.0}).history
        found.append([*model.get_weights(), log["adversarial_accuracy"], log["loss"]])
    nets.same(found[0], found[1])
    nets.same(found[0], found[2])


def test_pixels_of_any_range():
    """A model on [0, 255] trains as the same model after a Rescaling layer on [-1, 1]."""
    x, y = nets.data()
    pixels = np.round(127.5 * (x + 1)).astype(np.uint8)
    box = (pixels / 127.5 - 1).astype(np.float32)
    scaled = keras.Sequential(
        [keras.Input(nets.SHAPE), keras.layers.Rescaling(1 / 127.5, -1.0), nets.net()]
    )
    bounds = {"bounds": (0, 255)}
    ours = nets.compiled("minimax_grad", scaled, options=bounds, run_eagerly=True)
    theirs = nets.compiled("minimax_grad", run_eagerly=True)
    for model, images in ((ours, pixels), (theirs, box)):
        model.fit(images, y, batch_size=8, shuffle=False, verbose=0)
    # The image goes through two scales, 2^-24 relative each; Adam moves by 1e-2 a step.
    nets.same(ours.get_weights(), theirs.get_weights(), 1e-4)
    halves = mmtf.games.LWA(mmtf.ThreatModel(eta=0.15, box=(0.0, 1.0)))
    model = nets.compiled(halves, run_eagerly=True)
    model.fit((x + 1) / 2, y, verbose=0)
    with pytest.raises(ConfigError, match="either bounds"):
        mmtf.AdversarialModel(nets.net(), halves, bounds=(0, 255))
    given = mmtf.AdversarialModel(
        mmtf.Classifier(nets.net(), bounds=(0, 1)), mmtf.games.LWA(nets.THREAT)
    )
    assert given.classifier.bounds == (0, 1)


def test_warm_up_makes_the_radius_grow():
    x, y = nets.data()
    met = []

    class Watching(mmtf.games.MinimaxGrad):
        def objective(self, players, clean, perturbed, context):
            met.append(float(tf.reduce_max(tf.abs(perturbed.x - clean.x))))
            return super().objective(players, clean, perturbed, context)

    model = nets.compiled(Watching(nets.THREAT), options={"warmup_steps": 4}, run_eagerly=True)
    log = model.fit(x[:1], y[:1], epochs=6, verbose=0).history
    np.testing.assert_allclose(met, [0.075, 0.15, 0.225, 0.3, 0.3, 0.3], rtol=1e-5)
    # The penalty of Eq. 8 has eta as a factor: it grows, too.
    still = nets.compiled(
        mmtf.games.MinimaxGrad(nets.THREAT),
        options={"warmup_steps": 1000},
        optimizer="sgd",
        run_eagerly=True,
    )
    assert still.fit(x, y, verbose=0).history["sensitivity"][0] < 1e-2 * max(log["sensitivity"])


@pytest.mark.parametrize("name", ["adv_pgd", "minimax_attnet"])
def test_warm_up_of_other_attackers_stays_in_the_smaller_ball(name):
    x, y = nets.data()
    seen = []

    class Net(mmtf.Classifier):
        def __call__(self, z, training=False):
            seen.append(z)
            return super().__call__(z, training)

    model = nets.compiled(name, options={"warmup_steps": 10}, run_eagerly=True)
    inner = model.classifier.at(None)
    inner.__class__ = Net
    model.train_on_batch(x, y)
    sizes = [float(tf.reduce_max(tf.abs(z - x))) for z in seen]
    # 0.1 eta, and the rounding of a pixel of size 1.
    assert 0 < max(sizes) <= 0.03 + 1e-6


def test_games_in_rounds():
    x, y = nets.data()
    game = mmtf.games.AdvFGSM(nets.THREAT, rounds=2)
    with pytest.raises(ConfigError, match="epochs_per_round=k for AdvFGSM, .* 3 rounds"):
        mmtf.AdversarialModel(nets.net(), game)
    begun = []
    model = nets.compiled(game, options={"epochs_per_round": 2}, run_eagerly=True)
    begin = game.begin_round
    game.begin_round = lambda players, number: (begun.append(number), begin(players, number))
    model.fit(x, y, epochs=7, batch_size=20, verbose=0)
    assert begun == [1, 2]
    frozen = model.players.models["frozen"].get_weights()
    assert any((a != b).any() for a, b in zip(frozen, model.get_weights(), strict=True))


def test_moving_statistics_of_either_images():
    """Perturbed by default; of clean images on request: those of Keras' own training=True call."""
    x, y = nets.data()
    found = {}
    for statistics in ("perturbed", "clean"):
        normalization = keras.layers.BatchNormalization()
        model = nets.compiled(
            "lwa",
            nets.net(normalization),
            options={"statistics": statistics},
            optimizer=keras.optimizers.SGD(0.0),
            run_eagerly=True,
        )
        model.fit(x, y, batch_size=20, verbose=0)
        found[statistics] = np.array(normalization.moving_mean)
    plain = keras.layers.BatchNormalization()
    nets.net(plain)(x, training=True)
    nets.same([found["clean"]], [np.array(plain.moving_mean)], 1e-7)
    assert np.abs(found["perturbed"] - found["clean"]).max() > 1e-4


def test_the_plain_model_is_what_is_saved(tmp_path, capsys):
    x, y = nets.data()
    model = nets.compiled("minimax_attnet", nets.net(dropout=0.2), run_eagerly=True)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "plain.keras")
    with zipfile.ZipFile(tmp_path / "plain.keras") as file:
        config = file.read("config.json").decode()
    assert "mmtf" not in config and json.loads(config)["class_name"] == "Sequential"
    again = keras.saving.load_model(tmp_path / "plain.keras")
    nets.same([again.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    model.save_weights(tmp_path / "plain.weights.h5")
    other = nets.net(seed=5, dropout=0.2)
    other.load_weights(tmp_path / "plain.weights.h5")
    nets.same([other.predict(x, verbose=0)], [model.predict(x, verbose=0)])
    model.summary()
    assert "conv2d" in capsys.readouterr().out
    assert model.get_layer(index=0) is model.model.layers[0]
    with pytest.raises(ConfigError, match="model.save"):
        keras.models.clone_model(model)
    with pytest.raises(ConfigError, match="Expected the state of this game"):
        nets.compiled("lwa", nets.net(dropout=0.2)).load_weights(tmp_path / "plain.weights.h5")


def generator(x, y):
    yield x, y


WRONG_DATA = {
    "images of another range": (
        lambda x, y: (x + 1, y),
        r"pixels from -1 to 1; .* 0\.1\d* to 1\.[89]",
    ),
    "a dataset of another range": (
        lambda x, y: (tf.data.Dataset.from_tensor_slices((255 * x, y)).batch(5), None),
        "bounds",
    ),
    "a generator of another range": (
        lambda x, y: (generator(tf.constant(255 * x), tf.constant(y)), None),
        r"pixels from -1 to 1; .* Received: pixels from -\d",
    ),
    "images with NaN": (lambda x, y: (np.where(x > 0.5, np.nan, x), y), "pixels from nan"),
    "labels of three axes": (lambda x, y: (x, y[:, None, None]), r"labels as integers \[N\]"),
    "soft labels": (lambda x, y: (x, np.full([20, 3], 1 / 3, np.float32)), "one-hot labels"),
}


@pytest.mark.parametrize("case", list(WRONG_DATA))
def test_wrong_data_end_in_one_line(case):
    change, message = WRONG_DATA[case]
    x, y = change(*nets.data())
    with pytest.raises(ConfigError, match=message) as raised:
        nets.compiled().fit(x, y, verbose=0)
    assert "\n" not in str(raised.value)


def two_outputs():
    inputs = keras.Input(nets.SHAPE)
    flat = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)])


def any_size():
    layers = [keras.Input((None, None, 1)), keras.layers.Conv2D(4, 3)]
    return keras.Sequential([*layers, keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)])


def frozen():
    made = nets.net()
    made.trainable = False
    return made


def test_label_smoothing_is_that_of_the_min_step():
    """Of clean training: the mean cross-entropy with Keras' smoothed labels."""
    x, y = nets.data(12)
    model = nets.net()
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3)
    expected = float(loss(np.eye(nets.CLASSES)[y], model(x)))
    hard = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    clean = float(hard(y, model(x)))
    trained = nets.compiled("undefended", model, loss=loss)
    assert trained.evaluate(x, y, verbose=0) == pytest.approx(clean, rel=1e-5)
    history = trained.fit(x, y, batch_size=12, verbose=0).history
    assert history["risk"][0] == pytest.approx(expected, rel=1e-5)


CE = keras.losses.SparseCategoricalCrossentropy
SCALED = {"optimizer": keras.optimizers.SGD(0.1, loss_scale_factor=8.0)}
FGSM = mmtf.games.AdvFGSM(nets.THREAT, rounds=1)
EVERY = mmtf.games.MinimaxGrad(nets.THREAT, penalty_every=2)
SCHEDULE = keras.optimizers.schedules.CosineDecay(0.1, 10)


def union(attackers):
    return mmtf.games.Union(nets.THREAT, attackers=attackers)


def scaled():
    inner = keras.optimizers.Adam(0.1)
    return {"optimizer": keras.mixed_precision.LossScaleOptimizer(inner)}


REFUSED = {
    "loss by name": (lambda: {"loss": "sparse_categorical_crossentropy"}, "loss=None"),
    "probabilities": (lambda: {"loss": CE()}, "from_logits=True"),
    "hinge": (lambda: {"loss": keras.losses.Hinge()}, "hinge"),
    "not built": (lambda: {"model": keras.Sequential([keras.layers.Dense(3)])}, "built Keras"),
    "no model": (lambda: {"model": print}, "built Keras"),
    "no game": (lambda: {"game": 3}, "a game"),
    "two outputs": (lambda: {"model": two_outputs()}, "outputs?"),
    "nothing to train": (lambda: {"model": frozen()}, "weights to train"),
    "activity": (
        lambda: {"model": nets.net(keras.layers.ActivityRegularization(0.1))},
        "losses of its activations",
    ),
    "loss scale": (lambda: {"game": "minimax_attnet", **SCALED}, "loss scaling"),
    "rounds, scaled": (
        lambda: {"game": FGSM, "options": {"epochs_per_round": 1}, **SCALED},
        "starts it anew",
    ),
    "not in rounds": (lambda: {"options": {"epochs_per_round": 1}}, "games in rounds"),
    "warm-up": (lambda: {"options": {"warmup_steps": 1.5}}, "warmup_steps"),
    "any size": (
        lambda: {"game": "minimax_attnet", "model": any_size()},
        "one image size",
    ),
    "any size, union": (lambda: {"game": union("fgsm,mlp"), "model": any_size()}, "one image size"),
    "loss scale, union": (lambda: {"game": union("fgsm,mlp"), **scaled()}, "loss scaling"),
    "loss scale, union, awp": (
        lambda: {"game": mmtf.games.AWP(union("fgsm,mlp")), **scaled()},
        "loss scaling",
    ),
    "any size, best response": (
        lambda: {"game": mmtf.games.BestResponse(nets.THREAT), "model": any_size()},
        "one image size",
    ),
    "seed": (lambda: {"options": {"seed": 2**31}}, "seed"),
    "statistics": (lambda: {"options": {"statistics": "none"}}, "perturbed, clean"),
    "every": (
        lambda: {"game": EVERY, "model": nets.net(keras.layers.BatchNormalization())},
        "penalty_every=1",
    ),
    "every, awp": (
        lambda: {
            "game": mmtf.games.AWP(EVERY),
            "model": nets.net(keras.layers.BatchNormalization()),
        },
        "penalty_every=1",
    ),
    "a schedule's attacker": (
        lambda: {"game": "minimax_attnet", "optimizer": keras.optimizers.SGD(SCHEDULE)},
        "attacker_optimizer",
    ),
    "best response": (
        lambda: {"game": mmtf.games.BestResponse(nets.THREAT, net_options={"width": 8})},
        "trains others",
    ),
    "preprocessing": (
        lambda: {"model": mmtf.Classifier(nets.net(), preprocessing=tf.identity)},
        "a layer of the model",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_trained_is_refused_in_one_line(case):
    make, message = REFUSED[case]
    settings = make()
    with pytest.raises(ConfigError, match=message) as raised:
        nets.compiled(**settings)
    assert "\n" not in str(raised.value)


def test_a_union_of_computed_attackers_takes_models_of_any_size():
    x, y = nets.data()
    nets.compiled(union("fgsm,pgd"), any_size(), run_eagerly=True).fit(x, y, verbose=0)


def test_a_softmax_at_the_end_is_taken_off(capsys):
    x, y = nets.data()
    ours = nets.compiled(
        "minimax_grad",
        keras.Sequential([nets.net(), keras.layers.Softmax()]),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    assert "ends in a softmax" in capsys.readouterr().err
    theirs = nets.compiled("minimax_grad", metrics=["accuracy"], run_eagerly=True)
    for one in (ours, theirs):
        one.fit(x, y, verbose=0)
    nets.same(ours.get_weights(), theirs.get_weights(), 1e-6)
    assert ours.evaluate(x, y, verbose=0) == pytest.approx(theirs.evaluate(x, y, verbose=0))
    nets.same([ours.predict(x, verbose=0).sum(-1)], [np.ones(20)], 1e-6)  # as the model has it


def test_a_single_unit_is_two_classes():
    """Dense(1) and sigmoid: the logits [0, z], whose cross-entropy is the binary one."""
    x, y = nets.data()
    y = np.minimum(y, 1)
    model = keras.Sequential(
        [keras.Input(nets.SHAPE), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
    )
    right = float(keras.losses.BinaryCrossentropy()(y[:, None], model(x)))
    ours = nets.compiled("lwa", model, metrics=["accuracy"], run_eagerly=True)
    loss, accuracy = ours.evaluate(x, y, verbose=0)
    assert loss == pytest.approx(right, rel=1e-5)
    assert accuracy == pytest.approx(np.mean((np.asarray(model(x))[:, 0] > 0.5) == y))
    assert ours.fit(x, y[:, None], verbose=0).history["risk"][0] > 0


def test_nearest_resizing_under_a_penalty_is_named():
    x, y = nets.data()
    model = nets.net(keras.layers.Resizing(8, 8, interpolation="nearest"))
    nets.compiled("lwa", model, run_eagerly=True).fit(x, y, verbose=0)
    with pytest.raises(ConfigError, match="Resizing, bilinear"):
        nets.compiled("minimax_grad", model).fit(x, y, verbose=0)


def test_not_compiled():
    with pytest.raises(ConfigError, match="compile"):
        mmtf.AdversarialModel(nets.net(), mmtf.games.LWA(nets.THREAT)).fit(*nets.data())


def test_the_attackers_optimizer_is_an_argument():
    x, y = nets.data()
    own = keras.optimizers.SGD(0.5)
    model = nets.compiled("minimax_attnet", attacker_optimizer=own, run_eagerly=True)
    before = model.players.models["attacker"].get_weights()
    model.fit(x, y, verbose=0)
    assert int(own.iterations) == 1
    after = model.players.models["attacker"].get_weights()
    assert any((a != b).any() for a, b in itertools.zip_longest(before, after))
    ascent = nets.compiled("minimax_attnet", rate=1e-3).players.updaters["solver"].ascent
    assert float(ascent.learning_rate) == pytest.approx(1e-2)  # attacker_rate is 10


def test_clean_metrics_are_without_dropout_beside_clean_statistics():
    x, y = nets.data()
    model = nets.compiled(
        "lwa",
        nets.net(dropout=0.5),
        options={"clean_metrics": True, "statistics": "clean"},
        optimizer=keras.optimizers.SGD(0.0),
        metrics=[keras.metrics.SparseCategoricalCrossentropy(name="entropy", from_logits=True)],
        run_eagerly=True,
    )
    found = model.fit(x, y, batch_size=20, verbose=0).history["entropy"][0]
    right = model.evaluate(x, y, verbose=0, return_dict=True)["entropy"]
    assert found == pytest.approx(right, rel=1e-5)


def test_a_second_fit_does_not_begin_round_0():
    x, y = nets.data()
    game, begun = mmtf.games.AdvFGSM(nets.THREAT, rounds=1), []
    begin = game.begin_round
    game.begin_round = lambda players, number: (begun.append(number), begin(players, number))
    model = nets.compiled(game, options={"epochs_per_round": 1}, run_eagerly=True)
    for _ in range(2):
        model.fit(x, y, epochs=2, batch_size=20, verbose=0)
    assert begun == [1, 1]


def test_wrong_data_end_in_one_line_when_run_eagerly():
    x, _ = nets.data()
    with pytest.raises(ConfigError, match="one-hot labels.* 0.33") as raised:
        nets.compiled(run_eagerly=True).fit(x, np.full([20, 3], 1 / 3, np.float32), verbose=0)
    assert "\n" not in str(raised.value)


def test_labels_beyond_the_classes_end_in_one_line():
    x, y = nets.data()
    with pytest.raises(ConfigError, match="labels from 0 to 2. Received: labels from 1 to 3"):
        nets.compiled().fit(x, y + 1, verbose=0)


def test_a_class_of_a_game_and_one_number_as_bounds_are_refused():
    with pytest.raises(ConfigError, match="a game, as"):
        mmtf.AdversarialModel(nets.net(), mmtf.games.LWA)
    with pytest.raises(ConfigError, match="bounds = .low, high."):
        mmtf.AdversarialModel(nets.net(), mmtf.games.LWA(nets.THREAT), bounds=255)


def test_no_images_end_in_one_line():
    x, y = nets.data()
    with pytest.raises(ConfigError, match="at least one image"):
        nets.compiled().fit(x[:0], y[:0], verbose=0)
    with pytest.raises(ConfigError, match="at least one image"):
        nets.THREAT.require_images(x[:0])

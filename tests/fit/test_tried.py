"""What users of Keras combine with fit: each goes through training, and does what it says."""

import csv
import os

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.evaluation.runner import measure

PENALIZED = "minimax_grad"


def fitted(model, epochs=1, **options):
    x, y = nets.data()
    settings = {"batch_size": 8, "verbose": 0, "shuffle": False, **options}
    return model.fit(x, y, epochs=epochs, **settings)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "game", [PENALIZED, pytest.param("lwa", marks=SLOW), pytest.param("adv_pgd", marks=SLOW)]
)
def test_batch_normalization(game):
    model = nets.compiled(game, nets.net(keras.layers.BatchNormalization()), metrics=["accuracy"])
    log = fitted(model, epochs=6).history
    assert log["risk"][-1] < log["risk"][0]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    """Logits near float32's; float16 gets a LossScaleOptimizer, which leaves the step as it is."""
    extra = keras.layers.MaxPooling2D(dtype=policy)
    net = nets.net(extra, dtype=policy)
    game = mmtf.games.MinimaxGrad(nets.THREAT)
    model = mmtf.AdversarialModel(net, game)
    if policy == "mixed_float16":
        scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
        model.compile(scaled, run_eagerly=True)
    else:
        model.compile(keras.optimizers.SGD(0.1))
    full = nets.compiled(
        PENALIZED,
        nets.net(keras.layers.MaxPooling2D()),
        optimizer=keras.optimizers.SGD(0.1),
        run_eagerly=True,
    )
    ours, theirs = fitted(model).history, fitted(full).history
    # 8 and 11 bits of significand: 2^-8 of the logits, some of whose signs move pixels by eta.
    assert ours["risk"][0] == pytest.approx(theirs["risk"][0], rel=0.05)
    nets.same(model.get_weights(), full.get_weights(), 0.02)
    assert net.layers[0].compute_dtype == policy.removeprefix("mixed_")


def test_the_policy_of_the_model_asks_for_loss_scaling():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = nets.compiled(PENALIZED, nets.net(), run_eagerly=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    fitted(model)


def test_steps_per_execution_eager_and_graph_are_the_same():
    """20 examples in batches of 8: the last batch has 4."""
    found = []
    for how in ({}, {"steps_per_execution": 4}, {"run_eagerly": True}):
        model = nets.compiled(PENALIZED, nets.net(dropout=0.2), **how)
        losses = fitted(model, epochs=2).history["loss"]
        found.append([*model.get_weights(), losses])
    nets.same(found[0], found[1], 1e-6)
    nets.same(found[0], found[2], 1e-5)


def test_moving_averages_of_the_weights(tmp_path):
    """use_ema with SwapEMAWeights: what is saved at the end of an epoch is the average."""
    optimizer = keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5)
    model = nets.compiled(optimizer=optimizer)
    path = str(tmp_path / "averaged.keras")
    before = model.model.layers[-1].kernel.numpy()
    fitted(
        model,
        epochs=2,
        callbacks=[
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.ModelCheckpoint(path),
        ],
    )
    kept = keras.saving.load_model(path).layers[-1].kernel.numpy()
    nets.same([kept], [model.model.layers[-1].kernel.numpy()], 1e-7)
    assert np.abs(kept - before).max() > 1e-3


def test_gradient_accumulation():
    """Two batches of 10, accumulated, are one step of SGD on the mean of both."""
    x, y = nets.data()
    once = nets.compiled("undefended", optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    twice = nets.compiled(
        "undefended", optimizer=keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    )
    once.fit(x, y, batch_size=20, shuffle=False, verbose=0)
    twice.fit(x, y, batch_size=10, shuffle=False, verbose=0)
    nets.same(once.get_weights(), twice.get_weights(), 1e-6)


def test_adam_is_that_of_keras():
    """The fused kernel: plain steps of Keras' own Adam, AdamW with decay, clipping."""
    settings = {"learning_rate": 1e-2, "clipnorm": 0.1}
    for kind, more in (
        (keras.optimizers.Adam, {}),
        (keras.optimizers.AdamW, {"weight_decay": 0.1}),
    ):

        class Own(kind):
            """Of a class that mmtf does not know."""

        ours = nets.compiled(optimizer=kind(**settings, **more), run_eagerly=True)
        theirs = nets.compiled(optimizer=Own(**settings, **more), run_eagerly=True)
        fitted(ours), fitted(theirs)
        nets.same(ours.get_weights(), theirs.get_weights(), 1e-6)
        assert "update_step" not in vars(ours.optimizer)


def test_callbacks_of_keras(tmp_path):
    best = str(tmp_path / "best.keras")
    robust = mmtf.RobustAccuracy("fgsm", examples=10)
    model = nets.compiled(metrics=["accuracy"])
    history = fitted(
        model,
        epochs=3,
        validation_data=nets.data(10, seed=1),
        callbacks=[
            robust,
            keras.callbacks.ModelCheckpoint(
                best, monitor="val_robust_accuracy", mode="max", save_best_only=True
            ),
            keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
            keras.callbacks.TensorBoard(str(tmp_path / "tb"), histogram_freq=1),
            keras.callbacks.EarlyStopping(
                "val_robust_accuracy", mode="max", baseline=2.0, patience=1
            ),
            keras.callbacks.ReduceLROnPlateau("val_loss", patience=10),
        ],
    ).history
    assert len(history["loss"]) == 2  # 2.0 is never reached; Keras stops after two at the earliest
    with open(tmp_path / "log.csv") as file:
        logged = [float(row["val_robust_accuracy"]) for row in csv.DictReader(file)]
    assert logged == history["val_robust_accuracy"]
    assert os.listdir(tmp_path / "tb")
    again = keras.saving.load_model(best)
    assert isinstance(again, keras.Sequential) and type(again).__module__.startswith("keras")
    x, y = nets.data(10, seed=1)
    kept = measure(again, mmtf.attacks.FGSM(nets.THREAT), x, y, name="fgsm").robust_accuracy
    assert kept == max(history["val_robust_accuracy"])
    weights = str(tmp_path / "only.weights.h5")
    callback = keras.callbacks.ModelCheckpoint(weights, save_weights_only=True)
    fitted(model, callbacks=[callback])
    plain = nets.net(seed=9)
    plain.load_weights(weights)
    nets.same([plain(x)], [model(x)])


def test_export(tmp_path):
    model = nets.compiled()
    model.export(str(tmp_path / "served"), verbose=False)
    x, _ = nets.data()
    served = tf.saved_model.load(str(tmp_path / "served"))
    nets.same([served.serve(x)], [model(x)], 1e-6)


class Stop(keras.callbacks.Callback):
    """Fails at the end of an epoch, as a machine does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "game",
    ["minimax_attnet", pytest.param(PENALIZED, marks=SLOW), pytest.param("adv_fgsm", marks=SLOW)],
)
def test_backup_and_restore_goes_on_bitwise(game, tmp_path):
    """With dropout, Adam, random starts, an attack network or a frozen classifier, and a ramp."""
    options = {"warmup_steps": 10}

    def make():
        if game == "adv_fgsm":
            made = mmtf.games.AdvFGSM(nets.THREAT, rounds=1)
            return nets.compiled(made, nets.net(dropout=0.2), options={"epochs_per_round": 1})
        return nets.compiled(game, nets.net(dropout=0.2), options=options)

    def backup(**changes):
        return keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), **changes)

    straight = make()
    fitted(straight, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        fitted(make(), epochs=3, callbacks=[backup(), Stop(1)])
    resumed = make()
    log = fitted(resumed, epochs=3, callbacks=[backup(delete_checkpoint=False)]).history
    assert len(log["loss"]) == 1
    nets.same(resumed.get_weights(), straight.get_weights())
    assert not [name for name in os.listdir(tmp_path / "backup") if "partial" in name]
    # Resuming a finished run: no epoch is left, the history is empty, the weights are those.
    finished = make()
    assert fitted(finished, epochs=3, callbacks=[backup()]).history == {}
    nets.same(finished.get_weights(), straight.get_weights())


LAYERS = {
    "depthwise": lambda: [keras.layers.DepthwiseConv2D(3)],
    "separable": lambda: [keras.layers.SeparableConv2D(4, 3)],
    "transposed": lambda: [keras.layers.Conv2DTranspose(4, 3)],
    "grouped": lambda: [keras.layers.Conv2D(4, 3, groups=2)],
    "dilated": lambda: [keras.layers.Conv2D(4, 2, dilation_rate=2)],
    "strided": lambda: [keras.layers.Conv2D(4, 2, strides=2)],
    "batch norm": lambda: [keras.layers.BatchNormalization()],
    "layer norm": lambda: [keras.layers.LayerNormalization()],
    "group norm": lambda: [keras.layers.GroupNormalization(2)],
    "max pool": lambda: [keras.layers.MaxPooling2D()],
    "average pool": lambda: [keras.layers.AveragePooling2D(2)],
    "global max pool": lambda: [keras.layers.GlobalMaxPooling2D()],
    "global average pool": lambda: [keras.layers.GlobalAveragePooling2D()],
    "resize": lambda: [keras.layers.Resizing(8, 8)],
    "up-sampling": lambda: [keras.layers.UpSampling2D(interpolation="bilinear")],
    "lstm": lambda: [keras.layers.Reshape((4, 16)), keras.layers.LSTM(4)],
    "gru": lambda: [keras.layers.Reshape((4, 16)), keras.layers.GRU(4)],
    "attention": lambda: [keras.layers.Reshape((16, 4)), SelfAttention()],
    "gelu": lambda: [keras.layers.Activation("gelu")],
    "silu": lambda: [keras.layers.Activation("silu")],
    "softplus": lambda: [keras.layers.Activation("softplus")],
    "leaky relu": lambda: [keras.layers.LeakyReLU()],
    "elu": lambda: [keras.layers.ELU()],
    "spectral norm": lambda: [keras.layers.SpectralNormalization(keras.layers.Conv2D(4, 3))],
}


class SelfAttention(keras.layers.Layer):
    """Multi-head attention of a sequence to itself."""

    def __init__(self):
        super().__init__()
        self.attention = keras.layers.MultiHeadAttention(1, 4)

    def build(self, shape):
        self.attention.build(shape, shape)

    def call(self, inputs):
        return self.attention(inputs, inputs)


@pytest.mark.parametrize("kind", list(LAYERS))
def test_layers_have_the_derivatives_of_the_penalty(kind):
    """Every weight moves, by finite steps, under the penalty alone."""
    x, y = nets.data(6)
    model = nets.compiled(
        mmtf.games.MinimaxGrad(nets.THREAT, gamma=10.0),
        nets.net(*LAYERS[kind]()),
        optimizer=keras.optimizers.SGD(0.1),
        run_eagerly=True,
    )
    before = model.model.layers[0].kernel.numpy()
    log = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(log["sensitivity"]) and log["sensitivity"] > 0
    after = model.model.layers[0].kernel.numpy()
    assert np.isfinite(after).all() and np.abs(after - before).max() > 0


class Backbone(keras.Model):
    """A subclassed backbone with nested layers, as KerasHub's: images to features."""

    def __init__(self, width):
        super().__init__()
        self.stem = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)
        self.norm = keras.layers.BatchNormalization()
        self.blocks = [keras.layers.Conv2D(width, 3, padding="same") for _ in range(2)]

    def call(self, images, training=None):
        x = keras.ops.silu(self.norm(self.stem(images), training=training))
        for block in self.blocks:
            x = x + keras.ops.silu(block(x))
        return keras.ops.mean(x, (1, 2))


@keras.saving.register_keras_serializable("tests")
class ImageClassifier(keras.Model):
    """A classifier around it; its outputs are not those of a functional graph."""

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.backbone = Backbone(width)
        self.head = keras.layers.Dense(nets.CLASSES)

    def call(self, images, training=None):
        return self.head(self.backbone(images, training=training))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


@pytest.mark.parametrize("game", [PENALIZED, pytest.param("alt_attnet", marks=SLOW)])
def test_a_subclassed_backbone(game, tmp_path):
    x, y = nets.data()
    net = ImageClassifier()
    net(x[:1])
    model = nets.compiled(game, net, metrics=["accuracy"], run_eagerly=True)
    best = str(tmp_path / "best.keras")
    log = fitted(
        model,
        epochs=4,
        validation_data=(x, y),
        class_weight={0: 2.0},
        callbacks=[
            mmtf.RobustAccuracy("pgd", steps=2, examples=8),
            keras.callbacks.ModelCheckpoint(
                best, monitor="val_robust_accuracy", mode="max", save_best_only=True
            ),
        ],
    ).history
    assert log["risk"][-1] < log["risk"][0]
    assert isinstance(keras.saving.load_model(best), ImageClassifier)

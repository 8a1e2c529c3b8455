"""fit with jit_compile=True, and a network of keras.applications: minutes to compile."""

import keras
import nets
import numpy as np
import pytest

import mmtf


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_xla_gives_the_weights_of_the_kernels(policy):
    """With a max pool under nested tapes, whose bfloat16 form in XLA is mmtf's own."""
    x, y = nets.data()
    found = []
    for jit_compile in (False, True):
        model = nets.compiled(
            "minimax_grad",
            nets.net(keras.layers.MaxPooling2D(dtype=policy), dtype=policy),
            optimizer=keras.optimizers.SGD(0.1),
            metrics=["accuracy"],
            jit_compile=jit_compile,
        )
        assert model.jit_compile is jit_compile
        log = model.fit(x, y, batch_size=10, shuffle=False, verbose=0).history
        found.append([*model.get_weights(), log["risk"]])
    # 2^-8 of a bfloat16 activation; a changed sign of a gradient moves a pixel by 2 eta.
    nets.same(*found, 1e-5 if policy == "float32" else 2e-2)


@pytest.mark.slow
def test_mobilenet_under_the_penalty(tmp_path):
    """keras.applications end to end: depthwise convolutions, BatchNormalization, ReLU6."""
    random = np.random.default_rng(0)
    y = random.integers(0, 5, 16)
    x = random.uniform(-1, 1, [16, 96, 96, 3]).astype(np.float32)
    net = keras.applications.MobileNetV2(
        (96, 96, 3), alpha=0.35, weights=None, classes=5, classifier_activation=None
    )
    model = mmtf.AdversarialModel(net, mmtf.games.MinimaxGrad(nets.THREAT))
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    best = str(tmp_path / "best.keras")
    history = model.fit(
        x,
        y,
        batch_size=8,
        verbose=0,
        validation_data=(x, y),
        class_weight={0: 2.0},
        callbacks=[
            mmtf.RobustAccuracy("fgsm", examples=4),
            keras.callbacks.ModelCheckpoint(best, monitor="val_robust_accuracy", mode="max"),
        ],
    ).history
    assert np.isfinite(history["loss"]).all() and history["sensitivity"][0] > 0
    nets.same([keras.saving.load_model(best).predict(x, verbose=0)], [net.predict(x, verbose=0)])

"""Tiny nets and images for the tests of `fit`."""

import keras
import numpy as np

import mmtf

THREAT = mmtf.ThreatModel(eta=0.3)
CLASSES = 3
SHAPE = (6, 6, 1)


def data(count=20, seed=0):
    """Images in [-1, 1] whose mean tells the class, and int labels."""
    random = np.random.default_rng(seed)
    y = random.integers(0, CLASSES, count)
    x = random.uniform(-0.3, 0.3, [count, *SHAPE]) + 0.6 * (y - 1.0)[:, None, None, None]
    return x.astype(np.float32), y


def net(*extra, seed=0, dtype=None, dropout=0.0):
    """A convolution, `extra` layers, and logits in float32."""
    layers = [
        keras.Input(SHAPE),
        keras.layers.Conv2D(
            4,
            3,
            activation="relu",
            kernel_initializer=keras.initializers.HeNormal(seed),
            dtype=dtype,
        ),
        *extra,
        keras.layers.Flatten(dtype=dtype),
    ]
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=seed, dtype=dtype))
    last = keras.initializers.GlorotUniform(seed)
    layers.append(keras.layers.Dense(CLASSES, kernel_initializer=last, dtype="float32"))
    return keras.Sequential(layers)


def compiled(game="lwa", model=None, *, rate=1e-2, options=None, optimizer=None, **compiling):
    """An AdversarialModel of a game, its name or an instance, compiled."""
    if isinstance(game, str):
        settings = {"net_options": {"width": 8}} if "attnet" in game else {}
        game = mmtf.games.GAMES[game](THREAT, **settings)
    made = mmtf.AdversarialModel(model or net(), game, **(options or {}))
    made.compile(optimizer or keras.optimizers.Adam(rate), **compiling)
    return made


def same(ours, theirs, tolerance=0.0):
    """Asserts that two lists of arrays are equal, up to an absolute tolerance."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)

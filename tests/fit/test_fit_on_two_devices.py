"""fit under MirroredStrategy on two logical CPUs: the weights and logs of one device."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent

TWO_DEVICES = """
import sys
import numpy as np, keras, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
import nets, mmtf
from mmtf.errors import ConfigError

def strategy():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())

def fitted(scope, game, optimizer=None, synchronized=None, count=22, **compiling):
    extra = [] if synchronized is None else [
        keras.layers.BatchNormalization(synchronized=synchronized)]
    options = {"net_options": {"width": 8, "dropout": 0.0}} if "attnet" in game else {}
    with scope:
        optimizer = optimizer() if optimizer else keras.optimizers.Adam(1e-2)
        model = nets.compiled(mmtf.games.GAMES[game](nets.THREAT, **options), nets.net(*extra),
                              optimizer=optimizer, metrics=["accuracy"], **compiling)
    # Batches of 8, 8 and 6: each is divided in two.
    x, y = nets.data(count)
    log = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0,
                    class_weight={0: 2.0}, validation_data=(x, y),
                    callbacks=[mmtf.RobustAccuracy("fgsm", examples=8)]).history
    return model, log

import contextlib
for game, synchronized in [("minimax_grad", None), ("lwa", True), ("minimax_attnet", None)]:
    theirs, one = fitted(contextlib.nullcontext(), game, synchronized=synchronized)
    ours, two = fitted(strategy().scope(), game, synchronized=synchronized)
    # Adam divides by sqrt(v): sums in another order (2^-24) of gradients near 0 move a weight by a
    # share of the rate 1e-2, in each of 6 steps.
    nets.same(ours.get_weights(), theirs.get_weights(), 2e-5)
    assert set(one) == set(two)
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-5, err_msg=name)
    print("SAME", game)

def refused(text, *args, **kwargs):
    try:
        fitted(strategy().scope(), *args, **kwargs)
    except ConfigError as error:
        assert text in str(error) and "\\n" not in str(error), error
        print("REFUSED", text)

refused("jit_compile", "lwa", jit_compile=True)
refused("synchronized=True", "lwa", synchronized=False)
refused("without clipping", "lwa", lambda: keras.optimizers.SGD(0.1, clipnorm=1.0))
refused("accumulation", "lwa", lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2))
refused("each of the 2 replicas", "lwa", count=17)  # the last batch has a single example
model = nets.net()
try:
    with strategy().scope():
        nets.compiled("lwa", model)
except ConfigError as error:
    assert "inside strategy.scope()" in str(error)
    print("REFUSED outside")
"""


@pytest.mark.slow
def test_two_devices_give_the_weights_of_one():
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(HERE)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SAME") == 3 and done.stdout.count("REFUSED") == 6


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mmtf":
            raise ModuleNotFoundError("mmtf is not installed here")
sys.meta_path.insert(0, Block())
import numpy as np, keras
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
assert not [name for name in sys.modules if name.startswith("mmtf")]
"""


@pytest.mark.slow
def test_the_saved_model_loads_where_mmtf_is_not_installed(tmp_path):
    import keras
    import nets
    import numpy as np

    x, y = nets.data()
    best = str(tmp_path / "best.keras")
    model = nets.compiled("minimax_grad", nets.net(keras.layers.BatchNormalization(), dropout=0.2))
    model.fit(x, y, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(best)])
    np.save(tmp_path / "x.npy", x)
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, best, str(tmp_path / "out.npy"), str(tmp_path / "x.npy")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    nets.same([np.load(tmp_path / "out.npy")], [model.predict(x, verbose=0)])

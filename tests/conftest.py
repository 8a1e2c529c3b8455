"""Models with known answers, and a ball and a box checked without mmtf.

TensorFlow and what needs it are imported where they are used: the process of pytest-xdist that
hands out the tests, and for whose start all others wait, runs none.
"""

import gc
import os
import sys

# Of several processes of pytest-xdist each computes on its share of the cores, for threads that
# wait for one another's turn cost time. Set before NumPy and TensorFlow read it.
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
    share = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, str(max(share, 1)))

import numpy as np
import pytest
import two_replicas
from absl import flags

from mmtf.runtime import startup

# Files of more than ten seconds of a processor. They go first, so that at the end no process of
# pytest-xdist has long to do alone.
LONGEST = (
    "cli/test_run",
    "cli/test_evaluate",
    "training/test_xla",
    "test_docs",
    "training/test_two_workers",
    "test_extending",
    "scripts/paper/test_measuring",
    "test_network_runs",
    "games/test_models_as_they_come",
    "training/test_replicas",
    "test_readme",
    "training/test_loop",
)


def pytest_collectstart():
    """In a process that runs tests, before the first of their modules is imported."""
    if "tensorflow" not in sys.modules:
        gc.disable()  # until all is imported: what modules define is not garbage
        startup.import_tensorflow()  # as the commands do that tests start
        two_replicas.make_devices()


def pytest_collection_finish():
    """What was imported stays, and is not searched for garbage again and again.

    New objects are many, for each tensor of a graph has some: by default a search would follow on
    every 700 of them. A search of all that tests left would take half a minute late in the suite;
    with these numbers it does not come.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 100_000)
    gc.enable()


def pytest_collection_modifyitems(items):
    places = {f"tests/{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


class _Evaluated:
    """A classifier that insists on evaluation mode, as an attack must call it."""

    def __call__(self, x, training):
        assert training is False
        return self.logits(x)


class Linear(_Evaluated):
    """logits = flatten(x) @ weights + bias."""

    def __init__(self, weights, bias=0.0):
        self.weights = np.asarray(weights, np.float32)
        self.bias = np.asarray(bias, np.float32)

    def logits(self, x):
        import tensorflow as tf

        return tf.reshape(x, [-1, len(self.weights)]) @ self.weights + self.bias

    def logits64(self, x):
        """The same in NumPy and float64, for x of shape [..., H, W, C]."""
        x = np.asarray(x, np.float64)
        return x.reshape(*x.shape[:-3], -1) @ self.weights.astype(np.float64) + self.bias


class Smooth(_Evaluated):
    """A small tanh net: its gradients bend, and no ReLU or pool makes ties."""

    def __init__(self, seed=0, shape=(4, 4, 1), hidden=16, classes=3):
        rng = np.random.default_rng(seed)
        self.size = int(np.prod(shape))
        self.inner = rng.normal(0, 0.5, (self.size, hidden)).astype(np.float32)
        self.outer = rng.normal(0, 1.0, (hidden, classes)).astype(np.float32)

    def logits(self, x):
        import tensorflow as tf

        return tf.tanh(tf.reshape(x, [-1, self.size]) @ self.inner) @ self.outer


@pytest.fixture
def in_process(tmp_path, monkeypatch, capsys):
    """Makes, of a module of mmtf.cli, what calls its command in tmp_path.

    A call returns (exit status, stdout, stderr).
    """

    def of(command):
        values = flags.FlagValues()
        command.define_flags(values)
        monkeypatch.setattr(command, "FLAGS", values)
        monkeypatch.chdir(tmp_path)

        def call(*arguments):
            values.unparse_flags()
            status = command.main(values([command.__name__, *arguments]))
            return status, *capsys.readouterr()

        return call

    return of


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def linear():
    """Makes a Linear classifier."""
    return Linear


@pytest.fixture(scope="session")
def smooth():
    """A nonlinear classifier of 4x4x1 images in 3 classes."""
    return Smooth()


@pytest.fixture
def excess():
    """excess(z, x, threat): by how much an example leaves the ball or the box, float64 [N]."""

    def excess_of(z, x, threat):
        z, x = np.asarray(z, np.float64), np.asarray(x, np.float64)
        delta = (z - x).reshape(len(z), -1)
        order = {"linf": np.inf, "l2": 2, "l1": 1}[threat.norm]
        beyond_ball = np.linalg.norm(delta, order, axis=1) - threat.eta
        beyond_box = np.maximum(threat.box[0] - z, z - threat.box[1]).reshape(len(z), -1).max(1)
        assert np.isfinite(z).all()
        return np.maximum(beyond_ball, beyond_box)

    return excess_of


@pytest.fixture
def few_checks(monkeypatch):
    """Checks for masked gradients, most of a small evaluation's time, on fewer examples and steps.

    What they find is tested in tests/evaluation/test_gradient_masking.py.
    """
    from mmtf.evaluation import gradient_masking

    monkeypatch.setattr(gradient_masking, "EXAMPLES", 8)
    monkeypatch.setattr(gradient_masking, "MANY_STEPS", 12)


def _narrow(
    *,
    image_shape=(28, 28, 1),
    num_classes=10,
    init="keras",
    dropout=0.5,
    weight_decay=0.0,
    seed=0,
):
    import keras

    from mmtf.nets import strided

    assert init == "keras" and not weight_decay
    inner = strided.strided_cnn(
        image_shape=image_shape, num_classes=num_classes, width=16, hidden=100, seed=seed
    )
    *layers, logits = inner.layers
    dropped = keras.layers.Dropout(dropout, seed=seed)
    return keras.Sequential([keras.Input(image_shape), *layers, dropped, logits], name="mnist_cnn")


@pytest.fixture(scope="module")
def narrow_nets():
    """`narrow_net` for a whole module."""
    from mmtf.nets import mnist

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "mnist_cnn", _narrow)
        yield


@pytest.fixture
def narrow_net(monkeypatch):
    """The default net for digits, `mnist_cnn`, is a strided one of few channels with its arguments.

    For tests of what is around a net: most of the time of a small run is the net's arithmetic.
    """
    from mmtf.nets import mnist

    monkeypatch.setattr(mnist, "mnist_cnn", _narrow)


@pytest.fixture
def little_garbage():
    """gc.collect() searches what the test makes, not what other tests left: that takes a minute."""
    gc.freeze()


@pytest.fixture
def first_channels():
    """first_channels(): sets Keras' image_data_format to channels_first until the test ends."""
    import keras

    before = keras.config.image_data_format()
    yield lambda: keras.config.set_image_data_format("channels_first")
    keras.config.set_image_data_format(before)


@pytest.fixture
def make_dataset():
    """make_dataset(**changes): 10 training and 4 test images 2x3x1, every image another."""
    from mmtf.data import Dataset

    def make(**changes):
        images = np.arange(14 * 6, dtype=np.uint8).reshape(14, 2, 3, 1)
        labels = np.arange(14) % 3
        settings = {
            "name": "tiny",
            "train_images": images[:10],
            "train_labels": labels[:10],
            "test_images": images[10:],
            "test_labels": labels[10:],
            "num_classes": 3,
        }
        return Dataset(**{**settings, **changes})

    return make

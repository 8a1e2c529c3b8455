"""Exports, loaded by a process that cannot import mmtf."""

import errno
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.classifiers.export import save_keras, save_serving
from mmtf.data import standardize_per_image
from mmtf.errors import ConfigError
from mmtf.nets import NETS
from mmtf.storage.files import files_within

SHAPE = (8, 8, 1)
# Two float32 evaluations of one net in different graphs: sums in other orders, logits of order 1.
ATOL = 1e-5

PLAIN_USER = """
import importlib.abc
import sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mmtf":
            raise ImportError("mmtf must not be needed")

sys.meta_path.insert(0, Refuse())
try:
    import mmtf
    sys.exit("mmtf could be imported")
except ImportError:
    pass

import keras
import numpy as np
import tensorflow as tf

given = np.load("given.npz")
served = tf.saved_model.load("saved_model")
answer = served.signatures["serving_default"](images=tf.constant(given["raw"]))
single = served.signatures["serving_default"](images=tf.constant(given["raw"][:1]))
logits = served.signatures["logits"](images=tf.constant(given["scaled"]))["logits"]
kept = keras.models.load_model("classifier.keras")
np.savez(
    "answers.npz",
    label=answer["label"],
    probabilities=answer["probabilities"],
    single=single["probabilities"],
    logits=logits,
    keras=kept(given["scaled"], training=False),
    names=sorted(served.signatures),
)
"""


def classifier_of(seed):
    return NETS["mnist_cnn"](image_shape=SHAPE, num_classes=4, init="tutorial", seed=seed)


def logits_of(classifier, images):
    return classifier(images, training=False).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(classifier, raw images, inputs, what the plain process answered)."""
    folder = tmp_path_factory.mktemp("export")
    classifier = classifier_of(0)
    save_keras(classifier, str(folder / "classifier.keras"))
    save_serving(classifier, standardize_per_image, SHAPE, str(folder / "saved_model"))
    coarse = np.random.default_rng(0).integers(0, 256, (40, 2, 2, 1)).astype(np.uint8)
    raw = coarse.repeat(4, 1).repeat(4, 2)  # noise would be one class to an untrained net
    inputs = standardize_per_image(raw).numpy()
    np.savez(folder / "given.npz", raw=raw, scaled=inputs)
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN_USER], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "answers.npz") as answers:
        return classifier, raw, inputs, dict(answers)


def test_serving_default_takes_raw_pixels(exported):
    classifier, _, inputs, answers = exported
    logits = logits_of(classifier, inputs)
    np.testing.assert_array_equal(answers["label"], logits.argmax(1))
    assert answers["label"].dtype == np.int32
    assert len(set(answers["label"])) > 1
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    expected = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], expected, rtol=0, atol=ATOL)
    np.testing.assert_allclose(answers["single"], expected[:1], rtol=0, atol=ATOL)


def test_logits_take_scaled_images(exported):
    classifier, _, inputs, answers = exported
    logits = logits_of(classifier, inputs)
    assert np.abs(logits).max() < 50  # ATOL is for logits of this size
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-6, atol=ATOL)
    assert list(answers["names"]) == ["logits", "serving_default"]


def test_the_keras_file_needs_no_mmtf(exported):
    classifier, _, inputs, answers = exported
    np.testing.assert_allclose(
        answers["keras"], logits_of(classifier, inputs), rtol=1e-6, atol=ATOL
    )


def test_an_export_is_replaced(tmp_path):
    path, first, second = str(tmp_path / "saved_model"), classifier_of(0), classifier_of(1)
    images = np.random.default_rng(1).uniform(-1, 1, (3, *SHAPE)).astype(np.float32)
    for classifier in (first, second):
        save_serving(classifier, standardize_per_image, SHAPE, path)
        save_keras(classifier, str(tmp_path / "classifier.keras"))
    served = tf.saved_model.load(path)
    logits = served.signatures["logits"](images=tf.constant(images))["logits"]
    expected = logits_of(second, images)
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=ATOL)
    assert np.abs(expected - logits_of(first, images)).max() > 0.1
    again = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(logits_of(again, images), expected, rtol=1e-6, atol=ATOL)
    assert sorted(os.listdir(tmp_path)) == ["classifier.keras", "saved_model"]


def test_a_failed_export_leaves_the_old_one(tmp_path):
    path = tmp_path / "saved_model"
    save_serving(classifier_of(1), standardize_per_image, SHAPE, str(path))
    before = (path / "saved_model.pb").read_bytes()

    def broken(images):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        save_serving(classifier_of(0), broken, SHAPE, str(path))
    assert os.listdir(tmp_path) == ["saved_model"]
    assert (path / "saved_model.pb").read_bytes() == before


@pytest.mark.parametrize("left", [["variables"], []])
def test_what_a_kill_left_of_an_export_is_replaced(left, tmp_path):
    path = tmp_path / "saved_model"
    path.mkdir()
    for name in left:
        (path / name).mkdir()
    save_serving(classifier_of(0), standardize_per_image, SHAPE, str(path))
    assert "saved_model.pb" in os.listdir(path) and os.listdir(tmp_path) == ["saved_model"]


def test_a_disk_that_keeps_no_folders_in_step_will_do(tmp_path, monkeypatch):
    """Some network disks refuse to sync a folder; a file that cannot be synced is an error."""
    whole = os.fsync

    def refusing(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        whole(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    path = tmp_path / "saved_model"
    for _ in range(2):
        save_serving(classifier_of(0), standardize_per_image, SHAPE, str(path))
    assert "saved_model.pb" in os.listdir(path)

    def failing(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        save_serving(classifier_of(1), standardize_per_image, SHAPE, str(path))
    assert "saved_model.pb" in os.listdir(path) and os.listdir(tmp_path) == ["saved_model"]


def test_a_folder_of_other_things_is_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ConfigError, match="Expected a new folder, an empty one, or one with"):
            save_serving(classifier_of(0), standardize_per_image, SHAPE, str(path))
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("name", ["notes.txt", "assets/words.txt", "variables/mine.npy", "a/b"])
def test_nothing_beside_a_saved_model_is_deleted(name, tmp_path):
    path = tmp_path / "served"
    save_serving(classifier_of(0), standardize_per_image, SHAPE, str(path))
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_text("precious")
    before = (path / "saved_model.pb").read_bytes()
    with pytest.raises(ConfigError, match=f"served with {name}. Give another folder"):
        save_serving(classifier_of(1), standardize_per_image, SHAPE, str(path))
    assert (path / name).read_text() == "precious" and os.listdir(tmp_path) == ["served"]
    assert (path / "saved_model.pb").read_bytes() == before


def test_another_programs_saved_model_is_not_replaced(tmp_path):
    module = tf.Module()
    module.weight = tf.Variable(3.0)
    tf.saved_model.save(module, str(tmp_path / "served"))
    before = files_within(str(tmp_path))
    with pytest.raises(ConfigError, match="nothing but a SavedModel of mmtf"):
        save_serving(classifier_of(0), standardize_per_image, SHAPE, str(tmp_path / "served"))
    assert files_within(str(tmp_path)) == before


def test_what_comes_while_it_is_written_is_kept(tmp_path, monkeypatch):
    """A file that appears between the last check and the exchange of the folders."""
    path = tmp_path / "served"
    save_serving(classifier_of(0), standardize_per_image, SHAPE, str(path))
    whole = os.replace

    def replace(old, new):
        if str(old) == str(path):
            (path / "late.txt").write_text("precious")
        whole(old, new)

    monkeypatch.setattr(os, "replace", replace)
    save_serving(classifier_of(1), standardize_per_image, SHAPE, str(path))
    assert "late.txt" in [os.path.basename(name) for name in files_within(str(tmp_path))]


def test_a_link_to_a_saved_model_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "served")
    for seed in (0, 1):
        save_serving(classifier_of(seed), standardize_per_image, SHAPE, str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "served"]


def test_serving_is_float32_for_a_half_precision_model(tmp_path):
    model = keras.Sequential([keras.Input((1, 1, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2, use_bias=False, dtype="mixed_bfloat16"))
    model.set_weights([np.array([[1.0, 1.001]], np.float32)])  # 1.001 is 1 in bfloat16
    save_serving(model, standardize_per_image, (1, 1, 1), str(tmp_path / "saved_model"))
    served = tf.saved_model.load(str(tmp_path / "saved_model"))
    logits = served.signatures["logits"](images=tf.ones([1, 1, 1, 1]))["logits"]
    np.testing.assert_array_equal(logits, np.array([[1.0, 1.001]], np.float32))
    assert model.layers[-1].dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("shape", [(8, 8), "8x8x1", (8, 8, 0), 8])
def test_another_image_shape_is_refused(shape, tmp_path):
    with pytest.raises(ConfigError, match=r"image_shape as \(H, W, C\)"):
        save_serving(classifier_of(0), standardize_per_image, shape, str(tmp_path / "saved"))


def test_the_home_folder_is_found_and_a_missing_folder_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    save_keras(classifier_of(0), "~/mine.keras")
    assert (tmp_path / "mine.keras").is_file()
    with pytest.raises(ConfigError, match="a path in a folder that exists"):
        save_keras(classifier_of(0), "~/missing/mine.keras")
    with pytest.raises(ConfigError, match="a path in a folder that exists"):
        save_serving(classifier_of(0), standardize_per_image, SHAPE, "~/missing/saved")


def test_an_export_that_cannot_take_its_place_gives_it_back(tmp_path, monkeypatch):
    path, calls = str(tmp_path / "saved"), []
    save_serving(classifier_of(0), standardize_per_image, SHAPE, path)
    before, replace = files_within(path), os.replace

    def failing(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        save_serving(classifier_of(1), standardize_per_image, SHAPE, path)
    assert files_within(path) == before

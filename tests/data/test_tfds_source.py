"""Datasets of TensorFlow Datasets: prepared, absent, unknown, damaged."""

import pathlib
import shutil
import socket
import time
import types

import numpy as np
import pytest
import tensorflow as tf

from mmtf.data import DataError, NotPreparedError, load_data, tfds_source, to_unit_box
from mmtf.data.tfds_source import default_data_dir, load_tfds

FOLDER = pathlib.Path(default_data_dir()).expanduser() / "mnist"
needs_mnist = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no prepared MNIST in {FOLDER} (TFDS_DATA_DIR)"
)


@pytest.fixture
def no_network(monkeypatch):
    def fail(*given, **named):
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)


@pytest.fixture(scope="module")
def mnist():
    return load_data("mnist")


@needs_mnist
def test_mnist(mnist):
    assert mnist.train_images.shape == (60_000, 28, 28, 1)
    assert mnist.test_images.shape == (10_000, 28, 28, 1)
    assert mnist.train_images.dtype == np.uint8 and mnist.num_classes == 10
    # The counts of each digit in the official files.
    assert np.bincount(mnist.train_labels).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert np.bincount(mnist.test_labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    # The official training mean, 0.1307 on [0, 1].
    assert mnist.train_images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert mnist.note == "" and mnist.preprocess is to_unit_box


@needs_mnist
def test_two_loads_give_one_order(mnist):
    again = load_data("mnist")
    for name in ("train_images", "train_labels", "test_images", "test_labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mnist, name))


@needs_mnist
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_order_is_that_of_the_file(mnist, split):
    (path,) = FOLDER.glob(f"*/mnist-{split}.tfrecord-00000-of-00001")
    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    features["label"] = tf.io.FixedLenFeature([], tf.int64)
    images, labels = getattr(mnist, f"{split}_images"), getattr(mnist, f"{split}_labels")
    for number, record in enumerate(tf.data.TFRecordDataset(str(path)).take(40)):
        example = tf.io.parse_single_example(record, features)
        assert int(example["label"]) == labels[number]
        np.testing.assert_array_equal(tf.io.decode_png(example["image"]), images[number])


def test_an_unknown_name(tmp_path):
    with pytest.raises(DataError, match="knows by name. Received: 'no_such_data'") as caught:
        load_tfds("no_such_data", to_unit_box, str(tmp_path))
    assert not isinstance(caught.value, NotPreparedError)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
def test_not_prepared_and_no_network(tmp_path, no_network, name):
    began = time.monotonic()
    with pytest.raises(NotPreparedError, match=f"prepared dataset '{name}' in .*no network"):
        load_tfds(name, to_unit_box, str(tmp_path))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name, message", [("coco", "Received: image"), ("food101", "one size")])
def test_no_image_classification_of_one_size(tmp_path, no_network, name, message):
    with pytest.raises(DataError, match=message) as caught:
        load_tfds(name, to_unit_box, str(tmp_path))
    assert not isinstance(caught.value, NotPreparedError)


def test_images_of_more_than_8_bits_are_refused():
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16),
        "label": tfds.features.ClassLabel(num_classes=2),
    }
    builder = types.SimpleNamespace(info=types.SimpleNamespace(features=features))
    with pytest.raises(DataError, match="8 bits .*Received: uint16"):
        tfds_source._features(builder, "deep")


def mnist_without(tmp_path, *removed):
    """A copy of the prepared MNIST with links for its data files, all but those `removed`."""
    (version,) = FOLDER.iterdir()
    copy = tmp_path / "mnist" / version.name
    copy.mkdir(parents=True)
    for path in version.iterdir():
        if path.suffix == ".json":
            shutil.copy(path, copy)
        elif not any(split in path.name for split in removed):
            (copy / path.name).symlink_to(path)
    return copy


@needs_mnist
def test_a_folder_whose_data_were_taken_away_is_not_prepared(tmp_path, no_network):
    mnist_without(tmp_path, "test")
    with pytest.raises(NotPreparedError, match="no network"):
        load_tfds("mnist", to_unit_box, str(tmp_path))


@needs_mnist
def test_damaged_files_are_named(tmp_path, no_network):
    copy = mnist_without(tmp_path, "train")
    (path,) = FOLDER.glob("*/mnist-train.tfrecord*")
    with open(path, "rb") as source:
        (copy / path.name).write_bytes(source.read(100_000))
    with pytest.raises(DataError, match="readable files of 'mnist' in .*Delete that folder"):
        load_tfds("mnist", to_unit_box, str(tmp_path))


def test_a_failed_download_is_told(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def fail(*given, **named):
        raise tf.errors.UnavailableError(None, None, "no route\nsecond line")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **named: [])
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    message = r"Received: UnavailableError: no route\."
    with pytest.raises(NotPreparedError, match=message):
        load_tfds("mnist", to_unit_box, str(tmp_path))


def test_the_folder_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/somewhere")
    assert default_data_dir() == "/somewhere"
    for unset in ("", None):
        monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
        if unset is not None:
            monkeypatch.setenv("TFDS_DATA_DIR", unset)
        assert default_data_dir() == "~/tensorflow_datasets"


def test_a_partial_test_split_is_noted():
    assert tfds_source._note("cifar10", 1000) == "1,000 of the 10,000 official test images"
    assert tfds_source._note("cifar10:3.0.2", 1000) == tfds_source._note("cifar10", 1000)
    assert tfds_source._note("cifar10", 10_000) == tfds_source._note("other", 7) == ""

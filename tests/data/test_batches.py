"""Batches: every example once an epoch, and the same by every way."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.data import Batches, standardize_per_image, to_unit_box
from mmtf.errors import ConfigError


def dataset_of(make_dataset, size, **changes):
    """`size` raw images 3x3x1, all different, whose labels follow from them."""
    images = np.random.default_rng(0).integers(0, 256, (size, 3, 3, 1)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(size)
    settings = {
        "train_images": images,
        "train_labels": np.arange(size) % 3,
        "test_images": images[:1],
        "test_labels": [0],
    }
    return make_dataset(**{**settings, **changes})


def stream_of(batches, steps):
    return np.concatenate([batches.indices(step).numpy() for step in range(steps)])


@pytest.mark.parametrize("size", [1, 2, 10, 23])
@pytest.mark.parametrize("batch_size", [1, 3, 10, 16, 64])
def test_every_example_comes_once_an_epoch(make_dataset, size, batch_size):
    batches = Batches(dataset_of(make_dataset, size), batch_size=batch_size, seed=3)
    epochs = 4
    stream = stream_of(batches, -(-epochs * size // batch_size))[: epochs * size]
    for epoch in stream.reshape(epochs, size):
        assert sorted(epoch) == list(range(size))


def test_epochs_and_seeds_differ_in_order(make_dataset):
    data = dataset_of(make_dataset, 50)
    orders = [
        stream_of(Batches(data, batch_size=50, seed=seed), 3).reshape(3, 50) for seed in (0, 1, 2)
    ]
    # 9 orders of 50 examples; by chance two of them would agree with probability 36 / 50!.
    assert len({tuple(epoch) for order in orders for epoch in order}) == 9
    # A shuffle, not a shift: neighbors do not stay neighbors (50 * P = 1 expected each).
    for epoch in np.concatenate(orders):
        assert (np.diff(epoch) == 1).sum() < 10


def test_the_same_seed_gives_the_same_batches(make_dataset):
    data = dataset_of(make_dataset, 20)
    one, two = (Batches(data, batch_size=6, seed=5) for _ in range(2))
    np.testing.assert_array_equal(stream_of(one, 9), stream_of(two, 9))
    assert repr(one) == "Batches('tiny', batch_size=6, seed=5, in_memory=True)"


@pytest.mark.parametrize("step", [0, 7, 2**31 - 2])
def test_the_stream_does_not_depend_on_the_batch_size(make_dataset, step):
    """Also beyond 2^31 examples."""
    data = dataset_of(make_dataset, 23)
    large = Batches(data, batch_size=6, seed=1).indices(tf.constant(step, tf.int64))
    small = Batches(data, batch_size=3, seed=1)
    halves = [small.indices(tf.constant(2 * step + half, tf.int64)) for half in (0, 1)]
    np.testing.assert_array_equal(large, np.concatenate(halves))


def test_the_stream_does_not_start_again_after_32_bits(make_dataset):
    batches = Batches(dataset_of(make_dataset, 63), batch_size=64, seed=1)
    first, later = batches.indices(0).numpy(), batches.indices(2**26).numpy()  # position 2^32
    assert (first != later).any()


def test_neither_epochs_nor_seeds_repeat_after_8_bits(make_dataset):
    data = dataset_of(make_dataset, 50)
    orders = [Batches(data, batch_size=50, seed=seed).indices(0).numpy() for seed in (0, 256)]
    orders += [Batches(data, batch_size=50, seed=0).indices(epoch).numpy() for epoch in (256, 512)]
    assert len({tuple(order) for order in orders}) == 4


def test_a_slice_of_the_indices_is_part_of_the_whole(make_dataset):
    batches = Batches(dataset_of(make_dataset, 7), batch_size=12, seed=0)
    for step in range(5):
        whole = batches.indices(step).numpy()
        for start, count in ((0, 6), (6, 6), (3, 1), (11, 1), (2, 9)):
            part = batches.indices(step, start, count)
            np.testing.assert_array_equal(part, whole[start : start + count])


def test_indices_in_a_graph(make_dataset):
    batches = Batches(dataset_of(make_dataset, 7), batch_size=12, seed=0)
    in_graph = tf.function(lambda step: batches.indices(step, 1, 4))
    for step in (0, 3, 2**30):
        expected = batches.indices(step, 1, 4)
        np.testing.assert_array_equal(in_graph(tf.constant(step)), expected)


@pytest.mark.parametrize("preprocess", [to_unit_box, standardize_per_image])
def test_take(make_dataset, preprocess):
    data = dataset_of(make_dataset, 11, preprocess=preprocess)
    batches = Batches(data, batch_size=4, seed=0)
    images, labels = batches.take(tf.constant([3, 10, 3], tf.int64))
    np.testing.assert_array_equal(images, preprocess(data.train_images[[3, 10, 3]]))
    np.testing.assert_array_equal(labels, [0, 1, 0])
    assert (images.dtype, labels.dtype) == (tf.float32, tf.int32)


@pytest.mark.parametrize("kind", ["to_unit_box", "standardize_per_image", "float32"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_stream_equals_take_bitwise(make_dataset, replicas, kind):
    preprocess = standardize_per_image if kind == "standardize_per_image" else to_unit_box
    data = dataset_of(make_dataset, 11, preprocess=preprocess)
    if kind == "float32":
        data = dataset_of(
            make_dataset, 11, train_images=data.train()[0], test_images=data.test()[0]
        )
    memory = Batches(data, batch_size=8, seed=2, in_memory=True)
    files = Batches(data, batch_size=8, seed=2, in_memory=False)
    elements = list(files.stream(3, 9, replicas))
    assert len(elements) == 6 * replicas
    for step in range(3, 9):
        images, labels = memory.take(memory.indices(step))
        parts = elements[(step - 3) * replicas : (step - 2) * replicas]
        assert all(part.shape == (8 // replicas, 3, 3, 1) for part, _ in parts)
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), images)
        np.testing.assert_array_equal(np.concatenate([part for _, part in parts]), labels)


def test_stream_has_static_shapes(make_dataset):
    spec = Batches(dataset_of(make_dataset, 5), batch_size=4, seed=0).stream(0, 1, 2).element_spec
    assert (spec[0].shape, spec[0].dtype) == ((2, 3, 3, 1), tf.float32)
    assert (spec[1].shape, spec[1].dtype) == ((2,), tf.int32)


def test_large_data_are_not_put_in_memory(make_dataset, monkeypatch):
    data = dataset_of(make_dataset, 10)
    assert data.train_images.nbytes == 90
    for limit, in_memory in ((90, True), (89, False)):
        monkeypatch.setattr("mmtf.data.batches.MEMORY_LIMIT_BYTES", limit)
        assert Batches(data, batch_size=1, seed=0).in_memory is in_memory


def test_no_empty_batches(make_dataset):
    with pytest.raises(ConfigError, match="batch_size > 0"):
        Batches(dataset_of(make_dataset, 5), batch_size=0, seed=0)

"""Extra examples: their share of each batch, and that all come equally often."""

import numpy as np
import pytest

from mmtf.data import Batches, Dataset
from mmtf.data.errors import DataError
from mmtf.data.extra import with_extra


def dataset(size, first=0, dtype=np.uint8, classes=3):
    """Images of which each holds its own number."""
    images = np.zeros([size, 2, 2, 1], dtype)
    images[:, 0, 0, 0] = np.arange(first, first + size) / (1 if dtype == np.uint8 else 1000)
    labels = np.arange(size) % classes
    return Dataset(
        name="numbers",
        train_images=images,
        train_labels=labels,
        test_images=images[:1],
        test_labels=labels[:1],
        num_classes=classes,
    )


def batches(batch_size=10, share=0.3, own=23, extra=11, **options):
    both = with_extra(dataset(own), dataset(extra, 100))
    return Batches(both, batch_size=batch_size, seed=3, extra=extra, extra_share=share, **options)


@pytest.mark.parametrize("batch_size, share, count", [(10, 0.3, 3), (4, 0.01, 1), (4, 0.99, 3)])
def test_each_batch_has_the_share_and_every_example_comes_equally_often(batch_size, share, count):
    source = batches(batch_size, share)
    drawn = source.indices(0, 0, 60 * batch_size).numpy().reshape(60, batch_size)
    assert ((drawn >= source.size).sum(1) == count).all()
    for kind, size in ((drawn[drawn < 23], 23), (drawn[drawn >= 23] - 23, 11)):
        times = np.bincount(kind, minlength=size)
        assert len(times) == size and times.max() - times.min() <= 1


def test_the_places_of_extra_examples_differ_from_step_to_step():
    source = batches(own=900, extra=900)  # few epochs: each is drawn by operations of its own
    drawn = source.indices(0, 0, 2000).numpy().reshape(200, 10) >= source.size
    # Each place holds one in 200 draws of probability 0.3: 60, with a deviation of 6.5.
    assert (np.abs(drawn.sum(0) - 60) < 33).all()


def test_replicas_and_programs_draw_the_same():
    source = batches()
    drawn = np.concatenate([source.indices(step).numpy() for step in range(4, 9)])
    np.testing.assert_array_equal(source.indices(4, 0, 50), drawn)
    halves = [source.indices(4, 5 * replica, 5).numpy() for replica in range(2)]
    np.testing.assert_array_equal(np.concatenate(halves), drawn[:10])


def test_streamed_batches_are_the_same():
    kept, streamed = batches(), batches(in_memory=False)
    for step, (images, labels) in enumerate(streamed.stream(0, 3)):
        x, y = kept.take(kept.indices(step))
        np.testing.assert_array_equal(images, x)
        np.testing.assert_array_equal(labels, y)


def test_examples_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="uint8 2 x 2 x 1 in memory. Received: float32"):
        with_extra(dataset(4), dataset(4, dtype=np.float32))
    with pytest.raises(DataError, match="of the 3 classes"):
        with_extra(dataset(8), dataset(8, classes=5))

"""Batches as a pure function of (seed, step): what resumes a run bitwise, and 1 replica = many.

The training examples are one endless stream. Position p of the stream belongs to epoch p // n
and holds example shuffle_epoch(p % n), where shuffle_epoch is a seeded bijection of 0..n-1, so
every example comes once an epoch, no example is dropped, and nothing has to be checkpointed but
the step.
"""

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.errors import require

# Leaves room for activations on the smallest cards and machines in use.
MEMORY_LIMIT_BYTES = 4 * 2**30


class Batches:
    """Draws training batches, from device memory where the images fit, else by tf.data.

    Args:
      dataset: the training split is used.
      batch_size: examples in one global batch. > 0.
      seed: seed of the permutations, >= 0.
      in_memory: True or False to decide; None: in memory, as uint8, up to 4 GiB of images.
      weights: float32 [size], a weight for each training example; None: batches have no weights.

    Attributes:
      size: training examples, those of an epoch.

    Both ways give the same batches for the same seed, whatever the number of replicas.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        in_memory: bool | None = None,
        weights: np.ndarray | None = None,
    ):
        require(batch_size > 0, "batch_size > 0", batch_size)
        self.batch_size = batch_size
        self.seed = seed
        self.image_shape = dataset.image_shape
        self.num_classes = dataset.num_classes
        self._dataset = dataset
        self.size = len(dataset.train_images)
        if in_memory is None:
            in_memory = dataset.train_images.nbytes <= MEMORY_LIMIT_BYTES
        self.in_memory = in_memory
        self._weights = weights
        if in_memory:
            # Variables, so that a strategy's scope puts one copy on each of its devices.
            self._images = tf.Variable(dataset.train_images, trainable=False)
            # int64, for TensorFlow keeps int32 variables off GPUs.
            self._labels = tf.Variable(dataset.train_labels.astype(np.int64), trainable=False)
            if weights is not None:
                self._weights = tf.Variable(weights, trainable=False)

    def __repr__(self) -> str:
        return (
            f"Batches({self._dataset.name!r}, batch_size={self.batch_size}, seed={self.seed}, "
            f"in_memory={self.in_memory})"
        )

    def indices(
        self, step: int | tf.Tensor, start: int | tf.Tensor = 0, count: int | None = None
    ) -> tf.Tensor:
        """Which training examples a step reads, int64 [count].

        Args:
          step: of training, >= 0.
          start: the first position in the step's batch that is asked for.
          count: how many; None: a whole batch.
        """
        count = self.batch_size if count is None else count
        first = tf.cast(step, tf.int64) * self.batch_size + tf.cast(start, tf.int64)
        positions = first + tf.range(count, dtype=tf.int64)
        epochs, offsets = positions // self.size, positions % self.size
        # A batch no larger than the data touches two epochs at most.
        spans = 1 + -(-count // self.size)
        shuffled = self._shuffle(offsets, epochs[0])
        for later in range(1, spans):
            epoch = epochs[0] + later
            shuffled = tf.where(epochs == epoch, self._shuffle(offsets, epoch), shuffled)
        return shuffled

    def _shuffle(self, offsets: tf.Tensor, epoch: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        # Hashed, for index_shuffle reads no more than the low bits of each word of its seed.
        seed = tf.random.stateless_uniform([2], key, minval=None, maxval=None, dtype=tf.int32)
        with tf.device("CPU:0"):  # the only kernel there is
            return tf.random.experimental.index_shuffle(offsets, seed, self.size - 1)

    def take(self, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """(images, labels) at `indices`, from memory: float32 [n, H, W, C] in [-1, 1], int32.

        With weights, (images, labels, weights).
        """
        images = self._dataset.inputs(tf.gather(self._images, indices))
        labels = tf.cast(tf.gather(self._labels, indices), tf.int32)
        if self._weights is None:
            return images, labels
        return images, labels, tf.gather(self._weights, indices)

    def stream(
        self,
        first_step: int,
        last_step: int,
        replicas: int = 1,
        first_replica: int = 0,
        local: int | None = None,
    ) -> tf.data.Dataset:
        """A tf.data pipeline of the same batches: per step, one element for each replica.

        Args:
          first_step, last_step: from the first, up to but not including the last.
          replicas: among which a global batch is divided.
          first_replica, local: the pipeline feeds `local` replicas from this one on; by default
            all of them.
        """
        share = self.batch_size // replicas
        local = replicas if local is None else local

        def indices_of(position):
            replica = first_replica + position % local
            return self.indices(position // local, replica * share, share)

        columns = [self._dataset.train_images, self._dataset.train_labels]
        if self._weights is not None:
            columns.append(self._weights)

        def read(indices):
            rows = indices.numpy()
            return [column[rows] for column in columns]

        def load(indices):
            values = tf.py_function(read, [indices], [column.dtype for column in columns])
            for value, column in zip(values, columns, strict=True):
                value.set_shape([share, *column.shape[1:]])
            return self._dataset.inputs(values[0]), *values[1:]

        positions = tf.data.Dataset.range(first_step * local, last_step * local)
        return positions.map(indices_of).map(load, num_parallel_calls=2).prefetch(2 * local)

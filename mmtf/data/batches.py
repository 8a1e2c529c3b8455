"""Batches as a pure function of (seed, step): what resumes a run bitwise, and 1 replica = many.

The training examples are one endless stream. Position p of the stream belongs to epoch p // n
and holds example shuffle_epoch(p % n), where shuffle_epoch is a seeded bijection of 0..n-1, so
every example comes once an epoch, no example is dropped, and nothing has to be checkpointed but
the step. Of a tf.data pipeline, which has no example p, the stream is that of
`PipelineImages.stream`, as much a function of (seed, p) as the pipeline itself.
"""

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.data.image_files import ImageFiles
from mmtf.data.pipelines import PipelineImages
from mmtf.data.sources import MEMORY_LIMIT_BYTES, ImageSource
from mmtf.errors import require


class Batches:
    """Draws training batches, from device memory where the images fit, else by tf.data.

    Args:
      dataset: the training split is used.
      batch_size: examples in one global batch. > 0.
      seed: seed of the permutations, >= 0.
      in_memory: True or False to decide; None: in memory, as uint8, up to 4 GiB of images. A
        dataset that streams is not kept in memory.
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
        streams = isinstance(dataset.train_images, ImageSource)
        require(
            not (streams and in_memory),
            "in_memory=None or False with a dataset that streams; give in_memory=True to the "
            "function that loads it",
            in_memory,
        )
        if in_memory is None:
            in_memory = not streams and dataset.train_images.nbytes <= MEMORY_LIMIT_BYTES
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
        local = replicas if local is None else local
        images = self._dataset.train_images
        if isinstance(images, PipelineImages):
            batches = self._of_pipeline(images, first_step, replicas, first_replica, local)
            return batches.take((last_step - first_step) * local).prefetch(2 * local)
        share = self.batch_size // replicas

        def indices_of(position):
            replica = first_replica + position % local
            return self.indices(position // local, replica * share, share)

        positions = tf.data.Dataset.range(first_step * local, last_step * local)
        rows = positions.map(indices_of)
        batches = self._of_files(images, rows, share) if isinstance(images, ImageFiles) else None
        return (batches or self._of_array(rows, share)).prefetch(2 * local)

    def _of_array(self, rows, share):
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
            return self._inputs(*values)

        return rows.map(load, num_parallel_calls=2)

    def _of_files(self, images, rows, share):
        paths, columns = tf.constant(images.paths), [tf.constant(self._dataset.train_labels)]
        if self._weights is not None:
            columns.append(tf.constant(self._weights))

        def load(row):
            values = (tf.gather(column, row) for column in columns)
            return images.load(tf.gather(paths, row)), *values

        examples = rows.unbatch().map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.batch(share, drop_remainder=True).map(self._inputs)

    def _of_pipeline(self, images, first_step, replicas, first_replica, local):
        """Batches of the replicas in turn; of all of them, if not all are fed, the own ones."""
        examples = images.stream(self.seed, first_step * self.batch_size, self._weights)
        batches = examples.batch(self.batch_size // replicas, drop_remainder=True)
        if local < replicas:
            mine = tf.range(first_replica, first_replica + local, dtype=tf.int64)
            own = batches.enumerate().filter(
                lambda number, _: tf.reduce_any(number % replicas == mine)
            )
            batches = own.map(lambda _, batch: batch)
        return batches.map(self._inputs)

    def _inputs(self, images, *others):
        return self._dataset.inputs(images), *others

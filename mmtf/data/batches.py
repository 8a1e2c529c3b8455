"""Training batches that depend only on the seed and the step.

A resumed run therefore sees the same batches, and any number of replicas together see the same
global batch. With n training examples, position p of the endless stream of examples belongs to
epoch p // n and holds example shuffle_epoch(p % n), where shuffle_epoch is a seeded permutation of
0, ..., n - 1. Step s reads the positions s * batch_size to (s + 1) * batch_size - 1: every example
is read once per epoch, and a checkpoint needs no state but the step. For a tf.data pipeline, which
cannot be read at any position, the stream is that of `PipelineImages.stream`.
"""

import numpy as np
import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.data.image_files import ImageFiles
from mmtf.data.pipelines import PipelineImages
from mmtf.data.sources import MEMORY_LIMIT_BYTES, ImageSource
from mmtf.errors import require, require_int
from mmtf.schedule import EXTRA_SHARE


class Batches:
    """Batches of a dataset's training split, from device memory or through tf.data.

    Both sources give the same batches for the same seed, whatever the number of replicas.

    Args:
      dataset: its training split is used.
      batch_size: examples per step, summed over all replicas, > 0.
      seed: seed of the permutations, >= 0.
      in_memory: whether the images are kept in device memory in the dataset's own type (`take`)
        instead of being read through tf.data (`stream`). None: if they have at most 4 GiB. A
        dataset that streams cannot be kept in memory.
      weights: float32, a weight for each training example, extra ones included; None: batches have
        no weights.
      extra: number of the dataset's last training examples that are extra ones (`with_extra`). They
        are a stream of their own, of which each batch holds a share.
      extra_share: that share, in (0, 1), rounded to whole examples of a batch; at least one example
        of each kind. Which positions of a batch they take is random.

    Attributes:
      size: number of training examples without the extra ones, which is the length of an epoch.

    Raises:
      ConfigError: batch_size is not positive, or too small to be shared.

    Example:
      >>> from mmtf.data import load_digits
      >>> batches = Batches(load_digits(), batch_size=32, seed=0)
      >>> images, labels = batches.take(batches.indices(step=0))
      >>> images.shape, labels.shape
      (TensorShape([32, 28, 28, 1]), TensorShape([32]))
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        batch_size: int,
        seed: int,
        in_memory: bool | None = None,
        weights: np.ndarray | None = None,
        extra: int = 0,
        extra_share: float = EXTRA_SHARE,
    ):
        require_int("batch_size", batch_size, at_least=2 if extra else 1)
        self.batch_size = batch_size
        self.seed = seed
        self.image_shape = dataset.image_shape
        self.num_classes = dataset.num_classes
        self._dataset = dataset
        self.size = len(dataset.train_images) - extra
        self._extra, self._extras = extra, 0  # how many there are, and in a batch
        if extra:
            self._extras = min(max(round(extra_share * batch_size), 1), batch_size - 1)
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
            # A strategy's scope places one copy of a variable on each of its devices.
            self._images = tf.Variable(dataset.train_images, trainable=False)
            # int64: TensorFlow places int32 variables on the CPU.
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
        """Indices of the training examples of a step: int64 [count], in [0, size).

        Args:
          step: number of the training step, >= 0.
          start: first position within the batch of the step, >= 0; positions from batch_size on
            are those of later steps.
          count: number of positions; None: batch_size.

        Returns:
          int64 [count]; extra examples have the indices from `size` on.
        """
        count = self.batch_size if count is None else count
        first = tf.cast(step, tf.int64) * self.batch_size + tf.cast(start, tf.int64)
        positions = first + tf.range(count, dtype=tf.int64)
        if not self._extra:
            return self._stream_at(positions, first, count, self.size)
        steps, slots = positions // self.batch_size, self._slots(positions)
        extras, own = self._extras, self.batch_size - self._extras
        begin, most = first // self.batch_size, count + self.batch_size
        extra = self._stream_at(steps * extras + slots - own, begin * extras, most, self._extra)
        ours = self._stream_at(steps * own + slots, begin * own, most, self.size)
        return tf.where(slots < own, ours, self.size + extra)

    def _stream_at(self, positions, first, count, size):
        """Indices at positions in [first, first + count) of an endless stream of `size` examples.

        Positions outside of that range give any index.
        """
        epochs, offsets = positions // size, positions % size
        # `count` consecutive positions lie in at most 1 + ceil(count / size) epochs.
        spans = 1 + -(-count // size)
        shuffled = self._shuffle(offsets, first // size, size)
        for later in range(1, spans):
            epoch = first // size + later
            shuffled = tf.where(epochs == epoch, self._shuffle(offsets, epoch, size), shuffled)
        return shuffled

    def _shuffle(self, offsets, epoch, size):
        key = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        # Hashed because index_shuffle uses only the low bits of each word of its seed.
        seed = tf.random.stateless_uniform([2], key, minval=None, maxval=None, dtype=tf.int32)
        with tf.device("CPU:0"):  # index_shuffle has a CPU kernel only
            return tf.random.experimental.index_shuffle(offsets, seed, size - 1)

    def _slots(self, positions):
        """Places of the positions in their batches, shuffled by a permutation of each step.

        Without it a game that treats every second example alike would meet one kind only.
        """
        steps = positions // self.batch_size
        words = [tf.fill(tf.shape(steps), tf.constant(self.seed, tf.int64)), steps, steps // 2**16]
        with tf.device("CPU:0"):
            return tf.raw_ops.RandomIndexShuffle(
                index=positions % self.batch_size,
                seed=tf.stack(words, 1),
                max_index=tf.constant(self.batch_size - 1, tf.int64),
                rounds=4,
            )

    def take(self, indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The training examples at `indices`, if the images are in device memory (`in_memory`).

        Args:
          indices: int64 [n], in [0, size).

        Returns:
          (images, labels): float32 [n, H, W, C] in [-1, 1] and int32 [n]; with weights, also their
          float32 [n].
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
        """A tf.data pipeline of the batches of several steps, divided among replicas.

        Each element is (images, labels) of one step and replica, of batch_size // replicas
        examples. The elements of a step follow one another, in the order of the replicas.

        Args:
          first_step, last_step: the steps first_step, ..., last_step - 1.
          replicas: number of replicas that share a batch; it divides batch_size.
          first_replica, local: the pipeline has the elements of the replicas first_replica, ...,
            first_replica + local - 1 only. None: local = replicas.
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
        if isinstance(images, ImageFiles):
            return self._of_files(images, rows, share).prefetch(2 * local)
        return self._of_array(rows, share).prefetch(2 * local)

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

"""The worker processes of a training run: the chief, common decisions, loss of a worker."""

import contextlib
import json
import signal
import threading
import zlib
from collections.abc import Iterator

import tensorflow as tf

from mmtf.errors import ConfigError, RunError

# TensorFlow reports a lost peer of a collective operation by these types or by this text.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
ABORTED = "Collective ops is aborted by: "


class WorkerLost(RunError):
    """Another worker of the run died or exited; the message says how to continue."""


class Workers:
    """The workers (processes) of a strategy; one unless it is a MultiWorkerMirroredStrategy.

    Every worker runs the same program. The methods below are collective: all workers call them in
    the same order. With one worker they do nothing.

    Args:
      strategy: the tf.distribute strategy; None: one worker.

    Attributes:
      count: number of workers.
      index: index of this worker.
      chief: whether this is worker 0, the only one that writes files.

    >>> alone = Workers()
    >>> alone.count, alone.chief, alone.share([3, 4])
    (1, True, [[3, 4]])
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None):
        self.count, self.index = 1, 0
        self._strategy: tf.distribute.Strategy = strategy or tf.distribute.get_strategy()
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            resolver = strategy.cluster_resolver
            jobs = resolver.cluster_spec().as_dict()
            chiefs = len(jobs.get("chief", ()))
            self.count = chiefs + len(jobs.get("worker", ())) or 1
            self.index = (resolver.task_id or 0) + (chiefs if resolver.task_type == "worker" else 0)
        self.chief = self.index == 0
        self._shared = tf.function(self._all_rows, autograph=False)

    def share(self, values: list) -> list[list]:
        """The `values` of every worker, a list for each.

        Args:
          values: numbers that float32 represents exactly; equally many on every worker.
        """
        if self.count == 1:
            return [values]
        with self.guard():
            rows = self._shared(tf.constant(values, tf.float32)).numpy()
        return rows[:: len(rows) // self.count].tolist()

    def agree(
        self, due: bool, number: int | None, seconds: float
    ) -> tuple[bool, int | None, float]:
        """Makes decisions the same on all workers, whose clocks and signals differ.

        Args:
          due: whether a checkpoint is due.
          number: number of the signal that this worker received; None: no signal.
          seconds: time per step.

        Returns:
          (the chief's `due`, the largest signal number of all workers or None, the chief's
          `seconds`).
        """
        if self.count == 1:
            return due, number, seconds
        rows = self.share([due, number or 0, seconds])
        number = int(max(row[1] for row in rows))
        return bool(rows[0][0]), number or None, rows[0][2]

    def require_same(self, values: dict, advice: str) -> None:
        """Raises ConfigError on all workers if their values differ.

        Args:
          values: JSON values by name.
          advice: last sentence of the error message.
        """
        if self.count == 1:
            return
        sums = [zlib.crc32(json.dumps(one, sort_keys=True).encode()) for one in values.values()]
        # Each checksum of 32 bits as two halves, since float32 represents 24 bits exactly.
        rows = self.share([half for one in sums for half in divmod(one, 2**16)])
        chief = rows[0]
        others = [f"worker {index}" for index, row in enumerate(rows) if row != chief]
        if not others:
            return
        pairs = {name: slice(2 * at, 2 * at + 2) for at, name in enumerate(values)}
        differ = [name for name, at in pairs.items() if any(row[at] != chief[at] for row in rows)]
        here = ", ".join(f"{name} {_short(values[name])}" for name in differ)
        raise ConfigError(
            f"Expected the same {', '.join(differ)} on all {self.count} workers. Received another "
            f"than the chief's on {', '.join(others)} (here, worker {self.index}: {here}). {advice}"
        )

    def wait(self) -> None:
        """Blocks until all workers have called it.

        Workers other than the chief must have finished their work: after this call a signal ends
        them at once, since no Python handler runs while TensorFlow waits.
        """
        if not self.chief and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
        self.share([0])

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Context manager: turns TensorFlow's errors about a lost peer into WorkerLost."""
        try:
            yield
        except tf.errors.OpError as error:
            text = str(error).strip()
            if self.count == 1 or not (isinstance(error, LOST) or ABORTED in text):
                raise
            # The text before ABORTED is the traceback of this package.
            reason = (text.partition(ABORTED)[2] or text).splitlines()[0][:160]
            raise WorkerLost(
                f"Worker {self.index} of {self.count} stops, because another worker is gone "
                f"({type(error).__name__}: {reason}). See its output, then start all "
                "workers again with the same command: they resume from the chief's last checkpoint."
            ) from error

    def _all_rows(self, values):
        replicas = self._strategy.num_replicas_in_sync

        def put():
            context = tf.distribute.get_replica_context()
            own = tf.one_hot(context.replica_id_in_sync_group, replicas)
            table = own[:, None] * values[None, :]
            return context.all_reduce(tf.distribute.ReduceOp.SUM, table)

        return self._strategy.experimental_local_results(self._strategy.run(put))[0]


def _short(value):
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Many training steps in one graph: a TensorFlow loop, or XLA programs of many steps each.

Both loops carry the sums of the metrics and the first bad step: the first step whose risk was not
finite, or -1.
"""

from collections.abc import Callable, Iterable

import tensorflow as tf

from mmtf.data.batches import Batches

# Maximum number of steps in an XLA program; batches are drawn for all of them, needed or not.
PROGRAM_STEPS = 500

Metrics = dict[str, tf.Tensor]


def start(names: Iterable[str]) -> tuple[Metrics, tf.Tensor]:
    """The initial loop state: (sums of the metrics, first bad step)."""
    return {name: tf.constant(0.0) for name in names}, tf.constant(-1)


def loop(
    play: Callable[[tf.Tensor], tuple[Metrics, tf.Tensor]],
    first: tf.Tensor,
    count: tf.Tensor,
    totals: Metrics,
    bad: tf.Tensor,
) -> tuple[Metrics, tf.Tensor]:
    """Takes steps first, ..., first + count - 1 in a TensorFlow loop.

    Args:
      play: play(step) takes a step and returns (metrics, whether the risk is not finite).
      first: number of the first step, int32 scalar.
      count: number of steps, int32 scalar.
      totals: sums of the metrics so far.
      bad: first bad step so far.

    Returns:
      (totals, bad) after these steps.
    """

    def body(step, totals, bad):
        metrics, broken = play(step)
        totals = {name: totals[name] + metrics[name] for name in totals}
        return step + 1, totals, tf.where(broken & (bad < 0), step, bad)

    _, totals, bad = tf.while_loop(
        lambda step, *_: step < first + count, body, (first, totals, bad)
    )
    return totals, bad


def takes_programs(jit_compile: bool, in_memory: bool) -> bool:
    """Whether an XLA program takes many steps: on GPUs, where every call of a program costs time.

    XLA's loops are slow on CPUs. The batches of a program are drawn before it starts, so they must
    be in memory.

    Args:
      jit_compile: whether XLA compiles the steps.
      in_memory: whether the batches come from memory.
    """
    return jit_compile and in_memory and bool(tf.config.list_logical_devices("GPU"))


class Programs:
    """The loop of `loop` as calls of an XLA program of at most PROGRAM_STEPS steps, compiled once.

    Args:
      play: play(step, number, batch) takes a step of round `number`, see `loop`.
      batches: in memory.
    """

    def __init__(self, play: Callable[..., tuple[Metrics, tf.Tensor]], batches: Batches):
        self._play, self._batches = play, batches
        self._program = tf.function(self._steps, autograph=False, jit_compile=True)

    def run(
        self,
        first: tf.Tensor,
        count: tf.Tensor,
        number: tf.Tensor,
        totals: Metrics,
        bad: tf.Tensor,
    ) -> tuple[Metrics, tf.Tensor]:
        """Takes steps first, ..., first + count - 1 of round `number`; see `loop`."""
        last, batch = first + count, self._batches.batch_size
        longest = max(min(self._batches.size // batch, PROGRAM_STEPS), 1)

        def body(step, totals, bad):
            # Drawn outside the program, since XLA lacks the operation, and for all steps at once,
            # so that the host does no work between steps.
            drawn = self._batches.indices(step, 0, longest * batch)
            table = tf.cast(tf.reshape(drawn, [longest, batch]), tf.int32)
            steps = tf.minimum(last - step, longest)
            totals, bad = self._program(table, step, steps, number, totals, bad)
            return step + steps, totals, bad

        _, totals, bad = tf.while_loop(lambda step, *_: step < last, body, (first, totals, bad))
        return totals, bad

    def _steps(self, table, first, count, number, totals, bad):
        def play(step):
            # A gather, since XLA would compile a slice anew for each position.
            indices = tf.gather(table, step - first)
            return self._play(step, number, self._batches.take(indices))

        return loop(play, first, count, totals, bad)

"""The one loop of all iterative attacks: eager or as a graph, with restarts.

Run eagerly, every step is one call of a compiled program, and examples leave the batch once they
are successfully attacked, so that later steps cost less. Inside a tf.function all steps become one
graph, from which no example leaves; the images returned are the same.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack, program, where_per_example
from mmtf.classifiers.classifier import Classifier, as_classifier

# When fewer than this share of the batch remain to be attacked, the others are taken out. That
# costs a tenth of a step of PGD on 500 images, the first step of a new size included.
COMPACT_BELOW = 0.97
_WATCHER: contextvars.ContextVar = contextvars.ContextVar("watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Callable[[int], None]) -> Iterator[None]:
    """Context manager: inside it every step first calls `watcher` with the number of examples of
    the batch that are not yet successfully attacked."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def run(attack: Attack, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor:
    """The attack's images as evaluations want them: always by compiled programs.

    Arguments as those of `Attack.__call__`. An attack without compiled programs of its own
    becomes one program, kept with the classifier.
    """
    if attack.compiles_itself or not tf.executing_eagerly():
        return attack(classifier, x, y, seed=seed)
    whole = as_classifier(classifier).compiled(
        attack.key(), lambda model, x, y, own: attack(model, x, y, seed=own)
    )
    return whole(x, y, tf.convert_to_tensor(seed))


def attempt(
    attack: Attack,
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    start: Any,
    seed: Tensor,
    check_clean: bool = True,
) -> Tensor:
    """One run of an iterative attack from one starting point of each example.

    Args:
      attack: defines `init`, `schedule`, `step` and `result`.
      classifier: the one attacked.
      x, labels: see `Attack.init`.
      start: passed on to `Attack.init`.
      seed: int [2], for `Attack.schedule`.
      check_clean: False where it is known that the attack succeeds on no image of `x` as it is.
    """
    check_clean &= attack.keeps_successful
    if tf.executing_eagerly() and attack.compiles_itself:
        return _by_steps(attack, classifier, x, labels, start, seed, check_clean)
    images, done = x, attack.succeeds(classifier, x, labels) if check_clean else None
    state, found = attack.init(classifier, x, labels, start)
    images, done = _kept(images, done, found)
    for settings in attack.schedule(x, seed):
        state, found = attack.step(classifier, state, settings)
        images, done = _kept(images, done, found)
    z = attack.result(state)
    return z if done is None else where_per_example(done, images, z)


def _by_steps(attack, classifier, x, labels, start, seed, check_clean):
    active = ActiveSet(x)
    if check_clean:
        active.note(x, attack.succeeds(classifier, x, labels))
    x, labels, start = active.compact((x, labels, start))
    if not active.any:
        return active.finish()
    state, found = attack.init(classifier, x, labels, start)
    step = program(classifier, (attack.key(), "step"), attack.step)
    for settings in attack.schedule(x, seed):
        if found is not None:
            active.note(*found)
        if not active.any:
            return active.finish()
        state = active.compact(state)
        if watcher := _WATCHER.get():
            watcher(active.count)
        state, found = step(state, settings)
    if found is not None:
        active.note(*found)
    return active.finish(attack.result(state))


def restarted(
    attack: Attack,
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    seed: Tensor,
    count: int,
    start: Callable[[int, Tensor | None], Any],
) -> Tensor:
    """Attempts 0, ..., count - 1, each on the examples not yet successfully attacked.

    Args:
      attack, classifier, x, labels, seed: as in `attempt`.
      count: how many attempts, > 0; in a graph all examples take part in all of them.
      start: start(number, rows), the starting points of attempt `number` for the examples `rows`,
        int [n]; None stands for all examples.
    """
    z = attempt(attack, classifier, x, labels, start(0, None), seed)
    for number in range(1, count):
        own, done = restart_seed(seed, number), attack.succeeds(classifier, z, labels)
        if not tf.executing_eagerly():
            again = attempt(attack, classifier, x, labels, start(number, None), own, False)
            z = where_per_example(done, z, again)
            continue
        rows = tf.where(~done)[:, 0]
        if not len(rows):
            break
        theirs = tf.gather(x, rows), tf.gather(labels, rows), start(number, rows)
        again = attempt(attack, classifier, *theirs, own, False)
        z = tf.tensor_scatter_nd_update(z, rows[:, None], again)
    return z


def restart_seed(seed: Tensor, number: int) -> Tensor:
    """The seed of restart `number`; the first one's is the attack's own."""
    return tf.random.experimental.stateless_fold_in(seed, number) if number else seed


def rows_of(tensor: Tensor, rows: Tensor | None) -> Tensor:
    """The rows of a tensor [N, ...]; None stands for all."""
    return tensor if rows is None else tf.gather(tensor, rows)


class ActiveSet:
    """The examples of a batch not yet successfully attacked, and the images of the others.

    Args:
      images: [N, H, W, C], the result for examples of which nothing else is said.
    """

    def __init__(self, images: Any):
        self.images = np.array(images)
        self.rows = np.arange(len(self.images))
        self._active = np.ones(len(self.rows), bool)

    @property
    def any(self) -> bool:
        """Whether an example remains to be attacked."""
        return bool(self._active.any())

    @property
    def count(self) -> int:
        """How many examples remain to be attacked."""
        return int(self._active.sum())

    def note(self, images: Any, success: Any) -> None:
        """Keeps the images of the examples on which the attack has just succeeded.

        Args:
          images: [n, H, W, C] of the examples still in the batch.
          success: bool [n].
        """
        new = self._active & np.asarray(success)
        if new.any():
            self.images[self.rows[new]] = np.asarray(images)[new]
            self._active &= ~new

    def compact(self, state: Any) -> Any:
        """The state, tensors [n, ...], without the examples done, once there are enough of them."""
        if self._active.mean() >= COMPACT_BELOW:
            return state
        kept = tf.nest.map_structure(lambda one: tf.boolean_mask(one, self._active), state)
        self.rows = self.rows[self._active]
        self._active = np.ones(len(self.rows), bool)
        return kept

    def finish(self, images: Any = None) -> Tensor:
        """All results, with `images` [n, H, W, C] for the examples that remain."""
        if images is not None:
            self.images[self.rows[self._active]] = np.asarray(images)[self._active]
        return tf.constant(self.images)


def _kept(images, done, found):
    """The first successful images of each example so far, and which examples have them."""
    if found is None:
        return images, done
    new = found.success if done is None else found.success & ~done
    images = where_per_example(new, found.images, images)
    return images, new if done is None else done | new

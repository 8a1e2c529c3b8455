"""The loop that runs iterative attacks, eagerly or as a graph, with random restarts.

Run eagerly, each step is one call of a compiled program, and examples are dropped from the batch
once successfully attacked, so that later steps cost less. Inside a tf.function all steps form one
graph on the whole batch. Both return the same images.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow import Tensor

from mmtf.attacks.base import Attack
from mmtf.attacks.queries import program, require_labels, where_per_example
from mmtf.classifiers.classifier import Classifier, as_classifier

# The batch is compacted once the share of examples still to be attacked is below this. Compacting
# costs a tenth of a PGD step on 500 images, including the first step at the new batch size.
COMPACT_BELOW = 0.97
_WATCHER: contextvars.ContextVar = contextvars.ContextVar("watcher", default=None)
_PART: contextvars.ContextVar = contextvars.ContextVar("part", default=(None, 0.0, 1.0))


class Iteration(NamedTuple):
    """A step about to be taken on a batch.

    Attributes:
      part: name of the attack at work within an ensemble; None: no ensemble.
      number: number of the step, from 1, counted through all restarts or targets.
      total: largest number of steps; None: unknown.
      left: number of examples not yet successfully attacked.
      share: share of the whole attack's passes that the earlier steps make up, in [0, 1).
    """

    part: str | None
    number: int
    total: int | None
    left: int
    share: float


@contextlib.contextmanager
def watching(watcher: Callable[[Iteration], None]) -> Iterator[None]:
    """Context manager: inside it, each eager step first calls `watcher` with its Iteration."""
    with _set(_WATCHER, watcher):
        yield


@contextlib.contextmanager
def part(name: str, begun: float, share: float) -> Iterator[None]:
    """Context manager: inside it, steps are those of one attack of an ensemble.

    Args:
      name: of the attack, shown to users.
      begun: share of the ensemble's passes before this attack, in [0, 1).
      share: share of the ensemble's passes that this attack makes up, in (0, 1].
    """
    with _set(_PART, (name, begun, share)):
        yield


@contextlib.contextmanager
def _set(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def run(attack: Attack, classifier: Any, x: Any, y: Any, seed: Any) -> Tensor:
    """Runs an attack in compiled programs only, as evaluations do.

    An attack that does not compile its own programs is compiled as a whole, and the program is
    cached with the classifier.

    Args:
      attack: the attack.
      classifier, x, y, seed: see `Attack.__call__`.

    Returns:
      float32 [N, H, W, C], the adversarial examples.
    """
    if attack.compiles_itself or not tf.executing_eagerly():
        return attack(classifier, x, y, seed=seed)
    subject = as_classifier(classifier)
    require_labels(y, subject.num_classes)  # the program does not look at values
    whole = subject.compiled(attack.key(), lambda model, x, y, own: attack(model, x, y, seed=own))
    return whole(x, y, tf.convert_to_tensor(seed))


def attempt(
    attack: Attack,
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    start: Any,
    seed: Tensor,
    check_clean: bool = True,
    attempts: tuple[int, int] = (0, 1),
) -> Tensor:
    """Runs an iterative attack once, from one starting point per example.

    Args:
      attack: defines `init`, `schedule`, `step` and `result`.
      classifier: the classifier under attack.
      x, labels: see `Attack.init`.
      start: passed on to `Attack.init`.
      seed: int [2], passed on to `Attack.schedule`.
      check_clean: whether to check if the attack already succeeds on clean images; False if it is
        known to succeed on none.
      attempts: number of this attempt, from 0, and of all; for the `watcher` of `watching` alone.

    Returns:
      float32 [N, H, W, C], the adversarial examples.
    """
    check_clean &= attack.keeps_successful
    if tf.executing_eagerly() and attack.compiles_itself:
        return _by_steps(attack, classifier, x, labels, start, seed, check_clean, attempts)
    images, done = x, attack.succeeds(classifier, x, labels) if check_clean else None
    state, found = attack.init(classifier, x, labels, start)
    images, done = _kept(images, done, found)
    for settings in attack.schedule(x, seed):
        state, found = attack.step(classifier, state, settings)
        images, done = _kept(images, done, found)
    z = attack.result(state)
    return z if done is None else where_per_example(done, images, z)


def _by_steps(attack, classifier, x, labels, start, seed, check_clean, attempts):
    active = ActiveSet(x)
    if check_clean:
        active.note(x, attack.succeeds(classifier, x, labels))
    x, labels, start = active.compact((x, labels, start))
    if not active.any:
        return active.finish()
    state, found = attack.init(classifier, x, labels, start)
    step = program(classifier, (attack.step_key(), "step"), attack.lean_step)
    for number, settings in enumerate(attack.schedule(x, seed)):
        if found is not None:
            active.note(*found)
        if not active.any:
            return active.finish()
        state = active.compact(state)
        if watcher := _WATCHER.get():
            watcher(_iteration(attack.iterations, number, attempts, active.count))
        state, found = step(state, settings)
    if found is not None:
        active.note(*found)
    return active.finish(attack.result(state))


def _iteration(steps, number, attempts, left):
    """The Iteration of step `number` of an attempt of `steps` steps (None: unknown)."""
    (name, begun, share), (attempt, count) = _PART.get(), attempts
    if steps is None:
        return Iteration(name, number + 1, None, left, begun)
    before = attempt * steps + number
    return Iteration(
        name, before + 1, count * steps, left, begun + share * before / (count * steps)
    )


def restarted(
    attack: Attack,
    classifier: Classifier,
    x: Tensor,
    labels: Tensor,
    seed: Tensor,
    count: int,
    start: Callable[[int, Tensor | None], Any],
) -> Tensor:
    """Calls `attempt` `count` times, each time on the examples not yet successfully attacked.

    Inside a tf.function every attempt runs on the whole batch; the images are the same.

    Args:
      attack, classifier, x, labels, seed: see `attempt`.
      count: number of attempts, > 0.
      start: start(number, rows) -> the starting points of attempt `number`, from 0, for the
        examples with indices `rows`, int [n]; None: all examples.

    Returns:
      float32 [N, H, W, C], the adversarial examples.
    """
    z = attempt(attack, classifier, x, labels, start(0, None), seed, attempts=(0, count))
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
        again = attempt(attack, classifier, *theirs, own, False, (number, count))
        z = tf.tensor_scatter_nd_update(z, rows[:, None], again)
    return z


def restart_seed(seed: Tensor, number: int) -> Tensor:
    """The seed of restart `number`, counted from 0; restart 0 uses `seed` itself."""
    return tf.random.experimental.stateless_fold_in(seed, number) if number else seed


def rows_of(tensor: Tensor, rows: Tensor | None) -> Tensor:
    """The `rows`, int [n], of a tensor [N, ...]; None: all rows."""
    return tensor if rows is None else tf.gather(tensor, rows)


class ActiveSet:
    """Tracks the examples of a batch not yet successfully attacked, and collects the results.

    Args:
      images: [N, H, W, C], the results of examples for which no other image is recorded.
    """

    def __init__(self, images: Any):
        self.images = np.array(images)
        self.rows = np.arange(len(self.images))
        self._active = np.ones(len(self.rows), bool)

    @property
    def any(self) -> bool:
        """Whether any example remains to be attacked."""
        return bool(self._active.any())

    @property
    def count(self) -> int:
        """Number of examples that remain to be attacked."""
        return int(self._active.sum())

    def note(self, images: Any, success: Any) -> None:
        """Records the images of examples on which the attack succeeds for the first time.

        Args:
          images: [n, H, W, C], candidates of the examples still in the batch.
          success: bool [n], whether the attack succeeds on each.
        """
        new = self._active & np.asarray(success)
        if new.any():
            self.images[self.rows[new]] = np.asarray(images)[new]
            self._active &= ~new

    def compact(self, state: Any) -> Any:
        """Drops finished examples from the state once there are enough of them.

        Args:
          state: nested structure (`tf.nest`) of tensors [n, ...].

        Returns:
          The state of the remaining examples, or `state` itself if nothing was dropped.
        """
        if self._active.mean() >= COMPACT_BELOW:
            return state
        kept = tf.nest.map_structure(lambda one: tf.boolean_mask(one, self._active), state)
        self.rows = self.rows[self._active]
        self._active = np.ones(len(self.rows), bool)
        return kept

    def finish(self, images: Any = None) -> Tensor:
        """Returns all results, [N, H, W, C]; `images` [n, H, W, C] fills in remaining examples."""
        if images is not None:
            self.images[self.rows[self._active]] = np.asarray(images)[self._active]
        return tf.constant(self.images)


def _kept(images, done, found):
    """Updates each example's first successful image, and which examples have one."""
    if found is None:
        return images, done
    new = found.success if done is None else found.success & ~done
    images = where_per_example(new, found.images, images)
    return images, new if done is None else done | new

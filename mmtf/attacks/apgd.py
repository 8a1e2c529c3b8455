"""Auto-PGD: projected gradient ascent that chooses its own step sizes (Croce & Hein 2020a)."""

import dataclasses

import tensorflow as tf

from mmtf.attacks.active_set import Standing
from mmtf.attacks.apgd_state import BEST, State, Z, flat
from mmtf.attacks.base import choose, compiled, gradient_of
from mmtf.attacks.criteria import AimedAttack
from mmtf.attacks.losses import LOSSES, refuse_few_classes
from mmtf.attacks.restarts import classifier_classes, restarted
from mmtf.errors import require, require_choice

# The first phase's share of the steps, by how much each later one is shorter, and the shortest.
FIRST, SHORTER, SHORTEST = 0.22, 0.03, 0.06
MOMENTUM = 0.75


def checkpoints(steps: int) -> list[int]:
    """After which steps the step size is judged: 22 % of the steps, then 19 %, ... at least 6 %.

    >>> checkpoints(100)[:4]
    [22, 41, 57, 70]
    """
    length, last, at = max(int(FIRST * steps), 1), 0, []
    while last + length <= steps:
        last += length
        at.append(last)
        length = max(length - max(int(SHORTER * steps), 1), max(int(SHORTEST * steps), 1))
    return at


class APGD(AimedAttack):
    """max_z loss over the ball and the box: momentum, and a step that halves when it stops paying.

    Starts with steps of 2 eta. At every checkpoint an example whose loss rose in fewer than `rho`
    of the steps since the last one, or whose best loss and step have not changed since, goes
    back to its best point with half the step.

    Args:
      threat: the ball and the box.
      steps: of each restart, > 0.
      loss: `cross_entropy`, `margin` or `dlr` (`mmtf.attacks.losses`).
      restarts: random starts, > 0; a later one is spent on the examples still standing. In a
        graph it must be 1.
      rho: share in (0, 1).
      stop_early: keep each example's first iterate that reaches the goal and take the example out
        of the batch; else return the iterate of the largest loss, as transfer and randomized
        defenses want.
      target: see `mmtf.attacks.criteria.Goal`; None: untargeted. `dlr` is then
        `losses.aimed_dlr`; Eq. 7, which compares the target with the true class alone, is
        `APGDTargeted`'s.

    Source: Croce & Hein (2020a), Algorithm 1.
    """

    deterministic = False
    compiles_itself = True

    def __init__(
        self,
        threat,
        *,
        steps=100,
        loss="cross_entropy",
        restarts=1,
        rho=0.75,
        stop_early=True,
        target=None,
    ):
        super().__init__(threat, target=target)
        require(steps > 0, "steps > 0", steps)
        require_choice("loss", loss, LOSSES)
        require(restarts > 0, "restarts > 0", restarts)
        require(0 < rho < 1, "0 < rho < 1", rho)
        self.steps = steps
        self.loss = loss
        self.restarts = restarts
        self.rho = rho
        require(restarts == 1 or stop_early, "stop_early=True with restarts > 1", stop_early)
        self.stop_early = stop_early

    def refuse_few_classes(self, classifier, x):
        """Raises ConfigError where `classifier` has too few classes for the loss."""
        if self.loss == "dlr":
            refuse_few_classes(self.goal.loss(self.loss), classifier_classes(classifier, x))

    def pursue(self, classifier, x, labels, seed):
        self.refuse_few_classes(classifier, x)
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(labels)
        seed = tf.convert_to_tensor(seed)
        if not tf.executing_eagerly():
            require(self.restarts == 1, "restarts=1 inside a tf.function", self.restarts)
            return self._climb(classifier, x, y, y, self.start(x, seed))
        return restarted(
            self.goal.judge(classifier),
            x,
            y,
            seed,
            self.restarts,
            self.start,
            lambda x, y, number, start: self._climb_and_leave(classifier, x, y, y, start),
        )

    def start(self, x, seed):
        return self.threat.random_start(x, seed)

    def losses(self, logits, labels, targets):
        """What is raised, [N]; `targets` are those of `APGDTargeted`."""
        return self.goal.loss(self.loss)(logits, labels)

    def _climb(self, classifier, x, y, targets, start):
        """All steps in one graph; no example leaves."""
        state, wrong = self._begin(classifier, x, y, targets, start)
        kept, broken = state.z, wrong
        at = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            state, wrong = self._step(classifier, state, step == 1)
            kept = choose(wrong & ~broken, state.z, kept)
            broken |= wrong
            if step in at:
                state = self._judge(state, _phase(at, step))
        if not self.stop_early:
            return state.best_z
        unmoved = self.goal.reached_at(classifier, x, y)
        return choose(unmoved, x, choose(broken, kept, state.best_z))

    def _climb_and_leave(self, classifier, x, y, targets, start):
        """The same iterates, one compiled step a call, on the examples that still stand."""
        begin = compiled(classifier, (self, "begin"), flat(self._begin))
        advance = compiled(classifier, (self, "step"), flat(self._advance))
        review = compiled(classifier, (self, "judge"), flat(self._judge_flat))
        standing = Standing(x)
        if self.stop_early:
            standing.note(x, self.goal.judge(classifier)(x, y))
        x, y, targets, start = standing.compact(x, y, targets, start)
        if not standing.anyone:
            return tf.constant(standing.result)
        *state, wrong = begin(x, y, targets, start)
        at = checkpoints(self.steps)
        if self.stop_early:
            standing.note(state[Z], wrong)
        for step in range(1, self.steps + 1):
            if not standing.anyone:
                return tf.constant(standing.result)
            state = standing.compact(*state)
            *state, wrong = advance(tf.constant(step == 1), *state)
            if self.stop_early:
                standing.note(state[Z], wrong)
            if step in at:
                state = review(tf.constant(_phase(at, step)), *state)
        return standing.finish(state[BEST])

    def _begin(self, classifier, x, y, targets, start):
        loss, gradient, wrong = self._evaluate(classifier, start, y, targets)
        zeros = tf.zeros_like(loss)
        state = State(
            x=x,
            y=y,
            targets=targets,
            z=start,
            previous=start,
            loss=loss,
            gradient=gradient,
            best_z=start,
            best_loss=loss,
            best_gradient=gradient,
            size=zeros + 2.0 * self.threat.eta,
            rises=zeros,
            loss_before=loss,
            halved=tf.ones_like(loss, tf.bool),
        )
        return state, wrong

    def _advance(self, classifier, first, *state):
        return self._step(classifier, State(*state), first)

    def _judge_flat(self, classifier, length, *state):
        return self._judge(State(*state), length)

    def _step(self, classifier, old, first):
        """One step of every example: (state, whether its new point reaches the goal)."""
        project, shape = self.threat.project, [-1] + [1] * (old.z.shape.rank - 1)
        size = tf.reshape(old.size, shape)
        ahead = project(old.z + size * self.threat.steepest_step(old.gradient), old.x)
        momentum = tf.where(first, 1.0, MOMENTUM)
        z = old.z + momentum * (ahead - old.z) + (1.0 - momentum) * (old.z - old.previous)
        z = project(z, old.x)
        loss, gradient, wrong = self._evaluate(classifier, z, old.y, old.targets)
        better = loss > old.best_loss
        state = dataclasses.replace(
            old,
            z=z,
            previous=old.z,
            loss=loss,
            gradient=gradient,
            best_z=choose(better, z, old.best_z),
            best_loss=tf.maximum(loss, old.best_loss),
            best_gradient=choose(better, gradient, old.best_gradient),
            rises=old.rises + tf.cast(loss > old.loss, tf.float32),
        )
        return state, wrong

    def _judge(self, old, length):
        """At a checkpoint, `length` steps after the last one."""
        few = old.rises < self.rho * tf.cast(length, tf.float32)
        stuck = ~old.halved & (old.best_loss <= old.loss_before)
        halve = few | stuck
        return dataclasses.replace(
            old,
            size=tf.where(halve, old.size / 2.0, old.size),
            z=choose(halve, old.best_z, old.z),
            gradient=choose(halve, old.best_gradient, old.gradient),
            loss=tf.where(halve, old.best_loss, old.loss),
            halved=halve,
            loss_before=old.best_loss,
            rises=tf.zeros_like(old.rises),
        )

    def _evaluate(self, classifier, z, y, targets):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(z)
            logits = classifier(z, training=False)
            loss = self.losses(logits, y, targets)
            total = tf.reduce_sum(loss)
        return loss, gradient_of(tape, total, z), self.goal.reached(logits, y)


def _phase(at, step):
    """How many steps the phase that ends at `step` has taken."""
    number = at.index(step)
    return step - (at[number - 1] if number else 0)

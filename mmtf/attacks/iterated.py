"""Projected steepest ascent, what IFGSM and PGD share."""

import tensorflow as tf

from mmtf.attacks.active_set import Standing
from mmtf.attacks.base import choose, compiled, input_gradient
from mmtf.attacks.criteria import AimedAttack
from mmtf.attacks.decay import DECAYS, shares
from mmtf.attacks.losses import LOSSES, refuse_few_classes
from mmtf.attacks.restarts import classifier_classes
from mmtf.errors import require, require_choice


class IteratedAttack(AimedAttack):
    """z <- project(z + step_size * steepest(grad_z l)), `steps` times, from a start.

    Args:
      threat: the ball and the box.
      steps: > 0.
      step_size: length of the first step, > 0; by default all steps together are 2.5 eta (Madry
        et al. 2018), which lets an example cross the ball and come back: 2.5 eta / steps each
        where they do not shorten.
      decay: of the steps: `constant`, `linear` or `cosine` towards 0 (`mmtf.attacks.decay`).
      loss: what is climbed: `cross_entropy` (the risk), `margin` (Carlini & Wagner 2017, which a
        sure classifier does not flatten) or `dlr`.
      stop_early: keep each example's first iterate that reaches the goal and, run eagerly, take
        the example out of the batch; else return the last iterate of every example, as training
        does.
      target: see `mmtf.attacks.criteria.Goal`; None: untargeted.
    """

    def __init__(
        self,
        threat,
        *,
        steps,
        step_size=None,
        decay="constant",
        loss="cross_entropy",
        stop_early=True,
        target=None,
    ):
        super().__init__(threat, target=target)
        require(steps > 0, "steps > 0", steps)
        require_choice("decay", decay, DECAYS)
        step_size = 2.5 * threat.eta / sum(shares(decay, steps)) if step_size is None else step_size
        require(step_size > 0, "step_size > 0", step_size)
        self.steps = steps
        self.step_size = step_size
        self.decay = decay
        require_choice("loss", loss, LOSSES)
        self.loss = loss
        self.stop_early = stop_early
        self.compiles_itself = stop_early

    def start(self, x, seed):
        return x

    def lengths(self) -> list[float]:
        """Of the steps."""
        return [self.step_size * share for share in shares(self.decay, self.steps)]

    def pursue(self, classifier, x, labels, seed):
        if self.loss == "dlr":
            refuse_few_classes(self.goal.loss(self.loss), classifier_classes(classifier, x))
        if tf.executing_eagerly() and self.stop_early:
            return self._climb_and_leave(classifier, x, labels, seed)
        return self._climb(classifier, x, labels, seed)

    def _climb(self, classifier, x, labels, seed):
        """All steps in one graph; no example leaves."""
        z = self.start(x, seed)
        kept, broken = z, tf.zeros(tf.shape(labels), tf.bool)
        region = self.threat.region(x)
        for length in self.lengths():
            after, reached = self._step(classifier, z, labels, length, region)
            kept = choose(reached & ~broken, z, kept)
            broken |= reached
            z = after
        return choose(broken, kept, z) if self.stop_early else z

    def _climb_and_leave(self, classifier, x, labels, seed):
        """The same iterates, one compiled step a call, on the examples that still stand."""
        step = compiled(classifier, (self, "step"), self._step)
        x, labels = tf.convert_to_tensor(x), tf.convert_to_tensor(labels)
        z, region = self.start(x, seed), self.threat.region(x)
        standing = Standing(z)
        for length in self.lengths():
            # A tensor: a Python number would be traced anew for each length.
            after, reached = step(z, labels, tf.constant(length, z.dtype), region)
            standing.note(z, reached)
            if not standing.anyone:
                return tf.constant(standing.result)
            z, labels, *kept = standing.compact(after, labels, *region)
            region = tuple(kept)  # as it was traced
        return standing.finish(z)

    def _step(self, classifier, z, labels, length, region):
        """(next iterate, whether `z` already reaches the goal)."""
        loss = self.goal.loss(self.loss)
        logits, gradient = input_gradient(classifier, z, labels, loss)
        direction = self.threat.steepest_step(gradient)
        after = self.threat.into(z + length * direction, region)
        return after, self.goal.reached(logits, labels)

"""Projected steepest ascent, what IFGSM and PGD share."""

import tensorflow as tf

from mmtf import risks
from mmtf.attacks.base import Attack, choose, compiled, input_gradient
from mmtf.attacks.decay import DECAYS, shares
from mmtf.attacks.losses import LOSSES
from mmtf.attacks.standing import Standing
from mmtf.config import require, require_choice


class IteratedAttack(Attack):
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
      stop_early: keep each example's first misclassified iterate and, run eagerly, take it out of
        the batch; else return the last iterate of every example, as training does.
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
    ):
        super().__init__(threat)
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

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        if tf.executing_eagerly() and self.stop_early:
            return self._climb_and_leave(classifier, x, y, seed)
        return self._climb(classifier, x, y, seed)

    def _climb(self, classifier, x, y, seed):
        """All steps in one graph; no example leaves."""
        z = self.start(x, seed)
        kept, broken = z, tf.zeros(tf.shape(y), tf.bool)
        for length in self.lengths():
            after, wrong = self._step(classifier, z, x, y, length)
            kept = choose(wrong & ~broken, z, kept)
            broken |= wrong
            z = after
        return choose(broken, kept, z) if self.stop_early else z

    def _climb_and_leave(self, classifier, x, y, seed):
        """The same iterates, one compiled step a call, on the examples that still stand."""
        step = compiled(classifier, (self, "step"), self._step)
        x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
        z = self.start(x, seed)
        standing = Standing(z)
        for length in self.lengths():
            # A tensor: a Python number would be traced anew for each length.
            after, wrong = step(z, x, y, tf.constant(length, z.dtype))
            standing.note(z, wrong)
            if not standing.anyone:
                return tf.constant(standing.result)
            z, x, y = standing.compact(after, x, y)
        return standing.finish(z)

    def _step(self, classifier, z, x, y, length):
        """(next iterate, whether `z` is already misclassified)."""
        logits, gradient = input_gradient(classifier, z, y, LOSSES[self.loss])
        direction = self.threat.steepest_step(gradient)
        return self.threat.project(z + length * direction, x), risks.errors(logits, y) > 0

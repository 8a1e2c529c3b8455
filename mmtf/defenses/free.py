"""Free adversarial training: one backward pass moves the weights and the perturbation."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.defenses.ascent import without_box
from mmtf.errors import require, require_int, require_number
from mmtf.games.base import Game, regularization
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class Free(Game):
    """Free adversarial training with m replays of each batch (Shafahi et al. 2019).

    A step takes one batch and repeats m times, with one forward and one backward pass each:

        z = clip_box(x + d);  u <- u - rate * df/du(z);  d <- clip_ball(d + step * sign(df/dd))

    Both gradients are of the same pass, in training mode and at the weights before the update. d is
    kept from batch to batch: that of the i-th image of a batch starts from that of the i-th image
    of the batch before. It is part of checkpoints. Replays of a batch have the same dropout masks.

    `steps` of a schedule counts batches. Each takes m steps of the optimizer, so that m times fewer
    batches are as many updates as in the other games; the authors divide the epochs by m as well.
    The learning rate follows the steps, and is the same for the m replays. m = 8 is the authors'
    for CIFAR-10, their step is eps.

    The metric `risk` is the mean over the replays.

    Args:
      threat: the constraint of Eq. 5.
      replays: m, > 0.
      relative_step: size of the perturbation's step divided by eta, > 0.
      batch_size: number of rows of d: the largest number of examples of a step, over all replicas.
        In a run it is the schedule's.
    """

    def __init__(
        self,
        threat: ThreatModel,
        *,
        replays: int = 8,
        relative_step: float = 1.0,
        batch_size: int = 128,
    ):
        super().__init__(threat)
        require_int("replays", replays)
        require_number("relative_step", relative_step, above=0)
        require_int("batch_size", batch_size)
        self.replays = replays
        self.relative_step = relative_step
        self.batch_size = batch_size
        self._ball = without_box(threat)

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        def repeated(variables):
            return make_optimizer(variables, updates=self.replays)

        players = super().make_players(classifier, repeated, image_shape, num_classes, seed)
        players.updaters["perturbation"] = _Kept([self.batch_size, *image_shape])
        return players

    def step(self, players: Players, batch: Batch, context: StepContext) -> dict[str, tf.Tensor]:
        kept = players.updaters["perturbation"]
        delta, risks = kept.read(tf.shape(batch.x)[0], batch.x.shape[0], context.replicas), []
        for number in range(self.replays):
            last = number == self.replays - 1
            risk, ascent = self._descend(players, batch, delta, context, last)
            moved = self._moved(batch.x, delta, ascent)
            delta = self._ball.project(moved, tf.zeros_like(moved))
            risks.append(risk)
        kept.write(delta, context.replicas)
        return {"risk": tf.add_n(risks) / self.replays}

    def _moved(self, x, delta, ascent):
        size = self.relative_step * self.threat.radius
        if self.threat.norm != "l1":  # the step does not depend on the box
            return self._ball.stepped(delta, ascent, size)
        z = self.threat.clip_box(x + delta)
        return delta + (self.threat.stepped(z, ascent, size) - z)

    def _descend(self, players, batch, delta, context, last):
        """One step of the optimizer; (this replica's share of the risk, its gradient in delta)."""
        optimizer, variables = players.updaters["classifier"], self.trainable(players)
        with tf.GradientTape() as tape:
            tape.watch(delta)
            with context.dropout(*players.networks):
                z = context.shrink(self.threat.clip_box(batch.x + delta), batch.x)
                logits = players.classifier(z, training=True)
                risk = context.mean(context.cross_entropy(logits, batch.y))
                loss = risk + regularization(players.models["classifier"]) / context.replicas
            scaled = optimizer.scale_loss(loss)
        gradients, ascent = tape.gradient(scaled, [variables, delta])
        optimizer.apply(gradients, variables)
        if last and context.observed is not None:
            context.observed.loss = loss
            context.observe(logits, batch.y)
        return risk, ascent


class _Kept(tf.Module):
    """The perturbation d: one row for each example of the global batch, the same on all replicas.

    Each replica has its own rows. It contributes zero for those of the others, so that the sum over
    replicas, which TensorFlow assigns to all of them, has the rows of each.
    """

    def __init__(self, shape):
        super().__init__()
        self.delta = tf.Variable(
            tf.zeros(shape), trainable=False, aggregation=tf.VariableAggregation.SUM
        )

    def read(self, count, known, replicas):
        """d of this replica's `count` examples; `known`: the same, if it is known in advance."""
        share = self.delta.shape[0] // replicas
        advice = "Free(batch_size=...) of at least the batch size"
        if known is not None:
            require(known <= share, f"at most {share} examples on a replica, or {advice}", known)
        else:
            told = f"Expected at most {share} examples on a replica. Give {advice}."
            # Without the dependency an operation on too few rows may fail first.
            with tf.control_dependencies([tf.debugging.assert_less_equal(count, share, told)]):
                count = tf.identity(count)
        first = _replica() * share
        return tf.convert_to_tensor(self.delta)[first : first + count]

    def write(self, delta, replicas):
        """Stores d of this replica's examples."""
        size = self.delta.shape[0]
        share = size // replicas
        first, rows = _replica() * share, tf.range(size)
        own = (rows >= first) & (rows < first + share)
        shape = [-1] + [1] * (delta.shape.rank - 1)
        before = tf.where(tf.reshape(own, shape), tf.convert_to_tensor(self.delta), 0.0)
        places = first + tf.range(tf.shape(delta)[0])
        self.delta.assign(tf.tensor_scatter_nd_update(before, places[:, None], delta))


def _replica():
    context = tf.distribute.get_replica_context()
    return tf.cast(context.replica_id_in_sync_group, tf.int32)

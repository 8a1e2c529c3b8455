"""The training and test steps of an AdversarialModel, and its metrics."""

from typing import Any

import keras
import tensorflow as tf

from mmtf import losses
from mmtf.classifiers.classifier import BOX
from mmtf.errors import ConfigError
from mmtf.fit import examples
from mmtf.games.base import regularization
from mmtf.games.players import Batch, Observed, Players
from mmtf.solvers.base import cross_replica_sum
from mmtf.training.dropout import seeded_dropout
from mmtf.training.playing import play_step, step_seed

PREFIX = "adversarial_"


class Stepping:
    """What `AdversarialModel.compile` makes: players, counters, metrics, and the steps with them.

    Args:
      owner: the AdversarialModel; made inside its strategy's scope.
      players: of its game.
      classes: number of logits.
      label_smoothing: of the loss of the min step, in [0, 1).
      metrics, weighted_metrics: as given to `compile`.

    Attributes:
      players, classes: as given.
      bounds: pixel range of the data.
      steps: number of training steps taken, an int64 variable.
      round: number of the current round, an int64 variable.
    """

    def __init__(
        self,
        owner: Any,
        players: Players,
        classes: int,
        label_smoothing: float = 0.0,
        *,
        metrics: Any,
        weighted_metrics: Any,
    ):
        self.players = players
        self.classes = classes
        self._owner = owner
        self._smoothing = label_smoothing
        self._box = tuple(owner.game.threat.box)
        self.bounds = self._box if owner.classifier.bounds == BOX else owner.classifier.bounds
        self.steps, self.round = _counter(), _counter()
        self._means = {name: keras.metrics.Mean(name) for name in ("loss", *owner.game.metrics)}
        # A second set of the metrics, for adversarial examples.
        self._scores: keras.Model | None = None
        if metrics is not None or weighted_metrics is not None:
            self._scores = keras.Model()
            self._scores.compile(
                optimizer=None,
                metrics=_copied(metrics),
                weighted_metrics=_copied(weighted_metrics),
            )
        self._built = False

    def train(self, x: Any, y: Any, weights: Any = None) -> dict[str, tf.Tensor]:
        """Takes one step of the game on this replica's examples; returns the metrics so far."""
        owner = self._owner
        self._require_metrics(y)
        batch, weights, count = self._batch(x, y, weights)
        (total,) = cross_replica_sum([count])
        replica = tf.distribute.get_replica_context()
        step = tf.cast(self.steps, tf.int32)
        seed = step_seed(owner.seed, step, replica.replica_id_in_sync_group)
        self._clean_pass(x, y, batch.x, weights, seed)
        observed = Observed()
        found = play_step(
            owner.game,
            self.players,
            batch,
            seed=seed,
            frozen=owner.batch_norms(),
            round=tf.cast(self.round, tf.int32),
            global_batch_size=total,
            replicas=replica.num_replicas_in_sync,
            weights=weights,
            strength=self._strength(step),
            observed=observed,
            label_smoothing=self._smoothing,
        )
        self.steps.assign_add(1)
        self._score(observed.outputs, y)
        loss = found["risk"] if observed.loss is None else observed.loss
        self._record({"loss": loss, **found}, count, total)
        results = owner.get_metrics_result()
        clean = () if owner.clean_metrics else self._clean_names()
        return {name: value for name, value in results.items() if name not in clean}

    def test(self, x: Any, y: Any, weights: Any = None) -> dict[str, tf.Tensor]:
        """Evaluates this replica's clean examples; returns the metrics so far."""
        owner = self._owner
        self._require_metrics(y)
        labels = examples.labels_of(y, self.classes)
        images = examples.in_box(x, self.bounds, self._box, clip=False)
        logits = self.players.classifier(images, training=False)
        each, count = losses.cross_entropy(logits, labels), tf.cast(tf.shape(x)[0], tf.float32)
        if weights is not None:
            each *= tf.cast(tf.reshape(weights, [-1]), each.dtype)
        (total,) = cross_replica_sum([count])
        penalty = regularization(owner.model) * count / total
        self._record({"loss": tf.reduce_sum(each) / total + penalty}, count, total)
        results = owner.compute_metrics(x, y, logits, weights)
        return {name: results[name] for name in ("loss", *self._clean_names())}

    def build_metrics(self, x: Any, y: Any, logits: Any, weights: Any = None) -> None:
        """Makes the variables of the metrics on adversarial examples, at the first call."""
        if self._scores is not None and not self._built:
            self._built = True
            self._scores.compute_metrics(x, y, logits, weights)

    def _require_metrics(self, y):
        """Makes the variables of all metrics outside of the graph that is traced."""
        if self._scores is None or self._built:
            return
        hot = examples.is_one_hot(y, self.classes)
        with tf.init_scope():
            labels = tf.zeros([1, self.classes]) if hot else tf.zeros([1], tf.int32)
            self._owner.compute_metrics(None, labels, tf.zeros([1, self.classes]))
            self._owner.reset_metrics()

    def results(self) -> dict[str, Any]:
        """The loss, the game's metrics, and those on adversarial examples with their prefix."""
        found = {name: mean.result() for name, mean in self._means.items()}
        return {**found, **{PREFIX + name: one for name, one in self._scored().items()}}

    def reset_metrics(self) -> None:
        """Resets all of them."""
        for mean in self._means.values():
            mean.reset_state()
        if self._scores is not None:
            self._scores.reset_metrics()

    def _batch(self, x, y, weights):
        """(images in the box and labels, weights or None, number of examples)."""
        labels = examples.labels_of(y, self.classes)
        images = examples.checked(x, y, self.bounds, self.classes)
        images = examples.in_box(images, self.bounds, self._box)
        if weights is not None:
            weights = tf.cast(tf.reshape(weights, [-1]), tf.float32)
        return Batch(images, labels), weights, tf.cast(tf.shape(images)[0], tf.float32)

    def _strength(self, step):
        steps = self._owner.warmup_steps
        return tf.minimum(1.0, tf.cast(step + 1, tf.float32) / steps) if steps else None

    def _clean_pass(self, x, y, images, weights, seed):
        """Computes what is asked for on clean images: moving statistics, metrics."""
        owner = self._owner
        if owner.clean_metrics:
            logits = self.players.classifier(images, training=False)
            owner.compute_metrics(x, y, logits, weights)
        if owner.statistics == "clean":
            with seeded_dropout(owner.model, seed=seed):
                self.players.classifier(images, training=True)

    def _score(self, outputs, y):
        if self._scores is None:
            return
        if not outputs:
            raise ConfigError(
                f"Expected a game that reports its logits by context.observe, for metrics. "
                f"Received: {type(self._owner.game).__name__}. Compile without metrics."
            )
        for logits, labels, weights in outputs:
            if examples.is_one_hot(y, self.classes):
                labels = tf.one_hot(labels, self.classes)
            self._scores.compute_metrics(None, labels, logits, weights)

    def _record(self, shares, count, total):
        """Adds this replica's shares of means over a batch of `total` examples to the metrics."""
        for name, share in shares.items():
            value = tf.math.divide_no_nan(tf.cast(share, tf.float32) * total, count)
            self._means[name].update_state(value, sample_weight=count)

    def _scored(self):
        if self._scores is None or not self._built:
            return {}
        found = self._scores.get_metrics_result()
        found.pop("loss", None)
        return found

    def _clean_names(self):
        return tuple(self._scored())


def _counter():
    kept = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=kept)


def _copied(metrics):
    """New metric objects with the settings of the given ones."""

    def copied(one):
        return type(one).from_config(one.get_config()) if hasattr(one, "update_state") else one

    return keras.tree.map_structure(copied, metrics)

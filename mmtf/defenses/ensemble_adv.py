"""Ensemble adversarial training: FGSM computed on the net itself or on other, static nets."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.admission import logits_on
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.loading import load_classifier
from mmtf.defenses.halves import HALVES, logits_of_both
from mmtf.errors import ConfigError, require, require_choice, require_int
from mmtf.games.base import Game, steepest_attack
from mmtf.games.frozen import FrozenClassifier
from mmtf.games.players import Batch, Players, StepContext
from mmtf.threat import ThreatModel


class EnsembleAdv(Game):
    """min_u [f(u, X) + f(u, Z)] / 2, Z by FGSM on a net drawn anew for each batch (Tramer 2018).

    The draw is uniform over the classifier itself and the static nets, for each replica's part of a
    batch. FGSM raises the loss of the class that the drawn net predicts, as in the authors' code:
    with the true label, its images would tell the label.

    `static_nets` static nets have the classifier's own architecture: round k trains the k-th one on
    clean images, and the last round trains the classifier. Each round after round 0 starts from
    the first one's initial weights with the entries of each tensor in another random order, and a
    new optimizer. Nets given by `static_paths` are trained already; they may have any architecture.
    The authors use three or four static nets of other architectures.

    The metrics are `risk`, the mean cross-entropy of perturbed images, and `clean_risk`.

    Args:
      threat: the constraint of Eq. 5.
      static_nets: number of static nets to train, >= 0.
      static_paths: paths of Keras files or workdirs of runs: nets for images in [-1, 1].
      halves: `apart`, as the authors do, or `together`, see `mmtf.defenses.halves`.

    Raises:
      ConfigError: there is no static net; or, once the image size is known, a given one takes other
        images.
    """

    metrics = ("risk", "clean_risk")
    rounds = 1

    def __init__(
        self,
        threat: ThreatModel,
        *,
        static_nets: int = 1,
        static_paths: Iterable[str] | None = None,
        halves: str = "apart",
    ):
        super().__init__(threat)
        require_int("static_nets", static_nets, at_least=0)
        given = static_paths is None or isinstance(static_paths, list | tuple)
        require(given, "static_paths as a list", static_paths)
        require_choice("halves", halves, HALVES)
        self.static_nets = static_nets
        self.static_paths = list(static_paths or ())
        self.halves = halves
        require(bool(static_nets or self.static_paths), "static_nets or static_paths", static_nets)
        self.rounds = static_nets
        self._attack = steepest_attack(threat, 1)

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        players = super().make_players(classifier, make_optimizer, image_shape, num_classes, seed)
        players.models["initial"] = FrozenClassifier(players.classifier)
        for number in range(self.static_nets):
            players.models[f"trained_{number}"] = FrozenClassifier(players.classifier)
        for number, path in enumerate(self.static_paths):
            model = load_classifier(path).keras_model
            require(model is not None, "static_paths of Keras models", path)
            _require_images(model, image_shape, path)
            players.models[f"given_{number}"] = model
        return players

    def begin_round(self, players: Players, number: int) -> None:
        players.models[f"trained_{number - 1}"].store()
        players.models["initial"].restore()
        random = np.random.default_rng(number)
        for variable in self.trainable(players):
            values = np.array(tf.convert_to_tensor(variable))
            variable.assign(random.permutation(values.ravel()).reshape(values.shape))
        super().begin_round(players, number)

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        sources = [players.classifier, *self._static(players)]
        drawn = tf.random.stateless_uniform([], context.seed, 0, len(sources), tf.int32)

        def crafted(source):
            predicted = tf.argmax(source(batch.x, training=False), -1, tf.int32)
            return self._attack(source, batch.x, predicted)

        branches = [lambda source=source: crafted(source) for source in sources]
        z = tf.cond(
            context.round < self.rounds,  # a static net is trained on clean images
            lambda: tf.identity(batch.x),
            lambda: tf.switch_case(drawn, branches),
        )
        return Batch(z, batch.y)

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        at_x, at_z = logits_of_both(players.classifier, clean.x, perturbed.x, self.halves)
        context.observe(at_z, perturbed.y)
        clean_risk = context.mean(context.cross_entropy(at_x, clean.y))
        risk = context.mean(context.cross_entropy(at_z, perturbed.y))
        return (clean_risk + risk) / 2.0, {"risk": risk, "clean_risk": clean_risk}

    def _static(self, players):
        trained = [players.models[f"trained_{one}"] for one in range(self.static_nets)]
        count = len(self.static_paths)
        given = [as_classifier(players.models[f"given_{one}"]).at(None) for one in range(count)]
        return [*trained, *given]


def _require_images(model, image_shape, path):
    """Raises ConfigError if a given net does not give logits of such images."""
    if None in image_shape:  # `fit` on a model for images of any size
        return
    try:
        logits_on(model, np.zeros([1, *image_shape], np.float32))
    except ConfigError as error:
        raise ConfigError(f"static_paths, {path}: {error}") from error

"""The interface between a game and the training loop."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import keras
import tensorflow as tf

from mmtf.attacks import ATTACKS
from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import PGD, IteratedAttack
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.errors import ConfigError, require_int
from mmtf.games.players import Batch, Players, StepContext
from mmtf.kernels.keras_internals import new_of_same_config
from mmtf.threat import ThreatModel, require_threat


class Game:
    """A zero-sum game min_u max_Z f(u, Z) over the mean risk f of Eq. 2, played by gradient steps.

    The classifier with weights u is the defender; Z are the perturbed images of the attacker. A
    step of the default game is a max step, `perturb`, which computes Z, and a min step: one step of
    the optimizer down the gradient of `objective` with Z held constant. Overriding these two makes
    most games; games whose attacker is a network that learns override `step`.

    A subclass keeps each argument of its constructor as an attribute of the same name, perhaps with
    a leading underscore: checkpoints compare them. All methods have access to all players.

    Images are in the box [-1, 1]; `players.classifier` maps them to the pixel range of a model
    given as `Classifier(model, bounds=(0, 1))`, so that radii, gradients with respect to images and
    penalties on these gradients are on the scale of the box.

    Args:
      threat: the constraint of Eq. 5 on the attacker.

    Attributes:
      threat: as given.
      rounds: number of rounds after round 0; `begin_round` is called before each.
      metrics: the names of the metrics that `step` returns; `risk` must be among them.
      batch_divisor: with several replicas, the number of examples on each must be a multiple of
        it; with one, any number may come.
      learns_attacker: whether the players include an attack network, named `attacker`.
      input_gradients: whether it needs the classifier's gradients with respect to images.
      trains_classifier: whether it updates the classifier's weights.
      smooths_labels: whether a part of its objective has labels that `label_smoothing` smooths.

    Example:
      TRADES (Zhang et al. 2019) trains on the clean images and penalizes the Kullback-Leibler
      divergence between the outputs for clean and for perturbed images.

      >>> import mmtf
      >>> class Trades(mmtf.games.AdvPGD):
      ...     def objective(self, players, clean, perturbed, context):
      ...         logits = players.classifier(clean.x, training=True)
      ...         near = tf.nn.log_softmax(players.classifier(perturbed.x, training=True))
      ...         divergence = keras.losses.kl_divergence(tf.nn.softmax(logits), tf.exp(near))
      ...         risk = context.mean(context.cross_entropy(logits, clean.y))
      ...         return risk + 6.0 * context.mean(divergence), {"risk": risk}
      >>> game = Trades(mmtf.ThreatModel(eta=0.3), max_steps=2)
      >>> schedule = mmtf.Schedule(steps=2, batch_size=16)
      >>> mmtf.train(game, mmtf.load_data("digits"), schedule=schedule, progress=False).steps
      2
    """

    rounds: int = 0
    metrics: tuple[str, ...] = ("risk",)
    batch_divisor: int = 1
    learns_attacker: ClassVar[bool] = False
    input_gradients: bool = True
    trains_classifier: bool = True
    smooths_labels: bool = True

    @property
    def single_step(self) -> bool:
        """Whether the attacker takes one gradient step, so that training may overfit to it."""
        return getattr(self, "max_steps", 0) == 1

    @property
    def trains_networks(self) -> bool:
        """Whether it trains networks beside the classifier, of whatever names."""
        return self.learns_attacker

    def __init__(self, threat: ThreatModel):
        require_threat(threat)
        self.threat = threat

    def make_players(
        self,
        classifier: Classifier | keras.Model,
        make_optimizer: Callable[..., Any],
        image_shape: tuple[int, int, int],
        num_classes: int,
        seed: int = 0,
    ) -> Players:
        """Makes the players; called once, inside the strategy's scope, before the first step.

        Args:
          classifier: the defender, around a built Keras model, or the model itself.
          make_optimizer: make_optimizer(variables) returns an optimizer built for the variables;
            without variables, one that is not built yet. scale=s multiplies its learning rate;
            updates=k declares that it is applied k times a step; player="attacker" that it is not
            the classifier's.
          image_shape: (H, W, C).
          num_classes: number of logits.
          seed: seed for the initial weights of networks other than the classifier.
        """
        classifier = as_classifier(classifier)
        players = Players({"classifier": classifier.model}, {}, classifier)
        players.updaters["classifier"] = make_optimizer(self.trainable(players))
        return players

    def begin_round(self, players: Players, number: int) -> None:
        """Called outside of any graph before the first step of round `number` > 0.

        Every optimizer starts afresh, so that the schedule of its learning rate, which is that of a
        round, begins anew. An override calls this method as well.
        """
        for updater in players.updaters.values():
            if hasattr(updater, "iterations"):
                reset_optimizer(updater)

    def step(self, players: Players, batch: Batch, context: StepContext) -> dict[str, tf.Tensor]:
        """Takes one max step and one min step.

        It is traced without AutoGraph: to branch on the value of a tensor use tf.cond or tf.where,
        not `if`.

        Returns:
          The metrics: this replica's shares of means over the global batch, float32 scalars.
        """
        perturbed, context = self.max_step(players, batch, context)
        return self.min_step(players, batch, perturbed, context)

    def max_step(
        self, players: Players, batch: Batch, context: StepContext
    ) -> tuple[Batch, StepContext]:
        """The perturbed images, constants from here on, and the context of their order."""
        perturbed = Batch(*self.perturb(players.shrunk(batch.x, context), batch, context))
        z = context.shrink(perturbed.x, self.arranged(batch.x))
        perturbed = perturbed._replace(x=tf.stop_gradient(z))
        return perturbed, self._arranged_context(batch, perturbed, context)

    def min_step(
        self,
        players: Players,
        clean: Batch,
        perturbed: Batch,
        context: StepContext,
        at: Sequence[tf.Tensor] | None = None,
    ) -> dict[str, tf.Tensor]:
        """Takes one step of the optimizer down the gradient of `objective`.

        Args:
          players: all of them.
          clean, perturbed, context: as of `objective`.
          at: the values of `trainable` at which the gradient is computed, one tensor for each;
            None: their current values.

        Returns:
          The metrics, as `step`.
        """
        optimizer, variables = players.updaters["classifier"], self.trainable(players)
        points: Any = variables if at is None else at
        if at is not None:
            context = context.at_weights(variables, at)
        with tf.GradientTape() as tape:
            if at is not None:
                tape.watch(at)
            with context.dropout(*players.networks):
                loss, metrics = self.objective(players, clean, perturbed, context)
                loss += regularization(players.models["classifier"]) / context.replicas
            scaled = optimizer.scale_loss(loss)  # by 1, or as float16 needs
        optimizer.apply(tape.gradient(scaled, points), variables)
        if context.observed is not None:
            context.observed.loss = loss
            if not context.observed.outputs:
                context.observe(players.classifier(perturbed.x, training=False), perturbed.y)
        return metrics

    def perturb(self, players: Players, batch: Batch, context: StepContext) -> Batch:
        """The max step: computes the perturbed images Z and returns them with their labels.

        A game may leave some of the examples unperturbed, or reorder them (`arranged`).

        Args:
          players: all of them.
          batch: the clean images.
          context: of this step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define perturb or step.")

    def arranged(self, values: tf.Tensor) -> tf.Tensor:
        """Values [N, ...] of a batch's examples in the order in which `perturb` returns these.

        By default the batch's own. A game that reorders the examples overrides it; else weights
        would go to other examples than their own.
        """
        return values

    def objective(
        self, players: Players, clean: Batch, perturbed: Batch, context: StepContext
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss that the min step descends; by default the mean risk f(u, Z) of Eq. 2.

        Args:
          players: all of them; call the classifier with training=True.
          clean: the batch that `perturb` was given.
          perturbed: what `perturb` returned, held constant.
          context: of this step; `context.mean` averages per-example values over the global batch,
            for any number of replicas.

        Returns:
          (loss, metrics). `step` adds the weight penalties of the classifier's own layers to the
          loss.
        """
        logits = players.classifier(perturbed.x, training=True)
        context.observe(logits, perturbed.y)
        risk = context.mean(context.cross_entropy(logits, perturbed.y))
        return risk, {"risk": risk}

    def trainable(self, players: Players) -> list[keras.Variable]:
        """The variables that the min step updates; by default those of the classifier."""
        return players.classifier.trainable_variables

    def deployed(self, players: Players) -> Classifier:
        """The model to attack, evaluate and export after training; by default the classifier."""
        return players.classifier.at("float32")

    def _arranged_context(self, batch, perturbed, context):
        """The context with the weights in the order of the perturbed examples."""
        kept = perturbed.y is batch.y or type(self).arranged is not Game.arranged
        if context.weights is not None and not kept:
            raise ConfigError(
                "Expected a game that keeps the order of the examples, or defines `arranged`, for "
                f"weights of examples. Received: {type(self).__name__}, whose perturb returns "
                "other labels than the batch's."
            )
        return context.select(self.arranged)

    def __repr__(self) -> str:
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({arguments})"


def regularization(model: keras.Model) -> tf.Tensor | float:
    """The sum of the weight penalties of a model's layers; 0 if there are none."""
    return tf.add_n(model.losses) if model.losses else 0.0


def reset_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Sets all state of an optimizer but its learning rate to that before the first step.

    Some of it is not zero there: Adagrad's and FTRL's accumulators, the product of Nadam.
    """
    pairs = zip(_state(optimizer), _state(new_of_same_config(optimizer)), strict=True)
    for variable, initial in pairs:
        variable.assign(tf.convert_to_tensor(initial))


def _state(optimizer):
    return [one for one in optimizer.variables if not one.path.endswith("learning_rate")]


def steepest_attack(threat: ThreatModel, steps: int) -> Attack:
    """The attack of the inner maximization: one steepest-ascent step (FGSM, FGM) or several.

    Args:
      threat: the constraint of Eq. 5; with one step, FGSM for its norm `linf`, else FGM.
      steps: number of steps, > 0; several steps are smaller than the single one.
    """
    require_int("max_steps", steps)
    if steps == 1:
        return ATTACKS["fgsm" if threat.norm == "linf" else "fgm"](threat)
    return IteratedAttack(threat, steps=steps, stop_early=False)


def training_pgd(threat: ThreatModel, steps: int) -> PGD:
    """PGD from a random start as the inner maximization of training.

    Args:
      threat: the constraint of Eq. 5.
      steps: number of steps, > 0; 1 is a single step from a random start.
    """
    require_int("max_steps", steps)
    # A single step of 2.5 eta would end on the surface of the ball from every start.
    step_size = threat.radius * min(2.5 / steps, 1.25)
    return PGD(threat, steps=steps, step_size=step_size, stop_early=False)

"""`AdversarialModel`: adversarial training of a Keras classifier by `compile` and `fit`."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import Classifier
from mmtf.errors import ConfigError, require_choice
from mmtf.fit import admission, examples
from mmtf.fit.callbacks import with_rounds
from mmtf.fit.optimizers import optimizer_factory
from mmtf.fit.plain_model import PlainModel
from mmtf.fit.stepping import Stepping
from mmtf.fit.training_state import variables_of
from mmtf.games.base import Game
from mmtf.games.players import Players
from mmtf.kernels import optimized
from mmtf.kernels.adam import fused_adam
from mmtf.kernels.keras_internals import layers_of, make_global_seed_generator
from mmtf.runtime import startup
from mmtf.runtime.devices import resolve_jit
from mmtf.training.checkpoints import trackables
from mmtf.training.playing import missing_derivatives_told

STATISTICS = ("perturbed", "clean")


class AdversarialModel(PlainModel):
    """Trains a Keras classifier against an attacker, by `compile` and `fit`.

    A thin model around yours: calls, `save`, `export`, `summary`, `get_layer` and weights files are
    those of `model`: what a ModelCheckpoint writes loads without mmtf. A training step is a step
    of the game, as in `mmtf.train`: the attacker perturbs the images of the batch within the threat
    model, and the optimizer descends the objective of the game on them, for example the penalized
    risk of Eq. 8 (`mmtf.games.MinimaxGrad`).

    `fit` logs `loss` (the objective with the weight penalties of the layers), `risk` (the mean
    cross-entropy on adversarial examples), the other metrics of the game, such as `sensitivity`,
    and `adversarial_accuracy` for metrics=["accuracy"]: your metrics on the adversarial logits.
    `evaluate` and validation use clean images: `val_loss` is their mean cross-entropy with the
    weight penalties. `mmtf.RobustAccuracy` adds `val_robust_accuracy`.

    `class_weight` and `sample_weight` have Keras' meaning: an example of weight k counts as k
    copies of it in every sum over a batch, which is divided by the number of examples. Penalties
    weight the squared gradient of the unweighted loss: k times, not k^3 times.

    BatchNormalization layers see perturbed images in training: their moving statistics, which
    inference uses, are those of perturbed images. With `statistics="clean"` they are those of
    clean images, at the cost of one more forward pass; the training step itself still normalizes
    by the statistics of its perturbed batch.

    Args:
      model: a built Keras model from images [N, H, W, C] to logits [N, classes], with float32
        variables; its dtype policy, such as mixed_bfloat16, is kept. Under a distribution strategy
        make both models and call `compile` inside strategy.scope().
      game: a game of `mmtf.games`, or your own. Games whose attacker is a network train it along.
      bounds: (low, high), the pixel range of the data and of `model`. Radii, gradients with
        respect to images and penalties on them stay on the scale of the box [-1, 1]: eta 0.3 is
        eps 0.15 for pixels in [0, 1]. None: the data are in the game's box.
      warmup_steps: the radius grows linearly from eta / warmup_steps to eta over so many steps.
        Single-step games on small nets may stay at chance at eta 0.3 without it.
      epochs_per_round: epochs in each round of a game in rounds (`AdvFGSM`); only for such games.
      clean_metrics: whether training also computes your metrics on clean images, as `accuracy`, by
        one more forward pass without dropout, before the update.
      statistics: `perturbed` or `clean`: of which images the moving statistics of
        BatchNormalization layers are.
      seed: seed for dropout, random starts and attack networks, in [0, 2^31). All of them follow
        from (seed, step, replica), so that a run restored by BackupAndRestore goes on the same.

    Attributes:
      model: the plain model, which is trained in place.
      game: as given.
      classifier: a `mmtf.Classifier` of the model and its bounds, for attacks and evaluations.
      players: the players of the game, see `mmtf.games.Players`; set by `compile`.

    Raises:
      ConfigError: arguments that contradict each other, or a model that is not built.

    Example:
      >>> import mmtf
      >>> data = mmtf.load_data("digits")
      >>> x, y = data.train(64)
      >>> net = keras.Sequential(
      ...     [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
      ... )
      >>> model = mmtf.AdversarialModel(net, mmtf.games.LWA(mmtf.ThreatModel(eta=0.3)))
      >>> model.compile("adam", metrics=["accuracy"])
      >>> history = model.fit(x, y, verbose=0)
      >>> sorted(history.history)
      ['adversarial_accuracy', 'loss', 'risk']
    """

    def __init__(
        self,
        model: keras.Model | Classifier,
        game: Game,
        *,
        bounds: tuple[float, float] | None = None,
        warmup_steps: int = 0,
        epochs_per_round: int | None = None,
        clean_metrics: bool = False,
        statistics: str = "perturbed",
        seed: int = 0,
    ):
        classifier = admission.make_classifier(model, game, bounds)
        admission.validate_settings(game, warmup_steps, epochs_per_round, seed)
        require_choice("statistics", statistics, STATISTICS)
        super().__init__(classifier.model)
        self.game = game
        self.classifier = classifier
        self.warmup_steps = warmup_steps
        self.epochs_per_round = epochs_per_round
        self.clean_metrics = clean_metrics
        self.statistics = statistics
        self.seed = seed
        self.validation_data: Any = None
        self._stepping: Stepping | None = None

    def compile(
        self,
        optimizer: Any = "adam",
        loss: Any = None,
        *,
        metrics: Any = None,
        weighted_metrics: Any = None,
        attacker_optimizer: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Sets the optimizers and metrics.

        Args:
          optimizer: of the classifier: a Keras optimizer or its name.
          loss: None, or the games' own: SparseCategoricalCrossentropy or CategoricalCrossentropy
            with from_logits=True. The latter's label_smoothing is that of the min step.
          metrics, weighted_metrics, run_eagerly, steps_per_execution, auto_scale_loss: as in
            `keras.Model.compile`.
          attacker_optimizer: of an attack network; None: as `optimizer`, with its learning rate
            times the game's `attacker_rate`.
          jit_compile: whether XLA compiles the steps; `auto`: on a single GPU, without a strategy.

        Raises:
          ConfigError: a model, loss or optimizer that the game cannot train.
        """
        smoothing = admission.validate_loss(loss)
        strategy = self.distribute_strategy
        if jit_compile is True:
            resolve_jit(True, strategy, 0)
        with strategy.scope():
            super().compile(
                optimizer,
                metrics=metrics,
                weighted_metrics=weighted_metrics,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
                jit_compile=jit_compile,
                auto_scale_loss=auto_scale_loss,
            )
            replicas = strategy.num_replicas_in_sync
            classes = admission.validate_model(self.classifier, self.game, replicas)
            admission.validate_optimizer(self.optimizer, self.game, replicas)
            if self.jit_compile:
                startup.set_xla_flags()
            make_global_seed_generator()
            players = self.game.make_players(
                self.classifier,
                optimizer_factory(self.optimizer, attacker_optimizer),
                admission.input_shape_of(self.model),
                classes,
                self.seed,
            )
            admission.validate_players(players, self.game)
            self._stepping = Stepping(
                self,
                players,
                classes,
                smoothing,
                metrics=metrics,
                weighted_metrics=weighted_metrics,
            )

    @property
    def players(self) -> Players:
        """The players of the game."""
        return self._compiled.players

    def enter_round(self, number: int) -> None:
        """Begins round `number` of a game in rounds, unless it is the current one."""
        if number != int(self._compiled.round.numpy()):
            if number:
                self.game.begin_round(self.players, number)
            self._compiled.round.assign(number)

    @property
    def _compiled(self) -> Stepping:
        if self._stepping is None:
            raise ConfigError("Expected compile(...) before. Received: a model not compiled.")
        return self._stepping

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Plays the game on batches of images and labels; arguments as in `keras.Model.fit`.

        Images have pixels in `bounds`; labels are integers or one-hot rows.

        Raises:
          ConfigError: images outside the bounds, labels of another form, a layer without the
            derivatives that the game needs, or callbacks in an order that cannot work.
        """
        compiled = self._compiled
        given = inspect.signature(keras.Model.fit).bind(self, *args, **kwargs).arguments
        del given["self"]
        self.validation_data = given.get("validation_data")
        x, y = given.get("x"), given.get("y")
        examples.require_first(x if y is None else (x, y), compiled.bounds, compiled.classes)
        given["callbacks"] = with_rounds(self, given.get("callbacks"))
        with missing_derivatives_told(self.game), examples.told_in_one_line():
            return super().fit(**given)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """A training step on one batch; arguments as in `keras.Model.train_on_batch`."""
        with missing_derivatives_told(self.game), examples.told_in_one_line():
            return super().train_on_batch(*args, **kwargs)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Takes one step of the game; called by `fit`."""
        one = self.distribute_strategy.num_replicas_in_sync == 1
        with self._kernels() if one else contextlib.nullcontext():
            return self._compiled.train(*keras.utils.unpack_x_y_sample_weight(data))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Evaluates a batch of clean images; called by `evaluate`."""
        return self._compiled.test(*keras.utils.unpack_x_y_sample_weight(data))

    def make_train_function(self, force: bool = False) -> Any:
        """Compiles the training step; called by `fit`."""
        if not force and vars(self).get("train_function") is not None:
            return vars(self)["train_function"]
        super().make_train_function(force)
        if self.distribute_strategy.num_replicas_in_sync > 1:
            # Their threads take turns in tracing: layers are changed around all of them.
            made: Any = vars(self)["train_function"]

            def traced(iterator):
                with self._kernels():
                    return made(iterator)

            self.train_function = traced
        return vars(self)["train_function"]

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the metrics of clean images and returns all metrics."""
        # Keras makes the metrics' variables by a first call outside of any graph.
        self._compiled.build_metrics(x, y, y_pred, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def get_metrics_result(self) -> dict[str, Any]:
        """All metrics by their names in the logs."""
        return {**super().get_metrics_result(), **self._compiled.results()}

    def reset_metrics(self) -> None:
        """Resets all metrics; called before every epoch and evaluation."""
        super().reset_metrics()
        if self._stepping is not None:
            self._stepping.reset_metrics()

    def _get_metrics_result_or_logs(self, logs: Any) -> Any:
        # At the end of an epoch; on several replicas `logs` has the means of their own results.
        found = self.get_metrics_result()
        return {name: found[name] for name in logs} if set(logs) <= set(found) else logs

    def state_variables(self) -> list[Any]:
        """Variables of the training that are not the plain model's: optimizers, other players."""
        kept = {"steps": self._compiled.steps, "round": self._compiled.round}
        return variables_of({**trackables(self.players), **kept}, self.model)

    @contextlib.contextmanager
    def _kernels(self) -> Iterator[None]:
        """Context manager: what is traced inside has mmtf's faster operations."""
        with contextlib.ExitStack() as stack:
            for network in self.players.networks:
                stack.enter_context(optimized(network, "xla" if self.jit_compile else "cpu"))
            stack.enter_context(fused_adam(self.optimizer))
            yield

    def batch_norms(self) -> list[keras.Variable]:
        """Moving statistics that are not to follow perturbed images."""
        if self.statistics == "perturbed":
            return []
        layers = filter(admission.is_batch_norm, layers_of(self.model))
        return [variable for layer in layers for variable in layer.non_trainable_variables]

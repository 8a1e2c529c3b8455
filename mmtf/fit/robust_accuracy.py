"""`RobustAccuracy`: a callback that measures robust accuracy on validation data."""

from typing import Any

import keras
import tensorflow as tf

from mmtf.attacks.base import Attack
from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.errors import ConfigError, reason_of, require, require_int
from mmtf.evaluation.attack_specs import make_attacks
from mmtf.evaluation.runner import measure
from mmtf.fit import examples
from mmtf.threat import ThreatModel


class RobustAccuracy(keras.callbacks.Callback):
    """Adds the robust accuracy under an attack to the logs of epochs, as `val_robust_accuracy`.

    It is the share of examples that are classified right after the attack (1 - error), with the
    weights at the end of the epoch, in float32 whatever the model's policy; the images are checked
    to lie in the ball and the box. Place it before callbacks that monitor it, such as
    ModelCheckpoint, and after SwapEMAWeights, to measure the averaged weights.

    It is measured in epochs 0, `every`, 2 `every`, ... and in the last one; the epochs between
    repeat the last value, so that a ModelCheckpoint with `save_best_only` saves nothing in them.

    Args:
      attack: the name of an attack (`mmtf.attacks.ATTACKS`, or `module:attribute`), its class, or
        an instance.
      data: images and labels: arrays (x, y), a tf.data.Dataset or a keras.utils.PyDataset; None:
        the `validation_data` of `AdversarialModel.fit`.
      examples: number of examples, the first ones; they are read once, when training begins.
      every: number of epochs between two measurements, > 0.
      threat: the threat model; None: that of the AdversarialModel's game, or of `attack`.
      bounds: (low, high), pixel range of the data and the model; None: that of the
        AdversarialModel, else the box of the threat model.
      seed: for random starts.
      batch_size: images attacked together; None: by memory.
      name: of the entry in the logs.
      **options: of the attack, by name, such as steps=10.

    Raises:
      ConfigError: an unknown attack or option; when training begins, no data or no threat model.

    Example:
      >>> RobustAccuracy("pgd", steps=10, examples=500).name
      'val_robust_accuracy'
    """

    def __init__(
        self,
        attack: Any = "pgd",
        *,
        data: Any = None,
        examples: int = 500,
        every: int = 1,
        threat: ThreatModel | None = None,
        bounds: tuple[float, float] | None = None,
        seed: int = 0,
        batch_size: int | None = None,
        name: str = "val_robust_accuracy",
        **options: Any,
    ):
        super().__init__()
        require_int("examples", examples)
        require_int("every", every)
        self.attack = attack
        self.data = data
        self.examples = examples
        self.every = every
        self.threat = threat
        self.bounds = bounds
        self.seed = seed
        self.batch_size = batch_size
        self.name = name
        self.options = options
        self._value: float | None = None
        if threat is not None or isinstance(attack, Attack):
            self._made(threat)  # a wrong name or option is told before training

    def on_train_begin(self, logs: Any = None) -> None:
        """Makes the attack and reads the examples."""
        game = getattr(self.model, "game", None)
        self._attack = self._made(self.threat or getattr(game, "threat", None))
        box = self._attack.threat.box
        own: Any = getattr(self.model, "classifier", None)
        scaled = own is not None and own.bounds != BOX
        bounds = tuple(self.bounds or (own.bounds if scaled else box))
        told = "bounds that are the box, or a threat model with box (-1, 1)"
        require(bounds == box or box == BOX, told, bounds)
        if own is None or self.bounds is not None:
            own = Classifier(self.model, bounds=BOX if bounds == box else bounds)
        self._classifier = own.at("float32")
        data = self.data
        if data is None:
            data = getattr(self.model, "validation_data", None)
        if data is None:
            raise ConfigError(
                "Expected validation_data=(x, y) in AdversarialModel.fit, or data=(x, y) of "
                "RobustAccuracy. Received: neither."
            )
        x, y = examples.take(data, self.examples)
        examples.require_images(x, bounds)
        self._x = examples.in_box(x, bounds, box).numpy()
        self._y = _labels(y)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measures, and adds the value to `logs`."""
        last = epoch + 1 == (self.params or {}).get("epochs")
        if self._value is None or epoch % self.every == 0 or last:
            self._value = measure(
                self._classifier,
                self._attack,
                self._x,
                self._y,
                name="attack",
                seed=self.seed,
                batch_size=self.batch_size,
            ).robust_accuracy
        if logs is not None:
            logs[self.name] = self._value

    def _made(self, threat: ThreatModel | None) -> Any:
        if isinstance(self.attack, Attack):
            require(not self.options, "options in the attack given", list(self.options))
            require(self.threat is None, "the threat model of the attack given", self.threat)
            return self.attack
        if threat is None:
            raise ConfigError(
                "Expected threat=mmtf.ThreatModel(eta=...) for a model that is no "
                "AdversarialModel. Received: None."
            )
        named = isinstance(self.attack, str)
        require(named or callable(self.attack), "an attack: name, class or instance", self.attack)
        try:
            if named:
                (made,) = make_attacks({self.attack: self.options}, threat, seed=self.seed).values()
            else:
                made = self.attack(threat, **self.options)
        except TypeError as error:
            raise ConfigError(
                f"Expected options of the attack {self.attack}. Received: {reason_of(error)}."
            ) from error
        require(
            isinstance(made, Attack), "an attack that needs no training of its own", self.attack
        )
        return made


def _labels(y: Any) -> Any:
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(-1)
    return tf.reshape(y, [-1]).numpy()

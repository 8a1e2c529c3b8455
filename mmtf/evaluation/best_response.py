"""AttNet-curr: an attack network trained from scratch against the classifier of each row."""

import dataclasses
import os
import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.attacks.attack_network import LearnedAttack
from mmtf.classifiers import export
from mmtf.classifiers.classifier import as_classifier
from mmtf.classifiers.loading import require_keras
from mmtf.config import Schedule
from mmtf.data.dataset import Dataset
from mmtf.errors import require_int
from mmtf.evaluation.batching import examples_held
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.runner import measure
from mmtf.games.best_response import BestResponse
from mmtf.storage import cache
from mmtf.storage.files import UNREADABLE, read_json, write_json
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress
from mmtf.training.train import train

# Number of training examples on which the strongest restart is selected.
CHOICE_EXAMPLES = 5000


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttNetRecipe:
    """Hyperparameters for training an attack network as a best response.

    Attributes:
      net, net_options, loss: see `mmtf.games.best_response.BestResponse`.
      schedule: steps, batch size and learning rate of one restart.
      restarts: number of networks trained from different initial weights, > 0; the one with the
        largest error on training images is kept.
      precision: of training, as in `mmtf.train`. The trained network attacks in float32.

    Raises:
      ConfigError: `restarts` is not positive.
    """

    net: str = "mlp"
    net_options: dict = dataclasses.field(default_factory=dict)
    loss: str = "cross_entropy"
    schedule: Schedule
    restarts: int = 1
    precision: str = "auto"

    def __post_init__(self):
        require_int("restarts", self.restarts)

    def to_dict(self) -> dict:
        """The attributes as plain data, part of the keys of stored networks."""
        return {**dataclasses.asdict(self), "schedule": self.schedule.to_dict()}


# The strongest recipe found on held-out training images; see docs/attack_networks.md.
ATTNET = AttNetRecipe(
    net="unet",
    loss="margin",
    schedule=Schedule(steps=5000, batch_size=32, learning_rate=4e-3, decay="cosine"),
)
# Exactly as in Section 4.1 and Appendix A of the paper.
ATTNET_PAPER = AttNetRecipe(schedule=Schedule(steps=30_000, learning_rate=1e-3))
# The paper's network, loss and learning rate, with few enough steps for `--schedule=fast`.
ATTNET_PAPER_FAST = dataclasses.replace(
    ATTNET_PAPER, schedule=Schedule(steps=1500, learning_rate=1e-3)
)


class FittedAttNet(FittedAttack):
    """AttNet-curr as a column of a table: trains one attack network against each classifier.

    Args:
      threat, recipe, seed, cache_dir, progress: see `best_response`.
    """

    def __init__(
        self,
        threat: ThreatModel,
        recipe: AttNetRecipe,
        *,
        seed: int = 0,
        cache_dir: str | None = None,
        progress: bool = True,
    ):
        self.threat = threat
        self.recipe = recipe
        # Forward and backward through the classifier and through a network of about its size.
        images = recipe.restarts * recipe.schedule.steps * recipe.schedule.batch_size
        self.fitting_passes = 6.0 * images
        self._seed, self._cache_dir, self._progress = seed, cache_dir, progress

    def supports(self, classifier: Any, x: np.ndarray) -> None:
        """Raises ConfigError unless `classifier` is a Keras model."""
        require_keras(as_classifier(classifier), "attack networks, which are trained against it")

    def fit(self, classifier: Any, dataset: Dataset) -> LearnedAttack:
        """Trains the best response to `classifier` on the training split, or loads it."""
        return best_response(
            classifier,
            dataset,
            self.threat,
            self.recipe,
            seed=self._seed,
            cache_dir=self._cache_dir,
            progress=self._progress,
        )

    def is_kept(self, classifier: Any, dataset: Dataset) -> bool:
        """Whether the network is stored in `cache_dir`."""
        return self._entry(classifier, dataset).is_kept()

    def kept_seconds(self, classifier: Any, dataset: Dataset) -> float:
        """Seconds of training that the stored network saves `fit`; 0 if none is stored."""
        entry = self._entry(classifier, dataset)
        if not entry.is_kept() or _load(entry) is None:
            return 0.0
        about = cache.Entry(entry.beside(".json")).load(read_json)
        return about.get("seconds", 0.0) if about else 0.0

    def __repr__(self) -> str:
        return f"FittedAttNet({self.threat!r}, {self.recipe!r}, seed={self._seed})"

    def _entry(self, classifier, dataset) -> cache.Entry:
        return _entry(self._cache_dir, classifier, dataset, self.threat, self.recipe, self._seed)


def best_response(
    classifier: Any,
    dataset: Dataset,
    threat: ThreatModel,
    recipe: AttNetRecipe = ATTNET,
    *,
    seed: int = 0,
    cache_dir: str | None = None,
    progress: bool = True,
) -> LearnedAttack:
    """Approximates the best response v*(u) of Eq. 10 by training an attack network from scratch.

    Args:
      classifier: u, a Keras model or a Classifier of one; it is not changed.
      dataset: its training split is used.
      threat: the ball and the box.
      recipe: network, loss and training schedule.
      seed: for batches, dropout and initial weights.
      cache_dir: folder in which the network is stored, as .keras and as a SavedModel
        (`save_attacker`), under a key made of the classifier's weights, recipe, threat model,
        training images, seed and code; None: it is not stored.
      progress: whether training shows its progress on stderr.

    Returns:
      The attack of the trained network; of several restarts, that with the largest error on 5,000
      training examples.
    """
    classifier = as_classifier(classifier)
    entry = _entry(cache_dir, classifier, dataset, threat, recipe, seed)
    kept = _load(entry)
    if kept is not None:
        return LearnedAttack(threat, kept)
    x, y = dataset.train(examples_held(CHOICE_EXAMPLES, dataset.image_shape))
    best: LearnedAttack
    train_errors, began = [], time.monotonic()
    for restart in range(recipe.restarts):
        game = BestResponse(
            threat,
            net=recipe.net,
            net_options=recipe.net_options,
            loss=recipe.loss,
            attacker_seed=(seed * 100 + restart) % 2**31,
        )
        label = f"best response ({recipe.net}, restart {restart + 1}/{recipe.restarts})"
        bar = Progress(recipe.schedule.steps, label=label) if progress else False
        trained = train(
            game,
            dataset,
            schedule=recipe.schedule,
            model=classifier,
            seed=(seed * 100 + restart) % 2**31,
            precision=recipe.precision,
            # The cached network must depend on its key alone, not on devices or XLA.
            strategy=tf.distribute.get_strategy(),
            jit_compile=False,
            progress=bar,
        )
        attack = LearnedAttack(threat, trained.trainer.players.models["attacker"])
        error = measure(classifier, attack, x, y, name="train").error
        train_errors.append(error)
        if error > max(train_errors[:-1], default=-1.0):
            best = attack
    if cache_dir is not None:
        about = {"recipe": recipe.to_dict(), "train_errors": train_errors, "eta": threat.eta}
        about["seconds"] = round(time.monotonic() - began, 2)
        os.makedirs(cache_dir, exist_ok=True)
        export.save_attacker(best.network, dataset.image_shape, entry.beside(""))
        write_json(entry.beside(".json"), about)
        entry.save(best.network.save)  # last: its presence marks the entry as complete
    return best


def _entry(folder, classifier, dataset, threat, recipe, seed) -> cache.Entry:
    if folder is None:
        return cache.Entry(None)
    key = [
        as_classifier(classifier).fingerprint,
        recipe.to_dict(),
        dataclasses.asdict(threat),
        dataset.training_digest,
        seed,
    ]
    return cache.entry(folder, key, ".keras")


def _load(entry):
    errors = (*UNREADABLE, TypeError)  # TypeError: written by another version of Keras
    return entry.load(keras.models.load_model, errors)

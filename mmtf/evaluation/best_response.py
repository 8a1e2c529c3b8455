"""AttNet-curr: an attack network trained afresh against exactly the classifier in the row."""

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
from mmtf.errors import require
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.runner import measure
from mmtf.games.best_response import BestResponse
from mmtf.storage import cache
from mmtf.storage.files import UNREADABLE, read_json, write_json
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress
from mmtf.training.train import train

# Training examples on which the strongest restart is chosen.
CHOICE_EXAMPLES = 5000


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttNetRecipe:
    """How a best response is trained.

    Attributes:
      net, net_options, loss: see `mmtf.games.best_response.BestResponse`.
      schedule: steps, batch size and learning rate of one restart.
      precision: of the network's training, as in `mmtf.train`; its attack is always float32's.
      restarts: networks trained from different initial weights; the one with the largest error on
        training images is kept. > 0.
    """

    net: str = "mlp"
    net_options: dict = dataclasses.field(default_factory=dict)
    loss: str = "cross_entropy"
    schedule: Schedule
    restarts: int = 1
    precision: str = "auto"

    def __post_init__(self):
        require(self.restarts > 0, "restarts > 0", self.restarts)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


# The strongest found, on held-out training images: docs/attack_networks.md.
ATTNET = AttNetRecipe(
    net="unet",
    loss="margin",
    schedule=Schedule(steps=5000, batch_size=32, learning_rate=4e-3, decay="cosine"),
)
# Section 4.1 and App. A to the letter.
ATTNET_PAPER = AttNetRecipe(schedule=Schedule(steps=30_000, learning_rate=1e-3))
# The paper's network, loss and rate for the minutes of `--schedule=fast`.
ATTNET_PAPER_FAST = dataclasses.replace(
    ATTNET_PAPER, schedule=Schedule(steps=1500, learning_rate=1e-3)
)


class FittedAttNet(FittedAttack):
    """AttNet-curr as a column of a table: for every classifier, a network trained against it.

    Args:
      threat, recipe, seed, cache_dir, progress: as in `best_response`.
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
        self._seed, self._cache_dir, self._progress = seed, cache_dir, progress

    def supports(self, classifier: Any, x: np.ndarray) -> None:
        """A network is trained through Keras models alone."""
        require_keras(as_classifier(classifier), "attack networks, which are trained against it")

    def fit(self, classifier: Any, dataset: Dataset) -> LearnedAttack:
        """The best response to `classifier`, trained on the training split."""
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
        """Whether `cache_dir` has the network."""
        return self._entry(classifier, dataset).is_kept()

    def kept_seconds(self, classifier: Any, dataset: Dataset) -> float:
        """Of the training that a kept network spares `fit`; 0 where none is kept."""
        entry = self._entry(classifier, dataset)
        if not entry.is_kept() or _load(entry) is None:
            return 0.0
        about = cache.Entry(entry.beside(".json")).load(read_json)
        return about.get("seconds", 0.0) if about else 0.0

    def __repr__(self) -> str:
        return f"FittedAttNet({self.threat!r}, {self.recipe!r})"

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
    """v*(u) of Eq. 10, approximately: a network trained afresh on the training split.

    Args:
      classifier: a Keras model, or a Classifier of one; stays as it is.
      dataset: its training split is used.
      threat: the ball and the box.
      recipe: how.
      seed: for batches, dropout and initial weights.
      cache_dir: where the network is kept, as .keras and as a SavedModel (`save_attacker`), under
        a key made of the classifier's weights, recipe, threat model, training images, seed and
        code; None: not kept.
      progress: show it on stderr.
    """
    classifier = as_classifier(classifier)
    entry = _entry(cache_dir, classifier, dataset, threat, recipe, seed)
    kept = _load(entry)
    if kept is not None:
        return LearnedAttack(threat, kept)
    x, y = dataset.train(CHOICE_EXAMPLES)
    best: LearnedAttack
    tried, began = [], time.monotonic()
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
            model=classifier.as_keras(),
            seed=(seed * 100 + restart) % 2**31,
            precision=recipe.precision,
            # One key, one network, whatever compiled the classifier and on however many devices.
            strategy=tf.distribute.get_strategy(),
            jit_compile=False,
            progress=bar,
        )
        attack = LearnedAttack(threat, trained.trainer.players.models["attacker"])
        error = measure(classifier, attack, x, y, name="train").error
        tried.append(error)
        if len(tried) == 1 or error > max(tried[:-1]):
            best = attack
    if cache_dir is not None:
        about = {"recipe": recipe.to_dict(), "train_errors": tried, "eta": threat.eta}
        about["seconds"] = round(time.monotonic() - began, 2)
        os.makedirs(cache_dir, exist_ok=True)
        export.save_attacker(best.network, dataset.image_shape, entry.beside(""))
        write_json(entry.beside(".json"), about)
        entry.save(best.network.save)  # last: where it is, everything is
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
    errors = (*UNREADABLE, TypeError)  # TypeError: another Keras wrote it
    return entry.load(keras.models.load_model, errors)

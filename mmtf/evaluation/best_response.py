"""AttNet-curr: an attack network trained afresh against exactly the classifier in the row."""

import dataclasses
import hashlib
import json
import os
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from mmtf.attacks.attack_network import LearnedAttack
from mmtf.classifiers import export
from mmtf.config import Schedule
from mmtf.data.dataset import Dataset
from mmtf.errors import require
from mmtf.evaluation.fitted import FittedAttack
from mmtf.evaluation.runner import measure
from mmtf.games.best_response import BestResponse
from mmtf.storage.files import UNREADABLE, read_json, write_atomically, write_json
from mmtf.storage.provenance import source_digest
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

    def __init__(self, threat, recipe, *, seed=0, cache_dir=None, progress=True):
        self.threat = threat
        self.recipe = recipe
        self._options = {"seed": seed, "cache_dir": cache_dir, "progress": progress}

    def fit(self, classifier, dataset: Dataset) -> LearnedAttack:
        """The best response to `classifier`, trained on the training split."""
        return best_response(classifier, dataset, self.threat, self.recipe, **self._options)

    def is_kept(self, classifier, dataset: Dataset) -> bool:
        folder, seed = self._options["cache_dir"], self._options["seed"]
        path = _kept_path(folder, classifier, dataset, self.threat, self.recipe, seed)
        return path is not None and os.path.exists(path)

    def kept_seconds(self, classifier, dataset: Dataset) -> float:
        """Of the training that a kept network spares `fit`; 0 where none are kept."""
        folder, seed = self._options["cache_dir"], self._options["seed"]
        path = _kept_path(folder, classifier, dataset, self.threat, self.recipe, seed)
        about = path and f"{path.removesuffix('.keras')}.json"
        if not about or not os.path.exists(about) or _kept(path) is None:
            return 0.0
        return read_json(about).get("seconds", 0.0)

    def __repr__(self):
        return f"FittedAttNet({self.threat!r}, {self.recipe!r})"


def best_response(
    classifier: keras.Model,
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
      classifier: stays as it is.
      recipe: how.
      seed: of batches, dropout and initial weights.
      cache_dir: where the network is kept, as .keras and as a SavedModel (`save_attacker`), under
        a key made of the classifier's weights, recipe, threat model, training images, seed and
        code; None: not kept.
      progress: show it on stderr.
    """
    path = _kept_path(cache_dir, classifier, dataset, threat, recipe, seed)
    if cache_dir is not None and path is not None:
        os.makedirs(cache_dir, exist_ok=True)
        kept = _kept(path)
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
            model=classifier,
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
    if path is not None:
        # The .keras file last: where it is, everything is.
        export.save_attacker(best.network, dataset.image_shape, path.removesuffix(".keras"))
        about = {"recipe": recipe.to_dict(), "train_errors": tried, "eta": threat.eta}
        about["seconds"] = round(time.monotonic() - began, 2)
        write_json(path.removesuffix(".keras") + ".json", about)
        write_atomically(path, best.network.save)
    return best


def model_digest(model: keras.Model) -> str:
    """Of a model's layers, as far as they can be written down, and its weights."""
    try:
        architecture = json.dumps(model.get_config(), sort_keys=True, default=repr)
    except NotImplementedError:  # a subclassed model without get_config
        architecture = f"{type(model).__module__}.{type(model).__qualname__}"
    digest = hashlib.sha256(architecture.encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _kept(path):
    """The network in `path`; None where there is none or the file is broken: it is made again."""
    if not os.path.exists(path):
        return None
    try:
        return keras.models.load_model(path)
    except (*UNREADABLE, TypeError) as error:  # TypeError: another Keras wrote it
        print(f"! {path} cannot be read ({error}); its network is trained again.", file=sys.stderr)
        return None


def _kept_path(folder, classifier, dataset, threat, recipe, seed):
    if folder is None:
        return None
    return os.path.join(folder, f"{_key(classifier, dataset, threat, recipe, seed)}.keras")


def _key(classifier, dataset, threat, recipe, seed) -> str:
    digest = hashlib.sha256(model_digest(classifier).encode())
    settings = [recipe.to_dict(), dataclasses.asdict(threat), dataset.training_digest, seed]
    settings.append(source_digest())
    digest.update(json.dumps(settings, sort_keys=True).encode())
    return digest.hexdigest()[:16]

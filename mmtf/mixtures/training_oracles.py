"""Best responses by training: the oracles of a double oracle between nets and frozen attacks."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.attacks.iterated import PGD
from mmtf.attacks.transfer import Transfer
from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.loading import load_keras, require_keras
from mmtf.config import Schedule
from mmtf.data.dataset import Dataset
from mmtf.evaluation.best_response import AttNetRecipe, best_response
from mmtf.mixtures.mixed_attacks import MixedAttacks
from mmtf.mixtures.mixed_classifier import Mixture
from mmtf.mixtures.payoffs import PayoffTable
from mmtf.storage import cache
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress
from mmtf.training.train import train

ATTACKER = AttNetRecipe(
    net="unet",
    loss="margin",
    schedule=Schedule(steps=1000, batch_size=32, learning_rate=4e-3, decay="cosine"),
)
DEFENDER = Schedule(steps=1000, learning_rate=2e-3, warmup_steps=50, decay="cosine")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OracleSettings:
    """How the oracles train.

    Attributes:
      attacker: of the attack network trained afresh against each mixture of nets.
      defender: of a net trained against each mixture of attacks.
      pgd_steps: of the PGD that is frozen on each mixture of nets, > 0.
      seed: of all of them.
      cache_dir: folder in which trained networks are kept; None: they are not.
      progress: whether training shows its progress on stderr.
    """

    attacker: AttNetRecipe = ATTACKER
    defender: Schedule = DEFENDER
    pgd_steps: int = 20
    seed: int = 0
    cache_dir: str | None = None
    progress: bool = False


class TrainingOracles:
    """Best responses that are trained, selected by and added to a table of held-out images.

    Args:
      table: of held-out training images; new nets and attacks are added to it under the names
        `defense1`, `attnet1`, `pgd1` and so on.
      dataset: its training split trains; the images of the table must not be among them.
      threat: the ball and the box.
      settings: see `OracleSettings`.
    """

    def __init__(
        self,
        table: PayoffTable,
        dataset: Dataset,
        threat: ThreatModel,
        settings: OracleSettings | None = None,
    ):
        self.table, self.dataset, self.threat = table, dataset, threat
        self.settings = settings or OracleSettings()
        self._attacks = self._defenses = 0

    def best_attack(self, defenses: list[str], p: np.ndarray) -> list[str]:
        """An attack network trained afresh against the mixture p, and PGD frozen on it.

        Args:
          defenses: names in the table.
          p: their probabilities.
        """
        how = self.settings
        self._attacks += 1
        number = self._attacks
        nets = {name: self.table.defenses[name] for name in defenses}
        mixture = Mixture(nets, p, name=f"mixture{number}")
        network = best_response(
            mixture,
            self.dataset,
            self.threat,
            how.attacker,
            seed=how.seed + number,
            cache_dir=how.cache_dir,
            progress=how.progress,
        )
        pgd = PGD(self.threat, steps=how.pgd_steps, stop_early=False)
        # Step by step: all steps of all nets as one graph would take seconds to trace.
        pgd.compiles_itself = True
        made = {f"attnet{number}": network, f"pgd{number}": Transfer(mixture, pgd)}
        self.table.add(attacks=made)
        return list(made)

    def best_defense(self, attacks: list[str], q: np.ndarray) -> list[str]:
        """A net trained against the mixture q, from the weights of the best known net against it.

        Args:
          attacks: names in the table.
          q: their probabilities.
        """
        self._defenses += 1
        name = f"defense{self._defenses}"
        losses = self.table.payoffs(attacks=attacks).matrix @ q
        start = list(self.table.defenses.values())[int(losses.argmin())]
        require_keras(start, "a net trained from its weights")
        self.table.add(defenses={name: self._trained(name, start, attacks, q)})
        return [name]

    def _trained(
        self, name: str, start: Classifier, attacks: list[str], q: np.ndarray
    ) -> Classifier:
        how = self.settings
        game = MixedAttacks(self.threat, attacks=[self.table.attacks[one] for one in attacks], q=q)
        seed = how.seed + 1000 + self._defenses

        def make() -> Classifier:
            return rewrapped(start, copy_of(start.model), name)

        def play() -> keras.Model:
            bar = Progress(how.defender.steps, label=name) if how.progress else False
            return train(
                game,
                self.dataset,
                schedule=how.defender,
                model=make,
                seed=seed,
                strategy=tf.distribute.get_strategy(),
                jit_compile=False,
                progress=bar,
            ).model

        parts = [dataclasses.asdict(how.defender), start.fingerprint, seed, q.tolist()]
        parts += [dataclasses.asdict(self.threat), self.dataset.training_digest]
        # What the attacks are shows in their images.
        parts += [float(self.table.images(one).astype(np.float64).sum()) for one in attacks]
        return rewrapped(start, kept_model(how.cache_dir, parts, play), name)


def kept_model(
    folder: str | None, parts: list[Any], make: Callable[[], keras.Model]
) -> keras.Model:
    """Loads the model that `parts` determine from a cache, or makes and keeps it.

    Args:
      folder: of the cache; None: there is none.
      parts: JSON types that determine the model.
      make: trains it.
    """
    entry = cache.entry(folder, parts, ".keras", prefix="net-")
    model = entry.load(load_keras)
    if model is None:
        model = make()
        entry.save(model.save)
    return model


def copy_of(model: keras.Model) -> keras.Model:
    """A Keras model of the same layers with the same weights."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def rewrapped(like: Classifier, model: keras.Model, name: str) -> Classifier:
    """A Classifier of `model` with the pixel range, preprocessing and output of `like`."""
    return Classifier(
        model,
        name=name,
        bounds=like.bounds,
        preprocessing=like.preprocessing,
        output=like.output,
    )

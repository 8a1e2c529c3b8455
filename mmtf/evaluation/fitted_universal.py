"""A universal perturbation as a column of a table, fitted on training images."""

import dataclasses
from typing import Any

import numpy as np

from mmtf.attacks.universal import (
    UNIVERSAL,
    UniversalPerturbation,
    UniversalRecipe,
    universal_perturbation,
)
from mmtf.classifiers.classifier import as_classifier
from mmtf.data.dataset import Dataset
from mmtf.evaluation.batching import default_batch_size
from mmtf.evaluation.fitted import FittedAttack
from mmtf.runtime.devices import full_float32
from mmtf.storage import cache
from mmtf.threat import ThreatModel


class FittedUniversal(FittedAttack):
    """Fits one universal perturbation to each classifier on training images.

    Args:
      threat: the ball and the box.
      recipe: how the perturbation is computed.
      seed: for the order of the images.
      cache_dir: folder in which the perturbation is stored, as .npz with `perturbation` and
        `fooled`, under a key made of the classifier, recipe, threat model, training images, seed
        and code; None: it is not stored.
    """

    def __init__(
        self,
        threat: ThreatModel,
        recipe: UniversalRecipe = UNIVERSAL,
        *,
        seed: int = 0,
        cache_dir: str | None = None,
    ):
        self.threat = threat
        self.recipe = recipe
        # DeepFool takes two passes for each candidate and step.
        each = 2.0 * recipe.steps * (recipe.candidates or 10)
        self.fitting_passes = recipe.images * recipe.passes * each
        self._seed = seed
        self._cache_dir = cache_dir

    def fit(self, classifier: Any, dataset: Dataset) -> UniversalPerturbation:
        """Computes the perturbation on the recipe's training images, or loads it from the cache."""
        entry = self._entry(classifier, dataset)
        kept = entry.load(_perturbation)
        if kept is not None:
            return UniversalPerturbation(self.threat, kept)
        x, _ = dataset.train(self.recipe.images)
        with full_float32():
            full = as_classifier(classifier).at("float32")
            v, fooled = universal_perturbation(
                full,
                x,
                self.threat,
                self.recipe,
                seed=self._seed,
                at_once=min(self.recipe.batch_size, default_batch_size(dataset.image_shape)),
            )
        entry.save(lambda path: np.savez(path, perturbation=v, fooled=fooled))
        return UniversalPerturbation(self.threat, v)

    def is_kept(self, classifier: Any, dataset: Dataset) -> bool:
        """Whether the perturbation is stored in `cache_dir`."""
        return self._entry(classifier, dataset).is_kept()

    def __repr__(self) -> str:
        return f"FittedUniversal({self.threat!r}, {self.recipe!r}, seed={self._seed})"

    def _entry(self, classifier, dataset) -> cache.Entry:
        if self._cache_dir is None:
            return cache.Entry(None)
        key = [
            as_classifier(classifier).fingerprint,
            self.recipe.to_dict(),
            dataclasses.asdict(self.threat),
            dataset.training_digest,
            self._seed,
        ]
        return cache.entry(self._cache_dir, key, ".npz", prefix="universal-")


def _perturbation(path):
    with np.load(path) as kept:
        return kept["perturbation"]

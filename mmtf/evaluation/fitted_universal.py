"""A universal perturbation as a column of a table: fitted on training, measured on test images."""

import dataclasses
import hashlib
import json
import os
import sys

import numpy as np

from mmtf.attacks.universal import UNIVERSAL, UniversalPerturbation, universal_perturbation
from mmtf.classifiers.loading import digest_of
from mmtf.classifiers.precision import evaluating_in_float32
from mmtf.data.dataset import Dataset
from mmtf.evaluation.fitted import FittedAttack
from mmtf.storage.files import UNREADABLE, write_atomically
from mmtf.storage.provenance import source_digest


class FittedUniversal(FittedAttack):
    """For every classifier the universal perturbation of its own training images.

    Args:
      threat: the ball and the box.
      recipe: how it is found.
      seed: of the order of the images.
      cache_dir: where it is kept, as .npz with `perturbation` and `fooled`, under a key made of
        the classifier, recipe, threat model, training images, seed and code; None: not kept.
    """

    def __init__(self, threat, recipe=UNIVERSAL, *, seed=0, cache_dir=None):
        self.threat = threat
        self.recipe = recipe
        self._seed = seed
        self._cache_dir = cache_dir

    def fit(self, classifier, dataset: Dataset) -> UniversalPerturbation:
        path = self._path(classifier, dataset)
        if self.is_kept(classifier, dataset):
            try:
                with np.load(path) as kept:
                    return UniversalPerturbation(self.threat, kept["perturbation"])
            except UNREADABLE as error:
                print(f"! {path} cannot be read ({error}); it is fitted again.", file=sys.stderr)
        x, _ = dataset.train(self.recipe.images)
        with evaluating_in_float32(classifier):
            v, fooled = universal_perturbation(
                classifier, x, self.threat, self.recipe, seed=self._seed
            )
        if path is not None:
            os.makedirs(self._cache_dir, exist_ok=True)
            write_atomically(path, lambda name: np.savez(name, perturbation=v, fooled=fooled))
        return UniversalPerturbation(self.threat, v)

    def is_kept(self, classifier, dataset: Dataset) -> bool:
        path = self._path(classifier, dataset)
        return path is not None and os.path.exists(path)

    def _path(self, classifier, dataset):
        if self._cache_dir is None:
            return None
        threat = dataclasses.asdict(self.threat)
        settings = [self.recipe.to_dict(), threat, dataset.training_digest, self._seed]
        settings.append(source_digest())
        digest = hashlib.sha256(digest_of(classifier).encode())
        digest.update(json.dumps(settings, sort_keys=True).encode())
        return os.path.join(self._cache_dir, f"universal-{digest.hexdigest()[:16]}.npz")

    def __repr__(self):
        return f"FittedUniversal({self.threat!r}, {self.recipe!r})"

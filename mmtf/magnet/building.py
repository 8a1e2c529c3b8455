"""Builds MagNet around a classifier: auto-encoders, thresholds, and the pack of the gray box."""

import dataclasses
import functools
import json
from collections.abc import Sequence

import keras
import numpy as np

from mmtf.classifiers.classifier import Classifier
from mmtf.classifiers.detectors import (
    Detector,
    DivergenceDetector,
    ReconstructionDetector,
    calibrated,
)
from mmtf.classifiers.guarded import Guarded
from mmtf.classifiers.keras_files import load_keras
from mmtf.errors import require_int
from mmtf.magnet.autoencoders import make_autoencoder
from mmtf.magnet.pack import Pack
from mmtf.magnet.recipes import Recipe, Rule
from mmtf.magnet.training import FitSettings, train_autoencoders
from mmtf.storage import cache
from mmtf.storage.digest import sha256

DIVERSITY = 0.2  # of the authors' code


def make_guarded(
    classifier: Classifier,
    x: np.ndarray,
    held_out: np.ndarray,
    recipe: Recipe,
    *,
    fit: FitSettings | None = None,
    name: str = "magnet",
    cache_dir: str | None = None,
    progress: bool = False,
) -> Guarded:
    """Trains MagNet's auto-encoders and sets the thresholds of its detectors.

    Args:
      classifier: the classifier to guard; it is not changed.
      x: training images of the auto-encoders, float32 [n, H, W, C] in [-1, 1].
      held_out: training images that are not in `x`, for the thresholds; for divergence detectors
        the classifier must not have seen them either.
      recipe: see `mmtf.magnet.recipe_for`.
      fit: how auto-encoders are trained; its noise is that of the recipe. None: the defaults.
      name: of the guarded classifier.
      cache_dir: folder in which trained auto-encoders are stored; None: they are not stored.
      progress: whether training shows its progress.

    Raises:
      ConfigError: see `train_autoencoders` and `calibrated`.
    """
    fit = dataclasses.replace(fit or FitSettings(), noise=recipe.noise)
    models = {}
    for architecture in recipe.architectures:
        label = f"auto-encoder {architecture}"
        make = functools.partial(_one, architecture, x, fit, label, progress)
        key = ["autoencoder", architecture, dataclasses.asdict(fit), sha256(x)]
        (models[architecture],) = _kept(cache_dir, key, 1, make)
    rules = [
        calibrated(_detector(rule, models[rule.architecture], classifier), held_out, rule.rate)
        for rule in recipe.rules
    ]
    return Guarded(classifier, reformer=models[recipe.reformer], detectors=rules, name=name)


def make_pack(
    classifier: Classifier,
    x: np.ndarray,
    held_out: np.ndarray,
    recipe: Recipe,
    *,
    count: int = 8,
    fit: FitSettings | None = None,
    tuning: FitSettings | None = None,
    name: str = "pack",
    cache_dir: str | None = None,
    progress: bool = False,
) -> Pack:
    """Trains a pack: auto-encoders of the reformer's architecture, fine-tuned jointly to differ.

    All are first trained to restore images, then fine-tuned with `tuning.diversity`. Each member
    has its own auto-encoder as the reformer and in all of the recipe's detectors.

    Args:
      classifier, x, held_out, recipe, cache_dir, progress: see `make_guarded`.
      count: number of members, > 0; the authors have 8.
      fit: how they are first trained; its noise is that of the recipe.
      tuning: how they are fine-tuned; None: a third of the steps of `fit`, diversity 0.2.
      name: of the pack.
    """
    require_int("count", count)
    fit = dataclasses.replace(fit or FitSettings(), noise=recipe.noise)
    tuning = tuning or dataclasses.replace(
        fit, steps=-(-fit.steps // 3), learning_rate=fit.learning_rate / 5, diversity=DIVERSITY
    )

    def make() -> list[keras.Model]:
        shape = x.shape[1:]
        seeds = [fit.seed * count + number for number in range(count)]
        models = [make_autoencoder(recipe.reformer, shape, seed=1 + one) for one in seeds]
        train_autoencoders(models, x, fit, label=f"{name}: training", progress=progress)
        train_autoencoders(models, x, tuning, label=f"{name}: fine-tuning", progress=progress)
        return models

    key = ["pack", recipe.reformer, count, dataclasses.asdict(fit), dataclasses.asdict(tuning)]
    members = []
    for model in _kept(cache_dir, [*key, sha256(x)], count, make):
        rules = [
            calibrated(_detector(rule, model, classifier), held_out, rule.rate)
            for rule in recipe.rules
        ]
        members.append(Guarded(classifier, reformer=model, detectors=rules, name=name))
    return Pack(members, name=name)


def _one(
    architecture: str, x: np.ndarray, fit: FitSettings, label: str, progress: bool
) -> list[keras.Model]:
    model = make_autoencoder(architecture, x.shape[1:], seed=fit.seed)
    train_autoencoders([model], x, fit, label=label, progress=progress)
    return [model]


def _detector(rule: Rule, model: keras.Model, classifier: Classifier) -> Detector:
    if rule.p is not None:
        return ReconstructionDetector(autoencoder=model, p=rule.p)
    temperature = rule.temperature or 1.0
    return DivergenceDetector(autoencoder=model, classifier=classifier, temperature=temperature)


def _kept(cache_dir: str | None, key: Sequence, count: int, make) -> list[keras.Model]:
    """The trained models from the cache, or made and kept, one file for each."""
    told = json.loads(json.dumps(key))
    entries = [cache.entry(cache_dir, [*told, number], ".keras") for number in range(count)]
    if all(one.is_kept() for one in entries):
        return [load_keras(str(one.path)) for one in entries]
    models = make()
    for one, model in zip(entries, models, strict=True):
        one.save(model.save)
    return models

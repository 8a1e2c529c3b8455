"""Exploitability of a trained classifier and attack network, by networks trained afresh."""

import keras
import numpy as np
import tensorflow as tf

from mmtf.attacks.attack_network import LearnedAttack
from mmtf.classifiers.precision import evaluating_in_float32
from mmtf.config import Schedule
from mmtf.data.dataset import Dataset
from mmtf.evaluation.best_response import AttNetRecipe, best_response
from mmtf.evaluation.exploitability import exploitability
from mmtf.evaluation.runner import BLOCK, misclassified, perturb
from mmtf.games.best_defense import BestDefense
from mmtf.losses import cross_entropy
from mmtf.threat import ThreatModel
from mmtf.training.progress import Progress
from mmtf.training.train import train

# Training examples on which the strongest of several best responses is chosen.
CHOICE_EXAMPLES = 5000


def losses(classifier: keras.Model, z, y) -> np.ndarray:
    """Cross-entropy of every example, float32 [N]: the l of Eq. 2, in float32."""
    with evaluating_in_float32(classifier):
        blocks = [
            cross_entropy(classifier(z[i : i + BLOCK], training=False), y[i : i + BLOCK])
            for i in range(0, len(z), BLOCK)
        ]
    return np.concatenate(blocks)


def pair_exploitability(
    classifier: keras.Model,
    attacker: keras.Model,
    dataset: Dataset,
    threat: ThreatModel,
    *,
    make_net,
    recipes: dict[str, AttNetRecipe],
    schedule: Schedule,
    max_examples: int = 0,
    seed: int = 0,
    cache_dir: str | None = None,
    progress: bool = True,
) -> dict:
    """`exploitability` of (u, v) = (classifier, attacker) on the test split.

    Args:
      make_net: makes a fresh classifier, for u*(v).
      recipes: of v*(u) by name; of the networks so trained the one with the largest mean risk on
        training images is taken.
      schedule: of u*(v).
      max_examples: the first so many test examples, 0 for all.
      seed: of the fresh players.
      cache_dir: see `best_response`.
      progress: show it on stderr.

    Returns:
      As `exploitability`, with `errors`: the test error of each pair; and `responses`: the recipe
      of each v*(u) taken.
    """
    x, y = dataset.test(max_examples)
    train_x, train_y = dataset.train(CHOICE_EXAMPLES)
    errors, responses = [], []

    def best_attack(u):
        found = {
            name: best_response(
                u, dataset, threat, recipe, seed=seed, cache_dir=cache_dir, progress=progress
            ).network
            for name, recipe in recipes.items()
        }
        gains = {name: np.mean(risk_on(train_x, train_y, u, v)[0]) for name, v in found.items()}
        best = max(gains, key=gains.__getitem__)
        responses.append(best)
        return found[best]

    def best_defense(v):
        bar = Progress(schedule.steps, label="best defense") if progress else False
        game = BestDefense(threat, attacker=v)
        return train(
            game,
            dataset,
            schedule=schedule,
            model=make_net,
            seed=seed,
            strategy=tf.distribute.get_strategy(),  # as the best response: on one device
            jit_compile=False,
            progress=bar,
        ).classifier

    def risk_on(images, labels, u, v):
        z = perturb(u, LearnedAttack(threat, v), images, labels)
        return losses(u, tf.constant(z), tf.constant(labels, tf.int32)), z

    def risk(u, v):
        values, z = risk_on(x, y, u, v)
        errors.append(float(np.mean(misclassified(u, z, y))))
        return values

    report = exploitability(risk, classifier, attacker, best_attack, best_defense)
    named = dict(zip(report["risks"], errors, strict=True))
    return {**report, "errors": named, "responses": responses}

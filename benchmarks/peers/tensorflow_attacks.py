"""Foolbox's and ART's attacks on a Keras model, for `benchmarks.scale`; needs no PyTorch.

An attack is a function (model, x, y, eta, batch_size, steps) -> images, with x float32 NHWC in
[-1, 1], which is also the box, and y int [N]. Settings not named are the library's own.
"""

import logging
from typing import Any

import numpy as np
import tensorflow as tf

# Candidate classes of DeepFool; of ART's AutoAttack, queries of Square for each step of the others.
CANDIDATES, QUERIES = 10, 5


def foolbox_attack(name: str) -> Any:
    """Returns Foolbox' attack of this name; KeyError if it has none."""
    import foolbox

    made = {
        "fgsm": lambda steps: foolbox.attacks.LinfFastGradientAttack(random_start=False),
        "pgd": lambda steps: foolbox.attacks.LinfPGD(steps=steps, rel_stepsize=2.5 / steps),
        "deepfool": lambda steps: foolbox.attacks.LinfDeepFoolAttack(
            steps=steps, candidates=CANDIDATES
        ),
    }[name]

    def run(model, x, y, eta, batch_size, steps):
        wrapped = foolbox.TensorFlowModel(model, bounds=(-1.0, 1.0))
        attack, found = made(steps), []
        for start in range(0, len(x), batch_size):
            images, labels = x[start : start + batch_size], y[start : start + batch_size]
            _, clipped, _ = attack(
                wrapped, tf.constant(images), tf.constant(labels, tf.int64), epsilons=eta
            )
            found.append(np.asarray(clipped))
        return np.concatenate(found)

    return run


def art_attack(name: str) -> Any:
    """Returns ART's attack of this name; KeyError if it has none."""
    import keras
    from art.attacks import evasion
    from art.estimators.classification import TensorFlowV2Classifier

    logging.getLogger("art").setLevel(logging.ERROR)

    def classifier_of(model):
        return TensorFlowV2Classifier(
            model=model,
            nb_classes=model.output_shape[-1],
            input_shape=model.input_shape[1:],
            loss_object=keras.losses.CategoricalCrossentropy(from_logits=True),
            clip_values=(-1.0, 1.0),
        )

    def fgsm(one, eta, size, steps):
        return evasion.FastGradientMethod(one, eps=eta, batch_size=size)

    def pgd(one, eta, size, steps):
        return evasion.ProjectedGradientDescent(
            one, eps=eta, eps_step=2.5 * eta / steps, max_iter=steps, batch_size=size, verbose=False
        )

    def apgd(one, eta, size, steps, loss="cross_entropy"):
        return evasion.AutoProjectedGradientDescent(
            one,
            eps=eta,
            eps_step=2.0 * eta,
            max_iter=steps,
            nb_random_init=1,
            batch_size=size,
            loss_type=loss,
            verbose=False,
        )

    def deepfool(one, eta, size, steps):
        return evasion.DeepFool(
            one, max_iter=steps, nb_grads=CANDIDATES, batch_size=size, verbose=False
        )

    def autoattack(one, eta, size, steps):
        square = evasion.SquareAttack(
            one, eps=eta, max_iter=QUERIES * steps, nb_restarts=1, batch_size=size, verbose=False
        )
        parts = [
            apgd(one, eta, size, steps),
            apgd(one, eta, size, steps, "difference_logits_ratio"),
            deepfool(one, eta, size, steps),
            square,
        ]
        return evasion.AutoAttack(one, eps=eta, attacks=parts, batch_size=size)

    made = {
        "fgsm": fgsm,
        "pgd": pgd,
        "apgd": apgd,
        "deepfool": deepfool,
        "autoattack": autoattack,
    }[name]

    def run(model, x, y, eta, batch_size, steps):
        one = classifier_of(model)
        labels = keras.utils.to_categorical(y, model.output_shape[-1])
        return made(one, eta, batch_size, steps).generate(x, y=labels)

    return run

"""Attacks of the Adversarial Robustness Toolbox (ART) under mmtf's threat models.

Each takes (victim, x, y, threat, settings) as `benchmarks.peers.victim` says and returns images
NHWC in [-1, 1]. ART is given pixels in [0, 1] and half the radius, the scale it is written for:
its DeepFool multiplies every step by the width of the box, which is right for no other width.
"""

import logging

import keras
import numpy as np
import tensorflow as tf
import torch
from art.attacks import evasion
from art.estimators.classification import PyTorchClassifier, TensorFlowV2Classifier

from benchmarks.peers.twin import nchw, nhwc
from benchmarks.peers.victim import from_unit, order_of, to_unit

logging.getLogger("art").setLevel(logging.ERROR)


def classifier_of(victim) -> PyTorchClassifier:
    """The twin on [0, 1] images."""
    return PyTorchClassifier(
        model=victim.unit_twin,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(victim.shape[2], *victim.shape[:2]),
        nb_classes=victim.classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def keras_classifier_of(victim) -> TensorFlowV2Classifier:
    """The Keras model itself, on [-1, 1] images."""
    return TensorFlowV2Classifier(
        model=victim.classifier,
        nb_classes=victim.classes,
        input_shape=victim.shape,
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(-1.0, 1.0),
    )


def fgsm(victim, x, y, threat, settings):
    """On the Keras model, so that both see the same gradient."""
    attack = evasion.FastGradientMethod(
        keras_classifier_of(victim), norm=order_of(threat), eps=threat.eta, batch_size=len(x)
    )
    return attack.generate(x, y=_one_hot(victim, y))


def pgd(victim, x, y, threat, settings):
    return _run(
        evasion.ProjectedGradientDescent,
        victim,
        x,
        y,
        norm=order_of(threat),
        eps=_eps(threat),
        eps_step=2.5 * _eps(threat) / settings.pgd_steps,
        max_iter=settings.pgd_steps,
        num_random_init=1,
        verbose=False,
    )


def apgd_ce(victim, x, y, threat, settings):
    return _apgd(victim, x, y, threat, settings, "cross_entropy")


def apgd_dlr(victim, x, y, threat, settings):
    return _apgd(victim, x, y, threat, settings, "difference_logits_ratio")


def square(victim, x, y, threat, settings):
    return _run(
        evasion.SquareAttack,
        victim,
        x,
        y,
        norm=order_of(threat),
        eps=_eps(threat),
        max_iter=settings.queries,
        nb_restarts=1,
        verbose=False,
    )


def deepfool(victim, x, y, threat, settings):
    """l2 only; the smallest perturbation, whatever the radius. Takes predictions as labels."""
    return _run(
        evasion.DeepFool,
        victim,
        x,
        y,
        max_iter=settings.deepfool_steps,
        epsilon=0.02,
        nb_grads=victim.classes,
        verbose=False,
    )


def carlini_wagner(victim, x, y, threat, settings):
    return _run(
        evasion.CarliniL2Method,
        victim,
        x,
        y,
        max_iter=settings.cw_steps,
        binary_search_steps=settings.cw_searches,
        learning_rate=settings.cw_rate,
        initial_const=settings.cw_first / 4.0,  # squared lengths are a quarter in [0, 1]
        verbose=False,
    )


def _apgd(victim, x, y, threat, settings, loss):
    return _run(
        evasion.AutoProjectedGradientDescent,
        victim,
        x,
        y,
        norm=order_of(threat),
        eps=_eps(threat),
        eps_step=2.0 * _eps(threat),
        max_iter=settings.steps,
        nb_random_init=1,
        loss_type=loss,
        verbose=False,
    )


def _run(make, victim, x, y, **options):
    np.random.seed(victim.seed)
    torch.manual_seed(victim.seed)
    attack = make(classifier_of(victim), batch_size=len(x), **options)
    z = attack.generate(nchw(to_unit(x)).numpy(), y=_one_hot(victim, y))
    return from_unit(nhwc(torch.from_numpy(np.asarray(z, np.float32))))


def _eps(threat):
    return threat.eta / 2.0


def _one_hot(victim, y):
    return tf.one_hot(y, victim.classes).numpy()

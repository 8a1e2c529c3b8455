"""Attacks of the Adversarial Robustness Toolbox (ART) under mmtf's threat models.

Each function takes (subject, x, y, threat, settings), see `benchmarks.peers.subject`, and returns
images float32 NHWC in [-1, 1]. ART gets pixels in [0, 1] and half the radius: its DeepFool
multiplies every step by the width of the box, which is correct only for width 1.
"""

import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from art.attacks import evasion
from art.estimators.classification import PyTorchClassifier, TensorFlowV2Classifier

from benchmarks.peers.subject import Settings, Subject, from_unit, order_of, to_unit
from benchmarks.peers.torch_copy import nchw, nhwc
from mmtf.threat import ThreatModel

logging.getLogger("art").setLevel(logging.ERROR)


def classifier_of(subject: Subject) -> PyTorchClassifier:
    """ART's wrapper of the PyTorch copy that takes images in [0, 1]."""
    return PyTorchClassifier(
        model=subject.unit_copy,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(subject.shape[2], *subject.shape[:2]),
        nb_classes=subject.classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def keras_classifier_of(subject: Subject) -> TensorFlowV2Classifier:
    """ART's wrapper of the Keras model, which takes images in [-1, 1]."""
    return TensorFlowV2Classifier(
        model=subject.classifier,
        nb_classes=subject.classes,
        input_shape=subject.shape,
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(-1.0, 1.0),
    )


def fgsm(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """ART's FGSM, on the Keras model, so that ART and mmtf use the same gradient."""
    attack = evasion.FastGradientMethod(
        keras_classifier_of(subject), norm=order_of(threat), eps=threat.eta, batch_size=len(x)
    )
    return attack.generate(x, y=_one_hot(subject, y))


def pgd(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """ART's PGD with one random start."""
    return _run(
        evasion.ProjectedGradientDescent,
        subject,
        x,
        y,
        norm=order_of(threat),
        eps=_eps(threat),
        eps_step=2.5 * _eps(threat) / settings.pgd_steps,
        max_iter=settings.pgd_steps,
        num_random_init=1,
        verbose=False,
    )


def apgd_ce(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """ART's Auto-PGD on the cross-entropy."""
    return _apgd(subject, x, y, threat, settings, "cross_entropy")


def apgd_dlr(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """ART's Auto-PGD on the difference of logits ratio."""
    return _apgd(subject, x, y, threat, settings, "difference_logits_ratio")


def square(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """ART's Square attack with `settings.queries` iterations."""
    return _run(
        evasion.SquareAttack,
        subject,
        x,
        y,
        norm=order_of(threat),
        eps=_eps(threat),
        max_iter=settings.queries,
        nb_restarts=1,
        verbose=False,
    )


def deepfool(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """ART's DeepFool (l2): a minimal perturbation, of any size, from the predicted class."""
    return _run(
        evasion.DeepFool,
        subject,
        x,
        y,
        max_iter=settings.deepfool_steps,
        epsilon=0.02,
        nb_grads=subject.classes,
        verbose=False,
    )


def carlini_wagner(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """ART's Carlini-Wagner attack (l2): a minimal perturbation, of any size."""
    return _run(
        evasion.CarliniL2Method,
        subject,
        x,
        y,
        max_iter=settings.cw_steps,
        binary_search_steps=settings.cw_searches,
        learning_rate=settings.cw_rate,
        initial_const=settings.cw_first / 4.0,  # squared norms are a quarter on [0, 1]
        verbose=False,
    )


def _apgd(subject, x, y, threat, settings, loss):
    return _run(
        evasion.AutoProjectedGradientDescent,
        subject,
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


def _run(make, subject, x, y, **options):
    np.random.seed(subject.seed)
    torch.manual_seed(subject.seed)
    attack = make(classifier_of(subject), batch_size=len(x), **options)
    z = attack.generate(nchw(to_unit(x)).numpy(), y=_one_hot(subject, y))
    return from_unit(nhwc(torch.from_numpy(np.asarray(z, np.float32))))


def _eps(threat):
    return threat.eta / 2.0


def _one_hot(subject, y):
    return tf.one_hot(y, subject.classes).numpy()

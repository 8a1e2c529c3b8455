"""Attacks of Foolbox under mmtf's threat models.

Each function takes (subject, x, y, threat, settings), see `benchmarks.peers.subject`, and returns
images float32 NHWC in [-1, 1], which is also the box that Foolbox gets.
"""

from typing import Any

import foolbox
import numpy as np
import tensorflow as tf
import torch

from benchmarks.peers.subject import Settings, Subject
from benchmarks.peers.torch_copy import nchw, nhwc
from mmtf.threat import ThreatModel

FAST = {"linf": foolbox.attacks.LinfFastGradientAttack, "l2": foolbox.attacks.L2FastGradientAttack}
PGD = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}
DEEPFOOL = {
    "linf": foolbox.attacks.LinfDeepFoolAttack,
    "l2": foolbox.attacks.L2DeepFoolAttack,
}


def fgsm(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """Foolbox's FGSM (FGM in l2), on the Keras model: both then use the same gradient."""
    model = foolbox.TensorFlowModel(subject.classifier, bounds=(-1.0, 1.0))
    attack = FAST[threat.norm](random_start=False)
    labels = tf.constant(y, tf.int64)
    return np.asarray(attack.run(model, tf.constant(x), labels, epsilon=threat.eta))


def pgd(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """Foolbox's PGD with a random start."""
    attack = PGD[threat.norm](
        steps=settings.pgd_steps, abs_stepsize=2.5 * threat.eta / settings.pgd_steps
    )
    return _run(attack, subject, x, y, epsilon=threat.eta)


def deepfool(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """Foolbox's DeepFool: a minimal perturbation, of any size, from the predicted class."""
    attack = DEEPFOOL[threat.norm](steps=settings.deepfool_steps, candidates=subject.classes)
    return _run(attack, subject, x, y)


def carlini_wagner(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """Foolbox's Carlini-Wagner attack (l2): a minimal perturbation, of any size."""
    attack = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=settings.cw_searches,
        steps=settings.cw_steps,
        stepsize=settings.cw_rate,
        initial_const=settings.cw_first,
    )
    return _run(attack, subject, x, y)


def _run(attack, subject, x, y, **options):
    torch.manual_seed(subject.seed)
    model = foolbox.PyTorchModel(subject.torch_copy, bounds=(-1.0, 1.0), device="cpu")
    labels = torch.from_numpy(np.asarray(y, np.int64))
    return nhwc(attack.run(model, nchw(x), labels, **options))

"""The original AutoAttack (Croce & Hein) and its parts, from PyPI's pyautoattack.

Each function takes (subject, x, y, threat, settings), see `benchmarks.peers.subject`, and returns
images float32 NHWC in [-1, 1]. AutoAttack supports the box [0, 1] only, so it gets half the radius.
Square's schedule is scaled to the number of queries, as in mmtf and ART; for 10,000 queries it is
the published one.
"""

import logging
from typing import Any

import numpy as np
import torch
from pyautoattack.autoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack

from benchmarks.peers.subject import Settings, Subject, from_unit, to_unit
from benchmarks.peers.torch_copy import nchw, nhwc
from mmtf.threat import ThreatModel

NORMS = {"linf": "Linf", "l2": "L2"}


def apgd_ce(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """The original APGD on the cross-entropy."""
    return _perturb(_apgd(subject, threat, settings, "ce"), subject, x, y)


def apgd_dlr(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """The original APGD on the difference of logits ratio."""
    return _perturb(_apgd(subject, threat, settings, "dlr"), subject, x, y)


def apgd_targeted(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """The original targeted APGD, with `settings.targets` target classes."""
    return _perturb(_apgd_targeted(subject, threat, settings), subject, x, y)


def fab(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """The original targeted FAB, with `settings.targets` target classes."""
    return _perturb(_fab(subject, threat, settings), subject, x, y)


def square(subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings) -> np.ndarray:
    """The original Square attack, with `settings.queries` queries."""
    return _perturb(_square(subject, threat, settings), subject, x, y)


def autoattack(
    subject: Subject, x: Any, y: Any, threat: ThreatModel, settings: Settings
) -> np.ndarray:
    """The original AutoAttack, version `standard`, with the iterations of `settings`."""
    attack = AutoAttack(
        subject.unit_copy,
        attacks=["apgd-ce", "apgd-t", "fab-t", "square"],
        version="custom",
        norm=NORMS[threat.norm],
        eps=threat.eta / 2.0,
        seed=subject.seed,
    )
    attack.apgd = _apgd(subject, threat, settings, "ce")
    attack.apgd_targeted = _apgd_targeted(subject, threat, settings)
    attack.fab = _fab(subject, threat, settings)
    attack.square = _square(subject, threat, settings)
    images, labels = _tensors(x, y)
    z, _ = attack.run_standard_evaluation(images, labels, batch_size=len(x))
    return from_unit(nhwc(z))


def _apgd(subject, threat, settings, loss):
    return APGDAttack(loss=loss, **_common(subject, threat), n_iter=settings.steps, **_quiet())


def _apgd_targeted(subject, threat, settings):
    return APGDAttack_targeted(
        n_target_classes=settings.targets,
        n_iter=settings.steps,
        **_common(subject, threat),
        **_quiet(),
    )


def _fab(subject, threat, settings):
    return FABAttack_PT(
        targeted=True,
        n_restarts=1,
        n_target_classes=settings.targets,
        n_iter=settings.steps,
        **_common(subject, threat),
    )


def _square(subject, threat, settings):
    return SquareAttack(
        p_init=0.8, resc_schedule=True, n_queries=settings.queries, **_common(subject, threat)
    )


def _common(subject, threat):
    return {
        "predict": subject.unit_copy,
        "norm": NORMS[threat.norm],
        "eps": threat.eta / 2.0,
        "seed": subject.seed,
        "device": "cpu",
    }


def _quiet():
    return {"logger": logging.getLogger("auto-attack")}


def _perturb(attack, subject, x, y):
    with torch.no_grad():
        z = attack.perturb(*_tensors(x, y))
    return from_unit(nhwc(z))


def _tensors(x, y):
    return nchw(to_unit(x)), torch.from_numpy(np.asarray(y, np.int64))

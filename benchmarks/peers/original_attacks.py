"""The original AutoAttack (Croce & Hein) and its parts, from PyPI's pyautoattack.

Each takes (victim, x, y, threat, settings) as `benchmarks.peers.victim` says and returns images
NHWC in [-1, 1]. The original knows the box [0, 1] alone: it is given half the radius. Square's
schedule is the rescaled one, which mmtf and ART have too; at 10,000 queries they are the same.
"""

import logging

import numpy as np
import torch
from pyautoattack.autoattack import AutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack

from benchmarks.peers.twin import nchw, nhwc
from benchmarks.peers.victim import from_unit, to_unit

NORMS = {"linf": "Linf", "l2": "L2"}


def apgd_ce(victim, x, y, threat, settings):
    return _perturb(_apgd(victim, threat, settings, "ce"), victim, x, y)


def apgd_dlr(victim, x, y, threat, settings):
    return _perturb(_apgd(victim, threat, settings, "dlr"), victim, x, y)


def apgd_targeted(victim, x, y, threat, settings):
    return _perturb(_apgd_targeted(victim, threat, settings), victim, x, y)


def fab(victim, x, y, threat, settings):
    return _perturb(_fab(victim, threat, settings), victim, x, y)


def square(victim, x, y, threat, settings):
    return _perturb(_square(victim, threat, settings), victim, x, y)


def autoattack(victim, x, y, threat, settings):
    """Its version `standard`, with the iterations of `settings`."""
    attack = AutoAttack(
        victim.unit_twin,
        attacks=["apgd-ce", "apgd-t", "fab-t", "square"],
        version="custom",
        norm=NORMS[threat.norm],
        eps=threat.eta / 2.0,
        seed=victim.seed,
    )
    attack.apgd = _apgd(victim, threat, settings, "ce")
    attack.apgd_targeted = _apgd_targeted(victim, threat, settings)
    attack.fab = _fab(victim, threat, settings)
    attack.square = _square(victim, threat, settings)
    images, labels = _tensors(x, y)
    z, _ = attack.run_standard_evaluation(images, labels, batch_size=len(x))
    return from_unit(nhwc(z))


def _apgd(victim, threat, settings, loss):
    return APGDAttack(loss=loss, **_common(victim, threat), n_iter=settings.steps, **_quiet())


def _apgd_targeted(victim, threat, settings):
    return APGDAttack_targeted(
        n_target_classes=settings.targets,
        n_iter=settings.steps,
        **_common(victim, threat),
        **_quiet(),
    )


def _fab(victim, threat, settings):
    return FABAttack_PT(
        targeted=True,
        n_restarts=1,
        n_target_classes=settings.targets,
        n_iter=settings.steps,
        **_common(victim, threat),
    )


def _square(victim, threat, settings):
    return SquareAttack(
        p_init=0.8, resc_schedule=True, n_queries=settings.queries, **_common(victim, threat)
    )


def _common(victim, threat):
    return {
        "predict": victim.unit_twin,
        "norm": NORMS[threat.norm],
        "eps": threat.eta / 2.0,
        "seed": victim.seed,
        "device": "cpu",
    }


def _quiet():
    return {"logger": logging.getLogger("auto-attack")}


def _perturb(attack, victim, x, y):
    with torch.no_grad():
        z = attack.perturb(*_tensors(x, y))
    return from_unit(nhwc(z))


def _tensors(x, y):
    return nchw(to_unit(x)), torch.from_numpy(np.asarray(y, np.int64))

"""Figure 3: the same test images under the attacks of the paper."""

import os

import keras
import numpy as np

from mmtf.attacks import ATTACKS
from mmtf.attacks.attack_network import LearnedAttack
from mmtf.data import load_data
from mmtf.evaluation.runner import perturb
from mmtf.stats.packed_bits import pack
from mmtf.threat import ThreatModel
from scripts.paper.cells import Cell
from scripts.paper.measuring import Bench, round_classifier
from scripts.paper.players import GALLERY_GAMES

SHOWN = 8


def write_gallery(cell: Cell, bench: Bench) -> None:
    """Records test images and their adversarial examples, in the paper's order (a) to (g)."""
    data, threat = load_data(cell.track.dataset), ThreatModel(eta=cell.eta)
    x, y = data.test(SHOWN)
    last = bench.settings.rounds
    rows = {"original": x}
    fgsm, ifgsm = ATTACKS["fgsm"](threat), ATTACKS["ifgsm"](threat, stop_early=False)
    for name, attack, number in (
        ("FGSM1", fgsm, 0),
        (f"FGSM{last}", fgsm, last - 1),
        ("IFGSM1", ifgsm, 0),
    ):
        rows[name] = perturb(round_classifier(cell, number, bench), attack, x, y, seed=cell.seed)
    classifier = round_classifier(cell, 0, bench)  # attack networks do not use it
    for game in GALLERY_GAMES[1:]:
        path = os.path.join(bench.store.path(bench.config(cell, game)), "attacker.keras")
        attack = LearnedAttack(threat, keras.models.load_model(path, compile=False))
        rows[game] = perturb(classifier, attack, x, y, seed=cell.seed)
    images = {
        name: pack(np.rint((row + 1.0) * 127.5).astype(np.uint8)) for name, row in rows.items()
    }
    bench.write(cell, {"shape": list(x.shape), "images": images})

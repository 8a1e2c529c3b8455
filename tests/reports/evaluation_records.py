"""Records of evaluations that nobody measured, of any size, with errors that can be recomputed."""

import base64
import struct
import zlib

from mmtf.stats.intervals import wilson

MODELS = ["undefended", "lwa", "adv_pgd", "minimax_grad", "<i>own</i> & long_name_of_a_network"]
ATTACKS = ["none", "fgsm", "pgd", "apgd", "square", "pgd@surrogate_with_a_long_name"]
ETAS = [0.05, 0.1, 0.2, 0.3, 0.4]
N = 200


def error_of(model: int, attack: int, eta: float) -> float:
    """Larger for later attacks and radii, smaller for later models, a multiple of 1 / N."""
    return round(N * min(0.99, 0.02 + 0.8 * eta * attack / (model + 1))) / N


def record_of(models=MODELS, attacks=ATTACKS, etas=ETAS, norm="linf", **entries) -> dict:
    """What `evaluation_record` writes."""
    cells = []
    for m, model in enumerate(models):
        for eta in etas:
            for a, attack in enumerate([*attacks, "worst"]):
                error = error_of(m, min(a, len(attacks) - 1), eta)
                low, high = wilson(round(error * N), N)
                cells.append(
                    {
                        "defense": model,
                        "attack": attack,
                        "eta": eta,
                        "error": error,
                        "ci_low": low,
                        "ci_high": high,
                        "n": N,
                        "median_distance": None if attack == "none" else eta / 2,
                        "seconds": None,
                    }
                )
    tests = [
        {"a": a, "b": b, "error_a": 0.4, "error_b": 0.1, "p": 0.001, "p_holm": 0.01}
        for i, a in enumerate(models)
        for b in models[i + 1 :]
    ]
    return {
        "date": "2026-01-02 03:04 UTC",
        "dataset": "digits",
        "note": "",
        "preprocess": "to_unit_box",
        "n": N,
        "norm": norm,
        "etas": list(etas),
        "seed": 0,
        "attacks": {name: {"steps": 40} if name == "pgd" else {} for name in attacks},
        "eot_samples": 1,
        "attack_precision": "float32",
        "transfer_from": [],
        "bounds": {name: [-1.0, 1.0] for name in models},
        "batch_size": None,
        "models": {name: {"path": f"runs/{name}", "sha256": "ab" * 32} for name in models},
        "cells": cells,
        "signs": [],
        "comparisons": {str(eta): tests for eta in etas} if tests else {},
        "versions": {"mmtf": "9.8.7", "tensorflow": "2.99", "keras": "3.99", "python": "3.77"},
        "hardware": {"cpu": "a CPU", "instructions": "avx2", "cores": 2, "gpus": []},
        "environment": {},
        "commit": "0123456789abcdef",
        "command": ["evaluate.py", "--model=a path"],
        **entries,
    }


def images_of(record: dict, count: int = 2) -> dict:
    """Gray images of the form of `mmtf.evaluation.images.shown_images`."""
    attacks = [name for name in record["attacks"] if name != "none"]

    def shown(at):
        distance = None if at % 2 else 0.125
        seen = {"predicted": 3, "wrong": at == 0, "distance": distance}
        return {"png": _png(9), "difference": _png(8), **seen}

    models = {
        name: {
            "predicted": [7] * count,
            "attacks": [
                {"attack": attack, "eta": eta, "images": [shown(at) for at in range(count)]}
                for eta in record["etas"]
                for attack in attacks
            ],
        }
        for name in record["bounds"]
    }
    return {"clean": [{"png": _png(10 + at), "label": 7} for at in range(count)], "models": models}


def _png(gray: int) -> str:
    """A gray image of 4 x 4 pixels as PNG in base64."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\0" + bytes([gray] * 4)) * 4
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()

"""The speed benchmark: what it counts, who takes part, one real worker."""

import ast
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.peers.speed import __main__ as speed
from benchmarks.peers.speed import worker, works
from mmtf.nets import NETS
from scripts import performance

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VARIANTS = {
    (work, variant)
    for work, one in works.WORKS.items()
    for variants in one.variants.values()
    for variant in variants
}


@pytest.mark.parametrize("work, variant", sorted(VARIANTS))
def test_every_variant_has_its_function(work, variant):
    path = os.path.join(ROOT, "benchmarks/peers/speed", f"{worker.MODULES[variant]}.py")
    with open(path) as source:
        names = {node.name for node in ast.parse(source.read()).body if hasattr(node, "name")}
    assert f"prepare_{work}" in names


def test_everybody_is_named_and_what_it_needs_is_known():
    for _, variant in VARIANTS:
        assert variant in performance.NAMES and variant in worker.MODULES
        assert variant == "mmtf" or speed.NEEDS[variant]
    assert all("mmtf" in one for work in works.WORKS.values() for one in work.variants.values())


def test_the_arithmetic_of_a_forward_pass():
    """From the net's own kernels: positions x kernel size, a multiplication and an addition."""
    net = NETS["mnist_cnn"]()
    flops = 0
    for layer in net.layers:
        if layer.get_weights():
            kernel = layer.get_weights()[0]
            positions = np.prod(layer.output.shape[1:3]) if kernel.ndim == 4 else 1
            flops += 2 * positions * kernel.size
    assert flops == speed.FORWARD_FLOPS


@pytest.fixture
def folder(tmp_path, rng):
    model = NETS["mnist_cnn"](seed=1)
    model.save(tmp_path / "classifier.keras")
    weights = {str(i): value for i, value in enumerate(model.get_weights())}
    np.savez(tmp_path / "weights.npz", **weights)
    images = rng.uniform(-1, 1, (20, 28, 28, 1)).astype(np.float32)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(20, dtype=np.int32) % 10)
    return str(tmp_path)


def blocks_of(folder, work, variant, count):
    command = [sys.executable, "-m", "benchmarks.peers.speed.worker"]
    command += [work, variant, "float32", str(count), "cold", folder]
    done = subprocess.run(
        command, input="go\nstop\n", capture_output=True, text=True, cwd=ROOT, check=True
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0] == {"ready": True} and len(lines) == 2
    return lines[1]


def test_our_worker_answers_in_json(folder):
    block = blocks_of(folder, "apgd", "mmtf", 8)
    assert block["wall"] > 0 and block["cpu"] > 0 and block["peak_mib"] > 100
    assert 0 <= block["error"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["torch", "cleverhans", "foolbox", "foolbox_torch", "art"])
def test_everybody_attacks_the_same_net(variant, folder):
    """An untrained net under PGD-40 at eta 0.3: each breaks as many of 20 images, give or take."""
    if speed._lacks(variant):
        pytest.skip(f"{', '.join(speed._lacks(variant))} not installed")
    ours = blocks_of(folder, "pgd", "mmtf", 20)["error"]
    assert abs(blocks_of(folder, "pgd", variant, 20)["error"] - ours) <= 1 / 20 + 1e-6


def test_the_page_is_rendered():
    rows = [
        {
            "work": "pgd",
            "precision": "float32",
            "variant": variant,
            "unit": "image",
            "count": 500,
            "per_second": 200.0 / ratio,
            "times_ours": ratio,
            "cpu": 5.0,
            "peak_mib": 900.0,
            "of_peak": 0.7,
        }
        for variant, ratio in (("mmtf", 1.0), ("torch", 2.5))
    ]
    text = performance.table(rows)
    assert (
        "| PGD-40 | float32 | PyTorch, by hand | 80.0 images/s | 2.50 | 10.0 | 900 | 70% |" in text
    )

"""The speed benchmark: what it counts, who takes part, one real worker."""

import ast
import dataclasses
import json
import os
import subprocess
import sys
import time

import forked
import in_torch
import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.peers.speed import __main__ as speed
from benchmarks.peers.speed import worker, works
from mmtf.config import Schedule
from mmtf.data import Batches, Dataset
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.runtime import cpu
from mmtf.threat import ThreatModel
from mmtf.training.trainer import Trainer
from scripts.performance import autoattack, chart, peers, summary

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THREAT = ThreatModel(eta=works.ETA)
VARIANTS = {
    (work, variant)
    for work, one in ((one.fresh or name, one) for name, one in works.WORKS.items())
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
        assert variant in peers.NAMES and variant in chart.LABELS and variant in worker.MODULES
        assert variant in peers.OURS or speed.NEEDS[variant]
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    tmp_path, rng = tmp_path_factory.mktemp("speed"), np.random.default_rng(0)
    model = NETS["mnist_cnn"](seed=1)
    model.save(tmp_path / "classifier.keras")
    weights = {str(i): value for i, value in enumerate(model.get_weights())}
    np.savez(tmp_path / "weights.npz", **weights)
    images = rng.uniform(-1, 1, (128, 28, 28, 1)).astype(np.float32)
    np.savez(tmp_path / "data.npz", images=images, labels=np.arange(128, dtype=np.int32) % 10)
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


@pytest.mark.slow  # the next test's process is asked in the same way
def test_our_worker_answers_in_json(folder):
    block = blocks_of(folder, "apgd", "mmtf", 8)
    assert block["wall"] > 0 and block["cpu"] > 0 and block["peak_mib"] > 100
    assert 0 <= block["error"] <= 1


def test_a_start_counts_from_before_the_process(folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    start = dataclasses.replace(works.WORKS["start_up"], fresh="apgd")
    monkeypatch.setitem(works.WORKS, "start_up", start)
    began = time.perf_counter()
    answer = speed.whole(speed.worker("start_up", "mmtf", "float32", 8, folder))
    # TensorFlow's import alone takes more than a second, and is part of it.
    assert 1 < answer["wall"] < time.perf_counter() - began
    assert answer["cpu"] > 1 and 0 <= answer["error"] <= 1 and answer["peak_mib"] > 100


def test_counts_are_read_or_refused():
    assert speed.counts_of([]) == {}
    assert speed.counts_of(["pgd=200", "apgd=7"]) == {"pgd": 200, "apgd": 7}
    for wrong in ("pgd", "pgd=", "pgd=0", "pgd=-3", "pgd=x", "what=3", "start_up=5"):
        assert speed.counts_of([wrong]) is None


class Steep(in_torch.Steep):
    """The same weights in the Keras classifier, without dropout."""

    def classifier(self):
        model = super().classifier()
        model.set_weights(self.weights())
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        return model


def our_game(task, gamma, epsilon):
    """Our Minimax-AttNet without dropout, on one and the same batch."""
    x, y = task.images, task.labels
    data = Dataset(
        name="one batch",
        train_images=x,
        train_labels=y,
        test_images=x[:1],
        test_labels=y[:1],
        num_classes=10,
    )
    trainer = Trainer(
        GAMES["minimax_attnet"](THREAT, gamma=gamma, net_options={"dropout": 0.0}),
        task.classifier(),
        Batches(data, batch_size=len(x), seed=0),
        schedule=Schedule(steps=100, learning_rate=1e-4),
        strategy=tf.distribute.get_strategy(),
        precision="float32",
        seed=0,
    )
    solver = trainer.players.updaters["solver"]
    solver.descent.epsilon = solver.ascent.epsilon = epsilon
    return trainer


@pytest.mark.slow
def test_the_game_of_networks_is_the_same_in_pytorch(folder):
    """Steps of Algorithm 1 from the same weights, without dropout: the same risks.

    Adam's epsilon is next to nothing here: Keras and PyTorch add it at different places.
    """
    if speed._lacks("torch"):
        pytest.skip("torch not installed")
    task, epsilon, steps = Steep(folder, "float32", 1), 1e-12, 6
    trainer = our_game(task, 1.0, epsilon)
    values = trainer.players.models["attacker"].get_weights()
    np.savez(os.path.join(folder, "attacker.npz"), *values)
    theirs = in_torch.ask("risks", folder, epsilon, steps)
    ours, unpenalized = (
        [float(one.run(i, 1)["risk"]) for i in range(steps)]
        for one in (trainer, our_game(task, 0.0, epsilon))
    )
    np.testing.assert_allclose(theirs, ours, rtol=2e-5)
    assert abs(unpenalized[-1] - ours[-1]) > 2e-3 * ours[-1]


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
    text = peers.table(rows)
    assert (
        "| PGD-40 | float32 | PyTorch, by hand | 80.0 images/s | 2.50 | 10.0 | 900 | 70% |" in text
    )


def test_a_record_is_shown_with_its_kind_of_cpu_and_its_command():
    row = {"work": "autoattack", "precision": "float32", "variant": "mmtf", "unit": "image"}
    row |= {
        "count": 100,
        "per_second": 0.5,
        "times_ours": 1.0,
        "cpu": 300.0,
        "of_peak": None,
        "peak_mib": 9,
    }
    record = {"rows": [row | {"error": 0.05}], "matmul_gflops": {"float32": 177.0}, "batch": 128}
    record |= {"peers": {}, "left_out": {}, "eta": 0.3, "blocks": 5, "commit": "abc"}
    record |= {"versions": {"tensorflow": "2", "keras": "3"}, "precisions": ["float32"]}
    record |= {"hardware": {"cpu": "x", "cores": 2, "instructions": "avx2"}}
    record |= {"command": ["__main__.py", "--blocks=5"], "peers_code": speed.PEERS_CODE}
    text = peers.section("avx2", record, "figures/a.png")
    assert "### On a CPU with avx2" in text and "2 cores of x (avx2)" in text
    assert "| 2.0 s each |" in text and "bfloat16 is emulated" in text
    assert "`python -m benchmarks.peers.speed --blocks=5`" in text
    assert "(figures/a.png)" in text


def test_the_chart_leaves_out_a_precision_without_peers_and_titles_every_work():
    rows = [
        {"work": "pgd", "precision": precision, "variant": variant}
        for precision, variant in (("float32", "mmtf"), ("float32", "torch"), ("bfloat16", "mmtf"))
    ]
    assert chart.compared(rows) == {"pgd": rows[:2]}
    assert chart.compared(rows[2:]) == {}
    assert set(chart.TITLES) == set(works.WORKS)


def test_the_ratios_are_to_the_fastest_peer_in_the_precision_named():
    rates = {
        ("fgsm_step", "float32"): {"mmtf": 11.0, "cleverhans": 10.0, "torch": 8.0, "art": 2.0},
        ("fgsm_step", "bfloat16"): {"mmtf": 20.0, "cleverhans": 16.0, "torch": 15.0},
        ("minimax_grad_step", "float32"): {
            "mmtf": 7.5,
            "mmtf_every2": 9.0,
            "torch": 5.0,
        },
    }
    rows = [
        {"work": work, "precision": precision, "variant": variant, "per_second": rate}
        for (work, precision), variants in rates.items()
        for variant, rate in variants.items()
    ]
    float32_alone = [row for row in rows if row["precision"] == "float32"]
    text = peers.ratios({"amx": {"rows": rows}, "avx2": {"rows": float32_alone}})
    lines = text.splitlines()
    assert lines[0] == "| speed of mmtf / fastest other library | amx | avx2 |"
    assert "| FGSM step, float32 : float32 | 1.10 CleverHans | 1.10 CleverHans |" in lines
    assert "| FGSM step, bfloat16 : bfloat16 | 1.25 CleverHans |  |" in lines
    assert "| FGSM step, bfloat16 : float32 | 2.00 CleverHans |  |" in lines
    assert "| FGSM step, bfloat16 : ART as documented | 10.00 |  |" in lines
    minimax = "1.50 (one in two 1.80) PyTorch"
    assert f"| Minimax-Grad step, float32 : float32 | {minimax} | {minimax} |" in lines
    assert len(lines) == 2 + 6  # a row that no record has is left out


def test_the_summary_has_the_ratio_on_each_cpu():
    def record(ours, instructions):
        row = {"work": "pgd", "precision": "float32"}
        rates = {"mmtf": ours, "torch": 5.0, "cleverhans": 10.0}
        rows = [row | {"variant": who, "per_second": rate} for who, rate in rates.items()]
        return {"rows": rows, "hardware": {"cpu": "AMD EPYC", "instructions": instructions}}

    records = {one: record(rate, one) for one, rate in (("avx2", 13.0), ("avx512_bf16", 12.0))}
    assert summary.ratios(records, "pgd") == {"AMD EPYC, AVX2": 1.3, "AMD EPYC, AVX-512": 1.2}
    assert summary.ratios(records, "pgd", "bfloat16") == {}
    # No two kinds of CPU have one name.
    assert set(summary.INSTRUCTIONS) == {*cpu.INSTRUCTION_SETS, ""}
    assert len(set(summary.INSTRUCTIONS.values())) == len(summary.INSTRUCTIONS)
    assert set(summary.COMPARED) <= set(works.WORKS)


def test_a_long_attack_is_shown_beside_the_original():
    runs = (("mmtf", "float32", 500.0, 0.051), ("autoattack", "float32", 1000.0, 0.051))
    runs += (("mmtf", "bfloat16", 250.0, 0.05),)
    row = {"work": "autoattack", "count": 1000, "cpu": 900.0, "unit": "image"}
    rows = [
        row
        | {"variant": who, "precision": precision, "wall": [wall], "per_second": 1000 / wall}
        | {"error": error}
        for who, precision, wall, error in runs
    ]
    record = {"rows": rows, "eta": 0.3, "precisions": ["float32", "bfloat16"], "commit": "abc"}
    record |= {"hardware": {"cpu": "AMD EPYC", "cores": 2, "instructions": "avx512_bf16"}}
    record |= {
        "versions": {"tensorflow": "2", "keras": "3"},
        "peers": {"torch": "9", "autoattack": "2", "foolbox": "3"},
    }
    record |= {"command": ["__main__.py", "--works=autoattack"]}
    text = autoattack.section(record)
    assert text.startswith("**AMD EPYC, AVX-512**\n\n| library |")
    assert "| mmtf | float32 | 500 | 900 | 5.1% | 2.00 |" in text
    assert "| AutoAttack (PyTorch) | float32 | 1,000 | 900 | 5.1% | 1.00 |" in text
    assert "| mmtf | bfloat16 | 250 | 900 | 5.0% | 4.00 |" in text
    assert "first 1,000 test images" in text and "Compared: autoattack 2, torch 9." in text
    # With a part of the works the command asks for a path, which records do not hold.
    assert "`python -m benchmarks.peers.speed --works=autoattack --output=FILE`" in text
    assert summary.attacked(record) == (
        "**AutoAttack, 1,000 images**: 2.00 times as fast in float32, 4.00 times as fast in "
        "bfloat16 as the original in float32 (AMD EPYC, AVX-512). Misclassified then: mmtf in "
        "float32 51, AutoAttack in float32 51, mmtf in bfloat16 50."
    )


def test_a_minimax_step_is_priced_in_steps_with_fgsm():
    rates = {"fgsm_step": {"mmtf": 10.0}, "minimax_grad_step": {"mmtf": 6.25, "mmtf_every2": 8.0}}
    rows = [
        {"work": work, "precision": "float32", "variant": variant, "per_second": rate}
        for work, variants in rates.items()
        for variant, rate in variants.items()
    ]
    (said,) = peers.prices(rows)
    assert "1.60 in float32" in said and "1.25 in float32" in said
    assert "one example in two" not in peers.prices(rows[:2])[0]
    assert peers.prices(rows[1:]) == []


@pytest.mark.parametrize("work", ["fgsm_step", "minimax_grad_step", "attnet_step"])
def test_the_arithmetic_of_a_step_is_what_pytorch_counts(folder, work):
    """Within 5 %: the attack network, and the first layer, which needs no gradient everywhere."""
    if speed._lacks("torch"):
        pytest.skip("torch not installed")
    passes = in_torch.ask("operations", folder, work) / (speed.FORWARD_FLOPS * works.BATCH)
    assert passes == pytest.approx(works.WORKS[work].forwards, rel=0.05)


def test_a_part_of_the_works_does_not_replace_the_committed_record():
    done = forked.call("benchmarks.peers.speed", "--model=x", "--works=pgd")
    assert done.returncode and "Expected --output=FILE with a part of the works" in done.stderr

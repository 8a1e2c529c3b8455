"""Cells of a tiny run on real digits: trained once, measured, written one by one."""

import contextlib
import os

import numpy as np
import pytest

from mmtf.reports import read_json
from mmtf.stats.packed_bits import unpack_bits
from mmtf.storage.lock import InUse
from scripts.paper import work
from scripts.paper.cells import Cell, Track
from scripts.paper.jobs import Job
from scripts.paper.measuring import Bench, measure_cells
from scripts.paper.records import Results
from scripts.paper.settings import settings_of
from scripts.paper.store import Store, classifier_config

TRACK = Track("digits")
SETTINGS = settings_of(TRACK, steps=2, rounds=3, autoattack_queries=-1)


@pytest.fixture(scope="module")
def store(tmp_path_factory, narrow_nets):
    """With the cat and mouse of eta 0.2."""
    store = Store(str(tmp_path_factory.mktemp("store")))
    work.train(Job("train", TRACK, 0.2, 0, "adv_fgsm"), SETTINGS, store)
    return store


def record_of(cell, bench):
    return Results(bench.root).record(cell)


def run_of(store):
    path = store.path(classifier_config(TRACK, SETTINGS, "adv_fgsm", 0.2, 0))
    return path, read_json(os.path.join(path, "record.json"))


def test_only_the_rounds_of_the_tables_are_kept(store):
    path, _ = run_of(store)
    assert sorted(os.listdir(os.path.join(path, "rounds"))) == [
        "000.keras",
        "001.keras",
        "002.keras",
        "003.keras",
    ]
    assert not os.path.exists(os.path.join(path, "checkpoints"))


def test_a_run_that_is_there_is_not_trained_again(store, capsys):
    before = run_of(store)[1]
    work.train(Job("train", TRACK, 0.2, 0, "adv_fgsm"), SETTINGS, store)
    assert run_of(store)[1] == before and "training" not in capsys.readouterr().out


def test_cells_agree_with_the_runs_own_matrix_and_a_failure_stops_no_other(store, tmp_path):
    attacks = ("none", "autoattack_curr", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr")
    cells = [Cell(TRACK, 0.2, "adv_fgsm80", attack) for attack in attacks]
    bench = Bench(SETTINGS, store, str(tmp_path))
    said = []
    failed = measure_cells(cells, bench, said.append)
    assert list(failed) == ["autoattack_curr"] and "queries > 0" in failed["autoattack_curr"]
    matrix = {(one["defense"], one["attack"]): one for one in run_of(store)[1]["rounds"]}
    for cell in cells:
        if cell.attack in failed:
            assert record_of(cell, bench) is None
            continue
        record = record_of(cell, bench)
        # The last round stands for the paper's 80th.
        theirs = matrix["adv_fgsm3", cell.attack.replace("80", "3")]
        assert (record["error"], record["n"]) == (theirs["error"], theirs["n"])
        wrong = unpack_bits(record["wrong"], record["n"])
        assert np.mean(wrong) == pytest.approx(record["error"])
        assert record["rounds"] == 3 and record["training"]["steps"] == 8
        assert record["training"]["precision"] in ("float32", "bfloat16")
        assert record["config"]["game_options"]["rounds"] == 3
        assert record["runs"] == [bench.store.fingerprint(bench.config(cell, "adv_fgsm"))]
    # Only what failed is left to do; with `again` all of it is.
    assert [cell.attack for cell in bench.wanted(cells)] == ["autoattack_curr"]
    again = Bench(SETTINGS, store, bench.root, again=True)
    assert again.wanted(cells) == cells


def test_the_record_of_an_attack_network_says_how_it_was_trained(store, tmp_path):
    settings = settings_of(TRACK, steps=2, rounds=3, attnet_paper_steps=3)
    cell = Cell(TRACK, 0.2, "no_defense", "attnet_paper_curr")
    bench = Bench(settings, store, str(tmp_path))
    assert measure_cells([cell], bench) == {}
    recipe = record_of(cell, bench)["recipe"]
    assert (recipe["net"], recipe["schedule"]["steps"]) == ("mlp", 3)


def test_a_job_waits_for_the_process_that_trains_its_run(capsys, monkeypatch):
    tries = []

    class Busy(contextlib.nullcontext):
        path = "folder"

        def __enter__(self):
            tries.append(1)
            if len(tries) < 4:
                raise InUse("held")
            return self

    monkeypatch.setattr(work.time, "sleep", lambda seconds: None)
    with contextlib.ExitStack() as stack:
        assert isinstance(work._enter_when_free(stack, Busy()), Busy)
    assert capsys.readouterr().out == "Waiting for the process that trains in folder.\n"

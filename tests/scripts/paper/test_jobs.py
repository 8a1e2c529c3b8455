"""A plan has what is missing, each thing once, in an order in which it can be done."""

import os

import pytest

from mmtf.reports import write_json
from scripts.paper import costs
from scripts.paper.cells import Cell, Track
from scripts.paper.jobs import Job, make_plan
from scripts.paper.records import write_record
from scripts.paper.selection import select
from scripts.paper.settings import settings_of
from scripts.paper.store import Store, classifier_config, keys_of

TRACK = Track("mnist")
SETTINGS = {TRACK: settings_of(TRACK)}


@pytest.fixture
def place(tmp_path):
    return Store(str(tmp_path / "store")), str(tmp_path / "cells")


def plan(cells, place, **options):
    return make_plan(cells, SETTINGS, *place, **options)


def test_nothing_is_trained_or_measured_twice(place):
    cells = select(tables=[1, 2, 3, 4, 5], figures=[1, 2, 3], etas=[0.2])
    jobs = plan(cells, place).jobs
    trained = [job.subject for job in jobs if job.kind == "train"]
    assert sorted(trained) == sorted(
        ["adv_fgsm", "lwa", "minimax_grad", "minimax_attnet", "alt_attnet", "maximin_attnet"]
    )
    measured = [cell for job in jobs for cell in job.cells]
    assert len(measured) == len(set(measured)) == len(cells)


def test_needs_come_first(place):
    seen = set()
    for job in plan(select(tables=[3, 5], figures=[3]), place).jobs:
        assert set(job.needs) <= seen
        seen.add(job.name)


def test_fgsm_k_needs_cat_and_mouse(place):
    jobs = plan([Cell(TRACK, 0.3, "lwa", "fgsm1")], place).jobs
    assert [job.subject for job in jobs] == ["lwa", "adv_fgsm", "lwa"]
    assert jobs[-1].needs == (jobs[0].name, jobs[1].name)


def test_what_is_there_is_left_out(place):
    store, root = place
    cells = select(tables=[1], etas=[0.3])
    config = classifier_config(TRACK, SETTINGS[TRACK], "adv_fgsm", 0.3, 0)
    os.makedirs(store.path(config))
    write_json(os.path.join(store.path(config), "record.json"), {})
    done = cells[0]
    os.makedirs(os.path.dirname(done.path(root)))
    settings = SETTINGS[TRACK].of_attack(done.attack)
    record = {"settings": settings, "players": keys_of(done, SETTINGS[TRACK])}
    write_record(root, done, record)
    found = plan(cells, place)
    assert found.there == 1
    assert [job.kind for job in found.jobs] == ["measure"] and done not in found.jobs[0].cells
    assert len(plan(cells, place, again=True).jobs[0].cells) == len(cells)


def test_what_stands_on_a_run_that_is_trained_again_is_measured_again(place):
    """A row, and the replayed attacks of other rows, never mix two trainings of one game."""
    store, root = place
    kept = [
        Cell(TRACK, 0.3, "adv_fgsm1", "none"),
        Cell(TRACK, 0.3, "lwa", "fgsm1"),
        Cell(TRACK, 0.3, "lwa", "none"),
        Cell(TRACK, 0.3, "minimax_grad", "none"),
        Cell(TRACK, 0.2, "adv_fgsm1", "none"),
    ]
    for cell in kept:
        settings = SETTINGS[TRACK].of_attack(cell.attack)
        players = keys_of(cell, SETTINGS[TRACK])
        write_record(root, cell, {"settings": settings, "players": players})
    found = plan([Cell(TRACK, 0.3, "no_defense", "fgsm_curr"), kept[0]], place)
    measured = {cell for job in found.jobs for cell in job.cells}
    # Cat and mouse is trained: its rows and FGSM 1; then LWA, which FGSM 1 is tried on.
    assert measured == {Cell(TRACK, 0.3, "no_defense", "fgsm_curr"), *kept[:3]}
    assert (found.there, found.again) == (0, 3)
    assert "3 records of runs that the store lacks are made anew" in found.text()


def test_what_a_stopped_plan_left_of_another_training_is_measured_again(place):
    """The run was trained anew, then the plan was killed before its cells were measured."""
    store, root = place
    config = classifier_config(TRACK, SETTINGS[TRACK], "lwa", 0.3, 0)
    os.makedirs(store.path(config))
    write_json(os.path.join(store.path(config), "record.json"), {})
    with open(os.path.join(store.path(config), "classifier.keras"), "w") as file:
        file.write("another training")
    kept = {
        Cell(TRACK, 0.3, "lwa", "pgd_curr"): "older",
        Cell(TRACK, 0.3, "lwa", "fgsm_curr"): store.fingerprint(config),
        Cell(TRACK, 0.3, "minimax_grad", "none"): "older",
    }
    for cell, run in kept.items():
        settings = SETTINGS[TRACK].of_attack(cell.attack)
        players = keys_of(cell, SETTINGS[TRACK])
        record = {"settings": settings, "players": players, "runs": [run], "seed": 0}
        write_record(root, cell, record)
    found = plan([Cell(TRACK, 0.3, "lwa", "none")], place)
    measured = {cell for job in found.jobs for cell in job.cells}
    assert measured == {Cell(TRACK, 0.3, "lwa", name) for name in ("none", "pgd_curr")}


def test_minutes_follow_the_machine_and_the_batch(place):
    found = plan([Cell(TRACK, 0.3, "lwa", "none")], place)
    seconds = found.jobs[0].seconds
    assert f"{2 * seconds / 60:5.1f} min" in found.text(pace=costs.pace(costs.MATMUL / 2))
    whole, half = (costs.train_seconds("mnist", "lwa", 1000, n) for n in (128, 64))
    fixed = costs.START + costs.AROUND
    assert whole - fixed == pytest.approx(2 * (half - fixed))


def test_the_plan_is_told_with_minutes(place):
    text = plan(select(tables=[1], etas=[0.3]), place).text()
    assert text.startswith("0 cells have their records.")
    assert "train   adv_fgsm" in text and "2 jobs, 4 cells to measure: about" in text


def test_all_of_mnist_in_one_recipe_takes_less_than_four_hours(place):
    jobs = plan(select(tables=[1, 2, 3, 4, 5], figures=[1, 2, 3]), place).jobs
    assert sum(job.seconds for job in jobs) < 4 * 3600


def test_a_job_goes_to_json_and_back():
    job = Job("measure", TRACK, 0.3, 0, "lwa", ("none",), ("train-x",), 5.0)
    assert Job.from_dict(job.to_dict()) == job


def test_costs_grow_with_what_is_asked():
    assert costs.cell_seconds("none", 80, 1000, None) < costs.cell_seconds("pgd_curr", 80, 1000, 40)
    assert costs.train_seconds("mnist", "lwa", 10) < costs.train_seconds("mnist", "lwa", 1000)
    assert costs.cell_seconds("curve", 80, 0, None) == costs.START

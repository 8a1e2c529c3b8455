"""A classifier is found by what decides its training, and by nothing else."""

import dataclasses

import pytest

from mmtf.config import ConfigError
from mmtf.reproduction.cells import Cell, Track
from mmtf.reproduction.settings import settings_of
from mmtf.reproduction.store import Store, classifier_config, config_key, is_current, keys_of
from mmtf.workdir import Workdir

TRACK = Track("mnist")
SETTINGS = settings_of(TRACK)


def config(game="lwa", eta=0.3, seed=0, track=TRACK, settings=SETTINGS):
    return classifier_config(track, settings, game, eta, seed)


@pytest.mark.parametrize(
    "change", [{"attacks": ("pgd",)}, {"max_examples": 7}, {"pgd_steps": 3}, {"pgd_restarts": 5}]
)
def test_the_table_does_not_change_the_key(change):
    assert config_key(dataclasses.replace(config(), **change)) == config_key(config())


@pytest.mark.parametrize(
    "change",
    [
        {"eta": 0.2},
        {"seed": 1},
        {"game": "minimax_grad"},
        {"track": Track("mnist", "tutorial")},
        {"track": Track("mnist", "keras", "paper")},
        {"settings": settings_of(TRACK, steps=3)},
    ],
)
def test_training_does(change):
    assert config_key(config(**change)) != config_key(config())


def test_a_record_is_current_with_its_players_and_settings():
    cell = Cell(TRACK, 0.3, "lwa", "fgsm1")
    record = {"settings": {"examples": 0}, "players": keys_of(cell, SETTINGS)}
    assert len(record["players"]) == 2  # LWA, and the cat and mouse that made FGSM 1
    assert is_current(cell, SETTINGS, record)
    assert not is_current(cell, SETTINGS, None)
    assert not is_current(cell, SETTINGS, {**record, "settings": {"examples": 5}})
    assert not is_current(cell, settings_of(TRACK, rounds=20), record)


def test_a_store_has_finished_runs_alone(tmp_path):
    store = Store(str(tmp_path))
    path = tmp_path / f"lwa-mnist-eta0.3-{config_key(config())}"
    assert store.path(config()) == str(path)
    with store.workdir(config()):
        assert not store.has(config())
    (path / "record.json").write_text("{}")
    assert store.has(config())


def test_a_finished_run_is_adopted(tmp_path):
    run, store = tmp_path / "run", Store(str(tmp_path / "store"))
    shown = dataclasses.replace(config(), attacks=("pgd",), max_examples=7)
    with Workdir(str(run), shown):
        pass
    with pytest.raises(ConfigError, match="finished"):
        store.adopt(str(run))
    (run / "record.json").write_text("{}")
    assert store.adopt(str(run)) == store.path(config()) and store.has(config())
    with pytest.raises(ConfigError, match="does not have"):
        store.adopt(str(run))

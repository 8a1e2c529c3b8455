"""A classifier is found by what decides its training, and by nothing else."""

import dataclasses

import pytest

from mmtf.errors import ConfigError
from mmtf.runs.workdir import Workdir
from scripts.paper.cells import Cell, Track
from scripts.paper.settings import settings_of
from scripts.paper.store import Store, classifier_config, config_key, is_current, keys_of

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


def test_minimax_grad_has_the_penalty_on_all_examples_as_the_committed_records_have():
    assert "penalty_every" not in config(game="minimax_grad").game_options
    cell = Cell(TRACK, 0.3, "minimax_grad", "none")
    assert keys_of(cell, SETTINGS) == ["2988c72a1838"]  # of results/cells/mnist-keras-fast


def test_a_record_is_current_with_its_players_and_settings():
    cell = Cell(TRACK, 0.3, "lwa", "fgsm1")
    record = {"settings": {"examples": 0}, "players": keys_of(cell, SETTINGS)}
    assert len(record["players"]) == 2  # LWA, and the cat and mouse that made FGSM 1
    store = Store("nothing is here")
    assert is_current(cell, SETTINGS, record, store)
    assert not is_current(cell, SETTINGS, None, store)
    assert not is_current(cell, SETTINGS, {**record, "settings": {"examples": 5}}, store)
    assert not is_current(cell, settings_of(TRACK, rounds=20), record, store)


def test_a_record_of_another_training_is_not_current(tmp_path):
    cell, store = Cell(TRACK, 0.3, "lwa", "none"), Store(str(tmp_path))
    keys = keys_of(cell, SETTINGS)
    record = {"settings": {"examples": 0}, "players": keys, "runs": ["0" * 12]}
    assert is_current(cell, SETTINGS, record, store)  # nothing to compare with
    run = tmp_path / f"lwa-mnist-eta0.3-{keys[0]}"
    run.mkdir()
    (run / "record.json").write_text('{"training": {"steps": 5, "seconds": 7.25}}')
    (run / "classifier.keras").write_text("weights")
    assert not is_current(cell, SETTINGS, record, store)
    mine = {**record, "runs": [store.fingerprint(config())]}
    assert is_current(cell, SETTINGS, mine, store)
    # Records from before fingerprints are known by the seconds that their training took.
    old = {"settings": {"examples": 0}, "players": keys}
    assert is_current(cell, SETTINGS, {**old, "training": {"seconds": 7.25}}, store)
    assert not is_current(cell, SETTINGS, {**old, "training": {"seconds": 7.5}}, store)


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

"""Configs that were written are read back as they were, and presets stay what they are."""

import json

import pytest
import readings
from readings import DATA, ROOT

from mmtf import run_config
from mmtf.config import RunConfig

STORED = json.loads((DATA / "configs.json").read_text())


def test_recorded_configs_survive_reading():
    configs = readings.recorded_configs()
    assert len(configs) >= STORED["recorded"] > 600
    changed = [one for one in configs if RunConfig.from_dict(one).to_dict() != one]
    assert not changed[:3]


@pytest.mark.parametrize("name", STORED["flagfiles"])
def test_a_flagfile_means_the_same_config(name):
    stored = STORED["flagfiles"][name]
    assert run_config(**readings.settings_of(ROOT / name)).to_dict() == stored
    assert RunConfig.from_dict(stored).to_dict() == stored


@pytest.mark.parametrize("made", STORED["made"], ids=lambda made: json.dumps(made["given"]))
def test_presets_stay(made):
    assert run_config(**made["given"]).to_dict() == made["config"]
    assert RunConfig.from_dict(made["config"]).to_dict() == made["config"]

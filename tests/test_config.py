"""Settings: refused where impossible, the same after a trip through JSON."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from mmtf.config import RunConfig, Schedule, differences
from mmtf.errors import ConfigError

CONFIG = RunConfig(
    game="lwa",
    dataset="digits",
    eta=0.25,
    norm="l2",
    game_options={"max_steps": 3},
    net="cifar_cnn",
    net_options={"init": "tutorial", "dropout": 0.1},
    schedule_name="paper",
    schedule=Schedule(steps=7, first_steps=3, batch_size=5, learning_rate=1e-3, warmup_steps=2),
    precision="float32",
    attacks=("none", "pgd"),
    pgd_steps=9,
    pgd_restarts=4,
    max_examples=11,
    seed=13,
)


def test_json_round_trip():
    defaults = RunConfig().to_dict()
    assert all(value != defaults[name] for name, value in CONFIG.to_dict().items())
    again = RunConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict())))
    assert again == CONFIG
    assert again.schedule == CONFIG.schedule and again.attacks == ("none", "pgd")


def test_options_become_json_types():
    options = {"widths": (8, 16), "activation": math.tanh, "rate": np.float32(0.5), "by": {1: 2}}
    config = RunConfig(
        game="union", game_options={"attackers": ("fgsm", "pgd")}, net="my:net", net_options=options
    )
    written = config.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written["game_options"] == {"attackers": ["fgsm", "pgd"]}
    assert written["net_options"] == {
        "widths": [8, 16],
        "activation": "math.tanh",
        "rate": 0.5,
        "by": {"1": 2},
    }
    assert RunConfig.from_dict(written).to_dict() == written


def test_from_dict_refuses_other_settings():
    values = CONFIG.to_dict()
    with pytest.raises(ConfigError, match="gamma"):
        RunConfig.from_dict({**values, "gamma": 1.0})
    del values["seed"]
    with pytest.raises(ConfigError, match=r"missing \['seed'\]"):
        RunConfig.from_dict(values)


def test_from_dict_refuses_other_settings_of_the_schedule():
    values = CONFIG.to_dict()
    values["schedule"]["momentum"] = 0.9
    with pytest.raises(ConfigError, match="momentum"):
        RunConfig.from_dict(values)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"eta": 0.0}, "eta > 0"),
        ({"eta": float("nan")}, "eta > 0"),
        ({"eta": float("inf")}, "eta > 0"),
        ({"pgd_steps": 0}, "pgd_steps > 0"),
        ({"pgd_restarts": 0}, "pgd_restarts > 0"),
        ({"max_examples": -1}, "max_examples >= 0"),
        ({"seed": -1}, "seed in"),
        ({"seed": 2**31}, "seed in"),
        ({"attacks": ()}, "at least one of attacks"),
        ({"norm": "l3"}, "norm to be one of linf, l2, l1. Received: 'l3'"),
        ({"precision": "float16"}, "precision to be one of auto, float32, bfloat16"),
        ({"schedule_name": "slow"}, "schedule to be one of fast, paper"),
    ],
)
def test_impossible_runs_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(CONFIG, **changes)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 0}, "steps > 0"),
        ({"first_steps": -1}, "first_steps >= 0"),
        ({"batch_size": 0}, "batch_size > 0"),
        ({"learning_rate": 0.0}, "learning_rate > 0"),
        ({"learning_rate": float("inf")}, "learning_rate > 0 and finite. Received: inf"),
        ({"warmup_steps": -1}, "warmup_steps >= 0"),
        ({"decay": "linear"}, "decay to be one of constant, cosine. Received: 'linear'"),
    ],
)
def test_impossible_schedules_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Schedule(**{"steps": 1, **changes})


def test_ends_of_the_ranges_are_allowed():
    config = dataclasses.replace(CONFIG, seed=2**31 - 1, max_examples=0, pgd_steps=1, eta=1e-9)
    assert config.seed == 2**31 - 1
    assert Schedule(steps=1, first_steps=0, warmup_steps=0, batch_size=1).steps == 1


def test_round_lengths():
    assert Schedule(steps=5).round_lengths(0) == [5]
    assert Schedule(steps=5).round_lengths(2) == [5, 5, 5]
    assert Schedule(steps=5, first_steps=9).round_lengths(2) == [9, 5, 5]
    assert Schedule(steps=5, first_steps=9).total_steps(2) == 19


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.eta = 0.1
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.schedule.steps = 1


def test_differences_names_every_setting_that_changed():
    changed = dataclasses.replace(
        CONFIG,
        eta=0.5,
        net_options={"init": "tutorial", "dropout": 0.2, "weight_decay": 0.1},
        schedule=dataclasses.replace(CONFIG.schedule, steps=8),
        attacks=("none",),
    )
    assert differences(CONFIG.to_dict(), CONFIG.to_dict()) == []
    assert differences(changed.to_dict(), CONFIG.to_dict()) == [
        "attacks: ['none', 'pgd'] -> ['none']",
        "eta: 0.25 -> 0.5",
        "net_options.dropout: 0.1 -> 0.2",
        "net_options.weight_decay: '(absent)' -> 0.1",
        "schedule.steps: 7 -> 8",
    ]


def test_what_a_command_line_needs_first_imports_no_tensorflow():
    rooms = "config, lookup, reports, workdir, attacks, games, nets, quiet"
    code = f"import sys; from mmtf import {rooms}; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("jit_compile", [None, True, False])
def test_a_config_without_a_choice_of_compiler_is_that_of_before(jit_compile):
    config = RunConfig(jit_compile=jit_compile)
    written = config.to_dict()
    assert ("jit_compile" in written) is (jit_compile is not None)
    assert RunConfig.from_dict(written) == config

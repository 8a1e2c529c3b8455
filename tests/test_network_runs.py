"""A network game from config to record: both players kept, exported, tried by best responses."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from mmtf.config import Schedule
from mmtf.data import load_digits
from mmtf.errors import ConfigError
from mmtf.presets import run_config
from mmtf.reports import lemma_table, read_json, risk_table
from mmtf.runs import curve, replay
from mmtf.runs.experiment import run_experiment
from mmtf.runs.replay import add_exploitability, require_attacker
from mmtf.runs.workdir import Workdir
from mmtf.threat import ThreatModel

ATTACKS = ("none", "attnet", "attnet_paper", "attnet_met")


@pytest.fixture
def short(monkeypatch):
    """Best responses of three steps: their wiring is under test here, not their strength."""
    for name in ("ATTNET", "ATTNET_PAPER_FAST"):
        recipe = getattr(curve, name)
        schedule = dataclasses.replace(recipe.schedule, steps=3, batch_size=8)
        quick = dataclasses.replace(recipe, schedule=schedule, net="universal", net_options={})
        monkeypatch.setattr(curve, name, quick)
    monkeypatch.setattr(replay, "schedule_of", lambda *unused: Schedule(steps=3, batch_size=8))


@pytest.mark.parametrize(
    "game", ["minimax_attnet", pytest.param("maximin_attnet", marks=pytest.mark.slow)]
)
def test_a_run_and_its_exploitability(game, short, narrow_net, tmp_path):
    config = run_config(
        game=game,
        dataset="digits",
        attacks=ATTACKS,
        game_options={"net": "universal"},
        schedule_options={"steps": 4, "batch_size": 8},
        max_examples=30,
    )
    data = load_digits()
    with Workdir(str(tmp_path / "run"), config) as workdir:
        record = run_experiment(config, workdir, data, say=lambda line: None)
        columns = [one["attack"] for one in record["results"]]
        assert columns == ["none", "attnet_curr", "attnet_paper_curr", "attnet_met", "worst"]
        assert all("attnet_met" in point for point in record["curve"])

        x, y = data.test(7)
        attacker = keras.models.load_model(workdir.attacker_path)
        served = tf.saved_model.load(workdir.inside("attacker_saved_model"))
        z = served.signatures["serving_default"](
            images=tf.constant(x), labels=tf.constant(y, tf.int32)
        )["perturbed"]
        np.testing.assert_allclose(z, attacker([x, y], training=False), rtol=0, atol=1e-6)
        assert not ThreatModel(eta=0.3).violations(z.numpy(), x).any()

        record = add_exploitability(config, workdir, data, record, progress=False)
        assert read_json(workdir.record_path)["exploitability"] == record["exploitability"]
    report = record["exploitability"]
    assert report["n"] == 30 and len(report["lemma"]) == 5
    assert len(risk_table(report)) == 5 and len(lemma_table(report)) == 8
    assert list(risk_table(report).pair)[0] == "f(u, v)"


def test_games_without_an_attacker_have_no_exploitability():
    with pytest.raises(ConfigError, match="minimax_attnet, alt_attnet, maximin_attnet"):
        require_attacker(run_config(game="lwa"))

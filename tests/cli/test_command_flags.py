"""Flags of the fields of configs: one list of names, and where a value was given."""

import dataclasses

import pytest
from absl import flags

import mmtf.cli.run  # noqa: F401 (defines the flags)
from mmtf.cli.flags import SETTINGS, given_settings, origins
from mmtf.config import RunConfig, Schedule
from mmtf.errors import ConfigError

FLAGS = flags.FLAGS


@pytest.fixture
def parse():
    """parse(*flags): the values of these flags of mmtf.run, and the arguments."""

    def parse(*given):
        FLAGS.unparse_flags()
        for name in FLAGS:
            FLAGS[name].unparse()
        FLAGS(["run", *given])
        return FLAGS, ["run", *given]

    yield parse
    FLAGS.unparse_flags()
    for name in FLAGS:
        FLAGS[name].unparse()


def test_every_field_of_the_configs_has_its_flag():
    places = {one.place for one in SETTINGS}
    inner = {"game_options", "net_options", "schedule"}
    assert {field.name for field in dataclasses.fields(RunConfig)} - inner <= places
    assert {f"schedule.{field.name}" for field in dataclasses.fields(Schedule)} <= places
    assert len({one.flag for one in SETTINGS}) == len(SETTINGS)
    assert {"game": "minimax_grad", "seed": 0, "pgd_steps": 40}.items() <= {
        one.flag: one.default for one in SETTINGS
    }.items()


def test_a_radius_is_given_on_either_scale(parse):
    assert given_settings(parse("--eta=1/4")[0])["eta"] == 0.25
    assert given_settings(parse("--epsilon=8/255")[0])["eta"] == 16 / 255
    assert given_settings(parse("--epsilon=0.1:1/4:0")[0])["eta"] == (0.2, 0.5, 0.0)
    assert parse("--eta=0.1:1/4")[0]["eta"].serialize() == "--eta=0.1:0.25"
    assert given_settings(parse()[0])["eta"] is None
    with pytest.raises(ConfigError, match="--eta or --epsilon, one of them"):
        given_settings(parse("--eta=0.3", "--epsilon=0.15")[0])
    with pytest.raises(flags.IllegalFlagValueError, match="0.3 or 8/255"):
        parse("--epsilon=8//255")


def test_where_a_flag_was_given(parse, tmp_path):
    outer, inner = tmp_path / "outer.flags", tmp_path / "inner.flags"
    outer.write_text(f"# A comment.\n--game=lwa\n--seed=2\n--flagfile={inner}\n")
    inner.write_text("--gamma=2\n")
    found = origins(
        *parse("--seed=1", f"--flagfile={outer}", "-steps=5", "--nojit_compile", "--norm", "l2")
    )
    assert found == {
        "seed": f"flagfile {outer}",
        "game": f"flagfile {outer}",
        "game_options.gamma": f"flagfile {outer}",
        "schedule.steps": "flag --steps",
        "jit_compile": "flag --nojit_compile",
        "norm": "flag --norm",
    }
    assert origins(*parse("--epsilon=0.1")) == {"eta": "flag --epsilon"}

"""Registered names and places of one's own."""

import pytest

import mmtf
from mmtf.attacks import ATTACKS
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.registry import Registry, source_of


def test_members_are_imported_only_when_asked_for():
    members = Registry("thing", {"sqrt": "math:sqrt", "absent": "no_such_module:x"})
    assert list(members) == ["sqrt", "absent"] and len(members) == 2
    assert members["sqrt"](9) == 3.0
    with pytest.raises(ImportError):
        members["absent"]


def test_an_unknown_member_names_the_choices():
    members = Registry("thing", {"sqrt": "math:sqrt", "floor": "math:floor"})
    with pytest.raises(ConfigError, match="thing to be one of sqrt, floor. Received: 'ceil'"):
        members["ceil"]


@pytest.mark.parametrize("room", [ATTACKS, GAMES, NETS])
def test_every_name_of_the_rooms_leads_somewhere(room):
    found = [room[name] for name in room]
    assert len(found) == len(set(found)) > 1
    assert all(callable(one) for one in found)


@pytest.mark.parametrize("name", [name for name in mmtf.__all__ if name != "solvers"])
def test_every_public_name_leads_somewhere(name):
    assert getattr(mmtf, name).__doc__
    assert name in dir(mmtf)


def test_an_unknown_public_name():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        mmtf.trian  # noqa: B018 (the access is the test)


OWN = """
import math

import no_such_module_of_theirs
"""


def test_a_place_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_thing.py").write_text("def thing(*, width):\n    return width\n\nthree = 3\n")
    (tmp_path / "broken_thing.py").write_text(OWN)
    members = Registry("thing", {"sqrt": "math:sqrt"}, takes=("width",))
    assert members["own_thing:thing"](width=2) == 2
    assert "own_thing:thing" not in members and list(members) == ["sqrt"]
    for place, reason in {
        "nowhere:thing": "no module 'nowhere'",
        "nowhere.deep:thing": "no module 'nowhere'",
        "own_thing.deep:thing": "no module 'own_thing.deep'",
        "own_thing:other": "no 'other' in 'own_thing'",
        "own_thing:three": "thing as a function with keywords width",
        "math:sqrt": "thing as a function with keywords width",
        "own_thing:": "thing to be one of sqrt",
    }.items():
        with pytest.raises(ConfigError, match=reason):
            members[place]
    with pytest.raises(ModuleNotFoundError, match="of_theirs"):  # a mistake of their own module
        members["broken_thing:thing"]
    members.require_known("nowhere:thing")
    members.require_known("other", others=["other"])


def test_a_class_of_ones_own_has_to_be_of_the_kind(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_class.py").write_text("class Mine(dict):\n    pass\n")
    assert Registry("thing", {}, bases=("builtins:dict",))["own_class:Mine"].__name__ == "Mine"
    either = Registry("thing", {}, bases=("builtins:list", "builtins:set"))
    with pytest.raises(ConfigError, match="thing as a subclass of list or set"):
        either["own_class:Mine"]
    digest = source_of(Registry("thing", {}, bases=("builtins:dict",))["own_class:Mine"])
    assert len(digest) == 64 and source_of(Registry) == ""

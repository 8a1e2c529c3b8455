"""Options checked against a signature."""

import pytest

from mmtf.arguments import accepts, resolve_kwargs
from mmtf.errors import ConfigError


def function(threat, *, gamma=1.0, steps=2, seed=0):
    """Stands for a game or net."""


class Player:
    def __init__(self, threat, *, rounds=3):
        """Stands for a class."""


def test_options_are_the_defaults_and_what_was_given():
    assert resolve_kwargs("f", function, {}) == {"gamma": 1.0, "steps": 2, "seed": 0}
    given = {"gamma": 0.0, "steps": None}  # None stands for the default, 0 does not
    assert resolve_kwargs("f", function, given, ("seed",)) == {"gamma": 0.0, "steps": 2}
    assert resolve_kwargs("Player", Player, {"rounds": 1}) == {"rounds": 1}


@pytest.mark.parametrize("option", ["threat", "seed", "gama"])
def test_unknown_options_are_refused(option):
    with pytest.raises(ConfigError, match=rf"option of f \(gamma, steps\). Received: '{option}'"):
        resolve_kwargs("f", function, {option: 1}, ("seed",))


def test_unknown_options_left_alone_are_no_error():
    assert resolve_kwargs("Player", Player, {"gamma": None}) == {"rounds": 3}


def test_arguments_that_are_accepted_by_name():
    assert accepts(function, ("gamma", "threat")) and accepts(lambda **options: None, ("gamma",))
    assert not accepts(function, ("gama",)) and not accepts(lambda gamma, /: None, ("gamma",))

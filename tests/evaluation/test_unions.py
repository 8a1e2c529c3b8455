"""Unions of balls: which attacks run in which, and the status of every example."""

import itertools

import numpy as np
import pytest

from mmtf.bounds.certificates import STATUSES, Certificates
from mmtf.errors import ConfigError
from mmtf.evaluation.unions import balls_of, make_attacks_in, union
from mmtf.radius import as_radius


def certificates(statuses, stages):
    count = len(statuses)
    margin = np.linspace(-1, 1, count)
    seconds = np.ones(count)
    return Certificates(np.array(statuses), np.array(stages), margin, seconds, 1e-9)


def test_radii_are_paired_in_their_order():
    found = balls_of([0.1, 0.3], "linf", {"l2": [1.0, 3.0], "l1": [10.0]})
    told = {eta: [(ball.norm, ball.eta) for ball in balls] for eta, balls in found.items()}
    assert told == {
        0.1: [("linf", 0.1), ("l2", 1.0), ("l1", 10.0)],
        0.3: [("linf", 0.3), ("l2", 3.0), ("l1", 10.0)],
    }
    with pytest.raises(ConfigError, match="one l2 radius, or one for each of 2 radii"):
        balls_of([0.1, 0.3], "linf", {"l2": [1.0, 2.0, 3.0]})
    with pytest.raises(ConfigError, match="other norms than l2"):
        balls_of([0.1], "l2", {"l2": [1.0]})
    for others in ({"l2": 3.0}, {"l2": "3.0"}):
        with pytest.raises(ConfigError, match="l2 radii as a list"):
            balls_of([0.1], "linf", others)
    with pytest.raises(ConfigError, match="others as a dict"):
        balls_of([0.1], "linf", ["l2"])


def test_radii_of_one_text_are_refused():
    """They would share one column."""
    one = np.linspace(0.1, 0.2, 8).reshape(8, 1, 1)
    radii = [as_radius("eta", value) for value in (one, one.reshape(1, 8, 1))]
    assert [len(balls_of([radius], "linf")) for radius in radii] == [1, 1]
    with pytest.raises(ConfigError, match="radii of different texts"):
        balls_of(radii, "linf")
    with pytest.raises(ConfigError, match="radii of different texts"):
        balls_of([(0.1, 0.2), (0.1, 0.2 + 1e-9)], "linf")


def test_attacks_run_where_they_can():
    balls = balls_of([0.3], "linf", {"l2": [3.0]})[0.3]
    made = make_attacks_in(balls, {"none": {}, "fgsm": {}, "fgm": {}, "pgd": {"steps": 2}})
    told = {name: (one.threat.norm, one.threat.eta) for name, one in made.items()}
    assert told == {
        "none": ("linf", 0.3),
        "fgsm": ("linf", 0.3),
        "fgm_l2": ("l2", 3.0),
        "pgd": ("linf", 0.3),
        "pgd_l2": ("l2", 3.0),
    }
    assert made["pgd_l2"].steps == 2
    balls = balls_of([3.0], "l2", {"linf": [0.3]})[3.0]
    assert list(make_attacks_in(balls, {"fgsm": {}, "pgd": {}})) == ["pgd", "fgsm_linf", "pgd_linf"]
    with pytest.raises(ConfigError, match="Expected norm"):
        make_attacks_in(balls[:1], {"fgsm": {}})


def test_every_pair_of_statuses():
    """Against the definition, for all pairs; what is wrong is so in every ball."""
    pairs = [
        (a, b) for a, b in itertools.product(STATUSES, STATUSES) if (a == "wrong") == (b == "wrong")
    ]
    stage = {"wrong": "none", "broken": "attack", "open": ""}
    first = certificates([a for a, _ in pairs], [stage.get(a, "crown") for a, _ in pairs])
    second = certificates([b for _, b in pairs], [stage.get(b, "ibp") for _, b in pairs])
    whole = union([first, second], ["ibp", "crown"])
    for (a, b), status, decided in zip(pairs, whole.status, whole.stage, strict=True):
        if "wrong" in (a, b):
            expected = ("wrong", "none")
        elif "broken" in (a, b):
            expected = ("broken", "attack")
        elif (a, b) == ("certified", "certified"):
            expected = ("certified", "crown")
        else:
            expected = ("open", "")
        assert (status, decided) == expected
    assert (whole.seconds == 2).all() and (whole.margin == first.margin).all()
    assert union([first], ["ibp", "crown"]) is first
    assert whole.attacked_error >= max(first.attacked_error, second.attacked_error)
    assert whole.certified_error >= max(first.certified_error, second.certified_error)

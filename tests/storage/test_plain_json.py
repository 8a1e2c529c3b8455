"""Settings as JSON types."""

import dataclasses
import functools
import json

import numpy as np

from mmtf.storage.plain_json import plain_json


@dataclasses.dataclass
class Ball:
    radius: float
    box: tuple


def test_values_become_json_types():
    values = {
        "ball": Ball(0.3, (-1, 1)),
        "number": np.float64(0.5),
        "array": np.array([[1, 2]]),
        "one": np.array([7]),
        "function": functools.reduce,
        "class": Ball,
        "object": functools.partial(int),
        "nothing": None,
    }
    found = plain_json(values)
    assert found == {
        "ball": {"radius": 0.3, "box": [-1, 1]},
        "number": 0.5,
        "array": [[1, 2]],
        "one": 7,
        "function": "_functools.reduce",
        "class": f"{__name__}.Ball",
        "object": "partial",
        "nothing": None,
    }
    assert json.loads(json.dumps(found)) == plain_json(found) == found

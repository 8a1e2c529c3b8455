"""Reads the JSON files of a run's folder, checks their shape, and finds the run's dataset."""

import os
from collections.abc import Mapping
from typing import Any

from mmtf.errors import ConfigError, is_number, shown
from mmtf.radius import as_radius
from mmtf.storage.files import FORMAT, read_json

RADIUS = "a radius"
# What the readers of these files use of them; a `?` marks what older versions did not write.
CONFIG = {
    "game": str,
    "dataset": str,
    "eta": RADIUS,
    "norm": str,
    "net": str,
    "game_options": {},
    "net_options": {},
    "schedule": {},
    "attacks": [str],
}
ERROR = "an error rate in [0, 1]"
CELL = {"defense": str, "attack": str, "error": ERROR}
RECORD = {
    "format": FORMAT,
    "config": CONFIG,
    "dataset": {"name": str, "note": str, "notice": str},
    "results": [{"attack": str, "error": ERROR, "ci_low": ERROR, "ci_high": ERROR, "n": int}],
    "training": {"steps": int, "seconds": float},
    "seconds_in_last_process": float,
    "rounds?": [CELL],
    "replays?": [CELL],
    "exploitability?": {},
    "replicas?": int,
    "workers?": int,
}
CURVE = [{"step": int, "n": int}]
RUN = "checkpoints/run.json"
# Where each file of a run says its dataset.
FILES = {
    "record.json": {
        "format?": FORMAT,
        "config?": {"dataset": str},
        "dataset": {"name": str, "notice": str},
    },
    "config.json": {"dataset": str},
    RUN: {"run": {"dataset": {"name": str}}},
}
_WORDS = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}


def read_config(path: str) -> dict[str, Any]:
    """Reads a run's config.json.

    Raises:
      ConfigError: it is damaged or not the settings of a run.
      OSError: it cannot be read.
    """
    return _read(path, CONFIG)


def read_record(path: str) -> dict[str, Any]:
    """Reads a run's record.json, as `read_config`."""
    return _read(path, RECORD)


def read_curve(path: str) -> list[dict[str, float]]:
    """Reads a run's curve.json, as `read_config`."""
    return _read(path, CURVE)


def is_run(path: str) -> bool:
    """Whether the folder has a file that a run leaves in it, whatever the state of the file."""
    names = ("config.json", RUN)
    return any(os.path.isfile(os.path.join(path, name)) for name in names)


def dataset_of(path: str) -> str:
    """Returns the name of the dataset that the run in the folder `path` was trained on.

    record.json and config.json say it, or checkpoints/run.json where both are missing. A damaged
    one is passed over if another is whole.

    Raises:
      ConfigError: none of them says it, or they disagree.
    """
    found: dict[str, str] = {}
    own_names: dict[str, str] = {}
    damaged: list[str] = []
    for name, shape in FILES.items():
        try:
            value = _read(os.path.join(path, name), shape)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (ConfigError, OSError):
            damaged.append(name)
            continue
        if name == "record.json" and value["dataset"]["notice"]:
            return value["dataset"]["name"]  # in place of what config.json asked for
        if name == "config.json" or value.get("config"):
            found[name] = value.get("config", value)["dataset"]
        else:  # what the data call themselves, which need not be how they are loaded
            own_names[name] = (value if name == "record.json" else value["run"])["dataset"]["name"]
    found = found or own_names
    if len(set(found.values())) != 1:
        said = [f"{found[name]} in {name}" for name in found]
        said += [f"a damaged {name}" for name in damaged]
        raise ConfigError(
            f"Expected --dataset=NAME, the data that {path} was trained on. Received: no such "
            f"flag, and there {', '.join(said) or 'no record.json or config.json'}."
        )
    return next(iter(found.values()))


def _read(path: str, shape: Any) -> Any:
    value = read_json(path)
    wrong = _mismatch(value, shape, "")
    if wrong is not None:
        place, expected, received = wrong
        raise ConfigError(
            f"Expected {expected} at {place or 'the top'} of {path}. Received: {received}. Put the "
            "file back as mmtf wrote it, or move it away."
        )
    return value


def _is_radius(value: Any) -> bool:
    try:
        as_radius("eta", value)
    except ConfigError:
        return False
    return not isinstance(value, str)


def _mismatch(value: Any, shape: Any, place: str) -> tuple[str, str, str] | None:
    """(where, what was expected, what is there) of the first difference, None if there is none."""
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            return place, _WORDS[dict], shown(value)
        for key, kind in shape.items():
            name = key.removesuffix("?")
            inside = f"{place}.{name}" if place else name
            if name not in value or (key != name and value[name] is None):
                if key != name:
                    continue
                return inside, "a value", "none"
            wrong = _mismatch(value[name], kind, inside)
            if wrong is not None:
                return wrong
        return None
    if isinstance(shape, list):
        if not isinstance(value, list):
            return place, _WORDS[list], shown(value)
        found = (_mismatch(one, shape[0], f"{place}[{i}]") for i, one in enumerate(value))
        return next((one for one in found if one is not None), None)
    if shape == RADIUS:
        good, words = _is_radius(value), RADIUS
    elif shape == ERROR:
        good, words = is_number(value) and 0 <= value <= 1, ERROR
    elif isinstance(shape, type):
        good = is_number(value) and (shape is float or isinstance(value, int))
        good, words = (isinstance(value, str) if shape is str else good), _WORDS[shape]
    else:
        good, words = value == shape and not isinstance(value, bool), f"format {shape}"
    return None if good else (place, words, shown(value))

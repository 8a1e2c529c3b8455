"""Every public name can be imported from where it was, perhaps with a DeprecationWarning."""

import importlib
import json

from readings import DATA

STORED = json.loads((DATA / "names.json").read_text())


def test_every_name_is_where_it_was():
    names = [f"{module}:{name}" for module, found in STORED["modules"].items() for name in found]
    assert len(STORED["modules"]) > 120 and len(names) > 500
    # Went on purpose, each told in CHANGELOG.md.
    dropped = (DATA / "dropped.txt").read_text().split()
    missing = [name for name in names if not _is_there(name)]
    assert missing == dropped


def test_registries_keep_their_keys():
    assert len(STORED["registries"]) >= 5
    missing = []
    for place, keys in STORED["registries"].items():
        registry = _get(place)
        missing += [f"{place}[{key!r}]" for key in keys if key not in registry]
        missing += [f"{place}[{key!r}]" for key in keys if registry[key] is None]
    assert not missing


def _is_there(place):
    try:
        _get(place)
    except (ImportError, AttributeError):
        return False
    return True


def _get(place):
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)

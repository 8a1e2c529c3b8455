"""Names of mmtf 0.1 work, and warn whoever imports them."""

import importlib
import warnings

import pytest

from mmtf import _moved


@pytest.mark.parametrize("old, new", sorted(_moved.MODULES.items()))
def test_a_moved_module_hands_out_the_attributes_of_the_new_one(old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} was renamed to {new};"):
        module = importlib.reload(importlib.import_module(old))
    here = importlib.import_module(new)
    names = [name for name in vars(here) if not name.startswith("_")]
    assert names
    for name in set(names) - set(_moved.NAMES.get(old, {})):
        assert getattr(module, name) is getattr(here, name)


@pytest.mark.parametrize(
    "old, name, new",
    [(old, name, new) for old, table in _moved.NAMES.items() for name, new in table.items()],
)
def test_a_renamed_attribute_is_the_new_one(old, name, new):
    place, _, attribute = new.partition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = importlib.import_module(old)
    with pytest.warns(
        DeprecationWarning, match=f"{old}.{name} was renamed to {place}.{attribute};"
    ):
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(place), attribute)


def test_the_warning_points_at_the_import(tmp_path, monkeypatch):
    (tmp_path / "users_module.py").write_text("\nfrom mmtf.lookup import Members\n")
    monkeypatch.syspath_prepend(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importlib.reload(importlib.import_module("mmtf.lookup"))
        importlib.import_module("users_module")
    mine = [one for one in caught if one.filename.endswith("users_module.py")]
    assert [one.lineno for one in mine] == [2]


def test_what_never_was_is_still_missing():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        lookup = importlib.import_module("mmtf.lookup")
    with pytest.raises(AttributeError):
        _ = lookup.nothing
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("mmtf.nothing")

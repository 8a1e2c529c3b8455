"""Every example in the room's docstrings, executed."""

import doctest
import importlib
import pkgutil

import pytest

from mmtf import solvers

NAMES = [solvers.__name__] + [
    f"{solvers.__name__}.{module.name}" for module in pkgutil.iter_modules(solvers.__path__)
]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted > 0

"""Every example in the docstrings, executed; those of the solvers have their own test."""

import doctest
import importlib
import pathlib

import pytest

import mmtf

ROOT = pathlib.Path(mmtf.__file__).parent


def _examples():
    """Module name -> number of prompts in its source."""
    counts = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["mmtf", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(parts).removesuffix(".__init__")
        if name != "mmtf.run" and not name.startswith("mmtf.solvers"):
            counts[name] = path.read_text().count(">>> ")
    return {name: count for name, count in counts.items() if count}


EXAMPLES = _examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted == EXAMPLES[name]  # none stands where doctest does not look

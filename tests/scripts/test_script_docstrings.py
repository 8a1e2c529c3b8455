"""Every example in the docstrings of scripts, executed."""

import doctest
import importlib
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text().count(">>> ")
    for path in sorted((ROOT / "scripts").rglob("*.py"))
    if ">>> " in path.read_text()
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert (result.failed, result.attempted) == (0, EXAMPLES[name])

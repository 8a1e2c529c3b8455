"""What an installed mmtf holds besides code."""

import fnmatch
import pathlib
import runpy

import setuptools

import mmtf

ROOT = pathlib.Path(mmtf.__file__).parent


def test_the_files_that_mmtf_reads_are_installed(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    runpy.run_path(str(ROOT.parent / "setup.py"))
    patterns = given["package_data"]
    files = [one for one in ROOT.rglob("*") if one.is_file() and "__pycache__" not in one.parts]
    data = [one for one in files if one.suffix != ".py" and one.name != "BUILD"]
    assert ROOT / "reports" / "report.css" in data
    for one in data:
        package = ".".join(one.parent.relative_to(ROOT.parent).parts)
        assert any(fnmatch.fnmatch(one.name, p) for p in patterns.get(package, [])), one

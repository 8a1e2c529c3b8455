"""The pages under docs and README: their examples run, their commands exist, every name is told."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest
from commands import call

from scripts import api_pages

pytestmark = pytest.mark.usefixtures("few_checks", "narrow_net")
ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# README's Python runs in test_readme.py, extending.md's in test_extending.py.
RUN = [page for page in PAGES if page.name not in ("README.md", "extending.md", "fit.md")]
# It trains a MobileNetV2: a minute of CPU.
RUN.append(pytest.param(ROOT / "docs" / "fit.md", marks=pytest.mark.slow))
# Its commands are executed, too, but the ones that install or take minutes.
STORY = "getting_started.md"
LONG = ("pip install", "--game=minimax_grad --eta=0.3")
# What a page shows runs as it is, but with fewer steps and images, and on a narrower default net.
SHORTER = {"steps=200": "steps=3", "steps=60": "steps=3", "max_examples=100": "max_examples=20"}
SHORTER["steps=300"] = "steps=30"
# It makes a strategy, which a process does before any other operation of TensorFlow.
ALONE = "scaling.md"


def blocks(path: pathlib.Path) -> list[tuple[str, str]]:
    """(language, text) of every fenced block, in order."""
    return re.findall(r"^```(python|bash)\n(.*?)^```", path.read_text(), re.M | re.S)


def commands(path: pathlib.Path) -> list[str]:
    """The lines of bash blocks, continued ones joined, without comments."""
    found = []
    for language, text in blocks(path):
        if language == "bash":
            lines = text.replace("\\\n", " ").splitlines()
            found += [re.sub(r"\s+#.*", "", line).strip() for line in lines]
    return [line for line in found if line and not line.startswith("#")]


def shorter(text: str) -> str:
    for given, less in SHORTER.items():
        text = text.replace(given, less)
    return text


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_the_python_of_a_page_runs(path, tmp_path, monkeypatch):
    """All blocks of a page in one namespace, in a folder of their own."""
    code = [text for language, text in blocks(path) if language == "python"]
    if not code and path.name != STORY:
        return
    if path.name == STORY:
        for command in commands(path):
            if command.startswith("python -m mmtf.") and not command.endswith(LONG):
                _, _, module, *flags = shorter(command).split()
                done = call(module, *flags, cwd=tmp_path)
                assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
    text = shorter("\n".join(code))
    if path.name != ALONE:
        monkeypatch.chdir(tmp_path)
        exec(compile(text, path.name, "exec"), {"__name__": "__main__"})
        return
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_commands_of_the_pages_exist():
    """As modules; that flags are known is tested in tests/golden."""
    unknown = []
    for path in PAGES:
        for command in commands(path):
            for module, given in re.findall(
                r"python -m ((?:mmtf|scripts|benchmarks)[\w.]*)(.*)", command
            ):
                file = ROOT / module.replace(".", "/")
                exists = file.with_suffix(".py").exists() or (file / "__main__.py").exists()
                if not exists:
                    unknown.append(f"{path.name}: {module}")
                del given
    assert unknown == []


def test_the_api_pages_have_every_module():
    stale = [
        name
        for name, text in api_pages.pages(ROOT).items()
        if (api_pages.PAGES / f"{name}.md").read_text() != text
    ]
    assert stale == [], "python -m scripts.api_pages --write"


def test_every_public_name_has_a_docstring():
    silent = []
    for path in sorted((ROOT / "mmtf").rglob("*.py")):
        tree = ast.parse(path.read_text())
        place = path.relative_to(ROOT).as_posix()
        if ast.get_docstring(tree) is None:
            silent.append(place)
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            if public and ast.get_docstring(node) is None:
                silent.append(f"{place}: {node.name}")
    assert silent == []

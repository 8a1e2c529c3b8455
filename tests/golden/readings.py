"""What the golden tests read from commands, pages and records; make_data.py stores it."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import forked

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(__file__).resolve().parent / "data"
TABLES = [f"scripts.table{number}" for number in range(1, 11)]
# Those that render blocks of README.md and docs/ from records.
PAGES = [
    "scripts.gradient_games",
    "scripts.network_games",
    "scripts.attack_comparison --render",
    "scripts.strength",
    "scripts.performance",
    "scripts.growth",
    "scripts.reproduce --render_only",
]
# `python -m mmtf.run` of the stored workdir: finished, for a checkpoint of its net has 20 MB.
RUN = [
    "--dataset=digits",
    "--game=minimax_grad",
    "--batch_size=16",
    "--steps=4",
    "--seed=3",
    "--precision=float32",
    "--attacks=none,fgsm",
    "--max_examples=50",
]
# Games whose checkpoints, of the net that mmtf.run takes, are known by their variables.
KEPT_GAMES = ("minimax_grad", "adv_fgsm", "minimax_attnet")
# Game -> its options and schedule, stopped after 20 of 30 steps; adv_fgsm in round 1.
TRAINED = {
    "minimax_grad": ({}, {"steps": 30}),
    "adv_fgsm": ({"rounds": 1}, {"first_steps": 10, "steps": 20}),
    "minimax_attnet": (
        {"net": "mlp", "net_options": {"width": 8}, "attacker_rate": 1.0},
        {"steps": 30},
    ),
}
STOPPED_AT = 20
# Charts are not what is looked at: their files stay empty, which saves more than half of the time.
WITHOUT_CHARTS = """
import matplotlib.figure

matplotlib.figure.Figure.savefig = lambda figure, path, **options: open(path, "w").close()
"""
# Not preceded by a letter: the 80 of FGSM80 is a name's. Not followed by one: nor are commits.
_NUMBER = re.compile(r"(?<![\w.-])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w])")
_AMERICAN = {"defence": "defense", "isation": "ization", "iser": "izer", "ised": "ized"}


def python(*arguments: str, cwd: pathlib.Path = ROOT) -> subprocess.CompletedProcess:
    """A finished `python` of these arguments, run in `cwd`."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
    )


def flags_of(module: str) -> dict[str, dict[str, str]]:
    """Name -> {default, own} of every flag that `python -m module` knows; no TensorFlow.

    own: whether the command is ours to keep, in absl's words a key flag of the main module.
    """
    said = forked.call(module, "--helpxml")
    assert said.stdout.startswith("<?xml"), f"{module}: {said.stdout[-300:]}{said.stderr[-2000:]}"
    flags = {}
    for flag in xml.etree.ElementTree.fromstring(said.stdout).iter("flag"):
        own = not flag.findtext("file").startswith("absl")
        flags[flag.findtext("name")] = {"default": flag.findtext("default"), "own": own}
    return flags


def commands_in(text: str) -> list[str]:
    """Every command line of ours in a page or flagfile, from `python -m` to its end."""
    lines = re.sub(r"\\\n\s*", "", text)
    found = re.findall(r"python -m (?:mmtf|scripts)\.\w[^`\n#|]*", lines)
    return [line.strip().rstrip(".,;:") for line in found]


def american(text: str) -> str:
    """In lower case and American spelling, so that a change of spelling is none of a key."""
    text = text.strip().lower()
    for british, one in _AMERICAN.items():
        text = text.replace(british, one)
    return text


def numbers_of(line: str) -> list[str]:
    """Its numbers, those that are parts of names left out.

    >>> numbers_of("0.1  Adv FGSM80  0.007 | 0.010 [0.008, 0.012]  PGD-40 (n=1,000)")
    ['0.1', '0.007', '0.010', '0.008', '0.012', '1,000']
    """
    return [one.rstrip(",") for one in _NUMBER.findall(line)]


def table_rows(printed: str) -> list[list]:
    """[key, numbers] of each row that scripts.table<number> prints; sentences are left out."""
    rows = []
    for line in printed.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        numbers = numbers_of(line)
        measured = "|" in line or "[" in line  # what a header's words have not
        if measured and len(cells) > 1 and len(numbers) > 1 and not line.endswith("."):
            named = [cell for cell in cells if re.match(r"[A-Za-z]", cell)]
            rows.append([american(named[0]) if named else "", numbers])
    return rows


def page_rows(folder: pathlib.Path) -> list[list[str]]:
    """The numbers of each row of a table in README.md and all pages of docs/, in their order."""
    pages = [folder / "README.md", *sorted((folder / "docs").rglob("*.md"))]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    rows = [numbers_of(line) for line in lines if line.startswith("|")]
    return [row for row in rows if len(row) > 1]


def render_pages(folder: pathlib.Path, commands: list[str] = PAGES) -> dict[str, list[list[str]]]:
    """Rows of the pages that each command renders in a copy of the tree under `folder`.

    What the pages held before between the marks of a generated block is taken out first, and so
    are pages that are generated as a whole: each row found is the command's.
    """
    copy = folder / "tree"
    for name in ("mmtf", "scripts", "benchmarks", "results", "docs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    for page in [copy / "README.md", *(copy / "docs").rglob("*.md")]:
        text = page.read_text()
        if "Generated by `python -m scripts.reproduce" in text or page.parent.name == "tables":
            page.unlink()
        else:
            page.write_text(re.sub(r"(?<=\n)\|.*\n", "", text))
    rows = {}
    before = page_rows(copy)
    assert not before, before[:3]
    for command in commands:
        done = forked.call(*command.split(), root=str(copy), first=WITHOUT_CHARTS)
        assert done.returncode == 0, f"{command}: {done.stdout[-300:]}{done.stderr[-2000:]}"
        after = page_rows(copy)
        rows[command] = [row for row in after if row not in before]
        before = after
    return rows


def errors_in(printed: str) -> list[str]:
    """The numbers of each row with an interval in what mmtf.run prints, but robust accuracies."""
    lines = [re.sub(r"\(\S+ %\)", "", line) for line in printed.splitlines() if "[" in line]
    return [" ".join(numbers_of(line)) for line in lines]


def flagfiles() -> list[pathlib.Path]:
    """Flagfiles of mmtf.run: those of the paper's tables and figures are of scripts.reproduce."""
    return [
        file
        for file in sorted((ROOT / "flags").rglob("*.flags"))
        if "python -m mmtf.run" in file.read_text()
    ]


def flags_in(file: pathlib.Path) -> dict[str, str]:
    """The flags that a flagfile sets, as text."""
    lines = [line for line in file.read_text().splitlines() if line.startswith("--")]
    return dict(line[2:].split("=", 1) for line in lines if "=" in line)


def settings_of(file: pathlib.Path) -> dict:
    """Arguments of run_config for what a flagfile of mmtf.run sets."""
    settings = {}
    for name, text in flags_in(file).items():
        value = float(text) if re.fullmatch(r"[\d.]+", text) else text
        if name in ("game", "dataset", "eta", "norm", "net", "schedule", "seed"):
            settings[name] = value
        elif name == "init":
            settings["net_options"] = {name: value}
        elif name in ("rounds", "gamma"):
            settings["game_options"] = {name: int(text) if name == "rounds" else value}
        else:
            raise ValueError(f"Expected a flag that settings_of knows. Received: {name} in {file}.")
    return settings


def recorded_configs() -> list[dict]:
    """Every value of a key `config` in the committed records, in JSON files or lines of JSON."""
    found = []
    for file in sorted((ROOT / "results").rglob("*.json*")):
        text = file.read_text()
        records = (
            map(json.loads, text.splitlines()) if file.suffix == ".jsonl" else [json.loads(text)]
        )
        for record in records:
            found += _configs_in(record)
    return found


def _configs_in(value):
    if isinstance(value, dict):
        if isinstance(value.get("config"), dict):
            yield value["config"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _configs_in(one)

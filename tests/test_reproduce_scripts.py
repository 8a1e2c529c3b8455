"""The tables' and figures' scripts: in seconds without TensorFlow, and once end to end."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys

import forked
import pytest

from scripts.paper.selection import FIGURES
from scripts.paper.tables import TABLES

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMES = [f"table{n}" for n in TABLES] + [f"figure{n}" for n in FIGURES]
TINY = "--dataset=digits --rounds=3 --max_examples=20 --pgd_steps=2 --autoattack_steps=1"
TINY += " --autoattack_queries=2 --attnet_steps=2"


def run(module, *arguments, timeout=600):
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def recorded(folder):
    files = folder.rglob("*.jsonl")
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_every_script_has_its_flagfile(name):
    text = (ROOT / "flags" / "reproduction" / f"{name}.flags").read_text()
    kind = name.rstrip("0123456789")
    number = name.removeprefix(kind)
    assert f"--{kind}s={number}\n" in text and "--nomeasure" in text
    assert f'run("{name}")' in (ROOT / "scripts" / f"{name}.py").read_text()


def test_a_table_is_printed_without_tensorflow(tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['table3', '--results={tmp_path}']\n"
        "try:\n    runpy.run_module('scripts.table3', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0.036 | -" in done.stdout and "--tables=3" in done.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor, for other work on the machine only stretches the clock's.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4


def test_a_reader_that_leaves_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "scripts.table3"]
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


MISTAKES = {
    "--tables=11": "Expected --tables among",
    "--figures=1 --etas=big": "Expected --etas as numbers",
    "--tables=1 --steps=3": "Expected --results=FOLDER for a trial's records",
    "--dry_run": "Expected --all, --tables or --figures",
    "--tables=1 extra": "Expected flags only",
    "--tables=1 --rounds=3": "Expected --results=FOLDER for a trial's records",
    "--tables=1 --jobs=0 --dry_run": "Expected --jobs > 0",
    "--tables=3 --defenses=lwaa": "Expected defenses to be one of no_defense",
    "--tables=1 --rounds=4 --nomeasure": "Expected --results=FOLDER for a trial's records",
    "--tables=1 --seeds=3 --nomeasure": "Expected --measure, --rerun or --dry_run with --seeds",
    "--tables=1 --etas=0.15 --nomeasure": "Expected etas to be one of 0.1, 0.2, 0.3, 0.4",
}


@pytest.mark.parametrize("flags", MISTAKES)
def test_mistakes_are_told_in_one_line(flags):
    done = forked.call("scripts.reproduce", *flags.split())
    assert done.returncode == 1 and MISTAKES[flags] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_record_is_told_in_one_line(tmp_path):
    path = tmp_path / "mnist-keras-fast" / "eta0.3.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("<<<<<<< ours")
    done = forked.call("scripts.table3", f"--results={tmp_path}")
    assert done.returncode == 1 and f"in JSON in line 1 of {path}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_killed_and_gone_on_from_plan_to_pages(tmp_path):
    places = [f"--results={tmp_path}/cells", f"--store={tmp_path}/store"]
    wanted = ["--tables=1,2,3,4,5", "--figures=1,2,3", "--etas=0.2"]
    command = [*wanted, *TINY.split(), "--steps=30", *places, f"--output={tmp_path}/docs"]
    command.append("--jobs=1")
    dry = run("scripts.reproduce", *command, "--dry_run")
    assert dry.returncode == 0 and "16 jobs, 68 cells to measure" in dry.stdout
    assert not (tmp_path / "store").exists() and not (tmp_path / "cells").exists()
    first = subprocess.Popen(
        [sys.executable, "-m", "scripts.reproduce", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in first.stdout:
        if line.startswith("[1/16]"):
            break
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    again = run("scripts.reproduce", *command, timeout=3600)
    assert again.returncode == 0, again.stderr
    assert "15 jobs, 68 cells" in again.stdout  # the first was not done again
    assert len(recorded(tmp_path / "cells")) == 68
    assert (tmp_path / "docs" / "figures" / "figure3.svg").exists()
    nothing = run("scripts.reproduce", *command)
    assert "68 cells have their records" in nothing.stdout and "0 jobs" in nothing.stdout
    pages = run("scripts.reproduce", "--render_only", *places, f"--output={tmp_path}/docs")
    assert pages.returncode == 0 and (tmp_path / "docs" / "claims.md").exists()


@pytest.mark.slow
def test_a_failing_cell_is_told_at_the_end_and_stops_no_other(tmp_path):
    places = [f"--results={tmp_path}/cells", f"--store={tmp_path}/store"]
    tiny = TINY.replace("queries=2", "queries=-1")
    done = run("scripts.reproduce", "--tables=1", "--etas=0.3", *tiny.split(), "--steps=2", *places)
    assert done.returncode == 1
    assert "FAILED no_defense under autoattack_curr" in done.stderr
    attacks = {record["attack"] for record in recorded(tmp_path / "cells")}
    assert attacks == {"none", "fgsm_curr", "pgd_curr"}

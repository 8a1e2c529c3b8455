"""Reproduces the paper's tables and figures: prints a plan, measures missing cells, renders.

    python -m scripts.reproduce --all
    python -m scripts.reproduce --tables=1,3 --etas=0.1,0.3 --init=keras,tutorial
    python -m scripts.reproduce --all --dry_run

Records are kept in results/cells, trained classifiers in runs/store; both are reused. However the
command was stopped, the same command resumes.
"""

import os
import pathlib
import signal
import sys

from absl import app, flags

from mmtf.cli.errors import refuse_empty
from mmtf.config import SCHEDULES
from mmtf.errors import ConfigError, RunError, require
from mmtf.runtime import startup
from scripts.paper import selection
from scripts.paper.cells import Track
from scripts.paper.executors import ENGINES
from scripts.paper.records import Results
from scripts.paper.tables import TABLES

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = str(ROOT / "results" / "cells")
DOCS = str(ROOT / "docs" / "generated")
FLAGS = flags.FLAGS
# Flags that make a run a trial: its records must not be written among the committed ones.
TRIAL = ("dataset", "steps", "max_examples", "pgd_steps", "autoattack_steps", "autoattack_queries")
TRIAL += ("attnet_steps", "rounds", "pgd_examples", "autoattack_examples")


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_bool("all", False, "Every table and figure.")
    flags.DEFINE_list("tables", [], "Numbers of the paper's tables, 1 to 10.")
    flags.DEFINE_list("figures", [], "Numbers of the paper's figures, 1 to 5.")
    flags.DEFINE_enum(
        "schedule",
        "fast",
        SCHEDULES,
        "Training schedule: fast (minutes per run), paper, or brief (the paper's learning rate, "
        "fewer steps).",
    )
    flags.DEFINE_list(
        "init", None, "Initializers: keras, tutorial or both; default: measure keras, show all."
    )
    flags.DEFINE_integer("seeds", 1, "Number of seeds; they are 0, 1, and so on.")
    flags.DEFINE_list("etas", None, "Measure and show only these radii.")
    flags.DEFINE_list("defenses", None, "Measure only these rows, e.g. lwa,minimax_grad.")
    flags.DEFINE_list("attacks", None, "Measure only these columns, e.g. none,fgsm_curr.")
    flags.DEFINE_integer(
        "rounds", None, "Trial: rounds of the cat-and-mouse game; default 80, CIFAR-10 40."
    )
    flags.DEFINE_bool("measure", True, "Measure missing cells; --nomeasure only renders.")
    flags.DEFINE_bool(
        "rerun", False, "Measure existing cells again, on the same trained classifiers."
    )
    flags.DEFINE_bool("dry_run", False, "Print the plan and exit.")
    flags.DEFINE_bool("render_only", False, "Only render the pages from the records.")
    flags.DEFINE_enum("engine", "local", ENGINES, "Run jobs as local processes or on Dask.")
    flags.DEFINE_integer(
        "jobs", None, "Jobs at once; default: one for every four cores, at least two."
    )
    flags.DEFINE_string("scheduler", None, "Address of Dask's scheduler; default: start one here.")
    flags.DEFINE_integer("pgd_examples", None, "Trial: images attacked by PGD-40; default 1,000.")
    flags.DEFINE_integer(
        "autoattack_examples", None, "Trial: images attacked by AutoAttack; default 200."
    )
    flags.DEFINE_string("dataset", None, "Trial: another dataset for every table.")
    flags.DEFINE_integer("steps", None, "Trial: training steps of every game and round.")
    flags.DEFINE_integer("max_examples", None, "Trial: test images of every column.")
    flags.DEFINE_integer("pgd_steps", None, "Trial: steps of PGD.")
    flags.DEFINE_integer("autoattack_steps", None, "Trial: steps of AutoAttack's attacks.")
    flags.DEFINE_integer("autoattack_queries", None, "Trial: queries of Square.")
    flags.DEFINE_integer("attnet_steps", None, "Trial: training steps of attack networks.")
    flags.DEFINE_string("results", RESULTS, "Folder of the records.")
    flags.DEFINE_string("store", "runs/store", "Folder of the trained runs.")
    flags.DEFINE_string(
        "adopt", None, "Copy this finished run of mmtf.run into the store, and exit."
    )
    flags.DEFINE_string(
        "output", None, "Folder of rendered files; default with --all: docs/generated."
    )


def main(argv: list[str]) -> int:
    """Runs the command; prints errors that a user can fix as one line. Returns the exit status."""
    try:
        status = _reproduce(argv)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (ConfigError, RunError, OSError) as error:
        print(f"scripts.reproduce: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from what is saved.", file=sys.stderr)
        return 130


def run(name: str) -> None:
    """Runs the command with flags/reproduction/<name>.flags; the command line overrides them."""
    define_flags()
    flagfile = ROOT / "flags" / "reproduction" / f"{name}.flags"
    app.run(main, [sys.argv[0], f"--flagfile={flagfile}", *sys.argv[1:]])


def _reproduce(argv: list[str]) -> int:
    if argv[1:]:
        raise ConfigError(f"Expected flags only. Received: {' '.join(argv[1:])}.")
    refuse_empty(FLAGS)
    if not FLAGS.measure or FLAGS.render_only:
        there = os.path.isdir(FLAGS.results)
        require(there, "--results=FOLDER with records to render", FLAGS.results)
    tables, figures = _numbers("tables", TABLES), _numbers("figures", selection.FIGURES)
    if FLAGS.adopt:
        from scripts.paper.store import Store

        print(f"Adopted as {Store(FLAGS.store).adopt(FLAGS.adopt)}.")
        return 0
    if FLAGS.render_only:
        return _pages()
    if not tables and not figures:
        raise ConfigError("Expected --all, --tables or --figures. Received: none of them.")
    require(FLAGS.jobs is None or FLAGS.jobs > 0, "--jobs > 0", FLAGS.jobs)
    cells = _cells(tables, figures)
    status = 0
    _refuse_trial()
    if not (FLAGS.measure or FLAGS.rerun or FLAGS.dry_run):
        _refuse_measuring()
    else:
        if figures and not FLAGS.dry_run:
            from mmtf.reports.plots import require_matplotlib

            require_matplotlib()  # fails now, not after hours of measuring
        status = _measure(cells)
        if FLAGS.dry_run:
            return status
    return _show(tables, figures) or status


def _numbers(name, known) -> list[int]:
    given = FLAGS[name].value
    if FLAGS.all:
        return list(known)
    if not all(one.isdigit() and int(one) in known for one in given):
        raise ConfigError(f"Expected --{name} among {list(known)}. Received: {','.join(given)}.")
    return [int(one) for one in given]


def _refuse_trial():
    trial = [name for name in TRIAL if FLAGS[name].value is not None]
    if trial and os.path.abspath(FLAGS.results) == RESULTS:
        raise ConfigError(
            f"Expected --results=FOLDER for a trial's records. Received: --{trial[0]} without it."
        )


def _refuse_measuring():
    """Rejects flags of measurements, which have no effect on rendering."""
    for name in ("seeds", "defenses", "attacks"):
        if FLAGS[name].present:
            raise ConfigError(
                f"Expected --measure, --rerun or --dry_run with --{name}: tables and figures show "
                "all records. Received: none of them."
            )


def _etas():
    try:
        return None if FLAGS.etas is None else [float(one) for one in FLAGS.etas]
    except ValueError as error:
        raise ConfigError(f"Expected --etas as numbers. Received: {FLAGS.etas}.") from error


def _cells(tables, figures):
    return selection.select(
        tables=tables,
        figures=figures,
        inits=FLAGS.init or ["keras"],
        schedule=FLAGS.schedule,
        seeds=FLAGS.seeds,
        etas=_etas(),
        defenses=FLAGS.defenses,
        attacks=FLAGS.attacks,
        dataset=FLAGS.dataset,
    )


def _measure(cells) -> int:
    startup.import_tensorflow()
    from mmtf.runtime.devices import matmul_rate
    from scripts.paper import costs
    from scripts.paper.executors import default_jobs
    from scripts.paper.jobs import make_plan
    from scripts.paper.settings import settings_of
    from scripts.paper.store import Store
    from scripts.paper.workers import Place, do

    names = ("rounds", "steps", "pgd_steps", "autoattack_steps", "autoattack_queries")
    given = {name: FLAGS[name].value for name in (*names, "pgd_examples", "autoattack_examples")}
    if FLAGS.max_examples:
        for name in ("examples", "pgd_examples", "autoattack_examples"):
            given[name] = FLAGS.max_examples
    given |= dict.fromkeys(("attnet_steps", "attnet_paper_steps"), FLAGS.attnet_steps)
    settings = {cell.track: settings_of(cell.track, **given) for cell in cells}
    plan = make_plan(cells, settings, Store(FLAGS.store), FLAGS.results, FLAGS.rerun)
    at_once = FLAGS.jobs or default_jobs()
    pace = costs.pace(matmul_rate("float32", 1024) / 1e9) if plan.jobs else 1.0
    print(plan.text(at_once, pace), flush=True)
    if FLAGS.dry_run or not plan.jobs:
        return 0
    failed = do(
        plan,
        Place(FLAGS.store, FLAGS.results, FLAGS.rerun),
        engine=FLAGS.engine,
        at_once=at_once,
        scheduler=FLAGS.scheduler,
        say=lambda line: print(line, flush=True),
    )
    for name, reason in failed.items():
        print(f"FAILED {name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def _show(tables, figures) -> int:
    from scripts.paper.figures import draw_figure
    from scripts.paper.output import tracks_of_figure, write_table
    from scripts.paper.render import render
    from scripts.paper.tables import paper_table

    results = Results(FLAGS.results)
    if FLAGS.all:
        return _pages()
    for number in tables:
        table = paper_table(number)
        for track in _tracks(results, table.dataset):
            rendered = render(table, results, track, _etas())
            print(rendered.text() + "\n")
            if FLAGS.output and rendered.measured:
                write_table(rendered, os.path.join(FLAGS.output, "tables"))
    folder = os.path.join(FLAGS.output or "runs", "figures")
    for number in figures:
        tracks = _drawn(tracks_of_figure(number, results.tracks()))
        paths = draw_figure(number, results, tracks, folder, _etas())
        missing = "no records" + (" at these radii" if FLAGS.etas else "")
        missing += f"; `python -m scripts.reproduce --figures={number}` makes them"
        print(f"Figure {number}: {', '.join(paths) or missing}")
    return 0


def _tracks(results, dataset):
    """The requested tracks that have records; the first requested one if none has."""
    dataset = FLAGS.dataset or dataset
    asked = [Track(dataset, init, FLAGS.schedule) for init in FLAGS.init or ["keras", "tutorial"]]
    return [track for track in asked if track in results.tracks()] or asked[:1]


def _drawn(tracks):
    """The tracks that --init and --schedule select; all by default."""
    schedule = FLAGS.schedule if FLAGS["schedule"].present else None
    return [
        track
        for track in tracks
        if track.init in (FLAGS.init or [track.init])
        and track.schedule in (schedule or track.schedule,)
    ]


def _pages() -> int:
    from scripts.paper.output import write_pages

    trial = os.path.abspath(FLAGS.results) != RESULTS
    folder = FLAGS.output or (os.path.join(FLAGS.results, os.pardir, "docs") if trial else DOCS)
    write_pages(Results(FLAGS.results), os.path.normpath(folder))
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

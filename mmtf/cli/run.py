"""`python -m mmtf.run`: trains a classifier in a game, evaluates it under attacks, exports it.

    python -m mmtf.run --game=minimax_grad --eta=0.3

Prints a table of test errors; writes record.json, TensorBoard logs, checkpoints, classifier.keras
and a SavedModel to the workdir. However a run was stopped, the same command resumes it.
"""

import contextlib
import dataclasses
import signal
import sys
import time
from typing import Any

from absl import flags

from mmtf.cli.errors import about, in_one_line
from mmtf.cli.run_flags import chosen_cluster, chosen_config, define_flags
from mmtf.cli.summary import config_text, print_run
from mmtf.config import RunConfig
from mmtf.errors import Interrupted, require
from mmtf.runs.workdir import Workdir, dataset_played, default_workdir, is_finished

BEGAN = time.monotonic()  # before TensorFlow's import, which counts as waiting time
FLAGS = flags.FLAGS

define_flags()


def _stopped(number: int, interrupted: Interrupted | None) -> int:
    """Tells the user after a signal what was saved; returns 128 + signal, as shells expect."""
    if interrupted is None:
        state = "what the last checkpoint holds is kept. The same command goes on from it"
    elif interrupted.saved:
        state = f"saved at step {interrupted.step}. The same command goes on from what is saved"
    else:
        state = "an attack network's training stops. The same command goes on from what is saved"
    print(f"{signal.Signals(number).name}: {state}.")
    return 128 + number


@in_one_line("mmtf.run", stopped=_stopped)
def main(argv: list[str]) -> int:
    """Trains and evaluates the run that the flags describe; returns the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # so that a job's log is up to date
    config, sources = chosen_config(FLAGS, sys.argv)
    if FLAGS.print_config:
        print(config_text(config, sources))
        return 0
    cluster = chosen_cluster(FLAGS)
    chief = cluster is None or cluster.index == 0
    job = _job(config, cluster)
    if not chief:
        if not is_finished(job.path):  # the chief prints a finished run's table
            _train(job, Workdir(job.path, job.config))
        return 0
    with contextlib.ExitStack() as stack:
        with about("--workdir"):
            workdir = stack.enter_context(Workdir(job.path, job.config))
        record = workdir.finished() or _train(job, workdir)
        if record is not None:  # None on workers other than the chief
            print_run(_asked_besides(job, workdir, record), workdir.path)
    return 0


@dataclasses.dataclass(frozen=True)
class _Job:
    """The inputs of a run; without data if it has finished and nothing else is requested."""

    config: RunConfig
    path: str
    dataset: Any = None
    notice: str = ""
    strategy: Any = None
    extra: Any = None


def _job(config: RunConfig, cluster: Any) -> _Job:
    """Loads what the run needs; raises every error of the settings before training starts."""
    path = FLAGS.workdir or default_workdir(config)
    finished = is_finished(path)
    if finished and not FLAGS.replay and not FLAGS.exploitability:
        if FLAGS.dataset is None:
            config = dataclasses.replace(config, dataset=dataset_played(path, config.dataset))
        return _Job(config, path)
    from mmtf.data import load_data
    from mmtf.distributed.strategy import make_strategy
    from mmtf.runs.admission import require_possible

    _refuse_questions(config)
    require_possible(config)  # before data is read
    strategy = None if finished else make_strategy(FLAGS.distribution, cluster)
    dataset, notice = _dataset()
    if FLAGS.replay:
        from mmtf.runs.replay import require_same_images

        require_same_images(FLAGS.replay, config, dataset)
    if notice:
        config = dataclasses.replace(config, dataset=dataset.name)
        path = FLAGS.workdir or default_workdir(config)
    named = "" if finished else config.schedule.extra_data
    extra = load_data(named, FLAGS.data_dir) if named else None
    return _Job(config, path, dataset, notice, strategy, extra)


def _refuse_questions(config: RunConfig) -> None:
    """Rejects --replay and --exploitability where this run does not allow them."""
    from mmtf.runs.replay import replay_plan, require_attacker

    if FLAGS.exploitability:
        require_attacker(config)
    if FLAGS.replay:
        require(config.norm == "linf", "--norm=linf with --replay (FGSM)", config.norm)
        replay_plan(FLAGS.replay, FLAGS.replay_rounds)


def _train(job: _Job, workdir: Workdir) -> dict[str, Any] | None:
    from mmtf.runs.experiment import run_experiment

    return run_experiment(
        job.config,
        workdir,
        job.dataset,
        notice=job.notice,
        in_memory=FLAGS.in_memory,
        checkpoint_seconds=FLAGS.checkpoint_seconds,
        curve_every=FLAGS.curve_every,
        curve_examples=FLAGS.curve_examples,
        began=BEGAN,
        strategy=job.strategy,
        extra_data=job.extra,
    )


def _asked_besides(job: _Job, workdir: Workdir, record: dict[str, Any]) -> dict[str, Any]:
    """Returns the record with the measurements of --replay and --exploitability added."""
    from mmtf.runs.replay import add_exploitability, add_replays

    given = (job.config, workdir, job.dataset)
    if FLAGS.replay:
        record = add_replays(*given, FLAGS.replay, FLAGS.replay_rounds, record)
    if FLAGS.exploitability and "exploitability" not in record:
        record = add_exploitability(*given, record)
    return record


def _dataset() -> tuple[Any, str]:
    """Returns (dataset, notice); a notice says that the digits are used instead of MNIST."""
    from mmtf.data import EMBEDDED, NotPreparedError, load_data

    name = FLAGS.dataset or RunConfig.dataset
    try:
        return load_data(name, FLAGS.data_dir), ""
    except NotPreparedError as error:
        if FLAGS.dataset is not None:
            raise NotPreparedError(
                f"{error}. Three ways out: (1) name the folder of the prepared files with "
                f"--data_dir or TFDS_DATA_DIR, (2) run once where there is a network, (3) use the "
                f"embedded real digits with --dataset={EMBEDDED}."
            ) from error
        notice = (
            f"MNIST COULD NOT BE LOADED: {error}. This run uses the embedded {EMBEDDED} "
            f"(scikit-learn's 1,797 real handwritten digits) INSTEAD; its results are not MNIST's."
        )
        print(notice, flush=True)
        return load_data(EMBEDDED), notice

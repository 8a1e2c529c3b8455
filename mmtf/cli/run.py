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

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.cli.errors import about, in_one_line
from mmtf.cli.flags import define_settings, given_settings, origins, require_options, require_used
from mmtf.cli.summary import config_text, print_run
from mmtf.config import CLUSTERS, DISTRIBUTIONS, STANDARDIZED, RunConfig
from mmtf.errors import ConfigError, Interrupted, require, require_choice
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.runs.workdir import Workdir, dataset_played, default_workdir, is_finished
from mmtf.runtime import startup

BEGAN = time.monotonic()  # before TensorFlow's import, which counts as waiting time
FLAGS = flags.FLAGS

define_settings()
flags.DEFINE_boolean(
    "print_config", False, "Print every setting with the origin of its value, and exit."
)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")
flags.DEFINE_string(
    "workdir", None, "Folder of the run; default: runs/<name made of the settings>."
)
flags.DEFINE_float("checkpoint_seconds", 30.0, "Seconds between two checkpoints.")
flags.DEFINE_boolean(
    "in_memory",
    None,
    "Hold training images in memory, or stream them by tf.data; default: in memory if they fit.",
)
flags.DEFINE_string(
    "replay",
    None,
    "Workdir of a finished adv_fgsm run, whose attacks FGSM1, FGSM2, ... are also measured against "
    "this run's classifier.",
)
flags.DEFINE_list(
    "replay_rounds", None, "The k of each FGSM k to replay; default: 1, 2 and the last."
)
flags.DEFINE_boolean(
    "exploitability",
    False,
    "After a network game: train new best responses of both players, and check Lemma 1.",
)
flags.DEFINE_string(
    "distribution",
    "auto",
    f"Devices to train on, see docs/scaling.md. One of: {', '.join(DISTRIBUTIONS)}.",
)
flags.DEFINE_string(
    "cluster",
    "tf_config",
    f"Source of the workers' addresses (multiworker). One of: {', '.join(CLUSTERS)}.",
)
flags.DEFINE_integer("workers", 0, "Required number of workers; 0: all that are found.")
flags.DEFINE_integer(
    "port",
    8888,
    "Port of the workers (--cluster=kubernetes), or of the first worker of each node (slurm).",
    lower_bound=1,
    upper_bound=65535,
)
flags.DEFINE_string(
    "pods", "job-name=mmtf", "Label selector of the workers' pods (--cluster=kubernetes)."
)


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
    config, sources = _config()
    if FLAGS.print_config:
        print(config_text(config, sources))
        return 0
    cluster = _cluster()
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


def _config() -> tuple[RunConfig, dict[str, str]]:
    """Returns the flags' configuration, and place of a setting -> origin of its value."""
    given = given_settings(FLAGS)
    _require_names(given)
    if FLAGS.epsilon is not None:
        pixels = given["dataset"] not in STANDARDIZED
        require(
            pixels,
            "--epsilon with a dataset whose pixels are only scaled; for images that are "
            "standardized one by one, give the radius on their scale by --eta",
            given["dataset"],
        )
    startup.import_tensorflow()
    from mmtf.presets import merged_config

    require_options(given)
    config, sources = merged_config(given)
    _refuse_idle(config)
    asked = origins(FLAGS, sys.argv)
    sources = {
        place: asked.get(place, "default") if source == "given" else source
        for place, source in sources.items()
    }
    return config, sources


def _require_names(given: dict[str, Any]) -> None:
    """Rejects unknown names before TensorFlow is imported."""
    GAMES.require_known(given["game"])
    if given["net"] is not None:
        NETS.require_known(given["net"])
    for name in given["attacks"] or ():
        ATTACKS.require_known(name, others=NETWORK_ATTACKS)


def _refuse_idle(config: RunConfig) -> None:
    """Rejects flags that would have no effect and that the configuration does not check."""
    with_pgd = "pgd" in (*config.attacks, *_attack_kinds(config))
    solver = config.game_options.get("solver")
    require_used(
        FLAGS,
        {
            "pgd_steps": (with_pgd, "pgd among --attacks"),
            "pgd_restarts": (with_pgd, "pgd among --attacks"),
            "replay_rounds": (bool(FLAGS.replay), "--replay"),
            "extra_share": (bool(config.schedule.extra_data), "--extra_data"),
            "awp_after": (bool(config.awp_gamma), "--awp_gamma"),
            "order": (solver == "sensitivity", "--solver=sensitivity"),
        },
    )


def _attack_kinds(config: RunConfig) -> list[str]:
    """The attacks by which a union game's attackers are measured, without their norms."""
    from mmtf.games.union_attackers import attacker_names, split_name

    attackers = config.game_options.get("attackers")
    return [split_name(name)[0] for name in attacker_names(attackers)] if attackers else []


def _cluster() -> Any:
    """Returns the cluster that this process belongs to; None for a single process."""
    require_choice("distribution", FLAGS.distribution, DISTRIBUTIONS)
    require_choice("cluster", FLAGS.cluster, CLUSTERS)
    several = FLAGS.distribution == "multiworker"
    needs = "--distribution=multiworker"
    on_pods, addressed = FLAGS.cluster == "kubernetes", FLAGS.cluster != "tf_config"
    require_used(
        FLAGS,
        {
            "cluster": (several, needs),
            "workers": (several, needs),
            "pods": (several and on_pods, f"{needs} --cluster=kubernetes"),
            "port": (several and addressed, f"{needs} --cluster=slurm or kubernetes"),
        },
    )
    if FLAGS.jit_compile and FLAGS.distribution != "auto":
        raise ConfigError(
            "Expected --jit_compile with --distribution=auto on one device. "
            f"Received: --distribution={FLAGS.distribution}."
        )
    if not several:
        return None
    if FLAGS.replay or FLAGS.exploitability:
        raise ConfigError(
            "Expected --replay and --exploitability in a single process. Received: "
            "--distribution=multiworker. Repeat the command with them, and without "
            "--distribution, once the workers are done."
        )
    from mmtf.distributed.clusters import find_cluster

    return find_cluster(FLAGS.cluster, workers=FLAGS.workers, pods=FLAGS.pods, port=FLAGS.port)


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

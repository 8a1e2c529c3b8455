"""`python -m mmtf.run`: trains a classifier in a game, measures it, exports it.

    python -m mmtf.run --game=minimax_grad --eta=0.3

Ends with a table of test errors; leaves record.json, TensorBoard logs, checkpoints,
classifier.keras and a SavedModel in the workdir. Stopped by any means, the same command goes on.
"""

import dataclasses
import signal
import sys
import time

from absl import flags

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.cli.flags import require_used
from mmtf.cli.summary import print_run
from mmtf.config import CLUSTERS, DECAYS, DISTRIBUTIONS, INITIALIZERS, NORMS, PRECISIONS, SCHEDULES
from mmtf.errors import ConfigError, require
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS
from mmtf.runs.workdir import Workdir, dataset_played, default_workdir, is_finished
from mmtf.runtime import startup

BEGAN = time.monotonic()  # before TensorFlow is imported: the user waits from here on
FLAGS = flags.FLAGS


def _choice(name: str, default: str | None, choices, help_text: str) -> None:
    names = ", ".join(choices)
    flags.DEFINE_string(name, default, f"{help_text} One of: {names}.")


_choice("game", "minimax_grad", GAMES, "The game to play.")
flags.DEFINE_string(
    "dataset",
    None,
    "mnist (the default), cifar10, digits (embedded), or an image classification of TensorFlow "
    "Datasets by name.",
)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")
flags.DEFINE_float("eta", None, "Attack radius for pixels in [-1, 1]; default 0.3, cifar10 0.06.")
_choice("norm", "linf", NORMS, "Norm of the radius.")
flags.DEFINE_float("gamma", None, "Multiplies the sensitivity term (minimax_grad, *_attnet).")
flags.DEFINE_integer("max_steps", None, "Steps of the attacker's answer in training; 1 is FGSM.")
flags.DEFINE_string("penalty", None, "nested (Eq. 8), fused or finite_difference (minimax_grad).")
flags.DEFINE_integer(
    "penalty_every",
    None,
    "One example in so many has the penalty (minimax_grad); default 1, by MNIST's fast schedule 2.",
)
flags.DEFINE_integer("rounds", None, "Rounds of the cat-and-mouse game (adv_fgsm).")
_choice("net", None, NETS, "The classifier; default by dataset.")
flags.DEFINE_string("solver", None, "Update rule of a network game, of mmtf.solvers.")
flags.DEFINE_string("order", None, "Of Algorithm 1's steps: simultaneous (printed) or sequential.")
flags.DEFINE_string(
    "attack_net", None, f"The attacker of a network game: {', '.join(ATTACK_NETS)}."
)
flags.DEFINE_string("attack_output", None, "How its output is bounded: tanh, normalized or full.")
flags.DEFINE_float("attacker_rate", None, "The attacker's learning rate over the defender's.")
_choice("init", None, INITIALIZERS, "How the net's weights begin.")
flags.DEFINE_float("dropout", None, "Dropout rate of the net in training.")
flags.DEFINE_float("weight_decay", None, "L2 weight of the net's dense layers; default none.")
_choice("schedule", "fast", SCHEDULES, "Minutes, the paper's iterations, or its rate alone.")
flags.DEFINE_integer("steps", None, "Training steps, or steps of each round from 1 on.")
flags.DEFINE_integer("first_steps", None, "Steps of round 0 of a game with rounds.")
flags.DEFINE_integer("batch_size", None, "Examples in a global batch.")
flags.DEFINE_float("learning_rate", None, "Adam's rate, the peak where it varies.")
flags.DEFINE_integer("warmup_steps", None, "Steps of linear warm-up.")
_choice("decay", None, DECAYS, "Of the learning rate.")
_choice("precision", "auto", PRECISIONS, "Of training; evaluation is always float32.")
flags.DEFINE_list(
    "attacks", None, f"Attacks of the final table, of: {', '.join((*ATTACKS, *NETWORK_ATTACKS))}."
)
flags.DEFINE_integer("pgd_steps", 40, "Steps of the final table's PGD.")
flags.DEFINE_integer("pgd_restarts", 2, "Random restarts of the final table's PGD.")
flags.DEFINE_integer("max_examples", 0, "Test examples in the final table; 0 for all.")
flags.DEFINE_integer("seed", 0, "Of the net, the batches, dropout and random starts.")
flags.DEFINE_string("workdir", None, "Folder of the run; default under runs/, named by the config.")
flags.DEFINE_float("checkpoint_seconds", 30.0, "Seconds between two checkpoints.")
flags.DEFINE_boolean("in_memory", None, "Images in memory, or by tf.data; default: where they fit.")
flags.DEFINE_boolean("jit_compile", None, "XLA compiles the steps; default: of long runs on a GPU.")
flags.DEFINE_string(
    "replay",
    None,
    "Workdir of an adv_fgsm run: its FGSM1, FGSM2, ... are also tried against this classifier.",
)
flags.DEFINE_boolean(
    "exploitability",
    False,
    "After a network game: train best responses of both players afresh, and check Lemma 1.",
)
_choice("distribution", "auto", DISTRIBUTIONS, "Devices: docs/scaling.md.")
_choice("cluster", "tf_config", CLUSTERS, "Who says where the workers of `multiworker` are.")
flags.DEFINE_integer("workers", 0, "How many workers there must be; 0: as many as are found.")
flags.DEFINE_integer(
    "port",
    8888,
    "Of the workers (--cluster=slurm: of a node's first; kubernetes).",
    lower_bound=1,
    upper_bound=65535,
)
flags.DEFINE_string("pods", "job-name=mmtf", "Label of the workers' pods (--cluster=kubernetes).")
flags.DEFINE_list("replay_rounds", None, "Which FGSM k to replay; default 1, 2 and the last.")


def main(argv: list[str]) -> int:
    """Flags -> config -> library. Returns the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # a job's log shows what it waits for
    try:
        if len(argv) > 1:
            raise ConfigError(f"Expected flags only. Received: {' '.join(argv[1:])}.")
        return _run()
    except KeyboardInterrupt as stop:
        number = stop.args[0] if stop.args else signal.SIGINT
        name = signal.Signals(number).name
        print(f"{name}: what the last checkpoint holds is kept. The same command goes on from it.")
        return 128 + number
    except ConfigError as error:
        return _fail(error)
    except Exception as error:
        return _answer(error)


def _run() -> int:
    config = _config()
    _refuse_idle(config)
    path = FLAGS.workdir or default_workdir(config)
    cluster = _cluster()
    chief = cluster is None or cluster.index == 0
    dataset, notice, strategy = None, "", None
    if FLAGS.replay or FLAGS.exploitability or not is_finished(path):
        from mmtf.distributed.strategy import make_strategy
        from mmtf.runs.experiment import make_game
        from mmtf.runs.replay import replay_plan, require_attacker, require_same_images

        if FLAGS.exploitability:
            require_attacker(config)
        make_game(config)  # impossible combinations show before any data is read
        if FLAGS.replay:
            require(config.norm == "linf", "--norm=linf with --replay (FGSM)", config.norm)
            replay_plan(FLAGS.replay, FLAGS.replay_rounds)
        if not is_finished(path):
            strategy = make_strategy(FLAGS.distribution, cluster)
        dataset, notice = _dataset()
        if FLAGS.replay:
            require_same_images(FLAGS.replay, config, dataset)
        if notice:
            config = dataclasses.replace(config, dataset=dataset.name)
            path = FLAGS.workdir or default_workdir(config)
    elif FLAGS.dataset is None:
        config = dataclasses.replace(config, dataset=dataset_played(path, config.dataset))
    if not chief:
        if not is_finished(path):  # else the chief shows the table
            _play(config, Workdir(path, config), dataset, notice, None, strategy)
        return 0
    with Workdir(path, config) as workdir:
        record = workdir.finished()
        if record is None or FLAGS.replay or FLAGS.exploitability:
            record = _play(config, workdir, dataset, notice, record, strategy)
        print_run(record, workdir.path)
    return 0


def _cluster():
    """The workers that this process belongs to, or None."""
    _refuse_unknown("distribution", FLAGS.distribution, DISTRIBUTIONS)
    _refuse_unknown("cluster", FLAGS.cluster, CLUSTERS)
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
            "Expected --replay and --exploitability on one machine: give them, with the same "
            "command, once the workers are done. Received: --distribution=multiworker."
        )
    from mmtf.distributed.clusters import find_cluster

    return find_cluster(FLAGS.cluster, workers=FLAGS.workers, pods=FLAGS.pods, port=FLAGS.port)


def _config():
    _refuse_unknown("game", FLAGS.game, GAMES)
    if FLAGS.net is not None:
        _refuse_unknown("net", FLAGS.net, NETS)
    for name in FLAGS.attacks or ():
        _refuse_unknown("attack", name, (*ATTACKS, *NETWORK_ATTACKS))
    startup.import_tensorflow()
    from mmtf.runs.presets import run_config

    names = ("gamma", "max_steps", "penalty", "penalty_every", "rounds", "solver", "order")
    game_options = {name: FLAGS[name].value for name in (*names, "attacker_rate")}
    game_options["net"] = FLAGS.attack_net
    if FLAGS.attack_output:
        game_options["net_options"] = {"output": FLAGS.attack_output}
    schedule_options = ("steps", "first_steps", "batch_size", "learning_rate", "warmup_steps")
    return run_config(
        game=FLAGS.game,
        dataset=FLAGS.dataset or "mnist",
        eta=FLAGS.eta,
        norm=FLAGS.norm,
        game_options=game_options,
        net=FLAGS.net,
        net_options={name: FLAGS[name].value for name in ("init", "dropout", "weight_decay")},
        schedule=FLAGS.schedule,
        schedule_options={name: FLAGS[name].value for name in (*schedule_options, "decay")},
        attacks=tuple(FLAGS.attacks) if FLAGS.attacks else None,
        precision=FLAGS.precision,
        jit_compile=FLAGS.jit_compile,
        pgd_steps=FLAGS.pgd_steps,
        pgd_restarts=FLAGS.pgd_restarts,
        max_examples=FLAGS.max_examples,
        seed=FLAGS.seed,
    )


def _refuse_idle(config) -> None:
    """Flags that the config does not show and nothing would read."""
    with_pgd = "pgd" in config.attacks
    solver = config.game_options.get("solver")
    require_used(
        FLAGS,
        {
            "pgd_steps": (with_pgd, "pgd among --attacks"),
            "pgd_restarts": (with_pgd, "pgd among --attacks"),
            "replay_rounds": (bool(FLAGS.replay), "--replay"),
            "order": (solver == "sensitivity", "--solver=sensitivity"),
        },
    )


def _refuse_unknown(kind: str, name: str, members) -> None:
    if name not in list(members):
        raise ConfigError(f"Expected {kind} to be one of {', '.join(members)}. Received: {name!r}.")


def _play(config, workdir: Workdir, dataset, notice: str, record: dict | None, strategy):
    from mmtf.runs.experiment import run_experiment
    from mmtf.runs.replay import add_exploitability, add_replays

    if record is None:
        record = run_experiment(
            config,
            workdir,
            dataset,
            notice=notice,
            in_memory=FLAGS.in_memory,
            checkpoint_seconds=FLAGS.checkpoint_seconds,
            began=BEGAN,
            strategy=strategy,
        )
    if record is None:  # this process is not the chief
        return None
    if FLAGS.replay:
        record = add_replays(config, workdir, dataset, FLAGS.replay, FLAGS.replay_rounds, record)
    if FLAGS.exploitability and "exploitability" not in record:
        record = add_exploitability(config, workdir, dataset, record)
    return record


def _dataset():
    """(dataset, notice): MNIST unless told otherwise; the embedded digits only out loud."""
    from mmtf.data import EMBEDDED, NotPreparedError, load_data

    name = FLAGS.dataset or "mnist"
    try:
        return load_data(name, FLAGS.data_dir), ""
    except NotPreparedError as error:
        if FLAGS.dataset is not None:
            raise NotPreparedError(
                f"{error}. Three ways out: (1) put the prepared files somewhere and name that "
                f"folder with --data_dir or TFDS_DATA_DIR, (2) run once where there is a network, "
                f"(3) play on the embedded real digits with --dataset={EMBEDDED}."
            ) from error
        notice = (
            f"MNIST COULD NOT BE HAD: {error}. This run plays on the embedded {EMBEDDED} "
            f"(scikit-learn's 1,797 real handwritten digits) INSTEAD; its figures are not MNIST's."
        )
        print(notice, flush=True)
        return load_data(EMBEDDED), notice


def _interrupt(number, frame):
    raise KeyboardInterrupt(number)


def _answer(error: Exception) -> int:
    """One line for what a user can mend; a traceback for what is ours."""
    from mmtf.data import DataError
    from mmtf.distributed.workers import WorkerLost
    from mmtf.evaluation import BrokenConstraint
    from mmtf.training.checkpoints import CheckpointError
    from mmtf.training.loop import Interrupted, RiskNotFinite

    if isinstance(error, Interrupted):
        name = signal.Signals(error.signal).name
        state = (
            f"saved at step {error.step}" if error.saved else "an attack network's training stops"
        )
        print(f"{name}: {state}. The same command goes on from what is saved.")
        return 128 + error.signal
    theirs = (DataError, BrokenConstraint, CheckpointError, RiskNotFinite, WorkerLost, OSError)
    if not isinstance(error, theirs):
        raise error
    return _fail(error)


def _fail(error: Exception) -> int:
    print(f"mmtf.run: {error}", file=sys.stderr)
    return 1

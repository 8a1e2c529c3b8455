"""Seconds of training until the paper's Minimax-Grad errors are reached, MNIST at eta 0.3.

    python -m benchmarks.time_to_robust                      # mmtf, three seeds
    pip install '.[bench]' && python -m benchmarks.time_to_robust --who=mmtf,art,art_scheduled

The targets are a clean error <= 0.008 and an FGSM-curr error <= 0.036 (Table 3) on all 10,000 test
images. The error under PGD-40 (one random start, 1,000 test images) is reported as well. --who:

- mmtf: `--game=minimax_grad` by its default schedule, which was chosen on a validation split of the
  training images. mmtf_all: with the penalty on all examples (`--penalty_every=1`). mmtf_fused: the
  same with `--penalty=fused`.
- art: ART's AdversarialTrainer with its FastGradientMethod on the same net, with a compiled
  training step, at a constant learning rate, epoch by epoch until both targets are met or --limit
  seconds have passed. art_scheduled: by mmtf's schedule, to its end.

The clock is stopped while errors are measured; tracing is counted. Every run is its own process;
for each seed all of --who are run before the next seed. Writes
results/benchmarks/time_to_robust.json after every run, and resumes from it on the same commit and
machine. `python -m scripts.performance` renders it.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from absl import app, flags

from benchmarks.records import resumable_record, write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError, RunError
from mmtf.reports import read_json, write_json
from mmtf.runtime import startup

TARGETS = {"clean": 0.008, "fgsm": 0.036}
ETA = 0.3
POINTS = 8
PGD_EXAMPLES = 1000
OURS = {
    "mmtf": {},
    "mmtf_all": {"penalty_every": 1},
    "mmtf_fused": {"penalty_every": 1, "penalty": "fused"},
}
WHO = (*OURS, "art", "art_scheduled")
BATCH, ART_RATE = 128, 1e-3
FLAGS = flags.FLAGS


class Clock:
    """A stopwatch: seconds since its creation, without the time spent inside `stopped()`."""

    def __init__(self) -> None:
        self._began, self._out = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds counted so far."""
        return time.perf_counter() - self._began - self._out

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Context manager whose duration is not counted."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._out += time.perf_counter() - began


class Watch:
    """Measures one run during training: step, seconds of training and test errors."""

    def __init__(self, classifier: Any, data: Any, eta: float = ETA):
        from mmtf.attacks import ATTACKS
        from mmtf.threat import ThreatModel

        threat = ThreatModel(eta=eta)
        self._attacks = {"clean": ATTACKS["none"](threat), "fgsm": ATTACKS["fgsm"](threat)}
        self._classifier, self._test = classifier, data.test()
        self.clock, self.points = Clock(), []

    def look(self, step: int) -> None:
        """Adds a point for `step`, with the clock stopped."""
        from mmtf.evaluation.runner import measure

        with self.clock.stopped():
            point = {"step": int(step), "seconds": round(self.clock.seconds, 2)}
            for name, attack in self._attacks.items():
                found = measure(self._classifier, attack, *self._test, name=name)
                point |= {name: found.error, f"{name}_ci": found.interval, "n": found.n}
            self.points.append(point)
        print(
            f"  step {step}, {point['seconds']:.0f} s: clean {point['clean']:.4f}, "
            f"FGSM {point['fgsm']:.4f}",
            flush=True,
        )


def met(point: dict) -> bool:
    """Whether the errors of a point meet both targets.

    Example:
      >>> met({"clean": 0.008, "fgsm": 0.036}), met({"clean": 0.008, "fgsm": 0.037})
      (True, False)
    """
    return all(point[name] <= bound for name, bound in TARGETS.items())


def play_mmtf(data: Any, seed: int, who: str = "mmtf") -> dict:
    """Trains by mmtf's default schedule; returns the run's row."""
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.runner import measure
    from mmtf.presets import run_config
    from mmtf.runs.games import make_game, net_maker
    from mmtf.threat import ThreatModel
    from mmtf.training.callbacks import Callbacks
    from mmtf.training.train import train

    config = run_config(
        game="minimax_grad",
        dataset=data.name,
        eta=ETA,
        game_options=OURS[who],
        schedule_options={"steps": FLAGS.steps},
    )
    watches = []

    def events(trainer):
        watches.append(Watch(trainer.players.models["classifier"], data))
        every = max(config.schedule.steps // POINTS, 1)
        return Callbacks(on_evaluation=watches[0].look, evaluate_every=every)

    trained = train(
        make_game(config),
        data,
        schedule=config.schedule,
        model=net_maker(config, data, seed),
        seed=seed,
        events=events,
        progress=False,
    )
    x, y = data.test()
    pgd = ATTACKS["pgd"](ThreatModel(eta=ETA), steps=40)
    found = measure(trained.classifier, pgd, x[:PGD_EXAMPLES], y[:PGD_EXAMPLES], name="pgd")
    about = {"config": config.to_dict(), "precision": trained.trainer.precision}
    about |= {"pgd": {"error": found.error, "interval": found.interval, "n": found.n}}
    return _row(who, seed, watches[0], trained.seconds) | about


def play_art(data: Any, seed: int, scheduled: bool = False) -> dict:
    """Trains by ART's AdversarialTrainer in float32, one epoch at a time; returns the run's row.

    Args:
      data: the dataset.
      seed: of initial weights and batches.
      scheduled: use the learning rates of mmtf's schedule, rounded up to whole epochs, to its end;
        False: a constant rate until both targets are met or --limit.
    """
    import keras
    import numpy as np
    from art.attacks import evasion
    from art.defenses.trainer import AdversarialTrainer
    from art.estimators.classification import TensorFlowV2Classifier

    from benchmarks.peers.speed.art_function_peer import compiled_training_step
    from mmtf.presets import run_config
    from mmtf.runs.games import net_maker
    from mmtf.training.learning_rate import WarmupCosine

    keras.utils.set_random_seed(seed)
    config = run_config(
        game="minimax_grad", dataset=data.name, eta=ETA, schedule_options={"steps": FLAGS.steps}
    )
    model = net_maker(config, data, seed)()
    x, y = data.train()
    an_epoch = -(-len(x) // BATCH)
    epochs = -(-config.schedule.steps // an_epoch)
    rate = WarmupCosine(config.schedule, epochs * an_epoch) if scheduled else ART_RATE
    y = np.eye(data.num_classes, dtype=np.float32)[y]
    classifier = TensorFlowV2Classifier(
        model=model,
        nb_classes=data.num_classes,
        input_shape=data.image_shape,
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(-1.0, 1.0),
        train_step=compiled_training_step(rate),
    )
    attack = evasion.FastGradientMethod(classifier, eps=ETA, batch_size=BATCH)
    trainer = AdversarialTrainer(classifier, attack, ratio=1.0)
    watch, step = Watch(model, data), 0
    while True:
        trainer.fit(x, y, batch_size=BATCH, nb_epochs=1)
        step += an_epoch
        seconds = watch.clock.seconds
        watch.look(step)
        if scheduled:
            done = step == epochs * an_epoch
        else:
            done = met(watch.points[-1]) or seconds > FLAGS.limit
        if done:
            who = "art_scheduled" if scheduled else "art"
            return _row(who, seed, watch, seconds) | {"precision": "float32"}


def _row(who, seed, watch, seconds):
    return {
        "who": who,
        "seed": seed,
        "seconds": round(seconds, 2),
        "met": met(watch.points[-1]),
        "points": watch.points,
    }


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list("who", ["mmtf"], f"Any of: {', '.join(WHO)}.")
    flags.register_validator(
        "who",
        lambda given: len(given) > 0 and set(given) <= set(WHO),
        message=f"Expected any of {', '.join(WHO)}, separated by commas.",
    )
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of each.")
    flags.register_validator(
        "seeds",
        lambda given: len(given) > 0 and all(one.isdigit() for one in given),
        message="Expected whole numbers >= 0, separated by commas.",
    )
    flags.DEFINE_float(
        "limit", 900.0, "Seconds of training after which ART is stopped.", lower_bound=0
    )
    flags.DEFINE_integer("steps", None, "Training steps; default: the schedule's.", lower_bound=1)
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_string("output", "results/benchmarks/time_to_robust.json", "Path of the record.")
    flags.DEFINE_string(
        "row", None, "Internal: do one run, of the first of --who and --seeds; write its row here."
    )


def _play(who, seed) -> dict:
    from mmtf.data import load_data

    data = load_data(FLAGS.dataset)
    if who in OURS:
        return play_mmtf(data, seed, who)
    return play_art(data, seed, scheduled=who == "art_scheduled")


def _in_a_process(who, seed) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        row = os.path.join(folder, "row.json")
        command = [sys.executable, "-m", "benchmarks.time_to_robust", f"--row={row}"]
        command += [f"--who={who}", f"--seeds={seed}", f"--dataset={FLAGS.dataset}"]
        command += [f"--limit={FLAGS.limit}"]
        command += [f"--steps={FLAGS.steps}"] if FLAGS.steps else []
        done = subprocess.run(command)
        if done.returncode:
            raise RunError(f"{who}, seed {seed}: its process ended with status {done.returncode}.")
        return read_json(row)


@in_one_line("benchmarks.time_to_robust")
def main(_: list[str]) -> int:
    """Does the runs that the record lacks."""
    if {"art", "art_scheduled"} & set(FLAGS.who) and importlib.util.find_spec("art") is None:
        raise ConfigError("Expected ART for --who=art: pip install '.[bench]'. Received: none.")
    startup.import_tensorflow()
    if FLAGS.row:
        write_json(FLAGS.row, _play(FLAGS.who[0], int(FLAGS.seeds[0])))
        return 0
    about = {"dataset": FLAGS.dataset, "eta": ETA, "targets": TARGETS, "limit": FLAGS.limit}
    about |= {"steps": FLAGS.steps}
    jobs = [(who, int(seed)) for seed in FLAGS.seeds for who in FLAGS.who]
    with resumable_record(FLAGS.output, about) as record:
        for who, seed in jobs:
            if any((one["who"], one["seed"]) == (who, seed) for one in record["runs"]):
                continue
            print(f"{who}, seed {seed}", flush=True)
            row = _in_a_process(who, seed)
            print(f"{who}, seed {seed}: {row['seconds']:.0f} s, met: {row['met']}", flush=True)
            record["runs"].append(row)
            write_record(FLAGS.output, record)
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

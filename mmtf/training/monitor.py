"""Measurements during training and what follows from them: the best weights, a way out."""

import itertools
import json
from typing import Any

import tensorflow as tf

from mmtf.data.dataset import Dataset
from mmtf.distributed.workers import Workers
from mmtf.errors import ConfigError
from mmtf.games.frozen import FrozenClassifier
from mmtf.schedule import Schedule
from mmtf.training.checkpoints import trackables
from mmtf.training.robustness import STEPS, Examples, Robustness, watch_interval, watched
from mmtf.training.several_steps import with_several_steps
from mmtf.training.trainer import Trainer
from mmtf.training.watch import BEST, COLLAPSE, FACTOR, Point, Watch

# Measurements on held-out images where `check_every` does not say how many.
CHECKS = 10
ADVICE = (
    "The classifier misleads the single attack step and is not robust. Use on_collapse=switch, "
    "several steps (adv_pgd), a smaller eta or learning_rate, or a longer eta_ramp."
)


class Monitor:
    """Measures the classifier every `every` steps, and acts as the schedule says.

    The measured weights are those that would be the result: the moving average, if there is one.
    What it does follows from the measurements so far, which checkpoints hold. Of a game in rounds
    the result is the best of the last round.

    Args:
      trainer: takes the steps; the monitor may change its game and learning rates.
      examples: images that are measured.
      schedule: `holdout`, `patience` and `on_collapse`.
      every: steps between two measurements, > 0; the last steps are measured, too.
      seed: of random starts.
      workers: the worker processes; the chief's measurements count.

    Attributes:
      every: as given.
      watch: the measurements and their meaning.
    """

    def __init__(
        self,
        trainer: Trainer,
        examples: Examples,
        *,
        schedule: Schedule,
        every: int,
        seed: int,
        workers: Workers | None = None,
    ):
        reaction = schedule.on_collapse if trainer.game.single_step else ""
        self.every = every
        lengths = trainer.round_lengths[:-1]
        starts = list(itertools.accumulate(lengths, initial=0))
        self.watch = Watch(reaction, schedule.patience, starts)
        self._kept: list[bool | None] = []  # of each measurement, whether its weights were stored
        self._trainer, self._workers = trainer, workers or Workers()
        self._held_out = bool(schedule.holdout)
        self._total = len(examples.y)
        classifier = trainer.players.classifier
        self._robustness = Robustness(classifier, trainer.game.threat, examples, seed)
        with trainer.strategy.scope():
            self._best: FrozenClassifier | None = None
            if self._held_out or reaction == "stop":
                self._best = FrozenClassifier(classifier)
            self._state: list[tuple[tf.Variable, tf.Variable]] = []
            if reaction == "restore":
                self._state = [(one, _copy(one)) for one in _variables(trainer)]
        self._factor = tf.Variable(1.0, trainable=False)
        if reaction == "restore":
            trainer.multiply_rates(self._factor)
        self.history = tf.Variable("[]", dtype=tf.string, trainable=False)

    @property
    def trackables(self) -> dict[str, Any]:
        """The kept weights, for checkpoints, by name."""
        found: dict[str, Any] = {}
        if self._best is not None:
            found["best"] = self._best.checkpoint
        if self._state:
            found["state"] = [kept for _, kept in self._state]
        return found

    @property
    def stopped(self) -> bool:
        """Whether training is to end now."""
        return self.watch.stopped

    def due(self, step: int) -> bool:
        """Whether the classifier is to be measured after `step` steps."""
        ends = step == self._trainer.total_steps
        return bool(step) and (ends or step % self.every == 0) and not self._known(step)

    def resume(self) -> None:
        """Takes up the measurements of a checkpoint that was read."""
        for one in json.loads(self.history.numpy()):
            self._kept.append(one.pop("kept", None))
            self.watch.judge(Point(**one))
        if None in self._kept:
            self._take_up_older()
        self._factor.assign(self.watch.factor)
        if self.watch.switched:
            self._trainer.play(with_several_steps(self._trainer.game))

    def check(self, step: int) -> str:
        """Measures after `step` steps and acts; returns a line for the user, or ""."""
        with self._trainer.averaged():
            counts = self._workers.share([*self._robustness.measure()])[0]
            fgsm, pgd = (count / self._total for count in counts)
            before = self.watch.best
            found = self.watch.judge(Point(step, fgsm, pgd))
            self._kept.append(found == BEST)
            pairs = zip(self.watch.to_list(), self._kept, strict=True)
            self.history.assign(json.dumps([{**one, "kept": kept} for one, kept in pairs]))
            if found == BEST and self._best is not None:
                self._best.store()
        if found == BEST:
            for variable, kept in self._state:
                kept.assign(tf.convert_to_tensor(variable))
        if found == COLLAPSE and before is not None:
            return f"{self._collapse(before, self.watch.points[-1])} {self._react(before)}"
        if self.stopped and self.watch.best is not None:
            return (
                f"Step {step}: no better accuracy under PGD for {self.watch.patience} measurements;"
                f" training ends with the weights of step {self.watch.best.step}."
            )
        return ""

    def deploy(self) -> str:
        """Puts the weights that are the result into the model; says which, "" for the last ones."""
        best = self.watch.best
        if self._best is not None and (self._held_out or self.stopped) and best:
            self._best.restore()
            of = "the moving average at " if self._trainer.averages else ""
            found = f"PGD-{STEPS} accuracy {best.pgd:.2%} on {self.about}"
            return f"the weights of {of}step {best.step}, {found}"
        return deploy_average(self._trainer)

    @property
    def about(self) -> str:
        """Which images are measured."""
        return f"{self._total:,} {'held-out ' if self._held_out else ''}training images"

    def summary(self) -> dict[str, Any]:
        """The measurements as JSON types, for the record of a run."""
        return {
            "images": self._total,
            "held_out": self._held_out,
            "pgd_steps": STEPS,
            "every": self.every,
            "on_collapse": self.watch.reaction,
            "points": self.watch.to_list(),
            "collapses": [point.step for point in self.watch.collapses],
        }

    def _take_up_older(self):
        """Makes `best` the measurement whose weights an older mmtf stored: the best of all rounds.

        It is none if that one is of an earlier round.
        """
        watch, pairs = self.watch, zip(self.watch.points, self._kept, strict=True)
        stored = [point for point, kept in pairs if kept]
        best = stored[-1] if stored else max(watch.points, key=lambda point: point.pgd)
        same = watch.round_of(best) == watch.round_of(watch.points[-1])
        watch.best = best if same else None

    def _known(self, step):
        return bool(self.watch.points) and self.watch.points[-1].step >= step

    def _collapse(self, before, now):
        return (
            f"Step {now.step}: catastrophic overfitting: accuracy under PGD-{STEPS} went from "
            f"{before.pgd:.0%} (step {before.step}) to {now.pgd:.0%}, that under a single step "
            f"from {before.fgsm:.0%} to {now.fgsm:.0%}, on {self.about}."
        )

    def _react(self, best):
        reaction = self.watch.reaction
        if reaction == "stop":
            return f"Training ends with the weights of step {best.step}."
        if reaction == "restore":
            for variable, kept in self._state:
                variable.assign(tf.convert_to_tensor(kept))
            self._factor.assign(self.watch.factor)
            rate = f"{FACTOR:g} times the learning rate ({self.watch.factor:g} of the first)"
            return f"Going on from the weights of step {best.step} with {rate}."
        if reaction == "switch":
            self._trainer.play(with_several_steps(self._trainer.game))
            return f"Going on with {vars(self._trainer.game)['max_steps']} attack steps."
        return ADVICE


def make_monitor(
    trainer: Trainer,
    dataset: Dataset,
    held_out: Dataset | None,
    *,
    schedule: Schedule,
    seed: int,
    workers: Workers | None = None,
) -> Monitor | None:
    """The Monitor that a schedule asks for; None if there is nothing to measure.

    Args:
      trainer, schedule, seed, workers: see `Monitor`.
      dataset: whose training split is trained on.
      held_out: whose test split is held out; None: nothing is.
    """
    game, total = trainer.game, trainer.total_steps
    if held_out is not None:
        every = schedule.check_every or max(total // CHECKS, 1)
        x, y = held_out.test()
        examples = Examples(x, y)
    elif game.single_step and game.trains_classifier:
        every = schedule.check_every or watch_interval(total, schedule.batch_size)
        if not every:
            return None
        examples = watched(dataset)
    else:
        return None
    return Monitor(trainer, examples, schedule=schedule, every=every, seed=seed, workers=workers)


def refuse_options(game: Any, schedule: Schedule) -> None:
    """Raises ConfigError for options of a schedule that have no meaning in a game."""
    name = type(game).__name__
    if not game.trains_classifier:
        for option in ("ema", "label_smoothing", "holdout"):
            if getattr(schedule, option):
                raise ConfigError(
                    f"Expected {option} with a game that trains the classifier. Received: {name}."
                )
    if schedule.label_smoothing and not game.smooths_labels:
        raise ConfigError(
            "Expected label_smoothing with a game that minimizes a cross-entropy with the labels. "
            f"Received: {name}."
        )
    if schedule.on_collapse != "warn" and not game.single_step:
        raise ConfigError(
            f"Expected on_collapse={schedule.on_collapse} with a game of a single attack step, "
            f"whose overfitting is watched. Received: {name}."
        )
    if schedule.check_every and not schedule.holdout and not game.single_step:
        raise ConfigError(
            "Expected check_every with holdout, or with a game of a single attack step. Received: "
            f"{name} without holdout."
        )
    ends = "patience" if schedule.patience else ""
    ends = "on_collapse=stop" if schedule.on_collapse == "stop" else ends
    if ends and game.rounds:
        raise ConfigError(
            f"Expected {ends} with a game without rounds, all of which are played. Received: "
            f"{name} of {game.rounds} rounds."
        )


def deploy_average(trainer: Trainer) -> str:
    """Puts the moving average into the model, if there is one; says so, or returns ""."""
    if trainer.averages is None:
        return ""
    trainer.averages.store()
    return "the moving average of the weights"


def _variables(trainer: Trainer) -> list[Any]:
    """What training changes, but for the counters of steps and the learning rates."""
    found: dict[int, Any] = {}
    for one in trackables(trainer.players).values():
        variables = one.variables if hasattr(one, "variables") else []
        for variable in variables:
            path = getattr(variable, "path", "")
            if not path.endswith(("iterations", "iteration", "learning_rate", "seed_state")):
                found[id(variable)] = variable
    averages = trainer.averages.values if trainer.averages else []
    return [*found.values(), *averages]


def _copy(variable: Any) -> tf.Variable:
    return tf.Variable(tf.convert_to_tensor(variable), trainable=False)

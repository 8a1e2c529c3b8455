"""The training loop: compiled calls of many steps, checkpoints, rounds, signals, divergence."""

import time
from typing import NamedTuple

from mmtf.distributed.workers import Workers
from mmtf.errors import Interrupted, RunError
from mmtf.runtime.console import say
from mmtf.training.callbacks import Callbacks
from mmtf.training.checkpoints import Checkpoints
from mmtf.training.monitor import Monitor
from mmtf.training.options import CHECKPOINT_SECONDS
from mmtf.training.progress import Progress
from mmtf.training.signals import StopRequest
from mmtf.training.trainer import Trainer

# Target duration of a call of many steps; signals are handled after it.
CALL_SECONDS = 2.0
FIRST_CALL_STEPS = 10


class RiskNotFinite(RunError):
    """The risk became NaN or infinite; the message says at which step and what to try."""


class Pace(NamedTuple):
    """The duration and speed of a run.

    Attributes:
      seconds: time spent in steps, including tracing and, for a resumed run, earlier processes.
      steps_per_second: speed in this process without its first call, which traces; None if there
        was no other call.
      processor_seconds_per_step: what a step took of all cores of this process, in the same calls:
        unlike the time by the clock, hardly more where other programs run.
      steps: number of steps taken in all; fewer than the schedule has if training ended early.
    """

    seconds: float
    steps_per_second: float | None
    processor_seconds_per_step: float | None
    steps: int = 0


def fit(
    trainer: Trainer,
    *,
    checkpoints: Checkpoints | None = None,
    callbacks: Callbacks | None = None,
    progress: Progress | None = None,
    first: int = 0,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    workers: Workers | None = None,
    monitor: Monitor | None = None,
) -> Pace:
    """Trains from step `first` to the last step; with several workers, all of them call it.

    Args:
      trainer: takes the steps.
      checkpoints: where the state is saved; None: it is not saved.
      callbacks: called between steps.
      progress: display of the progress; None: no display.
      first: number of steps already taken.
      checkpoint_seconds: time between two checkpoints, in seconds.
      workers: the worker processes of the run; None: this process only.
      monitor: measures between steps, before a checkpoint, and may end the training; None: none.

    Raises:
      Interrupted: SIGINT or SIGTERM was received; the state was saved if there are checkpoints.
      RiskNotFinite: the risk was NaN or infinite; earlier checkpoints are kept.
      CheckpointError: a checkpoint could not be written.
      WorkerLost: another worker died.
    """
    callbacks, workers = callbacks or Callbacks(), workers or Workers()
    total, step = trainer.total_steps, first
    seconds, per_step = float(checkpoints.seconds.numpy()) if checkpoints else 0.0, None
    paced_steps, paced_seconds, paced_processor = 0, 0.0, 0.0
    saved_at, saved_step = time.monotonic(), first
    number, round_first = trainer.round_of(step)
    trainer.enter_round(number, begin=step == round_first)

    def ended() -> bool:
        return step == total or (monitor is not None and monitor.stopped)

    # All workers must take the same steps in each call.
    evaluate_every = int(workers.share([callbacks.evaluate_every])[0][0])
    with StopRequest() as stop:
        # Also when resuming: the previous process may have stopped before this evaluation.
        _evaluate(trainer, callbacks, step, step % evaluate_every == 0 or ended())
        while not ended():
            number, round_first = trainer.round_of(step)
            round_last = round_first + trainer.round_lengths[number]
            if step == round_first and step != first:
                trainer.enter_round(number, begin=True)
            next_evaluation = (step // evaluate_every + 1) * evaluate_every
            size = FIRST_CALL_STEPS if per_step is None else int(CALL_SECONDS / per_step)
            count = min(max(size, 1), round_last - step, next_evaluation - step)
            if monitor:
                count = min(count, monitor.every - step % monitor.every)
            # A call that traces, the first one or the first with another game, tells no speed.
            traced = per_step is None or not trainer.traces
            began, processor = time.monotonic(), time.process_time()
            with workers.guard():
                metrics = {name: float(value) for name, value in trainer.run(step, count).items()}
            spent = time.monotonic() - began
            seconds += spent
            per_step = CALL_SECONDS / FIRST_CALL_STEPS if traced else spent / count
            if not traced:
                paced_steps, paced_seconds = paced_steps + count, paced_seconds + spent
                paced_processor += time.process_time() - processor
            bad = int(metrics.pop("first_bad_step"))
            if bad >= 0:
                raise RiskNotFinite(_advice(bad))
            step += count
            if progress:
                progress.update(step, metrics)
            if callbacks.on_metrics:
                callbacks.on_metrics(step, metrics)
            if step == round_last and callbacks.on_round_end:
                callbacks.on_round_end(number)
            if monitor and monitor.due(step):
                with workers.guard():
                    line = monitor.check(step)
                if line:
                    _say(line, progress)
            due = time.monotonic() - saved_at > checkpoint_seconds or ended()
            due, signal, per_step = workers.agree(due, stop.number, per_step)
            if checkpoints and (due or signal):
                checkpoints.save(step, seconds)
                saved_at, saved_step = time.monotonic(), step
            if signal:
                # The exit of one worker stops all, so all wait until the chief has saved.
                workers.share([0])
                raise Interrupted(signal, step, saved_step == step)
            _evaluate(trainer, callbacks, step, step % evaluate_every == 0 or ended())
    if stop.number:  # received during the last evaluation: the final state is saved
        raise Interrupted(stop.number, step, saved_step == step)
    if not paced_seconds:
        return Pace(seconds, None, None, step)
    return Pace(seconds, paced_steps / paced_seconds, paced_processor / paced_steps, step)


def _evaluate(trainer, callbacks, step, due):
    if callbacks.on_evaluation and due:
        with trainer.averaged():
            callbacks.on_evaluation(step)


def _say(line, progress):
    if progress:
        progress.note(line)
    else:
        say(line)


def _advice(step):
    return (
        f"The risk became NaN or infinite at step {step}. Try a lower learning_rate, more "
        "warmup_steps, a smaller gamma, or precision='float32'. Checkpoints from before that step "
        "are kept."
    )

"""Minimax-Grad with its penalty on one example in k: errors on held-out training images.

    python -m benchmarks.penalty_every

Trains `--game=minimax_grad` by its fast schedule, with `--penalty_every` set to each value of
--every, on all but 5,000 training images. On those it measures the clean error and the error under
FGSM, and on the first 1,000 of them the error under PGD-40. The test split is not used. For each
seed all values of --every are run before the next seed. Writes
results/benchmarks/penalty_every.json after every run, and resumes from it on the same commit and
machine. `python -m scripts.gradient_games` renders it.
"""

import math
from typing import Any

from absl import app, flags

from benchmarks.records import resumable_record, write_record
from mmtf.cli.errors import in_one_line
from mmtf.runtime import startup

FLAGS = flags.FLAGS


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_list("etas", ["0.3"], "Radii, for pixels in [-1, 1].")
    flags.DEFINE_list(
        "every", ["1", "2", "4"], "The values k: the penalty is computed on one example in k."
    )
    flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of each setting.")
    for name, kind in (("etas", float), ("every", int), ("seeds", int)):
        flags.register_validator(
            name,
            lambda given, name=name, kind=kind: all(
                _is(one, kind, 0 if name == "seeds" else 1e-9) for one in given
            ),
            message="Expected numbers, separated by commas; --every > 0, --etas > 0, --seeds >= 0.",
        )
    flags.DEFINE_integer("held_out", 5000, "Training images to measure on.", lower_bound=1)
    flags.DEFINE_integer(
        "pgd_examples", 1000, "How many of them PGD-40 is measured on.", lower_bound=1
    )
    flags.DEFINE_integer("steps", None, "Training steps; default: the schedule's.", lower_bound=1)
    flags.DEFINE_string("output", "results/benchmarks/penalty_every.json", "Path of the record.")


def _is(text, kind, least):
    try:
        return least <= kind(text) < math.inf
    except ValueError:
        return False


def play(
    data: Any, *, eta: float, every: int, seed: int, pgd_examples: int, steps: int | None = None
) -> dict:
    """Trains once; returns the row of its errors on the test split of `data`."""
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.runner import measure
    from mmtf.presets import run_config
    from mmtf.runs.games import make_game, net_maker
    from mmtf.threat import ThreatModel
    from mmtf.training.train import train

    config = run_config(
        game="minimax_grad",
        dataset=data.name,
        eta=eta,
        game_options={"penalty_every": every},
        schedule_options={"steps": steps},
    )
    trained = train(
        make_game(config),
        data,
        schedule=config.schedule,
        model=net_maker(config, data, seed),
        seed=seed,
        progress=False,
    )
    row = {"eta": eta, "every": every, "seed": seed, "seconds": round(trained.seconds, 2)}
    row |= {"precision": trained.trainer.precision, "config": config.to_dict()}
    threat, (x, y) = ThreatModel(eta=eta), data.test()
    for name, attack, n in (
        ("clean", ATTACKS["none"](threat), None),
        ("fgsm", ATTACKS["fgsm"](threat), None),
        ("pgd", ATTACKS["pgd"](threat, steps=40), pgd_examples),
    ):
        found = measure(trained.classifier, attack, x[:n], y[:n], name=name)
        row[name] = {"error": found.error, "interval": found.interval, "n": found.n}
    return row


@in_one_line("benchmarks.penalty_every")
def main(_: list[str]) -> int:
    """Trains every combination that the record lacks."""
    startup.import_tensorflow()
    from mmtf.data import load_data

    about = {name: FLAGS[name].value for name in ("dataset", "held_out", "pgd_examples", "steps")}
    data = load_data(FLAGS.dataset).holdout(FLAGS.held_out)
    jobs = [
        {"eta": float(eta), "every": int(every), "seed": int(seed)}
        for eta in FLAGS.etas
        for seed in FLAGS.seeds
        for every in FLAGS.every
    ]
    with resumable_record(FLAGS.output, about) as record:
        for job in jobs:
            if any(job.items() <= run.items() for run in record["runs"]):
                continue
            row = play(data, **job, pgd_examples=FLAGS.pgd_examples, steps=FLAGS.steps)
            errors = [f"{name} {row[name]['error']:.4f}" for name in ("clean", "fgsm", "pgd")]
            print(f"{job}: {row['seconds']:.0f} s, {', '.join(errors)}", flush=True)
            record["runs"].append(row)
            write_record(FLAGS.output, record)
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

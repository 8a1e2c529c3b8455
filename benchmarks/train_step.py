"""Training loop of `mmtf.run` against its bare step on one batch already in memory: steps/s.

    python -m benchmarks.train_step

For every game and precision, blocks of the two alternate in one process; reported is the ratio of
their median rates. Then `--memory_steps` steps of one game check that resident memory does not
grow. Writes results/benchmarks/train_step.json and prints the table.
"""

import functools
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from absl import app, flags

from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import require_choice
from mmtf.runtime import PRECISIONS, startup

FLAGS = flags.FLAGS
flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
flags.DEFINE_integer("batch_size", 128, "Examples in a step.", lower_bound=1)
flags.DEFINE_integer(
    "blocks", 7, "Timed blocks of each variant, of which the median is reported.", lower_bound=1
)
flags.DEFINE_integer("steps", 20, "Steps in a block.", lower_bound=1)
flags.DEFINE_integer("memory_steps", 2000, "Steps over which memory is measured.", lower_bound=10)
flags.DEFINE_list("precisions", "float32,bfloat16", "Precisions of training.")
flags.DEFINE_string("output", "results/benchmarks/train_step.json", "Path of the record.")

GAMES = {
    "plain": ("undefended", {}),
    "lwa": ("lwa", {}),
    "minimax_grad, nested": ("minimax_grad", {}),
    "minimax_grad, finite difference": ("minimax_grad", {"penalty": "finite_difference"}),
}


def make_trainer(dataset: Any, game: str, options: dict[str, Any], precision: str) -> Any:
    """Returns the trainer that `mmtf.run` builds for a game with these options."""
    import tensorflow as tf

    from mmtf.config import Schedule
    from mmtf.data import Batches
    from mmtf.games import GAMES as KINDS
    from mmtf.nets import NETS
    from mmtf.presets import default_net
    from mmtf.threat import ThreatModel
    from mmtf.training.trainer import Trainer

    net = NETS[default_net(dataset.name)](
        image_shape=dataset.image_shape, num_classes=dataset.num_classes, dropout=0.25
    )
    return Trainer(
        KINDS[game](ThreatModel(eta=0.3), **options),
        net,
        Batches(dataset, batch_size=FLAGS.batch_size, seed=0),
        schedule=Schedule(steps=1_000_000, learning_rate=1e-4),
        strategy=tf.distribute.get_strategy(),
        precision=precision,
        seed=0,
    )


def bare_step(trainer: Any) -> Callable[[], Any]:
    """Returns the game's step as one compiled function, on one batch already in memory."""
    import tensorflow as tf

    from mmtf.classifiers.precision import computing_in
    from mmtf.games.players import Batch, StepContext
    from mmtf.kernels import optimized
    from mmtf.training.dropout import seeded_dropout

    x, y = trainer.batches.take(trainer.batches.indices(0))
    seed = tf.constant([0, 0])

    @tf.function
    def step():
        context = StepContext(
            round=tf.constant(0),
            seed=seed,
            global_batch_size=trainer.batches.batch_size,
            replicas=1,
            dropout=functools.partial(seeded_dropout, seed=seed),
        )
        model = trainer.players.models["classifier"]
        with computing_in(model, trainer.precision), optimized(model, "cpu"):
            return trainer.game.step(trainer.players, Batch(x, y), context)["risk"]

    return step


def compare(trainer: Any) -> dict:
    """Times the loop and the bare step in alternating blocks: median steps per second of both."""
    step, at = bare_step(trainer), 0
    step()
    trainer.run(0, 2)
    loop_times, bare_times = [], []
    for _ in range(FLAGS.blocks):
        began = time.perf_counter()
        trainer.run(at, FLAGS.steps)
        at += FLAGS.steps
        loop_times.append((time.perf_counter() - began) / FLAGS.steps)
        began = time.perf_counter()
        for _ in range(FLAGS.steps):
            risk = step()
        float(risk)
        bare_times.append((time.perf_counter() - began) / FLAGS.steps)
    loop, bare = statistics.median(loop_times), statistics.median(bare_times)
    return {
        "loop_steps_per_s": 1 / loop,
        "bare_steps_per_s": 1 / bare,
        "ratio": bare / loop,
        "loop_ms": sorted(1000 * one for one in loop_times),
        "bare_ms": sorted(1000 * one for one in bare_times),
    }


def resident_bytes() -> int:
    """Returns the resident memory of this process."""
    with open("/proc/self/statm") as source:
        return int(source.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def watch_memory(trainer: Any) -> dict:
    """Returns resident memory after each tenth of the steps, and its growth since the first."""
    part = FLAGS.memory_steps // 10
    sizes = []
    for number in range(10):
        trainer.run(number * part, part)
        sizes.append(resident_bytes() / 2**20)
    return {
        "steps": part * 10,
        "mib": [round(size, 1) for size in sizes],
        "growth_mib": round(sizes[-1] - sizes[0], 1),
    }


@in_one_line("benchmarks.train_step")
def main(_: list[str]) -> None:
    """Times every game in every precision and writes the record."""
    for precision in FLAGS.precisions:
        require_choice("precisions", precision, PRECISIONS)
    startup.import_tensorflow()
    import pandas as pd

    from mmtf.data import load_data
    from mmtf.storage.provenance import provenance

    dataset = load_data(FLAGS.dataset)
    rows = []
    for name, (game, options) in GAMES.items():
        for precision in FLAGS.precisions:
            row = compare(make_trainer(dataset, game, options, precision))
            rows.append({"game": name, "precision": precision, **row})
            print(f"{name}, {precision}: {row['ratio']:.3f}", flush=True)
    memory = watch_memory(make_trainer(dataset, "minimax_grad", {}, FLAGS.precisions[-1]))
    record = {
        "dataset": FLAGS.dataset,
        "batch_size": FLAGS.batch_size,
        "blocks": FLAGS.blocks,
        "steps_per_block": FLAGS.steps,
        "rows": rows,
        "memory": memory,
        **provenance(),
    }
    write_record(FLAGS.output, record)
    frame = pd.DataFrame(rows)[
        ["game", "precision", "loop_steps_per_s", "bare_steps_per_s", "ratio"]
    ]
    print(frame.round(3).to_string(index=False))
    print(
        f"memory over {memory['steps']} steps of minimax_grad: {memory['mib'][0]:.0f} MiB to "
        f"{memory['mib'][-1]:.0f} MiB ({memory['growth_mib']:+.1f})"
    )


if __name__ == "__main__":
    app.run(main)

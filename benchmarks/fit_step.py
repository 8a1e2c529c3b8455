"""A step of `fit` (mmtf.AdversarialModel) against a step of `mmtf.run`, in turns in one process.

    python -m benchmarks.fit_step

For every game and precision one `fit` runs with Keras' Adam, its data in arrays and
metrics=["accuracy"]; after each of its epochs, of --steps steps, the Trainer of `mmtf.run` takes
as many steps on the same data. Other load of the machine affects both alike. Reported is the
median over the epochs but the first of the ratio of seconds, fit's to the Trainer's, and that of
the processor's seconds, which other load hardly changes. Writes
results/benchmarks/fit_step.json.
"""

import statistics
import time
from typing import Any

from absl import app, flags

from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import require_choice
from mmtf.runtime import startup

FLAGS = flags.FLAGS

RATE = 1e-4
PRECISIONS = ("float32", "bfloat16")


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_integer("batch_size", 128, "Examples in a step.", lower_bound=1)
    flags.DEFINE_integer("blocks", 5, "Timed blocks of each.", lower_bound=1)
    flags.DEFINE_integer("steps", 40, "Steps in a block.", lower_bound=1)
    flags.DEFINE_list("games", "lwa,minimax_grad", "Names of games.")
    flags.DEFINE_list("precisions", "float32,bfloat16", "float32, bfloat16 or both.")
    flags.DEFINE_string("output", "results/benchmarks/fit_step.json", "Path of the record.")


def make_net(dataset: Any, precision: str) -> Any:
    """The tutorial net of a dataset, with the dtype policies that the Trainer's precision means."""
    from mmtf.nets import NETS
    from mmtf.presets import default_net

    net = NETS[default_net(dataset.name)](
        image_shape=dataset.image_shape, num_classes=dataset.num_classes, dropout=0.25
    )
    if precision == "bfloat16":
        for layer in net.layers[:-1]:
            layer.dtype_policy = "mixed_bfloat16"
    return net


def make_trainer(dataset: Any, game: Any, precision: str) -> Any:
    """The trainer that `mmtf.run` makes."""
    import tensorflow as tf

    from mmtf.config import Schedule
    from mmtf.data import Batches
    from mmtf.training.trainer import Trainer

    return Trainer(
        game,
        make_net(dataset, "float32"),
        Batches(dataset, batch_size=FLAGS.batch_size, seed=0),
        schedule=Schedule(steps=1_000_000, learning_rate=RATE),
        strategy=tf.distribute.get_strategy(),
        precision=precision,
        seed=0,
    )


def compare(dataset: Any, name: str, precision: str) -> dict:
    """Times blocks of both in turns; returns their times and the ratios of medians."""
    import keras

    import mmtf

    class Turns(keras.callbacks.Callback):
        """Times every epoch, and after it a block of the trainer."""

        def __init__(self):
            super().__init__()
            self.fit: list[tuple[float, float]] = []
            self.run: list[tuple[float, float]] = []

        def on_epoch_begin(self, epoch, logs=None):
            self._began = _clocks()

        def on_epoch_end(self, epoch, logs=None):
            self.fit.append(_since(self._began))
            began = _clocks()
            trainer.run(epoch * FLAGS.steps, FLAGS.steps)
            self.run.append(_since(began))

    game = mmtf.games.GAMES[name](mmtf.ThreatModel(eta=0.3))
    trainer, turns = make_trainer(dataset, game, precision), Turns()
    model = mmtf.AdversarialModel(make_net(dataset, precision), game)
    model.compile(keras.optimizers.Adam(RATE), metrics=["accuracy"])
    epochs = FLAGS.blocks + 1  # the first traces
    x, y = dataset.train(epochs * FLAGS.steps * FLAGS.batch_size)
    model.fit(
        x,
        y,
        batch_size=FLAGS.batch_size,
        epochs=epochs,
        steps_per_epoch=FLAGS.steps,
        verbose=0,
        callbacks=[turns],
    )
    row: dict = {"game": name, "precision": precision}
    for number, clock in enumerate(("wall", "cpu")):
        ours = [1000 * one[number] / FLAGS.steps for one in turns.fit[1:]]
        theirs = [1000 * one[number] / FLAGS.steps for one in turns.run[1:]]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        row |= {
            f"{clock}_ratio": statistics.median(ratios),
            f"{clock}_fit_ms": [round(one, 2) for one in ours],
            f"{clock}_run_ms": [round(one, 2) for one in theirs],
        }
    return row


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> tuple[float, float]:
    wall, cpu = _clocks()
    return wall - began[0], cpu - began[1]


@in_one_line("benchmarks.fit_step")
def main(_: list[str]) -> None:
    """Compares every game in every precision and writes the record."""
    for precision in FLAGS.precisions:
        require_choice("precisions", precision, PRECISIONS)
    startup.import_tensorflow()

    from mmtf.data import load_data
    from mmtf.games import GAMES
    from mmtf.storage.provenance import provenance

    for name in FLAGS.games:
        GAMES.require_known(name)
    dataset, rows = load_data(FLAGS.dataset), []
    for name in FLAGS.games:
        for precision in FLAGS.precisions:
            row = compare(dataset, name, precision)
            rows.append(row)
            fit_ms, run_ms = (statistics.median(row[f"wall_{one}_ms"]) for one in ("fit", "run"))
            print(
                f"{name}, {precision}: fit {fit_ms:.1f} ms, run {run_ms:.1f} ms a step; ratio "
                f"{row['wall_ratio']:.3f}, of processor time {row['cpu_ratio']:.3f}",
                flush=True,
            )
    settings = ("dataset", "batch_size", "blocks", "steps")
    record = {name: FLAGS[name].value for name in settings}
    write_record(FLAGS.output, {**record, "rows": rows, **provenance()})


if __name__ == "__main__":
    define_flags()
    app.run(main)

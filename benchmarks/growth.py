"""Growth of time and memory with the amount of work, one axis at a time.

    python -m benchmarks.growth [--axes=batch,size,...]

Every point runs in its own process: a Minimax-Grad training step (on the axis attack_steps a PGD
attack) on MNIST's images, which are resized, copied to several channels or repeated as the point
requires. Blocks of about a second alternate between the points of an axis. Time is the median of
--blocks blocks, memory the process's peak. "work" is the arithmetic of the net and the attack: time
and memory should grow no faster. Writes results/benchmarks/growth.json, which
`python -m scripts.growth` renders.
"""

import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.interleave import TimedProcess, interleaved
from benchmarks.peers.speed.worker import peak_mib
from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError
from mmtf.runtime import startup

FLAGS = flags.FLAGS
OUTPUT = "results/benchmarks/growth.json"


@dataclasses.dataclass(frozen=True)
class Point:
    """The work that one process times; each axis varies one field of the default.

    Attributes:
      batch: images in a step.
      size: height and width of the images.
      channels, classes: input channels and number of classes of the net.
      attack_steps: steps of PGD on `batch` images; 0: a training step of Minimax-Grad instead.
      examples: images in the training set.
      streamed: whether the images are streamed by tf.data instead of held in memory.
    """

    batch: int = 32
    size: int = 28
    channels: int = 1
    classes: int = 10
    attack_steps: int = 0
    examples: int = 6000
    streamed: bool = False


# Axis -> (field of Point, its values).
AXES = {
    "batch": ("batch", (8, 16, 32, 64, 128, 256, 512)),
    "size": ("size", (28, 40, 56, 72, 96)),
    "channels": ("channels", (1, 2, 4, 8, 16)),
    "classes": ("classes", (10, 30, 100, 300, 1000)),
    "attack_steps": ("attack_steps", (5, 10, 20, 40, 80)),
    "examples": ("examples", (6000, 15_000, 60_000, 120_000)),
    "streamed_examples": ("examples", (6000, 15_000, 60_000, 120_000)),
}


def points_of(axis: str) -> list[Point]:
    """Returns the points of an axis, in ascending order."""
    field, values = AXES[axis]
    base = Point(streamed=axis.startswith("streamed"))
    return [dataclasses.replace(base, **{field: value}) for value in values]


def forward_flops(classifier: Any) -> int:
    """Counts the multiplications and additions by weights in one image's forward pass.

    Example:
      >>> import keras
      >>> forward_flops(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3)]))
      144
    """
    total = 0
    for layer in classifier.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            places = int(np.prod(layer.output.shape[1:-1]))
            total += 2 * int(np.prod(kernel.shape)) * places
    return total


def serve(point: Point, turns: Iterable[str]) -> None:
    """Times a point: the process that `time_axis` starts.

    Prints the point's arithmetic as one line of JSON; then, for each line of `turns`, runs a block
    and prints its seconds per step (or attack) and the process's peak memory so far.
    """
    import tensorflow as tf

    from mmtf.config import Schedule
    from mmtf.data import Batches
    from mmtf.games import GAMES
    from mmtf.nets import NETS
    from mmtf.threat import ThreatModel
    from mmtf.training.trainer import Trainer

    data = _dataset(point)
    threat = ThreatModel(eta=0.3)
    net = NETS["mnist_cnn"](image_shape=data.image_shape, num_classes=point.classes, seed=0)
    flops = forward_flops(net) * point.batch
    if point.attack_steps:
        run, passes = _pgd(net, threat, point, *data.train(point.batch)), 2 * point.attack_steps
    else:
        trainer = Trainer(
            GAMES["minimax_grad"](threat),
            net,
            Batches(data, batch_size=point.batch, seed=0, in_memory=not point.streamed),
            schedule=Schedule(steps=1_000_000, learning_rate=1e-4),
            strategy=tf.distribute.get_strategy(),
            precision="float32",
            seed=0,
        )
        run, passes = _steps(trainer), 8
    run(2)
    began = time.perf_counter()
    run(2)
    # Blocks of about a second.
    count = max(2, round(2.0 / (time.perf_counter() - began)))
    about = {"flops": flops * passes, "data_mib": data.train_images.nbytes / 2**20}
    print(json.dumps(about), flush=True)
    for _ in turns:
        began = time.perf_counter()
        run(count)
        seconds = (time.perf_counter() - began) / count
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}), flush=True)


def _dataset(point: Point) -> Any:
    import tensorflow as tf

    from mmtf.data import Dataset, load_data

    mnist = load_data(FLAGS.dataset)
    rows = np.arange(point.examples) % len(mnist.train_images)
    images = mnist.train_images[rows]
    if point.size != images.shape[1]:
        blocks = np.array_split(images, max(len(images) // 1000, 1))
        images = np.concatenate(
            [tf.cast(tf.image.resize(one, [point.size] * 2), tf.uint8).numpy() for one in blocks]
        )
    images = np.repeat(images, point.channels, -1)
    labels = mnist.train_labels[rows]
    return Dataset(
        name="growth",
        train_images=images,
        train_labels=labels,
        test_images=images[:8],
        test_labels=labels[:8],
        num_classes=point.classes,
    )


def _steps(trainer: Any) -> Callable[[int], None]:
    done = [0]

    def run(count):
        float(trainer.run(done[0], count)["risk"])
        done[0] += count

    return run


def _pgd(net: Any, threat: Any, point: Point, x: Any, y: Any) -> Callable[[int], None]:
    """PGD that cannot succeed, so that every image takes all steps: y's logit is always largest."""
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.runner import perturb

    last = net.layers[-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel * 1e-3, np.where(np.arange(point.classes) == y[0], 1e3, bias)])
    x, y = np.repeat(x[:1], point.batch, 0), np.repeat(y[:1], point.batch)
    attack = ATTACKS["pgd"](threat, steps=point.attack_steps, loss="margin")

    def run(count):
        for _ in range(count):
            perturb(net, attack, x, y)

    return run


def _process(point: Point) -> TimedProcess:
    arguments = ["-m", "benchmarks.growth", f"--dataset={FLAGS.dataset}"]
    return TimedProcess(
        str(point), [*arguments, f"--point={json.dumps(dataclasses.asdict(point))}"]
    )


def time_axis(axis: str, blocks: int) -> list[dict]:
    """Returns a row for each point of an axis; blocks of the points alternate."""
    field, values = AXES[axis]
    processes = {getattr(point, field): _process(point) for point in points_of(axis)}
    answers = {value: [] for value in values}
    for value in interleaved(list(values), blocks):
        answers[value].append(processes[value].go())
    for one in processes.values():
        one.close()
    rows = []
    for value in values:
        seconds = [one["seconds"] for one in answers[value]]
        measured = {"seconds": statistics.median(seconds), "all_seconds": seconds}
        measured["peak_mib"] = answers[value][-1]["peak_mib"]
        rows.append({"axis": axis, "value": value, **processes[value].ready, **measured})
    return rows


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list("axes", None, f"Axes, separated by commas: {', '.join(AXES)}; default: all.")
    flags.register_validator(
        "axes",
        lambda given: set(given or ()) <= set(AXES),
        message=f"Expected any of {', '.join(AXES)}, separated by commas.",
    )
    flags.DEFINE_integer(
        "blocks", 7, "Timed blocks of a point, of which the median is reported.", lower_bound=1
    )
    flags.DEFINE_string("dataset", "mnist", "Dataset whose images are used.")
    flags.DEFINE_string(
        "point", None, "Internal: a point as JSON, timed once for each line of stdin."
    )
    flags.DEFINE_string(
        "output", None, f"Path of the record; default, if all axes are measured: {OUTPUT}."
    )
    flags.register_multi_flags_validator(
        ["axes", "output"],
        lambda given: given["output"] or set(given["axes"] or AXES) == set(AXES),
        message="Expected --output=FILE with only some of the axes: the committed record has all.",
    )


@in_one_line("benchmarks.growth")
def main(_: list[str]) -> None:
    """Times all points of the axes and writes the record after every axis."""
    startup.import_tensorflow()
    if FLAGS.point:
        try:
            point = Point(**json.loads(FLAGS.point))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"Expected --point as JSON of the fields of Point. Received: {FLAGS.point}."
            ) from error
        serve(point, sys.stdin)
        return
    from mmtf.storage.provenance import provenance

    axes, output = FLAGS.axes or list(AXES), FLAGS.output or OUTPUT
    rows = []
    for axis in axes:
        for row in time_axis(axis, FLAGS.blocks):
            rows.append(row)
            print(
                f"{axis:18} {row['value']:7}  {1000 * row['seconds']:8.1f} ms  "
                f"{row['flops'] / row['seconds'] / 1e9:6.0f} GFLOP/s  {row['peak_mib']:6.0f} MiB",
                flush=True,
            )
        record = {"dataset": FLAGS.dataset, "blocks": FLAGS.blocks, "rows": rows, **provenance()}
        write_record(output, record)


if __name__ == "__main__":
    define_flags()
    app.run(main)

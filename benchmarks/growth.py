"""How time and memory grow with the work, one axis at a time.

    python -m benchmarks.growth [--axes=batch,size,...]

Every point is a process of its own: a Minimax-Grad training step (on the axis attack_steps a PGD
attack) on MNIST's images, resized, repeated over channels or repeated as often as a point asks.
Blocks of about a second alternate between the points of an axis. Time is the median of --blocks
blocks, memory the process's peak. "work" is the arithmetic of the net and the attack; nothing
should grow faster. Writes results/benchmarks/growth.json; `python -m scripts.growth` renders it.
"""

import dataclasses
import json
import statistics
import sys
import time

import numpy as np
from absl import app, flags

from benchmarks.interleave import TimedProcess, interleaved
from benchmarks.peers.speed.worker import peak_mib
from benchmarks.records import write_record
from mmtf.runtime import startup

FLAGS = flags.FLAGS
OUTPUT = "results/benchmarks/growth.json"


@dataclasses.dataclass(frozen=True)
class Point:
    """What one process times; the default is what every axis starts from.

    Attributes:
      batch: images in a step.
      size: their height and width.
      channels, classes: of the net.
      attack_steps: of PGD on `batch` images; 0: a training step of Minimax-Grad instead.
      examples: in the training set.
      streamed: they come by tf.data, not from memory.
    """

    batch: int = 32
    size: int = 28
    channels: int = 1
    classes: int = 10
    attack_steps: int = 0
    examples: int = 6000
    streamed: bool = False


# Axis -> the field of Point that grows and its values.
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
    """The points of an axis, in growing order."""
    field, values = AXES[axis]
    base = Point(streamed=axis.startswith("streamed"))
    return [dataclasses.replace(base, **{field: value}) for value in values]


def forward_flops(classifier) -> int:
    """Multiplications and additions of one image's forward pass, of its weights alone.

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


def serve(point: Point, turns) -> None:
    """Prints a point's arithmetic as JSON; then, for each of `turns`, the seconds of a unit.

    With the peak memory of this process so far.
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


def _dataset(point):
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


def _steps(trainer):
    done = [0]

    def run(count):
        float(trainer.run(done[0], count)["risk"])
        done[0] += count

    return run


def _pgd(net, threat, point, x, y):
    """An attack that cannot succeed, so that no image leaves: its logits are those of y alone."""
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
    """A row for each point of an axis, their blocks in turns."""
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
    """Not on import: two scripts may be imported by one test."""
    flags.DEFINE_list("axes", None, "Any of the axes; default: all.")
    flags.register_validator(
        "axes",
        lambda given: set(given or ()) <= set(AXES),
        message=f"Expected any of {', '.join(AXES)}, separated by commas.",
    )
    flags.DEFINE_integer("blocks", 7, "Timed blocks of a point; the median counts.", lower_bound=1)
    flags.DEFINE_string("dataset", "mnist", "Whose images are used.")
    flags.DEFINE_string("point", None, "A point as JSON: time it here, once for each line.")
    flags.DEFINE_string("output", None, f"The record; default {OUTPUT}, for all axes.")
    flags.register_multi_flags_validator(
        ["axes", "output"],
        lambda given: given["output"] or set(given["axes"] or AXES) == set(AXES),
        message="Expected --output=FILE with a part of the axes: the committed record has all.",
    )


def main(_):
    startup.import_tensorflow()
    if FLAGS.point:
        serve(Point(**json.loads(FLAGS.point)), sys.stdin)
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

"""Time and memory of attacks as images and classes grow, and on ResNet-50 beside other libraries.

    python -m benchmarks.scale [--parts=resnet50,classes,sizes]

Every point runs in its own process: it makes a classifier and images, attacks them twice (ResNet-50
once), and reports seconds and CPU seconds of the first run, which traces and compiles, and of the
last one, and the process's peak memory before and after. Weights and images are random, labels are
the classifier's own predictions, and the ball is so small that no attack within it succeeds: every
example takes all steps. Images are attacked in the batches that mmtf takes by default on a machine
of 8 GiB. Foolbox and ART run in the same batches, where they are installed. Writes
results/benchmarks/scale.json, which `python -m scripts.scale` renders.
"""

import dataclasses
import importlib.util
import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.interleave import TimedProcess
from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError, RunError
from mmtf.runtime import startup
from mmtf.runtime.peak_memory import peak_memory_mib

FLAGS = flags.FLAGS
OUTPUT = "results/benchmarks/scale.json"
MEMORY = 8 * 2**30  # the machine for which batches are chosen
ETA = 1e-6
# Name of an attack -> its steps: few, as each of them costs the same.
STEPS = {"fgsm": 1, "pgd": 2, "apgd": 2, "deepfool": 1, "autoattack": 1}


@dataclasses.dataclass(frozen=True)
class Point:
    """What one process measures.

    Attributes:
      who: `mmtf`, `foolbox` or `art`.
      attack: a name in STEPS.
      net: `small`, three convolutions, or `resnet50`, that of keras.applications.
      size: height and width of the RGB images.
      classes: number of logits.
      images: number of images.
      candidates: of mmtf's DeepFool; 0: all classes.
    """

    who: str = "mmtf"
    attack: str = "pgd"
    net: str = "small"
    size: int = 32
    classes: int = 10
    images: int = 24
    candidates: int = 10


def _resnet50() -> list[Point]:
    attacks = {
        "mmtf": ("fgsm", "pgd", "apgd", "deepfool", "autoattack"),
        "foolbox": ("fgsm", "pgd", "deepfool"),
        "art": ("fgsm", "pgd", "apgd", "deepfool", "autoattack"),
    }
    big = Point(net="resnet50", size=224, classes=1000)
    return [
        dataclasses.replace(big, who=who, attack=attack)
        for who, names in attacks.items()
        for attack in names
        if who == "mmtf" or importlib.util.find_spec(who)
    ]


PARTS = {
    "resnet50": _resnet50,
    "classes": lambda: [
        Point(attack=attack, classes=classes, candidates=candidates)
        for attack, candidates in (("deepfool", 10), ("deepfool", 0), ("autoattack", 10))
        for classes in (2, 10, 30, 100, 300, 1000)
    ],
    "sizes": lambda: [
        Point(attack=attack, size=size)
        for attack in ("pgd", "deepfool")
        for size in (28, 56, 112, 160, 224)
    ],
}


def classifier_of(point: Point) -> Any:
    """Returns the Keras classifier of a point, with random weights."""
    import keras

    keras.utils.set_random_seed(0)
    shape = (point.size, point.size, 3)
    if point.net == "resnet50":
        return keras.applications.ResNet50(
            weights=None, input_shape=shape, classes=point.classes, classifier_activation=None
        )
    convolutions = [
        keras.layers.Conv2D(width, 3, strides=2, activation="relu") for width in (16, 32, 64)
    ]
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(point.classes)]
    return keras.Sequential([keras.Input(shape), *convolutions, *head])


def attack_of(point: Point, batch_size: int) -> Any:
    """Returns a function (model, x, y) that attacks the images in batches of `batch_size`."""
    steps = STEPS[point.attack]
    if point.who != "mmtf":
        from benchmarks.peers import tensorflow_attacks

        made = getattr(tensorflow_attacks, f"{point.who}_attack")(point.attack)
        return lambda model, x, y: made(model, x, y, ETA, batch_size, steps)
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.runner import perturb
    from mmtf.threat import ThreatModel

    options = {} if point.attack == "fgsm" else {"steps": steps}
    if point.attack == "deepfool":
        options["candidates"] = point.candidates or None
    if point.attack == "autoattack":
        options |= {"targets": 1, "queries": 5 * steps}
    attack = ATTACKS[point.attack](ThreatModel(eta=ETA), **options)
    return lambda model, x, y: perturb(model, attack, x, y, batch_size=batch_size)


def serve(point: Point, turns: Iterable[str]) -> None:
    """Measures a point: the process that `measured` starts.

    Prints the batch size and the peak memory before the first attack as one line of JSON; then, for
    each line of `turns`, attacks all images and prints the seconds and the peak so far.
    """
    import tensorflow as tf

    from mmtf.evaluation.batching import default_batch_size

    model = classifier_of(point)
    shape = (point.size, point.size, 3)
    batch_size = min(point.images, default_batch_size(shape, memory=MEMORY))
    x = np.random.default_rng(0).uniform(-0.9, 0.9, (point.images, *shape)).astype(np.float32)
    y = np.concatenate(
        [
            np.argmax(model(tf.constant(x[i : i + batch_size]), training=False), -1)
            for i in range(0, len(x), batch_size)
        ]
    )
    attack = attack_of(point, batch_size)
    print(json.dumps({"batch_size": batch_size, "before_mib": peak_memory_mib()}), flush=True)
    for _ in turns:
        began, cpu = time.perf_counter(), time.process_time()
        attack(model, x, y)
        spent = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
        print(json.dumps({**spent, "peak_mib": peak_memory_mib()}), flush=True)


def measured(point: Point) -> dict[str, Any]:
    """Returns the row of a point; `error` in place of the figures if its process died."""
    row: dict[str, Any] = {**dataclasses.asdict(point), "steps": STEPS[point.attack]}
    given = json.dumps(dataclasses.asdict(point))
    try:
        process = TimedProcess(str(point), ["-m", "benchmarks.scale", f"--point={given}"])
        answers = [process.go() for _ in range(1 if point.net == "resnet50" else 2)]
    except RunError as error:
        return row | {"error": str(error).strip().splitlines()[-1]}
    process.close()
    return row | {
        **process.ready,
        **{f"first_{name}": answers[0][name] for name in ("seconds", "cpu")},
        **answers[-1],
    }


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_list(
        "parts", None, f"Parts, separated by commas: {', '.join(PARTS)}; default: all."
    )
    flags.register_validator(
        "parts",
        lambda given: set(given or ()) <= set(PARTS),
        message=f"Expected any of {', '.join(PARTS)}, separated by commas.",
    )
    flags.DEFINE_string(
        "point", None, "Internal: a point as JSON, measured for each line of stdin."
    )
    flags.DEFINE_string(
        "output", None, f"Path of the record; default, if all parts are measured: {OUTPUT}."
    )
    flags.register_multi_flags_validator(
        ["parts", "output"],
        lambda given: given["output"] or set(given["parts"] or PARTS) == set(PARTS),
        message="Expected --output=FILE with only some of the parts: the committed record has all.",
    )


@in_one_line("benchmarks.scale")
def main(_: list[str]) -> None:
    """Measures all points of the parts; writes the record after every point."""
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

    about, rows = provenance(), {}
    for part in FLAGS.parts or list(PARTS):
        rows[part] = []
        for point in PARTS[part]():
            row = measured(point)
            rows[part].append(row)
            print(_line(part, row), flush=True)
            write_record(
                FLAGS.output or OUTPUT, {"eta": ETA, "memory": MEMORY, "parts": rows, **about}
            )


def _line(part: str, row: dict) -> str:
    where = f"{part:9} {row['who']:8} {row['attack']:11} {row['size']:4} {row['classes']:5} classes"
    if "error" in row:
        return f"{where}  {row['error']}"
    return (
        f"{where}  candidates {row['candidates']:2}  first {row['first_cpu']:7.2f} CPU s  "
        f"then {row['cpu']:7.2f} CPU s  peak {row['peak_mib']:6.0f} MiB"
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)

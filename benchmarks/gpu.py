"""Training on a GPU: steps per second, share of peak FLOP/s, and the paper's 100,000 steps.

    pip install '.[gpu]' && python -m benchmarks.gpu

Three parts, each in its own process, all at eta 0.3 on MNIST's net:

1. first: a few steps of `--game=minimax_grad`, batch 128: the seconds of a first compilation.
2. paper: --paper_steps steps of the same game: seconds, compilation included, and test errors.
3. rows: steps of FGSM training (LWA) and of Minimax-Grad in float32 (TF32 on tensor cores) and
   bfloat16, compiled by XLA at each of --batches, and without XLA at the first of them: medians of
   --blocks blocks.

Uses one GPU; `python -m scripts.scaling` compares several. Writes results/benchmarks/gpu.json,
which `python -m scripts.performance` renders. `--device=cpu` runs the same without a GPU and
requires --output.
"""

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from absl import app, flags

from benchmarks.growth import forward_flops
from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import ConfigError
from mmtf.reports import read_json
from mmtf.runtime import startup

FLAGS = flags.FLAGS
ETA = 0.3
BATCH = 128
# Game -> forward passes' worth of arithmetic in a step, as in benchmarks.peers.speed.
GAMES_TIMED = {"minimax_grad": 8, "lwa": 5}
PRECISIONS = ("bfloat16", "float32")
PAPER_PRECISION = "bfloat16"
# Each in its own process: seconds of a first compilation, the paper's run, rows of steps.
PARTS = ("first", "paper", "rows")
FIRST_STEPS = 1000
MATMUL = 8192


def _seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def trainer_of(data: Any, game: str, precision: str, batch: int, jit_compile: bool) -> Any:
    """Returns a Trainer of `game` on `data`, with all training examples in device memory."""
    import tensorflow as tf

    from mmtf.config import Schedule
    from mmtf.data import Batches
    from mmtf.games import GAMES
    from mmtf.nets import NETS
    from mmtf.threat import ThreatModel
    from mmtf.training.trainer import Trainer

    net = NETS["mnist_cnn"](image_shape=data.image_shape, num_classes=data.num_classes, seed=0)
    return Trainer(
        GAMES[game](ThreatModel(eta=ETA)),
        net,
        Batches(data, batch_size=batch, seed=0, in_memory=True),
        schedule=Schedule(steps=10_000_000, learning_rate=1e-4, batch_size=batch),
        strategy=tf.distribute.get_strategy(),
        precision=precision,
        seed=0,
        jit_compile=jit_compile,
    )


def time_steps(
    data: Any, game: str, precision: str, batch: int, jit_compile: bool, peak: float
) -> dict:
    """Returns a row: the median rate of blocks of FLAGS.steps steps, each block one call."""
    trainer = trainer_of(data, game, precision, batch, jit_compile)

    def block(number):
        float(trainer.run(number * FLAGS.steps, FLAGS.steps)["risk"])

    tracing = _seconds(lambda: block(0))
    seconds = [_seconds(lambda n=number: block(n)) for number in range(1, FLAGS.blocks + 1)]
    rate = FLAGS.steps / statistics.median(seconds)
    flops = GAMES_TIMED[game] * forward_flops(trainer.players.models["classifier"]) * batch
    row = {
        "game": game,
        "precision": precision,
        "xla": jit_compile,
        "batch": batch,
        "steps_per_second": round(rate, 2),
        "of_peak": round(rate * flops / peak, 4),
        "seconds": [round(one, 4) for one in seconds],
        "first_block_seconds": round(tracing, 2),
    }
    print(
        f"{game:13} {precision:9} {'XLA' if jit_compile else '':3} batch {batch:5}: "
        f"{rate:9.1f} steps/s, {row['of_peak']:.0%} of the peak",
        flush=True,
    )
    return row


def play(data: Any, steps: int) -> tuple[dict, object]:
    """Plays Minimax-Grad at the paper's learning rate; returns (its record, the classifier)."""
    import mmtf
    from mmtf.games import GAMES
    from mmtf.nets import NETS
    from mmtf.presets import default_net

    schedule = mmtf.Schedule(steps=steps, learning_rate=1e-4, batch_size=BATCH)
    trained = mmtf.train(
        GAMES["minimax_grad"](mmtf.ThreatModel(eta=ETA)),
        data,
        model=NETS[default_net(data.name)](),  # with the paper's dropout
        schedule=schedule,
        precision=PAPER_PRECISION,
        jit_compile=True,
    )
    rate = trained.images_per_second and trained.images_per_second / BATCH
    found = {
        "steps": steps,
        "precision": PAPER_PRECISION,
        "xla": True,
        "seconds": round(trained.seconds, 2),
        "steps_per_second": rate and round(rate, 1),
    }
    print(f"{steps:,} Minimax-Grad steps in {trained.seconds:.1f} s, {rate or 0:.1f} a second")
    return found, trained.classifier


def play_the_paper(data: Any) -> dict:
    """Trains for all of --paper_steps, then measures test errors."""
    import mmtf
    from mmtf.attacks import ATTACKS
    from mmtf.evaluation.runner import measure

    found, classifier = play(data, FLAGS.paper_steps)
    test, threat, errors = data.test(), mmtf.ThreatModel(eta=ETA), {}
    for name in ("none", "fgsm"):
        one = measure(classifier, ATTACKS[name](threat), *test, name=name)
        errors[name] = {"error": one.error, "interval": list(one.interval), "n": one.n}
    print(f"clean {errors['none']['error']:.4f}, FGSM-curr {errors['fgsm']['error']:.4f}")
    return {**found, "errors": errors}


def _device_name(gpus):
    """Returns the name of the one device that is used."""
    import tensorflow as tf

    if FLAGS.device == "cpu":
        return "CPU"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_enum(
        "device", "gpu", ["gpu", "cpu"], "Device; cpu tries this script without a GPU."
    )
    flags.DEFINE_list("batches", ["128", "1024", "8192"], "Images in a step.")
    flags.register_validator(
        "batches",
        lambda given: len(given) > 0 and all(one.isdigit() and int(one) for one in given),
        message="Expected whole numbers > 0, separated by commas.",
    )
    flags.DEFINE_integer("steps", 200, "Steps in a timed block.", lower_bound=1)
    flags.DEFINE_integer(
        "blocks", 5, "Timed blocks, of which the median is reported.", lower_bound=1
    )
    flags.DEFINE_integer("paper_steps", 100_000, "Steps of the paper's run.", lower_bound=1)
    flags.DEFINE_integer(
        "matmul", MATMUL, "Side of the matrices whose product measures the peak.", lower_bound=1
    )
    flags.DEFINE_enum(
        "only", None, PARTS, "Measure one part and add it to the record; default: all."
    )
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_string("output", None, "Path of the record; default results/benchmarks/gpu.json.")


@in_one_line("benchmarks.gpu")
def main(_: list[str]) -> None:
    """Measures all parts, or the one of --only, and writes the record."""
    if FLAGS.device == "cpu" and FLAGS.output is None:
        raise ConfigError("Expected --output with --device=cpu. Received: none.")
    with contextlib.ExitStack() as stack:
        if FLAGS.only is None:  # an empty cache of XLA's autotuning
            os.environ["XDG_CACHE_HOME"] = stack.enter_context(tempfile.TemporaryDirectory())
        startup.import_tensorflow()
        _run()


def _run():
    import tensorflow as tf

    from mmtf.data import load_data

    gpus = tf.config.list_physical_devices("GPU")
    if FLAGS.device == "gpu" and not gpus:
        raise ConfigError(
            "Expected a GPU that TensorFlow sees: pip install '.[gpu]'. Received: none. "
            "--device=cpu tries this script without one."
        )
    if FLAGS.only is None:
        for part in PARTS:
            command = [sys.executable, "-m", "benchmarks.gpu", *sys.argv[1:], f"--only={part}"]
            done = subprocess.run(command)
            if done.returncode:
                sys.exit(done.returncode)
        return
    tf.config.set_visible_devices(gpus[:1] if FLAGS.device == "gpu" else [], "GPU")
    data = load_data(FLAGS.dataset)
    path = FLAGS.output or "results/benchmarks/gpu.json"
    record = _begun(path, _device_name(gpus), data.name)
    # Nothing else has been compiled yet, so these seconds include all of the compilation.
    if FLAGS.only == "first":
        record["first"], _ = play(data, min(FIRST_STEPS, FLAGS.paper_steps))
    elif FLAGS.only == "paper":
        record["paper"] = play_the_paper(data)
    else:
        time_rows(data, record, path)
    write_record(path, record)
    print(f"wrote {path}")


def _begun(path, device, dataset) -> dict:
    """Returns the record to which a part is added; the first part begins a new record."""
    from mmtf.storage.provenance import provenance

    found = provenance()
    found["command"] = [one for one in found["command"] if not one.startswith("--only")]
    about = {"device": device, "dataset": dataset, "eta": ETA, **found}
    if FLAGS.only != "first" and os.path.exists(path):
        record = read_json(path)
        for name in ("device", "dataset", "eta", "versions", "hardware", "environment", "commit"):
            if record.get(name) != about[name]:
                raise ConfigError(
                    f"Expected a record with {name} {about[name]} in {path}, to add "
                    f"--only={FLAGS.only} to. Received: {record.get(name)}. Give another --output."
                )
        return record
    return about


def time_rows(data: Any, record: dict, path: str) -> None:
    """Measures the peaks and the rows; writes the record after every row."""
    from mmtf.runtime.devices import matmul_rate

    peaks = {name: matmul_rate(name, FLAGS.matmul) for name in PRECISIONS}
    record |= {
        "steps": FLAGS.steps,
        "matmul": FLAGS.matmul,
        "matmul_gflops": {name: round(peak / 1e9, 1) for name, peak in peaks.items()},
        "rows": [],
    }
    first, *others = [int(batch) for batch in FLAGS.batches]
    for xla, batch in [(True, first), (False, first), *((True, batch) for batch in others)]:
        for game, precision in itertools.product(GAMES_TIMED, PRECISIONS):
            row = time_steps(data, game, precision, batch, xla, peaks[precision])
            record["rows"].append(row)
            write_record(path, record)


if __name__ == "__main__":
    define_flags()
    app.run(main)

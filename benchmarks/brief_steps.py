"""Choice of the brief schedule's number of steps: held-out errors during training.

    python -m benchmarks.brief_steps

Plays MNIST's cat-and-mouse game at the brief schedule's learning rate, from the tutorial's
initializer and without dropout, on all but 5,000 training images. On those it measures the clean
error, the error under FGSM crafted on the current classifier, and the error under each FGSM k,
which was crafted before round k. Round 0 is the undefended net: the brief schedule gives it the
number of steps at which its clean error is nearest the paper's 0.026. The test split is not used.
Writes results/benchmarks/brief_steps.json.
"""

import json
from typing import Any

from absl import app, flags

from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.runtime import startup

FLAGS = flags.FLAGS
CLEAN = 0.026  # clean error of the paper's undefended MNIST net, Table 1
BATCH = 500


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_float("eta", 0.3, "Radius, for pixels in [-1, 1].")
    flags.DEFINE_integer("held_out", 5000, "Training images to measure on.", lower_bound=1)
    flags.DEFINE_integer("first_steps", 1500, "Steps of round 0.", lower_bound=1)
    flags.DEFINE_integer("steps", 400, "Steps of each later round.", lower_bound=1)
    flags.DEFINE_integer("rounds", 2, "Number of rounds after round 0.", lower_bound=1)
    flags.DEFINE_integer("every", 100, "Steps between two measurements.", lower_bound=1)
    flags.DEFINE_string("output", "results/benchmarks/brief_steps.json", "Path of the record.")


def nearest(points: list[dict], first_steps: int) -> int:
    """Returns the step of round 0 whose clean error is nearest the paper's; the first in a tie.

    Example:
      >>> nearest([{"step": 0, "none": 0.9}, {"step": 5, "none": 0.03}, {"step": 9, "none": 0}], 5)
      5
    """
    mine = [point for point in points if 0 < point["step"] <= first_steps]
    return min(mine, key=lambda point: abs(point["none"] - CLEAN))["step"]


def play(
    data: Any, eta: float, first_steps: int, steps: int, rounds: int, every: int
) -> list[dict]:
    """Plays one game on `data`; returns its errors on the test split, a dict for each point."""
    import tensorflow as tf

    from mmtf.attacks.single_step import FGSM
    from mmtf.evaluation.runner import misclassified
    from mmtf.games.adv_fgsm import AdvFGSM
    from mmtf.nets.mnist import mnist_cnn
    from mmtf.presets import default_net_options, schedule_of
    from mmtf.threat import ThreatModel
    from mmtf.training.callbacks import Callbacks
    from mmtf.training.train import train

    attack, points, known = FGSM(ThreatModel(eta=eta)), [], {}
    x, y = (tf.constant(one) for one in data.test())
    options = {"init": "tutorial", **default_net_options("mnist_cnn", "brief")}
    shape = tuple(x.shape[1:])
    net = mnist_cnn(image_shape=shape, num_classes=data.num_classes, seed=0, **options)

    def fgsm():
        parts = [slice(i, i + BATCH) for i in range(0, len(y), BATCH)]
        return tf.concat([attack(net, x[part], y[part]) for part in parts], 0)

    def on_evaluation(step):
        images = {"none": x, "fgsm_curr": fgsm(), **known}
        errors = {name: float(misclassified(net, z, y).mean()) for name, z in images.items()}
        points.append({"step": int(step), **errors})
        print(json.dumps(points[-1]), flush=True)

    def on_round_end(number):
        known[f"fgsm{number + 1}"] = fgsm()

    train(
        AdvFGSM(ThreatModel(eta=eta), rounds=rounds),
        data,
        schedule=schedule_of("adv_fgsm", "mnist", "brief", steps=steps, first_steps=first_steps),
        model=net,
        events=lambda _: Callbacks(
            on_evaluation=on_evaluation, evaluate_every=every, on_round_end=on_round_end
        ),
        progress=False,
    )
    return points


@in_one_line("benchmarks.brief_steps")
def main(_: list[str]) -> None:
    """Plays the game, prints the best number of steps and writes the record."""
    startup.import_tensorflow()
    from mmtf.data import load_data
    from mmtf.storage.provenance import provenance

    data = load_data(FLAGS.dataset).holdout(FLAGS.held_out)
    given = {name: FLAGS[name].value for name in ("eta", "first_steps", "steps", "rounds")}
    points = play(data, every=FLAGS.every, **given)
    step = nearest(points, FLAGS.first_steps)
    print(f"The undefended net's clean error is nearest {CLEAN} at step {step}.")
    record = {"dataset": data.name, "held_out": FLAGS.held_out, **given, "points": points}
    write_record(FLAGS.output, {**record, "nearest": step, **provenance()})
    print(f"wrote {FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""How far the fused penalty's gradient is from Eq. 8's, on classifiers that Minimax-Grad trained.

    python -m benchmarks.fused_penalty --models=runs/minimax_grad-mnist-eta0.3-seed0

On batches of the training set, perturbed as in a step, without dropout, whose masks differ from one
precision to the other: |fused - exact| relative to the gradient and to the penalty's part of it,
beside what bfloat16 does to the exact one. Writes results/benchmarks/fused_penalty.json;
`python -m scripts.gradient_games` renders it.
"""

import os
import sys

from absl import app, flags

from mmtf import quiet
from mmtf.config import ConfigError

FLAGS = flags.FLAGS
BATCH = 128


def define_flags() -> None:
    """Not on import: tests import several scripts."""
    flags.DEFINE_list("models", None, "Workdirs of mmtf.run --game=minimax_grad.")
    flags.mark_flag_as_required("models")
    flags.DEFINE_integer("batches", 4, "Of 128 images; means count.", lower_bound=1)
    flags.DEFINE_string("output", "results/benchmarks/fused_penalty.json", "The record.")


def step_gradients(classifier, threat, x, y, precision) -> dict:
    """Flat float32 gradients of one step's objective: `risk`, `nested`, `fused`."""
    import contextlib

    import numpy as np
    import tensorflow as tf

    from mmtf.games.base import Players, Turn
    from mmtf.games.minimax_grad import MinimaxGrad
    from mmtf.nets.precision import computing_in

    turn = Turn(
        round=tf.constant(0),
        seed=tf.constant([0, 0]),
        global_batch_size=len(y),
        replicas=1,
        randomness=lambda *models: contextlib.nullcontext(),
    )
    variables = classifier.trainable_variables

    def gradient(game, z):
        with tf.GradientTape() as tape:
            objective, _ = game.objective(classifier, z, y, turn)
        return tape.gradient(objective, variables)

    @tf.function(autograph=False)
    def gradients(x):
        with computing_in(classifier, "float32"):
            z, _ = MinimaxGrad(threat).perturb(Players({"classifier": classifier}, {}), x, y, turn)
        with computing_in(classifier, precision):
            return {
                "risk": gradient(MinimaxGrad(threat, gamma=0.0), z),
                "nested": gradient(MinimaxGrad(threat), z),
                "fused": gradient(MinimaxGrad(threat, penalty="fused"), z),
            }

    found = gradients(tf.constant(x))
    return {name: np.concatenate([np.ravel(one) for one in all_]) for name, all_ in found.items()}


def distances(classifier, threat, x, y) -> dict[str, float]:
    """Of one batch: lengths relative to those of the exact gradient or of its penalty's part."""
    from numpy.linalg import norm

    full = step_gradients(classifier, threat, x, y, "float32")
    low = step_gradients(classifier, threat, x, y, "bfloat16")
    exact, fused = full["nested"], full["fused"]
    return {
        "of_gradient": norm(fused - exact) / norm(exact),
        "of_penalty": norm(fused - exact) / norm(exact - full["risk"]),
        "penalty_of_gradient": norm(exact - full["risk"]) / norm(exact),
        "cosine": fused @ exact / norm(fused) / norm(exact),
        "bfloat16_of_gradient": norm(low["nested"] - exact) / norm(exact),
        "bfloat16_fused_of_gradient": norm(low["fused"] - exact) / norm(exact),
    }


def measure(path: str, batches: int) -> dict:
    """The row of one classifier."""
    import keras
    import numpy as np

    from mmtf.data import load_data
    from mmtf.evaluation.models import load_defense
    from mmtf.reports import read_json
    from mmtf.threat import ThreatModel

    config = read_json(os.path.join(path, "record.json"))["config"]
    classifier = load_defense(path).classifier
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    x, y = load_data(config["dataset"]).train(batches * BATCH)
    threat = ThreatModel(eta=config["eta"])
    parts = [
        distances(classifier, threat, x[at : at + BATCH], y[at : at + BATCH])
        for at in range(0, len(y), BATCH)
    ]
    means = {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
    kept = {name: config[name] for name in ("dataset", "game", "eta", "seed")}
    return {**kept, "images": len(y), **means}


def main(_) -> int:
    try:
        _write()
    except (ConfigError, OSError) as error:
        print(f"benchmarks.fused_penalty: {error}", file=sys.stderr)
        return 1
    return 0


def _write():
    quiet.import_tensorflow()
    from mmtf.provenance import provenance
    from mmtf.reports import write_json

    rows = []
    for path in FLAGS.models:
        rows.append(measure(path, FLAGS.batches))
        print(f"eta {rows[-1]['eta']:g}: {rows[-1]['of_gradient']:.1%} of the gradient", flush=True)
    os.makedirs(os.path.dirname(os.path.abspath(FLAGS.output)), exist_ok=True)
    write_json(FLAGS.output, {"rows": rows, "batch": BATCH, **provenance()})
    print(f"wrote {FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    app.run(main)

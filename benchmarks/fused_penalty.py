"""How far the fused penalty's gradient is from Eq. 8's, on classifiers that Minimax-Grad trained.

    python -m benchmarks.fused_penalty --models=runs/minimax_grad-mnist-eta0.3-seed0

On batches of the training set, perturbed as in a step, without dropout, whose masks differ from one
precision to the other: |fused - exact| relative to the gradient and to the penalty's part of it,
beside what bfloat16 does to the exact one. Writes results/benchmarks/fused_penalty.json;
`python -m scripts.gradient_games` renders it.
"""

import os

from absl import app, flags

from mmtf.cli.errors import in_one_line
from mmtf.errors import require
from mmtf.runtime import startup

FLAGS = flags.FLAGS
BATCH = 128


def define_flags() -> None:
    """Not on import: tests import several scripts."""
    flags.DEFINE_list("models", None, "Workdirs of mmtf.run --game=minimax_grad.")
    flags.mark_flag_as_required("models")
    flags.DEFINE_integer("batches", 16, "Of 128 training images.", lower_bound=1)
    flags.DEFINE_string("output", "results/benchmarks/fused_penalty.json", "The record.")


def gradients_of(classifier, config, precision):
    """(x, y) -> flat float32 gradients of a step's objective by `risk`, `nested` and `fused`."""
    import contextlib

    import numpy as np
    import tensorflow as tf

    from mmtf.classifiers.precision import computing_in
    from mmtf.games.base import Players, Turn
    from mmtf.games.minimax_grad import MinimaxGrad
    from mmtf.threat import ThreatModel

    threat = ThreatModel(eta=config["eta"], norm=config["norm"])
    options = {name: config["game_options"][name] for name in ("gamma", "max_steps")}
    games = {
        "risk": MinimaxGrad(threat, **options | {"gamma": 0.0}),
        "nested": MinimaxGrad(threat, **options),
        "fused": MinimaxGrad(threat, **options, penalty="fused"),
    }
    turn = Turn(
        round=tf.constant(0),
        seed=tf.constant([0, 0]),
        global_batch_size=BATCH,
        replicas=1,
        randomness=lambda *models: contextlib.nullcontext(),
    )

    def gradient(game, z, y):
        with tf.GradientTape() as tape:
            objective, _ = game.objective(classifier, z, y, turn)
        return tape.gradient(objective, classifier.trainable_variables)

    @tf.function(autograph=False)
    def traced(x, y):
        with computing_in(classifier, "float32"):
            z, _ = games["nested"].perturb(Players({"classifier": classifier}, {}), x, y, turn)
        with computing_in(classifier, precision):
            return {name: gradient(game, z, y) for name, game in games.items()}

    def gradients(x, y):
        found = traced(tf.constant(x), tf.constant(y)).items()
        return {name: np.concatenate([np.ravel(one) for one in parts]) for name, parts in found}

    return gradients


def distances(full: dict, low: dict) -> dict[str, float]:
    """Lengths relative to that of the exact gradient, or of its penalty's part.

    Args:
      full, low: of one batch, see `gradients_of`, in float32 and in bfloat16.

    Example:
      >>> import numpy as np
      >>> full = {"risk": np.array([3.0]), "nested": np.array([4.0]), "fused": np.array([5.0])}
      >>> found = distances(full, full)
      >>> found["of_gradient"], found["of_penalty"], found["bfloat16_of_gradient"]
      (0.25, 1.0, 0.0)
    """
    from numpy.linalg import norm

    exact, fused, penalty = full["nested"], full["fused"], full["nested"] - full["risk"]
    lengths = {
        "penalty_of_gradient": norm(penalty) / norm(exact),
        "of_gradient": norm(fused - exact) / norm(exact),
        "of_penalty": norm(fused - exact) / norm(penalty),
        "cosine": fused @ exact / norm(fused) / norm(exact),
        "bfloat16_of_gradient": norm(low["nested"] - exact) / norm(exact),
        "bfloat16_fused_of_gradient": norm(low["fused"] - exact) / norm(exact),
    }
    return {name: float(value) for name, value in lengths.items()}


def measure(path: str, batches: int) -> dict:
    """The row of one classifier."""
    import keras

    from mmtf.classifiers.loading import load_classifier
    from mmtf.data import load_data
    from mmtf.reports import read_json
    from mmtf.runs.workdir import is_finished

    require(is_finished(path), "the workdir of a finished run", path)
    config = read_json(os.path.join(path, "record.json"))["config"]
    require(config["game"] == "minimax_grad", "a run of --game=minimax_grad", config["game"])
    classifier = load_classifier(path).model
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    x, y = load_data(config["dataset"]).train(batches * BATCH)
    full, low = (gradients_of(classifier, config, one) for one in ("float32", "bfloat16"))
    parts = []
    require(len(y) >= BATCH, f"{BATCH} training images or more", len(y))
    for at in range(0, len(y) - BATCH + 1, BATCH):
        batch = x[at : at + BATCH], y[at : at + BATCH]
        parts.append(distances(full(*batch), low(*batch)))
    kept = {name: config[name] for name in ("dataset", "game", "game_options", "eta", "seed")}
    return {**kept, "batches": parts}


@in_one_line("benchmarks.fused_penalty")
def main(_):
    startup.import_tensorflow()
    from mmtf.reports import write_json
    from mmtf.storage.provenance import provenance

    rows = []
    for path in FLAGS.models:
        rows.append(measure(path, FLAGS.batches))
        most = max(one["of_gradient"] for one in rows[-1]["batches"])
        print(f"eta {rows[-1]['eta']:g}: at most {most:.1%} of the gradient", flush=True)
    os.makedirs(os.path.dirname(os.path.abspath(FLAGS.output)), exist_ok=True)
    write_json(FLAGS.output, {"rows": rows, "batch": BATCH, **provenance()})
    print(f"wrote {FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    app.run(main)

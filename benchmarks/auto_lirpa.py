"""Verifiers beside auto_LiRPA (PyTorch) on the same weights: tightness and images per second.

    python -m benchmarks.auto_lirpa --model=runs/mtl_ibp/model.keras --python=lirpa/bin/python

Bounds all margins of --n random test images by `ibp`, `crown_ibp`, `crown` and `alpha_crown` of
`mmtf.bounds` (float64) and by the same methods of auto_LiRPA (float32), in turn, --rounds times;
the first round, in which TensorFlow compiles, is not counted, nor is the construction of
auto_LiRPA's modules. In both the slopes of alpha-CROWN are those of the last pass, on inner bounds
of CROWN. The model is a Sequential of convolutions and
dense layers with ReLUs. auto_LiRPA needs an interpreter of its own, --python, because its releases
on PyPI require PyTorch < 1.13 and NumPy < 2:

    python -m venv lirpa
    lirpa/bin/pip install torch==1.13.1 "numpy<2" pyyaml tqdm graphviz appdirs
    lirpa/bin/pip install --no-deps auto_LiRPA==0.3

Writes results/benchmarks/auto_lirpa.json. `python -m scripts.verifiers` renders it.
"""

import json
import os
import tempfile
import time
from typing import Any

import numpy as np
from absl import app, flags

from benchmarks.interleave import TimedProcess
from benchmarks.records import write_record
from mmtf.cli.errors import in_one_line
from mmtf.errors import require
from mmtf.runtime import startup

FLAGS = flags.FLAGS
METHODS = ("ibp", "crown_ibp", "crown", "alpha_crown")


def define_flags() -> None:
    """Defines the command's flags; a function, because one test may import several scripts."""
    flags.DEFINE_string("model", None, "Path of a Keras model.", required=True)
    flags.DEFINE_string("python", None, "Interpreter that has auto_LiRPA.", required=True)
    flags.DEFINE_string("dataset", "mnist", "Dataset, as in mmtf.run.")
    flags.DEFINE_float("eta", 0.3, "Radius, for pixels in [-1, 1].", lower_bound=1e-9)
    flags.DEFINE_integer("n", 16, "Test images.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Seed by which the images are chosen.")
    flags.DEFINE_integer("rounds", 3, "Repetitions; the first is not counted.", lower_bound=2)
    flags.DEFINE_integer("iterations", 25, "Gradient steps of alpha-CROWN.", lower_bound=1)
    flags.DEFINE_multi_enum("methods", METHODS, METHODS, "Methods that are compared.")
    flags.DEFINE_string("output", "results/benchmarks/auto_lirpa.json", "Path of the record.")


def layers_of(model: Any) -> list[dict[str, Any]]:
    """The layers of a Sequential as `benchmarks.peers.auto_lirpa_peer` builds them again.

    Raises:
      ConfigError: a layer, or an activation other than ReLU before the last layer.
    """
    import keras

    found, flattened = [], None
    kept = [one for one in model.layers if not isinstance(one, keras.layers.InputLayer)]
    for layer in kept:
        if isinstance(layer, keras.layers.Flatten):
            flattened = list(layer.input.shape[1:])
            continue
        known = isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        require(known, "Conv2D, Flatten and Dense layers", type(layer).__name__)
        name = layer.activation.__name__
        require(name == ("linear" if layer is kept[-1] else "relu"), "ReLUs between layers", name)
        if isinstance(layer, keras.layers.Dense):
            found.append({"kind": "dense", "channels": flattened})
            flattened = None
            continue
        padding = []
        for size, kernel, stride, out in zip(
            layer.input.shape[1:3],
            layer.kernel_size,
            layer.strides,
            layer.output.shape[1:3],
            strict=True,
        ):
            total = max(0, (out - 1) * stride + kernel - size) if layer.padding == "same" else 0
            padding += [total // 2, total - total // 2]
        found.append({"kind": "conv", "stride": list(layer.strides), "padding": padding})
    return found


def compare(model: Any, x: np.ndarray, y: np.ndarray) -> tuple[list[dict], dict]:
    """Runs both in turn; returns a row for each method, and the peer's versions."""
    from mmtf.bounds import BOUNDS, Ball
    from mmtf.bounds.graph import Graph

    graph, ball = Graph(model), Ball(eta=FLAGS.eta)
    region = ball.region(x)
    order = [name for name in FLAGS.methods for _ in range(FLAGS.rounds)]
    about = {"layers": layers_of(model), "order": order, "iterations": FLAGS.iterations}
    about["threads"] = os.cpu_count() or 1
    arrays = {f"weight{i}": one for i, one in enumerate(model.get_weights())}
    arrays |= {"low": np.float32(region.low), "high": np.float32(region.high), "x": x, "y": y}
    peer_file = os.path.join(os.path.dirname(__file__), "peers", "auto_lirpa_peer.py")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "task.npz")
        np.savez(path, about=json.dumps(about), **arrays)
        peer = TimedProcess("auto_LiRPA", [peer_file, path], python=FLAGS.python)
        logits = model.predict(x, verbose=0)
        gap = float(np.abs(logits - np.array(peer.ready["logits"])).max())
        require(gap < 1e-3, "the same logits in PyTorch", gap)
        rows = []
        for name in FLAGS.methods:
            options = {"iterations": FLAGS.iterations} if name == "alpha_crown" else {}
            verifier = BOUNDS[name](graph, **options)
            runs: dict[str, list] = {"mmtf": [], "auto_LiRPA": []}
            for _ in range(FLAGS.rounds):
                began, cpu = time.perf_counter(), time.process_time()
                own = verifier(x, y, ball)
                took = time.perf_counter() - began, time.process_time() - cpu
                runs["mmtf"].append(dict(zip(("seconds", "cpu_seconds"), took, strict=True)))
                found = peer.go()
                other = np.array(found.pop("margins"))
                runs["auto_LiRPA"].append(found)
            rows.append(row_of(name, own[np.isfinite(own)].reshape(len(x), -1), other, runs))
            print(_line(rows[-1]), flush=True)
        peer.close()
    return rows, peer.ready["versions"]


def row_of(name: str, own: np.ndarray, other: np.ndarray, runs: dict[str, list]) -> dict[str, Any]:
    """What is recorded of one method.

    Args:
      name: of the method.
      own, other: margins [N, classes - 1] of mmtf and of auto_LiRPA.
      runs: the times of all rounds, of which the first is left out.
    """
    row: dict[str, Any] = {"method": name, "n": len(own)}
    for side, values in (("mmtf", own), ("auto_LiRPA", other)):
        times = runs[side][1:]
        row[side] = {
            key: float(np.median([one[key] for one in times])) for key in ("seconds", "cpu_seconds")
        }
        row[side]["certified"] = int((values.min(1) > 0).sum())
        row[side]["mean_margin"] = float(values.mean())
    difference = own - other
    row["difference"] = {
        "least": float(difference.min()),
        "mean": float(difference.mean()),
        "greatest": float(difference.max()),
    }
    return row


def without_folders(command: list[str]) -> list[str]:
    """A command line whose paths are names only: folders of a machine mean nothing elsewhere.

    Example:
      >>> without_folders(["a.py", "--model=/home/me/net.keras", "--n=8"])
      ['a.py', '--model=net.keras', '--n=8']
    """
    flag = [one.partition("=") for one in command]
    return [name + equal + os.path.basename(value) for name, equal, value in flag]


def _line(row):
    speeds = {side: row["n"] / row[side]["cpu_seconds"] for side in ("mmtf", "auto_LiRPA")}
    return f"{row['method']}: images per CPU second {speeds}, margins {row['difference']}"


@in_one_line("benchmarks.auto_lirpa")
def main(_: list[str]) -> int:
    """Compares and writes the record."""
    startup.import_tensorflow()
    import keras

    from mmtf.data import load_data
    from mmtf.storage.digest import sha256
    from mmtf.storage.provenance import provenance

    model = keras.models.load_model(FLAGS.model)
    x, y = load_data(FLAGS.dataset).test()
    chosen = np.random.default_rng(FLAGS.seed).permutation(len(x))[: FLAGS.n]
    rows, versions = compare(model, np.float32(x[chosen]), np.asarray(y)[chosen])
    settings = {name: FLAGS[name].value for name in ("dataset", "eta", "n", "seed", "rounds")}
    settings |= {"iterations": FLAGS.iterations, "parameters": model.count_params()}
    settings["weights"] = sha256(*model.get_weights())
    found = provenance()
    found["versions"] = {**found["versions"], **versions}
    found["command"] = without_folders(found["command"])
    write_record(FLAGS.output, {**settings, "rows": rows, **found})
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""One variant of one work in a process of its own: prepares, then runs a block at every line.

Started by `benchmarks.peers.speed`; speaks JSON lines on stdout. What libraries print to stdout
goes to stderr.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

# Runs `count` units of work; returns the error that it measured, or None.
Block = Callable[[], float | None]
# Variant -> module whose `prepare_<work>` returns its block.
MODULES = {
    "mmtf": "ours",
    "mmtf_every2": "ours_every2",
    "cleverhans": "cleverhans_peer",
    "torch": "torch_peer",
    "foolbox": "foolbox_peer",
    "foolbox_torch": "foolbox_torch_peer",
    "art": "art_peer",
    "art_function": "art_function_peer",
    "autoattack": "autoattack_peer",
}


class Task:
    """The inputs of a variant.

    Attributes:
      folder: holds classifier.keras, and weights.npz with its weights in order.
      images: float32 [N, 28, 28, 1] in [-1, 1].
      labels: int32 [N].
      precision: `float32` or `bfloat16`.
      count: units of work in a block.
    """

    def __init__(self, folder: str, precision: str, count: int):
        self.folder = folder
        self.precision = precision
        self.count = count
        with np.load(os.path.join(folder, "data.npz")) as data:
            self.images, self.labels = data["images"], data["labels"]

    def weights(self) -> list[np.ndarray]:
        """Returns the classifier's weights in order."""
        with np.load(os.path.join(self.folder, "weights.npz")) as kept:
            return [kept[name] for name in sorted(kept.files, key=int)]

    def classifier(self) -> Any:
        """Loads the Keras classifier."""
        import keras

        path = os.path.join(self.folder, "classifier.keras")
        return keras.models.load_model(path, compile=False)


def cpu_seconds() -> float:
    """Returns the CPU seconds that this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mib() -> float:
    """Returns this process's peak resident memory; ru_maxrss would include its parent's."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(arguments: list[str]) -> None:
    """Prepares the variant and runs a block for each line `go` on stdin."""
    work, variant, precision, count, warm, folder = arguments
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values):
        print(json.dumps(values), file=out, flush=True)

    module = importlib.import_module(f"benchmarks.peers.speed.{MODULES[variant]}")
    block = getattr(module, f"prepare_{work}")(Task(folder, precision, int(count)))
    if warm == "warm":
        block()
    say(ready=True)
    for line in sys.stdin:
        if line.strip() != "go":
            break
        began, cpu = time.perf_counter(), cpu_seconds()
        error = block()
        wall, spent = time.perf_counter() - began, cpu_seconds() - cpu
        say(wall=wall, cpu=spent, cpu_total=cpu_seconds(), peak_mib=peak_mib(), error=error)


if __name__ == "__main__":
    main(sys.argv[1:])

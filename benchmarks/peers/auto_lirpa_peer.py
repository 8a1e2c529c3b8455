"""Bounds by auto_LiRPA of a net and images that `benchmarks.auto_lirpa` has written.

Runs in an interpreter of its own, which has PyTorch and auto_LiRPA and need not have TensorFlow.
Prints a line of JSON when it is ready, and one for each line "go": the margins of one method and
the seconds they took.
"""

import json
import sys
import time
from typing import Any

import auto_LiRPA
import numpy as np
import torch

OPTIMIZED = "CROWN-Optimized"
METHODS = {
    "ibp": "IBP",
    "crown_ibp": "CROWN-IBP",
    "crown": "CROWN",
    "alpha_crown": OPTIMIZED,
}


def net_of(layers: list[dict[str, Any]], arrays: list[np.ndarray]) -> torch.nn.Module:
    """The PyTorch copy of a Keras net of convolutions and dense layers with ReLUs between them.

    Args:
      layers: list of {"kind": "conv" or "dense", "stride", "padding": [top, bottom, left, right],
        "channels": [height, width, channels] of the images that a dense layer flattens, or None}.
      arrays: kernel and bias of each, as Keras stores them.
    """
    parts = []
    for layer, kernel, bias in zip(layers, arrays[::2], arrays[1::2], strict=True):
        if layer["kind"] == "conv":
            height, width, inputs, outputs = kernel.shape
            top, bottom, left, right = layer["padding"]
            one = torch.nn.Conv2d(inputs, outputs, (height, width), layer["stride"])
            weight = kernel.transpose(3, 2, 0, 1)
            if any(layer["padding"]):
                parts.append(torch.nn.ZeroPad2d((left, right, top, bottom)))
        else:
            if layer["channels"]:  # Keras flattens [H, W, C], PyTorch [C, H, W]
                shape = (*layer["channels"], -1)
                kernel = kernel.reshape(shape).transpose(2, 0, 1, 3).reshape(kernel.shape)
                parts.append(torch.nn.Flatten())
            one = torch.nn.Linear(*kernel.shape)
            weight = kernel.T
        with torch.no_grad():
            one.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            one.bias.copy_(torch.from_numpy(bias))
        parts += [one, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


class Bounded:
    """auto_LiRPA's copy of a net, and the margins to bound.

    Args:
      net: from `net_of`.
      x, low, high: images and the ends of their balls, float32 [N, C, H, W].
      y: list of N labels.
      classes: number of classes.
      iterations: gradient steps of alpha-CROWN.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        x: torch.Tensor,
        y: list[int],
        low: torch.Tensor,
        high: torch.Tensor,
        classes: int,
        iterations: int,
    ):
        options = {
            "sparse_features_alpha": False,  # with it auto_LiRPA 0.3 fails on convolutions
            "sparse_spec_alpha": False,
            "optimize_bound_args": {"iteration": iterations},
        }
        self.module = auto_LiRPA.BoundedModule(net, x, bound_opts=options)
        ball = auto_LiRPA.PerturbationLpNorm(norm=np.inf, x_L=low, x_U=high)
        self.inputs = (auto_LiRPA.BoundedTensor(x, ball),)
        others = torch.tensor([[j for j in range(classes) if j != label] for label in y])
        unit = torch.eye(classes)
        self.rows = unit[torch.tensor(y)][:, None] - unit[others]

    def margins(self, method: str) -> np.ndarray:
        """Lower bounds of logit y - logit j for the other classes in order, [N, classes - 1]."""
        if method != OPTIMIZED:
            return self._bound(method)
        # As in mmtf, slopes are optimized in the last pass, on inner bounds of CROWN.
        self._bound("CROWN")
        inner = {
            node.inputs[0].name: (node.inputs[0].lower.detach(), node.inputs[0].upper.detach())
            for node in self.module.children()
            if type(node).__name__ == "BoundRelu"
        }
        return self._bound(method, intermediate_layer_bounds=inner)

    def _bound(self, method, **options):
        found, _ = self.module.compute_bounds(
            x=self.inputs, C=self.rows, method=method, bound_upper=False, **options
        )
        return found.detach().numpy()


def main(path: str) -> None:
    """Reads the file of the benchmark and answers one method after another."""
    with np.load(path) as kept:
        data = dict(kept)
    about = json.loads(str(data["about"]))
    torch.set_num_threads(about["threads"])
    arrays = [data[f"weight{i}"] for i in range(2 * len(about["layers"]))]
    net = net_of(about["layers"], arrays)
    x, low, high = (
        torch.from_numpy(np.ascontiguousarray(data[name].transpose(0, 3, 1, 2)))
        for name in ("x", "low", "high")
    )
    labels = data["y"].tolist()
    with torch.no_grad():
        logits = net(x).numpy().tolist()
    versions = {"torch": torch.__version__, "auto_LiRPA": auto_LiRPA.__version__}
    print(json.dumps({"logits": logits, "versions": versions}), flush=True)
    for name, _ in zip(about["order"], sys.stdin, strict=False):
        # Of one method after another; what a module keeps of a method must not help the next.
        bounded = Bounded(net, x, labels, low, high, len(logits[0]), about["iterations"])
        began, cpu = time.perf_counter(), time.process_time()
        found = bounded.margins(METHODS[name])
        row = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps({**row, "margins": found.tolist()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])

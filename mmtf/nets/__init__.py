"""Keras models: classifiers and attack networks.

A classifier (`NETS`) maps images float [N, H, W, C] in [-1, 1] to logits float32 [N, classes]. An
attack network (`ATTACK_NETS`) maps [images, labels int [N]] to perturbed images float32
[N, H, W, C].

The functions that build them are attributes, imported on first use: `mmtf.nets.mnist_cnn()`. No
module has the name of a function, because importing such a module would replace the function.
"""

from typing import Any

from mmtf.registry import Registry

# Arguments of every function here, set from the dataset and the run rather than by flags.
RUN_ARGUMENTS = ("image_shape", "num_classes", "seed")

# The nets of mmtf.nets.strided: they share their options and initializers.
STRIDED = ("strided_cnn", "clipped_cnn", "cnn7")

NETS = Registry(
    "net",
    {
        "mnist_cnn": "mmtf.nets.mnist:mnist_cnn",
        "cifar_cnn": "mmtf.nets.cifar:cifar_cnn",
        "strided_cnn": "mmtf.nets.strided:strided_cnn",
        "clipped_cnn": "mmtf.nets.strided:clipped_cnn",
        "cnn7": "mmtf.nets.strided:cnn7",
    },
    takes=RUN_ARGUMENTS,
)

ATTACK_NETS = Registry(
    "attack net",
    {
        "mlp": "mmtf.nets.mlp_attacker:attack_mlp",
        "conv": "mmtf.nets.conv_attacker:attack_conv",
        "unet": "mmtf.nets.unet_attacker:attack_unet",
        "universal": "mmtf.nets.universal_attacker:attack_universal",
    },
    takes=RUN_ARGUMENTS,
)

_FUNCTIONS = {
    **{name: (NETS, name) for name in NETS},
    **{f"attack_{name}": (ATTACK_NETS, name) for name in ATTACK_NETS},
}

__all__ = ["ATTACK_NETS", "NETS", *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        registry, key = _FUNCTIONS[name]
        return registry[key]
    raise AttributeError(f"module 'mmtf.nets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_FUNCTIONS])

"""Keras models.

Classifiers (`NETS`): images float [N, H, W, C] in [-1, 1] -> logits float32 [N, classes].
Attack networks (`ATTACK_NETS`): [images, labels int [N]] -> perturbed images float32.

The functions that make them are attributes, imported when first used: `mmtf.nets.mnist_cnn()`.
Their modules have other names, for Python would put a module of a function's name in its place.
"""

from typing import Any

from mmtf.registry import Registry

# What the data and the run decide: every function takes it.
RUN_ARGUMENTS = ("image_shape", "num_classes", "seed")

NETS = Registry(
    "net",
    {
        "mnist_cnn": "mmtf.nets.mnist:mnist_cnn",
        "cifar_cnn": "mmtf.nets.cifar:cifar_cnn",
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

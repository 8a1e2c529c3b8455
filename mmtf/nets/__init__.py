"""Keras models.

Classifiers (`NETS`): images float [N, H, W, C] in [-1, 1] -> logits float32 [N, classes].
Attack networks (`ATTACK_NETS`): [images, labels int [N]] -> perturbed images float32.
"""

from mmtf.registry import Registry

NETS = Registry(
    "net",
    {
        "mnist_cnn": "mmtf.nets.mnist_cnn:mnist_cnn",
        "cifar_cnn": "mmtf.nets.cifar_cnn:cifar_cnn",
    },
)

ATTACK_NETS = Registry(
    "attack net",
    {
        "mlp": "mmtf.nets.attack_mlp:attack_mlp",
        "conv": "mmtf.nets.attack_conv:attack_conv",
        "unet": "mmtf.nets.attack_unet:attack_unet",
        "universal": "mmtf.nets.attack_universal:attack_universal",
    },
)

__all__ = ["ATTACK_NETS", "NETS"]

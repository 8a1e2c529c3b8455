"""Keras classifiers: images float [N, H, W, C] in [-1, 1] -> logits float32 [N, classes]."""

from mmtf.lookup import Members

NETS = Members(
    "net",
    {
        "mnist_cnn": "mmtf.nets.mnist_cnn:mnist_cnn",
        "cifar_cnn": "mmtf.nets.cifar_cnn:cifar_cnn",
    },
)

__all__ = ["NETS"]

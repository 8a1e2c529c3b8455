"""The functions that make nets are attributes of the room, whatever was imported before."""

import itertools
import os
import subprocess
import sys

import pytest

import mmtf.nets

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FUNCTIONS = [
    "attack_conv",
    "attack_mlp",
    "attack_unet",
    "attack_universal",
    "cifar_cnn",
    "mnist_cnn",
]
CALL = """
import mmtf.nets
assert mmtf.nets.mnist_cnn(image_shape=(8, 8, 1), num_classes=3).output_shape == (None, 3)
"""
IMPORTS = {
    "its module": "import mmtf.nets.mnist",
    "its old module": "from mmtf.nets.mnist_cnn import mnist_cnn",
}


def test_they_are_listed():
    assert set(FUNCTIONS) <= set(dir(mmtf.nets))
    assert [mmtf.nets.__getattr__(name).__name__ for name in FUNCTIONS] == FUNCTIONS
    with pytest.raises(AttributeError, match="no attribute 'resnet'"):
        mmtf.nets.__getattr__("resnet")


@pytest.mark.parametrize("name", IMPORTS)
def test_a_net_is_a_function_whatever_was_imported_before_or_after(name):
    for parts in itertools.permutations([IMPORTS[name], CALL]):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "\n".join([*parts, CALL])],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

"""The functions that make nets are attributes of the room, whatever was imported before."""

import itertools
import json
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


# Each case begins as a new process would, but for Keras, which takes seconds to import.
CASES = """
import json, sys
import keras
finders = list(sys.meta_path)
for case in json.load(sys.stdin):
    sys.meta_path[:] = finders
    for name in [name for name in sys.modules if name.partition(".")[0] == "mmtf"]:
        del sys.modules[name]
    exec(case, {})
"""


def test_a_net_is_a_function_whatever_was_imported_before_or_after():
    cases = [
        "\n".join([*parts, CALL])
        for one in IMPORTS.values()
        for parts in itertools.permutations([one, CALL])
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CASES],
        cwd=ROOT,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

"""Keras files that were saved load by plain Keras, and compute what they did."""

import numpy as np
import readings
from readings import DATA

# A sum of a thousand float32 products of order one: sqrt(1000) * 2^-24 = 2e-6 where their rounding
# errors are independent, over a few layers.
TOLERANCE = 1e-5
NAMES = ("classifier", "trained", "attacker")
LOADS = """
import sys

import keras
import numpy as np

data, folder, *names = sys.argv[1:]
for name in names:
    stored = np.load(f"{data}/{name}_keras.npz")
    model = keras.models.load_model(f"{data}/{name}.keras")
    given = [stored[one] for one in ("images", "labels") if one in stored]
    outputs = model(given[0] if len(given) == 1 else given, training=False)
    np.save(f"{folder}/{name}.npy", keras.ops.convert_to_numpy(outputs))
assert "mmtf" not in sys.modules
"""


def test_saved_models_compute_the_same(tmp_path):
    done = readings.python("-c", LOADS, str(DATA), str(tmp_path), *NAMES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        stored = np.load(DATA / f"{name}_keras.npz")["outputs"]
        outputs = np.load(tmp_path / f"{name}.npy")
        np.testing.assert_allclose(outputs, stored, rtol=0, atol=TOLERANCE, err_msg=name)

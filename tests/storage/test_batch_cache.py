"""A stopped cell goes on from its finished blocks of images."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.base import Attack
from mmtf.attacks.iterated import PGD
from mmtf.evaluation.batching import LARGEST
from mmtf.evaluation.runner import BrokenConstraint, perturb
from mmtf.storage.batch_cache import BatchCache
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.2)


class Stopping(Attack):
    """Moves every pixel by `step`; is stopped at its block number `at`."""

    compiles_itself = True

    def __init__(self, threat, *, at=None, step=0.1):
        super().__init__(threat)
        self.at, self.step, self.calls = at, step, 0

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        if self.calls == self.at:
            raise KeyboardInterrupt
        self.calls += 1
        return x + self.step


@pytest.fixture
def data():
    return np.zeros((2 * LARGEST + 3, 4, 4, 1), np.float32), np.zeros(2 * LARGEST + 3, np.int32)


def test_only_what_is_missing_is_made(data, tmp_path, smooth):
    folder = str(tmp_path / "cell")
    with pytest.raises(KeyboardInterrupt):
        perturb(smooth, Stopping(THREAT, at=2), *data, kept=BatchCache(folder))
    assert list(BatchCache(folder)) == [0, 1]
    again = Stopping(THREAT)
    z = perturb(smooth, again, *data, kept=BatchCache(folder))
    assert again.calls == 1 and z.shape == data[0].shape
    np.testing.assert_array_equal(z, np.float32(0.1))
    BatchCache(folder).clear()
    assert len(BatchCache(folder)) == 0 and not (tmp_path / "cell").exists()


@pytest.mark.parametrize("bad", [b"", b"\x93NUMPY", b"no array"])
def test_a_bad_file_is_as_if_absent(bad, data, tmp_path, smooth):
    blocks = BatchCache(str(tmp_path))
    perturb(smooth, Stopping(THREAT), *data, kept=blocks)
    (tmp_path / "1.npy").write_bytes(bad)
    assert 1 not in blocks and blocks.get(1) is None
    again = Stopping(THREAT)
    perturb(smooth, again, *data, kept=blocks)
    assert again.calls == 1 and blocks[1].shape == (LARGEST, 4, 4, 1)


def test_blocks_of_other_images_are_made_again(data, tmp_path, smooth):
    blocks = BatchCache(str(tmp_path))
    blocks[0] = np.zeros((3, 4, 4, 1), np.float32)
    again = Stopping(THREAT)
    assert perturb(smooth, again, *data, kept=blocks).shape == data[0].shape
    assert again.calls == 3


def test_what_was_kept_is_checked_too(data, tmp_path, smooth):
    blocks = BatchCache(str(tmp_path))
    perturb(smooth, Stopping(THREAT), *data, kept=blocks)
    blocks[2] = np.full((3, 4, 4, 1), 0.3, np.float32)
    with pytest.raises(BrokenConstraint, match="3 of 3"):
        perturb(smooth, Stopping(THREAT), *data, kept=blocks)


class Told:
    def __init__(self):
        self.updates = []

    def update(self, step, metrics):
        self.updates.append((step, metrics))


def test_progress_is_told_of_iterations_and_blocks(smooth, rng):
    x = rng.uniform(-1, 1, (LARGEST + 5, 4, 4, 1)).astype(np.float32)
    y = np.argmax(smooth(tf.constant(x), training=False), 1).astype(np.int32)
    told = Told()
    perturb(smooth, PGD(ThreatModel(eta=0.01), steps=4), x, y, progress=told)
    inside = [(step, metrics["iteration"]) for step, metrics in told.updates if metrics]
    done = [step for step, metrics in told.updates if not metrics]
    assert inside == [(start, i) for start in (0, LARGEST) for i in (1, 2, 3, 4)]
    assert done == [LARGEST, LARGEST + 5]
    left = [metrics["left"] for _, metrics in told.updates if metrics]
    assert left[0] <= LARGEST and left == sorted(left[:4])[::-1] + left[4:]

"""class_weight and sample_weight of mmtf.train."""

import numpy as np
import pytest
import tiny

import mmtf
from mmtf.data import Batches
from mmtf.errors import ConfigError
from mmtf.training.weights import example_weights

LABELS = np.array([0, 1, 2, 1])


def test_the_weight_is_that_of_the_class_times_its_own():
    found = example_weights(LABELS, 3, {1: 2.0, 2: 0}, [1, 2, 3, 0.5])
    assert found.tolist() == [1, 4, 0, 1] and found.dtype == np.float32
    assert example_weights(LABELS, 3) is None


@pytest.mark.parametrize(
    ("class_weight", "sample_weight"),
    [
        ({3: 1.0}, None),
        ({0: -1.0}, None),
        ({0: float("nan")}, None),
        ({0: "2"}, None),
        ([1.0, 2.0, 3.0], None),
        ({0: 0, 1: 0, 2: 0}, None),
        (None, [1.0, 2.0]),
        (None, [1.0, 2.0, -3.0, 1.0]),
        (None, ["1", "2", "3", "4"]),
        (None, np.ones([4, 1])),
    ],
)
def test_wrong_weights_are_refused(class_weight, sample_weight):
    with pytest.raises(ConfigError, match="weight"):
        example_weights(LABELS, 3, class_weight, sample_weight)


def test_batches_carry_the_weights_of_their_examples():
    data = tiny.tiny_data()
    weights = np.arange(24, dtype=np.float32)
    for in_memory in (True, False):
        batches = Batches(data, batch_size=8, seed=1, in_memory=in_memory, weights=weights)
        rows = batches.indices(2)
        if in_memory:
            images, labels, own = batches.take(rows)
        else:
            images, labels, own = next(iter(batches.stream(2, 3)))
        np.testing.assert_array_equal(own, weights[rows])
        np.testing.assert_array_equal(labels, data.train_labels[rows])
        np.testing.assert_array_equal(images, data.train_images[rows])


def trained(**options):
    schedule = mmtf.Schedule(steps=6, batch_size=8, learning_rate=1e-2)
    game = mmtf.games.MinimaxGrad(tiny.THREAT)
    return mmtf.train(
        game,
        tiny.tiny_data(),
        schedule=schedule,
        model=tiny.tiny_net(),
        progress=False,
        precision="float32",
        **options,
    ).model.get_weights()


def test_training_uses_the_weights(tmp_path):
    data = tiny.tiny_data()
    by_class = trained(class_weight={0: 3.0, 2: 0.5})
    own = np.choose(data.train_labels, [3.0, 1.0, 0.5])
    tiny.assert_same(by_class, trained(sample_weight=own))
    tiny.assert_same(by_class, trained(sample_weight=own, in_memory=False))
    assert any((a != b).any() for a, b in zip(by_class, trained(), strict=True))
    trained(class_weight={0: 3.0}, checkpoint_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="those of another: weights"):
        trained(class_weight={0: 2.0}, checkpoint_dir=str(tmp_path))

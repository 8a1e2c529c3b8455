"""AutoAttack: the per-example worst case over its parts."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks.apgd import APGD
from mmtf.attacks.autoattack import AutoAttack
from mmtf.attacks.square import Square
from mmtf.threat import ThreatModel


@pytest.mark.parametrize("norm, eta", [("linf", 0.15), ("l2", 0.5)])
def test_no_part_alone_does_more(norm, eta, smooth, rng):
    threat = ThreatModel(eta=eta, norm=norm)
    x = tf.constant(rng.uniform(-1, 1, (200, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    attack = AutoAttack(threat, steps=20, queries=50)
    errors = {}
    for one in (attack, *attack.parts):
        z = one(smooth, x, y, seed=(0, 1))
        errors[type(one).__name__] = np.mean(np.argmax(smooth(z, training=False), 1) != y)
    assert 0.1 < errors.pop("AutoAttack") + 1e-9 >= max(errors.values())


def test_a_later_part_is_spent_on_the_standing_alone(smooth, rng):
    x = tf.constant(rng.uniform(-1, 1, (100, 4, 4, 1)).astype(np.float32))
    y = tf.argmax(smooth(x, training=False), 1, tf.int32)
    y = tf.tensor_scatter_nd_update(y, [[0]], [(y[0] + 1) % 3])  # wrong before any attack
    threat = ThreatModel(eta=0.15)
    first = AutoAttack(threat, steps=10, queries=1).parts[0]
    seed = tf.random.experimental.stateless_fold_in(tf.constant([0, 1]), 0)
    after = first(smooth, x, y, seed=seed)
    fallen = np.argmax(smooth(after, training=False), 1) != y.numpy()
    assert 5 < fallen.sum() < 95
    z = AutoAttack(threat, steps=10, queries=1)(smooth, x, y, seed=(0, 1))
    np.testing.assert_array_equal(z.numpy()[fallen], after.numpy()[fallen])
    np.testing.assert_array_equal(z[0], x[0])


# In a graph AutoAttack is traced in test_attack_contract.py; the number of classes is known there.
@pytest.mark.parametrize("compile_it", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_classes_go_without_targets(compile_it, linear):
    """Its linear boundary is met by every other part: what lies within eta falls, the rest not."""
    classifier = linear(np.stack([np.zeros(16), np.ones(16)], 1))
    x = np.zeros([3, 4, 4, 1], np.float32) - np.reshape([0.05, 0.25, -0.05], [3, 1, 1, 1])
    attack = AutoAttack(ThreatModel(eta=0.1), steps=5, queries=5)
    call = tf.function(attack.__call__) if compile_it else attack
    z = call(classifier, x.astype(np.float32), tf.constant([0, 0, 1]))
    assert np.argmax(classifier(z, training=False), 1).tolist() == [1, 0, 0]


def test_the_standard_settings():
    parts = AutoAttack(ThreatModel(eta=0.3)).parts
    assert [type(part).__name__ for part in parts] == ["APGD", "APGDTargeted", "FAB", "Square"]
    assert isinstance(parts[0], APGD) and isinstance(parts[3], Square)
    assert (parts[0].steps, parts[1].targets, parts[2].targets, parts[3].steps) == (
        100,
        9,
        9,
        5000,
    )

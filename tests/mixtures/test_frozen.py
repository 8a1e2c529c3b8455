"""Columns are functions of (x, y), and the game that is trained against them."""

import numpy as np
import pytest
import tensorflow as tf

from mmtf.attacks import FGSM, PGD, NoAttack, Transfer, UniversalPerturbation
from mmtf.errors import ConfigError
from mmtf.evaluation.fitted_universal import FittedUniversal
from mmtf.games.players import Batch, StepContext
from mmtf.mixtures import MixedAttacks, PayoffTable, frozen_attacks
from mmtf.mixtures.frozen import NOT_SIMULTANEOUS, column_names, require_frozen
from mmtf.threat import ThreatModel

THREAT = ThreatModel(eta=0.2)


def test_an_attack_recomputed_for_each_row_is_refused(linear):
    net, moved = linear(np.eye(4)), UniversalPerturbation(THREAT, np.zeros((2, 2, 1)))
    for attack in (FGSM(THREAT), PGD(THREAT), FittedUniversal(THREAT), None):
        with pytest.raises(ConfigError, match="best response .leader-follower., not a simul"):
            require_frozen("pgd", attack)
    for attack in (NoAttack(THREAT), Transfer(net, FGSM(THREAT)), moved):
        require_frozen("pgd@net", attack)
    table = PayoffTable(np.zeros((2, 2, 2, 1)), [0, 1])
    with pytest.raises(ConfigError, match="function of"):
        table.add(attacks={"fgsm": FGSM(THREAT)})
    with pytest.raises(ConfigError, match="not a simultaneous strategy"):
        column_names(["fgsm@*", "pgd"], ["a", "b"])
    assert "leader-follower" in NOT_SIMULTANEOUS


def test_names_of_columns():
    assert column_names(["none", "fgsm@b", "pgd@*"], ["a", "b"]) == [
        *("none", "fgsm@b", "pgd@a", "pgd@b")
    ]
    for wrong in (["fgsm@c"], ["fgsm@a", "fgsm@*"]):
        with pytest.raises(ConfigError):
            column_names(wrong, ["a", "b"])


def test_the_table_crafts_each_column_once(linear, rng, make_dataset):
    x = rng.uniform(-0.5, 0.5, (6, 2, 2, 1)).astype(np.float32)
    y = rng.integers(0, 4, 6).astype(np.int32)
    nets = {"a": linear(rng.normal(size=(4, 4))), "b": linear(rng.normal(size=(4, 4)))}
    table = PayoffTable(x, y)
    table.add(nets)
    table.add(attacks=frozen_attacks(["fgsm@a", "none"], table.defenses, THREAT, make_dataset()))
    z = np.asarray(FGSM(THREAT)(nets["a"], x, y))
    np.testing.assert_allclose(table.images("fgsm@a"), z, atol=1e-6)
    measured = table.payoffs()
    assert measured.attacks == ("fgsm@a", "none") and measured.wrong.shape == (2, 2, 6)
    for row, net in enumerate(nets.values()):
        np.testing.assert_array_equal(measured.wrong[row, 0], net.logits64(z).argmax(-1) != y)
        np.testing.assert_array_equal(measured.wrong[row, 1], measured.clean[row])
    assert table.images("fgsm@a") is table.images("fgsm@a")
    with pytest.raises(ConfigError, match="defenses of different names"):
        table.add({"a": nets["b"]})


def test_the_max_step_draws_one_attack_for_each_example(linear):
    """Against a linear net PGD ends in the corner x - eta sign(w), from wherever it starts."""
    w = np.array([1.0, -2.0, 3.0, -4.0])
    source = linear(np.stack([w, -w], 1))
    pgd = Transfer(source, PGD(THREAT, steps=6, stop_early=False))
    moves = [UniversalPerturbation(THREAT, np.full((2, 2, 1), v)) for v in (0.1, -0.1)]
    game = MixedAttacks(THREAT, attacks=[*moves, pgd, moves[0]], q=[0.2, 0.3, 0.5, 1e-6])
    assert len(game.attacks) == 3

    @tf.function(autograph=False)
    def perturb(x, y, seed):
        context = StepContext(tf.constant(0), seed, 1, 1, dropout=lambda *_: None)
        return game.perturb(None, Batch(x, y), context)

    count = 3000
    x, y = tf.zeros([count, 2, 2, 1]), tf.zeros([count], tf.int32)
    z, labels = perturb(x, y, tf.constant([1, 2]))
    assert labels is not None
    z = np.asarray(z).reshape(count, 4)
    ends = [np.full(4, 0.1), np.full(4, -0.1), -0.2 * np.sign(w)]
    drawn = np.array([np.abs(z - end).max(-1) < 1e-6 for end in ends])
    assert (drawn.sum(0) == 1).all()
    for share, q in zip(drawn.mean(-1), (0.2, 0.3, 0.5), strict=True):
        assert abs(share - q) < 4 * np.sqrt(q * (1 - q) / count)
    again, _ = perturb(x, y, tf.constant([1, 2]))
    np.testing.assert_array_equal(np.asarray(again).reshape(count, 4), z)
    # Some attacks are drawn for no example of a small batch.
    assert perturb(x[:1], y[:1], tf.constant([1, 2]))[0].shape == (1, 2, 2, 1)

"""Weight k means k copies of the example, penalties included."""

import functools

import keras
import nets
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.games import GAMES, Batch, StepContext
from mmtf.training.dropout import seeded_dropout

# Every kind of term: the risk alone, the penalty of Eq. 8 in all its forms, an attack with a start
# at random, the penalty of Eq. 16, which is of the gradient of the weighted mean.
CASES = {
    "undefended": ("undefended", {}),
    "lwa": ("lwa", {}),
    "minimax_grad": ("minimax_grad", {"gamma": 3.0}),
    "finite_difference": ("minimax_grad", {"penalty": "finite_difference", "gamma": 3.0}),
    "adv_pgd": ("adv_pgd", {"max_steps": 2}),
    "minimax_attnet": ("minimax_attnet", {"net_options": {"width": 8, "dropout": 0.0}}),
}


def gradients(game, x, y, weights, rows=None):
    """What the game's step gives its optimizers, for a mean over 7 examples."""
    given = {}

    class Recording(keras.optimizers.SGD):
        def apply(self, grads, variables=None):
            given[self.name] = [tf.convert_to_tensor(one).numpy() for one in grads]

    def make_optimizer(variables=None, scale=1.0, updates=1, player="classifier"):
        return Recording(1e-2, name=player)

    if rows is not None:  # copies start where their example does
        perturb = type(game).perturb
        first = np.unique(rows, return_index=True)[1]

        def perturbed(players, batch, context):
            z, _ = perturb(game, players, Batch(*(one[: len(first)] for one in batch)), context)
            return Batch(tf.gather(z, rows), batch.y)

        if not game.learns_attacker:
            game.perturb = perturbed
    seed = tf.constant([0, 1])
    context = StepContext(
        round=tf.constant(0),
        seed=seed,
        global_batch_size=7,
        replicas=1,
        dropout=functools.partial(seeded_dropout, seed=seed),
        weights=None if weights is None else tf.constant(weights, tf.float32),
    )
    players = game.make_players(nets.net(), make_optimizer, nets.SHAPE, nets.CLASSES, 0)
    metrics = game.step(players, Batch(tf.constant(x), tf.constant(y, tf.int32)), context)
    return given, {name: float(value) for name, value in metrics.items()}


@pytest.mark.parametrize("case", list(CASES))
def test_an_example_of_weight_k_is_k_copies(case):
    name, options = CASES[case]
    x, y = nets.data(4)
    rows = np.array([0, 1, 2, 3, 0, 0, 2])  # 3 times the first, twice the third
    ours, risks = gradients(GAMES[name](nets.THREAT, **options), x, y, [3, 1, 2, 1])
    theirs, copied = gradients(GAMES[name](nets.THREAT, **options), x[rows], y[rows], None, rows)
    assert risks == pytest.approx(copied, rel=1e-5)
    for player, grads in ours.items():
        scale = max(np.abs(one).max() for one in theirs[player])
        # The same sums in another order: some 2^-24 of the largest terms.
        nets.same(grads, theirs[player], 1e-5 * scale)


@pytest.mark.parametrize("options", [{"penalty_every": 2}, {"rounds": 1}])
def test_weights_follow_examples_that_change_their_places(options):
    """Weights of 2 double risk and penalty: not times 8, as with weights inside the gradient."""
    name = "minimax_grad" if "penalty_every" in options else "adv_fgsm"
    x, y = nets.data(6)
    _, plain = gradients(GAMES[name](nets.THREAT, **options), x, y, None)
    _, doubled = gradients(GAMES[name](nets.THREAT, **options), x, y, [2.0] * 6)
    assert doubled == pytest.approx({name: 2 * value for name, value in plain.items()}, rel=1e-6)
    if name == "adv_fgsm":  # in round 0 all images are clean: the risk is known
        weights = np.array([3.0, 0, 1, 0, 0, 2])
        logits = nets.net()(x)
        each = mmtf.losses.cross_entropy(logits, tf.constant(y, tf.int32)).numpy()
        _, weighted = gradients(GAMES[name](nets.THREAT, **options), x, y, weights)
        assert weighted["risk"] == pytest.approx((weights * each).sum() / 7, rel=1e-5)


def test_a_game_that_reorders_must_say_how():
    class Reversed(mmtf.games.LWA):
        def perturb(self, players, batch, context):
            return Batch(batch.x[::-1], batch.y[::-1])

    x, y = nets.data(4)
    gradients(Reversed(nets.THREAT), x, y, None)
    with pytest.raises(mmtf.errors.ConfigError, match="defines `arranged`"):
        gradients(Reversed(nets.THREAT), x, y, [1, 2, 3, 4])


def test_fused_penalties_refuse_weights():
    x, y = nets.data(4)
    with pytest.warns(DeprecationWarning):
        game = GAMES["minimax_grad"](nets.THREAT, penalty="fused")
    with pytest.raises(mmtf.errors.ConfigError, match="penalty='nested'"):
        gradients(game, x, y, [1, 2, 3, 4])

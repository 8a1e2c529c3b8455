"""Three steps of every rule on two replicas, of networks on one, too."""

import keras
import numpy as np
import tensorflow as tf
import two_replicas

from mmtf import solvers
from mmtf.functional import call

from . import bilinear

STEPS = 3
# Unequal shards, so that a mean over replicas cannot pass for the sum over examples.
SHARDS = {1: [slice(0, 6)], 2: [slice(0, 2), slice(2, 6)]}


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, 4)), rng.normal(size=(6, 3))


def start():
    rng = np.random.default_rng(1)
    return rng.normal(size=4), rng.normal(size=3)


def other_beams():
    _, v = start()
    return [v + 1.0, v - 2.0]


def matrix():
    """f = (1/6) sum_i (u'x_i)(v'y_i) = u'Av over all six examples."""
    x, y = data()
    return x.T @ y / len(x)


def train(strategy, solver, f, arrays):
    """Steps in one compiled function; f(u, v, *shard) is a replica's contribution."""
    shards = SHARDS[strategy.num_replicas_in_sync]

    def shard_of(array):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(array[shards[context.replica_id_in_sync_group]])
        )

    values = [shard_of(array) for array in arrays]

    @tf.function(autograph=False)
    def run():
        return strategy.run(
            lambda *shard: solver.step(lambda u, v: f(u, v, *shard)), args=tuple(values)
        )

    for _ in range(STEPS):
        metrics = run()
    # Whichever replica is asked, the metrics are those of the whole.
    return {
        k: [float(x) for x in strategy.experimental_local_results(v)] for k, v in metrics.items()
    }


def on_bilinear(strategy, name):
    u0, v0 = start()
    if name == "k_beam_three":
        solver = solvers.KBeam(**bilinear.RATES, beams=3)
    else:
        solver, _ = bilinear.cases()[name]
    with strategy.scope():
        u, v = keras.Variable(u0, dtype="float64"), keras.Variable(v0, dtype="float64")
        solver.build([u], [v])
        if name == "k_beam_three":
            for k, values in enumerate(other_beams(), start=1):
                solver.set_beam(k, [values])

    def f(u, v, x, y):
        products = tf.linalg.matvec(x, u[0]) * tf.linalg.matvec(y, v[0])
        return tf.reduce_sum(products) / 6

    metrics = train(strategy, solver, f, data())
    return {"u": u.numpy(), "v": v.numpy(), "metrics": metrics}


def on_networks(strategy, name):
    """Adam, projections and Keras models; float64 to tell a wrong sum from rounding."""
    keras.utils.set_random_seed(0)
    box = solvers.Box(-0.6, 0.6)
    with strategy.scope():
        defender = keras.Sequential(
            [keras.Input([4], dtype="float64"), keras.layers.Dense(1, "tanh", dtype="float64")]
        )
        attacker = keras.Sequential(
            [keras.Input([3], dtype="float64"), keras.layers.Dense(4, "tanh", dtype="float64")]
        )
        solver = solvers.SOLVERS[name](u_optimizer="adam", v_optimizer=0.1, project_u=box)
        solver.build(defender.trainable_variables, attacker.trainable_variables)

    def f(u, v, x, y):
        outputs = call(defender, u, x + call(attacker, v, y))
        return tf.reduce_sum((outputs - x[:, :1]) ** 2) / 6

    metrics = train(strategy, solver, f, data())
    weights = defender.get_weights() + attacker.get_weights()
    return {"weights": weights, "metrics": metrics}


def refusal(strategy):
    solver = solvers.Simultaneous(u_optimizer=keras.optimizers.SGD(clipnorm=1.0))
    with strategy.scope():
        try:
            solver.build([keras.Variable(1.0)], [keras.Variable(1.0)])
        except ValueError as error:
            return str(error)
    return ""


def played(names):
    """Number of replicas -> what they computed; `names`: the rules that train networks."""
    results = {}
    for replicas in (1, 2):
        strategy = two_replicas.strategy_of(replicas)
        # In one process without replicas they are compared with NumPy in test_bilinear.py.
        games = [*bilinear.CASES, "k_beam_three"] if replicas == 2 else []
        results[replicas] = {
            "bilinear": {name: on_bilinear(strategy, name) for name in games},
            "networks": {name: on_networks(strategy, name) for name in names},
            "refusal": refusal(strategy),
        }
    return results

"""A fingerprint that tells models apart and not two makings of one."""

import functools

import keras
import pytest
import tensorflow as tf

from mmtf.classifiers.fingerprint import architecture


class Odd(keras.layers.Layer):
    def get_config(self):
        raise TypeError("nothing to write down")


def wrapped():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    edges = keras.Model(inner.inputs, inner.outputs)
    return keras.Sequential([keras.layers.TimeDistributed(edges)])


def dense(units=3, **options):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, **options)])


SAME = {
    "dense": dense,
    "partial": functools.partial(dense, activation=functools.partial(tf.nn.leaky_relu, alpha=0.2)),
    "odd": lambda: keras.Sequential([keras.Input((4,)), Odd()]),
    "crop": lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.RandomCrop(6, 6)]),
    "wrapped": wrapped,
    "lambda": lambda: keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: x)]),
}


@pytest.mark.parametrize("name", SAME)
def test_made_twice_it_is_the_same(name):
    assert architecture(SAME[name]()) == architecture(SAME[name]())


def test_what_computes_otherwise_is_another():
    others = [dense(), dense(4), dense(activation="relu"), dense(use_bias=False)]
    others.append(dense(kernel_regularizer=keras.regularizers.L2(0.1)))
    others.append(dense(kernel_regularizer=keras.regularizers.L2(0.2)))
    others += [SAME[name]() for name in ("odd", "crop", "wrapped", "lambda")]
    assert len({architecture(one) for one in others}) == len(others)


def test_the_type_that_it_computes_in_does_not_count():
    assert architecture(dense(dtype="mixed_bfloat16")) == architecture(dense())

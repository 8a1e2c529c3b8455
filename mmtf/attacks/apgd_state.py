"""Where every example of an APGD run stands, as one value and as the flat list a graph takes."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class State:
    """Of every example; tensors [n, ...] in this order when flat."""

    x: tf.Tensor
    y: tf.Tensor
    targets: tf.Tensor
    z: tf.Tensor
    previous: tf.Tensor
    loss: tf.Tensor
    gradient: tf.Tensor
    best_z: tf.Tensor
    best_loss: tf.Tensor
    best_gradient: tf.Tensor
    size: tf.Tensor
    rises: tf.Tensor
    loss_before: tf.Tensor
    halved: tf.Tensor

    def flat(self) -> list:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]


NAMES = [field.name for field in dataclasses.fields(State)]
Z, BEST = NAMES.index("z"), NAMES.index("best_z")


def flat(method):
    """`method` with its State, alone or first of a pair, as a flat list."""

    def call(*arguments):
        found = method(*arguments)
        if isinstance(found, State):
            return found.flat()
        return [*found[0].flat(), *found[1:]]

    return call

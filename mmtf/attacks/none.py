"""No attack: the clean images."""

import tensorflow as tf

from mmtf.attacks.base import Attack


class NoAttack(Attack):
    """z = x, the paper's `No attack` column."""

    asks = False

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        return tf.identity(x)

"""A trained attack network as an attack: one forward pass an image (section 4.1)."""

import keras

from mmtf.attacks.base import Attack


class LearnedAttack(Attack):
    """z = z(x, y; v), the output of a network that has learned to raise the risk.

    Args:
      threat: the ball and the box that the network's output keeps.
      network: Keras model [images, labels] -> perturbed images, of `mmtf.nets.ATTACK_NETS`.
    """

    asks = False

    def __init__(self, threat, network: keras.Model):
        super().__init__(threat)
        self.network = network

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        return self.network([x, y], training=False)

"""What every attack is, and the gradient that most of them climb."""

import functools
import inspect
import weakref

import tensorflow as tf

from mmtf import losses
from mmtf.classifiers.precision import policies_of
from mmtf.errors import ConfigError
from mmtf.threat import ThreatModel, require_threat


class Attack:
    """Maximizes the risk of a fixed classifier over Z under a threat model (Eq. 4).

    `attack(classifier, x, y, seed=...)` returns perturbed images z, float32 [N, H, W, C], with
    ||z - x||_p <= eta and z in the box. It calls the classifier with training=False and never
    changes it. It runs eagerly or inside a tf.function (without AutoGraph, as in Keras' own loops:
    tf.cond or tf.where, not `if`, on a tensor's value), and a seed fixes the result.

    Attributes:
      threat: the ball and the box.
      norms: the norms for which the attack is defined.
      deterministic: whether the seed is without effect.
      compiles_itself: whether eager calls run compiled steps, fewer and fewer examples at a time.
      asks: whether the images depend on what the classifier answers.
    """

    norms: tuple[str, ...] = ("linf", "l2")
    deterministic = True
    compiles_itself = False
    asks = True

    def __init__(self, threat: ThreatModel):
        require_threat(threat)
        if threat.norm not in self.norms:
            raise ConfigError(
                f"Expected norm {' or '.join(self.norms)} for {type(self).__name__}. "
                f"Received: {threat.norm!r}."
            )
        self.threat = threat

    def __call__(self, classifier, x, y, *, seed=(0, 0)):
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")

    def __repr__(self):
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({arguments})"


def input_gradient(classifier, x, y, loss=losses.cross_entropy):
    """(logits, d loss_i / d x_i) at `x`; the gradient has the shape of `x`.

    Each example's gradient is its own: the losses are summed, not averaged, so that the batch
    size does not scale it (and tiny gradients do not vanish in float32).
    """
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        logits = classifier(x, training=False)
        total = tf.reduce_sum(loss(logits, y))
    return logits, gradient_of(tape, total, x)


def gradient_of(tape, total, x):
    """d total / dx; zeros, not None, where `total` does not depend on `x`."""
    return tape.gradient(total, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)


_COMPILED = weakref.WeakKeyDictionary()


def compiled(classifier, owner, function):
    """`function` as a tf.function, traced once for `owner` and `classifier` and kept with them.

    Args:
      classifier: the callable the function closes over; it may be collected.
      owner: tells apart the functions kept for one classifier: a name, an attack or a tuple of
        them. Attacks of one class with the same attributes are one owner: an attack that is made
        anew for every batch is not traced, nor kept, for every batch.
      function: called as function(classifier, *tensors); must not hold the classifier itself.
    """
    kept = _COMPILED.setdefault(classifier, {})
    # A step traced while the model computed in bfloat16 must not serve a float32 evaluation.
    key = (_by_value(owner), policies_of(classifier))
    if key not in kept:
        # A partial: TensorFlow counts the tracings of all functions of one line of code together,
        # and would warn of a few classifiers or attacks as of one function traced again and again.
        called = functools.partial(_call, weakref.ref(classifier), function)
        # AutoGraph's translation takes longer than tracing.
        kept[key] = tf.function(called, autograph=False, reduce_retracing=True)
    return kept[key]


def _by_value(owner):
    """Hashable; equal for equal attacks, and for what cannot be hashed where it is the same."""
    if isinstance(owner, Attack):
        attributes = sorted(vars(owner).items())
        return type(owner), tuple((name, _by_value(value)) for name, value in attributes)
    if isinstance(owner, tuple):
        return tuple(map(_by_value, owner))
    try:
        hash(owner)
    except TypeError:
        return _Itself(owner)
    return owner


class _Itself:
    """Kept alive, for another object could have its place in memory afterwards."""

    def __init__(self, one):
        self.one = one

    def __eq__(self, other):
        return isinstance(other, _Itself) and other.one is self.one

    def __hash__(self):
        return id(self.one)


def _call(reference, function, *tensors):
    return function(reference(), *tensors)


def run(attack: Attack, classifier, x, y, seed):
    """The attack's images, eagerly by compiled steps, or as one graph where it has none."""
    if attack.compiles_itself or not tf.executing_eagerly():
        return attack(classifier, x, y, seed=seed)
    once = compiled(classifier, attack, lambda model, x, y, own: attack(model, x, y, seed=own))
    return once(x, y, tf.convert_to_tensor(seed))


def errors_at(classifier, z, y):
    """1.0 [N] where `classifier` gets `z` wrong, else 0.0."""
    return losses.errors(classifier(z, training=False), y)


def judge(classifier):
    """`errors_at` of this classifier, compiled: (z, y) -> float32 [N]."""
    return compiled(classifier, "errors", errors_at)


def choose(condition, a, b):
    """tf.where with a condition [N] for arrays [N, ...]."""
    return tf.where(tf.reshape(condition, [-1] + [1] * (len(a.shape) - 1)), a, b)

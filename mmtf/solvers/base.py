"""The interface of every solver of min_u max_v f(u, v) (Eq. 11), and the arithmetic they share.

f takes two lists of tensors, the values of the two players' variables, and returns a scalar, or
a tensor holding the values of as many independent games (then u and v carry the games on their
leading axes and the gradients are those of the sum).

Under `tf.distribute` f returns its replica's contribution (a sum over its examples divided by
the global batch), and the true f is the sum over replicas. Every gradient a rule uses here is
that of the true f: `Solver.reduce` sums it over the replicas. A norm of a gradient is therefore
never replica-local, and neither is its derivative.
"""

import inspect

import tensorflow as tf

from mmtf.solvers.optimizers import live, show


def cross_replica_sum(tensors):
    """Sums a list of tensors over the replicas; the identity where there is only one.

    Differentiable: the derivative of a sum over replicas is the sum of the upstream derivatives.

    >>> [float(x) for x in cross_replica_sum([tf.constant(2.0)])]
    [2.0]
    """
    if _replicas() == 1:
        return tensors
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


def dot(a, b):
    """The inner product <a, b> of two lists of tensors of equal shapes: a scalar."""
    return tf.add_n([tf.reduce_sum(x * y) for x, y in zip(a, b, strict=True)])


def differentiate(f, u, v, *players):
    """f(u, v), and its gradient in each of `players`, which are `u`, `v` or both of them.

    f may leave single variables of a player unused (their gradient is 0), but not all of them.

    >>> u, v = [tf.constant(3.0)], [tf.constant(2.0)]
    >>> value, gradient = differentiate(lambda u, v: u[0] * v[0] ** 2, u, v, v)
    >>> float(value), float(gradient[0])
    (12.0, 12.0)
    """
    with tf.GradientTape() as tape:
        tape.watch(players)
        value = f(u, v)
        total = tf.reduce_sum(value)
    gradients = tape.gradient(total, players)
    return value, *(_connected(g, p) for g, p in zip(gradients, players, strict=True))


def local_gradients(f, f_max, u, v):
    """f(u, v), the gradient of f in u and that of f_max (of f if it is None) in v."""
    if f_max is None:
        return differentiate(f, u, v, u, v)
    value, descent = differentiate(f, u, v, u)
    _, ascent = differentiate(f_max, u, v, v)
    return value, descent, ascent


class Solver(tf.Module):
    """One update rule for min_u max_v f(u, v): build it on variables, then step.

    Args:
        u_optimizer, v_optimizer: what turns a gradient into a change of u and of v: a Keras
            optimizer, its name, or the learning rate (a number or a Keras schedule) of plain
            gradient steps. An optimizer serves one `build`; the others make one for each.
        project_u, project_v: where each player must stay: a function from a list of tensors to
            such a list, applied after every change (`mmtf.solvers.projections`), or None.

    After `build`, `u_variables`, `v_variables`, `descent` and `ascent` (the two live Keras
    optimizers) are attributes, all saved by `tf.train.Checkpoint(solver=solver)`.

    A new rule subclasses this, and writes `step` from `read`, `differentiate`, `reduce`,
    `minimize` and `maximize`; `updates` says how often it applies u's optimizer in a step.

    >>> import keras
    >>> from mmtf.solvers import Box, Simultaneous
    >>> solver = Simultaneous(u_optimizer=0.5, v_optimizer="adam", project_u=Box(-1.0, 1.0))
    >>> solver  # doctest: +ELLIPSIS
    Simultaneous(u_optimizer=0.5, v_optimizer='adam', project_u=Box(...), project_v=None)
    >>> u, v = keras.Variable(3.0), keras.Variable(1.0)
    >>> metrics = solver.build([u], [v]).step(lambda u, v: u[0] ** 2 - v[0] ** 2)
    >>> float(metrics["value"]), float(metrics["u_norm"]), float(u.numpy())
    (8.0, 6.0, 0.0)
    """

    updates = 1

    def __init__(self, *, u_optimizer=0.01, v_optimizer=0.01, project_u=None, project_v=None):
        super().__init__()
        self.u_optimizer = u_optimizer
        self.v_optimizer = v_optimizer
        self.project_u = project_u
        self.project_v = project_v

    def __repr__(self):
        arguments = inspect.signature(type(self).__init__).parameters
        shown = [f"{name}={show(getattr(self, name))}" for name in arguments if name != "self"]
        return f"{type(self).__name__}({', '.join(shown)})"

    def build(self, u_variables, v_variables):
        """Takes the players' variables and makes the rule's own; returns self.

        Lists, not empty, all of one floating type. Under a distribution strategy, call it inside
        the strategy's scope.
        """
        self.u_variables = _some(u_variables, "u")
        self.v_variables = _some(v_variables, "v")
        types = sorted({tf.as_dtype(x.dtype).name for x in self.u_variables + self.v_variables})
        if len(types) > 1:
            raise ValueError(f"Expected variables of one floating type. Received {types}.")
        self.descent = live(self.u_optimizer, self.u_variables)
        self.ascent = live(self.v_optimizer, self._ascended())
        return self

    def step(self, f, f_max=None):
        """Changes both players once.

        Args:
            f: (u, v) -> value; what u descends, and v ascends.
            f_max: what v ascends where that is not f itself (f without dropout, say); every
                gradient in v then is that of `f_max`.

        Returns:
            A dictionary of scalars: `value`, f at the point where u's gradient was taken, summed
            over games and replicas; `u_norm` and `v_norm`, the Euclidean norms of the
            directions handed to the two optimizers; `penalty`, what the rule adds to f, or 0.
        """
        raise NotImplementedError

    def reduce(self, tensors):
        """The sum over replicas by which local gradients become those of f: the hook to replace."""
        return cross_replica_sum(tensors)

    def read(self):
        """The current values (u, v) as two lists of tensors, which later updates leave alone."""
        return values_of(self.u_variables), values_of(self.v_variables)

    def gradients(self, f, f_max, u, v):
        """`local_gradients` with both gradients summed over replicas."""
        value, descent, ascent = local_gradients(f, f_max, u, v)
        return value, self.reduce(descent), self.reduce(ascent)

    def minimize(self, direction):
        """One step of u's optimizer against `direction`, a gradient of f, then the projection."""
        _apply(self.descent, self.u_variables, direction)
        if self.project_u is not None:
            assign(self.u_variables, self.project_u(values_of(self.u_variables)))

    def maximize(self, direction):
        """One step of v's optimizer along `direction`, a gradient of f, then the projection."""
        _apply(self.ascent, self._ascended(), [-g for g in direction])
        if self.project_v is not None:
            assign(self._ascended(), self._projected(values_of(self._ascended())))

    def metrics(self, value, descent, ascent, penalty=0.0):
        """The dictionary that `step` returns, from a local value and reduced directions."""
        (value,) = self.reduce([tf.reduce_sum(value)])
        return {
            "value": value,
            "u_norm": tf.sqrt(dot(descent, descent)),
            "v_norm": tf.sqrt(dot(ascent, ascent)),
            "penalty": tf.cast(penalty, value.dtype),
        }

    def _ascended(self):
        # What v's optimizer moves: the variables themselves, unless a rule keeps several v.
        return self.v_variables

    def _projected(self, tensors):
        return self.project_v(tensors)


def values_of(variables):
    """The values of Keras or TensorFlow variables as a list of tensors."""
    return [tf.convert_to_tensor(variable) for variable in variables]


def assign(variables, values):
    """Writes a list of values, equal on all replicas, into variables."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _replicas():
    # None in a cross-replica context, which has nothing local to sum.
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def _connected(gradients, player):
    if all(g is None for g in gradients):
        raise ValueError(
            "Expected f to depend on the tensors of u and v that it is called with. Received an "
            "f whose gradient is None for all variables of a player: does it read the variables "
            "of a model instead? `mmtf.functional.call` evaluates a model at tensors."
        )
    pairs = zip(gradients, player, strict=True)
    return [tf.zeros_like(x) if g is None else tf.convert_to_tensor(g) for g, x in pairs]


def _apply(optimizer, variables, direction):
    # A Keras optimizer sums over the replicas what each of them hands in.
    replicas = _replicas()
    share = direction if replicas == 1 else [g / replicas for g in direction]
    optimizer.apply(share, variables)


def _some(variables, player):
    variables = list(variables)
    if not variables:
        raise ValueError(f"Expected at least one variable of {player}. Received an empty list.")
    return variables

"""`AlphaCrown`: the lower slopes of the ReLUs are optimized for each margin."""

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from mmtf.bounds.activations import LeakyReLU
from mmtf.bounds.adam import Moments, ascend
from mmtf.bounds.backward import backward, lowest, margin_rows, of_rows
from mmtf.bounds.crown import bound_by_crown
from mmtf.bounds.problem import Problem
from mmtf.bounds.verifier import BATCH, Deadline, Verifier
from mmtf.errors import require_int, require_number


class AlphaCrown(Verifier):
    """alpha-CROWN in the last pass (Xu et al. 2021, "Fast and complete", section 3.1).

    Every slope in [0, 1] of a ReLU's lower line gives a valid bound. Each margin has slopes of its
    own, which projected Adam moves to the greatest bound, starting at CROWN's. The best bound of
    all iterations counts, so the result is at least that of `Crown`. The bounds of the inner
    activations stay those of CROWN.

    Args:
      classifier, chunk, batch_size: see `Verifier`.
      iterations: number of gradient steps, >= 0.
      learning_rate: of Adam, > 0; it falls by 2 % in every iteration.
    """

    name: ClassVar[str] = "alpha_crown"
    cheap: ClassVar[bool] = False

    def __init__(
        self,
        classifier: Any,
        *,
        chunk: int | None = None,
        batch_size: int = BATCH,
        iterations: int = 25,
        learning_rate: float = 0.1,
    ):
        super().__init__(classifier, chunk=chunk, batch_size=batch_size)
        require_int("iterations", iterations, at_least=0)
        require_number("learning_rate", learning_rate, above=0)
        self.iterations, self.learning_rate = iterations, learning_rate

    def tighten(self, problem: Problem, deadline: Deadline) -> None:
        bound_by_crown(problem, deadline)
        owner, others = problem.open_rows()
        lines = problem.compute_lines()
        slopes = [
            i
            for i in problem.graph.activations()
            if isinstance(problem.graph.activation(i), LeakyReLU)
        ]
        if slopes:
            for i in range(0, len(owner), problem.chunk):
                rows = owner[i : i + problem.chunk], others[i : i + problem.chunk]
                problem.improve(*rows, self._optimize(problem, *rows, lines, slopes, deadline))
        problem.done.add(self.name)

    def _optimize(self, problem, owner, others, lines, slopes, deadline):
        """The best bound of each row over the iterations, float64 [R]."""
        step = problem.graph.compiled(
            ("alpha", problem.ball.norm), _step(problem.graph, problem.ball.norm)
        )
        own = of_rows(lines, tf.constant(owner))
        region = of_rows(problem.region, tf.constant(owner))
        labels = tf.constant(problem.labels[owner])
        alpha = {i: own[i].lower_slope for i in slopes}
        moments = Moments.zero(alpha)
        best = np.full(len(owner), -np.inf)
        for number in range(self.iterations + 1):
            rate = self.learning_rate * 0.98**number
            bound, alpha, moments = step(
                labels,
                tf.constant(others),
                own,
                region,
                (alpha, moments),
                tf.constant([rate, number + 1.0], tf.float64),
            )
            best = np.maximum(best, bound.numpy())
            if deadline.passed or (best >= problem.until).all():
                break
        return best


def _step(graph, norm):
    """One iteration: the bound at the slopes given, and the slopes after a step of Adam."""

    def step(labels, others, lines, region, state, settings):
        alpha, moments = state
        rate, number = settings[0], settings[1]
        a = margin_rows(labels, others, graph.num_classes)

        def lines_of(index):
            if index not in alpha:
                return lines[index]
            return lines[index]._replace(lower_slope=alpha[index])

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(alpha)
            coefficients, constant = backward(graph, graph.last, a, lines_of)
            bound = constant + lowest(norm, coefficients, region, {})
            total = tf.reduce_sum(bound)
        gradients = tape.gradient(total, alpha, unconnected_gradients="zero")
        moments, changes = ascend(moments, gradients, number)
        after = {}
        for i, change in changes.items():
            # Where the two lines coincide, the input has one sign and the slope is known.
            certain = lines[i].lower_slope == lines[i].upper_slope
            least = tf.cast(graph.activation(i).slope, alpha[i].dtype)
            moved = tf.clip_by_value(alpha[i] + rate * change, least, 1.0)
            after[i] = tf.where(certain, lines[i].lower_slope, moved)
        return bound, after, moments

    return step

"""Solvers of min_u max_v f(u, v) for any differentiable f over Keras variables or tensors.

Two lines solve a problem:

    >>> import mmtf.solvers as solvers
    >>> f = lambda u, v: 5.0 * (u**2 - v**2)
    >>> solver = solvers.Alternating(u_optimizer=0.05, v_optimizer=0.05)
    >>> solution = solvers.solve(f, 0.4, -0.3, solver=solver, steps=100)
    >>> abs(float(solution.u)) < 1e-6, abs(float(solution.v)) < 1e-6
    (True, True)

Each update rule is a class in a file of its own; `SOLVERS` lists the classes by file name. Their
interface is `mmtf.solvers.base.Solver`. `mmtf.functional` makes f from Keras models.
"""

from mmtf import functional
from mmtf.solvers import surfaces
from mmtf.solvers.alternating import Alternating
from mmtf.solvers.base import Solver, cross_replica_sum
from mmtf.solvers.consensus import Consensus
from mmtf.solvers.extragradient import Extragradient
from mmtf.solvers.k_beam import KBeam
from mmtf.solvers.optimistic import Optimistic
from mmtf.solvers.projections import Box, L2Ball, SoftThreshold
from mmtf.solvers.sensitivity import Sensitivity
from mmtf.solvers.simultaneous import Simultaneous
from mmtf.solvers.solving import Solution, maximin, solve, switched
from mmtf.solvers.unrolled import Unrolled

SOLVERS = {
    "alternating": Alternating,
    "simultaneous": Simultaneous,
    "sensitivity": Sensitivity,
    "unrolled": Unrolled,
    "extragradient": Extragradient,
    "optimistic": Optimistic,
    "consensus": Consensus,
    "k_beam": KBeam,
}

__all__ = [
    "SOLVERS",
    "Alternating",
    "Box",
    "Consensus",
    "Extragradient",
    "KBeam",
    "L2Ball",
    "Optimistic",
    "Sensitivity",
    "Simultaneous",
    "SoftThreshold",
    "Solution",
    "Solver",
    "Unrolled",
    "cross_replica_sum",
    "functional",
    "maximin",
    "solve",
    "surfaces",
    "switched",
]

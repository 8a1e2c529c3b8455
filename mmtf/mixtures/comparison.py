"""Compares mixtures of a set of nets: the best pure net, the uniform and the optimal mixture."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.mixtures.attackers import Attacked, three_attackers
from mmtf.mixtures.matrix_game import solve, solve_bayesian
from mmtf.mixtures.payoffs import Payoffs, PayoffTable
from mmtf.mixtures.per_image import per_image_errors, solve_per_image
from mmtf.threat import ThreatModel

BEST_PURE, UNIFORM, OPTIMAL, PER_IMAGE = "best pure net", "uniform", "optimal", "per-image optimal"


@dataclasses.dataclass(frozen=True, eq=False)
class Strategy:
    """A defender's strategy, chosen on held-out images.

    Attributes:
      name: what it is; of a single net, the net's name.
      p: name of a net -> its probability.
      table: its error (1 - alpha) clean + alpha max_a on the held-out images.
      per_image: its per-image error on them.
      certificate: of the linear program, None where there is none.
      q: name of an attack -> the attacker's probability, empty where there is none.
    """

    name: str
    p: dict[str, float]
    table: float
    per_image: float
    certificate: float | None = None
    q: dict[str, float] = dataclasses.field(default_factory=dict)


def strategies(measured: Payoffs, alpha: float = 1.0) -> list[Strategy]:
    """The best pure net, the uniform, the optimal and the per-image optimal mixture.

    Args:
      measured: errors on held-out images.
      alpha: probability that a user is an attacker; see `mmtf.mixtures.solve_bayesian`.
    """
    matrix, clean = measured.matrix, measured.clean_errors
    count = len(measured.defenses)
    losses = (1 - alpha) * clean + alpha * matrix.max(-1)
    game, each = solve_bayesian(matrix, clean, alpha), solve_per_image(measured.wrong)
    found = {
        BEST_PURE: (np.eye(count)[losses.argmin()], None, None),
        UNIFORM: (np.full(count, 1.0 / count), None, None),
        OPTIMAL: (game.p, game.certificate, game.q),
        PER_IMAGE: (each.p, each.certificate, None),
    }
    return [
        Strategy(
            name,
            dict(zip(measured.defenses, p.tolist(), strict=True)),
            float((1 - alpha) * clean @ p + alpha * (p @ matrix).max()),
            float(per_image_errors(measured.wrong, p).mean()),
            certificate,
            {} if q is None else dict(zip(measured.attacks, q.tolist(), strict=True)),
        )
        for name, (p, certificate, q) in found.items()
    ]


def single_nets(measured: Payoffs, alpha: float = 1.0) -> list[Strategy]:
    """Each net for itself, as a strategy of its name; alpha as in `strategies`."""
    losses = (1 - alpha) * measured.clean_errors + alpha * measured.matrix.max(-1)
    return [
        Strategy(
            name,
            {name: 1.0},
            float(losses[number]),
            float(measured.wrong[number].any(0).mean()),
        )
        for number, name in enumerate(measured.defenses)
    ]


def by_alpha(measured: Payoffs, alphas: tuple[float, ...]) -> list[dict[str, Any]]:
    """The Bayesian game at several alphas, as plain JSON data: value, p, clean error, table."""
    found = []
    for alpha in alphas:
        one = solve_bayesian(measured.matrix, measured.clean_errors, alpha)
        found.append(
            {
                "alpha": alpha,
                "value": one.value,
                "certificate": one.certificate,
                "p": dict(zip(measured.defenses, one.p.tolist(), strict=True)),
                "clean": float(measured.clean_errors @ one.p),
                "table": float((one.p @ measured.matrix).max()),
            }
        )
    return found


def solved(measured: Payoffs) -> Strategy:
    """The solution of the zero-sum game as a strategy."""
    found = solve(measured.matrix)
    assert found.q is not None
    return Strategy(
        OPTIMAL,
        dict(zip(measured.defenses, found.p.tolist(), strict=True)),
        found.value,
        float(per_image_errors(measured.wrong, found.p).mean()),
        found.certificate,
        dict(zip(measured.attacks, found.q.tolist(), strict=True)),
    )


class Measurer:
    """Measures strategies on test images under the three attackers, each mixture once.

    Args:
      table: of test images, with all nets and attacks.
      threat: of the adaptive attack; None: it is not run.
      **options: steps, restarts and seed of `mmtf.mixtures.adaptive_attack`.
    """

    def __init__(self, table: PayoffTable, threat: ThreatModel | None, **options: Any):
        self._table, self._threat, self._options = table, threat, options
        self._known: dict[tuple, Attacked] = {}

    def __call__(self, p: Mapping[str, float], attacks: list[str]) -> Attacked:
        """The errors of a mixture, see `mmtf.mixtures.three_attackers`."""
        used = {name: weight for name, weight in p.items() if weight > 0}
        key = (*sorted(used.items()), *attacks)
        if key not in self._known:
            found = three_attackers(self._table, used, attacks, self._threat, **self._options)
            self._known[key] = found
        return self._known[key]

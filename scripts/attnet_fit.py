"""How near a protocol comes to the eight AttNet errors that the paper prints for MNIST."""

import dataclasses
import math
from collections.abc import Iterable

from scripts.attnet_hypotheses import (
    ETAS,
    KS,
    NETS,
    TOLERANCE,
    WIDTH,
    Protocol,
    found,
    key_of,
    printed,
    run_of,
)


@dataclasses.dataclass(frozen=True)
class Fit:
    """The errors measured under one protocol, and how far they are from the printed ones.

    Attributes:
      errors: (net, eta) -> measured error, of the eight those that were measured.
    """

    errors: dict[tuple[str, float], float]

    @property
    def deviations(self) -> dict[tuple[str, float], float]:
        """(net, eta) -> |measured - printed|."""
        return {place: abs(error - printed(*place)) for place, error in self.errors.items()}

    @property
    def rms(self) -> float:
        """Root mean square of the deviations."""
        return math.sqrt(sum(one**2 for one in self.deviations.values()) / len(self.errors))

    @property
    def worst(self) -> tuple[str, float]:
        """The (net, eta) of the greatest deviation."""
        return max(self.deviations, key=self.deviations.__getitem__)

    @property
    def greatest(self) -> float:
        """The greatest deviation."""
        return self.deviations[self.worst]

    @property
    def complete(self) -> bool:
        """Whether all eight errors were measured."""
        return len(self.errors) == len(NETS) * len(ETAS)

    @property
    def verdict(self) -> str:
        """`fits`, `does not fit`, or `open` while errors are missing and none is too far."""
        if self.errors and self.greatest > TOLERANCE:
            return "does not fit"
        return "fits" if self.complete else "open"


def error_of(
    cells: Iterable[dict], net: str, eta: float, protocol: Protocol, attack: str = "attnet"
) -> float | None:
    """The measured error of a net under an attack, or None."""
    cell = found(cells, key_of(run_of(net, eta, protocol), eta, protocol, attack))
    return None if cell is None else cell["error"]


def fit_of(cells: Iterable[dict], protocol: Protocol) -> Fit:
    """The fit of a protocol.

    Example:
      >>> cell = key_of("undefended", 0.1, Protocol(), "attnet") | {"error": 0.5}
      >>> fit = fit_of([cell], Protocol())
      >>> round(fit.rms, 3), fit.verdict
      (0.197, 'does not fit')
    """
    places = [(net, eta) for net in NETS for eta in ETAS]
    errors = {place: error_of(cells, *place, protocol) for place in places}
    return Fit({place: error for place, error in errors.items() if error is not None})


def verdict_of(cells: Iterable[dict], protocol: Protocol) -> str:
    """The verdict of `fit_of`, or where it is open one that needs no attack network.

    Without a ball the undefended net has one error for all radii, which cannot be near printed ones
    that differ by more than twice the tolerance: `cannot fit`. No attack is expected to err on more
    than PGD-40 in the same ball and box, or in larger ones: `does not fit, by PGD-40`, where that
    falls short of a printed error.

    Example:
      >>> verdict_of([], Protocol(clip="box")), verdict_of([], Protocol())
      ('cannot fit', 'open')
    """
    verdict = fit_of(cells, protocol).verdict
    if verdict != "open":
        return verdict
    theirs = [printed(NETS[0], eta) for eta in ETAS]
    if protocol.clip in ("box", "nothing") and max(theirs) - min(theirs) > 2 * TOLERANCE:
        return "cannot fit"
    for net in NETS:
        for eta in ETAS:
            bound = _most(cells, run_of(net, eta, protocol), eta, protocol)
            if bound is not None and bound < printed(net, eta) - TOLERANCE:
                return "does not fit, by PGD-40"
    return "open"


def _most(cells: Iterable[dict], run: str, eta: float, protocol: Protocol) -> float | None:
    """The smallest error of PGD-40 in sets that contain those of the protocol; None: not known."""
    radius, _ = protocol.bounds(eta)
    return min(
        (
            one["error"]
            for one in cells
            if (one["run"], one["attack"], one["mode"]) == (run, "pgd", protocol.mode)
            and one["radius"] >= radius
            and one["clip"] in (protocol.clip, "ball")
        ),
        default=None,
    )


def nearest(cells: Iterable[dict]) -> tuple[int, Fit] | None:
    """The k of the smallest rms over the errors printed at eta 0.1, which are far from 0 and 1.

    Returns:
      The k, and its fit to these errors; None if there is no k at which both were measured.
    """
    fits = {}
    for k in KS:
        errors = fit_of(cells, Protocol(k=k)).errors
        if all((net, ETAS[0]) in errors for net in NETS):
            fits[k] = Fit({(net, ETAS[0]): errors[net, ETAS[0]] for net in NETS})
    if not fits:
        return None
    best = min(fits, key=lambda k: fits[k].rms)
    return best, fits[best]


@dataclasses.dataclass(frozen=True)
class Bound:
    """One end of an interval of k, and the printed error that sets it."""

    k: float
    net: str
    eta: float


@dataclasses.dataclass(frozen=True)
class Needed:
    """The k that a printed error asks for: low < k < high.

    Attributes:
      low: the largest measured k with an error below the printed one by more than the tolerance;
        infinite where its ball already holds the whole box.
      high: the smallest with one above it by more than that.
    """

    low: Bound
    high: Bound

    @property
    def text(self) -> str:
        """The interval, for a table."""
        if self.low.k == math.inf:
            return "no k"
        low = f"{self.low.k:g} < " if self.low.k > 0 else ""
        high = f" < {self.high.k:g}" if self.high.k < math.inf else ""
        return f"{low}k{high}" if low or high else "any measured"


def needed(cells: Iterable[dict], net: str, eta: float) -> Needed:
    """The interval of k in which the printed error lies, if AttNet's error grows with k.

    Example:
      >>> cells = [key_of("undefended", 0.1, Protocol(k=k), "attnet") | {"error": error}
      ...          for k, error in ((1, 0.1), (4, 0.65), (6, 0.9))]
      >>> needed(cells, "undefended", 0.1).text
      '1 < k < 6'
    """
    aim, low, high = printed(net, eta), 0.0, math.inf
    for k in KS:
        error = fit_of(cells, Protocol(k=k)).errors.get((net, eta), aim)
        if error < aim - TOLERANCE:
            low = max(low, k if k * eta < WIDTH else math.inf)
        elif error > aim + TOLERANCE:
            high = min(high, k)
    return Needed(Bound(low, net, eta), Bound(high, net, eta))


def in_common(wanted: Iterable[Needed]) -> tuple[Bound, Bound]:
    """The largest of the low ends and the smallest of the high ends."""
    wanted = list(wanted)
    return (
        max((one.low for one in wanted), key=lambda one: one.k),
        min((one.high for one in wanted), key=lambda one: one.k),
    )

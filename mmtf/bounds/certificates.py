"""`Certificates`: what is known about each example after a cascade of verifiers."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtf.errors import RunError

# In this order: the classifier errs on the image itself; it errs on an image of the ball that was
# found; it provably errs nowhere in the ball; neither is known.
STATUSES = ("wrong", "broken", "certified", "open")


class InvertedBracket(RunError):
    """A bound exceeds what an image of the ball attains: a verifier or an attack is at fault."""


@dataclasses.dataclass(frozen=True, eq=False)
class Certificates:
    """A bracket around the worst-case error: attacked_error <= true <= certified_error.

    Attributes:
      status: str [N], each one of STATUSES.
      stage: str [N], who decided: `none` for wrong examples, `attack` or a verifier for the others,
        empty where the status is open.
      margin: float64 [N], the least of the proved lower bounds of logit y - logit j over j; -inf
        where no verifier ran.
      seconds: float64 [N], time of the verifiers for the example; the first batch includes the
        compilation.
      required: the margin above which an example counts as certified, see `certify`.
    """

    status: np.ndarray
    stage: np.ndarray
    margin: np.ndarray
    seconds: np.ndarray
    required: float

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.status)

    def share(self, *statuses: str) -> float:
        """Share of the examples with one of these statuses."""
        return float(np.isin(self.status, statuses).mean())

    @property
    def clean_error(self) -> float:
        """Share of the examples that are misclassified without an attack."""
        return self.share("wrong")

    @property
    def attacked_error(self) -> float:
        """Share of the examples that are misclassified somewhere in the ball, as far as known."""
        return self.share("wrong", "broken")

    @property
    def certified_error(self) -> float:
        """Share of the examples that are not certified: at least the true worst-case error."""
        return self.share("wrong", "broken", "open")

    def describe(self) -> str:
        """The bracket in one line, in percent.

        Example:
          >>> status = np.array(["wrong", "broken", "certified", "open"])
          >>> found = Certificates(status, np.array(["none", "attack", "ibp", ""]),
          ...                      np.zeros(4), np.zeros(4), 1e-9)
          >>> found.describe()
          'clean 25.0 %, worst >= 50.0 %, certified <= 75.0 %, open 25.0 % (4 examples)'
        """
        return (
            f"clean {self.clean_error:.1%}, worst >= {self.attacked_error:.1%}, certified <= "
            f"{self.certified_error:.1%}, open {self.share('open'):.1%} ({self.n} examples)"
        ).replace("%", " %")

    def to_dict(self) -> dict[str, Any]:
        """Errors and counts for a record, as plain JSON data."""
        decided = [name for name in dict.fromkeys(self.stage.tolist()) if name]
        return {
            "n": self.n,
            "clean_error": self.clean_error,
            "worst": self.attacked_error,
            "certified": self.certified_error,
            "status": {one: int((self.status == one).sum()) for one in STATUSES},
            "stage": {one: int((self.stage == one).sum()) for one in decided},
            "required_margin": self.required,
            "seconds": round(float(self.seconds.sum()), 2),
        }


def nested(found: Mapping[float, Certificates]) -> dict[float, Certificates]:
    """The certificates of one classifier at several radii, with what each radius says of others.

    An example that is certified at a radius is certified at all smaller ones, one that is broken
    is broken at all larger ones. Only open examples change; `stage` then names the verifier or the
    attack of the other radius.

    Args:
      found: radius -> certificates of the same examples in balls of one norm.

    Returns:
      radius -> certificates, in the order of `found`.

    Example:
      >>> unknown = Certificates(np.array(["open"]), np.array([""]), np.zeros(1), np.zeros(1), 0.0)
      >>> proved = dataclasses.replace(unknown, status=np.array(["certified"]))
      >>> nested({0.1: unknown, 0.2: proved})[0.1].status[0]
      np.str_('certified')
    """
    told, radii = dict(found), sorted(found)
    for status, order in (("certified", radii[::-1]), ("broken", radii)):
        for known, radius in itertools.pairwise(order):
            told[radius] = _with_known(told[radius], told[known], status)
    return {radius: told[radius] for radius in found}


def _with_known(one: Certificates, other: Certificates, status: str) -> Certificates:
    rows = (one.status == "open") & (other.status == status)
    margin = np.maximum(one.margin, other.margin) if status == "certified" else one.margin
    return dataclasses.replace(
        one,
        status=np.where(rows, status, one.status),
        stage=np.where(rows, other.stage, one.stage),
        margin=np.where(rows, margin, one.margin),
    )

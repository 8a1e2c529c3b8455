"""The outcome of an attack on a classifier, and the worst case over several."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtf.errors import require
from mmtf.stats.intervals import wilson

NO_IMAGES = np.zeros([0, 1, 1, 1], np.float32)
# The target of an example whose true class it is: the attack leaves it as it is.
NO_TARGET = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The outcome of an attack on a classifier.

    Attributes:
      attack: the attack's name in tables.
      wrong: bool [N], the examples misclassified under the attack; of a classifier that rejects
        images, those misclassified and accepted (reject = right).
      seconds: duration of the attack; NaN if part of it was done by an earlier call; None: not
        measured.
      images: the adversarial images of the first k examples, float32 [k, H, W, C].
      distance: float64 [N], size of the smallest misclassified perturbation found
        (`mmtf.evaluation.minimal_perturbation`), NaN where none was found; None: not computed.
      defense: the classifier's name in tables; None in a table of one classifier.
      targets: int [N], the class at which a targeted attack aimed, -1 where it is the true class;
        None: an untargeted attack.
      reached: bool [N], whether the adversarial example is classified as the target; None: an
        untargeted attack.
      accepted: bool [N], the examples that the classifier accepts under the attack; None: it never
        rejects.
      eta: the radius (`mmtf.radius.radius_entry`); None in a table of one radius.
      peak_memory_mib: largest resident memory of the process by the end of the attack, in MiB
        (`mmtf.runtime.peak_memory`), earlier attacks included; None: not measured.
    """

    attack: str
    wrong: np.ndarray
    seconds: float | None = None
    images: np.ndarray = dataclasses.field(default_factory=lambda: NO_IMAGES)
    distance: np.ndarray | None = None
    defense: str | None = None
    eta: float | str | None = None
    targets: np.ndarray | None = None
    reached: np.ndarray | None = None
    peak_memory_mib: float | None = None
    accepted: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.wrong)

    @property
    def error(self) -> float:
        """Share of the examples that are misclassified."""
        return float(np.mean(self.wrong))

    @property
    def robust_accuracy(self) -> float:
        """1 - error; for the attack `none` this is the clean accuracy."""
        return 1.0 - self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval of the error, (low, high)."""
        return wilson(int(self.wrong.sum()), self.n)

    @property
    def failed(self) -> np.ndarray:
        """bool [N]: the examples misclassified or rejected (reject = wrong)."""
        return self.wrong if self.accepted is None else self.wrong | ~self.accepted

    @property
    def aimed(self) -> np.ndarray:
        """bool [N]: the examples with a target, those of another class than the target."""
        return np.zeros(self.n, bool) if self.targets is None else self.targets != NO_TARGET

    @property
    def target_rate(self) -> float | None:
        """Share of the `aimed` examples classified as their target; None if there are none."""
        if self.reached is None or not self.aimed.any():
            return None
        return float(np.mean(self.reached[self.aimed]))

    @property
    def target_interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % confidence interval of the target rate; None without `aimed` examples."""
        if self.reached is None or not self.aimed.any():
            return None
        return wilson(int(self.reached[self.aimed].sum()), int(self.aimed.sum()))

    def to_dict(self) -> dict[str, Any]:
        """The entries of a record, as plain JSON data; attributes that are None are left out."""
        low, high = self.interval
        known: dict[str, Any] = {
            "defense": self.defense,
            "attack": self.attack,
            "eta": self.eta,
            "error": self.error,
            "ci_low": low,
            "ci_high": high,
            "n": self.n,
        }
        found = {name: value for name, value in known.items() if value is not None}
        if self.distance is not None:
            finite = self.distance[np.isfinite(self.distance)]
            found["median_distance"] = float(np.median(finite)) if len(finite) else None
        if self.targets is not None:
            ends = self.target_interval or (None, None)
            found |= {"target_rate": self.target_rate, "target_low": ends[0]}
            found["target_high"] = ends[1]
            found["target_n"] = int(self.aimed.sum())
        if self.accepted is not None:
            found |= _share("rejected", ~self.accepted) | _share("reject_wrong", self.failed)
        if self.seconds is not None:
            found["seconds"] = round(self.seconds, 2) if np.isfinite(self.seconds) else None
        if self.peak_memory_mib is not None:
            found["peak_memory_mib"] = round(self.peak_memory_mib)
        return found


def worst(
    results: Sequence[Result],
    clean: np.ndarray,
    clean_accepted: np.ndarray | None = None,
    *,
    one_length: bool = True,
) -> Result:
    """Takes the per-example worst case over `results` and the unperturbed images.

    An example counts as an error if it is misclassified under any attack or without one: the
    unperturbed image lies in every ball. `distance` is the smallest over the results and `seconds`
    their sum, if all results have them.

    Args:
      results: all on the same N examples.
      clean: bool [N], > 0 examples: which unperturbed images are misclassified.
      clean_accepted: bool [N], which unperturbed images are accepted; None: the classifier never
        rejects.
      one_length: whether all distances are lengths in one norm; else there is no `distance`.

    Raises:
      ConfigError: the numbers of examples differ, or are 0.
    """
    require(
        len(clean) > 0 and all(one.n == len(clean) for one in results),
        f"results on the same examples, {len(clean)} > 0",
        [one.n for one in results],
    )
    wrong = np.logical_or.reduce([clean, *(one.wrong for one in results)])
    seconds = [one.seconds for one in results if one.seconds is not None]
    distances = [one.distance for one in results if one.distance is not None]
    total = float(sum(seconds)) if len(seconds) == len(results) else None
    smallest = None
    if one_length and len(distances) == len(results):
        smallest = np.fmin.reduce([np.where(clean, 0.0, np.nan), *distances])
    outcomes = [clean_accepted, *(one.accepted for one in results)]
    accepted = [one for one in outcomes if one is not None]
    # An example rejected under any attack, or without one, fails under it (reject = wrong).
    kept = np.logical_and.reduce(accepted) if accepted else None
    return Result("worst", wrong, total, distance=smallest, accepted=kept)


def _share(name, which):
    """The share of the examples in `which`, and its 95 % interval, as entries of a record."""
    low, high = wilson(int(which.sum()), len(which))
    return {name: float(which.mean()), f"{name}_low": low, f"{name}_high": high}

"""The errors by which claims are tested: measured, or the paper's own."""

import dataclasses
import functools
from collections.abc import Callable

from mmtf.stats.estimates import Estimate, estimate, exact, largest
from scripts.paper.cells import Track, is_mixed
from scripts.paper.players import CURVE
from scripts.paper.records import Results
from scripts.paper.tables import TABLES, measured_as, paper_table


@dataclasses.dataclass(frozen=True)
class View:
    """Errors of one dataset at one radius, measured or printed in the paper.

    Attributes:
      dataset, eta: dataset and radius.
      find: find(defense, attack) -> Estimate or None.
      end: end(game, attack) -> Estimate or None, at the end of training: on all test images if that
        was measured, otherwise on those of the curve.
    """

    dataset: str
    eta: float
    find: Callable
    end: Callable

    @property
    def last(self) -> int:
        """The paper's last round of the cat-and-mouse game."""
        return 40 if self.dataset == "cifar10" else 80

    def worst(self, defense: str) -> Estimate | None:
        """Returns the largest error over the attacks of Table 3 (8), as the paper's `worst`."""
        attacks = ("none", "fgsm1", "fgsm2", f"fgsm{self.last}", "fgsm_curr")
        return largest([self.find(defense, attack) for attack in attacks])


def measured_view(results: Results, track: Track, eta: float) -> View:
    """Returns the errors in the records; those of a trial's dataset count as MNIST's.

    A row whose records come from different trainings has no errors.
    """

    @functools.cache
    def torn(defense):
        return is_mixed(results.of(track, eta, defense))

    def find(defense, attack):
        return None if torn(defense) else estimate(results.of(track, eta, defense, attack))

    def end(game, attack):
        measured = find(game, attack)
        if measured is not None:
            return measured
        records = [] if torn(game) else results.of(track, eta, game, CURVE)
        lasts = [one["last"][attack] for one in records if attack in one["last"]]
        return estimate(lasts)

    return View(track.dataset, eta, find, end)


def reported_view(dataset: str, eta: float) -> View:
    """Returns the paper's own errors, without intervals; its curves have no printed numbers."""
    tables = [paper_table(n) for n in TABLES]

    def find(defense, attack):
        for table in tables:
            if table.dataset == dataset:
                for column in table.columns:
                    if measured_as(column) == attack:
                        value = table.reported(eta, defense, column)
                        if value is not None:
                            return exact(value)
        return None

    return View(dataset, eta, find, lambda *unused: None)

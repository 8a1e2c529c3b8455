"""The paper's Tables 1-10 as data: defenses, attacks, radii and printed errors."""

import dataclasses
import functools

from mmtf.errors import require_choice
from mmtf.reports.paper import paper_rows

TABLES = tuple(range(1, 11))
# (caption, whether the paper prints it as one row with the radii side by side).
_CAPTIONS = {
    1: ("FGSM against the undefended classifier", True),
    2: ("FGSM against the classifier trained against it", True),
    3: ("Gradient attacks against adversarially trained classifiers", False),
    4: ("AttNet against classifiers hardened against gradient attacks", False),
    5: ("Minimax-AttNet, Alt-AttNet and Minimax-Grad", False),
}
_DATASETS = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
# The paper's AttNet-curr is its own three-layer network; the strongest is an extra column.
MEASURED_AS = {"attnet_curr": "attnet_paper_curr"}
# Attacks that are stronger than the paper's, on a stated number of images.
GRADIENT_EXTRAS = ("pgd_curr", "autoattack_curr")
WORST = "worst"
# Rows printed with shifted columns, (table, eta, defense) -> the values as intended. Table 9's
# first is Table 6's FGSM error, printed under `worst`.
_SLID = {(9, 0.06, "no_defense"): {"fgsm_curr": 0.790, "attnet_curr": 0.583, "worst": 0.790}}


@dataclasses.dataclass(frozen=True)
class PaperTable:
    """One table.

    Attributes:
      number: 1 to 10.
      dataset: `mnist` or `cifar10`.
      caption: its caption.
      wide: whether it has one row with the radii side by side.
      etas, defenses: radii and defenses of its rows.
      columns: attacks as named in the paper, including `worst`.
      cells: (eta, defense, column) -> the error as printed.
    """

    number: int
    dataset: str
    caption: str
    wide: bool
    etas: tuple[float, ...]
    defenses: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict

    def reported(self, eta: float, defense: str, column: str) -> float | None:
        """Returns the printed error or None; a cell without a radius holds for all radii."""
        return self.cells.get((eta, defense, column), self.cells.get((None, defense, column)))

    @property
    def attacks(self) -> tuple[str, ...]:
        """The attacks measured for its columns: all but the worst, which follows from them."""
        return tuple(measured_as(name) for name in self.columns if name != WORST)

    @property
    def extras(self) -> tuple[str, ...]:
        """The stronger attacks that the paper did not have."""
        return (*(name for name in self.columns if name in MEASURED_AS), *GRADIENT_EXTRAS)


@functools.cache
def paper_table(number: int) -> PaperTable:
    """Returns table `number` of the paper.

    Example:
      >>> paper_table(3).defenses
      ('no_defense', 'adv_fgsm1', 'adv_fgsm2', 'adv_fgsm80', 'lwa', 'minimax_grad')
    """
    require_choice("table", number, TABLES)
    rows = paper_rows(number)
    caption, wide = _CAPTIONS[(number - 1) % 5 + 1]
    dataset = rows[0]["dataset"]

    def names(key):
        return tuple(dict.fromkeys(row[key] for row in rows if row[key] is not None))

    return PaperTable(
        number=number,
        dataset=dataset,
        caption=f"{caption}, {_DATASETS[dataset]}",
        wide=wide,
        etas=names("eta"),
        defenses=names("defense"),
        columns=names("attack"),
        cells={(row["eta"], row["defense"], row["attack"]): row["error"] for row in rows},
    )


def measured_as(column: str) -> str:
    """Returns the name of the measured attack for a column of the paper."""
    return MEASURED_AS.get(column, column)


def errata() -> list[dict]:
    """Lists cells in which the paper contradicts another of its tables or the cell's own row.

    Returns:
      Dicts with table, eta, defense, attack, printed, other, why.
    """
    found, first = [], {}
    for number in TABLES:
        table = paper_table(number)
        for (eta, defense, attack), printed in table.cells.items():
            here = {"table": number, "eta": eta, "defense": defense, "attack": attack}
            slid = _SLID.get((number, eta, defense))
            if slid is not None:
                if slid[attack] != printed:
                    why = "its columns slid"
                    found.append({**here, "printed": printed, "other": slid[attack], "why": why})
                continue
            # FGSM 2 is crafted on Adv FGSM 1 itself.
            same = table.reported(eta, defense, "fgsm_curr")
            if (defense, attack) == ("adv_fgsm1", "fgsm2") and same not in (None, printed):
                why = "FGSM-curr of its row, the same attack"
                found.append({**here, "printed": printed, "other": same, "why": why})
                continue
            if attack == WORST:
                others = (one for one in table.columns if one != WORST)
                row: list = [table.reported(eta, defense, one) for one in others]
                if printed != max(row):
                    why = "the largest error of its row"
                    found.append({**here, "printed": printed, "other": max(row), "why": why})
                continue
            origin, value = first.setdefault(
                (table.dataset, eta, defense, attack), (number, printed)
            )
            if value != printed:
                why = f"Table {origin}"
                found.append({**here, "printed": printed, "other": value, "why": why})
    return found

"""A table of reported | measured errors as text, Markdown, CSV and LaTeX."""

import csv
import dataclasses
import io

from mmtf.reports.markdown import markdown_table
from mmtf.stats.estimates import Estimate
from scripts.paper.cells import Track
from scripts.paper.tables import PaperTable

ROWS = {
    "no_defense": "No defense",
    "lwa": "LWA",
    "minimax_grad": "Minimax-Grad",
    "minimax_attnet": "Minimax-AttNet",
    "alt_attnet": "Alt-AttNet",
    "maximin_attnet": "Maximin-AttNet",
}
BAR = " | "
HEAD = "(test error, reported | measured [95% interval]; robust accuracy is 1 - error)"
CSV_COLUMNS = (
    "table dataset init schedule eta defense attack title reported reported_elsewhere where"
)
CSV_COLUMNS += " measured low high n seeds"
FULL = 10_000  # test images of MNIST and of CIFAR-10


@dataclasses.dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
      eta, defense: radius and defense of its row.
      column: title of its column.
      reported: the error as printed in the paper; None if the paper has no such cell.
      other: a different value elsewhere in the paper, such as ("Table 3", 0.036), or None.
      measured: the measured error; None if there is no record.
      attack: name of the measured attack in records.
    """

    eta: float
    defense: str
    column: str
    reported: float | None = None
    other: tuple[str, float] | None = None
    measured: Estimate | None = None
    attack: str = ""

    def text(self) -> str:
        """Returns `reported | measured [interval]`, the parts that exist."""
        parts = []
        if self.reported is not None:
            parts.append(f"{self.reported:.3f}")
        if self.other is not None:
            parts[-1] += f" ({self.other[0]}: {self.other[1]:.3f})"
        if self.measured is None:
            return BAR.join([*parts, "-"])
        one = self.measured
        interval = f" [{one.low:.3f}, {one.high:.3f}]" if one.low < one.high else ""
        return BAR.join([*parts, f"{one.mean:.3f}{interval}"])


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A table of one track.

    Attributes:
      table: table of the paper.
      track: the track whose records are shown.
      entries: the cells, row by row.
      notes: remarks for the reader: images, rounds, steps, seeds.
    """

    table: PaperTable
    track: Track
    entries: list[Entry]
    notes: list[str]

    @property
    def title(self) -> str:
        return (
            f"Table {self.table.number}. {self.table.caption}; {self.track.init} initializer, "
            f"{self.track.schedule} schedule"
        )

    @property
    def measured(self) -> int:
        """The number of measured entries."""
        return sum(entry.measured is not None for entry in self.entries)

    def grid(self) -> tuple[list[str], list[list[str]]]:
        """Returns (header, rows): one row per defense; per attack in the paper's one-row tables."""
        if self.table.wide:
            return self._turned()
        rows: dict[tuple, dict[str, str]] = {}
        for entry in self.entries:
            rows.setdefault((entry.eta, entry.defense), {})[entry.column] = entry.text()
        columns = list(dict.fromkeys(entry.column for entry in self.entries))
        titles = self._titles()
        lines = [
            [f"{eta:g}", row_title(defense), *(row[column] for column in columns)]
            for (eta, defense), row in rows.items()
        ]
        return ["eta", "defense", *(titles[column] for column in columns)], lines

    def _titles(self) -> dict[str, str]:
        """Returns column -> title, with the number of images if that is not the paper's 10,000."""
        images: dict[str, set[int]] = {entry.column: set() for entry in self.entries}
        for entry in self.entries:
            if entry.measured is not None:
                images[entry.column].add(entry.measured.n)
        return {
            column: f"{column} (n={next(iter(ns)):,})" if len(ns) == 1 and ns != {FULL} else column
            for column, ns in images.items()
        }

    def _turned(self) -> tuple[list[str], list[list[str]]]:
        rows: dict[str, list[str]] = {}
        for entry in self.entries:
            rows.setdefault(entry.column, []).append(entry.text())
        radii = dict.fromkeys(f"eta {entry.eta:g}" for entry in self.entries)
        name, titles = row_title(self.table.defenses[0]), self._titles()
        return [f"{name} under", *radii], [[titles[column], *row] for column, row in rows.items()]

    def text(self) -> str:
        """Returns title, aligned columns and notes, for a terminal."""
        header, rows = self.grid()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (header, *rows)
        ]
        return "\n".join([self.title, HEAD, *lines, *self.notes])

    def markdown(self) -> str:
        """Returns title, table and notes as Markdown."""
        header, rows = self.grid()
        table = markdown_table(header, [[cell.replace("|", "\\|") for cell in row] for row in rows])
        notes = "\n".join(f"- {note}" for note in self.notes)
        head = f"**{self.title}**: test error, reported \\| measured [95 % interval]."
        return f"{head}\n\n{table}\n\n{notes}"

    def csv(self) -> str:
        """Returns CSV with one line for each cell."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(CSV_COLUMNS.split())
        about = [self.table.number, self.track.dataset, self.track.init, self.track.schedule]
        for one in self.entries:
            where, other = one.other or ("", "")
            printed = ["" if one.reported is None else one.reported, other, where]
            found = one.measured
            values = (
                [f"{value:.5f}" for value in (found.mean, found.low, found.high)] if found else []
            )
            values += [found.n, found.seeds] if found else [""] * 5
            row = [f"{one.eta:g}", one.defense, one.attack, one.column]
            writer.writerow([*about, *row, *printed, *values])
        return out.getvalue()

    def latex(self) -> str:
        """Returns a tabular for \\input that requires no package."""
        header, rows = self.grid()
        lines = [f"% {self.title}; reported | measured [95% interval]"]
        lines += [f"\\begin{{tabular}}{{{'l' * len(header)}}}", "\\hline"]
        for number, row in enumerate([header, *rows]):
            lines.append(" & ".join(map(_latex, row)) + " \\\\" + ("\\hline" * (number == 0)))
        lines += ["\\hline", "\\end{tabular}", "", "{\\footnotesize"]
        return "\n".join([*lines, *(f"{_latex(note)}\\par" for note in self.notes), "}"]) + "\n"


def row_title(defense: str) -> str:
    """Returns the defense's name as written in the paper.

    Example:
      >>> row_title("adv_fgsm80"), row_title("lwa")
      ('Adv FGSM80', 'LWA')
    """
    return ROWS.get(defense, defense.replace("adv_fgsm", "Adv FGSM"))


def _latex(text: str) -> str:
    for plain, command in (("|", "$\\mid$"), ("_", "\\_"), ("%", "\\%"), ("`", "")):
        text = text.replace(plain, command)
    return text

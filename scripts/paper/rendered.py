"""A table of reported | measured as text, Markdown, CSV and LaTeX."""

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
FULL = 10_000  # test images of MNIST and of CIFAR-10


@dataclasses.dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
      eta, defense: of its row.
      column: its title.
      reported: as the paper prints it, None where it has no such cell.
      other: what the paper has for it elsewhere, and where: ("Table 3", 0.036), or None.
      measured: None where there is no record.
      attack: what is measured, as records name it.
    """

    eta: float
    defense: str
    column: str
    reported: float | None = None
    other: tuple[str, float] | None = None
    measured: Estimate | None = None
    attack: str = ""

    def text(self) -> str:
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
      table: of the paper.
      track: whose records.
      entries: row by row.
      notes: what a reader must know: images, rounds, steps, seeds.
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
        """How many entries are."""
        return sum(entry.measured is not None for entry in self.entries)

    def grid(self) -> tuple[list[str], list[list[str]]]:
        """(header, rows): a row a defense, or, of the paper's one-row tables, a row an attack."""
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
        """Column -> its title, with its n where that is not the paper's 10,000."""
        images: dict[str, set[int]] = {entry.column: set() for entry in self.entries}
        for entry in self.entries:
            if entry.measured is not None:
                images[entry.column].add(entry.measured.n)
        return {
            column: f"{column} (n={next(iter(ns)):,})" if len(ns) == 1 and ns != {FULL} else column
            for column, ns in images.items()
        }

    def _turned(self):
        rows: dict[str, list[str]] = {}
        for entry in self.entries:
            rows.setdefault(entry.column, []).append(entry.text())
        radii = dict.fromkeys(f"eta {entry.eta:g}" for entry in self.entries)
        name, titles = row_title(self.table.defenses[0]), self._titles()
        return [f"{name} under", *radii], [[titles[column], *row] for column, row in rows.items()]

    def text(self) -> str:
        """For a terminal: title, aligned columns, notes."""
        header, rows = self.grid()
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (header, *rows)
        ]
        return "\n".join([self.title, "(reported | measured [95% interval])", *lines, *self.notes])

    def markdown(self) -> str:
        header, rows = self.grid()
        table = markdown_table(header, [[cell.replace("|", "\\|") for cell in row] for row in rows])
        notes = "\n".join(f"- {note}" for note in self.notes)
        return f"**{self.title}**: reported \\| measured [95 % interval].\n\n{table}\n\n{notes}"

    def csv(self) -> str:
        """One line a cell."""
        out = io.StringIO()
        names = [
            "table",
            "dataset",
            "init",
            "schedule",
            "eta",
            "defense",
            "attack",
            "title",
            "reported",
        ]
        names += ["reported_elsewhere", "where", "measured", "low", "high", "n", "seeds"]
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for one in self.entries:
            where, other = one.other or ("", "")
            found = one.measured
            figures: list = [""] * 5
            if found is not None:
                low_high = [f"{found.low:.5f}", f"{found.high:.5f}"]
                figures = [f"{found.mean:.5f}", *low_high, found.n, found.seeds]
            about = [self.table.number, self.track.dataset, self.track.init, self.track.schedule]
            reported = "" if one.reported is None else one.reported
            row = [f"{one.eta:g}", one.defense, one.attack, one.column]
            cell = [*row, reported, other, where]
            writer.writerow([*about, *cell, *figures])
        return out.getvalue()

    def latex(self) -> str:
        """A tabular, for \\input; no package needed."""
        header, rows = self.grid()
        lines = [f"% {self.title}; reported | measured [95% interval]"]
        lines += [f"\\begin{{tabular}}{{{'l' * len(header)}}}", "\\hline"]
        for number, row in enumerate([header, *rows]):
            lines.append(" & ".join(map(_latex, row)) + " \\\\" + ("\\hline" * (number == 0)))
        lines += ["\\hline", "\\end{tabular}", "", "{\\footnotesize"]
        return "\n".join([*lines, *(f"{_latex(note)}\\par" for note in self.notes), "}"]) + "\n"


def row_title(defense: str) -> str:
    """As the paper writes it.

    Example:
      >>> row_title("adv_fgsm80"), row_title("lwa")
      ('Adv FGSM80', 'LWA')
    """
    return ROWS.get(defense, defense.replace("adv_fgsm", "Adv FGSM"))


def _latex(text):
    for plain, command in (("|", "$\\mid$"), ("_", "\\_"), ("%", "\\%"), ("`", "")):
        text = text.replace(plain, command)
    return text

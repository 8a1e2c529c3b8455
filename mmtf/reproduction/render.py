"""One of the paper's tables from records: reported | measured, as Markdown, CSV and LaTeX."""

import csv
import dataclasses
import io
import re

from mmtf.reports.markdown import markdown_table
from mmtf.reproduction.cells import Results, Track
from mmtf.reproduction.estimates import Estimate, estimate, largest, worst_example
from mmtf.reproduction.tables import WORST, PaperTable, errata, measured_as

TITLES = {
    "none": "no attack",
    "fgsm_curr": "FGSM-curr",
    "attnet_curr": "AttNet-curr",
    "pgd_curr": "PGD-40",
    "autoattack_curr": "AutoAttack",
    WORST: "worst",
}
STRONGEST = {"attnet_curr": "strongest AttNet"}
PER_EXAMPLE = "worst per example"
ROWS = {
    "no_defense": "No defense",
    "lwa": "LWA",
    "minimax_grad": "Minimax-Grad",
    "minimax_attnet": "Minimax-AttNet",
    "alt_attnet": "Alt-AttNet",
    "maximin_attnet": "Maximin-AttNet",
}
BAR = " | "


@dataclasses.dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
      eta, defense: of its row.
      column: its title.
      reported: as the paper prints it, None where it has no such cell.
      other: what the paper has for it elsewhere, and where: ("Table 3", 0.036), or None.
      measured: None where there is no record.
      n: over which a per-example worst is taken.
    """

    eta: float
    defense: str
    column: str
    reported: float | None = None
    other: tuple[str, float] | None = None
    measured: Estimate | None = None

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
            f"Table {self.table.number}. {self.table.caption}; {self.track.init} initialiser, "
            f"{self.track.schedule} schedule"
        )

    @property
    def measured(self) -> int:
        """How many entries are."""
        return sum(entry.measured is not None for entry in self.entries)

    def grid(self) -> tuple[list[str], list[list[str]]]:
        """(header, rows): a row a defence, or, of the paper's one-row tables, a row an attack."""
        if self.table.wide:
            return self._turned()
        rows: dict[tuple, dict[str, str]] = {}
        for entry in self.entries:
            rows.setdefault((entry.eta, entry.defense), {})[entry.column] = entry.text()
        columns = list(dict.fromkeys(entry.column for entry in self.entries))
        lines = [
            [f"{eta:g}", row_title(defense), *(row[column] for column in columns)]
            for (eta, defense), row in rows.items()
        ]
        return ["eta", "defence", *columns], lines

    def _turned(self):
        rows: dict[str, list[str]] = {}
        for entry in self.entries:
            rows.setdefault(entry.column, []).append(entry.text())
        radii = dict.fromkeys(f"eta {entry.eta:g}" for entry in self.entries)
        name = row_title(self.table.defenses[0])
        return [f"{name} under", *radii], [[column, *row] for column, row in rows.items()]

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
        names = ["table", "dataset", "init", "schedule", "eta", "defense", "attack", "reported"]
        names += ["reported_elsewhere", "where", "measured", "low", "high", "n", "seeds"]
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for one in self.entries:
            where, other = one.other or ("", "")
            found = one.measured
            figures = [""] * 5
            if found is not None:
                low_high = [f"{found.low:.5f}", f"{found.high:.5f}"]
                figures = [f"{found.mean:.5f}", *low_high, found.n, found.seeds]
            about = [self.table.number, self.track.dataset, self.track.init, self.track.schedule]
            reported = "" if one.reported is None else one.reported
            cell = [f"{one.eta:g}", one.defense, one.column, reported, other, where]
            writer.writerow([*about, *cell, *figures])
        return out.getvalue()

    def latex(self) -> str:
        """A tabular, for \\input; no package needed."""
        header, rows = self.grid()
        lines = [f"% {self.title}; reported | measured [95% interval]"]
        lines += [f"\\begin{{tabular}}{{{'l' * len(header)}}}", "\\hline"]
        for number, row in enumerate([header, *rows]):
            lines.append(" & ".join(map(_latex, row)) + " \\\\" + ("\\hline" * (number == 0)))
        return "\n".join([*lines, "\\hline", "\\end{tabular}"]) + "\n"


def row_title(defense: str) -> str:
    """As the paper writes it.

    Example:
      >>> row_title("adv_fgsm80"), row_title("lwa")
      ('Adv FGSM80', 'LWA')
    """
    return ROWS.get(defense, defense.replace("adv_fgsm", "Adv FGSM"))


def render(table: PaperTable, results: Results, track: Track, etas=None) -> Rendered:
    """The table with what `results` has of `track`.

    Args:
      etas: only these radii of the paper's, None for all.
    """
    found = {
        (one["eta"], one["defense"], one["attack"]): (one["why"], one["other"])
        for one in errata()
        if one["table"] == table.number
    }
    entries, used = [], []
    for eta in table.etas if etas is None else etas:
        for defense in table.defenses:
            row = {name: results.of(track, eta, defense, name) for name in table.attacks}
            extra = {name: results.of(track, eta, defense, name) for name in table.extras}
            used += [one for group in (row, extra) for records in group.values() for one in records]
            for column in table.columns:
                records = row.get(measured_as(column), [])
                measured = (
                    largest([estimate(one) for one in row.values()])
                    if column == WORST
                    else estimate(records)
                )
                reported = table.reported(eta, defense, column)
                other = found.get((eta, defense, column))
                title = TITLES.get(column, column.upper())
                entries.append(Entry(eta, defense, title, reported, other, measured))
            for name, records in extra.items():
                title = STRONGEST.get(name, TITLES[name])
                entries.append(Entry(eta, defense, title, measured=estimate(records)))
            entries.append(Entry(eta, defense, PER_EXAMPLE, measured=_worst({**row, **extra})))
    return Rendered(table, track, entries, _notes(used, table, track, entries))


def _worst(groups) -> Estimate | None:
    """The per-example worst case over all attacks of the row, where each has its record."""
    if not all(groups.values()):
        return None
    seeds = set.intersection(*({one["seed"] for one in records} for records in groups.values()))
    errors = []
    for seed in sorted(seeds):
        records = [one for group in groups.values() for one in group if one["seed"] == seed]
        errors.append(worst_example(records))
    if not errors:
        return None
    mean = sum(error for error, _ in errors) / len(errors)
    return Estimate(mean, mean, mean, errors[0][1], len(errors))


def _notes(records, table, track, entries) -> list[str]:
    notes = []
    if records:
        images: dict[int, dict[str, None]] = {}
        for one in records:
            title = STRONGEST.get(one["attack"], TITLES.get(one["attack"], one["attack"].upper()))
            if one["attack"] == "attnet_paper_curr":
                title = TITLES["attnet_curr"]
            images.setdefault(one["n"], {})[title] = None
        counts = "; ".join(f"n = {n:,}: {', '.join(names)}" for n, names in sorted(images.items()))
        seeds = sorted({one["seed"] for one in records})
        notes.append(f"Test images: {counts}. Seeds: {', '.join(map(str, seeds))}.")
        notes += sorted({one["note"] for one in records if one.get("note")})
        notes += _differences(records, table)
    missing = sum(entry.measured is None for entry in entries)
    if missing:
        command = f"python -m scripts.reproduce --tables={table.number} --init={track.init}"
        notes.append(
            f"{missing} of {len(entries)} cells are not measured; `{command} "
            f"--schedule={track.schedule}` measures them."
        )
    return notes


def _differences(records, table):
    """Where the runs differ from the paper's."""
    numbers = re.findall(r"adv_fgsm(\d+)", " ".join(table.defenses))
    last = max(map(int, numbers), default=0)
    rounds = {one["rounds"] for one in records}
    if last > 2 and rounds != {last}:
        yield (
            f"Adv FGSM{last} and FGSM{last} are those of round "
            f"{', '.join(map(str, sorted(rounds)))}, the last that was played."
        )
    steps: dict[str, set] = {}
    for one in records:
        steps.setdefault(row_title(one["defense"]), set()).add(one["training"]["steps"])
        about = one["settings"].get("steps")
        if one["attack"] in ("attnet_curr", "attnet_paper_curr"):
            title = "strongest AttNet" if one["attack"] == "attnet_curr" else "AttNet-curr"
            steps.setdefault(title, set()).add(about)
    counts = ", ".join(f"{name} {'/'.join(f'{n:,}' for n in ns)}" for name, ns in steps.items())
    yield f"Training steps: {counts} (No defense and Adv FGSM k: of the run of all rounds)."


def _latex(text):
    for plain, command in (("|", "$\\mid$"), ("_", "\\_"), ("%", "\\%")):
        text = text.replace(plain, command)
    return text

"""One of the paper's tables from records, with what a reader must know of them."""

import re

from mmtf.stats.estimates import Estimate, estimate, largest, worst_example
from scripts.paper.cells import Results, Track, is_mixed
from scripts.paper.rendered import Entry, Rendered, row_title
from scripts.paper.tables import WORST, PaperTable, errata, measured_as

TITLES = {
    "none": "no attack",
    "fgsm_curr": "FGSM-curr",
    "attnet_curr": "AttNet-curr",
    "pgd_curr": "PGD-40",
    "autoattack_curr": "AutoAttack",
    WORST: "worst",
}
BESIDE = {"attnet_curr": "U-Net AttNet"}
PER_EXAMPLE = "worst per example"


def render(table: PaperTable, results: Results, track: Track, etas=None) -> Rendered:
    """The table with what `results` has of `track`.

    Args:
      etas: only these radii, as far as the table has them; None for all, or, but for the
        fast schedule, for those with records.
    """
    found = {
        (one["eta"], one["defense"], one["attack"]): (one["why"], one["other"])
        for one in errata()
        if one["table"] == table.number
    }
    if etas is None and track.schedule != "fast":
        etas = [eta for eta in table.etas if results.at(track, eta, 0)] or None
    entries, used, mixed = [], [], []
    for eta in (one for one in table.etas if etas is None or one in etas):
        for defense in table.defenses:
            row = {name: results.of(track, eta, defense, name) for name in table.attacks}
            extra = {name: results.of(track, eta, defense, name) for name in table.extras}
            mine = [one for group in (row, extra) for records in group.values() for one in records]
            used += mine
            torn = is_mixed(mine)
            if torn:
                mixed.append(f"{row_title(defense)} at eta {eta:g}")
            for column in table.columns:
                records = row.get(measured_as(column), [])
                measured = (
                    largest([estimate(one) for one in row.values()])
                    if column == WORST and not torn
                    else estimate(records)
                )
                reported = table.reported(eta, defense, column)
                other = found.get((eta, defense, column))
                title = TITLES.get(column, column.upper())
                attack = measured_as(column)
                entries.append(Entry(eta, defense, title, reported, other, measured, attack))
            if WORST not in table.columns and not table.wide:  # Table 8's caption has it alone
                worst = None if torn else largest([estimate(one) for one in row.values()])
                entries.append(Entry(eta, defense, TITLES[WORST], measured=worst, attack=WORST))
            for name, records in extra.items():
                title = BESIDE.get(name, TITLES[name])
                entries.append(Entry(eta, defense, title, measured=estimate(records), attack=name))
            worst = None if torn else _worst({**row, **extra})
            entries.append(
                Entry(eta, defense, PER_EXAMPLE, measured=worst, attack="worst_per_example")
            )
    notes = _notes(used, table, track, entries)
    if mixed:
        notes.append(f"Cells of more than one training, so without a worst: {', '.join(mixed)}.")
    return Rendered(table, track, entries, notes)


def _worst(groups) -> Estimate | None:
    """The per-example worst case over all attacks of the row, where each has its record."""
    if not all(groups.values()):
        return None
    seeds = set.intersection(*({one["seed"] for one in records} for records in groups.values()))
    errors = []
    for seed in sorted(seeds):
        records = [one for group in groups.values() for one in group if one["seed"] == seed]
        errors.append(worst_example(records))
    known = [error for error in errors if error is not None]
    return estimate(known) if len(known) == len(errors) else None


def _notes(records, table, track, entries) -> list[str]:
    notes = []
    if records:
        images: dict[int, dict[str, None]] = {}
        for one in records:
            title = BESIDE.get(one["attack"], TITLES.get(one["attack"], one["attack"].upper()))
            if one["attack"] == "attnet_paper_curr":
                title = TITLES["attnet_curr"]
            images.setdefault(one["n"], {})[title] = None
        counts = "; ".join(f"n = {n:,}: {', '.join(names)}" for n, names in sorted(images.items()))
        notes.append(f"Test images: {counts}. Seeds: {_seeds(records)}.")
        common = {e.measured.n for e in entries if e.column == PER_EXAMPLE and e.measured}
        if common:
            notes.append(
                f"Worst per example: over the first {' or '.join(map(str, common))} images and all "
                "attacks of its row."
            )
        said = {one["note"] for one in records if one.get("note")}
        # Older records say the beginning of what later ones say.
        notes += sorted(
            one for one in said if not any(it > one and it.startswith(one) for it in said)
        )
        notes += _differences(records, table)
    missing = sum(entry.measured is None for entry in entries)
    if missing:
        command = f"python -m scripts.reproduce --tables={table.number} --init={track.init}"
        notes.append(
            f"{missing} of {len(entries)} cells are not measured; `{command} "
            f"--schedule={track.schedule}` measures them."
        )
    return notes


def _seeds(records) -> str:
    """Of all cells, or which rows have which."""
    cells: dict[tuple, set] = {}
    for one in records:
        cells.setdefault((one["defense"], one["eta"], one["attack"]), set()).add(one["seed"])
    rows: dict[str, dict[str, None]] = {}
    for (defense, _, _), seeds in cells.items():
        rows.setdefault(", ".join(map(str, sorted(seeds))), {})[row_title(defense)] = None
    if len(rows) == 1:
        return next(iter(rows))
    return "; ".join(f"{seeds} (cells of {', '.join(who)})" for seeds, who in sorted(rows.items()))


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
    steps: dict[str, dict] = {}
    for one in records:
        steps.setdefault(row_title(one["defense"]), {})[_length(one)] = None
        about = one["settings"].get("steps")
        if one["attack"] in ("attnet_curr", "attnet_paper_curr") and about:
            title = BESIDE.get(one["attack"], TITLES["attnet_curr"])
            steps.setdefault(title, {})[f"{about:,}"] = None
    counts = ", ".join(f"{name} {' or '.join(found)}" for name, found in steps.items())
    yield f"Training steps: {counts}."
    yield f"Measured in float32. Precision of the training: {_precisions(records)}."


def _length(record) -> str:
    """The steps of its training and their images: 33,500 x 128 (1,500, then 400 a round)."""
    text = f"{record['training']['steps']:,}"
    plan = record.get("config", {}).get("schedule")
    if plan is None:
        return text
    text += f" x {plan['batch_size']}"
    first = plan["first_steps"] or plan["steps"]
    if record["defense"].startswith("adv_fgsm"):
        text += f" ({first:,}, then {plan['steps']:,} a round)"
    return text


def _precisions(records) -> str:
    """One for all, or which rows have which."""
    rows: dict[float, dict[str, None]] = {}
    trained: dict[str, dict[float, dict[str, None]]] = {}
    for one in records:
        precision, row = one["training"].get("precision", "not recorded"), row_title(one["defense"])
        rows.setdefault(one["eta"], {})[row] = None
        trained.setdefault(precision, {}).setdefault(one["eta"], {})[row] = None
    if len(trained) == 1:
        return next(iter(trained))
    parts = []
    for precision, radii in sorted(trained.items()):
        whole = [f"{eta:g}" for eta, mine in radii.items() if mine == rows[eta]]
        places = [f"all rows at {', '.join(whole)}"] if whole else []
        places += [
            f"{', '.join(mine)} at {eta:g}" for eta, mine in radii.items() if mine != rows[eta]
        ]
        parts.append(f"{precision}: {'; '.join(places)}")
    return ". ".join(parts)

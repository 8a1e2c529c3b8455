"""One of the paper's tables from records, with what a reader must know of them."""

import re
from collections.abc import Iterator

from mmtf.stats.estimates import Estimate, estimate, largest, worst_example
from scripts.paper.cells import Track, is_mixed
from scripts.paper.records import Results
from scripts.paper.rendered import Entry, Rendered, row_title
from scripts.paper.tables import WORST, PaperTable, errata, measured_as

TITLES = {
    "none": "no attack",
    "fgsm_curr": "FGSM-curr",
    "attnet_paper_curr": "AttNet-curr",
    "attnet_curr": "U-Net AttNet",
    "pgd_curr": "PGD-40",
    "autoattack_curr": "AutoAttack",
    WORST: "worst",
}
PER_EXAMPLE = "worst per example"


def render(
    table: PaperTable, results: Results, track: Track, etas: list[float] | None = None
) -> Rendered:
    """Fills a table of the paper with the results of a track.

    Args:
      table: table of the paper.
      results: the records.
      track: the track whose records are used.
      etas: only those of these radii that the table has. None: all of the table's radii for the
        fast schedule, those with records for the others.
    """
    other = {
        (one["eta"], one["defense"], one["attack"]): (one["why"], one["other"])
        for one in errata()
        if one["table"] == table.number
    }
    if etas is None and track.schedule != "fast":
        etas = [eta for eta in table.etas if results.at(track, eta, 0)] or None
    entries: list[Entry] = []
    used: list[dict] = []
    mixed = []
    for eta in (one for one in table.etas if etas is None or one in etas):
        for defense in table.defenses:
            names = (*table.attacks, *table.extras)
            found = {name: results.of(track, eta, defense, name) for name in names}
            mine = [one for records in found.values() for one in records]
            used += mine
            measured = {name: estimate(records) for name, records in found.items()}
            if is_mixed(mine):
                mixed.append(f"{row_title(defense)} at eta {eta:g}")
                worst = per_example = None
            else:
                worst = largest([measured[name] for name in table.attacks])
                per_example = _per_example(found)
            for column in table.columns:
                attack, place = measured_as(column), (eta, defense, column)
                value = worst if column == WORST else measured[attack]
                printed = table.reported(*place), other.get(place)
                entries.append(Entry(eta, defense, _title(attack), *printed, value, attack))
            if WORST not in table.columns and not table.wide:  # Table 8 has it only in its caption
                entries.append(Entry(eta, defense, TITLES[WORST], measured=worst, attack=WORST))
            for name in table.extras:
                entries.append(
                    Entry(eta, defense, _title(name), measured=measured[name], attack=name)
                )
            about = {"measured": per_example, "attack": "worst_per_example"}
            entries.append(Entry(eta, defense, PER_EXAMPLE, **about))
    notes = [*_notes(used, table, entries), *_missing(entries, table, track)]
    if mixed:
        notes.append(f"Cells of more than one training, so without a worst: {', '.join(mixed)}.")
    return Rendered(table, track, entries, notes)


def _title(attack: str) -> str:
    return TITLES.get(attack, attack.upper())


def _per_example(found: dict[str, list[dict]]) -> Estimate | None:
    """Returns the per-example worst case over the row's attacks; None unless all are measured."""
    if not all(found.values()):
        return None
    seeds = set.intersection(*({one["seed"] for one in records} for records in found.values()))
    errors = []
    for seed in sorted(seeds):
        records = [one for group in found.values() for one in group if one["seed"] == seed]
        errors.append(worst_example(records))
    return None if None in errors else estimate(errors)


def _notes(records: list[dict], table: PaperTable, entries: list[Entry]) -> Iterator[str]:
    """Yields notes on images, seeds, rounds, steps and precision of the cells."""
    if not records:
        return
    images = _grouped((one["n"], _title(one["attack"])) for one in records)
    counts = "; ".join(f"n = {n:,}: {', '.join(names)}" for n, names in sorted(images.items()))
    yield f"Test images: {counts}. Seeds: {_seeds(records)}."
    common = {e.measured.n for e in entries if e.column == PER_EXAMPLE and e.measured}
    if common:
        yield (
            f"Worst per example: over the first {' or '.join(map(str, common))} images and all "
            "attacks of its row."
        )
    said = {one["note"] for one in records if one.get("note")}
    # An older record's note may be a prefix of a later one's, which is then enough.
    yield from sorted(
        one for one in said if not any(it > one and it.startswith(one) for it in said)
    )
    last = max(map(int, re.findall(r"adv_fgsm(\d+)", " ".join(table.defenses))), default=0)
    rounds = {one["rounds"] for one in records}
    if last > 2 and rounds != {last}:
        yield (
            f"Adv FGSM{last} and FGSM{last} are those of round "
            f"{', '.join(map(str, sorted(rounds)))}, the last that was played."
        )
    lengths = _grouped(pair for one in records for pair in _lengths(one))
    counts = ", ".join(f"{name} {' or '.join(found)}" for name, found in lengths.items())
    yield f"Training steps: {counts}."
    yield f"Measured in float32. Precision of the training: {_precisions(records)}."


def _missing(entries: list[Entry], table: PaperTable, track: Track) -> Iterator[str]:
    missing = sum(entry.measured is None for entry in entries)
    if missing:
        yield (
            f"{missing} of {len(entries)} cells are not measured; `python -m scripts.reproduce "
            f"--tables={table.number} --init={track.init} --schedule={track.schedule}` measures "
            "them."
        )


def _grouped(pairs) -> dict:
    """Returns key -> its distinct values, in their order."""
    found: dict = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: list(values) for key, values in found.items()}


def _seeds(records: list[dict]) -> str:
    """Formats the seeds of all cells, or of each row if they differ."""
    cells = _grouped(((one["defense"], one["eta"], one["attack"]), one["seed"]) for one in records)
    rows = _grouped(
        (", ".join(map(str, sorted(seeds))), row_title(defense))
        for (defense, _, _), seeds in cells.items()
    )
    if len(rows) == 1:
        return next(iter(rows))
    return "; ".join(f"{seeds} (cells of {', '.join(who)})" for seeds, who in sorted(rows.items()))


def _lengths(record: dict) -> Iterator[tuple[str, str]]:
    """Yields training steps x images: 33,500 x 128 (1,500, then 400 a round); attack's steps."""
    text = f"{record['training']['steps']:,}"
    plan = record.get("config", {}).get("schedule")
    if plan is not None:
        text += f" x {plan['batch_size']}"
        if record["defense"].startswith("adv_fgsm"):
            first = plan["first_steps"] or plan["steps"]
            text += f" ({first:,}, then {plan['steps']:,} a round)"
    yield row_title(record["defense"]), text
    if record["attack"].startswith("attnet") and record["settings"].get("steps"):
        yield _title(record["attack"]), f"{record['settings']['steps']:,}"


def _precisions(records: list[dict]) -> str:
    """Formats the training precision of all rows, or of each row if they differ."""
    found = [
        (
            one["training"].get("precision", "not recorded"),
            (one["eta"], row_title(one["defense"])),
        )
        for one in records
    ]
    trained, rows = _grouped(found), _grouped(row for _, row in found)
    if len(trained) == 1:
        return next(iter(trained))
    parts = []
    for precision, mine in sorted(trained.items()):
        radii = _grouped(mine)
        whole = [f"{eta:g}" for eta, names in radii.items() if names == rows[eta]]
        places = [f"all rows at {', '.join(whole)}"] if whole else []
        places += [f"{', '.join(x)} at {eta:g}" for eta, x in radii.items() if x != rows[eta]]
        parts.append(f"{precision}: {'; '.join(places)}")
    return ". ".join(parts)

"""The record of the additive game as tables and a figure."""

from collections.abc import Sequence
from typing import Any

from mmtf.reports.markdown import markdown_table
from mmtf.reports.plots import COLORS, GRAY, MARKERS, pyplot, save

Cell = dict[str, Any]
ARROW = " → "


def find(cell: Cell, attack: str, defense: str, box: bool) -> dict[str, Any] | None:
    """The entry of an attack on a defense with or without the box; None: not measured."""
    for one in cell["cells"]:
        if (one["attack"], one["defense"], one["box"]) == (attack, defense, box):
            return one
    return None


def accuracy(
    cell: Cell, attack: str, defense: str, box: bool = False, kind: str = "true"
) -> float | None:
    """Robust accuracy, `true` or `approximate`; None: not measured. `none` never has the box."""
    found = find(cell, attack, defense, box and attack != "none")
    return None if found is None else 1.0 - found[kind]["error"]


def lines(cells: Sequence[Cell], attack: str, defense: str) -> dict[float | None, list[tuple]]:
    """The points (attacker's radius, robust accuracy) of a chart's lines, ascending.

    Returns:
      None -> the points; or the defender's radius -> its own, where an attacker's radius meets
      several.
    """
    apart = len({cell["eta_attack"] for cell in cells}) < len(cells)
    found: dict[float | None, list[tuple]] = {}
    for cell in sorted(cells, key=lambda cell: (cell["eta_attack"], cell["eta_defense"])):
        value = accuracy(cell, attack, defense)
        if value is not None:
            line = found.setdefault(cell["eta_defense"] if apart else None, [])
            line.append((cell["eta_attack"], value))
    return found


def radii_text(cell: Cell) -> str:
    """Both radii on both scales, as `eta 2 / 2 (eps 1 / 1)`.

    Example:
      >>> radii_text({"eta_attack": 2.0, "eta_defense": 4.0})
      'eta 2 / 4 (eps 1 / 2)'
    """
    attack, defense = cell["eta_attack"], cell["eta_defense"]
    return f"eta {attack:g} / {defense:g} (eps {attack / 2:g} / {defense / 2:g})"


def number(value: float | None) -> str:
    """A share with three digits; empty for None."""
    return "" if value is None else f"{value:.3f}"


def _joined(*values: float | None) -> str:
    return ARROW.join(map(number, values)) if None not in values else ""


def table(cells: Sequence[Cell], *, box: bool) -> str:
    """A Markdown table: a row for each pair and radius, robust accuracies on test images.

    Args:
      cells: of a record.
      box: whether attacks stay in the box.
    """
    header = [
        "pair, attack / defense radius",
        "phi at 0",
        "hinge",
        "sigmoid",
        *(["v*"] if _refined(cells) else []),
        "test",
        "FGM approximate → true, no defense",
        "same, v*",
        "PGD on f: no defense → v*",
        "PGD on v*",
        "SMOOTH: PGD on f → on SMOOTH",
        "random, Gaussian: PGD on f",
        "clean: no defense → v*",
    ]
    if box:
        header.insert(-1, "AutoAttack: no defense → v*")
    rows, refined = [], ["refined"] if _refined(cells) else []
    shown = ["at_zero", "hinge", "sigmoid", *refined, "test"]
    for cell in cells:
        phi = cell["objective"]
        row = [
            f"{cell['pair']}, {radii_text(cell)}",
            *(number(phi[name]) for name in shown),
            *(
                _joined(*(accuracy(cell, "fgm", defense, box, kind) for kind in KINDS))
                for defense in ("none", "best_vector")
            ),
            _joined(*(accuracy(cell, "pgd", one, box) for one in ("none", "best_vector"))),
            number(accuracy(cell, "pgd_adapted", "best_vector", box)),
            _joined(*(accuracy(cell, one, "smooth", box) for one in ("pgd", "pgd_adapted"))),
            ", ".join(number(accuracy(cell, "pgd", one, box)) for one in ("random", "gaussian")),
            _joined(*(accuracy(cell, "none", one) for one in ("none", "best_vector"))),
        ]
        if box:
            strongest = [accuracy(cell, "autoattack", d, True) for d in ("none", "best_vector")]
            row.insert(-1, _joined(*strongest))
        rows.append(row)
    return markdown_table(header, rows)


def _refined(cells):
    """Whether all cells have the search along lines; older records have not."""
    return all("refined" in cell["objective"] for cell in cells)


KINDS = ("approximate", "true")


def caption(cells: Sequence[Cell], *, box: bool) -> str:
    """What the table's numbers are, with n and the widest interval."""
    counts = sorted({cell["test_n"] for cell in cells})
    trained = sorted({cell["train_n"] for cell in cells})
    entries = [one for cell in cells for one in cell["cells"]]
    entries = [one for one in entries if one["attack"] != "autoattack"] or entries
    widest = max((one["true"]["ci_high"] - one["true"]["ci_low"]) / 2 for one in entries)
    told = "(`test`: of test images, for the vector found in training) "
    if _refined(cells):
        told = "after each search, `v*` after that along lines (`test`: of test images, for v*) "
    text = (
        "phi: share of training images "
        f"{told}"
        f"with s + <w, v> > eta_attack, n = {_range(trained)}. All other columns: true robust "
        f"accuracy on n = {_range(counts)} test images, `approximate`: of the linearized "
        f"classifier; Wilson's 95 % intervals are at most ± {widest:.3f}. "
    )
    if box:
        strongest = [
            one["true"]["n"]
            for cell in cells
            for one in cell["cells"]
            if one["attack"] == "autoattack"
        ]
        if strongest:
            text += f"AutoAttack: n = {_range(sorted(set(strongest)))}. "
    return text + ("With the box: x + v_a in [-1, 1]." if box else "No box.")


def _range(values):
    ends = f"{values[0]:,}"
    return ends if len(values) == 1 else f"{ends} to {values[-1]:,}"


def text_of(record: dict[str, Any]) -> str:
    """Both tables with their captions, as Markdown."""
    cells, parts = record["cells"], []
    for box in (False, True):
        parts += [table(cells, box=box), caption(cells, box=box)]
    if record["dataset"]["note"]:
        parts.append(f"Data: {record['dataset']['note']}.")
    return "\n\n".join(parts) + "\n"


def draw(record: dict[str, Any], path: str) -> None:
    """Draws robust accuracy under PGD against the radius, a panel for each pair.

    Args:
      record: with its cells.
      path: of the figure, .png or .svg.
    """
    plt = pyplot()
    groups: dict[str, list[Cell]] = {}
    for cell in record["cells"]:
        groups.setdefault(cell["pair"], []).append(cell)
    shown = list(groups)[:6]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4 * columns + 1, 3.4 * rows), sharey=True, squeeze=False
    )
    series = (
        ("no defense, PGD", "pgd", "none", "-"),
        ("v*, PGD on v*", "pgd_adapted", "best_vector", "-"),
        ("SMOOTH, PGD on SMOOTH", "pgd_adapted", "smooth", "-"),
        ("v*, no attack", "none", "best_vector", "--"),
    )
    for panel, name in zip(axes.flat, shown, strict=False):
        for count, (label, attack, defense, dash) in enumerate(series):
            look = {"color": COLORS[count], "marker": MARKERS[count]}
            for eta, points in lines(groups[name], attack, defense).items():
                own = label if eta is None else f"{label}, defender's eta {eta:g}"
                panel.plot(*zip(*points, strict=True), dash, label=own, **look)
        panel.axhline(0.5, color=GRAY, linestyle=":", linewidth=1)
        panel.set_title(f"classes {name}")
        same = all(c["eta_attack"] == c["eta_defense"] for c in groups[name])
        panel.set_xlabel(f"eta of {'both players' if same else 'the attacker'} (l2)")
        panel.set_ylim(-0.02, 1.02)
    for panel in list(axes.flat)[len(shown) :]:
        panel.set_visible(False)
    for line in axes:
        line[0].set_ylabel("robust accuracy")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    save(figure, path)
    plt.close(figure)

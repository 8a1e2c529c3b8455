"""Answers to the questions of the paper's reviewers, each with figures of a record."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from mmtf.additive.report import ARROW, Cell, accuracy, find, number, radii_text


def answers(record: dict[str, Any]) -> str:
    """Markdown: one paragraph a question; questions that the record cannot answer are left out."""
    parts = []
    for question, answer in QUESTIONS.items():
        text = answer(record["cells"])
        if text:
            parts.append(f"**{question}** {text}")
    return "\n\n".join(parts) + "\n"


def _share(cell: Cell, attack: str, defense: str, kind: str = "true") -> float:
    """The robust accuracy, without the box, of a cell that has it."""
    value = accuracy(cell, attack, defense, kind=kind)
    assert value is not None
    return value


def _name(cell: Cell) -> str:
    return f"{cell['pair']} at {radii_text(cell)}"


def _with(cells: Sequence[Cell], *needed: tuple[str, str]) -> list[Cell]:
    return [cell for cell in cells if all(find(cell, *one, False) for one in needed)]


def _radii(cells):
    pairs = dict.fromkeys(radii_text(cell) for cell in cells)
    return f"In l2, attack / defense: {'; '.join(pairs)}; eta is for pixels in [-1, 1]."


def _pairs(cells):
    cells = _with(cells, ("pgd", "none"), ("pgd_adapted", "best_vector"))
    if not cells:
        return ""
    gain: dict[str, list[float]] = {}
    for cell in cells:
        before, after = _share(cell, "pgd", "none"), _share(cell, "pgd_adapted", "best_vector")
        gain.setdefault(cell["pair"], []).append(after - before)
    listed = "; ".join(
        f"{pair}: {', '.join(f'{one:+.3f}' for one in values)}" for pair, values in gain.items()
    )
    return (
        f"What v* adds to the true robust accuracy under PGD (no defense: PGD on f; v*: PGD on "
        f"v*), in the order of the radii: {listed}."
    )


def _gap(cells):
    entries = [(cell, one) for cell in cells for one in cell["cells"]]
    fgm = [pair for pair in entries if pair[1]["attack"] == "fgm" and not pair[1]["box"]]
    if not fgm:
        return ""

    def gap(pair):
        return pair[1]["true"]["error"] - pair[1]["approximate"]["error"]

    largest = max(entries, key=lambda pair: abs(gap(pair)))
    worst = max(fgm, key=lambda pair: abs(gap(pair)))
    told = "box" if largest[1]["box"] else "no box"
    return (
        f"Under FGM by up to {100 * abs(gap(worst)):.1f} points ({_name(worst[0])}, defense "
        f"{worst[1]['defense']}); over all attacks and defenses by up to "
        f"{100 * abs(gap(largest)):.1f} points ({_name(largest[0])}, attack "
        f"{largest[1]['attack']}, defense {largest[1]['defense']}, {told}). According to a "
        "public review, the paper's Table 1 has up to 37.9 points."
    )


def _pgd(cells):
    cells = _with(cells, ("fgm", "none"), ("pgd", "none"))
    if not cells:
        return ""
    parts = []
    for defense in ("none", "best_vector", "smooth"):
        own = _with(cells, ("fgm", defense), ("pgd_adapted", defense))
        if own:
            lower = sum(_share(c, "pgd_adapted", defense) < _share(c, "fgm", defense) for c in own)
            parts.append(f"{defense} {lower} of {len(own)}")
    entries = [
        (_share(c, a, d, kind="approximate"), _share(c, "fgm", d, kind="approximate"))
        for c in cells
        for d in ("none", "best_vector", "smooth", "random", "gaussian")
        for a in ("pgd", "pgd_adapted")
        if find(c, a, d, False) and find(c, "fgm", d, False)
    ]
    beaten = sum(other < own - 1e-9 for other, own in entries)
    return (
        f"In true accuracy PGD on the defense is stronger than FGM in: {', '.join(parts)} cells. "
        f"In the approximate game, where FGM is dominant, PGD has a lower accuracy than FGM in "
        f"{beaten} of {len(entries)}. PGD keeps to the attacker's ball: what it leaves is the "
        f"linearization."
    )


def _smooth(cells):
    cells = [c for c in _with(cells, ("pgd_adapted", "smooth"), ("pgd", "smooth")) if c["smooth"]]
    if not cells:
        return ""
    listed: dict[str, list[str]] = {}
    for cell in cells:
        ends = [number(_share(cell, attack, "smooth")) for attack in ("pgd", "pgd_adapted")]
        listed.setdefault(cell["pair"], []).append(ARROW.join(ends))
    told = "; ".join(f"{pair}: {', '.join(values)}" for pair, values in listed.items())
    return (
        f"True robust accuracy with SMOOTH under PGD on f{ARROW}under PGD on the mean probability "
        f"over draws of SMOOTH, in the order of the radii: {told}."
    )


def _benign(cells):
    cells = _with(cells, ("none", "none"), ("none", "best_vector"))
    if not cells:
        return ""

    def loss(cell):
        return _share(cell, "none", "none") - _share(cell, "none", "best_vector")

    worst = max(cells, key=loss)
    found = find(worst, "none", "best_vector", False)
    first, second = found["class_errors"] if found else (None, None)
    near = [c["smooth"]["near_zero"] for c in cells if c["smooth"]]
    zero = sum(c["objective"]["zero_is_best"] for c in cells)
    harmed = [cell for cell in cells if loss(cell) > 0.01]
    one = sum(_one_class_alone(cell) for cell in harmed)
    text = (
        f"Accuracy without an attack falls with v* most for {_name(worst)}: from "
        f"{number(_share(worst, 'none', 'none'))} to "
        f"{number(_share(worst, 'none', 'best_vector'))}, with errors {number(first)} and "
        f"{number(second)} of the two classes. It falls by more than .01 in {len(harmed)} of "
        f"{len(cells)} cells; in {one} of them at the cost of one class alone, the other has no "
        f"more errors than without a defense. The vector 0 is among the best ones found in {zero} "
        f"of {len(cells)}"
    )
    if near:
        text += f", and at most {max(near):.3f} of SMOOTH's draws are shorter than eta_defense / 2"
    return text + "."


def _one_class_alone(cell):
    before, after = (
        (find(cell, "none", defense, False) or {})["class_errors"]
        for defense in ("none", "best_vector")
    )
    pairs = zip(before, after, strict=True)
    return any(now is not None and now <= own for own, now in pairs)


def _linear(cells):
    parts = []
    for scale in (0.125, 0.25, 0.5, 1.0):
        found = [
            row["disagreement"]
            for cell in cells
            for row in cell["linearity"]["best_vector"]
            if row["scale"] == scale
        ]
        parts.append(
            f"{scale:g} of the radii: {statistics.median(found):.3f} [{min(found):.3f}, "
            f"{max(found):.3f}]"
        )
    gaps = [row["gap"] for c in cells for row in c["linearity"]["best_vector"][-1:] if row["gap"]]
    text = (
        f"Share of test images where the signs of g and of its linearization differ at x + t (v_a "
        f"+ v*), v_a of FGM, median [least, largest] over pairs and radii, t = {'; '.join(parts)}."
    )
    if gaps:
        ninety = [gap[1] for gap in gaps]
        text += (
            f" The 90 % quantile of |g - g_lin| / ||grad g|| at t = 1 is {min(ninety):.2f} to "
            f"{max(ninety):.2f}, in the unit of eta."
        )
    return text


def _between(cells):
    worst = max(cells, key=lambda cell: cell["between_boundaries"]["error"])
    found = worst["between_boundaries"]
    return (
        f"Test images that the step +eta w breaks, away from the linearized boundary: at most "
        f"{number(found['error'])} [{found['ci_low']:.3f}, {found['ci_high']:.3f}] "
        f"({_name(worst)}). They stay in all shares here."
    )


def _cost(cells):
    search = [cell["seconds"]["search"] for cell in cells]
    whole: dict[str, float] = {}
    processor: dict[str, float] = {}
    for cell in cells:
        name = cell["pair"]
        whole[name] = whole.get(name, 0.0) + sum(cell["seconds"].values())
        processor[name] = processor.get(name, 0.0) + cell["cpu_seconds"]
    count = max(cell["train_n"] for cell in cells)
    radii = len(dict.fromkeys(radii_text(cell) for cell in cells))
    minutes = [seconds / 60 for seconds in whole.values()]
    return (
        f"A search step costs O(n d) for each start: linear in images and pixels. Both searches "
        f"from six starts on at most {count:,} images take {_span(search, 1)} s. All that is "
        f"measured here takes {_span(processor.values(), 0)} s of processor time for a pair at "
        f"{radii} radii, one thread; {_span(minutes, 1)} minutes by the clock on a machine that "
        f"other work shared."
    )


def _span(values, digits):
    ends = [f"{end:.{digits}f}" for end in (min(values), max(values))]
    return " to ".join(dict.fromkeys(ends))


def _hard(cells):
    better = sum(c["objective"]["sigmoid"] >= c["objective"]["hinge"] for c in cells)
    gain = max(cells, key=lambda c: c["objective"]["sigmoid"] - c["objective"]["hinge"])
    phi = gain["objective"]
    pairs = [(c["objective"], c["objective"].get("refined")) for c in cells]
    lines = [best - max(one["hinge"], one["sigmoid"]) for one, best in pairs if best is not None]
    added = f" Lines add {min(lines):.4f} to {max(lines):.4f}." if lines else ""
    proven = sum(c["small"]["search"] == c["small"]["bound"] for c in cells)
    beaten = sum(c["small"]["exact"] > c["small"]["search"] for c in cells)
    return (
        f"From the same starts the annealed sigmoid is at least as good as the hinge in {better} "
        f"of {len(cells)} cells; the largest difference is {number(phi['hinge'])} against "
        f"{number(phi['sigmoid'])} ({_name(gain)}).{added} On the first {cells[0]['small']['n']} "
        f"images alone, integer programming proves the search's count optimal in {proven} of "
        f"{len(cells)} cells within its time and finds a better vector in {beaten}."
    )


def _samples(cells):
    parts = []
    for n in dict.fromkeys(row["n"] for row in cells[0]["by_n"]):
        rows = [row for c in cells for row in c["by_n"] if row["n"] == n]
        if len(rows) == len(cells):
            gap = statistics.mean(row["train"] - row["test"] for row in rows)
            parts.append(f"n = {n:,}: {gap:+.3f}")
    own = [c["objective"]["at_zero"] - c["objective"]["test_at_zero"] for c in cells]
    return (
        f"phi on training minus phi on test images, mean over pairs and radii: {'; '.join(parts)}; "
        f"of the classifier itself, at v = 0: {statistics.mean(own):+.3f}."
    )


def _mixed(cells):
    cells = _with(cells, ("pgd_adapted", "smooth"), ("pgd_adapted", "best_vector"))
    cells = [cell for cell in cells if cell["smooth"]]
    if not cells:
        return ""
    gains = [
        _share(c, "pgd_adapted", "smooth") - _share(c, "pgd_adapted", "best_vector") for c in cells
    ]
    hats = [c["smooth"]["r_hat"] for c in cells]
    cosines = [c["smooth"]["cosine"] for c in cells]
    return (
        f"In the approximate game no: one best vector is worth as much as any distribution on the "
        f"best vectors. In true accuracy, each under PGD on itself, SMOOTH minus v* is "
        f"{min(gains):+.3f} to {max(gains):+.3f}. SMOOTH's draws have a mean pairwise cosine of "
        f"{min(cosines):.3f} to {max(cosines):.3f}. The chains' R-hat is {min(hats):.2f} to "
        f"{max(hats):.2f}: above 1.1 they have not mixed, and the draws cover less than the "
        f"component."
    )


def _noise(cells):
    cells = _with(cells, ("pgd", "none"), ("pgd", "random"), ("pgd", "gaussian"))
    if not cells:
        return ""
    change = [
        _share(c, "pgd", one) - _share(c, "pgd", "none")
        for c in cells
        for one in ("random", "gaussian")
    ]
    return (
        f"A random direction of length eta_defense, or Gaussian noise of that root mean square "
        f"length, changes true accuracy under PGD by {min(change):+.3f} to {max(change):+.3f}."
    )


QUESTIONS: dict[str, Callable[[Sequence[Cell]], str]] = {
    "What are the radii?": _radii,
    "Does it hold for other pairs of classes than 0 and 1?": _pairs,
    "How far apart are approximate and true accuracy?": _gap,
    "Why is PGD stronger, if FGM is optimal?": _pgd,
    "What does PGD do against SMOOTH itself?": _smooth,
    "Can the defense harm benign inputs, and is there enough mass near v = 0?": _benign,
    "How far does local linearity hold?": _linear,
    "What of points between parallel boundaries?": _between,
    "What does it cost, and does it scale?": _cost,
    "How well is the NP-hard problem solved?": _hard,
    "How many examples does it need?": _samples,
    "Does a mixed strategy help?": _mixed,
    "Is isotropic noise as good?": _noise,
}

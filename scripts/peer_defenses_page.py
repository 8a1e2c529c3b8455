"""Renders the comparison of defenses: an HTML table to sort and filter, and a page of the docs.

    python -m scripts.peer_defenses --render

Every figure and every sentence about one is made from the records. Imports no TensorFlow.
"""

import os
import pathlib

from mmtf.reports.markdown import markdown_table
from mmtf.reports.measured import CLEAN, attack_title, percent
from mmtf.stats.intervals import wilson
from mmtf.storage.files import write_text
from scripts.blocks import DOCS, commands, listed
from scripts.peer_defenses_html import html
from scripts.peer_defenses_ranking import (
    LEVEL,
    Defense,
    cells,
    columns,
    defenses_in,
    met_all,
    not_met,
    title,
    versus_best,
)

PAGE = DOCS / "which_defense.md"
TITLE = "Which defense should I use?"
MEASURED_BY = __name__.removesuffix("_page")
STRONGEST = "autoattack"
# A defense whose worst error is at most this far above the best is named if it trains fastest.
NEAR = 0.05


def markdown(group: list[Defense]) -> str:
    """The table of one dataset and radius for the docs, in percent."""
    header, rows = cells(group)
    texts = [[text for text, _ in row] for row in rows]
    return markdown_table(header, [[f"`{name}`", *rest] for name, *rest in texts])


def answers(groups: dict[tuple[str, float], list[Defense]]) -> list[str]:
    """The answer to the page's question: at most five sentences for each dataset and radius."""
    lines = []
    for (dataset, eta), group in groups.items():
        best, tests = group[0], versus_best(group)
        low, high = wilson(int(best.wrong.sum()), best.n)
        # What only some attacks were run on is not told to be as good as the best.
        met = [one for one in group if met_all(one, columns(group))]
        p_of = {one.name: p for one, p in zip(group, tests, strict=True)}
        equal = [one.name for one in met if one is not best and p_of[one.name] >= LEVEL]
        text = (
            f"**{title(dataset, eta)}.** `{best.name}` errs on the "
            f"fewest of {best.n:,} images under the worst of the attacks"
            f"{'' if STRONGEST in columns(group) else f' ({STRONGEST} was not run)'}: "
            f"{percent(best.worst)} (95 % interval {100 * low:.1f} to {percent(high)}), and on "
            f"{percent(best.errors[CLEAN])} without an attack."
        )
        if equal:
            text += f" {listed(equal)} {'is' if len(equal) == 1 else 'are'} not distinguishable "
            text += "from it on these images."
        near = [one for one in group if one.cost and one.worst <= best.worst + NEAR]
        if best in near:
            fast = min(near, key=lambda one: one.cost)
            if fast is not best:
                least = "" if fast in met else "at least "
                text += f" For little time, `{fast.name}` takes 1/{best.cost / fast.cost:.1f} of "
                text += f"its processor time and errs on {least}{percent(fast.worst)}."
        proved = [one for one in group if one.certified is not None]
        if proved:
            sure = min(proved, key=lambda one: one.certified)
            if sure.certified < 0.5:
                text += f" For a guarantee, `{sure.name}`: at most {percent(sure.certified)} "
                text += "whatever the attack."
        masked = [one.name for one in group if _hides(one)]
        over = [one.name for one in group if one.collapsed]
        if over:
            text += f" The training of {listed(over)} collapsed (catastrophic overfitting, which "
            text += "was reported): the table has the nets that came of it."
        if masked:
            text += f" Do not judge {listed(masked)} by FGSM, whose error is less than a third of "
            text += "the worst case."
        lines.append(text)
    return lines


def _hides(one: Defense) -> bool:
    fgsm = one.errors.get("fgsm")
    return fgsm is not None and fgsm < one.worst / 3


def page_text(groups: dict[tuple[str, float], list[Defense]]) -> str:
    """Returns the page of the docs."""
    first = next(iter(groups.values()))[0].record
    attacks = ", ".join(attack_title(name) for name in first["attacks"] if name != CLEAN)
    steps = {one.steps for group in groups.values() for one in group}
    own = "" if len(steps) == 1 else ", each game by its own preset"
    commits = {one.record["commit"] for group in groups.values() for one in group}
    code = "" if len(commits) == 1 else "The commits below differ in speed. "
    parts = [
        f"# {TITLE}",
        "\n\n".join(answers(groups)),
        "Errors in percent, ranked by the worst case over the attacks that were run; a net with "
        "`>=` may belong further down. `certified`: an upper bound of the error, proved by IBP and "
        "CROWN-IBP; -: bounds do not support the net. `p`: McNemar's test "
        "against the first row, corrected by Holm; below 0.05 the two differ. `core s`: the "
        "processor seconds of a step times the number of steps; where a training was not timed, "
        f"those of a step of the same game and net at another radius. {code}For little time: the "
        f"cheapest defense at most {100 * NEAR:g} points above the best. `steps`: of the "
        f"training{own}. Each net was trained once. Nets and steps differ between rows: the "
        f"ranking is of trained nets, not of objectives alone. {not_met(groups)}".rstrip(),
    ]
    for (dataset, eta), group in groups.items():
        parts += [f"## {dataset}, eta {eta:g}", markdown(group)]
    parts += [
        "## How this was measured",
        commands([one.record for group in groups.values() for one in group], MEASURED_BY),
        f"{first['note']}. Attacks: {attacks} (a table without the column of an attack did not "
        "run it), and, `from undefended`, the same attacks on the undefended net, whose images are "
        "shown to the net of the row. AutoAttack was run on the nets with an error in its column; "
        "a command without `--finalists` runs it on six. PGD has 40 steps and "
        f"{first['attacks'].get('pgd', {}).get('restarts', 1)} random starts. Images that cheap "
        "bounds prove robust were not attacked. What each defense minimizes: "
        "[Defenses](defenses.md). A table to sort and filter: results/peer_defenses/index.html.",
    ]
    return "\n\n".join(parts) + "\n"


def write(folder: str | os.PathLike, page: str | os.PathLike) -> None:
    """Writes `index.html` into the folder of the records, and the page of the docs.

    Args:
      folder: of the records.
      page: path of the page.
    """
    groups = defenses_in(folder)
    index = pathlib.Path(folder) / "index.html"
    write_text(str(index), html(groups))
    write_text(str(page), page_text(groups))
    print(f"wrote {page} and {index}")

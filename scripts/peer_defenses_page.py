"""Renders the comparison of defenses: an HTML table to sort and filter, and a page of the docs.

    python -m scripts.peer_defenses --render

Every figure and every sentence about one is made from the records. Imports no TensorFlow.
"""

import dataclasses
import functools
import importlib.resources
import os
import pathlib
from typing import Any

import numpy as np

from mmtf.errors import require
from mmtf.radius import epsilon_of
from mmtf.reports import read_json
from mmtf.reports.markdown import markdown_table
from mmtf.reports.markup import element, render, table
from mmtf.reports.measured import CLEAN, WORST, attack_title, percent
from mmtf.stats.intervals import wilson
from mmtf.stats.packed_bits import unpack_bits
from mmtf.stats.paired import holm, mcnemar
from mmtf.storage.files import write_text
from scripts.blocks import DOCS, RESULTS, commands, listed

RECORDS = RESULTS / "peer_defenses"
PAGE = DOCS / "which_defense.md"
TITLE = "Which defense should I use?"
MEASURED_BY = __name__.removesuffix("_page")
# Below this p-value after Holm's correction two defenses count as different.
LEVEL = 0.05
# A defense whose worst error is at most this far above the best is named if it trains fastest.
NEAR = 0.05
PER_STEP = "processor_seconds_per_step"  # in the records of trainings
# Sorts a table by the column whose heading is clicked, and shows the rows that contain a text.
SCRIPT = """
const cell = (row, i) => row.children[i].dataset.value ?? row.children[i].textContent;
for (const table of document.querySelectorAll('table')) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [cell(a, i), cell(b, i)];
        const both = x !== '' && y !== '' && !isNaN(x) && !isNaN(y);
        const order = both ? x - y : x.localeCompare(y);
        return up ? order : -order;
      });
      body.append(...rows);
    };
    head.addEventListener('click', sort);
    head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
  });
}
document.querySelector('#filter').addEventListener('input', event => {
  const words = event.target.value.toLowerCase().split(/\\s+/);
  for (const row of document.querySelectorAll('tbody tr')) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every(word => text.includes(word));
  }
});
"""
STYLE = """
.compared { overflow-x: auto }
.compared table { width: auto; table-layout: auto }
.compared th, .compared td { white-space: nowrap; overflow-wrap: normal; padding: .35em .7em;
  width: auto; max-width: none; display: table-cell }
.compared thead th { min-width: 0; max-width: 7.5em; white-space: normal; vertical-align: bottom }
.compared td::before { content: none }
.compared tr { display: table-row }
.compared thead { display: table-header-group }
.compared tbody th { position: sticky; left: 0; background: Canvas }
thead th { cursor: pointer }
[aria-sort=ascending]::after { content: ' \\25B2' }
[aria-sort=descending]::after { content: ' \\25BC' }
#filter { font: inherit; width: 100%; max-width: 24em; padding: .3em }
"""


@dataclasses.dataclass(frozen=True)
class Defense:
    """One net of the comparison, from its record.

    Attributes:
      name: of the net.
      record: of `scripts.peer_defenses`.
      per_step: processor seconds of a training step; None: not counted.
    """

    name: str
    record: dict[str, Any]
    per_step: float | None = None

    @property
    def errors(self) -> dict[str, float]:
        """Attack -> test error, `worst` last."""
        return {cell["attack"]: cell["error"] for cell in self.record["cells"]}

    @property
    def worst(self) -> float:
        """The error under the worst of the attacks."""
        return self.errors[WORST]

    @property
    def n(self) -> int:
        """Number of test images."""
        return self.record["n"]

    @functools.cached_property
    def wrong(self) -> np.ndarray:
        """bool [N]: the images that some attack breaks."""
        return unpack_bits(self.record["wrong"][WORST], self.n)

    @property
    def certified(self) -> float | None:
        """The error certified by cheap bounds; None where bounds do not support the net."""
        return self.record["certified"]

    @property
    def net(self) -> str:
        """The name of the net's architecture."""
        return self.record["config"]["net"]

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return self.record["training"]["steps"]

    @property
    def cost(self) -> float | None:
        """Processor seconds of the training, of all cores; None: not counted."""
        return None if self.per_step is None else self.per_step * self.steps


def defenses_in(folder: str | os.PathLike) -> dict[tuple[str, float], list[Defense]]:
    """Returns (dataset, eta) -> its defenses, ranked by the worst error; most defenses first.

    Raises:
      ConfigError: there are none, or those of one radius are of different images.
    """
    groups: dict[tuple[str, float], list[Defense]] = {}
    records = [read_json(path) for path in sorted(pathlib.Path(folder).glob("*.json"))]
    # A step costs the same at every radius.
    counted = [one for one in records if PER_STEP in one["training"]]
    per_step = {_same_steps(one): one["training"][PER_STEP] for one in counted}
    for record in records:
        own = record["training"].get(PER_STEP, per_step.get(_same_steps(record)))
        one = Defense(_name(record), record, own)
        groups.setdefault((record["dataset"], record["etas"][0]), []).append(one)
    require(bool(groups), "records of `python -m scripts.peer_defenses`", str(folder))
    for (dataset, eta), group in groups.items():
        drawn = {(one.n, one.record["seed"], one.record["drawn"]) for one in group}
        require(len(drawn) == 1, f"one set of test images for {dataset}, eta {eta:g}", drawn)
        group.sort(key=_rank)
    return dict(sorted(groups.items(), key=lambda one: -len(one[1])))


def _name(record: dict[str, Any]) -> str:
    return next(iter(record["models"]))


def _same_steps(record: dict[str, Any]) -> tuple[str, str, str]:
    """Nets of equal values were trained by the same steps, at one radius or several."""
    return record["dataset"], _name(record), record["config"]["net"]


def versus_best(group: list[Defense]) -> list[float]:
    """Holm's p of each defense against the first one, by McNemar's test on the same images."""
    tests = [mcnemar(group[0].wrong, one.wrong) for one in group[1:]]
    return [1.0, *(holm(tests) if tests else [])]


def _heading(attack: str) -> str:
    """The title of a column.

    Example:
      >>> _heading("pgd@undefended")
      'pgd from undefended'
    """
    return attack_title(attack).replace("@", " from ")


def columns(group: list[Defense]) -> list[str]:
    """The attacks of a group, `worst` first, by which they are ranked."""
    names = dict.fromkeys(name for one in group for name in one.errors if name != WORST)
    return [WORST, *names]


def _errors(one: Defense, shown: list[str]) -> list[str]:
    """The cells of a row; `>=` where attacks of the table were not run on this net."""
    errors = [_points(one.errors.get(name)) for name in shown]
    return [errors[0] if _met_all(one, shown) else f">= {errors[0]}", *errors[1:]]


def _met_all(one: Defense, shown: list[str]) -> bool:
    """Whether all attacks of the table were run; the surrogate has no transfer from itself."""
    return all(name in one.errors for name in shown if "@" not in name)


def _rank(one: Defense) -> tuple[float, str]:
    return one.worst, one.name


def markdown(group: list[Defense]) -> str:
    """The table of one dataset and radius for the docs, in percent."""
    shown = columns(group)
    header = ["defense", *map(_heading, shown), "certified", "p", "core s", "steps", "net"]
    rows = []
    for one, p in zip(group, versus_best(group), strict=True):
        errors = _errors(one, shown)
        end = [_points(one.certified), _mark(one, p, group), _seconds(one.cost)]
        rows.append([f"`{one.name}`", *errors, *end, f"{one.steps:,}", one.net])
    return markdown_table(header, rows)


def answers(groups: dict[tuple[str, float], list[Defense]]) -> list[str]:
    """The answer to the page's question: at most five sentences for each dataset and radius."""
    lines = []
    for (dataset, eta), group in groups.items():
        best, tests = group[0], versus_best(group)
        low, high = wilson(int(best.wrong.sum()), best.n)
        # What only some attacks were run on is not told to be as good as the best.
        met = [one for one in group if _met_all(one, columns(group))]
        p_of = {one.name: p for one, p in zip(group, tests, strict=True)}
        equal = [one.name for one in met if one is not best and p_of[one.name] >= LEVEL]
        text = (
            f"**{dataset}, eta {eta:g} (eps {epsilon_of(eta):g}).** `{best.name}` errs on the "
            f"fewest of {best.n:,} images under the worst of the attacks: {percent(best.worst)} "
            f"(95 % interval {100 * low:.1f} to {percent(high)}), and on "
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
                text += f"its training time and errs on {least}{percent(fast.worst)}."
        proved = [one for one in group if one.certified is not None]
        if proved:
            sure = min(proved, key=lambda one: one.certified)
            if sure.certified < 0.5:
                text += f" For a guarantee, `{sure.name}`: at most {percent(sure.certified)} "
                text += "whatever the attack."
        masked = [one.name for one in group if _hides(one)]
        if masked:
            text += f" Do not judge {listed(masked)} by FGSM, whose error is less than a third of "
            text += "the worst case."
        lines.append(text)
    return lines


def _hides(one: Defense) -> bool:
    fgsm = one.errors.get("fgsm")
    return fgsm is not None and one.worst >= 0.2 and fgsm < one.worst / 3


def page_text(groups: dict[tuple[str, float], list[Defense]]) -> str:
    """Returns the page of the docs."""
    first = next(iter(groups.values()))[0].record
    attacks = ", ".join(attack_title(name) for name in first["attacks"] if name != CLEAN)
    steps = {one.steps for group in groups.values() for one in group}
    own = "" if len(steps) == 1 else ", each game by its own preset"
    parts = [
        f"# {TITLE}",
        "\n\n".join(answers(groups)),
        "Errors in percent, ranked by the worst case over these attacks. `certified`: the error "
        "that IBP and CROWN-IBP prove; -: bounds do not support the net. `p`: McNemar's test "
        "against the first row, corrected by Holm; below 0.05 the two differ. `core s`: seconds "
        f"of one processor core that the training took. `steps`: of the training{own}. Each net "
        f"was trained once.{_not_met(groups)}",
    ]
    for (dataset, eta), group in groups.items():
        parts += [f"## {dataset}, eta {eta:g}", markdown(group)]
    parts += [
        "## How this was measured",
        commands([one.record for group in groups.values() for one in group], MEASURED_BY),
        f"{first['note']}. Attacks: {attacks}; PGD has 40 steps and "
        f"{first['attacks'].get('pgd', {}).get('restarts', 1)} random starts. Images that cheap "
        "bounds prove robust were not attacked. What each defense minimizes: "
        "[Defenses](defenses.md). A table to sort and filter: results/peer_defenses/index.html.",
    ]
    return "\n\n".join(parts) + "\n"


def _not_met(groups: dict[tuple[str, float], list[Defense]]) -> str:
    """What `>=` means, if a table has it."""
    absent = {
        attack_title(name)
        for group in groups.values()
        for name in columns(group)
        for one in group
        if "@" not in name and name not in one.errors
    }
    if not absent:
        return ""
    return (
        f" `>=`: {' and '.join(sorted(absent))} was not run on this net, whose error under the "
        "other attacks is already above that of the best; its `p` is given where that is enough to "
        "tell them apart."
    )


def html(groups: dict[tuple[str, float], list[Defense]]) -> str:
    """Returns the self-contained page with tables that one can sort and filter."""
    style = importlib.resources.files("mmtf.reports").joinpath("report.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", TITLE),
        element("style", style + STYLE),
    )
    field = element("input", id="filter", type="search", aria_label="Filter")
    field.set("placeholder", "Show rows that contain: trades")
    sections = [
        element(
            "section",
            element("h2", f"{dataset}, eta {eta:g} (eps {epsilon_of(eta):g})"),
            element("div", _table(group), class_="compared", tabindex="0"),
        )
        for (dataset, eta), group in groups.items()
    ]
    about = (
        "Test errors in percent under each attack, ranked by the worst of them. Click a heading to "
        "sort. p: McNemar's test against the best defense, corrected by Holm. core s: seconds of "
        "one processor core that the training took."
    )
    main = element(
        "main",
        element("header", element("h1", "Defenses compared"), element("p", about), field),
        *sections,
    )
    body = element("body", main, element("script", SCRIPT))
    return "<!doctype html>\n" + render(element("html", head, body, lang="en"))


def _table(group):
    shown = columns(group)
    header = ["defense", *map(_heading, shown), "certified", "p", "core s", "steps", "net"]
    rows = []
    for one, p in zip(group, versus_best(group), strict=True):
        errors = [*(one.errors.get(name) for name in shown), one.certified]
        texts = [*_errors(one, shown), _points(one.certified)]
        keys = [2 if error is None else error for error in errors]
        cells = list(zip(texts, keys, strict=True))
        cells += [(_mark(one, p, group), p)]
        cells += [(_seconds(one.cost), one.cost or ""), (f"{one.steps:,}", one.steps)]
        cells += [(one.net, one.net)]
        numbers = [element("td", text, data_value=value) for text, value in cells]
        rows.append([element("th", one.name), *numbers])
    return table(header, rows, caption="Errors in percent")


def _points(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:.1f}"


def _mark(one: Defense, p: float, group: list[Defense]) -> str:
    """The text of a p-value; -: too few attacks were run to say that it is as good as the best."""
    if one is group[0]:
        return ""
    return _p(p) if p < LEVEL or _met_all(one, columns(group)) else "-"


def _seconds(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:,.0f}"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"


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

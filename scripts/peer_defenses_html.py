"""The comparison of defenses as one HTML page with tables to sort and filter.

Imports no TensorFlow.
"""

import importlib.resources

from mmtf.reports.markup import element, render, table
from scripts.peer_defenses_ranking import Defense, cells, not_met, title

TITLE = "Defenses compared"
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
            element("h2", title(dataset, eta)),
            element("div", _table(group), class_="compared", tabindex="0"),
        )
        for (dataset, eta), group in groups.items()
    ]
    about = (
        "Test errors in percent under each attack, ranked by the worst of them. Click a heading to "
        "sort. certified: the error that IBP and CROWN-IBP prove. p: McNemar's test against the "
        "best defense, corrected by Holm. core s: seconds of one processor core that the training "
        f"took. {not_met(groups)}"
    ).replace("`", "")
    main = element(
        "main",
        element("header", element("h1", TITLE), element("p", about), field),
        *sections,
    )
    body = element("body", main, element("script", SCRIPT))
    return "<!doctype html>\n" + render(element("html", head, body, lang="en"))


def _table(group):
    header, rows = cells(group)
    shown = [
        [element("th", name), *(element("td", text, data_value=value) for text, value in row)]
        for (name, _), *row in rows
    ]
    return table(header, shown, caption="Errors in percent")

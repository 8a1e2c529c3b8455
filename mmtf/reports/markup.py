"""Builds HTML and SVG as trees of the standard library, which escapes all text by itself."""

from xml.etree import ElementTree as ET

Child = ET.Element | str | None


def element(tag: str, *children: Child, **attributes: object) -> ET.Element:
    """An element with children: elements, text, or None, which is skipped.

    Args:
      tag: of HTML or SVG.
      children: in order; text is escaped when the tree is rendered.
      attributes: `class_` is written `class`, other underscores become hyphens; None is left out.

    Example:
      >>> render(element("td", "a < b", element("b", "!"), class_="wide", data_model="x"))
      '<td class="wide" data-model="x">a &lt; b<b>!</b></td>'
    """
    made = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), str(value))
    for child in children:
        if isinstance(child, str):
            _append_text(made, child)
        elif child is not None:
            made.append(child)
    return made


def svg(width: float, height: float, *children: Child, label: str, class_: str) -> ET.Element:
    """An inline SVG picture that shrinks with the page.

    Args:
      width, height: in CSS pixels.
      children: of `element`.
      label: what a screen reader says.
      class_: for the style sheet.
    """
    picture = element(
        "svg",
        *children,
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_label=label,
        class_=class_,
    )
    picture.set("viewBox", f"0 0 {width:g} {height:g}")  # SVG's names are sensitive to case
    return picture


def table(
    header: list[str], body: list[list[ET.Element]], *, caption: str, class_: str = ""
) -> ET.Element:
    """A table whose first cell in each row is its header and whose cells repeat their column's.

    On narrow screens the style sheet stacks the cells of a row, each after the text of its
    `data-column`. The roles keep it a table for screen readers there, too.

    Args:
      header: the columns' names.
      body: rows of `td` and `th` elements, as many as the header has.
      caption: read out before the table, and shown.
      class_: for the style sheet.
    """
    heads = [element("th", one, scope="col", role="columnheader") for one in header]
    rows = []
    for cells in body:
        for cell, name in zip(cells, header, strict=True):
            cell.set("role", "rowheader" if cell.tag == "th" else "cell")
            if cell.tag == "th":
                cell.set("scope", "row")
            else:
                cell.set("data-column", name)
        rows.append(element("tr", *cells, role="row"))
    return element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        role="table",
        class_=class_,
    )


def render(tree: ET.Element) -> str:
    """The text of a tree as HTML."""
    return ET.tostring(tree, encoding="unicode", method="html")


def _append_text(made: ET.Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text

"""Writes the files that are rendered from records."""

import os
import pathlib
from collections.abc import Callable

from scripts.paper.cells import Track
from scripts.paper.figures import draw_figure
from scripts.paper.pages import claims_page, results_page, tables_of
from scripts.paper.records import Results
from scripts.paper.render import render
from scripts.paper.rendered import Rendered
from scripts.paper.selection import FIGURE_CELLS, FIGURES
from scripts.paper.tables import paper_table


def write_table(rendered: Rendered, folder: str) -> None:
    """Writes table<number>-<init>-<schedule>.md, .csv and .tex."""
    track = rendered.track
    name = f"table{rendered.table.number}-{track.init}-{track.schedule}"
    forms = {"md": rendered.markdown() + "\n", "csv": rendered.csv(), "tex": rendered.latex()}
    for suffix, text in forms.items():
        _write(os.path.join(folder, f"{name}.{suffix}"), text)


def tracks_of_figure(number: int, tracks: list[Track]) -> list[Track]:
    """Returns the tracks of the figure's dataset; a trial's dataset replaces MNIST."""
    dataset = FIGURE_CELLS[number][0]
    return [one for one in tracks if (one.dataset == "cifar10") == (dataset == "cifar10")]


def write_pages(results: Results, folder: str, say: Callable[[str], object] = print) -> None:
    """Writes results.md, claims.md, tables/ and figures/ under `folder`; calls `say` once."""
    tracks = results.tracks()
    for track in tracks:
        for number in tables_of(track):
            rendered = render(paper_table(number), results, track)
            if rendered.measured:
                write_table(rendered, os.path.join(folder, "tables"))
    figures = []
    for number in FIGURES:
        mine = tracks_of_figure(number, tracks)
        paths = draw_figure(number, results, mine, os.path.join(folder, "figures"))
        figures += [os.path.relpath(path, folder) for path in paths if path.endswith(".png")]
    _write(os.path.join(folder, "results.md"), results_page(results, figures))
    _write(os.path.join(folder, "claims.md"), claims_page(results))
    say(f"Rendered results.md, claims.md, tables and {len(figures)} figures in {folder}.")


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pathlib.Path(path).write_text(text)

"""Draws a payoff matrix as a heat map."""

import math

from mmtf.reports.plots import pyplot, save


def heat_map(cells: list[dict], path: str, columns: str, rows: str, title: str = "") -> None:
    """Draws the test errors of defenses (rows) under attacks (columns) and saves the plot.

    Args:
      cells: dicts with the keys defense, attack and error. Missing cells stay empty.
      path: of the image file, `.png` or `.svg`.
      columns, rows: labels of the axes.
      title: title of the plot.

    Raises:
      ConfigError: matplotlib is not installed.
    """
    plt = pyplot()
    names = list(dict.fromkeys(cell["defense"] for cell in cells))
    attacks = list(dict.fromkeys(cell["attack"] for cell in cells))
    found = {(cell["defense"], cell["attack"]): cell["error"] for cell in cells}
    values = [[found.get((name, attack), math.nan) for attack in attacks] for name in names]
    figure, axes = plt.subplots(figsize=(3.4 + 0.85 * len(attacks), 2 + 0.5 * len(names)))
    image = axes.imshow(values, cmap="viridis", vmin=0, aspect="auto")
    middle = image.norm.vmax / 2
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if not math.isnan(value):
                color = "white" if value < middle else "black"
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(attacks)), attacks, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=columns, ylabel=rows, title=title)
    axes.grid(False)
    figure.colorbar(image, label="test error")
    save(figure, path)
    plt.close(figure)

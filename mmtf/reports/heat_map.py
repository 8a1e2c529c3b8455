"""A payoff matrix as a picture."""


def heat_map(cells: list[dict], path: str, columns: str, rows: str) -> None:
    """Draws defenses x attacks, every cell with its error.

    Args:
      cells: dicts with defense, attack, error; a cell may be missing.
      path: .png or .svg.
      columns, rows: what the axes show.

    Raises:
      ImportError: matplotlib, of the `bench` extra, is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(cell["defense"] for cell in cells))
    attacks = list(dict.fromkeys(cell["attack"] for cell in cells))
    found = {(cell["defense"], cell["attack"]): cell["error"] for cell in cells}
    values = [[found.get((name, attack), float("nan")) for attack in attacks] for name in names]
    size = (1.6 + 0.85 * len(attacks), 1.4 + 0.45 * len(names))
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    image = axes.imshow(values, cmap="viridis", vmin=0, aspect="auto")
    middle = image.get_clim()[1] / 2
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            color = "white" if value < middle else "black"
            axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(attacks)), attacks, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_xlabel(columns)
    axes.set_ylabel(rows)
    figure.colorbar(image, label="test error")
    figure.savefig(path, dpi=150)
    plt.close(figure)

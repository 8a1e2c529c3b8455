"""Figures 1 to 5 from records: test errors during training, and a grid of adversarial images."""

import os
from types import ModuleType
from typing import Any

from mmtf.reports import plots
from mmtf.stats.packed_bits import unpack
from scripts.paper.cells import Track
from scripts.paper.players import IMAGES
from scripts.paper.records import Results
from scripts.paper.rendered import row_title
from scripts.paper.selection import FIGURE_CELLS, NETWORK_GAMES

COLUMNS = 4
# Figure 3, (a) to (g): how the names of its rows begin.
ROWS = ("original", "FGSM", "IFGSM", *NETWORK_GAMES)
CAPTIONS = {
    1: "Convergence of Minimax-Grad, MNIST",
    2: "Convergence of Minimax-, Alt- and Maximin-AttNet, MNIST",
    3: "Adversarial images of the paper's attacks, MNIST",
    4: "Convergence of Minimax-Grad, CIFAR-10",
    5: "Convergence of Minimax-, Alt- and Maximin-AttNet, CIFAR-10",
}


def draw_figure(
    number: int,
    results: Results,
    tracks: list[Track],
    folder: str,
    etas: list[float] | None = None,
) -> list[str]:
    """Draws a figure of the paper as figure<number>.png and .svg.

    Args:
      number: 1 to 5.
      results: the records.
      tracks: tracks of the figure's dataset, each of which gets its own panels.
      folder: created if it does not exist.
      etas: only these radii; None for all.

    Returns:
      The paths of the files; empty if there are no records.

    Raises:
      ConfigError: matplotlib is not installed.
    """
    _, known, rows, drawn = FIGURE_CELLS[number]
    found: dict[tuple[Track, float], dict[str, dict]] = {}
    for track in tracks:
        for eta in (eta for eta in known if etas is None or eta in etas):
            for row in rows:
                for record in results.of(track, eta, row, drawn)[:1]:
                    found.setdefault((track, eta), {})[row] = record
    if not found:
        return []
    plt = plots.pyplot()
    figure = _images(plt, found) if drawn == IMAGES else _curves(plt, found, CAPTIONS[number])
    paths = [os.path.join(folder, f"figure{number}.{suffix}") for suffix in ("png", "svg")]
    for path in paths:
        plots.save(figure, path)
    plt.close(figure)
    return paths


def draw_game(axes: Any, points: list[dict], game: str, alone: bool = True) -> None:
    """Draws a game's curves: clean error and FGSM, or, of network games, attack network and FGSM.

    Args:
      axes: axes of a figure of `plots.pyplot`.
      points: the run's curve.
      game: name of the game.
      alone: whether the figure shows only this game.
    """
    if alone:
        kinds = {"none": ("no attack", 0, False), "fgsm_curr": ("FGSM", 1, False)}
    else:
        number, name = NETWORK_GAMES.index(game), row_title(game)
        kinds = {
            "attnet_met": (f"{name}: AttNet in training", number, False),
            "fgsm_curr": (f"{name}: FGSM", number, True),
        }
    for attack, (label, number, dashed) in kinds.items():
        if attack in points[0]:
            look = {"label": label, "number": number, "dashed": dashed, "band": alone}
            plots.error_curve(axes, points, attack, **look)


def _curves(plt: ModuleType, found: dict, caption: str) -> Any:
    """Draws a panel for each track and radius, in rows of four."""
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    alone = {game for games in found.values() for game in games} <= {"minimax_grad"}
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(max(8, 0.8 + 3.1 * columns), 1.7 + 2.9 * rows),
        squeeze=False,
        sharey=True,
    )
    for place, axes in enumerate(grid.flat):
        if place >= len(found):
            axes.set_axis_off()
            continue
        (track, eta), games = list(found.items())[place]
        for game, record in games.items():
            draw_game(axes, record["points"], game, alone)
        points = next(iter(games.values()))["points"]
        recipe = f"{track.init.replace('keras', 'Keras')} init, {track.schedule} schedule"
        axes.set_title(f"{plots.radius_text(eta, track.dataset)}\n{recipe}")
        # CIFAR-10's errors are all of one order.
        plots.error_axis(axes, log=track.dataset != "cifar10")
        axes.xaxis.set_major_formatter(lambda step, _: f"{step / 1000:g}")
        if place >= len(found) - columns:
            axes.set_xlabel("training step (thousands)")
        if place % columns == 0:
            axes.set_ylabel(plots.error_label(points))
    if alone:
        caption += " (shaded: 95 % interval)"
    figure.suptitle(caption)
    plots.legend_below(figure)
    return figure


def _images(plt: ModuleType, found: dict) -> Any:
    """Draws a column for each image and a row for each attack."""
    (track, eta), games = next(iter(found.items()))
    record = next(iter(games.values()))
    shape, rows = record["shape"], record["images"]
    figure, grid = plt.subplots(len(rows), shape[0], figsize=(shape[0] + 1.8, len(rows) + 0.5))
    for line, name in zip(grid, sorted(rows, key=_place), strict=True):
        for axes, image in zip(line, unpack(rows[name]).reshape(shape), strict=True):
            image = image[..., 0] if image.shape[-1] == 1 else image
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        line[0].set_ylabel(row_title(name), rotation=0, ha="right", va="center")
    figure.suptitle(f"{CAPTIONS[3]}, {plots.radius_text(eta, track.dataset)}")
    return figure


def _place(name: str) -> tuple[int, str]:
    return next(i for i, begin in enumerate(ROWS) if name.startswith(begin)), name

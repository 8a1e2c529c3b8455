"""Figures 1 to 5 from records: curves with their evaluation points, and a grid of images."""

import importlib.util
import os

from mmtf.errors import ConfigError
from mmtf.stats.packed_bits import unpack
from scripts.paper.cells import Results, Track
from scripts.paper.players import IMAGES
from scripts.paper.rendered import row_title
from scripts.paper.selection import FIGURE_CELLS

FORMATS = ("png", "svg")
COLORS = {"minimax_attnet": "tab:blue", "alt_attnet": "tab:green", "maximin_attnet": "tab:red"}
LINES = {"none": "-", "fgsm_curr": "--", "attnet_met": "-"}
ATTACKS = {"none": "no attack", "fgsm_curr": "FGSM", "attnet_met": "AttNet in training"}
CAPTIONS = {
    1: "Convergence of Minimax-Grad, MNIST",
    2: "Convergence of Minimax-, Alt- and Maximin-AttNet, MNIST",
    3: "Adversarial images of the paper's attacks, MNIST",
    4: "Convergence of Minimax-Grad, CIFAR-10",
    5: "Convergence of Minimax-, Alt- and Maximin-AttNet, CIFAR-10",
}


def draw_figure(
    number: int, results: Results, tracks: list[Track], folder: str, etas=None
) -> list[str]:
    """Draws a figure of the paper as figure<number>.png and .svg; the paths, none without records.

    Args:
      number: 1 to 5.
      results: the records.
      tracks: of the figure's dataset; two schedules stand side by side.
      folder: made when missing.
      etas: only these radii, None for all.

    Raises:
      ConfigError: matplotlib is not installed.
    """
    _, known, rows, drawn = FIGURE_CELLS[number]
    found = {}
    for track in tracks:
        for eta in (eta for eta in known if etas is None or eta in etas):
            for row in rows:
                for record in results.of(track, eta, row, drawn)[:1]:
                    found[track, eta, row] = record
    if not found:
        return []
    plt = _pyplot()
    figure = _grid(plt, found) if drawn == IMAGES else _curves(plt, found, alone=len(rows) == 1)
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"figure{number}.{suffix}") for suffix in FORMATS]
    for path in paths:
        figure.savefig(path, dpi=120, metadata={"Date": None} if path.endswith("svg") else None)
    plt.close(figure)
    return paths


def _curves(plt, found, alone):
    """A panel a track and radius; `alone`: the figure is of one game."""
    panels = list(dict.fromkeys((track, eta) for track, eta, _ in found))
    tracks = list(dict.fromkeys(track for track, _ in panels))
    etas = sorted({eta for _, eta in panels})
    figure, grid = plt.subplots(
        len(tracks),
        len(etas),
        figsize=(max(6.4, 1.2 + 2.9 * len(etas)), 0.9 + 2.5 * len(tracks)),
        layout="constrained",
        squeeze=False,
        sharey=True,
    )
    for i, track in enumerate(tracks):
        for j, eta in enumerate(etas):
            axes = grid[i][j]
            mine = {row: one for (t, e, row), one in found.items() if (t, e) == (track, eta)}
            if not mine:
                axes.set_axis_off()
                continue
            for row, record in mine.items():
                _lines(axes, row, record, alone)
            axes.set_title(f"{track}, eta {eta:g}", fontsize=8)
            if track.dataset != "cifar10":  # whose errors are all of one order
                axes.set_yscale("symlog", linthresh=0.01)
                axes.set_yticks([0, 0.01, 0.1, 1], ["0", "0.01", "0.1", "1"])
            axes.set_ylim(0, 1)
            axes.grid(alpha=0.3)
            if not any((one, eta) in panels for one in tracks[i + 1 :]):
                axes.set_xlabel("training step", fontsize=8)
            if not any((track, one) in panels for one in etas[:j]):
                axes.set_ylabel(f"test error, n = {record['points'][0]['n']}", fontsize=8)
                axes.tick_params(labelleft=True)
    lines, labels = _legend(grid)
    figure.legend(
        lines,
        labels,
        loc="outside lower center",
        ncols=min(4, 1 + len(etas)),
        frameon=False,
        fontsize=8,
    )
    return figure


def _legend(grid):
    entries = {}
    for axes in grid.flat:
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, line)
    return list(entries.values()), list(entries)


def _lines(axes, row, record, alone):
    points = [point for point in record["points"] if point["step"] > 0]
    steps = [point["step"] for point in points]
    wanted = ("none", "fgsm_curr") if alone else ("attnet_met", "fgsm_curr")
    for attack in wanted:
        if attack not in points[0]:
            continue
        color = None if alone else COLORS[row]
        label = f"{row_title(row)}, {ATTACKS[attack]}"
        style = LINES[attack]
        axes.plot(
            steps, [p[attack] for p in points], style, marker="o", ms=2.5, color=color, label=label
        )


def _grid(plt, found):
    """A column an attack, a row an image, as in the paper."""
    (track, eta, _), record = next(iter(found.items()))
    shape, rows = record["shape"], record["images"]
    count = shape[0]
    figure, grid = plt.subplots(
        len(rows), count, figsize=(1.0 * count + 1.6, 1.0 * len(rows)), layout="constrained"
    )
    for line, (name, text) in zip(grid, rows.items(), strict=True):
        images = unpack(text).reshape(shape)
        for axes, image in zip(line, images, strict=True):
            image = image[..., 0] if image.shape[-1] == 1 else image
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(row_title(name), rotation=0, ha="right", va="center", fontsize=8)
    figure.suptitle(f"{track}, eta {eta:g}", fontsize=9)
    return figure


def require_matplotlib() -> None:
    """ConfigError where figures cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "Expected matplotlib for figures. Received: none. pip install 'mmtf[figures]'."
        )


def _pyplot():
    require_matplotlib()
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "mmtf"
    import matplotlib.pyplot as plt

    return plt

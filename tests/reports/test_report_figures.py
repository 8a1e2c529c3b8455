"""Where the pictures draw: coordinates against the figures that they stand for."""

import pytest

from mmtf.reports.figures import SERIES, WIDTH, Point, interval_plot, radius_curves
from mmtf.reports.markup import render


def lines(picture, kind):
    found = [one for one in picture.iter("line") if one.get("class") == kind]
    return [[float(one.get(name)) for name in ("x1", "y1", "x2", "y2")] for one in found]


def test_dots_and_intervals_lie_on_the_axis():
    points = [Point("none", 1.0, 0.75, 1.0), Point("pgd", 0.5, 0.25, 0.75, strong=True)]
    picture = interval_plot(points, "Accuracy")
    grid = [x for x, *_ in lines(picture, "grid")]  # 0, 25, 50, 75 and 100 %
    dots = [float(one.get("cx")) for one in picture.iter("circle")]
    assert dots == [pytest.approx(grid[4])]
    first = lines(picture, "interval")[0]
    assert (first[0], first[2]) == pytest.approx((grid[3], grid[4]))
    diamond = next(picture.iter("polygon")).get("points").split()
    across = [float(pair.split(",")[0]) for pair in diamond]
    assert (min(across) + max(across)) / 2 == pytest.approx(grid[2])
    assert (
        picture.get("aria-label")
        == "Accuracy. none: 100.0 % [75.0, 100.0]; pgd: 50.0 % [25.0, 75.0]"
    )


def test_curves_have_axes_ticks_grid_markers_and_a_legend():
    radii = [0.0, 0.1, 0.2, 0.4]
    series = {
        f"attack {i}": [Point(f"attack {i}", 1 - x, 0.9 - x, 1.0, x=x) for x in radii]
        for i in range(SERIES + 1)
    }
    picture = radius_curves(series, "Accuracy", "eta")
    texts = [one.text for one in picture.iter("text")]
    assert {"0", "0.1", "0.2", "0.4", "25", "100", "eta", "accuracy in %", *series} <= set(texts)
    # A line in the plot and one in the legend for each; as many markers as points and entries.
    assert len(list(picture.iter("polyline"))) == 2 * len(series)
    markers = [one for one in picture.iter() if one.get("class") == "marker"]
    assert len(markers) == len(series) * (len(radii) + 1)
    looks = [one.get("class") for one in picture.iter("g") if "series" in one.get("class", "")]
    assert len(set(looks)) == len(series) and looks[-1] == "series s0 dashed"
    # The middle one of nine is not shifted sideways: its line is through (x, 1 - x).
    path = list(picture.iter("polyline"))[SERIES // 2].get("points").split()
    places = [tuple(map(float, pair.split(","))) for pair in path]
    grid = lines(picture, "grid")
    high, low = grid[4][1], grid[0][1]
    left, right = grid[0][0], grid[0][2]
    for (x, y), radius in zip(places, radii, strict=True):
        assert x == pytest.approx(left + (right - left) * radius / 0.4, abs=0.1)
        assert y == pytest.approx(low + (high - low) * (1 - radius), abs=0.1)


def test_labels_of_close_radii_do_not_touch():
    radii = [0.01 * i for i in range(1, 41)]
    picture = radius_curves({"pgd": [Point("pgd", 0.5, 0.4, 0.6, x=x) for x in radii]}, "A", "eta")
    ticks = sorted(x1 for x1, _, x2, _ in lines(picture, "grid") if x1 == x2)
    assert all(b - a >= 33.9 for a, b in zip(ticks, ticks[1:], strict=False))
    assert ticks[0] >= 0 and ticks[-1] <= WIDTH


def test_long_names_are_cut_beside_the_axis_and_whole_in_the_title():
    name = "my_package.attacks:MyOwnAttack<b>"
    text = render(interval_plot([Point(name, 0.5, 0.4, 0.6)], "A"))
    assert "my_package.att\u2026" in text and "MyOwnAttack&lt;b&gt;: 50.0 %" in text

"""The band between attacked and certified error, as numbers, PNG and SVG."""

import pytest

from mmtf.reports.band import band_png, band_series, band_title, height_of
from mmtf.reports.band_figure import band_figure
from mmtf.stats.intervals import wilson


def record_of():
    one = {"defense": "net", "n": 200, "clean_error": 0.01}
    return {
        "dataset": "digits",
        "norm": "linf",
        "certified": [
            {**one, "eta": 0.3, "worst": 0.1, "certified": 1.0},
            {**one, "eta": 0.1, "worst": 0.03, "certified": 0.3},
            {**one, "eta": "0.1:0.2", "worst": 0.2, "certified": 0.3},
        ],
    }


def test_series_ascend_from_the_clean_error():
    ((name, ends),) = band_series(record_of()).items()
    assert name == "net"
    assert [(one.eta, one.worst, one.certified) for one in ends] == [
        (0.0, 0.01, 0.01),
        (0.1, 0.03, 0.3),
        (0.3, 0.1, 1.0),
    ]
    assert ends[1].interval("worst") == wilson(6, 200)
    assert band_series({}) == {} and band_title(record_of()) == "digits, linf, 200 test images"


def test_the_axis_ascends_without_a_step():
    heights = [height_of(error / 1000) for error in range(1001)]
    assert heights[0] == 0 and heights[-1] == pytest.approx(1)
    assert all(b > a for a, b in zip(heights, heights[1:], strict=False))
    assert height_of(0.01) == pytest.approx(height_of(0.0100001), abs=1e-4)


def test_a_picture_of_a_panel_a_model():
    pytest.importorskip("matplotlib")
    ends = band_series(record_of())["net"]
    for count in (1, 5):
        picture = band_png({f"net {i}": ends for i in range(count)}, "title")
        assert picture[:4] == b"\x89PNG"


def test_the_band_lies_between_both_ends():
    ends = band_series(record_of())["net"]
    picture = band_figure(ends, "Bracket")
    (band,) = [one for one in picture.iter("polygon") if one.get("class") == "band"]
    points = [tuple(map(float, pair.split(","))) for pair in band.get("points").split()]
    upper, lower = points[:3], points[:2:-1]
    grid = [float(one.get("y1")) for one in picture.iter("line") if one.get("class") == "grid"]
    # Grid lines are at 0, 1, 3, 10, 30 and 100 %.
    assert [y for _, y in upper] == pytest.approx([grid[1], grid[4], grid[5]], abs=0.1)
    assert [y for _, y in lower] == pytest.approx([grid[1], grid[2], grid[3]], abs=0.1)
    assert [x for x, _ in upper] == [x for x, _ in lower]
    assert picture.get("aria-label").endswith("at 0.3 between 10.0 % and 100.0 %")

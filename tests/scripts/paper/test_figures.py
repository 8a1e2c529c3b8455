"""Figures are drawn from records, or not at all."""

import importlib.util

import numpy as np
import pytest

from mmtf.errors import ConfigError
from mmtf.stats.packed_bits import pack
from scripts.paper.cells import Track
from scripts.paper.figures import draw_figure, require_matplotlib

MNIST = [Track("mnist")]


def curve(*attacks):
    return [
        {"step": step, "n": 500, **dict.fromkeys(attacks, 0.5 / (step + 1))} for step in (0, 10, 20)
    ]


def test_nothing_is_drawn_without_records(keep, tmp_path):
    assert draw_figure(1, keep.results, MNIST, str(tmp_path / "figures")) == []
    assert not (tmp_path / "figures").exists()


def test_what_is_lacking_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="Expected matplotlib .* pip install"):
        require_matplotlib()


def test_curves_are_drawn_as_png_and_svg(keep, tmp_path):
    pytest.importorskip("matplotlib")
    for eta in (0.1, 0.3):
        keep(eta, "minimax_grad", "curve", 0.0, points=curve("none", "fgsm_curr"))
    track = "mnist-tutorial-paper"
    keep(0.3, "minimax_grad", "curve", 0.0, points=curve("none", "fgsm_curr"), track=track)
    tracks = [*MNIST, Track.parse(track)]
    png, svg = draw_figure(1, keep.results, tracks, str(tmp_path / "figures"))
    with open(png, "rb") as source:
        assert source.read(4)[1:] == b"PNG"
    with open(svg) as source:
        whole = source.read()
    assert "<svg" in whole and "eta 0.1" in whole
    _, svg = draw_figure(1, keep.results, tracks, str(tmp_path / "some"), [0.3])
    with open(svg) as source:
        assert "eta 0.1" not in source.read()
    assert draw_figure(1, keep.results, tracks, str(tmp_path / "none"), [0.4]) == []


def test_three_games_in_one_panel(keep, tmp_path):
    pytest.importorskip("matplotlib")
    for game in ("minimax_attnet", "alt_attnet", "maximin_attnet"):
        keep(0.3, game, "curve", 0.0, points=curve("none", "fgsm_curr", "attnet_met"))
    assert len(draw_figure(2, keep.results, MNIST, str(tmp_path / "figures"))) == 2


def test_one_game_of_three_is_drawn_as_among_three(keep, tmp_path):
    """While a reproduction runs: AttNet's error, not the clean one."""
    pytest.importorskip("matplotlib")
    keep(
        0.05,
        "alt_attnet",
        "curve",
        0.0,
        points=curve("none", "fgsm_curr", "attnet_met"),
        track="cifar10-keras-fast",
    )
    tracks = [Track("cifar10")]
    _, svg = draw_figure(5, keep.results, tracks, str(tmp_path / "figures"))
    with open(svg) as source:
        text = source.read()
    assert "Alt-AttNet, AttNet in training" in text and "no attack" not in text


def test_images_in_a_grid(keep, tmp_path, rng):
    pytest.importorskip("matplotlib")
    images = rng.integers(0, 256, (3, 4, 4, 1)).astype(np.uint8)
    rows = {"original": pack(images), "FGSM1": pack(images)}
    keep(0.2, "gallery", "images", 0.0, shape=[3, 4, 4, 1], images=rows)
    assert len(draw_figure(3, keep.results, MNIST, str(tmp_path / "figures"))) == 2

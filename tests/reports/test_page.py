"""The HTML report, read with the standard library's parser."""

import html.parser
import importlib.resources
import re

import evaluation_records as records
import pytest

from mmtf.reports.measured import Measured
from mmtf.reports.page import evaluation_html

VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """Elements as (tag, attributes, text inside), and whether all tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        one = [tag, dict(attrs), ""]
        self.elements.append(one)
        if tag not in VOID:
            self._open.append(one)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for one in self._open:
            one[2] += data

    def all(self, tag, **attributes):
        wanted = attributes.items()
        return [
            (found, text)
            for name, found, text in self.elements
            if name == tag and all(found.get(key) == value for key, value in wanted)
        ]

    def texts(self, tag, **attributes):
        return [text for _, text in self.all(tag, **attributes)]


@pytest.fixture(scope="module")
def large():
    record = records.record_of()
    return record, Page(evaluation_html(record, records.images_of(record)))


def test_every_figure_of_the_record_is_in_a_cell(large):
    record, page = large
    cells = [text for _, text in page.all("td") if "error" in text]
    for one in record["cells"]:
        told = (
            f"{100 * (1 - one['error']):.1f} %"
            f"[{100 * (1 - one['ci_high']):.1f}, {100 * (1 - one['ci_low']):.1f}]"
            f"error {one['error']:.4f}"
        )
        assert told in cells
    # One matrix per radius, and the summary: clean and robust accuracy of each model.
    assert len(cells) == len(record["cells"]) + 2 * len(records.MODELS)


def test_names_are_text_and_never_tags(large):
    _, page = large
    assert not page.all("i") and records.MODELS[-1] in page.texts("th")


def test_the_headline_says_what_was_found():
    record = records.record_of(models=["net"], attacks=["none", "fgsm", "pgd"], etas=[0.3])
    text = evaluation_html(record)
    told = Page(text).texts("p", **{"class": "headline"})
    # error_of: 0.02 clean, 0.5 under pgd; Wilson's interval of 100 in 200 is 0.4314 to 0.5686.
    assert told == [
        "net classifies 98.0 % of the images correctly as they are, and 50.0 % (95 % interval "
        "43.1 to 56.9 %) when an attack may change every pixel by at most eta 0.3 for pixels "
        "in [-1, 1], which is eps 0.15 (38.25/255) for pixels in [0, 1]. The "
        "strongest attack is pgd, which alone leaves 50.0 %."
    ]
    assert "200 test images of digits" in text


def test_a_headline_of_several_models_names_the_most_robust(large):
    record, page = large
    assert page.texts("p", **{"class": "headline"})[0].startswith(records.MODELS[-1])
    assert any("None of the 5 models" in text for text in page.texts("p"))


def test_what_stands_where_little_was_measured():
    record = records.record_of(models=["net"], attacks=["none"], etas=[0.3], norm="l2")
    del record["date"], record["models"], record["versions"], record["hardware"]
    page = Page(evaluation_html(record))
    assert "No attack was run." in page.texts("p", **{"class": "headline"})[0]
    assert "a Euclidean distance" in page.texts("p", **{"class": "headline"})[0]
    assert not page.all("img") and "Images" not in page.texts("h2")
    assert "Accuracy against the radius" not in page.texts("h2")
    assert "Are the models different?" not in page.texts("h2")


def test_an_attack_that_was_left_out_leaves_its_cell_empty():
    record = records.record_of(models=["a", "b"], attacks=["none", "pgd"], etas=[0.3])
    out = next(c for c in record["cells"] if (c["defense"], c["attack"]) == ("b", "pgd"))
    record["cells"].remove(out)
    record["signs"] = [
        {"defense": "b", "check": "broken_attack", "value": "pgd: NaN", "text": "b: broken"}
    ]
    page = Page(evaluation_html(record))
    assert "" in page.texts("td", **{"data-column": "b"})
    assert "sign: pgd: NaN" in page.texts("td", **{"data-column": "b"})
    assert "in doubt" in page.texts("a")


def test_empty_columns_are_not_shown_and_unknown_figures_are():
    record = records.record_of(models=["net"], attacks=["none", "pgd"], etas=[0.3])
    assert "seconds" not in Page(evaluation_html(record)).texts("th")
    for cell in record["cells"]:
        cell |= {"peak_memory_mib": 1024, "queries": 7.5}
    record |= {"peak_memory_mib": 2048, "outputs": {"net": "logits"}}
    page = Page(evaluation_html(record))
    assert {"peak memory (MiB)", "queries", "median distance"} <= set(page.texts("th"))
    assert {"1,024", "7.5"} <= set(page.texts("td"))
    assert {"2,048", "net logits"} <= set(page.texts("dd"))


def test_targeted_attacks_say_how_often_the_target_is_reached():
    names = ["cat", "dog"]
    record = records.record_of(models=["net"], attacks=["pgd"], etas=[0.3], class_names=names)
    assert "target reached" not in Page(evaluation_html(record)).texts("th")
    record["attacks"]["pgd"] = {"target": 1}
    cell = record["cells"][0]
    cell |= {"target_rate": 0.5, "target_low": 0.4, "target_high": 0.6, "target_n": 150}
    page = Page(evaluation_html(record))
    assert any("target reached 50.0 % [40.0, 60.0]" in text for text in page.texts("td"))
    assert "50.0 % [40.0, 60.0]" in page.texts("td", **{"data-column": "target reached"})
    assert "150" in page.texts("td", **{"data-column": "images with another target"})
    assert "target 1 (dog)" in page.texts("dd")


def test_provenance_is_told(large):
    record, page = large
    told = page.texts("dd")
    assert "mmtf 9.8.7, TensorFlow 2.99, Keras 3.99, Python 3.77" in told
    assert record["date"] in told and record["commit"] in told
    assert "runs/lwaSHA-256 " + "ab" * 32 in told
    assert "evaluate.py '--model=a path'" in page.texts("pre")
    assert "steps 40" in told


def test_each_clean_image_stands_once_per_model(large):
    record, page = large
    clean = [found for found, _ in page.all("img") if found["alt"].startswith("clean image")]
    assert len(clean) == 2 * len(records.MODELS)
    captions = page.texts("figcaption")
    attacked = 2 * len(records.MODELS) * len(records.ETAS) * (len(records.ATTACKS) - 1)
    assert sum("\u2192 3" in text for text in captions) == attacked
    assert sum("distance 0.125" in text for text in captions) == attacked / 2
    assert len(page.all("figure", **{"class": "fooled"})) == attacked / 2


def test_classes_have_their_names_where_the_record_knows_them():
    names = [f"kind {i}" for i in range(10)]
    record = records.record_of(models=["net"], etas=[0.3], class_names=names)
    page = Page(evaluation_html(record, records.images_of(record)))
    assert "Test image 1: kind 7" in page.texts("h4")
    assert any("\u2192 kind 3" in text for text in page.texts("figcaption"))


def test_the_page_is_accessible_and_needs_nothing_else(large):
    _, page = large
    assert page.all("html", lang="en") and page.all("meta", name="viewport")
    assert not page.all("script") and not page.all("link")
    for found, _ in page.all("th"):
        assert found.get("scope") in ("row", "col")
    for found, _ in page.all("img"):
        assert found["alt"] and found["src"].startswith("data:image/png;base64,")
    for found, _ in page.all("svg"):
        assert found["role"] == "img" and "%" in found["aria-label"]
    assert len(page.all("table")) == len(page.all("caption"))
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert "url(" not in "".join(page.texts("style"))


def test_the_colors_can_be_read_on_both_backgrounds():
    """WCAG 2.1: a contrast of 4.5 for text and 3 for graphics."""
    style = importlib.resources.files("mmtf.reports").joinpath("report.css").read_text("utf-8")
    light, dark = (
        dict(re.findall(r"--(\w[\w-]*): (#\w{6})", part))
        for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    )
    for colors in (light, dark):
        for name in ("text", "quiet", "accent", "bad"):
            for page in ("page", "panel", "bad-page", "strong-page"):
                assert _contrast(colors[name], colors[page]) >= 4.5, (name, page)
        for number in range(8):
            assert _contrast(colors[f"s{number}"], colors["panel"]) >= 3


def test_radii_and_cells_are_found_by_name():
    record = records.record_of(models=["a"], attacks=["none", "pgd"], etas=[0.1, 0.3])
    measured = Measured(record)
    assert measured.etas == [0.1, 0.3] and measured.at("a", "fgsm", 0.1) is None
    assert [one["attack"] for one in measured.real_attacks("a", 0.1)] == ["pgd"]


def _contrast(one: str, other: str) -> float:
    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_headline_names_all_balls_of_a_union():
    given = {"models": ["net"], "attacks": ["none", "pgd"], "etas": [0.3]}
    record = records.record_of(**given, unions={"0.3": {"l2": 2.0}})
    told = Page(evaluation_html(record)).texts("p", **{"class": "headline"})[0]
    assert "or an image by a Euclidean distance of at most eta 2." in told

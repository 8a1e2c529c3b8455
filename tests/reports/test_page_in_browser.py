"""The HTML report as headless Chromium lays it out, on a phone's width and on a wide screen."""

import html
import json
import pathlib
import re
import shutil
import subprocess

import evaluation_records as records
import pytest

from mmtf.reports.page import evaluation_html

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
WIDTHS = (390, 700, 870, 950, 1120, 1280, 1400)
# Chromium's own window is at least 500 pixels wide, so each width is a frame. A frame by `srcdoc`
# has the origin of the page around it, whose script may therefore measure it.
AROUND = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
onload = () => {{
  const found = [...document.querySelectorAll("iframe")].map(frame => {{
    const page = frame.contentDocument, root = page.documentElement;
    const right = one => one.getBoundingClientRect().right;
    const wide = [...page.querySelectorAll("td strong, td .interval, td .error, svg, img, th")];
    return {{
      width: frame.contentWindow.innerWidth,
      needed: root.scrollWidth,
      scrolled: [...page.querySelectorAll(".scrolling")].filter(one =>
        one.scrollWidth > one.clientWidth).map(one => one.getAttribute("aria-label")),
      cut: wide.filter(one => right(one) > root.clientWidth + 0.5).map(one => one.outerHTML),
      cells: [...page.querySelectorAll("td")].map(one => one.innerText.split(/\\s*\\n\\s*/)),
      headline: page.querySelector(".headline").innerText,
      dots: page.querySelectorAll(".dots .marker").length,
      smallest: Math.min(...[...page.querySelectorAll("svg")].map(one =>
        parseFloat(getComputedStyle(one).fontSize) * one.getBoundingClientRect().width
        / one.viewBox.baseVal.width)),
    }};
  }});
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the browser finds at each width."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome is installed")
    record = records.record_of()
    page = evaluation_html(record, records.images_of(record))
    # Folded parts, too, must not be wider than the page.
    page = page.replace("<details>", '<details open="">')
    frames = "".join(
        f'<iframe style="border:0;width:{width}px;height:900px" srcdoc="{html.escape(page)}">'
        "</iframe>"
        for width in WIDTHS
    )
    folder = tmp_path_factory.mktemp("page")
    (folder / "around.html").write_text(AROUND.format(frames=frames), encoding="utf-8")
    return record, _opened(folder)


def _opened(folder: pathlib.Path) -> list[dict]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1500,900"]
    flags += [f"--user-data-dir={folder}/profile", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *flags, (folder / "around.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    return json.loads(html.unescape(found[1]))


def test_the_page_never_scrolls_sideways(seen):
    _, found = seen
    assert [one["width"] for one in found] == list(WIDTHS)
    for one in found:
        assert one["needed"] <= one["width"]
        assert one["cut"] == []
        assert one["scrolled"] == []  # nor does a table of five models inside the page


def test_the_cells_show_the_figures_of_the_record(seen):
    record, found = seen
    for one in found:
        shown = [cell[:3] for cell in one["cells"]]
        for cell in record["cells"]:
            low, high = 100 * (1 - cell["ci_high"]), 100 * (1 - cell["ci_low"])
            texts = [f"{100 * (1 - cell['error']):.1f} %", f"[{low:.1f}, {high:.1f}]"]
            assert [*texts, f"error {cell['error']:.4f}"] in shown
        assert one["headline"].startswith(records.MODELS[-1])


def test_every_figure_is_a_dot_that_can_be_read(seen):
    record, found = seen
    for one in found:
        assert one["dots"] == len(record["cells"])
        # The text in a picture is 12 pixels high; on a phone it may shrink by a tenth.
        assert one["smallest"] >= 0.9 * 12

"""Renders docs/performance.md's tables and bar charts from the committed records.

    python -m scripts.performance

Reads peers-*.json, autoattack-*.json, time_to_robust*.json, gpu.json and fit_step.json of
results/benchmarks, which `python -m benchmarks.peers.speed` (the first two),
`benchmarks.time_to_robust`, `benchmarks.gpu` and `benchmarks.fit_step` write.
Imports no TensorFlow.
"""

from absl import app

from mmtf.cli.errors import in_one_line
from scripts.performance.chart import draw, draw_summary
from scripts.performance.page import FIGURES, PAGE, ROOT, peer_records, rendered


@in_one_line("scripts.performance")
def main(_: list[str]) -> None:
    """Rewrites the page and draws the charts."""
    PAGE.write_text(rendered())
    records = peer_records()
    for kind, record in records.items():
        draw(record, FIGURES / f"performance-{kind}.png")
    draw_summary(records, FIGURES / "performance.png")
    print(f"rendered {PAGE.relative_to(ROOT)} and {len(records) + 1} figures")


if __name__ == "__main__":
    app.run(main)

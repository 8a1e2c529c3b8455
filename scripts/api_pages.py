"""Writes docs/api/*.md: a page for each package of mmtf, which mkdocstrings fills in.

python -m scripts.api_pages            # only list pages that are out of date
python -m scripts.api_pages --write
"""

import pathlib
import sys

from absl import app, flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "api"
# Packages with their own page; all other modules share one.
ROOMS = (
    "additive",
    "attacks",
    "bounds",
    "classifiers",
    "data",
    "defenses",
    "evaluation",
    "fit",
    "mixtures",
    "games",
    "magnet",
    "nets",
    "privacy",
    "runs",
    "smoothing",
    "solvers",
    "training",
)
OTHERS = "others"

_WRITE = flags.DEFINE_boolean("write", False, "Write the pages instead of comparing them.")


def public_modules(root: pathlib.Path) -> list[str]:
    """Returns the dotted names of mmtf's modules, without those that begin with an underscore."""
    found = []
    for path in sorted((root / "mmtf").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return found


def pages(root: pathlib.Path) -> dict[str, str]:
    """Returns page name -> text, for every page."""
    modules: dict[str, list[str]] = {name: [] for name in (*ROOMS, OTHERS)}
    for module in public_modules(root):
        room = (module.split(".") + [""])[1]
        if module != "mmtf":
            modules[room if room in ROOMS else OTHERS].append(module)
    text = {name: _page(name, found) for name, found in modules.items()}
    listed = "\n".join(f"- [mmtf.{name}]({name}.md)" for name in ROOMS)
    text["index"] = (
        "# API\n\nThe names most users need are attributes of `mmtf`: `AdversarialModel`, "
        "`Classifier`, `Dataset`, `RobustAccuracy`, `Schedule`, `ThreatModel`, `evaluate`, "
        "`load_data`, `run_config`, `run_experiment`, `save_keras`, `save_serving`, "
        "`schedule_of`, `train`; attacks, games and nets are "
        "attributes of their rooms: `mmtf.attacks.PGD`, `mmtf.games.MinimaxGrad`, "
        f"`mmtf.nets.mnist_cnn`.\n\n{listed}\n- [The rest]({OTHERS}.md)\n"
    )
    return text


def _page(name: str, modules: list[str]) -> str:
    title = "The rest" if name == OTHERS else f"mmtf.{name}"
    return f"# {title}\n\n" + "\n\n".join(f"::: {module}" for module in modules) + "\n"


def main(_: list[str]) -> None:
    """Writes the pages with --write; otherwise exits with status 1 if one is out of date."""
    wanted = pages(ROOT)
    stale = [
        name
        for name, text in wanted.items()
        if not (PAGES / f"{name}.md").exists() or (PAGES / f"{name}.md").read_text() != text
    ]
    if _WRITE.value:
        PAGES.mkdir(exist_ok=True)
        for name in stale:
            (PAGES / f"{name}.md").write_text(wanted[name])
        print(f"wrote {len(stale)} of {len(wanted)} pages")
    elif stale:
        print(
            f"Expected docs/api to match the modules. Received outdated pages: {', '.join(stale)}. "
            "Run python -m scripts.api_pages --write.",
            file=sys.stderr,
        )
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)

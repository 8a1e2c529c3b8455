"""Rooms import only from rooms to their left or below: the order of mmtf.

Imports inside functions count as well: they hide a circle, they do not open it.
"""

import ast
import pathlib

import mmtf

ROOT = pathlib.Path(mmtf.__file__).parent
# From the bottom up; the rooms of one line do not know each other. Reports only render what they
# are given, so that an evaluation can hand its own to them.
LAYERS = [
    ["errors", "_moved", "_presets_0_1", "preset_table"],
    ["arguments"],
    ["radius", "registry", "runtime", "schedule", "stats"],
    ["storage"],
    ["config", "norms"],
    ["threat"],
    ["functional", "losses", "kernels"],
    ["data"],
    ["nets", "classifiers"],
    ["attacks", "bounds"],
    ["solvers"],
    ["games"],
    ["defenses"],
    ["presets"],
    ["distributed"],
    ["training"],
    ["reports"],
    ["evaluation", "privacy", "additive"],
    ["fit", "magnet", "mixtures", "smoothing"],
    ["runs"],
    ["cli"],
    ["run", "evaluate", "mixture", "smooth", "__init__"],
]
HEIGHT = {room: height for height, layer in enumerate(LAYERS) for room in layer}


def module_of(path: pathlib.Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def imports_of(path: pathlib.Path) -> set[str]:
    """Modules of mmtf that a file names in an import statement, without the leading `mmtf.`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "mmtf":
            found |= {f"mmtf.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            found.add(node.module)
    return {name.removeprefix("mmtf.") for name in found if name.startswith("mmtf.")}


def upward() -> dict[str, set[str]]:
    """Module -> the rooms above its own that it imports, or beside it in its layer."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        module = module_of(path)
        # `python -m mmtf.room` starts the room's command; nothing imports its __main__.
        room = "run" if module.endswith(".__main__") else module.partition(".")[0]
        for name in imports_of(path):
            other = name.partition(".")[0]
            if other != room and HEIGHT[other] >= HEIGHT[room]:
                found.setdefault(module, set()).add(name)
    return found


def test_every_room_has_its_place():
    rooms = {module_of(path).partition(".")[0] for path in ROOT.rglob("*.py")}
    assert rooms == set(HEIGHT)


def test_no_arrow_points_upward():
    assert upward() == {}


def test_test_files_have_names_of_their_own():
    """pytest imports those of folders that are no package by their names alone."""
    files = (ROOT.parent / "tests").rglob("test_*.py")
    names = [file.name for file in files if not (file.parent / "__init__.py").exists()]
    assert sorted(names) == sorted(set(names))

"""BUILD files and sources agree: one target for each, with what it needs (tests/build_needs.py).

BUILD files use only native rules and are valid Python, so `ast` reads them; Bazel is not needed.
A failure says which line to add to which file, or to remove.
"""

import ast
import collections
import pathlib

import build_needs
import pytest
from build_needs import FOLDERS, Target

ROOT = pathlib.Path(__file__).resolve().parent.parent


def written(root: pathlib.Path) -> list[Target]:
    """The targets of all BUILD files under `root`; a file of a folder without BUILD has none."""
    files = [root / "BUILD", *(path for one in FOLDERS for path in (root / one).rglob("BUILD"))]
    return [target for file in files if file.exists() for target in _read(root, file)]


def _read(root, file):
    package = file.parent.relative_to(root).as_posix().removeprefix(".")
    for statement in ast.parse(file.read_text()).body:
        if not isinstance(getattr(statement, "value", None), ast.Call):
            continue
        call = statement.value
        given = {one.arg: _value(one.value, file.parent) for one in call.keywords}
        labels = {
            key: {_full(label, package) for label in given.get(key, ())}
            for key in ("srcs", "deps", "data")
        }
        if call.func.id == "exports_files":
            for name in _value(call.args[0], file.parent):
                yield Target("exports_files", f"//{package}:{name}", srcs={f"//{package}:{name}"})
        elif "name" in given:
            slow = "slow" in given.get("tags", ())
            yield Target(call.func.id, f"//{package}:{given['name']}", **labels, slow=slow)


def _value(node, folder):
    if isinstance(node, ast.Call) and node.func.id == "glob":
        patterns = ast.literal_eval(node.args[0])
        found = [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]
        return [path.relative_to(folder).as_posix() for path in found]
    return ast.literal_eval(node)


def _full(label, package):
    if label.startswith("//"):
        return label if ":" in label else f"{label}:{label.rpartition('/')[2]}"
    return f"//{package}:{label.removeprefix(':')}"


def problems(root: pathlib.Path) -> list[str]:
    """Where BUILD files and sources differ, each with the line that mends it."""
    targets = collections.defaultdict(list)
    for target in written(root):
        targets[target.label].append(target)
    wanted = build_needs.needed(root)
    found = []
    for group in targets.values():
        if len(group) > 1:
            found.append(
                f"{_build(group[0])}: {len(group)} targets named {group[0].name}: keep one"
            )
    for need in wanted:
        if need.label not in targets:
            found.append(f"{_build(need)}: add\n{need.render()}")
        else:
            found += _differences(need, targets[need.label][0])
    sources = {label for need in wanted for label in need.srcs}
    for target in written(root):
        found += _unresolved(root, target, targets)
        if target.rule.startswith("py_") and target.srcs - sources:
            extra = ", ".join(sorted(target.srcs - sources))
            found.append(f"{_build(target)}: {target.name}: remove {extra}: no such source")
    return found + _cycles(targets)


def _differences(need, target):
    where = f"{_build(need)}: target {need.name}"
    for module in sorted(need.unknown):
        yield f"{where}: its source imports {module}, which does not exist"
    if target.rule != need.rule:
        yield f"{where}: make it a {need.rule}, not a {target.rule}"
    for key in ("srcs", "deps", "data"):
        has, needs = getattr(target, key), getattr(need, key)
        for label in sorted(needs - has):
            yield f'{where}: add "{need.short(label)}" to {key}'
        for label in sorted(has - needs if key != "data" else ()):
            yield f'{where}: remove "{need.short(label)}" from {key}'
    if target.slow != need.slow:
        yield f'{where}: {"add" if need.slow else "remove"} tags = ["slow"]'


def _unresolved(root, target, targets):
    for label in sorted(target.srcs | target.deps | target.data):
        package, _, name = label[2:].partition(":")
        local = package == target.package and (root / package / name).is_file()
        if label not in targets and not local:
            where = f"{_build(target)}: target {target.name}"
            yield f"{where}: {label} is neither a target nor an exported file"
        if target.rule == "exports_files" and not (root / package / name).is_file():
            yield f"{_build(target)}: exports_files: remove {name}: no such file"


def _cycles(targets):
    """The first cycle found from each target that is on one, once."""
    state, path, found = {}, [], []

    def visit(label):
        state[label] = "open"
        path.append(label)
        target = targets[label][0]
        for other in sorted((target.deps | target.data) & set(targets)):
            if state.get(other) == "open":
                cycle = " -> ".join([*path[path.index(other) :], other])
                found.append(f"{_build(target)}: cycle, which Bazel refuses: {cycle}")
            elif other not in state:
                visit(other)
        path.pop()
        state[label] = "done"

    for label in sorted(targets):
        if label not in state:
            visit(label)
    return found


def _build(target):
    return f"{target.package}/BUILD" if target.package else "BUILD"


def test_every_source_has_its_target():
    assert "\n\n".join(problems(ROOT)) == ""


SOURCES = {
    "mmtf/__init__.py": "",
    "mmtf/registry.py": "",
    "mmtf/run.py": "if __name__ == '__main__':\n    pass\n",
    "mmtf/nets/__init__.py": "from mmtf.registry import M\nNETS = M('mmtf.nets.cnn:build')\n",
    "mmtf/nets/cnn.py": "def build():\n    from mmtf.nets import layers\n\nTABLE = 'paper.csv'\n",
    "mmtf/nets/layers.py": "",
    "mmtf/nets/paper.csv": "",
    "tests/conftest.py": "",
    "tests/run_pytest.py": "if __name__ == '__main__':\n    pass\n",
    "tests/nets/__init__.py": "",
    "tests/nets/helper.py": "",
    "tests/nets/test_cnn.py": "from mmtf.nets.cnn import build\nfrom . import helper\n",
    "tests/nets/test_run.py": "import mmtf\nRUN = 'mmtf.run'\n@pytest.mark.slow\ndef f(): pass\n",
}


@pytest.fixture
def checkout(tmp_path):
    """A small repository whose BUILD files are right."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    rules = collections.defaultdict(list)
    for need in build_needs.needed(tmp_path):
        rules[need.package].append(need.render())
    rules["tests"].append('exports_files(["run_pytest.py"])')
    for package, texts in rules.items():
        (tmp_path / package / "BUILD").write_text("\n\n".join(texts))
    return tmp_path


def test_what_is_rendered_is_read_back(checkout):
    assert problems(checkout) == []
    read = {target.label: target for target in written(checkout)}
    for need in build_needs.needed(checkout):
        assert read[need.label] == need


def test_needs(checkout):
    needs = {need.label: need for need in build_needs.needed(checkout)}
    assert needs["//:mmtf"].deps == {f"//mmtf:{one}" for one in ("mmtf", "lookup")} | {
        f"//mmtf/nets:{one}" for one in ("nets", "cnn", "layers")
    }
    room, net = needs["//mmtf/nets:nets"], needs["//mmtf/nets:cnn"]
    assert (room.deps, room.data) == ({"//mmtf:lookup"}, {"//mmtf/nets:cnn"})
    assert (net.deps, net.data) == ({"//mmtf/nets:layers"}, {"//mmtf/nets:paper.csv"})
    test, run = needs["//tests/nets:test_cnn"], needs["//tests/nets:test_run"]
    assert test.deps == {"//mmtf/nets:cnn", "//tests/nets:helper", "//tests:run_pytest"}
    assert (test.data, test.slow) == ({"//tests:conftest"}, False)
    assert run.deps == {"//:mmtf", "//tests:run_pytest"}
    assert (run.data, run.slow) == ({"//mmtf:run", "//tests:conftest"}, True)
    assert (needs["//mmtf:run"].rule, test.rule) == ("py_binary", "py_test")


BREAKS = {
    "a dep is missing": (
        "mmtf/nets/BUILD",
        'deps = [":layers"],',
        "",
        'mmtf/nets/BUILD: target cnn: add ":layers" to deps',
    ),
    "a member is missing": (
        "mmtf/nets/BUILD",
        'data = [":cnn"],',
        "",
        'mmtf/nets/BUILD: target nets: add ":cnn" to data',
    ),
    "a dep is not imported": (
        "mmtf/BUILD",
        'srcs = ["lookup.py"]',
        'srcs = ["lookup.py"], deps = ["//mmtf"]',
        'mmtf/BUILD: target lookup: remove ":mmtf" from deps',
    ),
    "a label is wrong": (
        "mmtf/nets/BUILD",
        'deps = [":layers"]',
        'deps = [":layers", ":nothing"]',
        "mmtf/nets/BUILD: target cnn: //mmtf/nets:nothing is neither a target nor an exported file",
    ),
    "a target is missing": (
        "mmtf/nets/BUILD",
        'name = "layers"',
        'name = "layer"',
        'mmtf/nets/BUILD: add\npy_library(\n    name = "layers",\n    srcs = ["layers.py"],\n)',
    ),
    "the rule is another": (
        "mmtf/BUILD",
        'py_binary(\n    name = "run"',
        'py_library(\n    name = "run"',
        "mmtf/BUILD: target run: make it a py_binary, not a py_library",
    ),
    "the tag is missing": (
        "tests/nets/BUILD",
        'tags = ["slow"],',
        "",
        'tests/nets/BUILD: target test_run: add tags = ["slow"]',
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_says_what_to_do_when(case, checkout):
    build, old, new, message = BREAKS[case]
    text = (checkout / build).read_text()
    assert text.count(old) == 1
    (checkout / build).write_text(text.replace(old, new))
    assert message in problems(checkout)


def test_a_source_without_target_and_a_target_without_source(checkout):
    (checkout / "mmtf/nets/layers.py").rename(checkout / "mmtf/nets/blocks.py")
    found = problems(checkout)
    assert any(one.startswith("mmtf/nets/BUILD: add\npy_library(") for one in found)
    assert "mmtf/nets/BUILD: layers: remove //mmtf/nets:layers.py: no such source" in found


def test_cycles_are_named(checkout):
    (checkout / "mmtf/nets/layers.py").write_text("from mmtf.nets.cnn import build\n")
    build = checkout / "mmtf/nets/BUILD"
    own = 'srcs = ["layers.py"]'
    build.write_text(build.read_text().replace(own, f'{own}, deps = [":cnn"]'))
    (cycle,) = problems(checkout)
    assert cycle.endswith("//mmtf/nets:cnn -> //mmtf/nets:layers -> //mmtf/nets:cnn")

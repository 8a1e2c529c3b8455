"""What the BUILD files have to say, derived from the sources.

Each module and test has one target, named after it (`__init__` after its folder):

- py_test for test_*.py, py_binary for what runs as a script, py_library for the others;
- deps: what the file imports from this repository, inside functions too;
- data: members of a room named as 'module:attribute' (`mmtf.registry.Registry`) and tables of its
  folder that it names; outside mmtf also modules it starts by name (`python -m`), a neighbor's
  file name, conftest.py, README.md, setup.py, pyproject.toml, docs/ and flags/;
- tags = ["slow"] where some of its tests are.

//:mmtf is the whole library, for `import mmtf`, which imports the rest by name when first used.
"""

import ast
import dataclasses
import pathlib
import re

FOLDERS = ("mmtf", "tests", "benchmarks", "scripts")
RUNNER = "//tests:run_pytest"
SHARED = ("//:README.md", "//:pyproject.toml", "//:setup.py", "//:docs", "//:flags")


@dataclasses.dataclass
class Target:
    """A rule: as a BUILD file has it, or as a source file needs it.

    Attributes:
      rule: py_library, py_binary, py_test, filegroup or exports_files.
      label: //folder:name in full.
      srcs, deps, data: labels in full; a file's label is //folder:file.
      slow: tagged so.
      unknown: modules imported that do not exist.
    """

    rule: str
    label: str
    srcs: set[str] = dataclasses.field(default_factory=set)
    deps: set[str] = dataclasses.field(default_factory=set)
    data: set[str] = dataclasses.field(default_factory=set)
    slow: bool = False
    unknown: set[str] = dataclasses.field(default_factory=set)

    @property
    def package(self) -> str:
        return self.label[2:].partition(":")[0]

    @property
    def name(self) -> str:
        return self.label.partition(":")[2]

    def render(self) -> str:
        """The rule's text, attributes and labels in the order of Bazel's formatter."""
        test = self.rule == "py_test"
        attributes = {
            "name": self.name,
            "timeout": "eternal" if self.slow else "",
            "srcs": self._sorted(self.srcs),
            "args": [f"$(location {self.name}.py)"] if test else [],
            "data": self._sorted(self.data),
            "main": self.short(f"{RUNNER}.py") if test else "",
            "tags": ["slow"] if self.slow else [],
            "deps": self._sorted(self.deps),
        }
        lines = [f"    {key} = {_literal(value)}," for key, value in attributes.items() if value]
        return "\n".join([f"{self.rule}(", *lines, ")"])

    def short(self, label: str) -> str:
        """The label as it is written in this target's package."""
        package, _, name = label[2:].partition(":")
        if package == self.package:
            return name if "." in name else f":{name}"
        return f"//{package}" if package.rpartition("/")[2] == name else label

    def _sorted(self, labels):
        return sorted(map(self.short, labels), key=lambda one: (one[0] == "/", one[0] == ":", one))


def _literal(value):
    if isinstance(value, str):
        return f'"{value}"'
    if len(value) == 1:
        return f'["{value[0]}"]'
    return "[\n" + "".join(f'        "{one}",\n' for one in value) + "    ]"


def needed(root: pathlib.Path) -> list[Target]:
    """The targets that the sources under `root` ask for."""
    sources = _Sources(root)
    ours = [sources.target(path) for path in sources.paths]
    library = [
        one.label for one in ours if one.label.startswith("//mmtf") and one.rule == "py_library"
    ]
    return [Target("py_library", "//:mmtf", deps=set(library)), *ours]


class _Sources:
    """The Python files of the repository, and what one needs of the others."""

    def __init__(self, root):
        self.root = root
        found = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
        self.paths = [path.relative_to(root) for path in found]
        self.labels = {_module(path): _label(path) for path in self.paths}

    def target(self, path):
        tree = ast.parse((self.root / path).read_text())
        target = Target(_rule(path, tree), _label(path), srcs={_file_label(path)})
        for node in ast.walk(tree):
            for names in _imports(node, path):
                self._add_import(target, path, names)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                target.data |= set(self._named(node.value, path))
        if target.rule == "py_test":
            target.srcs.add(f"{RUNNER}.py")
            target.deps.add(RUNNER)
            target.slow = any(map(_is_slow_mark, ast.walk(tree)))
            beside = [folder / "conftest.py" for folder in path.parents]
            target.data |= {_label(file) for file in beside if file in self.paths}
        target.deps -= {target.label}
        target.data -= {target.label, *target.deps}
        return target

    def _add_import(self, target, path, names):
        """`names`: what an import may mean, longest first; `mmtf.x.y` may be y of module mmtf.x."""
        ours = path.parts[0] == "mmtf"
        folders = [] if ours else [".".join(folder.parts) for folder in path.parents[:-1]]
        for name in names:
            if name == "mmtf" and not ours:
                target.deps.add("//:mmtf")
                return
            for module in [name, *(f"{folder}.{name}" for folder in folders)]:
                if module in self.labels:
                    target.deps.add(self.labels[module])
                    return
        if names[-1].partition(".")[0] in FOLDERS:
            target.unknown.add(names[-1])

    def _named(self, text, path):
        """Labels of what a string in the file names."""
        member = re.fullmatch(r"(mmtf[\w.]*):\w+", text)
        if member and member[1] in self.labels:
            yield self.labels[member[1]]
        if re.fullmatch(r"\w+\.csv", text) and (self.root / path.parent / text).exists():
            yield _file_label(path.parent / text)
        if path.parts[0] == "mmtf":
            return
        if "." in text and text in self.labels:
            yield self.labels[text]
        if re.fullmatch(r"\w+\.py", text) and path.parent / text in self.paths:
            yield _label(path.parent / text)
        if re.fullmatch(r"[\w./]+", text):
            yield from {f"//:{text}", f"//:{text.partition('/')[0]}"} & set(SHARED)


def _rule(path, tree):
    if path.name.startswith("test_"):
        return "py_test"
    tests = [ast.unparse(node.test) for node in tree.body if isinstance(node, ast.If)]
    return "py_binary" if any("__name__" in test for test in tests) else "py_library"


def _is_slow_mark(node):
    marks = isinstance(node, ast.Attribute) and node.attr == "slow"
    return marks and ast.unparse(node.value).endswith("mark")


def _module(path):
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _label(path):
    name = path.parent.name if path.stem == "__init__" else path.stem
    return f"//{path.parent.as_posix()}:{name}"


def _file_label(path):
    return f"//{path.parent.as_posix()}:{path.name}"


def _imports(node, path):
    if isinstance(node, ast.Import):
        return [[alias.name] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        up = path.parts[: len(path.parts) - node.level] if node.level else ()
        base = ".".join([*up, *([node.module] if node.module else [])])
        return [[f"{base}.{alias.name}", base] for alias in node.names]
    return []

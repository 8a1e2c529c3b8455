"""Every public function of mmtf and its benchmarks is annotated: arguments and return."""

import ast
import pathlib
from collections.abc import Iterable, Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("mmtf", "benchmarks", "scripts")


def lacking(source: str, module: str) -> list[str]:
    """Public functions and methods of `source` with an argument or a return not annotated."""
    return list(_lacking(ast.parse(source).body, module, in_class=False))


def _lacking(body: Iterable[ast.AST], place: str, in_class: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _lacking(ast.iter_child_nodes(node), place, in_class)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _lacking(node.body, f"{place}.{node.name}", in_class=True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            public = not node.name.startswith("_") or node.name in ("__init__", "__call__")
            if public and not _is_annotated(node, in_class):
                yield f"{place}.{node.name}"


def _is_annotated(node: ast.FunctionDef | ast.AsyncFunctionDef, in_class: bool) -> bool:
    static = any(ast.unparse(one) == "staticmethod" for one in node.decorator_list)
    arguments = [*node.args.posonlyargs, *node.args.args]
    if in_class and not static:
        arguments = arguments[1:]  # self or cls
    arguments += [*node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    known = all(one is None or one.annotation is not None for one in arguments)
    return known and (node.returns is not None or node.name == "__init__")


def _all_lacking() -> set[str]:
    found = set()
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found |= set(lacking(path.read_text(), module))
    return found


def test_public_functions_are_annotated():
    assert sorted(_all_lacking()) == [], "Annotate every argument and the return of these."


SOURCE = """
def right(a: int, *rest: int, b: str = "", **more: int) -> None: ...
def no_return(a: int): ...
def no_argument(a) -> None: ...
def no_keyword(*, a) -> None: ...
def no_rest(*rest) -> None: ...
def _private(a): ...
if True:
    def conditional(a) -> int: ...
class Public:
    def __init__(self, a: int): ...
    def __call__(self, a): ...
    def __len__(self): ...
    def right(self, a: int) -> int: ...
    @staticmethod
    def static(a) -> int: ...
    @classmethod
    def made(cls) -> int: ...
    @property
    def size(self): ...
    class Nested:
        def method(self, a) -> int: ...
class _Private:
    def method(self, a): ...
"""


def test_what_lacks_an_annotation():
    assert lacking(SOURCE, "m") == [
        "m.no_return",
        "m.no_argument",
        "m.no_keyword",
        "m.no_rest",
        "m.conditional",
        "m.Public.__call__",
        "m.Public.static",
        "m.Public.size",
        "m.Public.Nested.method",
    ]

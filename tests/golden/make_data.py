"""Writes data/ of the golden tests: what the code did before its modules moved.

    PYTHONPATH=. python tests/golden/make_data.py [NAME OF A FUNCTION BELOW ...]

Run again only where behavior changes on purpose: the tests compare with what is committed.
"""

import ast
import importlib
import json
import sys
import tempfile
from collections.abc import Mapping

import readings
from readings import DATA, ROOT


def write(name: str, values) -> None:
    """data/<name>, one line for each of the outermost values' members."""
    (DATA / name).write_text(json.dumps(values, indent=1) + "\n")


def flags() -> None:
    """Of mmtf.run and mmtf.evaluate: name -> default, as absl prints it."""
    write(
        "flags.json",
        {
            module: {
                name: flag["default"]
                for name, flag in readings.flags_of(module).items()
                if flag["own"]
            }
            for module in ("mmtf.run", "mmtf.evaluate")
        },
    )


def commands() -> None:
    """Every command line of README.md, docs/*.md and the flagfiles."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    files = sorted((ROOT / "flags").rglob("*.flags"))
    lines = [line for file in pages + files for line in readings.commands_in(file.read_text())]
    (DATA / "readme_commands.txt").write_text("\n".join(dict.fromkeys(lines)) + "\n")


def tables() -> None:
    """The numbers that are rendered from the committed records."""
    printed = {module: readings.python("-m", module).stdout for module in readings.TABLES}
    with tempfile.TemporaryDirectory() as folder:
        pages = readings.render_pages(readings.pathlib.Path(folder))
    write(
        "tables.json",
        {
            "tables": {
                module: [
                    f"{key}: {' '.join(numbers)}" for key, numbers in readings.table_rows(text)
                ]
                for module, text in printed.items()
            },
            "pages": {
                command: [" ".join(row) for row in found] for command, found in pages.items()
            },
        },
    )


def configs() -> None:
    """What run_config makes of some combinations, and how many records hold a config."""
    from mmtf import run_config

    write(
        "configs.json",
        {
            "made": [
                {"given": given, "config": run_config(**given).to_dict()} for given in COMBINATIONS
            ],
            "flagfiles": {
                file.relative_to(ROOT).as_posix(): run_config(
                    **readings.settings_of(file)
                ).to_dict()
                for file in readings.flagfiles()
            },
            "recorded": len(readings.recorded_configs()),
        },
    )


COMBINATIONS = [
    {},
    {"game": "undefended", "schedule": "paper", "net_options": {"init": "tutorial"}},
    {"game": "undefended", "schedule": "brief", "net_options": {"init": "tutorial"}},
    {"game": "lwa", "norm": "l2", "eta": 2.0},
    {"game": "adv_pgd", "dataset": "digits", "schedule_options": {"steps": 10}},
    {"game": "adv_fgsm", "schedule": "paper"},
    {"game": "adv_fgsm", "dataset": "cifar10", "game_options": {"rounds": 3}},
    {"game": "minimax_grad", "dataset": "cifar10"},
    {"game": "minimax_grad", "game_options": {"penalty": "finite_difference"}, "seed": 7},
    {"game": "minimax_attnet", "attacks": ("none", "attnet_met"), "max_examples": 500},
    {"game": "alt_attnet", "dataset": "cifar10", "schedule": "paper", "precision": "float32"},
    {"game": "maximin_attnet", "schedule": "brief", "game_options": {"net": "conv"}},
    {"dataset": "fashion_mnist_holdout5000", "jit_compile": False, "pgd_steps": 7},
]


def names() -> None:
    """Module -> public names defined in it or listed in its __all__; registry -> its keys."""
    modules, registries = {}, {}
    for file in sorted((ROOT / "mmtf").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name.startswith("mmtf.reproduction"):
            continue
        module = importlib.import_module(name)
        defined = _defined(ast.parse(file.read_text()).body)
        modules[name] = sorted({*defined, *getattr(module, "__all__", ())})
        for key, value in vars(module).items():
            if key in defined and isinstance(value, Mapping) and hasattr(value, "_places"):
                registries[f"{name}:{key}"] = sorted(value)
    write("names.json", {"modules": modules, "registries": registries})


def _defined(statements) -> set[str]:
    """Public classes, functions and constants of a module, those within if and try too."""
    found = set()
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                one.id
                for target in targets
                for one in ast.walk(target)
                if isinstance(one, ast.Name)
            }
        elif isinstance(node, ast.If | ast.Try | ast.With):
            found |= _defined(node.body + getattr(node, "orelse", []))
    return {name for name in found if not name.startswith("_")}


if __name__ == "__main__":
    for step in sys.argv[1:] or ("flags", "commands", "tables", "configs", "names"):
        globals()[step]()

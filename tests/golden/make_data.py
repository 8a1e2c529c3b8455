"""Writes data/ of the golden tests: what the code did before its modules moved.

    PYTHONPATH=.:tests python tests/golden/make_data.py [STEP ...]

Run again only where behavior changes on purpose: the tests compare with what is committed.
"""

import ast
import importlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping

import numpy as np
import readings
from readings import DATA, ROOT, STOPPED_AT

STEPS = ("flags", "commands", "tables", "configs", "names", "resume", "run", "checkpoints")
STEPS += ("keras_files",)


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
        pages = readings.render_pages(pathlib.Path(folder))
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


def resume() -> None:
    """Checkpoints of trainings stopped half way, and the weights where none was stopped."""
    import trained

    from mmtf.training.loop import Events, Interrupted

    def stop(step, metrics):
        if step == STOPPED_AT:
            os.kill(os.getpid(), signal.SIGTERM)

    for game in readings.TRAINED:
        shutil.rmtree(DATA / game, ignore_errors=True)
        with tempfile.TemporaryDirectory() as folder:
            whole = trained.train(game, pathlib.Path(folder))
        np.savez_compressed(DATA / f"{game}.npz", **trained.weights_of(whole))
        try:
            trained.train(game, DATA / game, Events(on_metrics=stop, evaluate_every=5))
        except Interrupted as stopped:
            assert stopped.saved and stopped.step == STOPPED_AT


def run() -> None:
    """The workdir of a finished mmtf.run without its weights, and what it prints once more."""
    with tempfile.TemporaryDirectory() as folder:
        done = readings.python("-m", "mmtf.run", f"--workdir={folder}", *readings.RUN)
        assert done.returncode == 0, done.stderr
        (DATA / "run").mkdir(exist_ok=True)
        for name in ("config.json", "record.json", "curve.json"):
            shutil.copy(os.path.join(folder, name), DATA / "run")
        again = readings.python("-m", "mmtf.run", f"--workdir={folder}", *readings.RUN)
        write("run.json", readings.errors_in(again.stdout))


def checkpoints() -> None:
    """The variables, with their shapes, in a checkpoint of the net that mmtf.run takes."""
    import trained

    with tempfile.TemporaryDirectory() as folder:
        write(
            "checkpoints.json",
            {
                game: trained.variables_of(game, pathlib.Path(folder) / game)
                for game in readings.KEPT_GAMES
            },
        )


def keras_files() -> None:
    """Models as Keras files, an input of each and what they make of it."""
    import keras
    import trained

    import mmtf
    from mmtf.nets import ATTACK_NETS, NETS

    random = np.random.default_rng(0)
    for name, model in {
        "classifier": NETS["mnist_cnn"](image_shape=(4, 4, 1), dropout=0.25, weight_decay=1e-4),
        "trained": trained.train_in_bfloat16(),
        "attacker": ATTACK_NETS["mlp"](
            mmtf.ThreatModel(eta=0.3), image_shape=(8, 8, 1), width=16, output="full"
        ),
    }.items():
        shape = model.inputs[0].shape[1:]
        inputs = {"images": random.uniform(-1, 1, (6, *shape)).astype(np.float32)}
        if len(model.inputs) > 1:
            inputs["labels"] = np.arange(6, dtype=np.int32)
        mmtf.save_keras(model, str(DATA / f"{name}.keras"))
        loaded = keras.models.load_model(DATA / f"{name}.keras")
        given = list(inputs.values())
        outputs = loaded(given if len(given) > 1 else given[0], training=False).numpy()
        np.savez_compressed(DATA / f"{name}_keras.npz", **inputs, outputs=outputs)


if __name__ == "__main__":
    for step in sys.argv[1:] or STEPS:
        globals()[step]()

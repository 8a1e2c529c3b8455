"""mmtf: minimax-optimal defense of classifiers against adversarial examples.

Public names are imported on first use: `import mmtf` alone does not import TensorFlow.
"""

import importlib

from mmtf import _moved
from mmtf.runtime.keras_backend import require_tensorflow

__version__ = "0.1.0"

_PUBLIC = {
    "AdversarialModel": "mmtf.fit",
    "Classifier": "mmtf.classifiers.classifier",
    "Dataset": "mmtf.data.dataset",
    "RobustAccuracy": "mmtf.fit",
    "Schedule": "mmtf.config",
    "ThreatModel": "mmtf.threat",
    "evaluate": "mmtf.evaluation.payoff",
    "load_data": "mmtf.data.named",
    "load_folder": "mmtf.data.folder",
    "load_npz": "mmtf.data.npz",
    "run_config": "mmtf.presets",
    "run_experiment": "mmtf.runs.experiment",
    "save_keras": "mmtf.classifiers.export",
    "save_serving": "mmtf.classifiers.export",
    "schedule_of": "mmtf.presets",
    "train": "mmtf.training.train",
}
_ROOMS = (
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
    "reports",
    "runs",
    "smoothing",
    "solvers",
    "stats",
    "storage",
    "training",
)

__all__ = [*_PUBLIC, *_ROOMS, "__version__"]


# What can be used without TensorFlow.
_LIGHT = ("Schedule", "reports", "runs", "stats", "storage")


def __getattr__(name: str):
    if name in __all__ and name not in _LIGHT:
        importlib.import_module("mmtf.runtime.startup").import_quietly()
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"mmtf.{name}")
    raise AttributeError(f"module 'mmtf' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)


require_tensorflow()
_moved.install()

"""The dataset on which `python -m mmtf.evaluate` measures. Imports no TensorFlow."""

import os
from collections.abc import Iterable
from typing import Any

from mmtf.config import RunConfig
from mmtf.errors import ConfigError, require
from mmtf.runs.reading import dataset_of, is_run
from mmtf.runtime.console import say

MNIST_SHAPE = (28, 28, 1)


def chosen_dataset(given: str | None, paths: Iterable[str], classifiers: Iterable[Any]) -> str:
    """Returns the name of the dataset, and prints a line on stderr where that may surprise.

    Args:
      given: --dataset, or None.
      paths: of the models, in the order of `classifiers`.
      classifiers: the models, each a Classifier.

    Raises:
      ConfigError: without --dataset, a workdir does not say its dataset, workdirs were trained on
        different ones, or there is no workdir and a model does not take images of MNIST.
    """
    trained = {}
    unknown = []
    for path, classifier in zip(paths, classifiers, strict=True):
        workdir = workdir_of(path)
        if workdir is None:
            unknown.append((path, classifier))
            continue
        try:
            trained[path] = dataset_of(workdir)
        except ConfigError:
            if given is None:
                raise
    if given is not None:
        for path, name in trained.items():
            if name != given:
                say(f"{path} was trained on {name}; it is measured on {given}.")
        return given
    names = sorted(set(trained.values()))
    require(len(names) < 2, "--dataset, for workdirs of several", ", ".join(names))
    if names:
        return names[0]
    name = RunConfig.dataset
    for path, classifier in unknown:
        shape = getattr(classifier.model, "input_shape", None)
        classes = classifier.num_classes
        require(
            _fits(shape) and classes in (None, 10),
            f"--dataset=NAME for {path}, which does not say its data and is not a model of {name} "
            f"(images {MNIST_SHAPE}, 10 classes)",
            f"inputs {shape}, {classes or 'unknown'} classes",
        )
    say(f"The models do not say their dataset; they are measured on {name} (--dataset).")
    return name


def _fits(shape: Any) -> bool:
    """Whether a model whose inputs have this shape, batch axis first, may take images of MNIST."""
    if not isinstance(shape, tuple):
        return True  # not known
    sizes = zip(shape[1:], MNIST_SHAPE, strict=False)
    return len(shape) == 4 and all(own in (None, size) for own, size in sizes)


def workdir_of(path: str) -> str | None:
    """The folder of the run that left the model at `path`; None for any other model."""
    path = os.path.abspath(os.path.expanduser(path))
    for folder in (path, os.path.dirname(path)):
        if is_run(folder) or os.path.isfile(os.path.join(folder, "classifier.keras")):
            return folder
    return None

"""The classifiers that --model names, with the pixel range and the output of each."""

from collections.abc import Iterable
from typing import Any

from absl import flags

from mmtf.cli.evaluate_flags import model_outputs, path_and_name, pixel_ranges
from mmtf.errors import require


def given_models(values: flags.FlagValues) -> dict[str, Any]:
    """Loads the models of --model; returns name -> `Classifier`.

    Raises:
      ConfigError: a model cannot be used, or two have one name.
    """
    if not values.model:
        return {}
    each = zip(values.model, pixel_ranges(values), model_outputs(values), strict=True)
    return by_name("models", [load_model(values, *one) for one in each])


def load_model(
    values: flags.FlagValues, given: str, bounds: tuple[float, float], output: str | None
) -> Any:
    """Loads the model of PATH or NAME=PATH; returns a `Classifier`.

    Args:
      values: `flags.FLAGS`, of which --trust_saved_models is read.
      given: value of a flag.
      bounds: pixel range of the model's input.
      output: the output that gives the logits; None: the only one.
    """
    from mmtf.classifiers.loading import load_classifier

    path, name = path_and_name(given)
    trusted = values.trust_saved_models
    return load_classifier(path, name, bounds, output, trust_saved_models=trusted)


def by_name(flag: str, classifiers: Iterable[Any]) -> dict[str, Any]:
    """Returns name -> classifier; raises ConfigError if two have one name."""
    found = list(classifiers)
    names = [one.name for one in found]
    require(len(set(names)) == len(names), f"{flag} of different names (NAME=PATH)", names)
    return dict(zip(names, found, strict=True))

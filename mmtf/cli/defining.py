"""Definitions of absl's flags, and the flags that several commands share. Imports no TensorFlow."""

from typing import Any

from absl import flags

from mmtf.errors import ConfigError

# --helpshort shows flags as those of the module that defines them through a Definer.
flags.disclaim_key_flags()


class Definer:
    """Defines flags in one `FlagValues`.

    Args:
      values: where the flags are defined, usually `flags.FLAGS`.

    Example:
      >>> values = flags.FlagValues()
      >>> Definer(values).whole("port", 8888, "Port of the workers.")
      >>> _ = values(["program", "--port=0"])
      Traceback (most recent call last):
      absl.flags._exceptions.IllegalFlagValueError: flag --port=0: 0 is not a positive integer
    """

    def __init__(self, values: flags.FlagValues = flags.FLAGS):
        self.values = values

    def text(self, name: str, default: str | None, about: str) -> None:
        """Defines a flag of a text."""
        flags.DEFINE_string(name, default, about, flag_values=self.values)

    def words(self, name: str, default: list[str] | None, about: str) -> None:
        """Defines a flag of words separated by commas."""
        flags.DEFINE_list(name, default, about, flag_values=self.values)

    def many(self, name: str, about: str) -> None:
        """Defines a flag of a text that can be repeated; without it the value is an empty list."""
        flags.DEFINE_multi_string(name, [], about, flag_values=self.values)

    def whole(
        self,
        name: str,
        default: int | None,
        about: str,
        least: int | None = 1,
        most: int | None = None,
    ) -> None:
        """Defines a flag of a whole number from `least` to `most`; None: without that bound."""
        flags.DEFINE_integer(name, default, about, least, most, flag_values=self.values)

    def number(self, name: str, default: float | None, about: str) -> None:
        """Defines a flag of a number."""
        flags.DEFINE_float(name, default, about, flag_values=self.values)

    def switch(self, name: str, default: bool | None, about: str) -> None:
        """Defines a flag that is on or off."""
        flags.DEFINE_boolean(name, default, about, flag_values=self.values)

    def data_dir(self) -> None:
        """Defines --data_dir."""
        self.text("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")

    def trust_saved_models(self) -> None:
        """Defines --trust_saved_models."""
        self.switch(
            "trust_saved_models",
            False,
            "Load SavedModels, which run what their author put into their graph "
            "(docs/security.md). Needed for every SavedModel; .keras files load in safe mode "
            "without.",
        )

    def models(self) -> None:
        """Defines --model and what is said about each model."""
        self.many(
            "model",
            "A .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run; "
            "NAME=PATH names it in the tables. Repeat for several.",
        )
        self.trust_saved_models()
        self.many(
            "bounds",
            "LOW,HIGH: pixel range of the models' input, as 0,1 or 0,255; default -1,1. Give it "
            "once for all models, or once for each --model in the same order. Radii are on the "
            "scale of [-1, 1] whatever the bounds, but those of --epsilon.",
        )
        self.many(
            "model_output",
            "Of models with several outputs, the one that gives the logits: its key, its layer's "
            "name or its index from 0. Give it once for all models, or once for each --model.",
        )


def numbers(flag: str, given: list[str], kind: type = float) -> list[Any]:
    """Returns the numbers of a flag of words.

    Args:
      flag: its name.
      given: its value.
      kind: float or int.

    Raises:
      ConfigError: one is not a number of this kind.
    """
    try:
        return [kind(text) for text in given]
    except ValueError as error:
        raise ConfigError(
            f"Expected --{flag} of numbers separated by commas. Received: {','.join(given)}."
        ) from error

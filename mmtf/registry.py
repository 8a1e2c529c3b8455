"""Rooms whose members are found by name, imported only when asked for."""

import importlib
import inspect
from collections.abc import Iterator, Mapping

from mmtf.errors import ConfigError, require_choice


class Registry(Mapping):
    """A read-only mapping name -> member, given as name -> 'module:attribute'.

    Listing the names imports nothing, so that a command line can offer them at once.

    Raises:
      ConfigError: on an unknown name, naming the choices.
    """

    def __init__(self, kind: str, places: dict[str, str]):
        self._kind = kind
        self._places = places

    def __getitem__(self, name: str):
        require_choice(self._kind, name, self._places)
        module, _, attribute = self._places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name) -> bool:
        return name in self._places  # Mapping's own waits for a KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def resolve_kwargs(name: str, function, given: dict, without: tuple[str, ...] = ()) -> dict:
    """All keyword arguments of `function`: those `given`, and its defaults for the others.

    Args:
      name: of the function, for the message.
      function: a function, or a class whose constructor is meant.
      given: options by name; None stands for the default.
      without: arguments that are not options.

    Raises:
      ConfigError: an option that `function` does not have.
    """
    parameters = inspect.signature(function).parameters.values()
    options = {
        one.name: one.default
        for one in parameters
        if one.kind is one.KEYWORD_ONLY and one.name not in without
    }
    given = {option: value for option, value in given.items() if value is not None}
    for option in given:
        if option not in options:
            theirs = ", ".join(options) or "none"
            raise ConfigError(f"Expected an option of {name} ({theirs}). Received: {option!r}.")
    return {**options, **given}

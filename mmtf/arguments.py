"""The arguments of functions and constructors: which there are, their defaults and values."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from mmtf.errors import ConfigError, require


def kept_arguments(made: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """The arguments of an object's constructor, from its attributes `name` or `_name`.

    Args:
      made: an attack, a game or a classifier.
      without: arguments to leave out.

    Returns:
      Name -> value, without *args and **kwargs.

    Raises:
      ConfigError: an argument is not kept, so that results could not be told from those of others.

    Example:
      >>> class Attack:
      ...     def __init__(self, steps): self.steps = steps
      >>> kept_arguments(Attack(5))
      {'steps': 5}
    """
    parameters = list(inspect.signature(type(made).__init__).parameters.values())[1:]
    names = [
        one.name
        for one in parameters
        if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and one.name not in without
    ]
    found = {}
    for name in names:
        place = name if hasattr(made, name) else f"_{name}"
        if not hasattr(made, place):
            raise ConfigError(
                f"Expected an attribute {name} of a {type(made).__name__}, as its constructor has "
                f"that argument. Received: none. Keep it: self.{name} = {name}."
            )
        found[name] = getattr(made, place)
    return found


def keyword_options(function: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Keyword-only arguments of a function, with their defaults.

    Args:
      function: a function, or a class, for the arguments of its constructor.
      without: arguments to leave out.

    Returns:
      Name -> default; `inspect.Parameter.empty` for an argument without one.

    Example:
      >>> def net(*, image_shape, dropout=0.5): pass
      >>> keyword_options(net, without=("image_shape",))
      {'dropout': 0.5}
    """
    parameters = inspect.signature(function).parameters.values()
    return {
        one.name: one.default
        for one in parameters
        if one.kind is one.KEYWORD_ONLY and one.name not in without
    }


def resolve_kwargs(
    name: str,
    function: Callable[..., Any],
    given: Mapping[str, Any],
    without: tuple[str, ...] = (),
) -> dict[str, Any]:
    """All keyword-only arguments of `function`: the `given` values, defaults for the others.

    Args:
      name: name of the function in the error message.
      function: a function, or a class, for the arguments of its constructor.
      given: values by name; None stands for the default.
      without: arguments to leave out; they must not be given.

    Raises:
      ConfigError: an argument that `function` does not have.

    Example:
      >>> def net(*, width=32, depth=3): pass
      >>> resolve_kwargs("net", net, {"width": 64, "depth": None})
      {'width': 64, 'depth': 3}
    """
    options = keyword_options(function, without)
    given = {option: value for option, value in given.items() if value is not None}
    for option in given:
        theirs = ", ".join(options) or "none"
        require(option in options, f"an option of {name} ({theirs})", option)
    return {**options, **given}


def accepts(function: Callable[..., Any], names: Iterable[str]) -> bool:
    """Whether `function` takes all of `names` as keyword arguments.

    Example:
      >>> accepts(sorted, ("key",)), accepts(sorted, ("steps",))
      (True, False)
    """
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return takes_all or all(
        name in parameters and parameters[name].kind is not parameters[name].POSITIONAL_ONLY
        for name in names
    )

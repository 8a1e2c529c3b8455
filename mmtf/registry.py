"""Finds attacks, games, nets and datasets by a registered name or by `module:attribute`.

A module is imported when one of its entries is first looked up.
"""

import hashlib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mmtf.arguments import accepts
from mmtf.errors import ConfigError, require, require_choice

# `folder:PATH` and `npz:PATH` are files of data, not modules.
FILES = ("folder", "npz")
_PLACE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Registry(Mapping[str, Any]):
    """A read-only mapping from names to classes or functions, which are imported on look-up.

    A key of the form `module:attribute` need not be registered: it gives the user's own class or
    function, after a check of its base class or keyword arguments. Listing the registered names
    imports nothing, so the help of a command can list them quickly.

    Args:
      kind: what an entry is, for error messages, such as "attack".
      places: registered name -> `module:attribute`.
      bases: `module:attribute` of classes; a user's own class must be a subclass of one of them.
      takes: keyword arguments that a user's own function must accept.

    Raises:
      ConfigError: on look-up of an unknown name (the message lists the registered ones), or of a
        `module:attribute` that does not exist or fails the check.

    Example:
      >>> registry = Registry("loss", {"margin": "mmtf.losses:margin"})
      >>> list(registry), registry["margin"].__name__, registry["mmtf.losses:dlr"].__name__
      (['margin'], 'margin', 'dlr')
    """

    def __init__(
        self,
        kind: str,
        places: dict[str, str],
        *,
        bases: tuple[str, ...] = (),
        takes: tuple[str, ...] = (),
    ):
        self._kind = kind
        self._places = places
        self._bases = bases
        self._takes = takes

    def __getitem__(self, name: str) -> Any:
        self.require_known(name)
        if name in self._places:
            module, _, attribute = self._places[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        member = imported(self._kind, name)
        if self._bases:
            bases = tuple(imported(self._kind, base) for base in self._bases)
            right = isinstance(member, type) and issubclass(member, bases)
            names = " or ".join(base.__name__ for base in bases)
            require(right, f"{self._kind} as a subclass of {names}", name)
        if self._takes:
            right = callable(member) and accepts(member, self._takes)
            takes = ", ".join(self._takes)
            require(right, f"{self._kind} as a function with keywords {takes}", name)
        return member

    def __contains__(self, name: object) -> bool:
        return name in self._places  # Mapping's method expects a KeyError

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def require_known(self, name: str, others: Iterable[str] = ()) -> None:
        """Raises ConfigError unless `name` is registered or has the form `module:attribute`.

        Args:
          name: the name to check.
          others: further names to accept.
        """
        if not is_place(name):
            require_choice(self._kind, name, (*self._places, *others))

    def label(self, name: str) -> str:
        """The name of an entry in tables and file names.

        It is `name` itself if registered. For `module:attribute` it is the attribute in snake case
        or, if that is a registered name, the module and the attribute joined by `_`.

        Example:
          >>> registry = Registry("attack", {"pgd": "mmtf.attacks.iterated:PGD"})
          >>> [registry.label(name) for name in ("pgd", "mine:MyAttack", "mine:PGD")]
          ['pgd', 'my_attack', 'mine_pgd']
        """
        label = label_of(name)
        if name in self._places or label not in self._places:
            return label
        return f"{name.partition(':')[0].replace('.', '_')}_{label}"


def lazy_attributes(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The __getattr__ and __dir__ of a package whose attributes are imported on first use.

    So `import mmtf` does not import TensorFlow, which takes seconds.

    Args:
      package: its __name__.
      modules: attribute -> the module that defines it.

    Example:
      >>> getattr_of, dir_of = lazy_attributes("mine", {"wilson": "mmtf.stats.intervals"})
      >>> getattr_of("wilson").__name__, dir_of()
      ('wilson', ['wilson'])
    """

    def find(name: str) -> Any:
        if name in modules:
            return getattr(importlib.import_module(modules[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find, lambda: sorted(modules)


def is_place(name: str) -> bool:
    """Whether `name` has the form `module:attribute`; versions and files of datasets have not.

    Example:
      >>> is_place("my_package.attacks:MyAttack"), is_place("cifar10:3.0.2"), is_place("pgd")
      (True, False, False)
    """
    return _PLACE.fullmatch(name) is not None and not is_file(name)


def is_file(name: str) -> bool:
    """Whether `name` has the form `folder:PATH` or `npz:PATH` of a dataset.

    Example:
      >>> is_file("folder:photos"), is_file("my_package:photos")
      (True, False)
    """
    return name.partition(":")[0] in FILES and ":" in name


def imported(kind: str, place: str) -> Any:
    """Imports the module of `module:attribute` and returns the attribute.

    Args:
      kind: what the attribute should be, for the error message, such as "attack".
      place: `module:attribute`. Modules are looked up in the Python path, to which `python -m`
        adds the current directory.

    Raises:
      ConfigError: there is no such module, or it has no such attribute. An exception raised while
        the module is imported is passed on unchanged.

    Example:
      >>> imported("loss", "mmtf.losses:margin").__name__
      'margin'
    """
    module, _, attribute = place.partition(":")
    expected = f"{kind} at module:attribute, the module in the current directory or installed"
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"Expected {expected}. Received: {place!r} (no module {error.name!r})."
        ) from error
    if not hasattr(found, attribute):
        raise ConfigError(
            f"Expected {expected}. Received: {place!r} (no {attribute!r} in {module!r})."
        )
    return getattr(found, attribute)


def source_of(member: Any) -> str:
    """SHA-256 (hexadecimal) of the source file that defines a user's own class or function.

    It is part of the keys of cached results, so that an edited file is not given old results. It is
    "" for mmtf's own classes and functions, and for those typed into an interpreter.
    """
    module = inspect.getmodule(member)
    if module is None or module.__name__.partition(".")[0] == "mmtf":
        return ""
    try:
        return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()
    except OSError:  # there is no source file
        return ""


def label_of(name: str) -> str:
    """The attribute of a `module:attribute` in snake case; any other name unchanged.

    Of a dataset's file or folder it is the kind and the last part of the path.

    Example:
      >>> label_of("folder:../my photos,image_size=64x64"), label_of("npz:data/xray.npz")
      ('folder_my_photos', 'npz_xray')
      >>> label_of("my_package:MyGAN2Attack"), label_of("pgd"), label_of("cifar10:3.0.2")
      ('my_gan2_attack', 'pgd', 'cifar10:3.0.2')
    """
    if is_file(name):
        kind, _, path = name.partition(":")
        last = path.split(",")[0].rstrip("/").split("/")[-1].removesuffix(f".{kind}")
        return f"{kind}_{re.sub(r'[^a-zA-Z0-9.-]+', '_', last).strip('_.')}"
    if not is_place(name):
        return name
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3_\2\4", name.partition(":")[2])
    return words.lower()


def base_name(dataset: str) -> str:
    """The name without TFDS' version and config, and without what `Dataset.holdout` adds.

    Example:
      >>> base_name("cifar10:3.0.2"), base_name("mnist_holdout5000"), base_name("my.data:Small")
      ('cifar10', 'mnist', 'small')
    """
    return label_of(dataset).split(":")[0].split("/")[0].split("_holdout")[0]

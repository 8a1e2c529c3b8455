"""Flags of the settings of a run, and what several commands check. Imports no TensorFlow."""

from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from mmtf.arguments import keyword_options
from mmtf.cli.settings import SETTINGS, Setting
from mmtf.config import is_standardized
from mmtf.errors import ConfigError, require
from mmtf.games import GAMES
from mmtf.nets import NETS, RUN_ARGUMENTS
from mmtf.radius import Radius, as_radius, eta_of, parse_radius, radius_text

# --helpshort shows flags as those of the command that calls define_settings, not of this module.
flags.disclaim_key_flags()

# Flags of radii, which may be written as fractions.
RADII = ("eta", "eta_l2", "eta_l1")
EPSILON_HELP = "Attack radius for pixels in [0, 1], such as 8/255, in place of --eta: eta = 2 eps."

DEFINES = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
    tuple: flags.DEFINE_list,
    str: flags.DEFINE_string,
}


class RadiusParser(flags.ArgumentParser):
    """Flag parser of a radius: a number or a fraction, or one for each channel."""

    syntactic_help = "a number, or a fraction such as 8/255; 0.1:0.2:0.3 per channel"

    def parse(self, argument: Any) -> Radius:
        """Returns the radius that `argument` states."""
        return parse_radius(argument) if isinstance(argument, str) else argument

    def flag_type(self) -> str:
        """Returns the type's name, for help texts."""
        return "float"


class _RadiusSerializer(flags.ArgumentSerializer):
    def serialize(self, value: Radius) -> str:
        return radius_text(value, "{!r}")


def define_settings(settings: Iterable[Setting] = SETTINGS) -> None:
    """Defines a flag for each setting, and `--epsilon` beside `--eta`."""
    for one in settings:
        if one.flag in RADII:
            text = _RadiusSerializer()
            flags.DEFINE(RadiusParser(), one.flag, one.default, one.about, serializer=text)
            if one.flag == "eta":
                flags.DEFINE(RadiusParser(), "epsilon", None, EPSILON_HELP, serializer=text)
            continue
        define: Any = DEFINES[one.kind]
        define(one.flag, one.default, one.about)


def given_settings(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the values of all settings' flags; `--epsilon` is converted to eta.

    Args:
      values: `flags.FLAGS`.

    Returns:
      Place of a setting -> its flag's value, None where a preset decides.

    Raises:
      ConfigError: both `--eta` and `--epsilon` are given.
    """
    given = {one.place: values[one.flag].value for one in SETTINGS}
    if values["epsilon"].value is not None:
        given["eta"] = chosen_radius(values)
    return given


def require_options(given: dict[str, Any]) -> None:
    """Raises ConfigError for a flag of an option that the chosen game or net does not have.

    Args:
      given: as `given_settings` returns it, with names of a game and a net that are known.
    """
    members = {"game_options": ("game", GAMES), "net_options": ("net", NETS)}
    for one in SETTINGS:
        group, _, name = one.place.partition(".")
        kind, registry = members.get(group, ("", {}))
        chosen = given.get(kind)
        if given[one.place] is None or chosen is None:
            continue
        options = keyword_options(registry[chosen], RUN_ARGUMENTS)
        if name.partition(".")[0] not in options:
            flag_names = [other.flag for other in SETTINGS if other.place.startswith(group)]
            theirs = [flag for flag in flag_names if _option_of(flag) in options]
            raise ConfigError(
                f"Expected --{one.flag} with a {kind} that has it. Received: --{one.flag}="
                f"{given[one.place]} with --{kind}={chosen}, whose flags are "
                f"{', '.join(f'--{flag}' for flag in theirs) or 'none'}."
            )


def _option_of(flag: str) -> str:
    place = next(one.place for one in SETTINGS if one.flag == flag)
    return place.split(".")[1]


def chosen_radius(values: flags.FlagValues) -> Radius:
    """Returns the radius of `--eta` or `--epsilon`, one of them, on the scale of [-1, 1]."""
    require_one_radius(values)
    if values["epsilon"].value is not None:
        return eta_of(as_radius("epsilon", values["epsilon"].value))
    return as_radius("eta", values["eta"].value)


def require_one_radius(values: flags.FlagValues) -> None:
    """Raises ConfigError if both `--eta` and `--epsilon` are given."""
    both = values["eta"].present and values["epsilon"].present
    require(not both, "--eta or --epsilon, one of them", "both")


def require_pixel_scale(
    values: flags.FlagValues, dataset: str, preprocess: str | None = None
) -> None:
    """Raises ConfigError for --epsilon with images that are standardized one by one.

    Args:
      values: `flags.FLAGS`.
      dataset, preprocess: as in `mmtf.load_data`.
    """
    good = values.epsilon is None or not is_standardized(dataset, preprocess)
    told = "--epsilon with a dataset whose pixels are only scaled"
    told += " (--preprocess=box)" if "preprocess" in values else ""
    told += "; for images that are standardized one by one, give the radius on their scale by --eta"
    require(good, told, dataset)


def origins(values: flags.FlagValues, arguments: Sequence[str]) -> dict[str, str]:
    """Returns where each given setting comes from: `flag --eta`, or `flagfile PATH`.

    Args:
      values: `flags.FLAGS`.
      arguments: command line of the process, `sys.argv`.

    Returns:
      Place of a setting -> its origin, for the settings that were given.
    """
    places = {one.flag: one.place for one in SETTINGS} | {"epsilon": "eta"}
    found: dict[str, str] = {}
    rest = list(arguments[1:])
    while rest:
        name, _, path = rest.pop(0).lstrip("-").partition("=")
        if name == "flagfile":
            path = path or rest.pop(0)
            lines = values.read_flags_from_files(["", f"--flagfile={path}"])[1:]
            names = [line.lstrip("-").partition("=")[0] for line in lines]
            origin = f"flagfile {path}"
        else:
            names, origin = [name], f"flag --{name}"
        for one in names:
            one = one if one in places else one.removeprefix("no")  # --nojit_compile
            if one in places:
                found[places[one]] = origin
    return found


def require_used(values: flags.FlagValues, uses: dict[str, tuple[bool, str]]) -> None:
    """Raises ConfigError for a given flag that would have no effect.

    Args:
      values: `flags.FLAGS`.
      uses: name of a flag -> (whether it has an effect, what it requires to have one).

    Example:
      >>> from absl import flags
      >>> values = flags.FlagValues()
      >>> _ = flags.DEFINE_integer("port", 1, "Of the workers.", flag_values=values)
      >>> _ = values(["program", "--port=2"])
      >>> require_used(values, {"port": (False, "--cluster=slurm")})
      Traceback (most recent call last):
      mmtf.errors.ConfigError: Expected --port with --cluster=slurm. Received: --port=2 without.
    """
    for name, (used, needs) in uses.items():
        if values[name].present and not used:
            given = values[name].serialize() or f"--{name}="
            raise ConfigError(f"Expected --{name} with {needs}. Received: {given} without.")

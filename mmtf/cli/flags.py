"""Flags defined from the fields of RunConfig and Schedule. Imports no TensorFlow."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from absl import flags

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.config import INITIALIZERS, RunConfig, Schedule
from mmtf.errors import ConfigError, require
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS, RUN_ARGUMENTS
from mmtf.radius import Radius, as_radius, eta_of, parse_radius, radius_text
from mmtf.registry import keyword_options

# --helpshort shows flags as those of the command that calls define_settings, not of this module.
flags.disclaim_key_flags()

# Field -> its flag, where the names differ.
RENAMED = {"schedule_name": "schedule"}
# Appended to the help of a field: registered names, which mmtf.config cannot import.
NAMES = {
    "game": f" One of: {', '.join(GAMES)}; or module:attribute.",
    "net": f" One of: {', '.join(NETS)}; or module:attribute.",
    "dataset": " Or module:attribute.",
    "attacks": f", of: {', '.join((*ATTACKS, *NETWORK_ATTACKS))}; or module:attribute.",
    "eta": " Twice the radius of --epsilon.",
}
# Flags of radii, which may be written as fractions.
STRIDED = "strided_cnn, clipped_cnn, cnn7"
RADII = ("eta", "eta_l2", "eta_l1")
EPSILON_HELP = "Attack radius for pixels in [0, 1], such as 8/255, in place of --eta: eta = 2 eps."


@dataclasses.dataclass(frozen=True)
class Setting:
    """A flag that sets one value of a RunConfig.

    Attributes:
      flag: name of the flag.
      place: dotted path of the value, as in `mmtf.presets.merged_config`: `schedule.steps`.
      kind: type of the value; tuple for a comma-separated list of words.
      about: help text.
      default: value if the flag is not given; None: a preset, the game or the net decides.
    """

    flag: str
    place: str
    kind: type
    about: str
    default: Any = None


def _settings_of(config: type, prefix: str = "") -> Iterable[Setting]:
    """Yields a Setting for every field of a configuration that has a help text."""
    for field in dataclasses.fields(config):
        if "about" in field.metadata:
            kind: Any = field.type
            if isinstance(kind, types.UnionType):  # bool | None
                kind = kind.__args__[0]
            yield Setting(
                RENAMED.get(field.name, field.name),
                prefix + field.name,
                typing.get_origin(kind) or kind,
                field.metadata["about"] + NAMES.get(prefix + field.name, ""),
                None if field.metadata["by_preset"] else field.default,
            )


def _game_setting(name: str, kind: type, about: str) -> Setting:
    return Setting(name, f"game_options.{name}", kind, about)


SETTINGS = (
    *_settings_of(RunConfig),
    *_settings_of(Schedule, "schedule."),
    _game_setting(
        "gamma",
        float,
        "Weight of the sensitivity term (minimax_grad, union, *_attnet) or of the penalty (cure, "
        "grad_align, input_gradient, llr).",
    ),
    _game_setting("max_steps", int, "Steps of the inner maximization in training; 1 is FGSM."),
    _game_setting(
        "attackers",
        str,
        "Attackers of the union game, separated by commas, each perhaps with the norm of its ball: "
        f"attacks, as fgsm,pgd_l2,pgd_l1; and attack networks, of: {', '.join(ATTACK_NETS)}.",
    ),
    _game_setting("eta_l2", float, "Radius of the l2 ball of attackers (union)."),
    _game_setting("eta_l1", float, "Radius of the l1 ball of attackers (union)."),
    _game_setting(
        "rule",
        str,
        "Which attackers the defender answers: example_max, batch_max (Eq. 20), average, drawn or "
        "weights (union).",
    ),
    _game_setting(
        "penalty",
        str,
        "How the gradient penalty is computed: nested (Eq. 8), fused or finite_difference "
        "(minimax_grad).",
    ),
    _game_setting(
        "penalty_every",
        int,
        "The penalty is computed on one example in this many (minimax_grad); default 1, with "
        "MNIST's fast schedule 2.",
    ),
    _game_setting(
        "sigma",
        float,
        "Deviation of the Gaussian noise for pixels in [-1, 1], twice that for pixels in [0, 1] "
        "(smooth_gaussian, smooth_adv).",
    ),
    _game_setting("draws", int, "Draws of the noise for each image in a step (smooth_*)."),
    _game_setting("beta", float, "Weight of the divergence (trades, mart)."),
    _game_setting("mu", float, "Weight of the slope (llr)."),
    _game_setting(
        "relative_step", float, "Size of a step of the inner maximization divided by eta."
    ),
    _game_setting("noise", float, "Radius of the noise divided by eta (n_fgsm)."),
    _game_setting("length", float, "L2 norm of the displacement (cure)."),
    _game_setting("replays", int, "Number of replays of each batch (free)."),
    _game_setting("temperature", float, "Temperature of the softmax (distillation)."),
    _game_setting("static_nets", int, "Number of static nets to train (ensemble_adv)."),
    _game_setting("static_paths", tuple, "Paths of trained static nets (ensemble_adv)."),
    _game_setting(
        "halves",
        str,
        "How BatchNormalization sees clean and perturbed images: apart or together (trades, mart, "
        "ensemble_adv).",
    ),
    _game_setting("rounds", int, "Rounds of the cat-and-mouse game (adv_fgsm)."),
    _game_setting("solver", str, "Update rule of a network game: a solver of mmtf.solvers."),
    _game_setting(
        "order", str, "Order of Algorithm 1's two updates: simultaneous (as printed) or sequential."
    ),
    _game_setting(
        "attacker_rate", float, "Ratio of the attacker's learning rate to the defender's."
    ),
    Setting(
        "attack_net",
        "game_options.net",
        str,
        f"Attack network of a network game: {', '.join(ATTACK_NETS)}; or module:attribute.",
    ),
    Setting(
        "attack_output",
        "game_options.net_options.output",
        str,
        "How the attack network's output is bounded: tanh, normalized or full.",
    ),
    _game_setting("alpha", float, "Weight of the certified loss (mtl_ibp, pgd_mtl_ibp)."),
    _game_setting("share", float, "Radius of the certified box divided by eta (sabr)."),
    _game_setting("clean_weight", float, "Last weight of the clean loss (ibp, crown_ibp)."),
    _game_setting(
        "crown_weight", float, "Last weight of CROWN-IBP's bounds beside IBP's (crown_ibp)."
    ),
    _game_setting(
        "weight_l1", float, "Weight of the sum of |w| over all kernels (games with certified loss)."
    ),
    Setting(
        "init",
        "net_options.init",
        str,
        "Initializer of the classifier's weights. One of: "
        f"{', '.join(INITIALIZERS)}; of {STRIDED}: keras, ibp.",
    ),
    Setting("width", "net_options.width", int, f"Channels of the first layer ({STRIDED})."),
    Setting("hidden", "net_options.hidden", int, f"Units of the dense layer ({STRIDED})."),
    Setting(
        "clip",
        "net_options.clip",
        float,
        "Pixels are initially clipped to [-clip, clip], which training changes (clipped_cnn).",
    ),
    Setting("batch_norm", "net_options.batch_norm", bool, "Whether cnn7 has BatchNormalization."),
    Setting("dropout", "net_options.dropout", float, "Dropout rate of the classifier in training."),
    Setting(
        "weight_decay",
        "net_options.weight_decay",
        float,
        "Weight of the L2 regularizer of the classifier's dense layers; default: none.",
    ),
)


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
        require_one_radius(values)
        given["eta"] = eta_of(as_radius("epsilon", values["epsilon"].value))
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


def require_one_radius(values: flags.FlagValues) -> None:
    """Raises ConfigError if both `--eta` and `--epsilon` are given."""
    both = values["eta"].present and values["epsilon"].present
    require(not both, "--eta or --epsilon, one of them", "both")


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

"""The settings of a run that have a flag: fields of its configs, options of its game and nets."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from typing import Any

from mmtf.attacks import ATTACKS, NETWORK_ATTACKS
from mmtf.config import INITIALIZERS, RunConfig, Schedule
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS, STRIDED

# Nets with the options width and hidden.
_SHARED = ", ".join(STRIDED)
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
        f"{', '.join(INITIALIZERS)}; of {_SHARED}: keras, ibp.",
    ),
    Setting("width", "net_options.width", int, f"Channels of the first layer ({_SHARED})."),
    Setting("hidden", "net_options.hidden", int, f"Units of the dense layer ({_SHARED})."),
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

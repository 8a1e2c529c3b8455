"""The flags of `python -m mmtf.mixture`, and what they say together. Imports no TensorFlow."""

from absl import flags

from mmtf.cli.defining import Definer
from mmtf.cli.flags import EPSILON_HELP, chosen_radius, require_used
from mmtf.config import NORMS
from mmtf.errors import require, require_choice, require_names, require_number
from mmtf.games import GAMES
from mmtf.radius import Radius

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.mixture` in `values`."""
    define = Definer(values)

    define.models()
    define.words(
        "train",
        [],
        f"Games whose nets are trained here, without the held-out images: {', '.join(GAMES)}.",
    )
    define.text("net", None, "Net of --train; default: that of the dataset.")
    define.whole("steps", None, "Training steps of --train; default: each game's.")
    define.number("learning_rate", None, "Largest learning rate of --train; default: each game's.")
    define.number("eta_ramp", None, "Share of --train's steps over which the radius rises from 0.")
    define.words(
        "attacks",
        ["fgsm@*", "pgd@*"],
        "Columns, functions of (x, y): ATTACK@MODEL is an attack frozen on a model, an attack "
        "network (attnet, attnet_paper) or a universal perturbation (universal) fitted to it; "
        "ATTACK@* one for each model; none: no attack.",
    )
    define.many("attack_network", "NAME=PATH of an attack network, a .keras file: a column.")
    define.number("alpha", 1.0, "Probability, in [0, 1], that a user is an attacker.")
    define.switch("adaptive", False, "Also run the adaptive attacker on each mixture.")
    define.whole(
        "adaptive_steps", 40, "Steps of the adaptive attacker's PGD on each of two losses."
    )
    define.whole("adaptive_restarts", 1, "Random starts of the adaptive attacker for each loss.")
    define.whole("grow", 0, "Rounds of double oracle with training oracles; 0: none.", 0)
    define.words("grow_from", [], "Models with which it begins; default: the first two.")
    define.number("grow_seconds", None, "No round of double oracle begins after so many seconds.")
    define.number("gap", 0.005, "Double oracle stops once its bracket is as narrow.")
    define.whole("defender_steps", 1000, "Training steps of each new net of double oracle.")
    define.whole("attacker_steps", 1000, "Training steps of each attack network.")
    define.text("attacker_net", "unet", "Attack network of double oracle and of attnet@MODEL.")
    define.whole("pgd_steps", 20, "Steps of PGD in columns pgd@MODEL and in double oracle.")
    define.text("eta", "0.3", "Radius for pixels in [-1, 1]: twice that of --epsilon.")
    define.text("epsilon", None, EPSILON_HELP)
    define.text("norm", "linf", f"Norm of the radius: {', '.join(NORMS)}.")
    define.text("dataset", None, "Dataset, as in mmtf.evaluate.")
    define.data_dir()
    define.text("preprocess", None, "Input of the models: box or per_image, as in mmtf.evaluate.")
    define.whole("selection", 2000, "Training images held out to choose the mixtures.")
    define.whole("max_examples", 1000, "Number of test examples, from the first; 0 for all.", 0)
    define.whole("seed", 0, "Seed of the held-out images, random starts and training.", 0)
    define.text(
        "output",
        None,
        "Folder for record, table, errors and the mixture as a SavedModel, and for the trained "
        "networks with which a stopped command goes on.",
    )


def checked_flags(values: flags.FlagValues) -> Radius:
    """Returns the radius on the scale of [-1, 1], after checking what needs no model.

    Raises:
      ConfigError: a flag that cannot be, or would have no effect.
    """
    require(bool(values.model) or bool(values.train), "at least one --model or --train", "none")
    if values.train:
        require_names("--train", values.train)
    for name in values.train:
        GAMES.require_known(name)
    require_number("alpha", values.alpha, at_least=0, at_most=1)
    zero_sum = not values.grow or values.alpha == 1
    require(zero_sum, "--grow with --alpha=1, as growing plays the zero-sum game", values.alpha)
    require_number("gap", values.gap, at_least=0)
    if values.grow_seconds is not None:
        require_number("grow_seconds", values.grow_seconds, above=0)
    require_choice("norm", values.norm, NORMS)
    training = bool(values.train), "--train"
    growing = values.grow > 0, "--grow"
    adaptive = values.adaptive, "--adaptive"
    uses = dict.fromkeys(("net", "steps", "learning_rate", "eta_ramp"), training)
    uses |= dict.fromkeys(("grow_from", "grow_seconds", "gap", "defender_steps"), growing)
    uses |= dict.fromkeys(("adaptive_steps", "adaptive_restarts"), adaptive)
    require_used(values, uses)
    return chosen_radius(values)

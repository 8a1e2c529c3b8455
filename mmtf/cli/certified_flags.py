"""The flags of `python -m mmtf.evaluate` on certificates and unions. Imports no TensorFlow."""

from collections.abc import Sequence

from absl import flags

from mmtf.bounds.verifiers import BOUNDS
from mmtf.cli.defining import Definer
from mmtf.cli.flags import require_used
from mmtf.errors import ConfigError, require, require_number
from mmtf.radius import as_radius

# --helpshort shows flags as those of the command, not of this module.
flags.disclaim_key_flags()

CERTIFIED = "certified"
OTHER_NORMS = ("l2", "l1")


def define_certified_flags(values: flags.FlagValues) -> None:
    """Defines the flags in `values`."""
    define = Definer(values)
    define.words(
        "verifiers",
        ["ibp", "crown_ibp", "crown", "alpha_crown"],
        f"Verifiers of certified, from cheap to dear: {', '.join(BOUNDS)}. Each runs on the images "
        "that are neither broken nor certified yet.",
    )
    define.number(
        "seconds_per_image",
        None,
        "Time for certified on each open image, without which dear verifiers go on to the end.",
    )
    define.whole(
        "dear_examples",
        0,
        "Test examples, drawn at random by --seed, on which dear verifiers run, all but ibp and "
        "crown_ibp. These two run on all examples, in a column certified_cheap. 0: all.",
        least=None,
    )
    define.switch(
        "certified_radius",
        False,
        "Also find for each of these examples, by bisection, the largest radius at which it is "
        "certified, up to the largest --eta.",
    )
    define.number("radius_tolerance", 0.01, "Tolerance of --certified_radius.")
    define.switch(
        "skip_certified",
        False,
        "Do not attack images that IBP or CROWN-IBP certify in the attack's ball: the errors are "
        "the same, in less time. Untargeted attacks only.",
    )
    for norm in OTHER_NORMS:
        define.words(
            f"eta_{norm}",
            None,
            f"Radii of {norm} balls beside those of --eta, one for all or one for each. Attacks "
            "run in both balls, worst is the worst case over their union, and certified is proved "
            "in all of it.",
        )


def certifies(values: flags.FlagValues) -> bool:
    """Whether `certified` is among --attacks."""
    return CERTIFIED in (values.attacks or [])


def require_verifiers(values: flags.FlagValues) -> None:
    """Raises ConfigError for a flag that cannot be, or would have no effect."""
    names = values.verifiers
    require(bool(names) and len(set(names)) == len(names), "--verifiers of different names", names)
    for name in names:
        BOUNDS.require_known(name)
    if values.seconds_per_image is not None:
        require_number("seconds_per_image", values.seconds_per_image, above=0)
    require(values.dear_examples >= 0, "dear_examples >= 0 (0: all)", values.dear_examples)
    require_number("radius_tolerance", values.radius_tolerance, above=0)
    needed = certifies(values), f"{CERTIFIED} among --attacks"
    of_certified = ("verifiers", "seconds_per_image", "dear_examples", "certified_radius")
    bisected = values.certified_radius, "--certified_radius"
    require_used(values, dict.fromkeys(of_certified, needed) | {"radius_tolerance": bisected})


def other_radii(values: flags.FlagValues, order: Sequence[int]) -> dict[str, list[float]]:
    """Returns norm -> the radii of --eta_l2 and --eta_l1, those that are given.

    Args:
      values: `flags.FLAGS`.
      order: `radius_order` of the same values; as many radii as it has places are put in it.

    Raises:
      ConfigError: a radius is no number > 0, or the norm is that of --norm.
    """
    found = {}
    for norm in OTHER_NORMS:
        texts = values[f"eta_{norm}"].value
        if texts is None:
            continue
        require(values.norm != norm, f"--eta_{norm} with another --norm", values.norm)
        try:
            given = [as_radius(f"eta_{norm}", text) for text in texts]
        except ConfigError:
            given = []
        numbers = [one for one in given if isinstance(one, float)]
        good = 0 < len(numbers) == len(texts)
        require(good, f"--eta_{norm} of numbers > 0, separated by commas", ",".join(texts))
        paired = len(numbers) == len(order)
        found[norm] = [numbers[place] for place in order] if paired else numbers
    return found

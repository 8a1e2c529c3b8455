"""The flags of `python -m mmtf.evaluate` on smoothed models. Imports no TensorFlow."""

import os
from collections.abc import Sequence

from absl import flags

from mmtf.cli.defining import Definer
from mmtf.cli.flags import require_used
from mmtf.errors import is_number, require, require_number
from mmtf.runs.reading import is_run, read_config

SMOOTHED = "smoothed"
OWN = ("sigma", "certificate_draws", "selection_draws", "alpha")


def define_smoothed_flags(values: flags.FlagValues) -> None:
    """Defines the flags in `values`."""
    define = Definer(values)
    define.number(
        "sigma",
        None,
        "Of smoothed: standard deviation of the noise for pixels in [-1, 1], twice that of papers, "
        "whose pixels lie in [0, 1]. Default: that of the workdir's training.",
    )
    define.whole(
        "certificate_draws",
        10_000,
        "Of smoothed: draws by which an image is certified and predicted.",
    )
    define.whole(
        "selection_draws",
        100,
        "Of smoothed: further draws, which select the class to certify.",
    )
    define.number(
        "alpha",
        0.001,
        "Of smoothed: probability, for each image, that a certificate does not hold.",
    )


def smooths(values: flags.FlagValues) -> bool:
    """Whether `smoothed` is among --attacks."""
    return SMOOTHED in (values.attacks or [])


def require_smoothed(values: flags.FlagValues) -> None:
    """Raises ConfigError for a flag that cannot be, or would have no effect."""
    if values.sigma is not None:
        require_number("sigma", values.sigma, above=0)
    require_number("alpha", values.alpha, above=0, below=1)
    require_used(values, dict.fromkeys(OWN, (smooths(values), f"{SMOOTHED} among --attacks")))
    there = values.norm == "l2" or values.eta_l2 is not None
    wanted = f"--norm=l2 (or --eta_l2) with {SMOOTHED} among --attacks"
    require(there or not smooths(values), wanted, f"--norm={values.norm}")


def noise_of(sigma: float | None, paths: Sequence[str]) -> list[float]:
    """The noise of each model: --sigma, or that with which the run in its folder was trained.

    Args:
      sigma: of --sigma.
      paths: of the models.

    Raises:
      ConfigError: no --sigma, and a path that is no workdir of a game with noise.
    """
    return [sigma if sigma is not None else _trained(os.path.expanduser(one)) for one in paths]


def _trained(path: str) -> float:
    config = read_config(os.path.join(path, "config.json")) if is_run(path) else {}
    found = config.get("game_options", {}).get("sigma")
    wanted = f"--sigma for {path}, which is not a workdir of a game with noise"
    require(is_number(found), wanted, "no such flag")
    return float(found)

"""The flags of `python -m mmtf.smooth`, and what they say together. Imports no TensorFlow."""

from typing import Any

from absl import flags

from mmtf.errors import ConfigError, require

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.smooth` in `values`."""

    def text(name: str, default: Any, about: str) -> None:
        flags.DEFINE_string(name, default, about, flag_values=values)

    def many(name: str, about: str) -> None:
        flags.DEFINE_multi_string(name, [], about, flag_values=values)

    def whole(name: str, default: int, about: str, least: int = 1) -> None:
        flags.DEFINE_integer(name, default, about, lower_bound=least, flag_values=values)

    many(
        "model",
        "A .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run; "
        "NAME=PATH names it in the tables. Repeat for several.",
    )
    flags.DEFINE_boolean(
        "trust_saved_models", False, "Load SavedModels, see docs/security.md.", flag_values=values
    )
    many("bounds", "LOW,HIGH: pixel range of the models' input, as 0,1; default -1,1.")
    many("model_output", "Of models with several outputs, the one that gives the logits.")
    flags.DEFINE_float(
        "sigma",
        None,
        "Standard deviation of the noise for pixels in [-1, 1]: twice that of papers, whose pixels "
        "lie in [0, 1]. Default: that of the workdir's training.",
        flag_values=values,
    )
    whole("n", 10_000, "Draws by which an image is certified and predicted.")
    whole("n0", 100, "Draws that select the class to certify.")
    flags.DEFINE_float(
        "alpha",
        0.001,
        "Probability, for each image, that a certificate does not hold.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "radii",
        ["0.5", "1", "1.5", "2", "3"],
        "l2 radii for pixels in [-1, 1], separated by commas.",
        flag_values=values,
    )
    whole("attack_steps", 20, "Steps of PGD in l2 at each radius; 0: no attack.", 0)
    whole("attack_draws", 8, "Draws over which the attack on the smoothed model averages.")
    text("dataset", None, "Dataset, as in mmtf.evaluate; its test split is used.")
    text("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")
    text("preprocess", None, "Input of the models: box or per_image, as in mmtf.evaluate.")
    whole("max_examples", 500, "Number of test examples, from the first; 0 for all.", 0)
    whole("seed", 0, "Seed of the noise and of the attack's starts.", 0)
    whole("votes", 1000, "Draws for each image in the exported SavedModel; 0: none is written.", 0)
    text(
        "output",
        None,
        "Folder for record, images, table, curve, logs and SavedModel, and for the finished images "
        "from which a stopped command resumes.",
    )


def numbers(flag: str, given: list[str]) -> tuple[float, ...]:
    """The numbers of a flag that lists them.

    Raises:
      ConfigError: one is not a number, or there is none.
    """
    try:
        found = tuple(float(one) for one in given)
    except ValueError as error:
        raise ConfigError(
            f"Expected --{flag} of numbers separated by commas. Received: {','.join(given)}."
        ) from error
    require(bool(found), f"--{flag} of at least one number", ",".join(given))
    return found

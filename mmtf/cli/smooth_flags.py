"""The flags of `python -m mmtf.smooth`, and what they say together. Imports no TensorFlow."""

from absl import flags

from mmtf.cli.defining import Definer

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.smooth` in `values`."""
    define = Definer(values)

    define.models()
    define.number(
        "sigma",
        None,
        "Standard deviation of the noise for pixels in [-1, 1]: twice that of papers, whose pixels "
        "lie in [0, 1]. Default: that of the workdir's training.",
    )
    define.whole("n", 10_000, "Draws by which an image is certified and predicted.")
    define.whole("n0", 100, "Draws that select the class to certify.")
    define.number("alpha", 0.001, "Probability, for each image, that a certificate does not hold.")
    define.words(
        "radii",
        ["0.5", "1", "1.5", "2", "3"],
        "l2 radii for pixels in [-1, 1], separated by commas.",
    )
    define.whole("attack_steps", 20, "Steps of PGD in l2 at each radius; 0: no attack.", 0)
    define.whole("attack_draws", 8, "Draws over which the attack on the smoothed model averages.")
    define.text("dataset", None, "Dataset, as in mmtf.evaluate; its test split is used.")
    define.data_dir()
    define.text("preprocess", None, "Input of the models: box or per_image, as in mmtf.evaluate.")
    define.whole("max_examples", 500, "Number of test examples, from the first; 0 for all.", 0)
    define.whole("seed", 0, "Seed of the noise and of the attack's starts.", 0)
    define.whole(
        "votes", 1000, "Draws for each image in the exported SavedModel; 0: none is written.", 0
    )
    define.text(
        "output",
        None,
        "Folder for record, images, table, curve, logs and SavedModel, and for the finished images "
        "from which a stopped command resumes.",
    )

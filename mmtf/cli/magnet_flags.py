"""The flags of `python -m mmtf.magnet`. Imports no TensorFlow."""

from typing import Any

from absl import flags

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.magnet` in `values`."""

    def text(name: str, default: Any, about: str) -> None:
        flags.DEFINE_string(name, default, about, flag_values=values)

    def whole(name: str, default: int | None, about: str, least: int = 1) -> None:
        flags.DEFINE_integer(name, default, about, lower_bound=least, flag_values=values)

    text("dataset", "mnist", "Dataset, as in mmtf.run.")
    text("data_dir", None, "Folder of TensorFlow Datasets; default $TFDS_DATA_DIR.")
    text("eta", "0.6", "Radius of the attacks for pixels in [-1, 1].")
    text("epsilon", None, "Radius for pixels in [0, 1], in place of --eta.")
    text("norm", "linf", "Norm of the radius: linf, l2 or l1.")
    text(
        "model",
        None,
        "Classifier to guard: a .keras file or a workdir of mmtf.run; default: one is trained.",
    )
    text("net", "strided_cnn", "Net of the classifier that is trained, as in mmtf.run.")
    whole("classifier_steps", None, "Steps of the classifier; default: the preset of undefended.")
    text("recipe", None, "mnist or cifar10; default: mnist for images of one channel.")
    whole("held_out", 5000, "Training images kept for the thresholds, from no other use.")
    whole("autoencoder_steps", 1500, "Steps of each auto-encoder, batches of 64.")
    whole("pack", 8, "Auto-encoders in a pack of the grey box; 0: no packs.", 0)
    whole("pack_steps", 1500, "Steps of a pack, before a third as many that make it diverse.")
    flags.DEFINE_multi_string(
        "beside",
        [],
        "NAME=PATH of another classifier, measured on the same images; repeat for several.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "trust_saved_models", False, "Load SavedModels, see docs/security.md.", flag_values=values
    )
    whole("max_examples", 500, "Number of test images that are attacked; 0 for all.", 0)
    whole("pgd_steps", 40, "Steps of PGD.")
    whole("pgd_restarts", 2, "Restarts of PGD through the reformer.")
    whole("selective_steps", 300, "Steps of the selective attack.")
    whole("pack_attack_steps", 100, "Steps of the selective attack that is transferred to a pack.")
    whole("seed", 0, "Seed of training, the images held out, and random starts.", 0)
    text("output", None, "Folder of the results; default: runs/magnet-DATASET.")

"""The flags of `python -m mmtf.magnet`. Imports no TensorFlow."""

from absl import flags

from mmtf.cli.defining import Definer

# --helpshort shows flags as those of the command that defines them.
flags.disclaim_key_flags()


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of `python -m mmtf.magnet` in `values`."""
    define = Definer(values)

    define.text("dataset", "mnist", "Dataset, as in mmtf.run.")
    define.data_dir()
    define.text("eta", "0.6", "Radius of the attacks for pixels in [-1, 1].")
    define.text("epsilon", None, "Radius for pixels in [0, 1], in place of --eta.")
    define.text("norm", "linf", "Norm of the radius: linf, l2 or l1.")
    define.text(
        "model",
        None,
        "Classifier to guard: a .keras file or a workdir of mmtf.run; default: one is trained.",
    )
    define.text("net", "strided_cnn", "Net of the classifier that is trained, as in mmtf.run.")
    define.whole(
        "classifier_steps", None, "Steps of the classifier; default: the preset of undefended."
    )
    define.text("recipe", None, "mnist or cifar10; default: mnist for images of one channel.")
    define.whole("held_out", 5000, "Training images kept for the thresholds, from no other use.")
    define.whole("autoencoder_steps", 1500, "Steps of each auto-encoder, batches of 64.")
    define.whole("pack", 8, "Auto-encoders in a pack of the gray box; 0: no packs.", 0)
    define.whole(
        "pack_steps", 1500, "Steps of a pack, before a third as many that make it diverse."
    )
    define.many(
        "beside",
        "NAME=PATH of another classifier, measured on the same images; repeat for several.",
    )
    define.trust_saved_models()
    define.whole("max_examples", 500, "Number of test images that are attacked; 0 for all.", 0)
    define.whole("pgd_steps", 40, "Steps of PGD.")
    define.whole("pgd_restarts", 2, "Restarts of PGD through the reformer.")
    define.whole("selective_steps", 300, "Steps of the selective attack.")
    define.whole(
        "pack_attack_steps", 100, "Steps of the selective attack that is transferred to a pack."
    )
    define.whole("seed", 0, "Seed of training, the images held out, and random starts.", 0)
    define.text("output", None, "Folder of the results; default: runs/magnet-DATASET.")

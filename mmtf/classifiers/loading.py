"""Any trained classifier by its path: a .keras file, a SavedModel, a workdir of mmtf.run."""

import dataclasses
import glob
import hashlib
import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.data.preprocessing import standardize_per_image, to_unit_box
from mmtf.errors import ConfigError, reason_of
from mmtf.evaluation.best_response import model_digest
from mmtf.evaluation.runner import check_classifier, misclassified
from mmtf.runtime.devices import resolve_precision

FORMS = "a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run"
# Scales that users train on: name -> from the box [-1, 1] to theirs.
SCALES = {"[0, 1]": lambda x: (x + 1.0) / 2.0, "[0, 255]": lambda x: (x + 1.0) * 127.5}
SCALE_EXAMPLES = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Defense:
    """A classifier under a name of its own.

    Attributes:
      name: in tables.
      classifier: called as classifier(images, training=False), gives logits.
    """

    name: str
    classifier: Any


class ServedLogits:
    """The `logits` signature of a SavedModel as a classifier; gradients pass through it."""

    def __init__(self, path: str):
        self._path = path
        try:
            self._loaded = tf.saved_model.load(path)
        except Exception as error:
            raise ConfigError(
                f"Expected {FORMS}. Received: {path}, which TensorFlow cannot load: "
                f"{reason_of(error)}"
            ) from error
        signature = self._loaded.signatures.get("logits")
        if signature is None:
            names = ", ".join(self._loaded.signatures) or "none"
            raise ConfigError(
                f"Expected a SavedModel with a signature `logits`, as mmtf.save_serving(model, "
                f"preprocess, image_shape, path) writes it. Received: {path} with {names}."
            )
        inputs = signature.structured_input_signature[1]
        if len(inputs) != 1 or len(signature.structured_outputs) != 1:
            raise ConfigError(
                f"Expected a signature `logits` from images to logits. Received: inputs "
                f"{list(inputs)}, outputs {list(signature.structured_outputs)} in {path}."
            )
        self._signature = signature
        (self._input,), (self._output,) = inputs, signature.structured_outputs

    def digest(self) -> str:
        """Of its files: graph and variables."""
        digest = hashlib.sha256()
        for place in ("saved_model.pb", "variables"):
            place = os.path.join(self._path, place)
            files = [place] if os.path.isfile(place) else sorted(glob.glob(f"{place}/*"))
            for name in files:
                with open(name, "rb") as source:
                    digest.update(source.read())
        return digest.hexdigest()

    def __call__(self, x, training=False):
        return self._signature(**{self._input: x})[self._output]


def digest_of(classifier) -> str:
    """A name for what a classifier computes: its layers and weights, or a SavedModel's files."""
    if isinstance(classifier, ServedLogits):
        return classifier.digest()
    return model_digest(classifier)


def require_keras(defense: Defense, purpose: str) -> None:
    """Raises ConfigError where `defense` is none, which `purpose` needs."""
    if not isinstance(defense.classifier, keras.Model):
        raise ConfigError(
            f"Expected a Keras model for {purpose}. Received: the SavedModel {defense.name}. "
            "Give its .keras file."
        )


def attack_precision(precision: str, defenses: list[Defense]) -> str:
    """What attacks on all of `defenses` compute in, `float32` or `bfloat16`.

    Args:
      precision: one of these, or `auto`: bfloat16 where the hardware computes in it and every
        defense is a Keras model.

    Raises:
      ConfigError: bfloat16 with a SavedModel, whose types are fixed.
    """
    found = resolve_precision(precision)
    if found != "float32":
        if precision == "auto" and not all(isinstance(d.classifier, keras.Model) for d in defenses):
            return "float32"
        for defense in defenses:
            require_keras(defense, f"attacks in {found}")
    return found


def load_defense(path: str, name: str | None = None) -> Defense:
    """The classifier at `path`.

    Args:
      path: a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run.
      name: default: the name of the file or folder.

    Raises:
      ConfigError: nothing there, or nothing that can be loaded.
    """
    path = os.path.expanduser(path).rstrip("/")
    name = name or os.path.basename(path).removesuffix(".keras")
    name = name.encode(errors="replace").decode()  # a file's name may be no text
    kept = os.path.join(path, "classifier.keras")
    if os.path.isfile(kept):
        return Defense(name, _keras(kept))
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return Defense(name, ServedLogits(path))
    if os.path.isfile(path):
        return Defense(name, _keras(path))
    found = "a folder without a model" if os.path.isdir(path) else "nothing"
    raise ConfigError(f"Expected {FORMS}. Received: {path}, {found}.")


def _keras(path):
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ConfigError(
            f"Expected {FORMS}. Received: {path}, which Keras cannot load: {reason_of(error)} Of a "
            "model with layers of your own, mmtf.save_serving(model, preprocess, image_shape, "
            "path) writes a SavedModel that needs none of their code."
        ) from error


def admit(defense: Defense, dataset) -> None:
    """Refuses a classifier whose figures could mean nothing.

    Args:
      defense: any.
      dataset: whose images it is to classify.

    Raises:
      ConfigError: it takes other images, gives other logits, or probabilities, or NaN; or pixels
        on another scale than [-1, 1] suit it far better.
    """
    x, y = dataset.test(SCALE_EXAMPLES)
    try:
        check_classifier(defense.classifier, x[:100], dataset.num_classes)
    except (ValueError, tf.errors.InvalidArgumentError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise ConfigError(f"{defense.name}: {error}") from error
        raise ConfigError(
            f"{defense.name}: Expected a classifier of images {dataset.image_shape}. Received: one "
            f"that cannot be called on them ({reason_of(error)})."
        ) from error
    given = float(np.mean(misclassified(defense.classifier, x, y)))

    def suits(images):
        other = float(np.mean(misclassified(defense.classifier, images, y)))
        return other if given - other > 0.2 and other < 0.5 * given else None

    raw = dataset.test_images[:SCALE_EXAMPLES]
    if dataset.preprocess is standardize_per_image and raw.dtype == np.uint8:
        plain = to_unit_box(raw).numpy()
        for scale, images in {"[-1, 1]": plain, **{k: f(plain) for k, f in SCALES.items()}}.items():
            if (other := suits(images)) is not None:
                raise ConfigError(
                    f"{defense.name}: Expected a classifier of images standardized one by one, as "
                    f"the paper has CIFAR-10's. Received: one that errs on {given:.2f} of them, "
                    f"but on {other:.2f} with plain pixels in {scale}. Load the data with "
                    "preprocess='box' (mmtf.evaluate --preprocess=box)"
                    + ("." if plain is images else ", and put a keras.layers.Rescaling in front.")
                )
    if dataset.preprocess is to_unit_box and raw.dtype == np.uint8:
        other = suits(standardize_per_image(raw).numpy())
        if other is not None:
            raise ConfigError(
                f"{defense.name}: Expected a classifier of plain pixels. Received: one that errs "
                f"on {given:.2f} of them, but on {other:.2f} of the same images standardized one "
                "by one. Load the data with preprocess='per_image' (mmtf.evaluate "
                "--preprocess=per_image)."
            )
    for scale, change in SCALES.items():
        if (other := suits(change(x))) is not None:
            raise ConfigError(
                f"{defense.name}: Expected a classifier of pixels in [-1, 1]. Received: one that "
                f"errs on {given:.2f} of them, but on {other:.2f} with pixels in {scale}. Put a "
                f"keras.layers.Rescaling in front of it."
            )

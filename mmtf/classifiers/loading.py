"""Loads a trained classifier from a .keras file, a SavedModel or a workdir of mmtf.run."""

import functools
import glob
import os

import keras
import tensorflow as tf

from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.classifiers.outputs import Output
from mmtf.errors import ConfigError, reason_of
from mmtf.storage.digest import sha256

FORMS = "a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run"


def load_classifier(
    path: str,
    name: str | None = None,
    bounds: tuple[float, float] = BOX,
    output: Output = None,
) -> Classifier:
    """Loads the classifier at `path`.

    Args:
      path: a .keras file, a SavedModel with a `logits` signature, or a workdir of mmtf.run.
      name: the classifier's name in tables; None: the name of the file or folder.
      bounds: (low, high), the pixel range that the model expects.
      output: which of several outputs, see `mmtf.Classifier`.

    Raises:
      ConfigError: `path` does not exist or cannot be loaded.
    """
    path = os.path.expanduser(path).rstrip("/")
    name = name or os.path.basename(path).removesuffix(".keras")
    name = name.encode(errors="replace").decode()  # file names need not be valid UTF-8
    wrapped = functools.partial(Classifier, name=name, bounds=bounds, output=output)
    kept = os.path.join(path, "classifier.keras")
    if os.path.isfile(kept):
        return wrapped(_keras_model(kept))
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        return wrapped(_Signature(path))
    if os.path.isfile(path):
        return wrapped(_keras_model(path))
    found = "a folder without a model" if os.path.isdir(path) else "nothing"
    raise ConfigError(f"Expected {FORMS}. Received: {path}, {found}.")


def require_keras(classifier: Classifier, purpose: str) -> None:
    """Raises ConfigError unless `classifier` wraps a Keras model, as `purpose` requires."""
    if classifier.keras_model is None:
        raise ConfigError(
            f"Expected a Keras model for {purpose}. Received: {classifier.name}, a SavedModel or "
            "a function. Give the .keras file or the keras.Model."
        )


class _Signature:
    """The `logits` signature of a SavedModel as a differentiable function."""

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
        if len(inputs) != 1:
            raise ConfigError(
                f"Expected a signature `logits` of one input, the images. Received: inputs "
                f"{list(inputs)} in {path}."
            )
        self._signature = signature
        ((self._input, spec),) = inputs.items()
        self._dtype, self._batch = spec.dtype, spec.shape[0] if spec.shape.rank else None
        if not spec.dtype.is_floating:
            raise ConfigError(
                f"Expected a signature `logits` of floats. Received: {spec.dtype.name} in {path}, "
                "to which pixels in [-1, 1] would be cast."
            )
        if self._batch not in (None, 1):
            raise ConfigError(
                f"Expected a signature `logits` for any number of images, or for one. Received: "
                f"for {self._batch} images in {path}. Export it with None as its first dimension."
            )

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the SavedModel's files: graph and variables."""
        paths = [os.path.join(self._path, "saved_model.pb")]
        paths += sorted(glob.glob(os.path.join(glob.escape(self._path), "variables", "*")))
        contents = []
        for path in paths:
            with open(path, "rb") as source:
                contents.append(source.read())
        return sha256(*contents)

    def __call__(self, x, training=False):
        x = tf.cast(x, self._dtype)
        if self._batch is None:
            return self._signature(**{self._input: x})

        def call(image):
            answers = self._signature(**{self._input: image[None]})
            return {name: answer[0] for name, answer in answers.items()}

        outputs = self._signature.structured_outputs
        kinds = {name: tf.TensorSpec(one.shape[1:], one.dtype) for name, one in outputs.items()}
        return tf.map_fn(call, x, fn_output_signature=kinds)


def _keras_model(path):
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise ConfigError(
            f"Expected {FORMS}. Received: {path}, which Keras cannot load: {reason_of(error)} For "
            "a model with custom layers, mmtf.save_serving(model, preprocess, image_shape, path) "
            "writes a SavedModel that loads without their code."
        ) from error

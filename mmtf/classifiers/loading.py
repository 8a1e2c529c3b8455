"""Loads a trained classifier from a .keras file, a SavedModel or a workdir of mmtf.run."""

import functools
import glob
import os

import tensorflow as tf

from mmtf.classifiers.classifier import BOX, Classifier
from mmtf.classifiers.guarded_files import is_guarded, load_guarded
from mmtf.classifiers.keras_files import FORMS, load_keras
from mmtf.classifiers.outputs import Output
from mmtf.errors import ConfigError, reason_of, require_path
from mmtf.storage.digest import sha256


def load_classifier(
    path: str,
    name: str | None = None,
    bounds: tuple[float, float] = BOX,
    output: Output = None,
    *,
    trust_saved_models: bool = False,
) -> Classifier:
    """Loads the classifier at `path`.

    Keras files are loaded in Keras' safe mode, which refuses code in them. A SavedModel runs what
    its author put into it, see docs/security.md.

    Args:
      path: a .keras file, a SavedModel with a `logits` signature, a workdir of mmtf.run, or the
        folder of a guarded classifier (mmtf.magnet), which has its own bounds and output.
      name: the classifier's name in tables; None: the name of the file or folder.
      bounds: (low, high), the pixel range that the model expects.
      output: which of several outputs, see `mmtf.Classifier`.
      trust_saved_models: whether a SavedModel is loaded; give True for SavedModels that you wrote
        or whose author you trust.

    Raises:
      ConfigError: `path` does not exist, cannot be loaded, or is a SavedModel that is not trusted.
    """
    require_path("path", path)
    path = os.path.expanduser(path).rstrip("/")
    name = name or os.path.basename(path).removesuffix(".keras")
    name = name.encode(errors="replace").decode()  # file names need not be valid UTF-8
    wrapped = functools.partial(Classifier, name=name, bounds=bounds, output=output)
    if is_guarded(path):
        return load_guarded(path, name)
    kept = os.path.join(path, "classifier.keras")
    if os.path.isfile(kept):
        return wrapped(load_keras(kept))
    if os.path.exists(os.path.join(path, "saved_model.pb")):
        if not trust_saved_models:
            raise ConfigError(
                f"Expected --trust_saved_models (in Python trust_saved_models=True) for a "
                f"SavedModel. Received: {path} without. Loading a SavedModel runs its graph, which "
                f"can read and write files: give the flag if you wrote it or trust its author, or "
                f"give a .keras file, which loads in safe mode."
            )
        return wrapped(_Signature(path))
    if os.path.isfile(path):
        return wrapped(load_keras(path))
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
                f"Expected {FORMS}. Received: {path}, which TensorFlow cannot load "
                f"({reason_of(error)})."
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
        self.input_shape = None if spec.shape.rank is None else tuple(spec.shape)

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

"""Exports classifiers and attack networks as Keras files and SavedModels."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from mmtf.classifiers.admission import logits_on, tell
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.precision import computing_in
from mmtf.errors import ConfigError, require
from mmtf.storage.files import to_disk, write_atomically

# Random images on which a model is called before it is exported.
CHECKED = 64


def save_keras(classifier: keras.Model | Classifier, path: str) -> None:
    """Saves a Keras model as a .keras file, atomically; of a Classifier, the model that it wraps.

    Raises:
      ConfigError: the Classifier does not wrap a Keras model.
    """
    write_atomically(path, _keras_model(classifier).save)


def save_serving(
    classifier: keras.Model | Classifier,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    image_shape: Sequence[int],
    path: str,
) -> None:
    """Saves a classifier atomically as a SavedModel that TensorFlow loads without mmtf.

    Its signatures, in float32:
      serving_default: `images` uint8 [N, H, W, C], raw pixels -> `label` int32 [N] and
        `probabilities` float32 [N, classes]; includes the preprocessing.
      logits: `images` float32 [N, H, W, C] in [-1, 1] -> `logits` float32 [N, classes].

    Args:
      classifier: a Keras model that mmtf.evaluate accepts, or a Classifier of one. The logits of a
        model that ends in a softmax are those before it; one logit z becomes [0, z].
      preprocess: maps a uint8 batch to a float32 batch in [-1, 1]; TensorFlow operations only.
      image_shape: (H, W, C).
      path: the folder to write; an existing SavedModel is replaced.

    Raises:
      ConfigError: `path` exists and is neither an empty folder nor a SavedModel; or the model is
        one that mmtf.train and mmtf.evaluate refuse, see `mmtf.classifiers.admission.logits_on`.
      OSError: TensorFlow cannot write the files.
    """
    raw = tf.TensorSpec([None, *image_shape], tf.uint8, name="images")
    scaled = tf.TensorSpec([None, *image_shape], tf.float32, name="images")

    model = _keras_model(classifier)
    classifier = as_classifier(classifier).at(None)
    noise = tf.random.stateless_uniform([CHECKED, *image_shape], [0, 0], -1.0, 1.0)
    logits_on(classifier, noise)
    tell(classifier)

    def serve(images):
        logits = tf.cast(classifier(preprocess(images), training=False), tf.float32)
        label = tf.argmax(logits, -1, tf.int32)
        return {"label": label, "probabilities": tf.nn.softmax(logits)}

    def logits_of(images):
        return {"logits": tf.cast(classifier(images, training=False), tf.float32)}

    with computing_in(model, "float32"):
        _write(model, {"serving_default": (serve, raw), "logits": (logits_of, scaled)}, path)


def save_attacker(attacker: keras.Model, image_shape: Sequence[int], path: str) -> None:
    """Saves an attack network atomically as a SavedModel.

    Its signature serving_default takes `images` float32 [N, H, W, C] in [-1, 1] and `labels` int32
    [N], and returns `perturbed` float32 [N, H, W, C].

    Args:
      attacker: an attack network, called on [images, labels].
      image_shape: (H, W, C).
      path: the folder to write; an existing SavedModel is replaced.

    Raises:
      ConfigError, OSError: see `save_serving`.
    """
    images = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    labels = tf.TensorSpec([None], tf.int32, name="labels")

    def perturb(images, labels):
        return {"perturbed": attacker([images, labels], training=False)}

    with computing_in(attacker, "float32"):
        _write(attacker, {"serving_default": (perturb, images, labels)}, path)


def _keras_model(classifier):
    model = as_classifier(classifier).keras_model
    require(model is not None, "a Keras model to save", classifier)
    return model


def _write(model, endpoints, path):
    if os.path.exists(path) and not _is_replaceable(path):
        raise ConfigError(
            f"Expected a new folder, an empty one, or a SavedModel to replace. Received: {path}."
        )
    folder = os.path.dirname(os.path.abspath(path))
    temporary, aside = (tempfile.mkdtemp(prefix=".partial-", dir=folder) for _ in range(2))
    try:
        archive = keras.export.ExportArchive()
        archive.track(model)
        for name, (function, *signature) in endpoints.items():
            archive.add_endpoint(name=name, fn=function, input_signature=signature)
        archive.write_out(temporary, verbose=False)
        os.chmod(temporary, 0o755)
        to_disk(temporary)
        if os.path.exists(path):
            os.replace(path, aside)  # a kill while deleting in place would leave a partial folder
        os.replace(temporary, path)
    except tf.errors.OpError as error:
        line = str(error).strip().partition("\n")[0]
        raise OSError(f"Expected room for a SavedModel in {path}. Received: {line}") from error
    finally:
        for one in (temporary, aside):
            if os.path.exists(one):
                shutil.rmtree(one)


def _is_replaceable(path):
    if not os.path.isdir(path):
        return False
    names = set(os.listdir(path))
    return "saved_model.pb" in names or names <= {"assets", "fingerprint.pb", "variables"}

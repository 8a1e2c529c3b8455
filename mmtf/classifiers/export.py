"""Exports classifiers, attack networks and filters as Keras files and SavedModels."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from mmtf.classifiers.admission import logits_on, tell
from mmtf.classifiers.classifier import Classifier, as_classifier
from mmtf.classifiers.precision import computing_in
from mmtf.errors import ConfigError, reason_of, require, require_path
from mmtf.storage.files import (
    PARTIAL,
    files_within,
    remove_files,
    require_folder_of,
    to_disk,
    write_atomically,
)

PB = "saved_model.pb"
# Inputs and outputs of the signatures that `save_serving`, `save_attacker`, `save_filter` write.
SERVING = {
    "serving_default": ({"images"}, {"label", "probabilities"}),
    "logits": ({"images"}, {"logits"}),
}
ATTACKER = {"serving_default": ({"images", "labels"}, {"perturbed"})}
FILTER = {"serving_default": ({"x"}, {"z"})}
SMOOTHED = {
    "serving_default": ({"images"}, {"label", "counts"}),
    "votes": ({"images", "seed"}, {"label", "counts"}),
}
MIXTURE = {
    "serving_default": ({"images"}, {"label", "probabilities"}),
    "expected_probabilities": ({"images"}, {"probabilities"}),
    "logits": ({"images"}, {"logits"}),
}
GUARDED = {
    "serving_default": ({"images"}, {"label", "probabilities", "accepted"}),
    "logits": ({"images"}, {"logits", "accepted"}),
}
_FILES = re.compile(
    r"saved_model\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})"
)


# Random images on which a model is called before it is exported.
CHECKED = 64


def save_keras(classifier: keras.Model | Classifier, path: str) -> None:
    """Saves a Keras model as a .keras file, atomically; of a Classifier, the model that it wraps.

    Raises:
      ConfigError: the Classifier does not wrap a Keras model, or `path` does not end in .keras or
        is in a folder that does not exist.
    """
    require_path("path", path)
    path = os.path.expanduser(path)
    require(path.endswith(".keras"), "a path that ends in .keras", path)
    require_folder_of(path)
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
      path: the folder to write. A SavedModel that mmtf wrote is replaced; nothing else is ever
        overwritten or deleted.

    Raises:
      ConfigError: `path` exists and is neither an empty folder nor one with a SavedModel of mmtf
        and no other file; or the model is one that mmtf.train and mmtf.evaluate refuse, see
        `mmtf.classifiers.admission.logits_on`.
      OSError: TensorFlow cannot write the files.
    """
    require(callable(preprocess), "preprocess as a function of uint8 images", preprocess)
    image_shape = checked_shape(image_shape)
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
        write_saved_model(
            model, {"serving_default": (serve, raw), "logits": (logits_of, scaled)}, path
        )


def save_attacker(attacker: keras.Model, image_shape: Sequence[int], path: str) -> None:
    """Saves an attack network atomically as a SavedModel.

    Its signature serving_default takes `images` float32 [N, H, W, C] in [-1, 1] and `labels` int32
    [N], and returns `perturbed` float32 [N, H, W, C].

    Args:
      attacker: an attack network, called on [images, labels].
      image_shape: (H, W, C).
      path: the folder to write, as for `save_serving`.

    Raises:
      ConfigError, OSError: see `save_serving`.
    """
    images = tf.TensorSpec([None, *checked_shape(image_shape)], tf.float32, name="images")
    labels = tf.TensorSpec([None], tf.int32, name="labels")

    def perturb(images, labels):
        return {"perturbed": attacker([images, labels], training=False)}

    with computing_in(attacker, "float32"):
        write_saved_model(attacker, {"serving_default": (perturb, images, labels)}, path)


def save_filter(filter: keras.Model, path: str) -> None:
    """Saves the filter of a privacy game atomically as a SavedModel.

    Its signature serving_default takes raw examples `x` float32 [N, ...] and returns `z` float32
    [N, d].

    Args:
      filter: a Keras model of raw examples (`mmtf.privacy`).
      path: the folder to write, as for `save_serving`.

    Raises:
      ConfigError, OSError: see `save_serving`.
    """
    x = tf.TensorSpec([None, *filter.input_shape[1:]], tf.float32, name="x")
    write_saved_model(
        filter, {"serving_default": (lambda x: {"z": filter(x, training=False)}, x)}, path
    )


def checked_shape(image_shape: Any) -> tuple[int, int, int]:
    """Returns (H, W, C).

    Raises:
      ConfigError: it is not three positive whole numbers.
    """
    shape = tuple(image_shape) if isinstance(image_shape, list | tuple) else ()
    good = len(shape) == 3 and all(isinstance(one, int) and one > 0 for one in shape)
    require(good, "image_shape as (H, W, C), three whole numbers", image_shape)
    return shape


def _keras_model(classifier):
    model = as_classifier(classifier).keras_model
    require(model is not None, "a Keras model to save", classifier)
    return model


def write_saved_model(model: keras.Model, endpoints: dict[str, tuple], path: str) -> None:
    """Saves functions of a model atomically as a SavedModel; see `save_serving` for `path`.

    Args:
      model: its variables are saved.
      endpoints: name of a signature -> (function, a tf.TensorSpec for each of its arguments). The
        names of inputs and outputs must be known to this module (SERVING and its siblings).
      path: the folder to write.

    Raises:
      ConfigError, OSError: see `save_serving`.
    """
    require_path("path", path)
    path = os.path.realpath(os.path.expanduser(path))
    require_folder_of(path)
    _require_replaceable(path)
    folder = os.path.dirname(path)
    temporary = tempfile.mkdtemp(prefix=PARTIAL, dir=folder)
    try:
        archive = keras.export.ExportArchive()
        archive.track(model)
        for name, (function, *signature) in endpoints.items():
            archive.add_endpoint(name=name, fn=function, input_signature=signature)
        archive.write_out(temporary, verbose=False)
        os.chmod(temporary, 0o755)
        to_disk(temporary)
        _replace(path, temporary)
    except tf.errors.OpError as error:
        raise OSError(
            f"Expected room for a SavedModel in {path}. Received: {reason_of(error)}."
        ) from error
    finally:
        if os.path.exists(temporary):
            shutil.rmtree(temporary)


def _replace(path, new):
    """Gives the folder `new` the name `path`; of what is there only mmtf's own files go."""
    if not os.path.exists(path):
        os.replace(new, path)
        return
    _require_replaceable(path)  # again: writing takes seconds
    aside = tempfile.mkdtemp(prefix=PARTIAL, dir=os.path.dirname(path))
    os.replace(path, aside)  # a kill while deleting in place would leave a partial folder
    try:
        os.replace(new, path)
    except OSError:
        os.replace(aside, path)
        raise
    if os.path.exists(os.path.join(aside, PB)):
        remove_files(aside, saved_model_files(aside))
    else:
        remove_files(aside, [])


def _require_replaceable(path):
    """Raises ConfigError unless `path` is new, an empty folder or a SavedModel of mmtf alone."""
    if not os.path.exists(path):
        return
    found = files_within(path) if os.path.isdir(path) else ["a file"]
    if os.path.isfile(os.path.join(path, PB)) and _is_of_mmtf(path):
        found = sorted(set(found) - set(saved_model_files(path)))
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ConfigError(
            "Expected a new folder, an empty one, or one with nothing but a SavedModel of mmtf, "
            f"which is replaced. Received: {path} with {', '.join(found[:3])}{more}. Give another "
            "folder; nothing was changed."
        )


def _is_of_mmtf(path):
    """Whether the SavedModel in `path` has the signatures that mmtf writes."""
    try:
        signatures = read_saved_model(path).meta_graphs[0].signature_def
    except (DecodeError, IndexError, OSError):
        return False
    names = {name: (set(one.inputs), set(one.outputs)) for name, one in signatures.items()}
    names.pop("__saved_model_init_op", None)
    return names in (SERVING, ATTACKER, FILTER, SMOOTHED, MIXTURE, GUARDED)


def read_saved_model(path: str) -> Any:
    """The SavedModel message in a folder's saved_model.pb; nothing of it is run.

    Raises:
      DecodeError, OSError: the file is damaged or cannot be read.
    """
    message = saved_model_pb2.SavedModel()
    with open(os.path.join(path, PB), "rb") as source:
        message.ParseFromString(source.read())
    return message


def saved_model_files(path: str) -> list[str]:
    """The files of the SavedModel in a folder, relative to it: its graph, variables and assets."""
    found = files_within(path)
    graphs = read_saved_model(path).meta_graphs
    assets = {f"assets/{one.filename}" for graph in graphs for one in graph.asset_file_def}
    return [name for name in found if _FILES.fullmatch(name) or name in assets]

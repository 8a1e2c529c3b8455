"""The classifier for those who put it into service: a Keras file and a SavedModel."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from mmtf.classifiers.precision import computing_in
from mmtf.errors import ConfigError
from mmtf.storage.files import to_disk, write_atomically


def save_keras(classifier: keras.Model, path: str) -> None:
    """Writes `path` (.keras), whole or not at all."""
    write_atomically(path, classifier.save)


def save_serving(
    classifier: keras.Model,
    preprocess: Callable[[tf.Tensor], tf.Tensor],
    image_shape: Sequence[int],
    path: str,
) -> None:
    """Writes a SavedModel that plain TensorFlow loads, whole or not at all.

    Its signatures, in float32:
      serving_default: `images` uint8 [N, H, W, C], raw pixels -> `label` int32 [N] and
        `probabilities` float32 [N, classes]; the preprocessing is inside.
      logits: `images` float32 [N, H, W, C] in [-1, 1] -> `logits` float32 [N, classes].

    Args:
      classifier: gives logits.
      preprocess: uint8 batch -> float32 batch in [-1, 1], TensorFlow operations only.
      image_shape: (H, W, C).
      path: a folder; one that is there is replaced.
    """
    raw = tf.TensorSpec([None, *image_shape], tf.uint8, name="images")
    scaled = tf.TensorSpec([None, *image_shape], tf.float32, name="images")

    def serve(images):
        logits = tf.cast(classifier(preprocess(images), training=False), tf.float32)
        label = tf.argmax(logits, -1, tf.int32)
        return {"label": label, "probabilities": tf.nn.softmax(logits)}

    def logits_of(images):
        return {"logits": tf.cast(classifier(images, training=False), tf.float32)}

    with computing_in(classifier, "float32"):
        _write(classifier, {"serving_default": (serve, raw), "logits": (logits_of, scaled)}, path)


def save_attacker(attacker: keras.Model, image_shape: Sequence[int], path: str) -> None:
    """Writes an attack network as a SavedModel, whole or not at all.

    Its signature serving_default takes `images` float32 [N, H, W, C] in [-1, 1] and `labels` int32
    [N], and gives `perturbed` float32 [N, H, W, C].
    """
    images = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    labels = tf.TensorSpec([None], tf.int32, name="labels")

    def perturb(images, labels):
        return {"perturbed": attacker([images, labels], training=False)}

    with computing_in(attacker, "float32"):
        _write(attacker, {"serving_default": (perturb, images, labels)}, path)


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
            os.replace(path, aside)  # at once: deleted in place, a kill would leave a part of it
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

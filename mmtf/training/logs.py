"""TensorBoard logs of a run."""

import contextlib
import json
import sys

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams


class Logs:
    """Writes scalars, images, the config and its hyperparameters under one folder.

    If the logs cannot be written (a full disk, for example), a warning is printed once and the run
    continues: no result depends on them.

    Args:
      folder: folder of the logs, created if missing; a resumed run appends to it.
      config: settings by name, nested; shown as text and as TensorBoard's HParams.
    """

    def __init__(self, folder: str, config: dict):
        self._told = False
        self._writer = tf.summary.create_noop_writer()
        with self._writing():
            self._writer = tf.summary.create_file_writer(folder)
        with self._writing():
            tf.summary.text("config", f"```json\n{json.dumps(config, indent=1)}\n```", step=0)
            hparams.hparams(dict(_flat(config)))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars by tag and flushes them, so that a killed process loses none."""
        with self._writing():
            for tag, value in values.items():
                tf.summary.scalar(tag, value, step=step)
            self._writer.flush()

    def attack_images(
        self, step: int, name: str, clean: np.ndarray, adversarial: np.ndarray
    ) -> None:
        """Writes clean images, adversarial examples and their differences side by side.

        Args:
          step: training step of the classifier.
          name: name of the attack.
          clean: images, float32 [k, H, W, C] in [-1, 1].
          adversarial: the attack's images, of the same shape.
        """
        difference = (adversarial - clean) / 2.0
        rows = tf.concat([clean, adversarial, difference], axis=2) / 2.0 + 0.5
        with self._writing():
            tag = f"images/{name} (clean, adversarial, difference)"
            tf.summary.image(tag, rows, step=step, max_outputs=len(clean))

    @contextlib.contextmanager
    def _writing(self):
        try:
            with self._writer.as_default():
                yield
        except tf.errors.OpError as error:
            if not self._told:
                line = str(error).strip().partition("\n")[0]
                print(f"WARNING: TensorBoard's logs cannot be written: {line}", file=sys.stderr)
            self._told = True

    def close(self) -> None:
        """Closes the log file."""
        with contextlib.suppress(tf.errors.OpError):
            self._writer.close()


def _flat(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{name}", ",".join(map(str, value))
        else:
            yield f"{prefix}{name}", "default" if value is None else value


def log_figures(folder: str, pictures: dict[str, bytes]) -> None:
    """Writes pictures for TensorBoard, in an event file of their own.

    Args:
      folder: folder of the logs, created if missing.
      pictures: tag -> a PNG file.
    """
    with contextlib.suppress(tf.errors.OpError):  # no result depends on it
        writer = tf.summary.create_file_writer(folder)
        with writer.as_default():
            for tag, picture in pictures.items():
                tf.summary.image(tag, tf.io.decode_png(picture, channels=3)[None], step=0)
        writer.close()

"""Export of a solved defense: a Keras model that adds a drawn vector to every image."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require


@keras.saving.register_keras_serializable("mmtf")
class AddDrawnVector(keras.layers.Layer):
    """Adds to each image one of k vectors, drawn anew at every call.

    The vectors are the layer's weight, which is saved with the model and not trained.

    Args:
      count: k, > 0.
      **options: of keras.layers.Layer.

    Example:
      >>> layer = AddDrawnVector(1)
      >>> _ = layer(tf.zeros([1, 2]))
      >>> layer.set_weights([np.float32([[1, 2]])])
      >>> layer(tf.zeros([1, 2])).numpy().tolist()
      [[1.0, 2.0]]
    """

    def __init__(self, count: int, **options: Any):
        super().__init__(trainable=False, **options)
        self.count = count

    def build(self, input_shape: tuple) -> None:
        """Creates the weight [count, ...] of zeros."""
        self.vectors = self.add_weight(
            shape=(self.count, *input_shape[1:]), initializer="zeros", name="vectors"
        )

    def call(self, x: Any) -> Any:
        """x [n, ...] plus a vector for each image."""
        # An operation with a state, so that the exported graph draws at every call, too.
        drawn = tf.random.uniform(tf.shape(x)[:1], 0, self.count, tf.int32)
        return x + tf.cast(tf.gather(self.vectors, drawn), x.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the layer."""
        config = super().get_config()
        del config["trainable"]
        return {**config, "count": self.count}


def defended(classifier: Any, vectors: np.ndarray) -> keras.Model:
    """The classifier x -> f(x + v) with v drawn from `vectors` for each image and call.

    `mmtf.save_keras` and `mmtf.save_serving` export it. To load the .keras file, import
    `mmtf.additive.layers` first; the SavedModel needs no code of mmtf.

    Args:
      classifier: a Keras model, or a Classifier of one.
      vectors: float32 [k, H, W, C], such as `Solved.sample(64)`, or `Solved.vector[None]`.

    Returns:
      A Keras model of images [n, H, W, C] in [-1, 1]; x + v is not clipped to them.

    Raises:
      ConfigError: the classifier is not a Keras model, or the vectors have another shape.
    """
    model = as_classifier(classifier).as_keras()
    shape = tuple(model.input_shape[1:])
    vectors = np.asarray(vectors, np.float32)
    right = vectors.shape[1:] == shape and len(vectors) > 0
    require(right, f"vectors [k, {', '.join(map(str, shape))}]", f"shape {vectors.shape}")
    inputs, layer = keras.Input(shape), AddDrawnVector(len(vectors), name="add_drawn_vector")
    whole = keras.Model(inputs, model(layer(inputs)), name=f"{model.name}_defended")
    layer.set_weights([vectors])
    return whole

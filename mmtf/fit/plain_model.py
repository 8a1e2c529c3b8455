"""The part of AdversarialModel that is the plain model's: its calls, its files, its summary."""

from typing import Any

import keras

from mmtf.errors import ConfigError
from mmtf.fit.training_state import load_state, save_state


class PlainModel(keras.Model):
    """A Keras model around another, which it is in every respect but training.

    Args:
      model: the plain model, built.

    Attributes:
      model: as given.
    """

    def __init__(self, model: keras.Model):
        super().__init__(name=model.name, dtype=model.dtype_policy, autocast=False)
        self.model = model
        self.built = True

    def state_variables(self) -> list[Any]:
        """Variables of the training that are not the plain model's, once compiled."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs of the plain model."""
        return self.model(inputs, training=training)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the plain model."""
        self.model.save(filepath, overwrite=overwrite, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports the plain model as a SavedModel or in another format of Keras."""
        self.model.export(filepath, *args, **kwargs)

    def summary(self, *args: Any, **kwargs: Any) -> None:
        """Prints the summary of the plain model."""
        self.model.summary(*args, **kwargs)

    def get_layer(self, name: str | None = None, index: int | None = None) -> keras.layers.Layer:
        """A layer of the plain model by its name or number."""
        return self.model.get_layer(name, index)

    def get_config(self) -> dict[str, Any]:
        """Raises ConfigError: it is the plain model that is saved or cloned."""
        raise ConfigError(
            "Expected the plain model: model.save(path) writes it, and model.model is it. "
            "Received: AdversarialModel, which has no config."
        )

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes the plain model's weights, and the state of training, to a .weights.h5 file.

        `model.load_weights` of the plain model reads the file, too, and ignores that state.
        """
        if not self.compiled or kwargs or not str(filepath).endswith(".weights.h5"):
            self.model.save_weights(filepath, overwrite=overwrite, **kwargs)
        else:
            save_state(str(filepath), self.model, self.state_variables(), overwrite)

    def load_weights(self, filepath: Any, **kwargs: Any) -> None:
        """Reads weights and, from a file of `save_weights`, the state of training."""
        self.model.load_weights(filepath, **kwargs)
        if self.compiled and str(filepath).endswith(".weights.h5"):
            load_state(str(filepath), self.state_variables())

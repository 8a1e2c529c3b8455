"""Faster TensorFlow operations for layers of a Keras model."""

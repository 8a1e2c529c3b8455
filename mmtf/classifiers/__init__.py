"""A Keras model as a classifier: precision, logits, fingerprint, loading, export."""

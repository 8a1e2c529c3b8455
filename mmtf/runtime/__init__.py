"""How TensorFlow is started, and what it runs on."""

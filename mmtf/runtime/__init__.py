"""Starting TensorFlow, and the choice of devices, precision and XLA."""

PRECISIONS = ("auto", "float32", "bfloat16")

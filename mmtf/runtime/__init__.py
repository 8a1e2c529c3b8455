"""How TensorFlow is started, and on which devices and in which precision it runs."""

PRECISIONS = ("auto", "float32", "bfloat16")

"""How TensorFlow is started, on which devices it runs and in which precision. No TensorFlow here."""

PRECISIONS = ("auto", "float32", "bfloat16")

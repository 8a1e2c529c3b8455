"""TensorFlow's start-up lines about drivers and instruction sets, kept off the user's screen."""

import contextlib
import os
import sys


def import_tensorflow() -> None:
    """Imports TensorFlow; what its C++ side prints on stderr is shown only if that fails."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with contextlib.ExitStack() as stack:
        reader, writer = os.pipe()
        saved = os.dup(2)
        stack.callback(os.close, saved)
        os.set_blocking(writer, False)  # a full pipe must not stall the import
        os.dup2(writer, 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            os.dup2(saved, 2)
            os.close(writer)
            with open(reader, errors="replace") as said:
                print(said.read(), file=sys.stderr)
            raise
        os.dup2(saved, 2)
        os.close(writer)
        os.close(reader)
    import absl.logging

    absl.logging.set_verbosity(absl.logging.ERROR)

"""How the commands start TensorFlow: with oneDNN, its lines about drivers kept off the screen."""

import contextlib
import os
import platform
import sys

# XLA of TensorFlow 2.21 cannot compile some of Triton's matrix products that it chooses itself:
# seen on an H100 with batches of 64 in bfloat16. cuBLAS' take their place.
NO_TRITON = "--xla_gpu_enable_triton_gemm=false"


def xla_flags() -> str:
    """XLA_FLAGS as the user has set them, without Triton's products unless they speak of them.

    Example:
      >>> "xla_gpu_enable_triton_gemm" in xla_flags()
      True
    """
    given = os.environ.get("XLA_FLAGS", "")
    name = NO_TRITON.partition("=")[0]
    return given if name in given else f"{given} {NO_TRITON}".strip()


def settings() -> dict[str, str]:
    """Environment variables that the commands start TensorFlow with, where the user has not.

    On x86 that is oneDNN's kernels, too. TensorFlow leaves them off where a CPU lacks AVX512-VNNI,
    yet with AVX2 alone a step of adversarial training takes about 0.6 of the time with them.
    """
    onednn = {"TF_ENABLE_ONEDNN_OPTS": "1"} if platform.machine() in ("x86_64", "AMD64") else {}
    return {"TF_CPP_MIN_LOG_LEVEL": "3"} | onednn


def import_tensorflow() -> None:
    """Imports TensorFlow; what its C++ side prints on stderr is shown only if that fails."""
    if "tensorflow" in sys.modules:
        return
    os.environ.update(settings() | os.environ)
    os.environ["XLA_FLAGS"] = xla_flags()
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

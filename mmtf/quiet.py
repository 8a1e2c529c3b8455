"""How the commands start TensorFlow: with what is faster and what works, without its lines."""

import contextlib
import importlib.metadata
import os
import platform
import sys

# XLA of this TensorFlow chooses products of Triton's that it cannot compile: seen on an H100 with
# batches of 64 in bfloat16. cuBLAS' take their place. Not said to another one, for XLA ends the
# process over a flag that it does not know.
TRITON_FAILS = "2.21."
NO_TRITON = "--xla_gpu_enable_triton_gemm=false"


def set_xla_flags() -> None:
    """Adds NO_TRITON to XLA_FLAGS, which XLA reads when it first compiles.

    Left as they are where the user names that flag, gives a file of flags, or has another
    TensorFlow.
    """
    given = os.environ.get("XLA_FLAGS", "").strip()
    named = NO_TRITON.partition("=")[0] in given or (given and not given.startswith("-"))
    try:
        version = importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:  # a build of another name, tensorflow-cpu say
        return
    if not named and version.startswith(TRITON_FAILS):
        os.environ["XLA_FLAGS"] = f"{given} {NO_TRITON}".strip()


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
    set_xla_flags()
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

"""Imports TensorFlow for the commands: environment variables, XLA flags, log output off."""

import contextlib
import importlib.metadata
import os
import platform
import sys

# The flags below are set for this version of TensorFlow only: XLA aborts the process if it does not
# know a flag.
FLAGS_FOR_TENSORFLOW = "2.21."
# On an H100, with batches of 64 in bfloat16, XLA chose Triton matrix products that it then failed
# to compile. With this flag it uses those of cuBLAS.
DISABLE_TRITON_GEMM = "--xla_gpu_enable_triton_gemm=false"
# Flags for the folders in which XLA stores its autotuning results.
AUTOTUNE_CACHE_FLAGS = (
    "xla_gpu_per_fusion_autotune_cache_dir",
    "xla_gpu_experimental_autotuner_cache_dir",
)
NVIDIA_DEVICE = "/dev/nvidiactl"  # exists if NVIDIA's driver is loaded


def set_xla_flags() -> None:
    """Adds DISABLE_TRITON_GEMM to the environment variable XLA_FLAGS.

    XLA reads it at its first compilation. The variable is not changed if it already has that flag
    or names a file of flags, or with another version of TensorFlow than FLAGS_FOR_TENSORFLOW.
    """
    if _version_of("tensorflow").startswith(FLAGS_FOR_TENSORFLOW):
        _add_xla_flag(DISABLE_TRITON_GEMM)


def cache_xla_autotuning() -> None:
    """Has XLA store its autotuning results (the fastest kernels on this GPU) in a cache folder.

    Autotuning takes most of the time of a first compilation on a GPU. The folder is in
    $XDG_CACHE_HOME/mmtf or ~/.cache/mmtf. XLA_FLAGS is not changed if the folder cannot be written,
    if the variable already has one of AUTOTUNE_CACHE_FLAGS or names a file of flags, or with
    another version of TensorFlow than FLAGS_FOR_TENSORFLOW.
    """
    version = _version_of("tensorflow")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # XLA's cache keys contain the model of the GPU but not the version of cuBLAS.
    name = f"xla-{version}-{_version_of('nvidia-cublas-cu12')}".strip("-")
    folder = os.path.join(cache, "mmtf", name)
    if not version.startswith(FLAGS_FOR_TENSORFLOW) or len(folder.split()) > 1:
        return
    if not os.path.isabs(folder) or any(
        one in os.environ.get("XLA_FLAGS", "") for one in AUTOTUNE_CACHE_FLAGS
    ):
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        for name in AUTOTUNE_CACHE_FLAGS:
            _add_xla_flag(f"--{name}={folder}")


def _version_of(package: str) -> str:
    """Version of a package; "" if it is not installed by this name (as with tensorflow-cpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _add_xla_flag(flag: str) -> None:
    given = os.environ.get("XLA_FLAGS", "").strip()
    if flag.partition("=")[0] not in given and (not given or given.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{given} {flag}".strip()


def environment() -> dict[str, str]:
    """Environment variables that the commands set for TensorFlow, unless the user has set them.

    They turn off TensorFlow's log and, on x86, turn on oneDNN's kernels. By default TensorFlow uses
    these only on CPUs with AVX512-VNNI. On a CPU with AVX2 only they also help: a step of
    adversarial training takes about 0.6 of the time.
    """
    onednn = {"TF_ENABLE_ONEDNN_OPTS": "1"} if platform.machine() in ("x86_64", "AMD64") else {}
    return {"TF_CPP_MIN_LOG_LEVEL": "3"} | onednn


def import_tensorflow() -> None:
    """Imports TensorFlow with `environment()` and the XLA flags, without output on stderr.

    If the import fails, what TensorFlow printed is shown and the exception is passed on. Nothing is
    done if TensorFlow is already imported.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.update(environment() | os.environ)
    set_xla_flags()
    if os.path.exists(NVIDIA_DEVICE):
        cache_xla_autotuning()
    _import_silently()
    import absl.logging

    absl.logging.set_verbosity(absl.logging.ERROR)


def import_quietly() -> None:
    """Imports TensorFlow without the lines that it prints on stderr, for use from Python.

    Nothing is changed where it has been imported, or where the user has set TF_CPP_MIN_LOG_LEVEL,
    which shows them.
    """
    if "tensorflow" not in sys.modules and "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = environment()["TF_CPP_MIN_LOG_LEVEL"]
        _import_silently()


def _import_silently() -> None:
    """Imports TensorFlow; what it prints on stderr is shown if that fails."""
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

"""How the commands start TensorFlow: environment, XLA's flags, and no log lines of its own."""

import contextlib
import importlib.metadata
import os
import platform
import sys

# The flags below are for the XLA of this TensorFlow only: XLA ends the process over a flag that it
# does not know.
FLAGS_FOR_TENSORFLOW = "2.21."
# It chooses matrix products of Triton's that it cannot compile: seen on an H100 with batches of 64
# in bfloat16. Without them it takes cuBLAS'.
DISABLE_TRITON_GEMM = "--xla_gpu_enable_triton_gemm=false"
# Folders in which it keeps what its autotuning found.
AUTOTUNE_CACHE_FLAGS = (
    "xla_gpu_per_fusion_autotune_cache_dir",
    "xla_gpu_experimental_autotuner_cache_dir",
)
NVIDIA_DEVICE = "/dev/nvidiactl"  # exists where NVIDIA's driver runs


def set_xla_flags() -> None:
    """Adds DISABLE_TRITON_GEMM to XLA_FLAGS, which XLA reads when it first compiles.

    They are left as they are where the user has set that flag or names a file of flags, and with
    another TensorFlow.
    """
    if _version_of("tensorflow").startswith(FLAGS_FOR_TENSORFLOW):
        _add_xla_flag(DISABLE_TRITON_GEMM)


def cache_xla_autotuning() -> None:
    """Has XLA keep, in the user's cache folder, which kernels it found fastest on a GPU.

    Autotuning is most of a first compilation there. Nothing is kept where that folder cannot be
    written to, where the user has set one of AUTOTUNE_CACHE_FLAGS or names a file of flags, and
    with another TensorFlow.
    """
    version = _version_of("tensorflow")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # XLA's own key has the GPU's model, but not the version of cuBLAS.
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
    """Empty where it is not installed under this name: TensorFlow may be tensorflow-cpu."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _add_xla_flag(flag: str) -> None:
    given = os.environ.get("XLA_FLAGS", "").strip()
    if flag.partition("=")[0] not in given and (not given or given.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{given} {flag}".strip()


def environment() -> dict[str, str]:
    """Environment variables that the commands start TensorFlow with, unless the user has set them.

    They silence TensorFlow's log and, on x86, turn on oneDNN's kernels. TensorFlow leaves these off
    where a CPU lacks AVX512-VNNI, but even with AVX2 only, a step of adversarial training takes
    about 0.6 of the time with them.
    """
    onednn = {"TF_ENABLE_ONEDNN_OPTS": "1"} if platform.machine() in ("x86_64", "AMD64") else {}
    return {"TF_CPP_MIN_LOG_LEVEL": "3"} | onednn


def import_tensorflow() -> None:
    """Imports TensorFlow with `environment()`; what it prints on stderr is shown if that fails."""
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

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
DRIVER = "/dev/nvidiactl"  # there where a GPU of NVIDIA's is
# Of the same TensorFlow's XLA: folders of what it tried.
CACHES = ("xla_gpu_per_fusion_autotune_cache_dir", "xla_gpu_experimental_autotuner_cache_dir")


def set_xla_flags() -> None:
    """Adds NO_TRITON to XLA_FLAGS, which XLA reads when it first compiles.

    Left as they are where the user names that flag, gives a file of flags, or has another
    TensorFlow.
    """
    if _version_of("tensorflow").startswith(TRITON_FAILS):
        _add_xla_flag(NO_TRITON)


def keep_what_xla_tries() -> None:
    """Has XLA keep, in the user's cache folder, which kernels it found fastest on a GPU.

    Trying them takes most of a first compilation there. Nothing is kept where that folder cannot
    be written to, nor where the user names one of these flags, and so on as above.
    """
    version = _version_of("tensorflow")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    # XLA's own key knows the card, but not cuBLAS.
    name = f"xla-{version}-{_version_of('nvidia-cublas-cu12')}".strip("-")
    folder = os.path.join(cache, "mmtf", name)
    if not version.startswith(TRITON_FAILS) or len(folder.split()) > 1:
        return
    if not os.path.isabs(folder) or any(one in os.environ.get("XLA_FLAGS", "") for one in CACHES):
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        for name in CACHES:
            _add_xla_flag(f"--{name}={folder}")


def _version_of(package) -> str:
    """Empty where there is none: of TensorFlow a build of another name, tensorflow-cpu say."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _add_xla_flag(flag):
    given = os.environ.get("XLA_FLAGS", "").strip()
    if flag.partition("=")[0] not in given and (not given or given.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{given} {flag}".strip()


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
    if os.path.exists(DRIVER):
        keep_what_xla_tries()
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

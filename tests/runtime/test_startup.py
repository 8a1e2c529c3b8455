"""What TensorFlow finds in its environment when a command starts it."""

import os
import platform
import subprocess
import sys

import pytest

from mmtf.runtime import startup

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A TensorFlow that prints what it finds, in the place of the installed one: that takes seconds.
STANDING_IN = """
import os
import types

print(os.environ.get("{}", ""))
config = types.SimpleNamespace(list_physical_devices=lambda: [])
"""
START = "from mmtf.runtime import startup; startup.import_tensorflow()"


@pytest.fixture
def seen(tmp_path):
    """seen(name, environment): the value that TensorFlow finds when a command starts it."""

    def seen(name, environment):
        (tmp_path / "tensorflow.py").write_text(STANDING_IN.format(name))
        done = subprocess.run(
            [sys.executable, "-c", START],
            env=environment | {"PYTHONPATH": os.pathsep.join([str(tmp_path), ROOT])},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    return seen


@pytest.mark.parametrize("machine, found", [("x86_64", "1"), ("AMD64", "1"), ("aarch64", None)])
def test_onednn_is_on_where_it_wins(monkeypatch, machine, found):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert startup.environment().get("TF_ENABLE_ONEDNN_OPTS") == found


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="set on x86 alone")
@pytest.mark.parametrize("given, value", [(None, "1"), ("0", "0")])
def test_what_the_user_has_set_stays(seen, given, value):
    name = "TF_ENABLE_ONEDNN_OPTS"
    environment = {key: value for key, value in os.environ.items() if key != name}
    environment |= {name: given} if given else {}
    assert seen(name, environment) == value


def test_mmtf_from_python_silences_tensorflow():
    environment = {key: value for key, value in os.environ.items() if "TF_CPP" not in key}
    code = "import mmtf, os; mmtf.ThreatModel; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["3"] and done.stderr == ""


@pytest.mark.parametrize(
    "given, version, found",
    [
        (None, "2.21.0", startup.DISABLE_TRITON_GEMM),
        ("--xla_dump_to=x", "2.21.1", f"--xla_dump_to=x {startup.DISABLE_TRITON_GEMM}"),
        ("--xla_gpu_enable_triton_gemm=true", "2.21.0", "--xla_gpu_enable_triton_gemm=true"),
        ("flags.txt", "2.21.0", "flags.txt"),
        (None, "2.30.0", None),
    ],
)
def test_xla_takes_no_products_that_it_cannot_compile(monkeypatch, given, version, found):
    monkeypatch.setattr(startup.importlib.metadata, "version", lambda name: version)
    monkeypatch.setenv("XLA_FLAGS", given or "")
    if given is None:
        monkeypatch.delenv("XLA_FLAGS")
    startup.set_xla_flags()
    assert os.environ.get("XLA_FLAGS") == found


@pytest.mark.parametrize("version, kept", [("2.21.0", True), ("2.30.0", False)])
def test_xla_keeps_what_autotuning_found(tmp_path, monkeypatch, version, kept):
    monkeypatch.setattr(startup.importlib.metadata, "version", lambda name: version)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    startup.cache_xla_autotuning()
    folder = tmp_path / "mmtf" / f"xla-{version}-{version}"  # TensorFlow's, then cuBLAS'
    assert folder.is_dir() == kept
    added = [f"--{name}={folder}" for name in startup.AUTOTUNE_CACHE_FLAGS] if kept else []
    assert os.environ["XLA_FLAGS"].split() == ["--xla_dump_to=x", *added]


@pytest.mark.parametrize("name", startup.AUTOTUNE_CACHE_FLAGS)
def test_a_user_s_own_folder_counts_alone(tmp_path, monkeypatch, name):
    monkeypatch.setattr(startup.importlib.metadata, "version", lambda name: "2.21.0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", f"--{name}=mine")
    startup.cache_xla_autotuning()
    assert os.environ["XLA_FLAGS"] == f"--{name}=mine"


@pytest.mark.parametrize("cache", ["{}/file", "{}/with space", "relative"])
def test_a_cache_folder_that_cannot_be_used_is_not_named(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(startup.importlib.metadata, "version", lambda name: "2.21.0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", cache.format(tmp_path))
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    startup.cache_xla_autotuning()
    assert "XLA_FLAGS" not in os.environ
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_tensorflow_of_another_name_is_left_alone(monkeypatch):
    def unknown(name):
        raise startup.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(startup.importlib.metadata, "version", unknown)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    startup.set_xla_flags()
    assert "XLA_FLAGS" not in os.environ


def test_the_commands_set_xlas_flags(seen):
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    installed = startup.importlib.metadata.version("tensorflow")
    assert (startup.DISABLE_TRITON_GEMM in seen("XLA_FLAGS", environment)) is installed.startswith(
        startup.FLAGS_FOR_TENSORFLOW
    )

"""What TensorFlow finds in its environment when a command starts it."""

import os
import platform
import subprocess
import sys

import pytest

from mmtf import quiet


@pytest.mark.parametrize("machine, found", [("x86_64", "1"), ("AMD64", "1"), ("aarch64", None)])
def test_onednn_is_on_where_it_wins(monkeypatch, machine, found):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert quiet.settings().get("TF_ENABLE_ONEDNN_OPTS") == found


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="set on x86 alone")
@pytest.mark.parametrize("given, found", [(None, "1"), ("0", "0")])
def test_what_the_user_has_set_counts(given, found):
    code = "import os; from mmtf import quiet; quiet.import_tensorflow(); print(os.environ[NAME])"
    name = "TF_ENABLE_ONEDNN_OPTS"
    environment = {key: value for key, value in os.environ.items() if key != name}
    environment |= {name: given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", f"NAME = {name!r}; {code}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [found]


@pytest.mark.parametrize(
    "given, found",
    [
        (None, quiet.NO_TRITON),
        ("--xla_dump_to=x", f"--xla_dump_to=x {quiet.NO_TRITON}"),
        ("--xla_gpu_enable_triton_gemm=true", "--xla_gpu_enable_triton_gemm=true"),
    ],
)
def test_xla_goes_without_tritons_products_unless_the_user_says_so(monkeypatch, given, found):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given:
        monkeypatch.setenv("XLA_FLAGS", given)
    assert quiet.xla_flags() == found

"""Where a figure comes from: the commit of a checkout, and of a copy without its repository."""

import pytest

from mmtf.storage import provenance


def test_a_copy_without_its_repository_says_what_it_is_told(monkeypatch):
    monkeypatch.setattr(provenance.os.path, "exists", lambda path: False)
    monkeypatch.delenv("MMTF_COMMIT", raising=False)
    assert provenance._commit() is None
    monkeypatch.setenv("MMTF_COMMIT", "")
    assert provenance._commit() is None
    monkeypatch.setenv("MMTF_COMMIT", "0123abc")
    assert provenance._commit() == "0123abc"


@pytest.mark.parametrize("status, found", [("", "f" * 40), ("M x", "f" * 40 + "+changes")])
def test_a_checkout_says_its_own(monkeypatch, status, found):
    answers = {"rev-parse": "f" * 40, "status": status}
    monkeypatch.setenv("MMTF_COMMIT", "told")
    monkeypatch.setattr(provenance, "_git", lambda folder, verb, *arguments: answers[verb])
    monkeypatch.setattr(provenance.os.path, "exists", lambda path: True)
    assert provenance._commit() == found


def test_what_kernels_and_compilers_were_told(monkeypatch):
    for name in provenance.DECIDING:
        monkeypatch.delenv(name, raising=False)
    assert provenance.environment() == {}
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0 --xla_gpu_cuda_data_dir=/a/folder")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", " ")
    assert provenance.provenance()["environment"] == {
        "XLA_FLAGS": "--xla_gpu_autotune_level=0 --xla_gpu_cuda_data_dir",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }

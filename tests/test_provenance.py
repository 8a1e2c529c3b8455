"""Where a figure comes from: the commit of a checkout, and of a copy without its repository."""

import pytest

from mmtf import provenance


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

"""Files that are whole or absent."""

import json
import os
import stat

import pytest

from mmtf.reports import read_json, write_json
from mmtf.storage.files import write_atomically


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "record.json")


def test_round_trip(path):
    for value in ({"a": [1, 2.5, None, "é"], "b": {"c": True}}, []):  # the second replaces
        write_json(path, value)
        assert read_json(path) == value
        with open(path) as source:
            assert json.load(source) == value
    assert os.listdir(os.path.dirname(path)) == ["record.json"]


@pytest.mark.parametrize("value", [{"a": object()}, {"error": float("nan")}])
def test_what_is_no_json_leaves_the_old_file(path, value):
    write_json(path, "old")
    with pytest.raises((TypeError, ValueError)):
        write_json(path, {"first": 1, **value})
    assert read_json(path) == "old"
    assert os.listdir(os.path.dirname(path)) == ["record.json"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_the_old_file_and_no_litter(path, error):
    write_json(path, "old")

    def write(temporary):
        assert os.path.dirname(temporary) == os.path.dirname(path)  # a rename cannot cross disks
        with open(temporary, "w") as target:
            target.write("half")
        raise error

    with pytest.raises(error):
        write_atomically(path, write)
    assert read_json(path) == "old"
    assert os.listdir(os.path.dirname(path)) == ["record.json"]


def test_a_writer_that_leaves_no_file(path):
    write_json(path, "old")
    with pytest.raises(FileNotFoundError):
        write_atomically(path, os.unlink)
    assert read_json(path) == "old"


def test_the_suffix_is_kept(tmp_path):
    seen = []

    def write(temporary):
        seen.append(temporary)
        with open(temporary, "w") as target:
            target.write("x")

    write_atomically(str(tmp_path / "net.v1.keras"), write)
    assert seen[0].endswith(".keras") and seen[0] != str(tmp_path / "net.v1.keras")
    assert os.listdir(tmp_path) == ["net.v1.keras"]


@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read(path, mask, mode):
    before = os.umask(mask)
    try:
        write_json(path, 1)
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_a_torn_file_is_named(path):
    with open(path, "w") as target:
        target.write('{"a": ')
    with pytest.raises(ValueError, match="Expected JSON in .*record.json. Received: .*Move the"):
        read_json(path)

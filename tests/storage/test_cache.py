"""Files named by a key of what decides them: found again, made again where damaged."""

import pathlib

from mmtf.storage import cache
from mmtf.storage.files import read_json


def test_what_is_saved_is_loaded_and_keyed_by_every_value(tmp_path, monkeypatch):
    folder = str(tmp_path / "cells")
    entry = cache.entry(folder, ["pgd", 0.3, {"b": 1, "a": None}], ".json", prefix="cell-")
    assert not entry.is_kept() and entry.load(read_json) is None
    entry.save(lambda path: pathlib.Path(path).write_text("[1]"))
    same = cache.entry(folder, ["pgd", 0.3, {"a": None, "b": 1}], ".json", prefix="cell-")
    assert same.is_kept() and same.load(read_json) == [1]
    assert entry.beside(".npz") == entry.path.replace(".json", ".npz")
    others = [["pgd", 0.3], ["fgsm", 0.3, {"b": 1, "a": None}], ["pgd", 0.31, {"b": 1, "a": None}]]
    assert not any(cache.entry(folder, one, ".json", prefix="cell-").is_kept() for one in others)
    monkeypatch.setattr(cache, "source_digest", lambda: "of another mmtf")
    assert not cache.entry(folder, ["pgd", 0.3, {"b": 1, "a": None}], ".json", "cell-").is_kept()


def test_a_damaged_file_is_told_in_one_line_and_made_again(tmp_path, capsys):
    entry = cache.entry(str(tmp_path), [1], ".json")
    (tmp_path / entry.path.rpartition("/")[2]).write_text("{")
    assert entry.load(read_json) is None
    told = capsys.readouterr().err
    assert told.startswith(f"! {entry.path} cannot be read") and told.count("\n") == 1


def test_nothing_is_kept_without_a_folder():
    entry = cache.entry(None, [1], ".json")
    entry.save(lambda path: 1 / 0)
    assert entry.load(read_json) is None and not entry.is_kept()

import json

import evaluation_records as records
import pytest

from mmtf.errors import ConfigError
from mmtf.reports import write_html
from mmtf.reports.page import evaluation_html


@pytest.fixture
def kept(tmp_path):
    """The record and the images of a small evaluation, as written by the command."""
    record = records.record_of(models=["net"], attacks=["none", "pgd"], etas=[0.1, 0.3])
    images = records.images_of(record)
    (tmp_path / "record.json").write_text(json.dumps(record))
    (tmp_path / "images.json").write_text(json.dumps(images))
    return tmp_path, record, images


def test_a_record_renders_the_same_page_again(kept):
    folder, record, images = kept
    for given in (folder, folder / "record.json"):
        path = write_html(str(given))
        assert path == str(folder / "report.html")
        assert (folder / "report.html").read_text("utf-8") == evaluation_html(record, images)


def test_without_images_and_elsewhere(kept):
    folder, record, _ = kept
    (folder / "images.json").unlink()
    path = write_html(str(folder / "record.json"), str(folder / "other.html"))
    assert not (folder / "report.html").exists()
    assert (folder / "other.html").read_text("utf-8") == evaluation_html(record)
    assert path == str(folder / "other.html")


def test_a_record_in_the_working_directory(kept, monkeypatch):
    folder, _, _ = kept
    monkeypatch.chdir(folder)
    assert write_html("record.json") == "report.html" and (folder / "report.html").exists()


@pytest.mark.parametrize("content", ["[]", "5", "{}", '{"results": []}', "{", '{"cells": []}'])
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ConfigError, match="^Expected [^\n]*$"):
        write_html(str(tmp_path / "record.json"))
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("error", "x"), ("error", 7.5), ("error", float("nan")), ("defense", 3), ("attack", "pgd")],
)
def test_a_cell_edited_by_hand_is_refused(kept, name, value):
    folder, record, _ = kept
    record["cells"][-1][name] = value  # the worst case of the last radius
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="^Expected [^\n]*$"):
        write_html(str(folder))

"""Where a model came from, as a record tells it."""

import hashlib

from mmtf.evaluation.report import model_source


def test_a_model_is_known_by_its_path_and_the_hash_of_its_files(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"a model")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "classifier.keras").write_bytes(b"a model")
    expected = hashlib.sha256(b"a model").hexdigest()
    for name in ("net.keras", "run", "run/"):
        path = str(tmp_path / name)
        assert model_source(path) == {"path": path, "sha256": expected}


def test_a_saved_model_is_its_graph_and_its_variables(tmp_path):
    (tmp_path / "variables").mkdir()
    for name, content in (("index", b"2"), ("data-0", b"1")):
        (tmp_path / "variables" / name).write_bytes(content)
    (tmp_path / "saved_model.pb").write_bytes(b"0")
    (tmp_path / "assets.txt").write_bytes(b"3")
    found = model_source(str(tmp_path))["sha256"]
    assert found == hashlib.sha256(b"012").hexdigest()

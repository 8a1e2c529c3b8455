"""TensorBoard's logs: read back, and no reason to stop where they cannot be written."""

import tensorflow as tf

from mmtf.training.logs import Logs


def test_scalars_are_read_back(tmp_path):
    logs = Logs(str(tmp_path), {"eta": 0.3, "steps": [1, 2], "net": {"dropout": None}})
    logs.scalars(3, {"risk": 0.5})
    logs.close()
    (path,) = tmp_path.iterdir()
    values = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag == "risk"
    }
    assert values == {"risk": (3, 0.5)}


def test_a_full_disk_is_told_once(tmp_path, monkeypatch, capsys):
    logs = Logs(str(tmp_path), {})

    def full():
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nat ...")

    monkeypatch.setattr(logs._writer, "flush", full)
    logs.scalars(1, {"risk": 0.5})
    logs.scalars(2, {"risk": 0.4})
    said = capsys.readouterr().err
    assert said.count("WARNING: TensorBoard's logs cannot be written: No space left") == 1
    assert len(said.splitlines()) == 1


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    logs = Logs(str(tmp_path / "file" / "logs"), {"eta": 0.3})
    logs.scalars(1, {"risk": 0.5})
    logs.close()
    assert capsys.readouterr().err.count("TensorBoard's logs cannot be written") == 1

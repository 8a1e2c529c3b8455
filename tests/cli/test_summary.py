"""What a run prints at its end."""

import pathlib

from mmtf.cli.summary import print_run
from mmtf.runs.reading import read_record

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "data" / "run" / "record.json"


def test_rows_are_explained_and_an_empty_column_is_left_out(capsys):
    record = read_record(str(GOLDEN))
    print_run(record, "runs/mine")
    out = capsys.readouterr().out
    assert "fgsm_curr" in out and "paper" not in out
    assert "X_curr: attack X against this classifier; worst: images that any" in out
    record["results"][0]["paper"] = 0.026
    print_run(record, "runs/mine")
    out = capsys.readouterr().out
    assert "paper" in out and "0.026" in out

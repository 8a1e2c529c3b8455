"""Timed processes whose blocks alternate."""

import pytest

from benchmarks.interleave import TimedProcess, interleaved


def test_no_name_always_follows_the_same_one():
    assert list(interleaved(["a", "b", "c"], 3)) == [*"abc", *"cba", *"abc"]


def test_a_process_that_dies_says_why():
    with pytest.raises(RuntimeError, match="first died: .*no such setting"):
        TimedProcess("first", ["-c", "raise SystemExit('no such setting')"])
    late = "import sys; print('{}', flush=True); input(); sys.exit('out of memory')"
    one = TimedProcess("second", ["-c", late])
    with pytest.raises(RuntimeError, match="second died: .*out of memory"):
        one.go()
    one.close()

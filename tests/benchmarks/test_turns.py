"""Processes that are timed in turns."""

import pytest

from benchmarks.turns import Waiting, in_turns


def test_nobody_always_comes_after_the_same_one():
    assert list(in_turns(["a", "b", "c"], 3)) == [*"abc", *"cba", *"abc"]


def test_a_process_that_dies_says_why():
    with pytest.raises(RuntimeError, match="first died: .*no such setting"):
        Waiting("first", ["-c", "raise SystemExit('no such setting')"])
    late = "import sys; print('{}', flush=True); input(); sys.exit('out of memory')"
    one = Waiting("second", ["-c", late])
    with pytest.raises(RuntimeError, match="second died: .*out of memory"):
        one.go()
    one.close()

"""Jobs in the order of their needs, whatever becomes of some."""

import concurrent.futures
import os
import sys
import types

import pytest

from mmtf.errors import ConfigError
from scripts.paper import executors
from scripts.paper.cells import Track
from scripts.paper.jobs import Job, Plan
from scripts.paper.settings import settings_of
from scripts.paper.workers import Place, _command, in_order


def job(name, *needs):
    return Job("train", Track("mnist"), 0.3, 0, name, needs=tuple(map(full, needs)), seconds=1.0)


def full(name):
    return job(name).name


class Futures:
    """Starts jobs that have ended already, with a chosen status or exception."""

    def __init__(self, **ends):
        self.ends = {full(name): list(end) for name, end in ends.items()}
        self.started = []

    def __call__(self, one):
        self.started.append(one.subject)
        future = concurrent.futures.Future()
        end = self.ends.get(one.name, [0]).pop(0)
        if isinstance(end, Exception):
            future.set_exception(end)
        else:
            future.set_result((end, 1.0))
        return future


def do(jobs, start, slots=1):
    lines = []
    failed = in_order(jobs, start, slots, lambda one: os.devnull, lines.append)
    return failed, lines


def test_in_the_order_of_needs():
    start = Futures()
    failed, lines = do([job("c", "b"), job("b", "a"), job("a")], start)
    assert start.started == ["a", "b", "c"] and failed == {}
    assert lines[-1].startswith("[3/3] train-c-mnist")


def test_a_failure_stops_only_what_needs_it():
    start = Futures(a=[1])
    failed, _ = do([job("a"), job("b", "a"), job("c", "b"), job("d")], start, slots=2)
    assert start.started == ["a", "d"]
    assert set(failed) == {full("a"), full("b"), full("c")}
    assert failed[full("b")] == f"not begun: {full('a')} failed"


def test_what_dies_with_its_worker_is_tried_once_more():
    start = Futures(a=[RuntimeError("lost"), 0], b=[-9, -9])
    failed, lines = do([job("a"), job("b")], start)
    assert start.started == ["a", "a", "b", "b"]
    assert list(failed) == [full("b")] and "killed" in failed[full("b")]
    assert any("once more" in line for line in lines)


def test_no_more_at_once_than_slots():
    running, most = set(), []

    def start(one):
        future = concurrent.futures.Future()
        running.add(future)
        most.append(len([each for each in running if not each.done()]))
        pool.submit(future.set_result, (0, 0.0))
        return future

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        do([job(str(number)) for number in range(6)], start, slots=2)
    assert max(most) <= 2


def test_a_process_leaves_its_status_and_its_log(tmp_path):
    log = str(tmp_path / "logs" / "one.log")
    with executors.executor("local", 1) as pool:
        code = "import os, sys; print(os.environ['TF_NUM_INTRAOP_THREADS']); sys.exit(3)"
        status, seconds = pool.submit(executors.run_process, ["-c", code], log, 2).result()
    assert status == 3 and seconds > 0 and executors.last_lines(log) == "2"
    assert executors.last_lines(str(tmp_path / "none.log")) == "no log"


def test_a_log_that_names_failed_cells_is_told_by_them(tmp_path):
    log = tmp_path / "one.log"
    log.write_text("a\nFAILED lwa under pgd_curr: no\nb\n")
    assert executors.last_lines(str(log)) == "FAILED lwa under pgd_curr: no"


def test_cores_are_shared():
    assert 1 <= executors.default_jobs() <= executors.cores()


@pytest.mark.parametrize("cores, jobs", [(1, 1), (2, 2), (4, 2), (8, 2), (16, 4)])
def test_jobs_at_once_by_default(monkeypatch, cores, jobs):
    monkeypatch.setattr(executors, "cores", lambda: cores)
    assert executors.default_jobs() == jobs


def test_jobs_of_two_reproductions_in_one_store_have_files_of_their_own(tmp_path):
    settings = {Track("mnist"): settings_of(Track("mnist"))}
    plan = Plan([job("a")], settings, 0)
    store = str(tmp_path)
    paths = {_command(job("a"), plan, Place(store, root))[-1] for root in ("one", "two", "one")}
    assert len(paths) == 2


def test_engines_are_checked(monkeypatch):
    with pytest.raises(ConfigError, match="engine"), executors.executor("ray", 1):
        pass
    # Dask is missing; or another folder on the path has its name.
    for found in (None, types.ModuleType("distributed")):
        monkeypatch.setitem(sys.modules, "distributed", found)
        with pytest.raises(ConfigError, match="cluster"), executors.executor("dask", 1):
            pass


@pytest.mark.slow
def test_two_dask_workers_and_one_of_them_killed(tmp_path):
    """The second job kills its worker once; it is done again elsewhere, no other job is lost."""
    pytest.importorskip("distributed.client")  # tests/distributed has no such module
    flag = tmp_path / "killed"
    kill = (
        "import os, pathlib, signal, time\n"
        f"flag = pathlib.Path({str(flag)!r})\n"
        "if not flag.exists():\n"
        "    flag.touch(); os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)\n"
    )
    codes = {"a": "pass", "b": kill, "c": "pass", "d": "import sys; sys.exit(4)"}
    jobs = [job("a"), job("b"), job("c", "b"), job("d")]
    with executors.executor("dask", 2) as pool:

        def start(one):
            command = ["-c", codes[one.subject]]
            return pool.submit(executors.run_process, command, str(tmp_path / f"{one.subject}.log"))

        failed, _ = do(jobs, start, slots=4)
    assert list(failed) == [full("d")] and flag.exists()

"""Executors of jobs: local processes, or Dask's workers on several machines."""

import concurrent.futures
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from mmtf.errors import ConfigError, require_choice

ENGINES = ("local", "dask")
# Steps of these small nets gain little from more cores: on two cores, two jobs of one core each did
# 1.27 times the LWA steps of one job on both (a CPU with AVX2).
CORES_A_JOB, LEAST_JOBS = 4, 2


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_jobs() -> int:
    """Returns the default number of concurrent jobs: one per four cores, two on fewer cores."""
    return min(cores(), max(LEAST_JOBS, cores() // CORES_A_JOB))


@contextlib.contextmanager
def executor(
    engine: str, jobs: int, scheduler: str | None = None
) -> Iterator[concurrent.futures.Executor]:
    """A concurrent.futures.Executor for `run_process`.

    Args:
      engine: `local`, or `dask`: the workers of `scheduler`, or `jobs` workers started here. They
        must see the same folders under the same names.
      jobs: > 0.
      scheduler: address of Dask's scheduler.

    Raises:
      ConfigError: Dask is not installed.
    """
    require_choice("engine", engine, ENGINES)
    if engine == "local":
        pool = concurrent.futures.ThreadPoolExecutor(jobs)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return
    try:
        from distributed import Client

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
    except ImportError as error:
        raise ConfigError(
            "Expected Dask for --engine=dask. Received: none. pip install 'mmtf[cluster]'."
        ) from error
    # A job uses all of a worker's cores, so each worker takes one job at a time.
    options = {"n_workers": jobs, "threads_per_worker": 1, "dashboard_address": None}
    with Client(scheduler, **({} if scheduler else options)) as client:
        yield client.get_executor(pure=False)


def run_process(command: list[str], log: str, threads: int | None = None) -> tuple[int, float]:
    """Runs `command` with its output in `log`; returns (exit status, seconds).

    Args:
      command: arguments of the Python interpreter.
      log: path of the log file.
      threads: number of TensorFlow's threads; None: one for each core.
    """
    env = dict(os.environ)
    if threads:
        env |= {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        env.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several processes on one GPU
    os.makedirs(os.path.dirname(log), exist_ok=True)
    began = time.monotonic()
    with open(log, "w") as out:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=out, stderr=subprocess.STDOUT, env=env
        )
        try:
            return process.wait(), time.monotonic() - began
        except BaseException:
            process.send_signal(signal.SIGTERM)
            raise


def last_lines(path: str, count: int = 3) -> str:
    """Returns the log's lines on failed cells, or its last lines if there are none."""
    if not os.path.exists(path):
        return "no log"
    with open(path, errors="replace") as lines:
        kept = [line.strip() for line in lines if line.strip()]
    cells = [line for line in kept[-count * 10 :] if line.startswith("FAILED ")]
    return "; ".join(cells or kept[-count:])[-600:] or "an empty log"

"""Runs jobs in the order of their dependencies; a failure skips only the jobs that depend on it."""

import concurrent.futures
import dataclasses
import json
import os
import time
from collections.abc import Callable

from mmtf.storage.digest import sha256
from mmtf.storage.files import write_json
from scripts.paper import executors
from scripts.paper.jobs import Job, Plan

# A job whose worker was killed is started again and resumes from its checkpoint or records.
ATTEMPTS = 2
Say = Callable[[str], object]


@dataclasses.dataclass(frozen=True)
class Place:
    """Folders of a reproduction.

    Attributes:
      store: folder of the trained runs and of the jobs' logs.
      root: folder of the records.
      again: measure cells that already have a record.
    """

    store: str
    root: str
    again: bool = False


def do(
    plan: Plan,
    place: Place,
    *,
    engine: str = "local",
    at_once: int = 1,
    scheduler: str | None = None,
    say: Say = print,
) -> dict[str, str]:
    """Does the plan's jobs.

    Args:
      plan: from `make_plan`.
      place: folders of the reproduction.
      engine, scheduler: see `executors.executor`.
      at_once: number of concurrent jobs.
      say: called with a line for every job.

    Returns:
      Name of job -> why it failed or was not started; empty if all jobs are done.
    """
    threads = max(1, executors.cores() // at_once) if at_once > 1 else None
    # Dask has its own number of workers and queue, so it is given every job that can be done.
    slots = at_once if engine == "local" else len(plan.jobs)
    logs: dict[Job, str] = {}
    with executors.executor(engine, at_once, scheduler) as pool:

        def start(job):
            command = _command(job, plan, place)
            logs[job] = command[-1].removesuffix(".json") + ".log"
            return pool.submit(executors.run_process, command, logs[job], threads)

        return in_order(plan.jobs, start, slots, logs.get, say)


def in_order(
    jobs: list[Job],
    start: Callable[[Job], concurrent.futures.Future],
    slots: int,
    log_of: Callable[[Job], str],
    say: Say,
) -> dict[str, str]:
    """Keeps up to `slots` jobs running, the first ones whose dependencies are done.

    Args:
      jobs: the jobs, in an order in which they can be done.
      start: start(job) -> a future of (exit status, seconds).
      slots: number of concurrent jobs, > 0.
      log_of: log_of(job) -> the file with its output.
      say: called with a line for every job.

    Returns:
      Name of job -> why it failed or was not started.
    """
    waiting, running, done, failed = list(jobs), {}, set(), {}
    attempts: dict[str, int] = {}
    began, spent = time.monotonic(), 0.0
    total = sum(job.seconds for job in jobs)
    while waiting or running:
        for job in list(waiting):
            lost = [name for name in job.needs if name in failed]
            if lost:
                waiting.remove(job)
                failed[job.name] = f"not begun: {lost[0]} failed"
            elif set(job.needs) <= done and len(running) < slots:
                waiting.remove(job)
                attempts[job.name] = attempts.get(job.name, 0) + 1
                running[start(job)] = job
        if not running:
            continue
        finished, _ = concurrent.futures.wait(
            running, return_when=concurrent.futures.FIRST_COMPLETED
        )
        for future in finished:
            job = running.pop(future)
            problem, seconds = _outcome(future, log_of(job))
            if problem and problem.startswith("killed") and attempts[job.name] < ATTEMPTS:
                say(f"{job.name}: {problem}; once more")
                waiting.insert(0, job)
                continue
            spent += job.seconds
            if problem:
                failed[job.name] = problem
            else:
                done.add(job.name)
            left = (time.monotonic() - began) * (total - spent) / max(spent, 1e-9)
            say(
                f"[{len(done) + len(failed)}/{len(jobs)}] {job.name}: "
                f"{'FAILED' if problem else 'done'} in {seconds / 60:.1f} min, "
                f"about {left / 60:.0f} min left"
            )
    return failed


def _outcome(future, log) -> tuple[str | None, float]:
    """Returns (error message or None, seconds)."""
    try:
        status, seconds = future.result()
    except Exception as error:
        return f"killed with its worker ({type(error).__name__}: {error})", 0.0
    if status < 0:
        return f"killed by signal {-status} (out of memory?)", seconds
    if status:
        return f"exit status {status}: {executors.last_lines(log)} (log: {log})", seconds
    return None, seconds


def _command(job: Job, plan: Plan, place: Place) -> list[str]:
    """Writes the job's file, named by a hash of its content, as reproductions may share a store."""
    given = {
        "job": job.to_dict(),
        "settings": dataclasses.asdict(plan.settings[job.track]),
        "store": os.path.abspath(place.store),
        "root": os.path.abspath(place.root),
        "again": place.again,
    }
    content = sha256(json.dumps(given, sort_keys=True))[:8]
    path = os.path.abspath(os.path.join(place.store, "jobs", f"{job.name}-{content}.json"))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write_json(path, given)
    return ["-m", "scripts.paper.work", path]

"""Jobs done in the order of their needs; a failure stops only what needs it."""

import concurrent.futures
import dataclasses
import json
import os
import time

from mmtf.storage.digest import sha256
from mmtf.storage.files import write_json
from scripts.paper import engines
from scripts.paper.jobs import Job, Plan

# A worker that dies takes the job down with it; the job goes on from its checkpoint or records.
ATTEMPTS = 2


@dataclasses.dataclass(frozen=True)
class Place:
    """Attributes:
    store: folder of the trained runs, and of the jobs' logs.
    root: folder of the records.
    again: measure what is there already.
    """

    store: str
    root: str
    again: bool = False


def do(plan: Plan, place: Place, *, engine="local", at_once=1, scheduler=None, say=print) -> dict:
    """Does the plan's jobs.

    Args:
      plan: from `make_plan`.
      place: where.
      engine, at_once, scheduler: see `engines.executor`.
      say: takes a line for every job.

    Returns:
      Name of job -> why it failed or was not begun; empty where all is done.
    """
    threads = max(1, engines.cores() // at_once) if at_once > 1 else None
    # Dask's workers are as many as they are: it gets all that can be done and queues it.
    slots = at_once if engine == "local" else len(plan.jobs)
    logs: dict[Job, str] = {}
    with engines.executor(engine, at_once, scheduler) as pool:

        def start(job):
            command = _command(job, plan, place)
            logs[job] = command[-1].removesuffix(".json") + ".log"
            return pool.submit(engines.run_process, command, logs[job], threads)

        return in_order(plan.jobs, start, slots, logs.get, say)


def in_order(jobs: list[Job], start, slots: int, log_of, say) -> dict:
    """Keeps up to `slots` jobs running, the first whose needs are met; waits for one at a time.

    Args:
      jobs: in an order in which they can be done.
      start: start(job) -> a future of (exit status, seconds).
      slots: > 0.
      log_of: log_of(job) -> the file with its output.
      say: takes a line for every job.

    Returns:
      Name of job -> why it failed or was not begun.
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
    """(what went wrong or None, seconds)."""
    try:
        status, seconds = future.result()
    except Exception as error:
        return f"killed with its worker ({type(error).__name__}: {error})", 0.0
    if status < 0:
        return f"killed by signal {-status} (out of memory?)", seconds
    if status:
        return f"exit status {status}: {engines.last_lines(log)} (log: {log})", seconds
    return None, seconds


def _command(job: Job, plan: Plan, place: Place) -> list[str]:
    """Its file is named by its content: several reproductions may share a store."""
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

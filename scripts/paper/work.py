"""`python -m scripts.paper.work JOB.json`: one job of a reproduction, in its own process."""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time

from mmtf.runtime import startup
from mmtf.storage.files import read_json
from mmtf.storage.lock import InUse
from scripts.paper.jobs import Job
from scripts.paper.players import CURVE, IMAGES
from scripts.paper.settings import Settings
from scripts.paper.store import Store, classifier_config

PATIENCE_SECONDS = 60


def main(argv: list[str]) -> int:
    """Does the job in argv[1]; 0 where all of it is done."""
    _leave_with_parent()
    given = read_json(argv[1])
    job, settings = Job.from_dict(given["job"]), Settings(**given["settings"])
    store = Store(given["store"])
    startup.import_tensorflow()
    if job.kind == "train":
        train(job, settings, store)
        return 0
    failed = measure(job, settings, store, given["root"], given["again"])
    for attack, reason in failed.items():
        print(f"FAILED {job.subject} under {attack}: {reason}", flush=True)
    return 1 if failed else 0


def train(job: Job, settings: Settings, store: Store) -> None:
    """Plays the job's game to its end, from where its folder stands."""
    from mmtf.data import load_data
    from mmtf.runs.experiment import run_experiment
    from mmtf.runs.rounds import kept_rounds, round_path, shown_rounds

    config = classifier_config(job.track, settings, job.subject, job.eta, job.seed)
    with contextlib.ExitStack() as stack:
        workdir = _enter_when_free(stack, store.workdir(config))
        if workdir.finished() is None:
            run_experiment(config, workdir, load_data(job.track.dataset))
        # What the tables show, and the classifier before the last, on which FGSM 80 is made.
        needed = {*shown_rounds(settings.rounds), settings.rounds - 1}
        for number in kept_rounds(workdir.round_dir):
            if number not in needed:
                os.unlink(round_path(workdir.round_dir, number))
        shutil.rmtree(workdir.checkpoint_dir, ignore_errors=True)


def measure(job: Job, settings: Settings, store: Store, root: str, again: bool) -> dict[str, str]:
    """Measures the job's cells; attack -> reason of those that failed."""
    from scripts.paper.gallery import write_gallery
    from scripts.paper.measuring import Bench, measure_cells, write_curve

    bench = Bench(settings, store, root, again)
    attacked = [cell for cell in job.cells if cell.attack not in (CURVE, IMAGES)]
    failed = measure_cells(attacked, bench)
    for cell in bench.wanted([cell for cell in job.cells if cell not in attacked]):
        if cell.attack == IMAGES:
            write_gallery(cell, bench)
        else:
            run = store.path(bench.config(cell, cell.defense))
            write_curve(cell, read_json(os.path.join(run, "record.json")), bench)
    return failed


def _enter_when_free(stack, workdir):
    """Enters the run's folder once no other process trains it: what that one leaves is used."""
    told = False
    while True:
        try:
            return stack.enter_context(workdir)
        except InUse:
            if not told:
                print(f"Waiting for the process that trains in {workdir.path}.", flush=True)
            told = True
            time.sleep(1)


def _leave_with_parent() -> None:
    """Ends this process soon after the one that started it, saving what a signal lets it save."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(sys.argv))

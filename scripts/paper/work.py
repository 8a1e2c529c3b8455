"""`python -m scripts.paper.work JOB.json`: runs one job of a reproduction."""

import contextlib
import os
import signal
import sys
import threading
import time

from mmtf.cli.errors import in_one_line
from mmtf.errors import require
from mmtf.runs.workdir import RUN
from mmtf.runtime import startup
from mmtf.storage.files import files_within, read_json, remove_files
from mmtf.storage.lock import InUse
from scripts.paper.jobs import Job
from scripts.paper.players import CURVE, IMAGES
from scripts.paper.settings import Settings
from scripts.paper.store import Store, classifier_config

PATIENCE_SECONDS = 60


@in_one_line("scripts.paper.work", takes_arguments=True)
def main(argv: list[str]) -> int:
    """Does the job in the file argv[1]; returns 0 if all of it is done."""
    require(len(argv) == 2, "one file JOB.json", argv[1:])
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
    """Plays the job's game to its end, resuming from its folder's last checkpoint."""
    from mmtf.data import load_data
    from mmtf.runs.experiment import run_experiment
    from mmtf.runs.rounds import kept_rounds, round_path, shown_rounds

    config = classifier_config(job.track, settings, job.subject, job.eta, job.seed)
    with contextlib.ExitStack() as stack:
        workdir = _enter_when_free(stack, store.workdir(config))
        if workdir.finished() is None:
            run_experiment(config, workdir, load_data(job.track.dataset))
        # Rounds that tables show, and the one before the last, on which FGSM 80 is crafted.
        needed = {*shown_rounds(settings.rounds), settings.rounds - 1}
        for number in kept_rounds(workdir.round_dir):
            if number not in needed:
                os.unlink(round_path(workdir.round_dir, number))
        folder = workdir.checkpoint_dir
        names = files_within(folder)
        ours = (name for name in names if name in ("checkpoint", RUN) or name.startswith("ckpt-"))
        remove_files(folder, ours)


def measure(job: Job, settings: Settings, store: Store, root: str, again: bool) -> dict[str, str]:
    """Measures the job's cells; returns attack -> reason, of the cells that failed."""
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
    """Enters the run's folder, waiting while another process trains in it."""
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
    """Sends this process SIGTERM when its parent has ended; kills it PATIENCE_SECONDS later."""
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

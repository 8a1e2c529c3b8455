"""The plan of a reproduction: jobs for missing cells, in order, with estimated durations."""

import collections
import dataclasses

from scripts.paper import costs
from scripts.paper.cells import Cell, Track
from scripts.paper.players import games_of
from scripts.paper.records import Results
from scripts.paper.settings import Settings
from scripts.paper.store import (
    Store,
    classifier_config,
    config_key,
    configs_of,
    is_current,
    is_of_today,
)


@dataclasses.dataclass(frozen=True)
class Job:
    """Work for one process.

    Attributes:
      kind: `train` or `measure`.
      track, eta, seed: track, radius and seed of its cells.
      subject: game to train, or row of the tables to measure.
      attacks: attacks to measure.
      needs: names of the jobs that must be done before.
      seconds: estimated duration.
    """

    kind: str
    track: Track
    eta: float
    seed: int
    subject: str
    attacks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.subject}-{self.track}-eta{self.eta:g}-seed{self.seed}"

    @property
    def cells(self) -> list[Cell]:
        """The cells that a measuring job measures."""
        return [
            Cell(self.track, self.eta, self.subject, attack, self.seed) for attack in self.attacks
        ]

    def to_dict(self) -> dict:
        return {**dataclasses.asdict(self), "track": str(self.track)}

    @classmethod
    def from_dict(cls, values: dict) -> "Job":
        track = Track.parse(values["track"])
        lists = {name: tuple(values[name]) for name in ("attacks", "needs")}
        return cls(**{**values, **lists, "track": track})


@dataclasses.dataclass(frozen=True)
class Plan:
    """Jobs and the settings under which they run.

    Attributes:
      jobs: the jobs, in an order in which they can be done.
      settings: settings of every track among the jobs.
      there: number of cells that already have a record.
      again: number of recorded cells that are measured again because their runs are trained again,
        so that no table mixes two trainings of one classifier.
    """

    jobs: list[Job]
    settings: dict[Track, Settings]
    there: int
    again: int = 0

    def text(self, at_once: int = 1, pace: float = 1.0) -> str:
        """Returns the list of jobs with estimated minutes.

        Args:
          at_once: number of concurrent jobs.
          pace: see `costs.pace`.
        """
        lines = [f"{self.there} cells have their records."]
        if self.again:
            lines[0] += f" {self.again} records of runs that the store lacks are made anew."
        for job in self.jobs:
            what = (
                job.subject if job.kind == "train" else f"{job.subject}: {', '.join(job.attacks)}"
            )
            where = f"{job.track} eta {job.eta:g} seed {job.seed}"
            lines.append(f"  {pace * job.seconds / 60:5.1f} min  {where:34} {job.kind:7} {what}")
        cells = sum(len(job.attacks) for job in self.jobs)
        minutes = pace * sum(job.seconds for job in self.jobs) / 60
        total = f"{len(self.jobs)} jobs, {cells} cells to measure: about {minutes:.0f} min"
        if at_once > 1:
            total += f" with {at_once} jobs at once"
        return "\n".join([*lines, total + (" on two cores like these." if self.jobs else ".")])


def make_plan(
    cells: list[Cell],
    settings: dict[Track, Settings],
    store: Store,
    root: str,
    again: bool = False,
) -> Plan:
    """Plans the jobs that give every one of `cells` its record.

    Args:
      cells: requested cells; duplicates count once.
      settings: settings of each of their tracks.
      store: trained runs, which are reused.
      root: folder of the records; current ones are not measured again unless `again`.
      again: measure all of `cells`.
    """
    cells, results = list(dict.fromkeys(cells)), Results(root)
    missing = {
        cell: None
        for cell in cells
        if again or not is_current(cell, settings[cell.track], results.record(cell), store)
    }
    asked = len(missing)
    _add_what_stands_on_new_runs(missing, settings, store, results)
    there = sum(cell not in missing for cell in cells)
    rows = collections.defaultdict(list)
    for cell in missing:
        rows[cell.track, cell.seed, cell.eta, cell.defense].append(cell)
    jobs: dict[str, Job] = {}
    for row in rows.values():
        needs = _trainings(row, settings[row[0].track], store, jobs)
        _measurement(row, settings[row[0].track], needs, jobs)
    return Plan(list(jobs.values()), settings, there, len(missing) - asked)


def _add_what_stands_on_new_runs(missing, settings, store, results) -> None:
    """Adds recorded cells that would mix two trainings of a run with those of `missing`.

    These are the records, requested or not, of every run that is trained again for `missing`, and
    records of an earlier training of a run that `missing` needs, left by a plan that was stopped.
    """
    while True:
        needed, new = set(), set()
        for cell in missing:
            for config in configs_of(cell, settings[cell.track]):
                needed.add((cell.track, config_key(config)))
                if not store.has(config):
                    new.add((cell.track, config_key(config)))
        recorded = {
            cell: record
            for track, eta, seed in {(cell.track, cell.eta, cell.seed) for cell in missing}
            for cell, record in results.at(track, eta, seed).items()
        }
        found = [
            cell
            for cell, record in recorded.items()
            if cell not in missing
            and is_of_today(cell, settings[cell.track], record)
            and _stands_on(
                new if is_current(cell, settings[cell.track], record, store) else needed,
                cell,
                record,
            )
        ]
        if not found:
            return
        missing.update(dict.fromkeys(found))


def _stands_on(runs, cell, record) -> bool:
    return any((cell.track, key) in runs for key in record["players"])


def _trainings(row, settings, store, jobs) -> tuple[str, ...]:
    """Adds the training jobs that the row's cells need; returns their names."""
    games = dict.fromkeys(game for cell in row for game in games_of(cell, settings.rounds))
    names, cell = [], row[0]
    for game in games:
        config = classifier_config(cell.track, settings, game, cell.eta, cell.seed)
        if store.has(config):
            continue
        rounds = settings.rounds if game == "adv_fgsm" else 0
        steps = config.schedule.total_steps(rounds)
        batch = config.schedule.batch_size
        seconds = costs.train_seconds(cell.track.dataset, game, steps, batch)
        job = Job("train", cell.track, cell.eta, cell.seed, game, seconds=seconds)
        jobs.setdefault(job.name, job)
        names.append(job.name)
    return tuple(names)


def _measurement(row, settings, needs, jobs) -> None:
    def cost(attack):
        about = settings.of_attack(attack)
        steps = about.get("steps")
        return costs.cell_seconds(attack, settings.rounds, about["examples"], steps)

    cell, attacks = row[0], tuple(sorted((cell.attack for cell in row), key=cost))
    seconds = costs.START + sum(map(cost, attacks))
    job = Job(
        "measure", cell.track, cell.eta, cell.seed, cell.defense, attacks, needs, seconds=seconds
    )
    jobs[job.name] = job

"""Measurements added to a finished run: replayed FGSM attacks and exploitability."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from mmtf.classifiers.keras_files import load_keras
from mmtf.config import RunConfig
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require
from mmtf.evaluation.exploitability import pair_exploitability
from mmtf.games import GAMES
from mmtf.presets import schedule_of
from mmtf.reports import write_json
from mmtf.runs.curve import network_recipes
from mmtf.runs.games import make_game, net_maker
from mmtf.runs.reading import read_config
from mmtf.runs.rounds import kept_rounds, replay, round_path
from mmtf.runs.workdir import Workdir, is_finished
from mmtf.storage.provenance import provenance
from mmtf.threat import ThreatModel


def replay_plan(source: str, numbers: Sequence[Any] | None) -> tuple[str, list[int]]:
    """Checks which attacks of an adv_fgsm run can be replayed, before anything is trained.

    Args:
      source: workdir of an adv_fgsm run.
      numbers: the k of each FGSM k to replay; None: 1, 2 and R, the number of rounds
        (FGSM R is crafted on the classifier of round R - 1).

    Returns:
      (folder of the rounds' classifiers, the k to replay).

    Raises:
      ConfigError: the folder holds no classifiers of rounds, or a k is not among them.
    """
    folder = os.path.join(os.path.expanduser(source), "rounds")
    kept = kept_rounds(folder)
    if not kept:
        raise ConfigError(
            f"Expected --replay to name the workdir of an adv_fgsm run. Received: {source}, which "
            f"holds no classifiers of rounds."
        )
    made = {number + 1 for number in kept}
    if numbers is None:
        return folder, sorted({1, 2, kept[-1]} & made)
    chosen = [int(number) if str(number).isdigit() else number for number in numbers]
    if not set(chosen) <= made:
        raise ConfigError(f"Expected --replay_rounds among {sorted(made)}. Received: {numbers}.")
    return folder, chosen


def require_same_images(source: str, config: RunConfig, dataset: Dataset) -> None:
    """Raises ConfigError unless the run in `source` has the same radius and data.

    Args:
      source: workdir of a finished adv_fgsm run.
      config, dataset: of the run whose classifier is attacked.
    """
    folder, numbers = replay_plan(source, None)
    require(is_finished(os.path.dirname(folder)), "--replay of a finished run", source)
    theirs = read_config(os.path.join(os.path.dirname(folder), "config.json"))
    for name, ours in (("eta", config.to_dict()["eta"]), ("dataset", dataset.name)):
        require(theirs[name] == ours, f"--replay of a run with {name} {ours}", theirs[name])
    model = load_keras(round_path(folder, numbers[0] - 1))
    shape, known_shape = model.input_shape[1:], dataset.image_shape
    require(shape == known_shape, f"--replay of a run on images of shape {known_shape}", shape)
    classes, known = model.output_shape[-1], dataset.num_classes
    require(classes == known, f"--replay of a run with {known} classes", classes)


def add_replays(
    config: RunConfig,
    workdir: Workdir,
    dataset: Dataset,
    source: str,
    numbers: Sequence[Any] | None,
    record: dict[str, Any],
) -> dict[str, Any]:
    """Measures this run's classifier under the FGSM k of another run's cat-and-mouse game.

    Args:
      config, workdir, dataset: of this run, which has finished.
      source, numbers: see `replay_plan`.
      record: this run's record.

    Returns:
      The record with `replays` added, also written to the workdir.
    """
    folder, numbers = replay_plan(source, numbers)
    classifier = load_keras(workdir.keras_path)
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    replays = replay(
        {config.game: classifier}, folder, numbers, threat, dataset, config.max_examples
    )
    record = {**record, "replays": replays, "replays_of": os.path.basename(source.rstrip("/"))}
    write_json(workdir.record_path, record)
    return record


def require_attacker(config: RunConfig) -> None:
    """Raises ConfigError if the game trains no attack network, as exploitability requires."""
    require(
        GAMES[config.game].learns_attacker,
        "--exploitability with a game that trains an attacker "
        f"({', '.join(name for name in GAMES if GAMES[name].learns_attacker)})",
        config.game,
    )


def add_exploitability(
    config: RunConfig,
    workdir: Workdir,
    dataset: Dataset,
    record: dict[str, Any],
    *,
    progress: bool = True,
) -> dict[str, Any]:
    """Measures a run's pair of players against newly trained best responses (Lemma 1).

    The attacker's best response is the stronger, on training images, of two networks: the game's
    own architecture trained to maximize the cross-entropy risk, and the strongest recipe. The
    defender's best response is the run's net, trained from another seed for as many steps as an
    undefended classifier.

    Args:
      config, workdir, dataset: of this run, which has finished.
      record: this run's record.
      progress: whether to show progress on stderr.

    Returns:
      The record with `exploitability` added, also written to the workdir.
    """
    require_attacker(config)
    game = make_game(config)
    recipes = network_recipes(config)
    own = {"net": game.net, "net_options": game.net_options, "loss": "cross_entropy"}
    recipes = {
        "attnet": recipes["attnet"],
        "own": dataclasses.replace(recipes["attnet_paper"], **own),
    }
    report = pair_exploitability(
        load_keras(workdir.keras_path),
        load_keras(workdir.attacker_path),
        dataset,
        game.threat,
        make_net=net_maker(config, dataset, config.seed + 1),
        recipes=recipes,
        schedule=schedule_of("undefended", config.dataset, config.schedule_name),
        max_examples=config.max_examples,
        seed=config.seed + 1,
        cache_dir=workdir.inside("attackers"),
        progress=progress,
    )
    record = {**record, "exploitability": {**report, **provenance()}}
    write_json(workdir.record_path, record)
    return record

"""What a finished run can be asked besides: another run's attacks replayed, exploitability."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import keras

from mmtf.config import RunConfig
from mmtf.data.dataset import Dataset
from mmtf.errors import ConfigError, require
from mmtf.evaluation.exploitability import pair_exploitability
from mmtf.games import GAMES
from mmtf.presets import schedule_of
from mmtf.reports import read_json, write_json
from mmtf.runs.curve import network_recipes
from mmtf.runs.experiment import make_game, net_maker
from mmtf.runs.rounds import kept_rounds, replay, round_path
from mmtf.runs.workdir import Workdir, is_finished
from mmtf.storage.provenance import provenance
from mmtf.threat import ThreatModel


def replay_plan(source: str, numbers: Sequence[Any] | None) -> tuple[str, list[int]]:
    """(folder of the kept rounds, which FGSM k to replay), checked before anything is trained.

    Args:
      source: workdir of an adv_fgsm run.
      numbers: which k; None: 1, 2 and the last round's.

    Raises:
      ConfigError: no kept rounds there, or a k that is no integer or was not kept.
    """
    folder = os.path.join(os.path.expanduser(source), "rounds")
    kept = kept_rounds(folder)
    if not kept:
        raise ConfigError(
            f"Expected --replay to name the workdir of an adv_fgsm run. Received: {source}, where "
            f"no round's classifier is kept."
        )
    made = {number + 1 for number in kept}
    if numbers is None:
        return folder, sorted({1, 2, kept[-1]} & made)
    chosen = [int(number) if str(number).isdigit() else number for number in numbers]
    if not set(chosen) <= made:
        raise ConfigError(f"Expected --replay_rounds among {sorted(made)}. Received: {numbers}.")
    return folder, chosen


def require_same_images(source: str, config: RunConfig, dataset: Dataset) -> None:
    """Raises ConfigError where the run in `source` is of another radius or other images.

    Args:
      source: workdir of an adv_fgsm run, finished.
      config, dataset: of the run that its attacks are replayed against.
    """
    folder, numbers = replay_plan(source, None)
    require(is_finished(os.path.dirname(folder)), "--replay of a finished run", source)
    theirs = read_json(os.path.join(os.path.dirname(folder), "config.json"))
    for name, ours in (("eta", config.eta), ("dataset", dataset.name)):
        require(theirs[name] == ours, f"--replay of a run with {name} {ours}", theirs[name])
    model = keras.models.load_model(round_path(folder, numbers[0] - 1), compile=False)
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
    """Tries the FGSM k of another run's cat-and-mouse game against this run's classifier.

    Args:
      config, workdir, dataset: of this run, finished.
      source, numbers: see `replay_plan`.
      record: of this run.

    Returns:
      The record with `replays`, also written to the workdir.
    """
    folder, numbers = replay_plan(source, numbers)
    classifier = keras.models.load_model(workdir.keras_path)
    threat = ThreatModel(eta=config.eta, norm=config.norm)
    replays = replay(
        {config.game: classifier}, folder, numbers, threat, dataset, config.max_examples
    )
    record = {**record, "replays": replays, "replays_of": os.path.basename(source.rstrip("/"))}
    write_json(workdir.record_path, record)
    return record


def require_attacker(config: RunConfig) -> None:
    """Raises ConfigError where the game trains no attacker whose exploitability could be asked."""
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
    """Measures the pair that a run trained against best responses trained afresh (Lemma 1).

    The attacker's are the game's own network, trained on the risk itself, and the strongest
    recipe, whichever does more on training images; the defender's is the run's net, trained from
    another seed as long as an undefended one.

    Args:
      config, workdir, dataset: of this run, finished.
      record: of this run.
      progress: show it on stderr.

    Returns:
      The record with `exploitability`, also written to the workdir.
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
        keras.models.load_model(workdir.keras_path),
        keras.models.load_model(workdir.attacker_path),
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

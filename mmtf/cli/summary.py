"""Printed summaries of a run: its configuration; its test errors, speed and files."""

from collections.abc import Mapping
from typing import Any

from mmtf.config import RunConfig, flat, is_standardized
from mmtf.games import GAMES
from mmtf.radius import as_radius, radius_text, radius_title
from mmtf.registry import label_of
from mmtf.reports import lemma_table, result_table, risk_table, rounds_table
from mmtf.reports.errors import HEADING


def config_text(config: RunConfig, sources: Mapping[str, str]) -> str:
    """Lists every setting with its value and the origin of the value, in aligned columns.

    Args:
      config: the run's configuration.
      sources: place of a setting -> origin of its value; settings not in it are `default`.

    Example:
      >>> config_text(RunConfig(seed=7), {"seed": "flag --seed"}).splitlines()[-1].split()
      ['seed', '7', 'flag', '--seed']
    """
    rows = []
    for place, value in flat(config.to_dict()).items():
        shown = ",".join(value) if isinstance(value, list) else str(value)
        if place == "eta":
            shown = _radius(config.eta, config.norm, config.dataset).removeprefix("eta ")
        rows.append((place, shown, sources.get(place, "default")))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}" for a, b, c in rows)


def print_run(record: dict[str, Any], path: str) -> None:
    """Prints a run's tables, its training speed, and the folder of its files.

    Args:
      record: record of a finished run.
      path: workdir of the run.
    """
    config, dataset = record["config"], record["dataset"]
    if dataset["notice"]:
        print(dataset["notice"])
    note = f" ({dataset['note']})" if dataset["note"] else ""
    print(f"\n{_title(config, dataset['name'])}: {HEADING} in float32{note}")
    print(result_table(record["results"]).to_string(index=False))
    print(_legend(record))
    if record.get("rounds"):
        print(f"\nCat and mouse, defenses x attacks: {HEADING}, and the paper's error")
        print(rounds_table(record["rounds"], dataset["name"], config["eta"]).to_string())
    if record.get("replays"):
        print(f"\nReplayed attacks: {HEADING}, and the paper's error")
        print(rounds_table(record["replays"], dataset["name"], config["eta"]).to_string())
    if record.get("exploitability"):
        report = record["exploitability"]
        print("\nThe pair (u, v) against newly trained best responses: mean risk and error rate")
        print(risk_table(report).to_string(index=False))
        print("\nLemma 1: differences of mean risk")
        print(lemma_table(report).to_string(index=False))
    training = record["training"]
    print(
        f"\n{training['steps']} steps in {training['seconds']:.0f} s{_pace(record)}; from start to "
        f"table {record['seconds_in_last_process']:.0f} s. Everything is in {path}: "
        f"record.json, classifier.keras, saved_model, logs (tensorboard --logdir)."
    )


def _legend(record: Mapping[str, Any]) -> str:
    """Explains the names of the rows in a line."""
    etas = {one["attack"]: one.get("eta") for one in record["results"]}
    parts = []
    if any(name.endswith("_curr") for name in etas):
        parts.append("X_curr: attack X against this classifier")
    if "attnet_met" in etas:
        parts.append("attnet_met: the attack network of its training")
    elif any(name.endswith("_met") for name in etas):
        parts.append("X_met: the attack network X of its training")
    if "union" in etas:
        options = record["config"]["game_options"]
        radii = {"linf": etas["union"], "l2": options.get("eta_l2"), "l1": options.get("eta_l1")}
        balls = [f"{norm} eta {radius_text(eta)}" for norm, eta in radii.items() if eta is not None]
        told = "images that any attacker of the game misclassifies in its ball"
        parts.append(f"union: {told} ({', '.join(balls)})")
    if "worst" in etas:
        parts.append("worst: images that any of the attacks misclassifies")
    return "; ".join(parts)


def _title(config: Mapping[str, Any], dataset: str) -> str:
    game, norm = GAMES.label(config["game"]), config["norm"]
    text = f"{game} on {label_of(dataset)}, {norm}, {_radius(config['eta'], norm, dataset)}"
    if config.get("awp_gamma"):
        text += f", AWP with gamma {config['awp_gamma']:g}"
    every = config["game_options"].get("penalty_every", 1)
    return text + (f", penalty on one example in {every}" if every > 1 else "")


def _radius(eta: Any, norm: str, dataset: str) -> str:
    return radius_title(as_radius("eta", eta), norm, standardized=is_standardized(dataset))


def _pace(record: Mapping[str, Any]) -> str:
    images = record["training"].get("images_per_second")
    if not images:
        return ""
    return (
        f" ({images:,.0f} images/s over {record['replicas']} replica(s) of "
        f"{record['workers']} worker(s))"
    )

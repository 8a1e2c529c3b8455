"""Merges the presets of `mmtf.preset_table` and the user's settings into a RunConfig."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmtf.arguments import keyword_options, resolve_kwargs
from mmtf.attacks import ATTACKS
from mmtf.config import SCHEDULES, RunConfig, Schedule, flat, without_added_defaults
from mmtf.errors import require, require_choice, require_names
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS, RUN_ARGUMENTS
from mmtf.preset_table import ANY, COMPUTED, NETWORK, PRESETS, Preset
from mmtf.registry import base_name, is_place


def preset(name: str, *, schedule: str = ANY, dataset: str = ANY, game: str = ANY) -> Any:
    """The value that the presets give to one setting; None if they do not set it.

    Presets with a condition (`when`) are not considered.

    Args:
      name: name of the setting, as in `Preset.values`.
      schedule, dataset, game: the run. For ANY, only presets that apply to all schedules, datasets
        or games are considered.

    Example:
      >>> preset("game_options.rounds", schedule="paper", dataset="cifar10", game="adv_fgsm")
      40
    """
    ours = [one for one in PRESETS if name in one.values and not one.when]
    found = [one.values[name] for one in _matching(ours, schedule, dataset, game)]
    return found[-1] if found else None


def default_net(dataset: str) -> str:
    """The default net on `dataset`: mnist_cnn for digits and *mnist*, else cifar_cnn."""
    return preset("net", dataset=dataset)


def default_net_options(net: str, schedule: str = "fast") -> dict[str, Any]:
    """The keyword arguments of `net` that the presets of a schedule set: name -> value."""
    ours = [one for one in PRESETS if one.when == {"net": net} and one.schedule == schedule]
    return {name: value for one in ours for name, value in _under("net_options", one.values)}


def schedule_of(game: str, dataset: str, name: str = "fast", **given: Any) -> Schedule:
    """The preset Schedule of a game on a dataset.

    Options of the game that presets set (such as gamma) are not part of it; `run_config` has them.

    Args:
      game: a name in `mmtf.games.GAMES`, or `module:attribute` of a user's own.
      dataset: name of the dataset. Datasets that are not in the paper have MNIST's schedules.
      name: `fast` (tuned for few steps), `paper` (the numbers of steps and the learning rate of
        App. A and B), `brief` (the learning rate of App. A, a few thousand steps) or `long` (ten
        times the steps of `fast`).
      **given: fields of Schedule that override the preset; None: the preset's value.

    Raises:
      ConfigError: an unknown game or schedule, a value out of range, or `first_steps` for a game
        without rounds.

    Example:
      >>> schedule_of("adv_pgd", "mnist", steps=60).steps
      60
    """
    require_choice("schedule", name, SCHEDULES)
    kind = GAMES[game]
    settings = {
        setting: value
        for one in _matching(PRESETS, name, dataset, game)
        for setting, value in _under("schedule", one.values)
    }
    given = {field: value for field, value in given.items() if value is not None}
    in_rounds = kind.rounds or "rounds" in keyword_options(kind)
    require(
        not given.get("first_steps") or bool(in_rounds),
        "first_steps with a game of several rounds (adv_fgsm, distillation, ensemble_adv, "
        "pgd_mtl_ibp)",
        game,
    )
    return Schedule(**{**settings, **given})


def run_config(
    *,
    game: str = "minimax_grad",
    dataset: str = "mnist",
    eta: float | None = None,
    norm: str = "linf",
    game_options: dict[str, Any] | None = None,
    net: str | None = None,
    net_options: dict[str, Any] | None = None,
    schedule: str = "fast",
    schedule_options: dict[str, Any] | None = None,
    attacks: tuple[str, ...] | None = None,
    **others: Any,
) -> RunConfig:
    """The RunConfig of a run, with presets and defaults filled in for what is None.

    Args:
      game: a name in `mmtf.games.GAMES`, or `module:attribute` of a user's own.
      dataset: name of a dataset (`mmtf.load_data`), or `module:attribute` of a user's own.
      eta: radius for pixels in [-1, 1], twice the eps for pixels in [0, 1]. None: 0.3, on CIFAR-10
        0.06.
      norm: `linf`, `l2` or `l1`.
      game_options: keyword arguments of the game that differ from the presets and defaults.
      net: a name in `mmtf.nets.NETS`, or `module:attribute` of a user's own; None: by dataset
        (`default_net`).
      net_options: keyword arguments of the net that differ from the presets and defaults.
      schedule: `fast`, `paper`, `brief` or `long`, see `schedule_of`.
      schedule_options: fields of Schedule that differ from the presets.
      attacks: attacks of the final table; None: by game and norm.
      **others: further fields of RunConfig.

    Raises:
      ConfigError: an unknown name, or an option that the game or net does not have.

    Example:
      >>> run_config(game="minimax_grad", eta=0.3).game_options["gamma"]
      1.0
    """
    for name, options in (
        ("game_options", game_options),
        ("net_options", net_options),
        ("schedule_options", schedule_options),
    ):
        require(isinstance(options or {}, dict), f"{name} as a dict", options)
    given = {
        "game": game,
        "dataset": dataset,
        "eta": eta,
        "norm": norm,
        "game_options": game_options or {},
        "net": net,
        "net_options": net_options or {},
        "schedule_name": schedule,
        "schedule": schedule_options or {},
        "attacks": attacks or None,
        **others,
    }
    config, _ = merged_config(flat(given))
    return config


def merged_config(given: Mapping[str, Any]) -> tuple[RunConfig, dict[str, str]]:
    """The RunConfig of a run, and the source of each of its settings.

    Args:
      given: setting -> value, with names as in `Preset.values`; None: not given.

    Returns:
      The config, and a dict setting -> `given` or `preset ...`, with the text of the preset.
      Settings that are not in the dict have the default of RunConfig, Schedule, the game or the
      net.

    Raises:
      ConfigError: see `run_config`.

    Example:
      >>> config, sources = merged_config({"game": "lwa", "seed": 1})
      >>> config.schedule.steps, sources["schedule.steps"], sources["seed"]
      (2200, 'preset fast, *, *', 'given')
    """
    given = {name: value for name, value in given.items() if value is not None}
    basic = {name: given.get(name, getattr(RunConfig, name)) for name in ("game", "dataset")}
    game, dataset, schedule = *basic.values(), given.get("schedule_name", RunConfig.schedule_name)
    require_choice("schedule", schedule, SCHEDULES)
    kind = GAMES[game]
    takes = keyword_options(kind)
    if takes.get("solver", "") is None:
        takes["solver"] = getattr(kind, "default_solver", None)
    values: dict[str, Any] = {f"game_options.{name}": value for name, value in takes.items()}
    sources: dict[str, str] = {}
    for one in _matching(PRESETS, schedule, dataset, game):
        told = {**values, **given}
        if any(told.get(name) != value for name, value in one.when.items()):
            continue
        for name, value in one.values.items():
            if not name.startswith("game_options.") or name.partition(".")[2] in takes:
                values[name], sources[name] = value, f"preset {one}"
    values |= given
    sources |= dict.fromkeys(given, "given")
    if "batch_size" in takes and "game_options.batch_size" not in given:
        own = dict(_under("schedule", given))
        values["game_options.batch_size"] = schedule_of(game, dataset, schedule, **own).batch_size
    _check_attacks(values["attacks"], game)
    net, net_options = values["net"], dict(_under("net_options", values))
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    plain = {name: value for name, value in values.items() if "." not in name}
    for name in plain:
        require(name in fields, f"a setting of a run ({', '.join(sorted(fields))})", name)
    config = RunConfig(
        **{
            **plain,
            "game_options": _game_options(game, dict(_under("game_options", values))),
            "net_options": resolve_kwargs(net, NETS[net], net_options, RUN_ARGUMENTS),
            "schedule": schedule_of(game, dataset, schedule, **dict(_under("schedule", given))),
            "attacks": tuple(values["attacks"]),
        }
    )
    return config, sources


def _check_attacks(attacks: Iterable[str], game: str) -> None:
    """Raises ConfigError, before anything is trained, unless the run can measure the attacks."""
    require_names("attacks", attacks)
    attacks = list(attacks)
    require(
        GAMES[game].learns_attacker or "attnet_met" not in attacks,
        "attnet_met with a game that trains an attacker",
        game,
    )
    for name in filter(is_place, attacks):
        ATTACKS[name]
    labels = {ATTACKS.label(name) for name in attacks}
    require(len(labels) == len(attacks), "attacks of different names", ",".join(attacks))


def _game_options(game: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a game; `net_options.NAME` in `values` is an option of its attack network."""
    kind = GAMES[game]
    given = {name: value for name, value in values.items() if "." not in name}
    net_options = dict(_under("net_options", values))
    if net_options:
        given["net_options"] = net_options
    options = resolve_kwargs(game, kind, given)
    if kind.learns_attacker and "net_options" in options:
        net = options["net"]
        options["net_options"] = resolve_kwargs(net, ATTACK_NETS[net], net_options, RUN_ARGUMENTS)
    return without_added_defaults(options)


def _matching(
    presets: Iterable[Preset], schedule: str, dataset: str, game: str
) -> Iterator[Preset]:
    """Those of `presets` that apply to a schedule, a dataset and a game, in their order."""
    name = base_name(dataset)
    for one in presets:
        if one.schedule not in (ANY, schedule) or not fnmatch.fnmatchcase(name, one.dataset):
            continue
        if one.game in (ANY, game) or (game != ANY and one.game == _kind(game, one.game)):
            yield one


def _kind(game: str, asked: str) -> str:
    """Whether the attacker of `game` is COMPUTED or a NETWORK; "" if `asked` is neither.

    The class of the game is then not looked up, because that imports TensorFlow.
    """
    if asked not in (COMPUTED, NETWORK):
        return ""
    return NETWORK if GAMES[game].learns_attacker else COMPUTED


def _under(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields (NAME, value) for each setting `prefix.NAME`."""
    for name, value in values.items():
        start, _, rest = name.partition(".")
        if start == prefix and rest:
            yield rest, value

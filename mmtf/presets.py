"""What the schedules `fast`, `paper` and `brief` stand for: one table, merged to a RunConfig."""

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

from mmtf.attacks import ATTACKS
from mmtf.config import SCHEDULES, RunConfig, Schedule, as_before, flat
from mmtf.errors import require, require_choice
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS, RUN_ARGUMENTS
from mmtf.registry import is_place, keyword_options, label_of, resolve_kwargs

ANY = "*"
# Of games, by whether their attacker is computed or a network that learns (`learns_attacker`).
COMPUTED, NETWORK = "computed", "network"


@dataclasses.dataclass(frozen=True)
class Row:
    """Settings of the runs that a row is about.

    Attributes:
      schedule: a schedule, or ANY.
      dataset: a pattern of `fnmatch` for the dataset's name (`base_name`).
      game: a name in `GAMES`, COMPUTED or NETWORK, or ANY.
      values: setting -> value; `schedule.steps` is the field `steps` of RunConfig's `schedule`.
      when: setting -> the value it must have besides.
    """

    schedule: str
    dataset: str
    game: str
    values: Mapping[str, Any]
    when: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        conditions = [f"{name}={value}" for name, value in self.when.items()]
        return ", ".join([self.schedule, self.dataset, self.game, *conditions])


def _steps(count: int, **others: Any) -> dict[str, Any]:
    """Values of a row that sets `schedule.steps` and other fields of the schedule."""
    return {f"schedule.{name}": value for name, value in {"steps": count, **others}.items()}


# Rows are merged from top to bottom: a later row overrides an earlier one. What the user gives
# overrides all rows; what neither has keeps the default of RunConfig, Schedule, the game or the
# net. A row's option that the game does not have is left out. Datasets that are not in the paper
# go by MNIST's rows, which name no dataset; a user's own game goes by those that name no game.
ROWS = (
    Row(ANY, ANY, ANY, {"eta": 0.3, "net": "cifar_cnn"}),
    Row(ANY, "cifar10", ANY, {"eta": 0.06}),
    Row(ANY, "*mnist*", ANY, {"net": "mnist_cnn"}),
    Row(ANY, "digits", ANY, {"net": "mnist_cnn"}),
    Row(ANY, ANY, COMPUTED, {"attacks": ("none", "fgsm", "ifgsm", "pgd")}),
    Row(ANY, ANY, COMPUTED, {"attacks": ("none", "fgm", "pgd")}, {"norm": "l2"}),
    Row(
        ANY,
        ANY,
        NETWORK,
        {"attacks": ("none", "fgsm", "pgd", "attnet", "attnet_paper", "attnet_met")},
    ),
    Row(
        ANY,
        ANY,
        NETWORK,
        {"attacks": ("none", "pgd", "attnet", "attnet_paper", "attnet_met")},
        {"norm": "l2"},
    ),
    # App. A and B of the paper: Adam at 1e-4, batches of 128.
    Row("paper", ANY, ANY, _steps(100_000, learning_rate=1e-4)),
    Row("paper", ANY, "undefended", _steps(50_000)),
    Row("paper", ANY, "adv_fgsm", {**_steps(50_000), "game_options.rounds": 80}),
    Row("paper", "cifar10", "undefended", _steps(100_000)),
    Row("paper", "cifar10", "adv_fgsm", {**_steps(100_000), "game_options.rounds": 40}),
    # The paper's rate for so few steps, and without dropout, that an undefended net from the
    # tutorial's initializer has the clean error that the paper reports: as fragile as its Table 1
    # has it.
    Row("brief", ANY, ANY, _steps(4000, learning_rate=1e-4)),
    Row("brief", ANY, ANY, {"net_options.dropout": 0.0}, {"net": "mnist_cnn"}),
    Row("brief", ANY, "undefended", _steps(1300)),
    Row("brief", ANY, "adv_fgsm", _steps(400, first_steps=1300)),
    # About the same errors as `paper`, at a higher, decaying rate; chosen on 5,000 held-out
    # training examples.
    Row("fast", ANY, ANY, _steps(2200, learning_rate=4e-3, warmup_steps=300, decay="cosine")),
    # The tutorial's 0.5 is for tens of thousands of steps; in a few thousand it costs both errors.
    Row("fast", ANY, ANY, {"net_options.dropout": 0.25}, {"net": "mnist_cnn"}),
    Row("fast", ANY, "undefended", _steps(1500)),
    Row("fast", ANY, "adv_fgsm", _steps(600, first_steps=1500)),
    # Tried with the nested penalty alone (docs/gradient_games.md).
    Row(
        "fast",
        ANY,
        "minimax_grad",
        {"game_options.penalty_every": 2},
        {"game_options.penalty": "nested"},
    ),
    # Far from its minimum after as many images: smaller batches take more steps in the same time.
    Row("fast", "cifar10", ANY, _steps(30_000, learning_rate=1e-3, batch_size=32)),
    Row("fast", "cifar10", "undefended", _steps(12_000)),
    Row("fast", "cifar10", "adv_fgsm", _steps(3000, first_steps=12_000)),
    # Every second example was tried on MNIST alone.
    Row("fast", "cifar10", "minimax_grad", {"game_options.penalty_every": 1}),
    # The network games, chosen on 5,000 held-out training images of MNIST: docs/network_games.md.
    Row("fast", ANY, NETWORK, _steps(4000, learning_rate=2e-3, warmup_steps=100, batch_size=64)),
    Row("fast", ANY, NETWORK, {"game_options.net": "unet", "game_options.attacker_rate": 2.0}),
    Row(
        "fast",
        ANY,
        "minimax_attnet",
        {"game_options.gamma": 5.0},
        {"game_options.solver": "sensitivity"},
    ),
    Row("fast", "cifar10", NETWORK, _steps(14_000)),
)


def base_name(dataset: str) -> str:
    """The name without TFDS' version and config, and without what `Dataset.holdout` adds.

    Example:
      >>> base_name("cifar10:3.0.2"), base_name("mnist_holdout5000"), base_name("my.data:Small")
      ('cifar10', 'mnist', 'small')
    """
    return label_of(dataset).split(":")[0].split("/")[0].split("_holdout")[0]


def preset(name: str, *, schedule: str = ANY, dataset: str = ANY, game: str = ANY) -> Any:
    """The value of the setting `name` by the table alone; None where no row has it.

    Args:
      name: as in the rows.
      schedule, dataset, game: what is asked about; ANY leaves rows that name one out.

    Example:
      >>> preset("game_options.rounds", schedule="paper", dataset="cifar10", game="adv_fgsm")
      40
    """
    rows = [row for row in ROWS if name in row.values and not row.when]
    found = [row.values[name] for row in _matching(rows, schedule, dataset, game)]
    return found[-1] if found else None


def default_net(dataset: str) -> str:
    """The name of the net that a run on `dataset` trains: cifar_cnn but for small gray images."""
    return preset("net", dataset=dataset)


def default_net_options(net: str, schedule: str = "fast") -> dict[str, Any]:
    """The options of `net` that a schedule changes, by name."""
    rows = [row for row in ROWS if row.when == {"net": net} and row.schedule == schedule]
    return {name: value for row in rows for name, value in _under("net_options", row.values)}


def schedule_of(game: str, dataset: str, name: str = "fast", **given: Any) -> Schedule:
    """The steps and rates of `game` on `dataset`; datasets not in the paper go by MNIST's.

    What a preset changes in the game itself (the penalty's share, gamma) is `run_config`'s.

    Args:
      game: a name in `mmtf.games.GAMES`, or `module:attribute` of a game of your own.
      dataset: its name.
      name: `fast`, `paper` (App. A and B) or `brief` (App. A's rate, a few thousand steps).
      **given: fields of Schedule that override the preset; None leaves it.

    Raises:
      ConfigError: an unknown game or schedule, or `first_steps` for a game without rounds.
    """
    require_choice("schedule", name, SCHEDULES)
    kind = GAMES[game]
    settings = {
        setting: value
        for row in _matching(ROWS, name, dataset, game)
        for setting, value in _under("schedule", row.values)
    }
    given = {field: value for field, value in given.items() if value is not None}
    in_rounds = kind.rounds or "rounds" in keyword_options(kind)
    require(
        not given.get("first_steps") or bool(in_rounds),
        "first_steps with a game of several rounds (adv_fgsm)",
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
    """A RunConfig with every setting spelled out (but see `as_before`); None: the default.

    Args:
      game: a name in `mmtf.games.GAMES`, or `module:attribute` of a game of your own.
      dataset: its name, or `module:attribute`.
      eta: radius for pixels in [-1, 1], twice that for pixels in [0, 1]; default 0.3, 0.06 on
        CIFAR-10.
      norm: `linf` or `l2`.
      net: a name in `mmtf.nets.NETS`, or `module:attribute`; default by dataset.
      game_options, net_options, schedule_options: those that differ from the defaults.
      schedule: `fast`, `paper` or `brief`.
      attacks: of the final table.
      **others: further fields of RunConfig.

    Raises:
      ConfigError: an unknown name, or an option that the game or net does not have.

    Example:
      >>> run_config(game="minimax_grad", eta=0.3).game_options["gamma"]
      1.0
    """
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
    """The RunConfig of what is given and the rows, and where each of its settings is from.

    Args:
      given: setting -> value, named as in the rows; None stands for one that is not given.

    Returns:
      The config, and setting -> `given` or `preset ROW`; those that are missing have their default.

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
    for row in _matching(ROWS, schedule, dataset, game):
        told = {**values, **given}
        if any(told.get(name) != value for name, value in row.when.items()):
            continue
        for name, value in row.values.items():
            if not name.startswith("game_options.") or name.partition(".")[2] in takes:
                values[name], sources[name] = value, f"preset {row}"
    values |= given
    sources |= dict.fromkeys(given, "given")
    learns = kind.learns_attacker
    require(
        learns or "attnet_met" not in values["attacks"],
        "attnet_met with a game that trains an attacker",
        game,
    )
    for name in filter(is_place, values["attacks"]):
        ATTACKS[name]  # what is not there shows before anything is trained
    labels = {ATTACKS.label(name) for name in values["attacks"]}
    different = len(labels) == len(values["attacks"])
    require(different, "attacks of different names", ",".join(values["attacks"]))
    options = dict(_under("game_options", values))
    theirs = dict(_under("net_options", options))  # of the attack network
    options = {name: value for name, value in options.items() if "." not in name}
    options = resolve_kwargs(game, kind, options | ({"net_options": theirs} if theirs else {}))
    if learns and "net_options" in options:
        name = options["net"]
        options["net_options"] = resolve_kwargs(name, ATTACK_NETS[name], theirs, RUN_ARGUMENTS)
    net = values["net"]
    net_options = dict(_under("net_options", values))
    steps = dict(_under("schedule", given))
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    plain = {name: value for name, value in values.items() if "." not in name}
    for name in plain:
        require(name in fields, f"a setting of a run ({', '.join(sorted(fields))})", name)
    config = RunConfig(
        **{
            **plain,
            "game_options": as_before(options),
            "net_options": resolve_kwargs(net, NETS[net], net_options, RUN_ARGUMENTS),
            "schedule": schedule_of(game, dataset, schedule, **steps),
            "attacks": tuple(values["attacks"]),
        }
    )
    return config, sources


def _matching(
    rows: tuple[Row, ...] | list[Row], schedule: str, dataset: str, game: str
) -> Iterator[Row]:
    """Those of `rows` about a schedule, a dataset and a game, in their order."""
    name = base_name(dataset)
    for row in rows:
        if row.schedule not in (ANY, schedule) or not fnmatch.fnmatchcase(name, row.dataset):
            continue
        if row.game in (ANY, game) or (game != ANY and row.game == _kind(game, row.game)):
            yield row


def _kind(game: str, asked: str) -> str:
    """COMPUTED or NETWORK; "" where neither is asked for, for a game's class imports TensorFlow."""
    if asked not in (COMPUTED, NETWORK):
        return ""
    return NETWORK if GAMES[game].learns_attacker else COMPUTED


def _under(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of the settings `prefix.name`."""
    for name, value in values.items():
        start, _, rest = name.partition(".")
        if start == prefix and rest:
            yield rest, value

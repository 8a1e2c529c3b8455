"""From a few named choices to a full RunConfig: what --schedule=fast, paper, brief stand for."""

from mmtf.config import SCHEDULES, RunConfig, Schedule, as_before
from mmtf.errors import ConfigError, require_choice
from mmtf.games import GAMES
from mmtf.nets import ATTACK_NETS, NETS
from mmtf.nets.defaults import FAST_NET, base_name, default_net
from mmtf.registry import resolve_kwargs

DEFAULT_ETA = {"cifar10": 0.06}
NETWORK_GAME_ATTACKS = ("none", "fgsm", "pgd", "attnet", "attnet_paper", "attnet_met")
DEFAULT_ATTACKS = {"linf": ("none", "fgsm", "ifgsm", "pgd"), "l2": ("none", "fgm", "pgd")}
# App. A and B: Adam 1e-4, batch 128. `fast` was chosen on 5,000 held-out training examples.
PAPER = {"learning_rate": 1e-4}
# The paper's rate for so few steps, and without dropout, that an undefended net from the tutorial's
# initializer has the clean error that the paper reports: as fragile as its Table 1 has it.
BRIEF = PAPER
FAST = {"learning_rate": 4e-3, "warmup_steps": 300, "decay": "cosine"}
RATES: dict[str, dict] = {"fast": FAST, "paper": PAPER, "brief": BRIEF}
# Far from its minimum after as many images: smaller batches take more steps in the same time.
FAST_FOR = {"cifar10": {"learning_rate": 1e-3, "batch_size": 32}}
# The network games, chosen on 5,000 held-out training images of MNIST: docs/network_games.md.
FAST_NETWORK = {"learning_rate": 2e-3, "warmup_steps": 100, "batch_size": 64}
FAST_NETWORK_GAME: dict = {"net": "unet", "attacker_rate": 2.0}
# penalty_every: chosen on 5,000 held-out training images of MNIST (docs/gradient_games.md), tried
# on nothing else.
FAST_GAME: dict[str, dict] = {
    "minimax_attnet": {"gamma": 5.0},
    "minimax_grad": {"penalty_every": 2},
}
FAST_GAME_FOR = {"cifar10": {"minimax_grad": {}}}
BRIEF_NET: dict[str, dict] = {"mnist_cnn": {"dropout": 0.0}}
PAPER_ROUNDS = {"mnist": 80, "cifar10": 40}


def schedule_of(game: str, dataset: str, name: str = "fast", **given) -> Schedule:
    """The steps and rates of `game` on `dataset`; datasets not in the paper go by MNIST's.

    What a preset changes in the game itself (the penalty's share, gamma) is `run_config`'s.

    Args:
      game: name in `mmtf.games.GAMES`.
      dataset: its name.
      name: `fast`, `paper` (App. A and B) or `brief` (App. A's rate, a few thousand steps).
      **given: fields of Schedule that override the preset; None leaves it.
    """
    require_choice("schedule", name, SCHEDULES)
    kind, dataset = GAMES[game], base_name(dataset)
    steps = getattr(kind, f"{name}_steps")
    preset = {"steps": steps.get(dataset, steps["mnist"]), **RATES[name]}
    if name == "fast":
        preset.update(FAST_FOR.get(dataset, {}))
        preset.update(FAST_NETWORK if kind.learns_attacker else {})
    first = getattr(kind, f"{name}_first_steps")
    if first:
        preset["first_steps"] = first.get(dataset, first["mnist"])
    given = {field: value for field, value in given.items() if value is not None}
    if given.get("first_steps") and not kind.fast_first_steps:
        raise ConfigError(
            f"Expected first_steps with a game of several rounds (adv_fgsm). Received: {game}."
        )
    return Schedule(**{**preset, **given})


def run_config(
    *,
    game: str = "minimax_grad",
    dataset: str = "mnist",
    eta: float | None = None,
    norm: str = "linf",
    game_options: dict | None = None,
    net: str | None = None,
    net_options: dict | None = None,
    schedule: str = "fast",
    schedule_options: dict | None = None,
    attacks: tuple[str, ...] | None = None,
    **others,
) -> RunConfig:
    """A RunConfig with every setting spelled out (but see `as_before`); None: the default.

    Args:
      eta: default 0.3, 0.06 on CIFAR-10.
      game_options, net_options, schedule_options: those that differ from the defaults.
      **others: further fields of RunConfig.

    Raises:
      ConfigError: an unknown name, or an option that the game or net does not have.

    Example:
      >>> run_config(game="minimax_grad", eta=0.3).game_options["gamma"]
      1.0
    """
    game_options = dict(game_options or {})
    if schedule == "paper" and game == "adv_fgsm" and game_options.get("rounds") is None:
        game_options["rounds"] = PAPER_ROUNDS.get(dataset, PAPER_ROUNDS["mnist"])
    net = net or default_net(dataset)
    if schedule != "paper":
        preset = FAST_NET if schedule == "fast" else BRIEF_NET
        given = {name: value for name, value in (net_options or {}).items() if value is not None}
        net_options = {**preset.get(net, {}), **given}
    if schedule == "fast":
        given = {name: value for name, value in game_options.items() if value is not None}
        preset = FAST_NETWORK_GAME if GAMES[game].learns_attacker else {}
        if given.get("solver", "sensitivity") == "sensitivity":
            games = {**FAST_GAME, **FAST_GAME_FOR.get(base_name(dataset), {})}
            if given.get("penalty", "nested") == "nested":  # tried with that one alone
                preset = {**preset, **games.get(game, {})}
        game_options = {**preset, **given}
    without = ("image_shape", "num_classes", "seed")
    default = DEFAULT_ATTACKS.get(norm, ())
    if GAMES[game].learns_attacker:
        default = tuple(name for name in NETWORK_GAME_ATTACKS if norm == "linf" or name != "fgsm")
    if "attnet_met" in (attacks or ()) and not GAMES[game].learns_attacker:
        raise ConfigError(
            f"Expected attnet_met with a game that trains an attacker. Received: {game}."
        )
    game_options = resolve_kwargs(game, GAMES[game], game_options)
    if GAMES[game].learns_attacker:
        game_options["solver"] = game_options["solver"] or GAMES[game].default_solver
        name, given = game_options["net"], game_options["net_options"] or {}
        game_options["net_options"] = resolve_kwargs(name, ATTACK_NETS[name], given, without)
    return RunConfig(
        game=game,
        dataset=dataset,
        eta=DEFAULT_ETA.get(dataset, 0.3) if eta is None else eta,
        norm=norm,
        game_options=as_before(game_options),
        net=net,
        net_options=resolve_kwargs(net, NETS[net], net_options or {}, without),
        schedule_name=schedule,
        schedule=schedule_of(game, dataset, schedule, **(schedule_options or {})),
        attacks=tuple(attacks or default),
        **others,
    )

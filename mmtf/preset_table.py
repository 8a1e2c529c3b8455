"""The table of presets: which settings the schedules stand for."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# In the column `schedule`, `dataset` or `game`: applies to all.
ANY = "*"
# In the column `game`: games whose attacker is computed (FGSM, PGD), or is a network that is
# trained (`Game.learns_attacker`).
COMPUTED, NETWORK = "computed", "network"
# Games whose loss contains certified bounds.
CERTIFIED = ("ibp", "crown_ibp", "mtl_ibp", "pgd_mtl_ibp", "sabr", "strongest")


@dataclasses.dataclass(frozen=True)
class Preset:
    """A row of the table: the values of some settings for some runs.

    Attributes:
      schedule: the schedule to which it applies, or ANY.
      dataset: the datasets to which it applies: a pattern for `fnmatch`, matched against
        `mmtf.registry.base_name`.
      game: the games to which it applies: a name in `mmtf.games.GAMES`, COMPUTED, NETWORK or ANY.
      values: setting -> value. Settings are named by their path in a RunConfig, such as
        `schedule.steps`.
      when: setting -> the value that it must also have.
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
    """The values `schedule.steps` and `schedule.NAME` for each further NAME."""
    return {f"schedule.{name}": value for name, value in {"steps": count, **others}.items()}


def _for_certified(schedule: str, values: Mapping[str, Any], *datasets: str) -> list[Preset]:
    """A row for each game of CERTIFIED and each dataset, by default ANY."""
    return [Preset(schedule, one, game, values) for one in datasets or (ANY,) for game in CERTIFIED]


def _options(**options: Any) -> dict[str, Any]:
    """The values `game_options.NAME` for each option NAME of the game."""
    return {f"game_options.{name}": value for name, value in options.items()}


# Presets are merged from top to bottom: a later one overrides an earlier one, and what the user
# gives overrides all. Settings in neither have the default of RunConfig, Schedule, the game or the
# net. An option that the game does not have is left out. Presets without a dataset have the values
# for MNIST; they also apply to datasets that are not in the paper. A user's own game has those
# without the name of a game.
_PRESETS = (
    Preset(ANY, ANY, ANY, {"eta": 0.3, "net": "cifar_cnn"}),
    Preset(ANY, "cifar10", ANY, {"eta": 0.06}),
    Preset(ANY, "*mnist*", ANY, {"net": "mnist_cnn"}),
    Preset(ANY, "digits", ANY, {"net": "mnist_cnn"}),
    # Nets of few neurons and without pooling, whose bounds are cheap and tight.
    *_for_certified(ANY, {"net": "clipped_cnn"}, "*mnist*", "digits"),
    Preset(ANY, ANY, COMPUTED, {"attacks": ("none", "fgsm", "ifgsm", "pgd")}),
    Preset(ANY, ANY, COMPUTED, {"attacks": ("none", "fgm", "pgd")}, {"norm": "l2"}),
    Preset(ANY, ANY, COMPUTED, {"attacks": ("none", "fgm", "pgd")}, {"norm": "l1"}),
    Preset(
        ANY,
        ANY,
        NETWORK,
        {"attacks": ("none", "fgsm", "pgd", "attnet", "attnet_paper", "attnet_met")},
    ),
    Preset(
        ANY,
        ANY,
        NETWORK,
        {"attacks": ("none", "pgd", "attnet", "attnet_paper", "attnet_met")},
        {"norm": "l2"},
    ),
    Preset(
        ANY,
        ANY,
        NETWORK,
        {"attacks": ("none", "pgd", "attnet", "attnet_paper", "attnet_met")},
        {"norm": "l1"},
    ),
    # The radius and the ramp of 10 epochs of Salman et al. (2019), for noise of deviation 0.5 and
    # pixels in [0, 1].
    Preset(ANY, ANY, "smooth_gaussian", {"eta": 2.0}, {"norm": "l2"}),
    Preset(ANY, ANY, "smooth_adv", {"eta": 2.0}, {"norm": "l2"}),
    Preset("paper", ANY, "smooth_adv", {"schedule.eta_ramp": 0.0469}),
    Preset("brief", ANY, "smooth_adv", {"schedule.eta_ramp": 0.0469}),
    Preset("fast", ANY, "smooth_adv", {"schedule.eta_ramp": 0.25}),
    # App. A and B of the paper: Adam at 1e-4, batches of 128.
    Preset("paper", ANY, ANY, _steps(100_000, learning_rate=1e-4)),
    Preset("paper", ANY, "undefended", _steps(50_000)),
    Preset("paper", ANY, "adv_fgsm", {**_steps(50_000), "game_options.rounds": 80}),
    Preset("paper", "cifar10", "undefended", _steps(100_000)),
    Preset("paper", "cifar10", "adv_fgsm", {**_steps(100_000), "game_options.rounds": 40}),
    # The paper's learning rate without dropout. The undefended net (initializer `tutorial`) is
    # trained for so few steps that its clean error is that of the paper, and it is then about as
    # vulnerable as in Table 1.
    Preset("brief", ANY, ANY, _steps(4000, learning_rate=1e-4)),
    Preset("brief", ANY, ANY, {"net_options.dropout": 0.0}, {"net": "mnist_cnn"}),
    Preset("brief", ANY, "undefended", _steps(1300)),
    Preset("brief", ANY, "adv_fgsm", _steps(400, first_steps=1300)),
    # About the same errors as `paper` in fewer steps, by a higher, decaying learning rate; chosen
    # on 5,000 held-out training examples.
    Preset("fast", ANY, ANY, _steps(2200, learning_rate=4e-3, warmup_steps=300, decay="cosine")),
    # The tutorial's dropout of 0.5 suits tens of thousands of steps; with a few thousand, clean and
    # robust error are higher.
    Preset("fast", ANY, ANY, {"net_options.dropout": 0.25}, {"net": "mnist_cnn"}),
    Preset("fast", ANY, "undefended", _steps(1500)),
    Preset("fast", ANY, "adv_fgsm", _steps(600, first_steps=1500)),
    # Tested with the nested penalty only (docs/gradient_games.md).
    Preset(
        "fast",
        ANY,
        "minimax_grad",
        {"game_options.penalty_every": 2},
        {"game_options.penalty": "nested"},
    ),
    # On CIFAR-10, 2,200 steps do not suffice: smaller batches give more steps in the same time.
    Preset("fast", "cifar10", ANY, _steps(30_000, learning_rate=1e-3, batch_size=32)),
    Preset("fast", "cifar10", "undefended", _steps(12_000)),
    Preset("fast", "cifar10", "adv_fgsm", _steps(3000, first_steps=12_000)),
    # The penalty on every second example was tested on MNIST only.
    Preset("fast", "cifar10", "minimax_grad", {"game_options.penalty_every": 1}),
    # Defenses of other authors (docs/defenses.md). Their own values for MNIST, where those differ
    # from the defaults of the classes, which are for CIFAR-10.
    *(
        Preset(ANY, dataset, game, values)
        for dataset in ("*mnist*", "digits")
        for game, values in {
            "trades": _options(beta=1.0, max_steps=40, relative_step=1 / 30),
            "mart": _options(max_steps=40, relative_step=1 / 30),
        }.items()
    ),
    *(
        Preset("fast", dataset, game, _options(max_steps=10, relative_step=0.25))
        for dataset in ("*mnist*", "digits")
        for game in ("trades", "mart")
    ),
    # A step of `free` updates the weights eight times.
    Preset("paper", ANY, "free", _steps(12_500)),
    Preset("brief", ANY, "free", _steps(500)),
    Preset("fast", ANY, "free", _steps(550, warmup_steps=75)),
    Preset("fast", "cifar10", "free", _steps(7500)),
    # Teacher and student, or a static net and the classifier.
    Preset("paper", ANY, "distillation", _steps(50_000)),
    Preset("paper", "cifar10", "distillation", _steps(100_000)),
    Preset("brief", ANY, "distillation", _steps(1300)),
    Preset("fast", ANY, "distillation", _steps(1500)),
    Preset("fast", "cifar10", "distillation", _steps(12_000)),
    Preset("brief", ANY, "ensemble_adv", _steps(4000, first_steps=1300)),
    Preset("fast", ANY, "ensemble_adv", _steps(2200, first_steps=1500)),
    Preset("fast", "cifar10", "ensemble_adv", _steps(30_000, first_steps=12_000)),
    # Network games; chosen on 5,000 held-out training images of MNIST (docs/network_games.md).
    Preset("fast", ANY, NETWORK, _steps(4000, learning_rate=2e-3, warmup_steps=100, batch_size=64)),
    Preset("fast", ANY, NETWORK, {"game_options.net": "unet", "game_options.attacker_rate": 2.0}),
    Preset(
        "fast",
        ANY,
        "minimax_attnet",
        {"game_options.gamma": 5.0},
        {"game_options.solver": "sensitivity"},
    ),
    Preset("fast", "cifar10", NETWORK, _steps(14_000)),
    # Certified games; chosen on 5,000 held-out training images of MNIST (docs/certified.md).
    *_for_certified(ANY, {"schedule.eta_ramp": 0.5}),
    *(
        Preset(ANY, ANY, game, {"net_options.init": "ibp"}, {"net": net})
        for game in CERTIFIED
        for net in ("strided_cnn", "clipped_cnn")
    ),
    # With branch and bound a small alpha is certified as well as a larger one, and is more robust.
    *(
        Preset(ANY, dataset, game, _options(alpha=0.03, max_steps=2))
        for dataset in ("*mnist*", "digits")
        for game in ("mtl_ibp", "strongest")
    ),
    *_for_certified("fast", _steps(4500, learning_rate=2e-3, warmup_steps=100)),
    # A wide net; docs/strongest.md has what it costs and reaches.
    Preset(ANY, ANY, "strongest", {"schedule.eta_ramp": 0.25}),
    Preset(
        ANY,
        ANY,
        "strongest",
        {"net_options.width": 32, "net_options.hidden": 256},
        {"net": "clipped_cnn"},
    ),
    Preset("fast", ANY, "strongest", _steps(30_000)),
    # Chosen on 5,000 held-out training images, with a net of half the width.
    *(
        Preset(ANY, dataset, "strongest", {"schedule.augment": ("affine",)})
        for dataset in ("*mnist*", "digits")
    ),
    # The table of the union game also has the game's own attackers.
    Preset(ANY, ANY, "union", {"attacks": ("none", "pgd"), "schedule.eta_ramp": 0.4}),
    Preset("fast", ANY, "union", {"game_options.rule": "drawn"}),
    Preset("fast", ANY, "union", {"game_options.attacker_rate": 1.0}),
)


def _longer(fast: Preset, factor: int = 10) -> Preset:
    """The row of `long` for a row of `fast`: the same with `factor` times the steps."""
    counts = ("schedule.steps", "schedule.first_steps")
    values = {
        name: value * factor if name in counts else value for name, value in fast.values.items()
    }
    return dataclasses.replace(fast, schedule="long", values=values)


PRESETS = (*_PRESETS, *(_longer(one) for one in _PRESETS if one.schedule == "fast"))

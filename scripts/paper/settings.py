"""Training steps and numbers of test images, by dataset and schedule."""

import dataclasses

from mmtf.errors import require
from mmtf.presets import preset
from scripts.paper.cells import Track

# At the paper's rate a round takes 400 steps to withstand most of its attack, and 80 take hours.
BRIEF_ROUNDS = 20
# Shorter than the presets of `--schedule=fast`. ROUND is for a round of the cat-and-mouse game,
# chosen on 5,000 held-out training images of MNIST: with 75 or 200 steps a round the classifier
# does not yet withstand the attack that it is trained against.
ROUND = {"learning_rate": 4e-3, "warmup_steps": 20, "decay": "cosine"}
FAST_SCHEDULES: dict[str, dict[str, dict]] = {
    "mnist": {"adv_fgsm": {**ROUND, "steps": 400, "first_steps": 1500}},
    "cifar10": {
        "adv_fgsm": {
            "learning_rate": 1e-3,
            "warmup_steps": 20,
            "steps": 300,
            "first_steps": 12_000,
        },
        "lwa": {"steps": 12_000},
        "minimax_grad": {"steps": 12_000},
        "minimax_attnet": {"steps": 6000},
        "alt_attnet": {"steps": 6000},
        "maximin_attnet": {"steps": 6000},
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of all cells of one track.

    Attributes:
      rounds: rounds of the cat-and-mouse game; the paper's last round corresponds to the last one.
      steps: training steps of every game, for trials; None for the schedule's.
      examples: test images for the paper's columns, 0 for all.
      pgd_examples, autoattack_examples: test images for the two stronger attacks.
      pgd_steps, autoattack_steps, autoattack_queries: see `mmtf.attacks`.
      attnet_steps: training steps of the strongest attack network; None for its recipe's.
      attnet_paper_steps: training steps of the paper's attack network; None for its recipe's.
    """

    rounds: int
    steps: int | None = None
    examples: int = 0
    pgd_examples: int = 1000
    pgd_steps: int = 40
    autoattack_examples: int = 200
    autoattack_steps: int = 100
    autoattack_queries: int = 5000
    attnet_steps: int | None = None
    attnet_paper_steps: int | None = None

    def __post_init__(self) -> None:
        require(self.rounds > 1, "rounds > 1", self.rounds)
        for name in ("examples", "pgd_examples", "autoattack_examples"):
            require(getattr(self, name) >= 0, f"{name} >= 0 (0: all)", getattr(self, name))
        for name in ("pgd_steps", "autoattack_steps"):
            require(getattr(self, name) > 0, f"{name} > 0", getattr(self, name))
        for name in ("steps", "attnet_steps", "attnet_paper_steps"):
            given = getattr(self, name)
            require(given is None or given > 0, f"{name} > 0", given)

    def schedule_of(self, track: Track, game: str) -> dict:
        """Returns the fields of Schedule that differ from the preset's."""
        fast = FAST_SCHEDULES.get(track.dataset, FAST_SCHEDULES["mnist"])
        given = dict(fast.get(game, {})) if track.schedule == "fast" else {}
        if self.steps:
            given["steps"] = self.steps
            if game == "adv_fgsm":
                given["first_steps"] = self.steps
        return given

    def of_attack(self, attack: str) -> dict:
        """Returns the settings that affect the error under `attack`, as part of its record."""
        if attack == "pgd_curr":
            return {"examples": self.pgd_examples, "steps": self.pgd_steps}
        if attack == "autoattack_curr":
            return {
                "examples": self.autoattack_examples,
                "steps": self.autoattack_steps,
                "queries": self.autoattack_queries,
            }
        if attack == "attnet_curr":
            return {"examples": self.examples, "steps": self.attnet_steps}
        if attack == "attnet_paper_curr":
            return {"examples": self.examples, "steps": self.attnet_paper_steps}
        return {"examples": self.examples}


def settings_of(track: Track, **given: int | None) -> Settings:
    """Returns the settings of a track; None among `given` keeps the preset."""
    rounds = preset("game_options.rounds", schedule="paper", dataset=track.dataset, game="adv_fgsm")
    values = {"rounds": rounds}
    if track.dataset == "cifar10":
        values["examples"] = 1000
    if track.schedule == "brief":
        values["rounds"] = BRIEF_ROUNDS
    if track.schedule != "paper":
        # Half of the strongest recipe; 1,500 of the paper's 30,000 steps.
        values |= {"attnet_steps": 2500, "attnet_paper_steps": 1500}
    else:
        values |= {"attnet_steps": 5000, "attnet_paper_steps": 30_000}
    return Settings(**values | {name: one for name, one in given.items() if one is not None})

"""The constants of `mmtf.presets` in mmtf 0.1, kept for one release.

They have no effect: the presets in use are those of `mmtf.preset_table`.
"""

DEFAULT_ETA = {"cifar10": 0.06}
NETWORK_GAME_ATTACKS = ("none", "fgsm", "pgd", "attnet", "attnet_paper", "attnet_met")
DEFAULT_ATTACKS = {"linf": ("none", "fgsm", "ifgsm", "pgd"), "l2": ("none", "fgm", "pgd")}
PAPER = {"learning_rate": 1e-4}
BRIEF = PAPER
FAST = {"learning_rate": 4e-3, "warmup_steps": 300, "decay": "cosine"}
RATES = {"fast": FAST, "paper": PAPER, "brief": BRIEF}
FAST_FOR = {"cifar10": {"learning_rate": 1e-3, "batch_size": 32}}
FAST_NETWORK = {"learning_rate": 2e-3, "warmup_steps": 100, "batch_size": 64}
FAST_NETWORK_GAME = {"net": "unet", "attacker_rate": 2.0}
FAST_GAME = {"minimax_attnet": {"gamma": 5.0}, "minimax_grad": {"penalty_every": 2}}
FAST_GAME_FOR: dict[str, dict[str, dict]] = {"cifar10": {"minimax_grad": {}}}
FAST_NET = {"mnist_cnn": {"dropout": 0.25}}
BRIEF_NET = {"mnist_cnn": {"dropout": 0.0}}
PAPER_ROUNDS = {"mnist": 80, "cifar10": 40}

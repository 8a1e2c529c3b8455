"""What `--schedule=paper`, `fast` and `brief` stand for."""

import dataclasses
import json
import pathlib

import pytest

from mmtf.config import SCHEDULES, RunConfig, Schedule
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.nets import NETS
from mmtf.preset_table import ANY, COMPUTED, NETWORK, PRESETS
from mmtf.presets import default_net, merged_config, run_config, schedule_of

# Appendices A and B: the classifier's iterations, and those of minimax and saddle-point games.
CLASSIFIER = {"mnist": 50_000, "cifar10": 100_000}
MINIMAX = {"mnist": 100_000, "cifar10": 100_000}


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
@pytest.mark.parametrize(
    "game, steps",
    [
        ("undefended", CLASSIFIER),
        ("adv_fgsm", CLASSIFIER),
        ("minimax_grad", MINIMAX),
        ("lwa", MINIMAX),
    ],
)
def test_paper_schedule(game, steps, dataset):
    schedule = schedule_of(game, dataset, "paper")
    assert schedule.steps == steps[dataset]
    assert schedule.round_lengths(1) == [steps[dataset]] * 2
    assert (schedule.batch_size, schedule.learning_rate) == (128, 1e-4)
    assert (schedule.warmup_steps, schedule.decay) == (0, "constant")


@pytest.mark.parametrize("dataset, rounds", [("mnist", 80), ("cifar10", 40)])
def test_the_papers_rounds(dataset, rounds):
    config = run_config(game="adv_fgsm", dataset=dataset, schedule="paper")
    assert config.game_options["rounds"] == rounds
    assert run_config(game="adv_fgsm", dataset=dataset).game_options["rounds"] < 10
    # As mmtf.run asks where --rounds is not given.
    open_ = {"game": "adv_fgsm", "dataset": dataset, "game_options": {"rounds": None}}
    assert run_config(**open_, schedule="paper").game_options["rounds"] == rounds
    own = run_config(game="adv_fgsm", schedule="paper", game_options={"rounds": 2})
    assert own.game_options["rounds"] == 2


@pytest.mark.parametrize("game", GAMES)
def test_the_fast_schedule_is_fast(game):
    fast, paper = schedule_of(game, "mnist"), schedule_of(game, "mnist", "paper")
    if game != "strongest":  # its steps are those of the committed record, below
        assert max(fast.round_lengths(3)) < 5000 < paper.steps
    assert fast.decay == "cosine" and 0 < fast.warmup_steps < fast.steps
    # A dataset that is not in the paper goes by MNIST's schedule.
    assert schedule_of(game, "digits") == fast


@pytest.mark.parametrize("game", GAMES)
def test_the_brief_schedule_is_the_papers_rate_for_a_few_thousand_steps(game):
    brief, paper = schedule_of(game, "mnist", "brief"), schedule_of(game, "mnist", "paper")
    assert brief.steps < paper.steps / 10 and brief.first_steps < 5000
    assert dataclasses.replace(brief, steps=1, first_steps=0) == dataclasses.replace(paper, steps=1)
    net = "mnist_cnn"
    assert run_config(game=game, net=net, schedule="brief").net_options["dropout"] == 0.0
    own = run_config(game=game, net=net, schedule="brief", net_options={"dropout": 0.5})
    assert own.net_options["dropout"] == 0.5


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
@pytest.mark.parametrize("game", GAMES)
def test_the_long_schedule_is_the_fast_one_with_ten_times_the_steps(game, dataset):
    fast, long = (run_config(game=game, dataset=dataset, schedule=one) for one in ("fast", "long"))
    assert long.schedule.steps == 10 * fast.schedule.steps
    assert long.schedule.first_steps == 10 * fast.schedule.first_steps
    same = dataclasses.replace(long.schedule, steps=1, first_steps=0)
    assert same == dataclasses.replace(fast.schedule, steps=1, first_steps=0)
    assert (long.net_options, long.game_options) == (fast.net_options, fast.game_options)


def test_schedule_overrides():
    schedule = schedule_of("adv_fgsm", "mnist", steps=5, learning_rate=None, decay="constant")
    preset = schedule_of("adv_fgsm", "mnist")
    assert (schedule.steps, schedule.decay) == (5, "constant")
    assert schedule.first_steps == preset.first_steps > 0
    assert schedule.learning_rate == preset.learning_rate


def test_unknown_names_show_the_choices():
    with pytest.raises(ConfigError, match="schedule to be one of fast, paper, brief"):
        schedule_of("lwa", "mnist", "medium")
    with pytest.raises(ConfigError, match="game to be one of undefended, .*Received: 'chess'"):
        run_config(game="chess")
    with pytest.raises(ConfigError, match="net to be one of mnist_cnn, .*Received: 'resnet'"):
        run_config(net="resnet")
    with pytest.raises(ConfigError, match="norm to be one of linf, l2, l1. Received: 'l0'"):
        run_config(norm="l0")


def test_unknown_options_are_named():
    with pytest.raises(ConfigError, match=r"option of lwa \(max_steps\). Received: 'gamma'"):
        run_config(game="lwa", game_options={"gamma": 1.0})
    with pytest.raises(ConfigError, match="option of mnist_cnn .*Received: 'depth'"):
        run_config(net_options={"depth": 3})
    for ours in ("image_shape", "num_classes", "seed"):  # decided by the data and the run
        with pytest.raises(ConfigError, match=f"Received: '{ours}'"):
            run_config(net_options={ours: 1})


def test_defaults_by_dataset():
    mnist, cifar = run_config(), run_config(dataset="cifar10")
    assert (mnist.game, mnist.dataset, mnist.eta, mnist.net) == (
        "minimax_grad",
        "mnist",
        0.3,
        "mnist_cnn",
    )
    assert (cifar.eta, cifar.net) == (0.06, "cifar_cnn")
    assert run_config(dataset="digits").eta == 0.3
    assert run_config(dataset="cifar10", eta=0.01, net="mnist_cnn").eta == 0.01
    names = ["mnist", "fashion_mnist", "digits", "cifar10", "svhn_cropped"]
    assert [default_net(name) for name in names] == ["mnist_cnn"] * 3 + ["cifar_cnn"] * 2


def test_the_fast_schedule_has_the_penalty_on_every_second_example_of_mnist():
    assert run_config().game_options["penalty_every"] == 2
    assert run_config(dataset="digits").game_options["penalty_every"] == 2
    of_all = run_config(game_options={"penalty_every": 1}).game_options
    fused = run_config(game_options={"penalty": "fused"}).game_options  # not tried with it
    assert fused == {**of_all, "penalty": "fused"}
    others = [{"dataset": "cifar10"}, {"schedule": "paper"}, {"schedule": "brief"}]
    for options in (of_all, *(run_config(**one).game_options for one in others)):
        # As configs from before there was a choice have it.
        assert options == {
            "gamma": 1.0,
            "max_steps": 1,
            "penalty": "nested",
            "difference_length": 0.1,
        }


def test_every_option_is_spelled_out():
    config = run_config(game_options={"gamma": 0.5}, net_options={"dropout": 0.0})
    assert config.game_options["gamma"] == 0.5 and config.game_options["max_steps"] == 1
    assert config.net_options == {"init": "keras", "dropout": 0.0, "weight_decay": 0.0}
    assert set(config.net_options) < set(NETS["mnist_cnn"].__kwdefaults__)


def test_a_part_of_a_dataset_goes_by_its_name():
    for name in ("cifar10_holdout500", "cifar10:3.0.2", "cifar10/plain:1.0.0"):
        assert schedule_of("lwa", name) == schedule_of("lwa", "cifar10")
        assert default_net(name) == "cifar_cnn"
    assert (
        default_net("mnist_holdout5000_seed1") == default_net("mnist_corrupted/fog") == "mnist_cnn"
    )


def test_default_attacks_suit_the_norm():
    assert run_config().attacks == ("none", "fgsm", "ifgsm", "pgd")
    assert run_config(norm="l2").attacks == ("none", "fgm", "pgd")
    assert run_config(attacks=("pgd",), norm="l2").attacks == ("pgd",)


def test_further_fields():
    config = run_config(seed=5, precision="float32", pgd_steps=3)
    assert (config.seed, config.precision, config.pgd_steps) == (5, "float32", 3)
    assert RunConfig.from_dict(config.to_dict()) == config


def test_network_games_play_the_strongest_network_fast_and_the_papers_on_paper():
    fast = run_config(game="minimax_attnet")
    assert fast.game_options["net"] == "unet" and fast.game_options["gamma"] == 5.0
    assert fast.schedule.batch_size == 64 and fast.game_options["solver"] == "sensitivity"
    own = run_config(game="minimax_attnet", game_options={"net": "mlp", "gamma": 1.0})
    assert own.game_options["net"] == "mlp" and own.game_options["gamma"] == 1.0
    assert own.game_options["net_options"]["output"] == "tanh"
    paper = run_config(game="minimax_attnet", schedule="paper")
    assert (paper.game_options["net"], paper.game_options["gamma"]) == ("mlp", 1.0)
    assert paper.game_options["attacker_rate"] == 10.0
    # The leader of maximin_attnet is the attacker: its penalty is another quantity.
    assert run_config(game="maximin_attnet").game_options["gamma"] == 1.0


OWN_GAMES = """
from mmtf.games.lwa import LWA
from mmtf.games.network_game import NetworkGame


class MyGame(LWA):
    pass


class MyNetworkGame(NetworkGame):
    pass
"""


def test_a_game_of_ones_own_goes_by_the_rows_of_its_kind(tmp_path, monkeypatch):
    (tmp_path / "own_games.py").write_text(OWN_GAMES)
    monkeypatch.syspath_prepend(tmp_path)
    for game, like in (("MyGame", "minimax_grad"), ("MyNetworkGame", "alt_attnet")):
        place = f"own_games:{game}"
        for dataset in ("mnist", "cifar10", "own_data:digits_of_mine"):
            for name in ("fast", "paper", "brief"):
                assert schedule_of(place, dataset, name) == schedule_of(like, dataset, name)
        own, theirs = run_config(game=place), run_config(game=like)
        assert own.attacks == theirs.attacks and own.net_options == theirs.net_options
    options = run_config(game="own_games:MyNetworkGame").game_options
    assert (options["net"], options["attacker_rate"]) == ("unet", 2.0)
    assert RunConfig.from_dict(run_config(game="own_games:MyGame").to_dict()).game == (
        "own_games:MyGame"
    )


def test_a_later_row_overrides_an_earlier_one_and_what_is_given_all_rows():
    config, sources = merged_config(
        {"game": "minimax_attnet", "dataset": "cifar10", "schedule.warmup_steps": 7}
    )
    schedule = config.schedule
    assert (schedule.steps, schedule.batch_size, schedule.warmup_steps) == (14_000, 64, 7)
    assert sources["schedule.batch_size"] == "preset fast, *, network"
    assert sources["schedule.steps"] == "preset fast, cifar10, network"
    assert sources["schedule.warmup_steps"] == "given"
    assert "schedule.first_steps" not in sources


def test_settings_that_there_are_not_are_refused():
    with pytest.raises(ConfigError, match="a setting of a run .*Received: 'momentum'"):
        run_config(momentum=0.9)
    with pytest.raises(
        ConfigError, match=r"attacks of different names. Received: \('pgd', 'pgd'\)"
    ):
        run_config(attacks=("pgd", "pgd"))


def test_every_preset_names_existing_settings():
    for preset in PRESETS:
        assert preset.schedule in (ANY, *SCHEDULES), preset
        assert preset.game in (ANY, COMPUTED, NETWORK, *GAMES), preset
        for name in preset.values:
            head, _, rest = name.partition(".")
            assert head in RunConfig.__dataclass_fields__, preset
            assert head != "schedule" or rest in Schedule.__dataclass_fields__, preset


def test_strongest_is_the_net_with_the_committed_evidence():
    path = pathlib.Path(__file__).parents[1] / "results" / "strongest" / "eta0.3-training.json"
    measured = json.loads(path.read_text())["config"]
    ours = run_config(game="strongest", eta=0.3).to_dict()
    names = ("game", "dataset", "eta", "norm", "game_options", "net", "net_options", "schedule")
    for name in (*names, "precision"):
        assert ours[name] == measured[name]

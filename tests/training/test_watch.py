"""What measurements mean, and what follows: the best weights, a collapse and the ways out."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tiny

import mmtf
import mmtf.training.callbacks
from mmtf.config import Schedule
from mmtf.errors import ConfigError
from mmtf.games import GAMES
from mmtf.training import monitor
from mmtf.training.robustness import Examples, Robustness, watched
from mmtf.training.watch import Point, Watch

# Images right under FGSM and under PGD, of 24: the classifier collapses at the third measurement.
COLLAPSE = [(12, 10), (14, 12), (20, 2), (20, 2), (20, 2), (20, 2)]
# `auto` is bfloat16 where the processor has it.
F32 = {"precision": "float32"}
GOOD = [(12, 10), (14, 12), (14, 11), (14, 12), (15, 14), (15, 13)]


def judged(points, **options):
    watch = Watch(**options)
    found = [watch.judge(Point(step, *one)) for step, one in enumerate(points, 1)]
    return found, watch


@pytest.mark.parametrize(
    "last, collapses",
    [
        ((0.7, 0.29), True),  # PGD fell by 0.21, FGSM stayed
        ((0.7, 0.31), False),  # by 0.19
        ((0.4, 0.29), False),  # FGSM fell as well: another misfortune
        ((0.9, 0.29), True),
    ],
)
def test_a_collapse_is_a_fall_under_pgd_alone(last, collapses):
    found, watch = judged([(0.6, 0.4), (0.7, 0.5), last], reaction="warn")
    assert found == ["best", "best", "collapse" if collapses else ""]
    assert [one.step for one in watch.collapses] == [3] * collapses
    assert judged([(0.6, 0.4), (0.7, 0.5), last])[0][2] == ""  # not looked for


@pytest.mark.parametrize("last, collapses", [(0.045, True), (0.055, False)])
def test_a_low_accuracy_that_falls_to_a_third_has_collapsed(last, collapses):
    """LWA on CIFAR-10 at eta 0.16, whose best is below 20 %: seen at step 1670, gone at 2004."""
    points = [(0.075, 0.025), (0.16, 0.11), (0.215, 0.17), (0.215, 0.135), (0.28, 0.03)]
    assert judged(points, reaction="warn")[0] == ["best", "best", "best", "", "collapse"]
    found, _ = judged([(0.2, 0.15), (0.3, last)], reaction="warn")
    assert found[1] == ("collapse" if collapses else "")
    assert judged([(0.2, 0.14), (0.3, 0.0)], reaction="warn")[0][1] == ""  # 200 images are few


def test_a_classifier_that_was_never_robust_has_collapsed_as_well():
    assert judged([(0.1, 0.05), (0.9, 0.05)], reaction="warn")[0] == ["best", "collapse"]
    assert judged([(0.1, 0.0), (0.9, 0.5)], reaction="warn")[0] == ["best", "best"]


def test_a_new_best_accuracy_under_pgd_is_no_collapse():
    points = [(0.39, 0.0), (0.51, 0.01), (0.62, 0.03)]
    assert judged(points, reaction="stop")[0] == ["best", "best", "best"]


def test_rounds_are_judged_apart():
    """Two measurements of an undefended net, then of one that is trained against PGD."""
    points = [(0.3, 0.3), (0.9, 0.4), (0.9, 0.1), (0.9, 0.05), (0.8, 0.2)]
    found, watch = judged(points, reaction="restore", starts=[0, 2])
    assert found == ["best", "best", "best", "collapse", "best"]
    assert watch.best.step == 5 and [one.step for one in watch.collapses] == [4]
    assert judged(points[:4], patience=1, starts=[0, 2])[1].stopped
    assert not judged(points[:4], patience=1, starts=[0, 2, 3])[1].stopped


def test_it_is_told_once_unless_the_weights_were_restored():
    points = [(0.7, 0.5), (0.9, 0.1), (0.9, 0.1)]
    assert judged(points, reaction="warn")[0] == ["best", "collapse", ""]
    assert judged(points, reaction="switch")[0] == ["best", "collapse", ""]
    found, watch = judged(points, reaction="restore")
    assert found == ["best", "collapse", "collapse"] and watch.factor == 0.25


def test_patience_counts_measurements_without_a_better_one():
    found, watch = judged([(0, 0.2), (0, 0.3), (0, 0.3), (0, 0.1)], patience=2)
    assert found == ["best", "best", "", ""] and watch.stopped and watch.best.step == 2
    assert not judged([(0, 0.2), (0, 0.3), (0, 0.3)], patience=2)[1].stopped


def train(scores=None, monkeypatch=None, game="lwa", net=None, **options):
    """Twelve steps, measured after every second one; `scores` in place of measurements."""
    if scores is not None:
        left = iter(scores)
        monkeypatch.setattr(Robustness, "measure", lambda self: next(left))
    own = {name: options.pop(name) for name in ("checkpoint_dir", "events") if name in options}
    settings = {"check_every": 2, **options}
    if game == "lwa":
        game = GAMES["lwa"](tiny.THREAT)
    schedule = Schedule(steps=12, batch_size=8, learning_rate=1e-2, **settings)
    net = net or (lambda: tiny.tiny_net(0.5))
    return mmtf.train(
        game, tiny.tiny_data(), schedule=schedule, model=net, progress=False, **own, **F32
    )


def weights_at(steps):
    """The weights of the same training after some of its steps."""
    trainer = tiny.make_trainer("lwa", net=tiny.tiny_net(0.5), steps=12)
    return tiny.weights_after(trainer, [steps])


def test_watching_changes_nothing_until_it_acts(monkeypatch, capfd):
    """Real measurements, and a collapse that is only told."""
    tiny.assert_same(train(on_collapse="restore").model.get_weights(), weights_at(12))
    trained = train(COLLAPSE, monkeypatch)
    tiny.assert_same(trained.model.get_weights(), weights_at(12))
    said = capfd.readouterr().err.splitlines()
    told = [line for line in said if "catastrophic overfitting" in line]
    assert len(told) == 1 and "on_collapse=switch" in told[0]
    assert "Step 6: " in told[0] and "50% (step 4) to 8%" in told[0]
    assert "on 24 training images" in told[0]
    assert trained.checks["collapses"] == [6] and len(trained.checks["points"]) == 6
    assert trained.weights == "" and not trained.checks["held_out"]


def test_stop_ends_with_the_weights_of_the_best_measurement(monkeypatch, capfd):
    trained = train(COLLAPSE, monkeypatch, on_collapse="stop")
    assert trained.steps == 6
    tiny.assert_same(trained.model.get_weights(), weights_at(4))
    assert "Training ends with the weights of step 4." in capfd.readouterr().err
    assert trained.weights.startswith("the weights of step 4, PGD-10 accuracy 50.00% on 24")


def test_restore_goes_on_from_the_best_weights_with_half_the_rate(monkeypatch, capfd):
    """Adam's moments too: the next steps are those of a trainer that was set to that state."""
    trained = train(COLLAPSE[:3] + [(14, 12)] * 3, monkeypatch, on_collapse="restore")
    assert "Going on from the weights of step 4 with 0.5 times" in capfd.readouterr().err
    other = tiny.make_trainer("lwa", net=tiny.tiny_net(0.5), steps=12)
    other.run(0, 4)
    optimizer = other.players.updaters["classifier"]
    optimizer.iterations.assign(6)
    half = optimizer._learning_rate  # WarmupCosine, here constant
    half.scale = 0.5
    other._compile()
    other.run(6, 6)
    # One multiplication more, by a power of two: exact.
    tiny.assert_same(trained.model.get_weights(), other.players.models["classifier"].get_weights())


def test_switch_goes_on_with_several_attack_steps(monkeypatch, capfd):
    trained = train(COLLAPSE, monkeypatch, on_collapse="switch")
    assert "Going on with 7 attack steps." in capfd.readouterr().err
    assert trained.trainer.game.max_steps == 7 and type(trained.trainer.game).__name__ == "LWA"
    other = tiny.make_trainer("lwa", net=tiny.tiny_net(0.5), steps=12)
    other.run(0, 6)
    other.play(GAMES["adv_pgd"](tiny.THREAT))
    other.run(6, 6)
    tiny.assert_same(trained.model.get_weights(), other.players.models["classifier"].get_weights())


def test_switch_perturbs_all_examples_of_a_game_in_rounds():
    from mmtf.training.several_steps import with_several_steps

    trainer = tiny.make_trainer("adv_fgsm", steps=3, rounds=1)
    trainer.enter_round(0, begin=True)
    trainer.play(with_several_steps(trainer.game))
    assert not trainer.game.single_step
    other = tiny.make_trainer("adv_pgd", steps=3)
    tiny.assert_same(tiny.weights_after(trainer, [3]), tiny.weights_after(other, [3]))


def test_early_stopping_keeps_the_best_weights(monkeypatch):
    trained = train(GOOD, monkeypatch, holdout=6, game=GAMES["adv_pgd"](tiny.THREAT, max_steps=2))
    assert trained.steps == 12 and trained.trainer.batches.size == 18
    assert trained.weights.startswith("the weights of step 10, ")
    assert "on 6 held-out training images" in trained.weights
    ended = train(GOOD, monkeypatch, holdout=6, patience=2)
    assert ended.steps == 8 and ended.weights.startswith("the weights of step 4, ")


# Rounds of 4 and 8 steps: the net of round 0 is right on more images under PGD.
ROUNDS = [(5, 3), (5, 3), (4, 2), (5, 2), (4, 2), (4, 1)]


def train_in_rounds(game, monkeypatch, measured=0, **options):
    left = iter(ROUNDS[measured:])
    monkeypatch.setattr(Robustness, "measure", lambda self: next(left))
    return mmtf.train(
        GAMES[game](tiny.THREAT),
        tiny.tiny_data(),
        schedule=Schedule(
            steps=8, first_steps=4, batch_size=8, learning_rate=1e-2, holdout=6, check_every=2
        ),
        model=tiny.tiny_net(),
        progress=False,
        **options,
        **F32,
    )


@pytest.mark.parametrize("game", ["pgd_mtl_ibp", "distillation", "ensemble_adv"])
def test_the_result_is_the_best_of_the_last_round(monkeypatch, game):
    trained = train_in_rounds(game, monkeypatch)
    assert trained.steps == 12
    assert trained.weights.startswith("the weights of step 6, PGD-10 accuracy 33.33% on 6 held-out")


@pytest.mark.parametrize("stop", [3, 4, 5, 7])
def test_a_run_in_rounds_resumes_with_the_same_best(tmp_path, monkeypatch, stop):
    whole = train_in_rounds("pgd_mtl_ibp", monkeypatch)

    def interrupt(step):
        if step == stop:
            raise KeyboardInterrupt

    saved = {"checkpoint_dir": str(tmp_path), "checkpoint_seconds": 0}
    events = mmtf.training.callbacks.Callbacks(on_evaluation=interrupt, evaluate_every=stop)
    with pytest.raises(KeyboardInterrupt):
        train_in_rounds("pgd_mtl_ibp", monkeypatch, events=events, **saved)
    again = train_in_rounds("pgd_mtl_ibp", monkeypatch, measured=stop // 2, **saved)
    assert (again.weights, again.checks) == (whole.weights, whole.checks)
    tiny.assert_same(again.model.get_weights(), whole.model.get_weights())


@pytest.mark.parametrize("game, steps", [("lwa", 8), ("pgd_mtl_ibp", 4)])
def test_what_an_older_version_has_kept_is_not_taken_for_a_later_round(game, steps):
    """Its measurements do not say whose weights were stored: the best of all rounds."""
    schedule = Schedule(steps=steps, batch_size=8, holdout=6, check_every=2)
    trainer = tiny.make_trainer(game, steps=steps)
    held = tiny.tiny_data().holdout(6)
    kept = monitor.make_monitor(trainer, held, held, schedule=schedule, seed=0)
    points = [Point(2, 0.5, 0.5), Point(4, 0.5, 0.4), Point(6, 0.5, 0.3)]
    kept.history.assign(json.dumps([dataclasses.asdict(one) for one in points]))
    kept.resume()
    assert kept.watch.best == (points[0] if game == "lwa" else None)


def test_what_is_held_out_is_not_trained_on():
    data = tiny.tiny_data()
    held = data.holdout(6).test_images
    images = train(holdout=6).trainer.batches._images.numpy()
    assert len(images) == 18
    assert not (images[:, None] == held[None]).all((2, 3, 4)).any()


RESUMED = [
    (5, {"on_collapse": "stop"}),
    (5, {"on_collapse": "restore"}),
    (5, {"on_collapse": "switch"}),
    (7, {"on_collapse": "restore", "ema": 0.5}),
    (7, {"on_collapse": "switch"}),
    (7, {"holdout": 6, "patience": 3}),
    (7, {"ema": 0.9, "label_smoothing": 0.2, "augment": ("crop",)}),
]
QUICK = (3, 6)


@pytest.mark.parametrize(
    "stop, options",
    [
        pytest.param(*one, marks=() if number in QUICK else pytest.mark.slow)
        for number, one in enumerate(RESUMED)
    ],
)
def test_a_resumed_run_ends_bitwise_the_same(tmp_path, monkeypatch, stop, options):
    scores = COLLAPSE if "on_collapse" in options else GOOD
    whole = train(scores, monkeypatch, **options)
    left = iter(scores)
    monkeypatch.setattr(Robustness, "measure", lambda self: next(left))

    def interrupt(trainer):
        def stopped(step):
            if step == stop:
                raise KeyboardInterrupt

        return mmtf.training.callbacks.Callbacks(on_evaluation=stopped, evaluate_every=stop)

    saved = {"checkpoint_dir": str(tmp_path), "checkpoint_seconds": 0}
    schedule = Schedule(steps=12, batch_size=8, learning_rate=1e-2, check_every=2, **options)
    given = {
        "schedule": schedule,
        "model": lambda: tiny.tiny_net(0.5),
        "progress": False,
        **saved,
        **F32,
    }
    game = GAMES["lwa"](tiny.THREAT)
    if whole.steps > stop:
        with pytest.raises(KeyboardInterrupt):
            mmtf.train(game, tiny.tiny_data(), events=interrupt, **given)
    again = mmtf.train(GAMES["lwa"](tiny.THREAT), tiny.tiny_data(), **given)
    assert (again.steps, again.weights, again.checks) == (whole.steps, whole.weights, whole.checks)
    tiny.assert_same(again.model.get_weights(), whole.model.get_weights())


@pytest.mark.parametrize(
    "game, options, message",
    [
        ("adv_pgd", {"on_collapse": "stop"}, "of a single attack step"),
        ("adv_pgd", {"check_every": 5}, "check_every with holdout, or"),
        ("adv_fgsm", {"on_collapse": "stop"}, "without rounds"),
        ("adv_fgsm", {"holdout": 6, "patience": 1}, "patience with a game without rounds"),
        ("lwa", {"extra_share": 0.3}, "extra_share with extra_data"),
    ],
)
def test_options_without_a_meaning_are_refused(game, options, message):
    schedule = Schedule(steps=1, batch_size=8, **options)
    with pytest.raises(ConfigError, match=message):
        mmtf.train(GAMES[game](tiny.THREAT), tiny.tiny_data(), schedule=schedule, progress=False)


def test_short_trainings_and_those_of_several_steps_are_not_measured():
    assert train(check_every=0).checks is None
    assert train(check_every=0, game=GAMES["adv_pgd"](tiny.THREAT, max_steps=2)).checks is None


def test_a_linear_classifier_is_measured_as_its_closed_form_says():
    """Logits +-w x: FGSM and PGD move each pixel by eta against w, so margins fall by eta |w|_1."""
    weights = np.random.default_rng(0).normal(size=16).astype(np.float32)
    net = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    net.set_weights([np.stack([weights, -weights], 1), np.zeros(2)])
    x = np.random.default_rng(1).uniform(-0.6, 0.6, [300, 4, 4, 1]).astype(np.float32)
    y = (np.random.default_rng(2).uniform(size=300) < 0.3).astype(np.int64)
    margins = (x.reshape(300, 16) @ weights) * (1 - 2 * y)
    right = int((margins > 0.3 * np.abs(weights).sum()).sum())
    assert 0 < right < 300
    found = Robustness(mmtf.Classifier(net), tiny.THREAT, Examples(x, y), seed=0).measure()
    assert found == (right, right)


def test_watched_images_are_spread_over_the_split():
    data = tiny.tiny_data()
    x, y = watched(data, 4)
    np.testing.assert_array_equal(x, data.train_images[[0, 7, 15, 23]])
    np.testing.assert_array_equal(y, data.train_labels[[0, 7, 15, 23]])
    assert len(watched(data).y) == 24
    assert monitor.watch_interval(2200, 128) * 7 >= 2200


def digits_net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 4, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 4, strides=2, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, "relu"),
            keras.layers.Dense(10),
        ]
    )


def collapsing(**options):
    """LWA at eta 0.6 learns to mislead FGSM: 89 % under it at step 200, none under PGD."""
    settings = {"steps": 200, "eta_ramp": 0.6, "check_every": 25, **options}
    return mmtf.train(
        GAMES["lwa"](mmtf.ThreatModel(eta=0.6)),
        mmtf.load_data("digits"),
        schedule=Schedule(batch_size=64, learning_rate=2e-3, **settings),
        model=digits_net,
        progress=False,
        **F32,
    )


def test_a_real_collapse_is_caught(capfd):
    checks = collapsing().checks
    assert len(checks["collapses"]) == 1
    last = checks["points"][-1]
    assert last["fgsm"] >= 0.5 and last["pgd"] <= 0.1
    assert "catastrophic overfitting" in capfd.readouterr().err


@pytest.mark.slow
def test_several_steps_end_a_real_collapse():
    """Of 200 images: 0.1 is three standard errors of a share near 0."""
    warned = collapsing(steps=400, eta_ramp=0.3).checks["points"][-1]
    switched = collapsing(steps=400, eta_ramp=0.3, on_collapse="switch").checks["points"][-1]
    print(warned, switched)
    assert switched["pgd"] > warned["pgd"] + 0.1

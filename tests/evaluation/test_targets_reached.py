"""The share of examples that reach their target: of linear models in closed form."""

import json

import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.attacks import ATTACKS, FGSM, PGD, ExpectationOverTransformation, Transfer
from mmtf.attacks.criteria import Criterion
from mmtf.evaluation import measure, worst
from mmtf.evaluation.cells import _read, _write
from mmtf.evaluation.report import evaluation_record, evaluation_text, write_report
from mmtf.reports.evaluation import evaluation_frame, evaluation_markdown
from mmtf.stats.intervals import wilson
from mmtf.threat import ThreatModel

SHAPE, COUNT, ETA = (2, 3, 1), 60, 0.25
THREAT = ThreatModel(eta=ETA)


@pytest.fixture
def model(rng, linear):
    return linear(rng.normal(0, 1, (6, 3)), rng.normal(0, 0.2, 3))


@pytest.fixture
def batch(rng):
    x = rng.uniform(-0.7, 0.7, (COUNT, *SHAPE)).astype(np.float32)
    return x, rng.integers(0, 3, COUNT).astype(np.int32)


def reached_by_fgsm(model, x, y, targets):
    """argmax of the logits at x + eta sign((W (onehot(t) - softmax)): FGSM's point in float64."""
    logits = model.logits64(x)
    soft = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rising = (np.eye(3)[targets] - soft) @ model.weights.T.astype(np.float64)
    z = np.clip(x + ETA * np.sign(rising).reshape(x.shape), -1, 1)
    z = np.where((targets == y)[:, None, None, None], x, z)
    return model.logits64(z).argmax(1) == targets


def expected_targets(target, model, x, y, batch_size):
    if isinstance(target, int):
        return np.full(len(y), target)
    if target == "least_likely":
        logits = model.logits64(x)
        logits[np.arange(len(y)), y] = np.inf
        return logits.argmin(1)
    parts = []
    for number, start in enumerate(range(0, len(y), batch_size)):
        own = tf.random.experimental.stateless_fold_in(tf.constant([7, 0]), number)
        rows = slice(start, start + batch_size)
        parts.append(Criterion(target).labels(model, x[rows], y[rows], own))
    return np.concatenate(parts)


@pytest.mark.parametrize("target", [0, 2, "least_likely", "random"])
def test_the_rate_is_that_of_a_linear_model(target, model, batch):
    x, y = batch
    found = measure(model, FGSM(THREAT, target=target), x, y, name="fgsm", seed=7, batch_size=25)
    targets = expected_targets(target, model, x, y, 25)
    reached = reached_by_fgsm(model, x, y, targets)
    np.testing.assert_array_equal(found.reached, reached)
    np.testing.assert_array_equal(found.targets, np.where(targets == y, -1, targets))
    aimed = targets != y
    assert found.target_rate == reached[aimed].mean() and 0 < found.target_rate < 1
    assert found.target_interval == wilson(int(reached[aimed].sum()), int(aimed.sum()))
    assert found.to_dict()["target_n"] == aimed.sum() == found.aimed.sum()
    # A target that is reached is an error; other errors remain.
    assert (found.wrong | ~(reached & aimed)).all()


def test_of_two_classes_the_target_is_the_error(linear, batch, rng):
    two = linear(rng.normal(0, 1, (6, 2)))
    x, y = batch[0], batch[1] % 2
    for target in ("least_likely", "random"):
        attack = PGD(THREAT, steps=5, target=target)
        found = measure(two, attack, x, y, name="pgd")
        np.testing.assert_array_equal(found.reached, found.wrong)
        assert found.target_rate == found.error


def test_an_untargeted_attack_has_no_rate(model, batch):
    found = measure(model, FGSM(THREAT), *batch, name="fgsm")
    assert found.targets is found.reached is found.target_rate is found.target_interval is None
    assert not any(name.startswith("target") for name in found.to_dict())
    aimed = measure(model, FGSM(THREAT, target=1), *batch, name="fgsm")
    assert worst([found, aimed], found.wrong).targets is None


@pytest.mark.parametrize("name", ["apgd_targeted", "fab", "autoattack"])
def test_attacks_over_several_classes_have_no_rate(name, model, batch):
    """Their option `targets` is a number of classes; any wrong class is a success."""
    options = {"queries": 5} if name == "autoattack" else {}
    attack = ATTACKS[name](THREAT, steps=2, targets=1, **options)
    assert measure(model, attack, *batch, name=name).targets is None


def test_where_all_have_the_target_class_there_is_no_rate(model, batch):
    x, _ = batch
    found = measure(model, FGSM(THREAT, target=1), x, np.ones(COUNT, int), name="fgsm")
    assert found.target_rate is None and found.to_dict()["target_n"] == 0


def test_targets_of_a_transfer_are_the_surrogates(model, linear, batch):
    surrogate = linear(np.random.default_rng(5).normal(0, 1, (6, 3)))
    x, y = batch
    attack = Transfer(surrogate, FGSM(THREAT, target="least_likely"))
    found = measure(model, attack, x, y, name="transfer")
    targets = expected_targets("least_likely", surrogate, x, y, COUNT)
    np.testing.assert_array_equal(found.targets, targets)
    z = attack(model, x, y)
    np.testing.assert_array_equal(found.reached, model.logits64(z).argmax(1) == targets)
    mean = ExpectationOverTransformation(FGSM(THREAT, target="least_likely"), samples=2)
    own = measure(model, mean, x, y, name="eot").targets
    np.testing.assert_array_equal(own, expected_targets("least_likely", model, x, y, COUNT))


@pytest.mark.parametrize("target", ["random", "least_likely"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_measurement_has_the_same_targets(target, precision, batch):
    import keras

    x, y = batch
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    options = {"name": "pgd", "seed": 3, "batch_size": 20, "precision": precision}
    attack, kept = PGD(THREAT, steps=3, target=target), {}
    whole = measure(net, attack, x, y, kept=kept, **options)
    del kept[1]
    again = measure(net, attack, x, y, kept=kept, **options)
    for name in ("wrong", "targets", "reached"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    # PGD stops at the target: where it is reached, the classifier says so.
    z = mmtf.evaluation.perturb(net, attack, x, y, seed=3, batch_size=20, precision=precision)
    np.testing.assert_array_equal(
        net.predict(z, verbose=0).argmax(1) == whole.targets, whole.reached
    )


def test_a_kept_cell_keeps_its_targets(model, batch, tmp_path):
    found = measure(model, FGSM(THREAT, target=1), *batch, name="fgsm")
    _write(found, tmp_path / "cell.npz")
    again = _read(tmp_path / "cell.npz")
    np.testing.assert_array_equal(again.targets, found.targets)
    np.testing.assert_array_equal(again.reached, found.reached)


@pytest.fixture
def data(make_dataset, model, batch):
    x, y = batch
    return make_dataset(
        train_images=x, train_labels=y, test_images=x, test_labels=y, class_names=("a", "b", "c")
    )


def test_tables_show_the_rate_beside_the_error(data, model, tmp_path):
    attacks = {"none": ATTACKS["none"](THREAT), "to c": FGSM(THREAT, target=2)}
    table = mmtf.evaluate(model, attacks, data, checks=False).set_index("attack")
    found = measure(model, attacks["to c"], *data.test(), name="fgsm")
    assert table.target_rate["to c"] == found.target_rate
    assert (table.target_low["to c"], table.target_high["to c"]) == found.target_interval
    assert table.target_rate[["none", "worst"]].isna().all()
    assert "target_rate" not in mmtf.evaluate(model, ["none"], data, threat=THREAT, checks=False)
    from mmtf.evaluation.options import EvalOptions
    from mmtf.evaluation.payoff import payoff_matrix

    model.fingerprint = "linear"
    options = EvalOptions(checks=False, cache_dir=str(tmp_path / "cells"))
    given = {"none": {}, "fgsm": {"target": 2}}
    matrix = payoff_matrix({"net": model}, given, data, etas=[ETA], options=options)
    settings = {"etas": [ETA], "norm": "linf", "attacks": given, "eot_samples": 1, "seed": 0}
    record = json.loads(json.dumps(evaluation_record(matrix, data, settings)))
    assert record["class_names"] == ["a", "b", "c"]
    low, high = found.target_interval
    shown = f"target reached {100 * found.target_rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    assert shown in evaluation_text(record) and shown in evaluation_markdown(record)
    assert "target 2 (c)" in evaluation_markdown(record)
    frame = evaluation_frame(record).set_index("attack")
    assert (
        frame.target_rate["fgsm"] == found.target_rate
        and frame.target_n["fgsm"] == found.aimed.sum()
    )
    write_report(str(tmp_path), record, matrix, data, {"net": model})
    assert f"{found.target_rate}" in (tmp_path / "table.csv").read_text()
    kept = np.load(tmp_path / "examples.npz")
    np.testing.assert_array_equal(kept[f"net/fgsm/{ETA}/reached"], found.reached)
    np.testing.assert_array_equal(kept[f"net/fgsm/{ETA}/targets"], found.targets)


def test_an_attack_that_was_left_out_leaves_its_cell_empty():
    rate = {"eta": 0.3, "error": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 100}
    places = (("a", "pgd"), ("a", "worst"), ("b", "worst"))
    cells = [{"defense": one, "attack": attack, **rate} for one, attack in places]
    record = {"dataset": "digits", "norm": "linf", "n": 100, "etas": [0.3], "seed": 0}
    record |= {"eot_samples": 1, "attacks": {"pgd": {}}, "cells": cells}
    text = evaluation_markdown({**record, "signs": [], "comparisons": {}})
    assert "nan" not in text and "| b |  |" in text

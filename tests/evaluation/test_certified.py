"""`certified` beside attacks: brackets of a matrix, their cache, and `python -m mmtf.evaluate`."""

import importlib.util
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from commands import call
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import mmtf
from mmtf.bounds.cascade import certify
from mmtf.bounds.certificates import InvertedBracket
from mmtf.cli.certified_flags import certifies, other_radii
from mmtf.cli.evaluate_flags import attack_names, define_flags
from mmtf.errors import ConfigError
from mmtf.evaluation import certified_cells
from mmtf.evaluation.cells import Examples
from mmtf.evaluation.certified import Certification, with_certificates
from mmtf.evaluation.certified_cells import CertifiedCells, Chosen
from mmtf.evaluation.drawing import drawn_numbers
from mmtf.evaluation.options import EvalOptions
from mmtf.evaluation.payoff import payoff_matrix
from mmtf.evaluation.report import (
    certified_arrays,
    evaluation_record,
    evaluation_text,
    log_brackets,
    write_report,
)
from mmtf.reports.page import evaluation_html
from mmtf.stats.intervals import wilson
from mmtf.threat import ThreatModel

L = keras.layers
CHEAP = Certification(verifiers=("ibp", "crown_ibp"))


@pytest.fixture(scope="module")
def net():
    """A small net of digits after a few steps; it sees 4x4 pixels."""
    data = mmtf.load_data("digits")
    keras.utils.set_random_seed(0)
    layers = [L.AveragePooling2D(7), L.Flatten(), L.Dense(16, activation="relu"), L.Dense(10)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-2), loss)
    x, y = data.train()
    model.fit(x, y, batch_size=128, epochs=4, verbose=0)
    return model, data


def measured(net, folder, etas=(0.05, 0.2)):
    """The matrix with certificates, and the lines that were said."""
    model, data = net
    options, lines = EvalOptions(max_examples=30, checks=False, cache_dir=folder), []
    matrix = payoff_matrix(
        {"net": model}, {"none": {}, "fgsm": {}}, data, etas=list(etas), options=options, say=str
    )
    graphs = CHEAP.graphs({"net": model}, etas, "linf")
    settings = {"etas": etas, "norm": "linf", "options": options, "say": lines.append}
    return with_certificates(matrix, graphs, data, CHEAP, **settings), lines


def test_a_matrix_gets_a_cell_for_each_radius(net, tmp_path, monkeypatch):
    matrix, lines = measured(net, str(tmp_path))
    assert [(one.attack, one.eta) for one in matrix.cells] == [
        *[(name, 0.05) for name in ("none", "fgsm", "worst", "certified")],
        *[(name, 0.2) for name in ("none", "fgsm", "worst", "certified")],
    ]
    cells = {(one.attack, one.eta): one for one in matrix.cells}
    for eta in (0.05, 0.2):
        # Every image that an attack breaks is among those that are not certified.
        assert (cells["worst", eta].wrong <= cells["certified", eta].wrong).all()
        one = matrix.certificates["net", eta]
        np.testing.assert_array_equal(one.status != "certified", cells["certified", eta].wrong)
        np.testing.assert_array_equal(
            np.isin(one.status, ["wrong", "broken"]), cells["worst", eta].wrong
        )
    errors = [cells["certified", eta].error for eta in (0.05, 0.2)]
    assert errors[0] < errors[1] and errors[0] < 1.0
    assert len(lines) == 2 and lines[0].startswith("net  eta 0.05  certified: clean ")

    def again(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(certified_cells, "certify", again)  # all is in the cache
    kept, _ = measured(net, str(tmp_path))
    for key, one in matrix.certificates.items():
        for name in ("status", "stage", "margin", "seconds"):
            np.testing.assert_array_equal(getattr(kept.certificates[key], name), getattr(one, name))
        assert kept.certificates[key].required == one.required


def test_reports_show_the_bracket(net, tmp_path):
    model, data = net
    matrix, _ = measured(net, None)
    record = evaluation_record(matrix, data, settings_of([0.05, 0.2]))
    text, page = evaluation_text(record), evaluation_html(record)
    one = matrix.certificates["net", 0.2]
    entry = record["certified"][1]
    for end, error in (("worst", one.attacked_error), ("certified", one.certified_error)):
        assert entry[end] == error
        low, high = wilson(round(error * 30), 30)
        assert entry[f"{end}_interval"] == [low, high]
        assert f"{error:.1%} [{100 * low:.1f}, {100 * high:.1f}]".replace("%", " %") in text
    assert "worst >=" in text and "certified <=" in text
    assert "Bracket around the worst-case error" in page and "strongest attack is fgsm" in page
    write_report(str(tmp_path), record, matrix, data, {"net": model})
    with np.load(tmp_path / "examples.npz") as kept:
        np.testing.assert_array_equal(kept["net/certified/0.2/status"], one.status)
        np.testing.assert_array_equal(kept["net/certified/0.2/margin"], one.margin)
        np.testing.assert_array_equal(kept["net/certified/0.2/stage"], one.stage)
        np.testing.assert_array_equal(kept["net/certified/0.2/seconds"], one.seconds)
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "brackets.png").read_bytes()[:4] == b"\x89PNG"
        assert [tag for tag, _ in logged_images(tmp_path / "logs")] == ["brackets"]
    assert "certified <=" in (tmp_path / "table.md").read_text()
    assert json.loads((tmp_path / "record.json").read_text())["certified"] == record["certified"]


def logged_images(folder):
    """(tag, width) of the images in TensorBoard's event files."""
    loaded = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    return [
        (tag, int(tf.make_ndarray(loaded.Tensors(tag)[0].tensor_proto)[0]))
        for tag in loaded.Tags()["tensors"]
    ]


def test_a_run_gets_the_figure_among_its_logs(net, tmp_path):
    pytest.importorskip("matplotlib")
    matrix, _ = measured(net, None)
    record = evaluation_record(matrix, net[1], settings_of([0.05, 0.2]))
    log_brackets(record, [str(tmp_path)])
    ((tag, width),) = logged_images(tmp_path / "logs" / "brackets")
    assert tag == "brackets" and width > 300
    log_brackets({**record, "certified": []}, [str(tmp_path / "other")])
    assert not (tmp_path / "other").exists()


def test_without_certificates_reports_are_as_before(net):
    model, data = net
    matrix = payoff_matrix(
        {"net": model},
        {"none": {}},
        data,
        etas=[0.1],
        options=EvalOptions(max_examples=10, checks=False),
        say=str,
    )
    record = evaluation_record(
        matrix, data, {"norm": "linf", "etas": [0.1], "seed": 0, "attacks": {}, "eot_samples": 1}
    )
    assert "certified" not in record and "Bracket" not in evaluation_html(record)
    assert "worst >=" not in evaluation_text(record)


def test_what_cannot_be_certified_shows_before_anything_is_measured():
    model = keras.Sequential([keras.Input((4,)), L.LayerNormalization(name="ln"), L.Dense(2)])
    with pytest.raises(ConfigError, match="net: Expected layers .* LayerNormalization 'ln'"):
        CHEAP.graphs({"net": model}, [0.1], "linf")
    linear = keras.Sequential([keras.Input((4,)), L.Dense(2)])
    with pytest.raises(ConfigError, match="net: Expected a linf or l1 ball for milp"):
        Certification(verifiers=("milp",)).graphs({"net": linear}, [0.1], "l2")
    with pytest.raises(ConfigError, match="verifiers as a list"):
        Certification(verifiers="ibp").graphs({"net": linear}, [0.1], "linf")


def test_an_inverted_bracket_names_the_model_and_the_test_example(net, monkeypatch):
    """`fgsm` is said to break all examples, among them some that are certified."""
    model, data = net
    options = EvalOptions(max_examples=60, checks=False)
    matrix = payoff_matrix(
        {"net": model}, {"none": {}}, data, etas=[0.01], options=options, say=str
    )
    for cell in matrix.cells:
        if cell.attack == "worst":
            cell.wrong[20:] = True
    graphs = CHEAP.graphs({"net": model}, [0.01], "linf")
    given = {"etas": [0.01], "norm": "linf", "options": options, "say": str}
    with pytest.raises(InvertedBracket) as caught:
        with_certificates(matrix, graphs, data, CHEAP, **given)
    found = re.match(r"net  eta 0.01  certified: Example (\d+): ibp proves", str(caught.value))
    first = certify(model, *data.test(60), ThreatModel(eta=0.01), ["ibp"])
    assert int(found[1]) == 20 + np.flatnonzero(first.status[20:] == "certified")[0]
    # Of drawn examples the number is that in the test split, too.
    certified = np.flatnonzero(first.status == "certified")[5:]
    drawn = Chosen(Examples(data, 60), certified)
    with pytest.raises(InvertedBracket, match=f"cell: Example {certified[0]}: ibp proves"):
        CertifiedCells(None, options).measured(
            graphs["net"],
            drawn,
            ThreatModel(eta=0.01),
            ["ibp"],
            broken=np.ones(len(drawn), bool),
            label="cell",
        )


def test_an_attack_that_errs_below_a_certified_radius_is_named(net):
    model, data = net
    options = EvalOptions(max_examples=20, checks=False)
    etas = [0.01, 0.02]
    matrix = payoff_matrix({"net": model}, {"none": {}}, data, etas=etas, options=options, say=str)
    how = Certification(verifiers=("crown",))  # dear: it does not look at broken examples
    graphs = how.graphs({"net": model}, etas, "linf")
    proved = certify(model, *data.test(20), ThreatModel(eta=0.02), ["crown"]).status
    row = int(np.flatnonzero(proved == "certified")[3])
    next(one for one in matrix.cells if (one.attack, one.eta) == ("worst", 0.01)).wrong[row] = True
    given = {"etas": etas, "norm": "linf", "options": options, "say": str}
    with pytest.raises(InvertedBracket, match=f"net: example {row} is certified at radius 0.02"):
        with_certificates(matrix, graphs, data, how, **given)


def test_counterexamples_of_verifiers_count_in_the_worst_case(net):
    model, data = net
    how = Certification(verifiers=("milp",), dear_examples=16)
    options = EvalOptions(max_examples=40, checks=False)
    given = {"etas": [0.06], "options": options, "say": str}
    matrix = payoff_matrix({"net": model}, {"none": {}}, data, **given)
    (clean, before) = (one.wrong.copy() for one in matrix.cells)
    graphs = how.graphs({"net": model}, [0.06], "linf")
    matrix = with_certificates(matrix, graphs, data, how, norm="linf", **given)
    worst = next(one.wrong for one in matrix.cells if one.attack == "worst")
    found = matrix.certificates["net", 0.06].status
    assert (found == "broken").any() and (found == "certified").any()
    expected = before.copy()
    expected[matrix.drawn[found == "broken"]] = True
    np.testing.assert_array_equal(worst, expected)
    np.testing.assert_array_equal(clean, before)


def test_dear_verifiers_run_on_drawn_examples(net, tmp_path):
    model, data = net
    how = Certification(verifiers=("ibp", "crown"), dear_examples=12)
    options = EvalOptions(max_examples=40, checks=False)
    attacks = {"none": {}, "fgsm": {}}
    matrix = payoff_matrix({"net": model}, attacks, data, etas=[0.1], options=options, say=str)
    given = {"etas": [0.1], "norm": "linf", "options": options, "say": str}
    graphs = how.graphs({"net": model}, [0.1], "linf")
    matrix = with_certificates(matrix, graphs, data, how, **given)
    cells = {one.attack: one for one in matrix.cells}
    assert [cells[name].n for name in ("worst", "certified_cheap", "certified")] == [40, 40, 12]
    rows = drawn_numbers(40, 12)
    np.testing.assert_array_equal(matrix.drawn, rows)
    x, y = data.test(40)
    broken, threat = cells["worst"].wrong, ThreatModel(eta=0.1)
    alone = certify(model, x[rows], y[rows], threat, how.verifiers, broken=broken[rows])
    np.testing.assert_array_equal(matrix.certificates["net", 0.1].status, alone.status)
    cheap = certify(model, x, y, threat, ["ibp"], broken=broken)
    np.testing.assert_array_equal(cells["certified_cheap"].wrong, cheap.status != "certified")
    record = evaluation_record(matrix, data, settings_of([0.1]))
    text = evaluation_text(record)
    for title in ("worst >= (n = 40)", "certified_cheap <= (n = 40)", "certified <= (n = 12)"):
        assert title in text
    assert "net, cheap verifiers on all images: worst-case error between" in text
    assert "cheap verifiers on all images" in evaluation_html(record)
    arrays = certified_arrays(matrix)
    np.testing.assert_array_equal(arrays["drawn"], rows)
    assert len(arrays["net/certified/0.1/seconds"]) == 12
    assert len(arrays["net/certified_cheap/0.1/status"]) == 40


def test_a_union_is_certified_in_all_balls_and_broken_in_any(net, tmp_path):
    model, data = net
    how = Certification(verifiers=("ibp", "crown"))
    options = EvalOptions(max_examples=30, checks=False, cache_dir=str(tmp_path))
    others = {"l2": [0.7], "l1": [2.0]}
    attacks = {"none": {}, "fgsm": {}, "pgd": {"steps": 3}}
    matrix = payoff_matrix(
        {"net": model}, attacks, data, etas=[0.06], others=others, options=options, say=str
    )
    given = {"etas": [0.06], "norm": "linf", "others": others, "options": options, "say": str}
    graphs = how.graphs({"net": model}, [0.06], "linf", others)
    matrix = with_certificates(matrix, graphs, data, how, **given)
    columns = [one.attack for one in matrix.cells]
    assert columns[:4] == ["none", "fgsm", "pgd", "pgd_l2"]
    assert columns[-4:] == ["certified_linf", "certified_l2", "certified_l1", "certified"]
    cells = {one.attack: one for one in matrix.cells}
    whole = matrix.certificates["net", 0.06]
    parts = [matrix.certified_parts["net", f"certified_{n}", 0.06] for n in ("linf", "l2", "l1")]
    np.testing.assert_array_equal(
        whole.status == "certified", np.all([one.status == "certified" for one in parts], 0)
    )
    np.testing.assert_array_equal(np.isin(whole.status, ["wrong", "broken"]), cells["worst"].wrong)
    # Each ball is certified as it is alone, by what its own attacks break.
    x, y = data.test(30)
    for one, ball, broken in (
        (parts[1], ThreatModel(eta=0.7, norm="l2"), cells["pgd_l2"].wrong),
        (parts[0], ThreatModel(eta=0.06), cells["fgsm"].wrong | cells["pgd"].wrong),
    ):
        alone = certify(model, x, y, ball, how.verifiers, broken=broken)
        np.testing.assert_array_equal(one.status, alone.status)
    assert {"certified", "open"} <= set(whole.status)
    record = evaluation_record(
        matrix, data, {**settings_of([0.06]), "unions": {"0.06": {"l2": 0.7, "l1": 2.0}}}
    )
    text = evaluation_text(record)
    assert "or l2 0.7 or l1 2" in text and "net, l2 alone: worst-case error between" in text


def test_the_certified_radius_of_each_example(net, tmp_path, monkeypatch):
    model, data = net
    how = Certification(verifiers=("ibp", "crown"), radius_tolerance=0.02)
    options = EvalOptions(max_examples=30, checks=False, distances=True, cache_dir=str(tmp_path))
    attacks, etas = {"none": {}, "fgsm": {}}, [0.05, 0.2]
    matrix = payoff_matrix({"net": model}, attacks, data, etas=etas, options=options, say=str)
    given = {"etas": etas, "norm": "linf", "options": options, "say": str}
    graphs = how.graphs({"net": model}, etas, "linf")
    found = with_certificates(matrix, graphs, data, how, **given)
    radii = found.certified_radii["net"]
    assert (radii.above - radii.radius <= 0.02).all() | np.isinf(radii.above).any()
    x, y = data.test(30)
    for row in (3, 17):  # proved there, and not a little further out
        at = float(radii.radius[row])
        for eta, wanted in ((at, True), (float(radii.above[row]), False)):
            if 0 < eta < np.inf:
                one = certify(model, x[[row]], y[[row]], ThreatModel(eta=eta), how.verifiers)
                assert (one.status[0] == "certified") == wanted
    assert (radii.radius[found.certificates["net", 0.2].status == "certified"] == 0.2).all()
    record = evaluation_record(found, data, settings_of(etas))
    assert "certified linf radius of the middle image" in evaluation_text(record)
    assert "Certified linf radius, at most this" in evaluation_html(record)
    assert (certified_arrays(found)["net/certified/radius"] == radii.radius).all()

    def again(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(certified_cells, "certify", again)
    kept = with_certificates(matrix, graphs, data, how, **given).certified_radii["net"]
    np.testing.assert_array_equal(kept.radius, radii.radius)


def test_a_stopped_cell_goes_on_from_its_parts(net, tmp_path, monkeypatch):
    model, data = net
    monkeypatch.setattr(certified_cells, "PART", 10)
    proved, stop_after = [], [1]

    def counted(graph, x, *arguments, **options):
        if len(proved) == stop_after[0]:
            raise KeyboardInterrupt
        proved.append(len(x))
        return certify(graph, x, *arguments, **options)

    monkeypatch.setattr(certified_cells, "certify", counted)
    with pytest.raises(KeyboardInterrupt):
        measured(net, str(tmp_path), etas=(0.1,))
    stop_after[0] = 9
    matrix, _ = measured(net, str(tmp_path), etas=(0.1,))
    assert proved == [10, 10, 10]
    whole, _ = measured(net, None, etas=(0.1,))
    one, other = (found.certificates["net", 0.1] for found in (matrix, whole))
    np.testing.assert_array_equal(one.status, other.status)


def test_the_time_left_is_that_of_all_planned_cells():
    cells = CertifiedCells(None, EvalOptions(), {("ibp",): 300, ("ibp", "crown"): 20})
    assert cells.seconds_left() is None
    cells._done |= {("ibp",): 100}
    cells._left |= {("ibp",): 200}
    cells._spent |= {("ibp",): 4.0}
    assert cells.seconds_left() == pytest.approx(8.0)


def settings_of(etas):
    return {"norm": "linf", "etas": list(etas), "seed": 0, "attacks": {}, "eot_samples": 1}


def parsed(*given):
    values = flags.FlagValues()
    define_flags(values)
    values(["evaluate", "--model=x", *given])
    return values


def test_flags():
    values = parsed("--attacks=pgd,certified", "--verifiers=ibp,milp", "--seconds_per_image=2")
    assert certifies(values) and attack_names(values) == ["pgd"]
    assert attack_names(parsed("--attacks=certified")) == ["none"]
    assert not certifies(parsed())
    for given, message in (
        (["--verifiers=ibp"], "--verifiers with certified among --attacks"),
        (["--seconds_per_image=1"], "--seconds_per_image with certified among --attacks"),
        (["--attacks=certified", "--verifiers=exact"], "verifier to be one of ibp"),
        (["--attacks=certified", "--verifiers=ibp,ibp"], "--verifiers of different names"),
        (["--attacks=certified", "--seconds_per_image=0"], "seconds_per_image > 0"),
        (["--dear_examples=5"], "--dear_examples with certified among --attacks"),
        (["--attacks=certified", "--dear_examples=-1"], "dear_examples >= 0"),
        (["--certified_radius"], "--certified_radius with certified among --attacks"),
        (["--attacks=certified", "--radius_tolerance=0.1"], "tolerance with --certified_radius"),
    ):
        with pytest.raises(ConfigError, match=message):
            attack_names(parsed(*given))


def test_radii_of_further_balls():
    assert other_radii(parsed(), [0]) == {}
    given = parsed("--eta_l2=2,5/2", "--eta_l1=10")
    assert other_radii(given, [0]) == {"l2": [2.0, 2.5], "l1": [10.0]}
    for given, message in (
        (["--eta_l2=0"], "--eta_l2 of numbers > 0"),
        (["--eta_l2=1:2"], "--eta_l2 of numbers > 0"),
        (["--eta_l2=1", "--norm=l2"], "--eta_l2 with another --norm"),
    ):
        with pytest.raises(ConfigError, match=message):
            other_radii(parsed(*given), [0])


def test_the_command_prints_the_bracket(net, tmp_path):
    model, _ = net
    model.save(tmp_path / "net.keras")
    report = tmp_path / "report"
    done = call(
        *("mmtf.evaluate", f"--model=net={tmp_path}/net.keras", "--attacks=none,pgd,certified"),
        *("--eta=0.05", "--eta_l2=0.5", "--verifiers=ibp,crown", "--dataset=digits"),
        *("--max_examples=20", "--dear_examples=10", "--certified_radius", "--pgd_steps=2"),
        *("--radius_tolerance=0.02", f"--output={report}"),
    )
    assert done.returncode == 0, done.stderr
    assert "net: worst-case error between" in done.stdout and "certified <=" in done.stdout
    assert "pgd_l2" in done.stdout and "certified linf radius" in done.stdout
    record = json.loads((report / "record.json").read_text())
    assert record["unions"] == {"0.05": {"l2": 0.5}} and record["dear_examples"] == 10
    assert len(np.load(report / "examples.npz")["net/certified/radius"]) == 10

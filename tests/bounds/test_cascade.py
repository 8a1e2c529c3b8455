"""certify: statuses, brackets that cannot invert, and faults that are caught."""

import keras
import numpy as np
import pytest

import mmtf
from mmtf.attacks import FGM, FGSM, PGD
from mmtf.bounds import Ball, certify
from mmtf.bounds.affine import Affine
from mmtf.bounds.cascade import VERIFIERS
from mmtf.bounds.certificates import Certificates, InvertedBracket, nested
from mmtf.bounds.graph import Graph
from mmtf.bounds.ibp import IBP
from mmtf.bounds.verifier import Verifier
from mmtf.errors import ConfigError, RunError

L = keras.layers
LINEAR = np.float32([[1, 0], [0, 0]])  # logit 0 is the first pixel, logit 1 is 0


def linear():
    model = keras.Sequential([keras.Input((2,)), L.Dense(2, use_bias=False)])
    model.set_weights([LINEAR])
    return model


@pytest.fixture(scope="module")
def trained():
    """A ReLU net of digits at 7x7 pixels after 200 steps, as a graph, and 40 test images."""
    data = mmtf.load_data("digits")

    def small(images):
        images = np.float32(images)
        images = images.reshape(-1, 7, 4, 7, 4, 1).mean((2, 4))
        return images if images.min() < 0 else images / 127.5 - 1

    keras.utils.set_random_seed(0)
    layers = [L.Conv2D(4, 3, strides=2, activation="relu"), L.Flatten()]
    layers += [L.Dense(16, activation="relu"), L.Dense(10)]
    model = keras.Sequential([keras.Input((7, 7, 1)), *layers])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    train = small(data.train_images), data.train_labels
    model.fit(*train, batch_size=64, epochs=8, verbose=0)
    return Graph(model), small(data.test_images[:40]), np.asarray(data.test_labels[:40])


def test_statuses_of_a_linear_model():
    """The worst margin of an image is |x_0| - eta on its side of 0."""
    x = np.float32([[0.5, 0], [0.1, 0], [-0.4, 0], [0.2, 0.9]])
    y = np.array([0, 0, 0, 0])
    z = np.float32([[0.3, 0], [-0.1, 0], [-0.4, 0], [0.4, 1.0]])
    found = certify(linear(), x, y, Ball(eta=0.2), adversarial=[z])
    assert found.status.tolist() == ["certified", "broken", "wrong", "open"]
    assert found.stage.tolist() == ["ibp", "attack", "none", ""]
    # The ball is enlarged by the 2.5e-7 that attacks are granted.
    np.testing.assert_allclose(found.margin[[0, 1, 3]], [0.3, -0.1, 0.0], atol=1e-6)
    assert np.isneginf(found.margin[2]) and found.seconds[2] == 0 and found.seconds[0] > 0
    assert (found.clean_error, found.attacked_error, found.certified_error) == (0.25, 0.5, 0.75)
    record = found.to_dict()
    assert record["status"] == {"wrong": 1, "broken": 1, "certified": 1, "open": 1}
    assert record["stage"] == {"ibp": 1, "attack": 1, "none": 1}


def test_milp_closes_what_is_open_and_its_witness_counts(trained):
    graph, x, y = trained
    threat = mmtf.ThreatModel(eta=0.1)
    before = certify(graph, x[:12], y[:12], threat, ("ibp",))
    assert (before.status == "open").any()
    after = certify(graph, x[:12], y[:12], threat, ("ibp", "milp"))
    assert not (after.status == "open").any()
    assert set(after.stage[before.status == "open"]) == {"milp"}
    assert {"broken", "certified"} <= set(after.status.tolist())
    # PGD breaks nothing that is certified.
    z = PGD(threat, steps=20)(graph.classifier, x[:12], y[:12])
    again = certify(graph, x[:12], y[:12], threat, ("ibp", "milp"), adversarial=[z])
    assert (again.status == after.status).all()


@pytest.mark.parametrize("norm, etas", [("linf", (0.03, 0.1, 0.3)), ("l2", (0.2, 0.6))])
def test_the_bracket_does_not_invert(trained, norm, etas):
    graph, x, y = trained
    for eta in etas:
        threat = mmtf.ThreatModel(eta=eta, norm=norm)
        attacks = [PGD(threat, steps=20), (FGSM if norm == "linf" else FGM)(threat)]
        z = [attack(graph.classifier, x, y) for attack in attacks]
        found = certify(graph, x, y, threat, adversarial=z)
        assert found.clean_error <= found.attacked_error <= found.certified_error
        assert (found.margin[found.status == "certified"] > found.required).all()
        # A larger share is certified by the whole cascade than by its first stage.
        alone = certify(graph, x, y, threat, ("ibp",), adversarial=z)
        assert found.certified_error <= alone.certified_error
        assert found.attacked_error == alone.attacked_error


class Optimistic(Verifier):
    """A wrong verifier: the margins at the images, as if the ball were a point."""

    name = "optimistic"

    def tighten(self, problem, deadline):
        logits = self.graph.forward(problem.region.x).numpy()
        rows = np.arange(len(problem))
        problem.margins = logits[rows, problem.labels][:, None] - logits
        problem.margins[rows, problem.labels] = np.inf


class Excessive(Optimistic):
    """A bound above the margin of the image itself."""

    name = "excessive"

    def tighten(self, problem, deadline):
        super().tighten(problem, deadline)
        problem.margins += 0.01


def test_a_wrong_verifier_is_caught_and_the_example_named():
    x, y = np.float32([[0.5, 0], [0.1, 0]]), np.array([0, 0])
    z = np.float32([[0.5, 0], [-0.1, 0]])
    with pytest.raises(InvertedBracket, match=r"Example 1: optimistic .* an image in the ball"):
        certify(linear(), x, y, Ball(eta=0.2), [Optimistic], adversarial=[z])
    # Without an image that breaks the example a bound above the clean margin is still caught.
    with pytest.raises(InvertedBracket, match="Example 0: excessive"):
        certify(linear(), x, y, Ball(eta=0.2), [Excessive])


def test_a_wrong_interval_of_a_layer_is_caught(trained, monkeypatch):
    """Every affine layer forgets the radius |A| r of its interval."""
    graph, x, y = trained
    right = Affine.interval

    def center(self, *bounds):
        low, high = right(self, *bounds)
        return (low + high) / 2, (low + high) / 2

    monkeypatch.setattr(Affine, "interval", center)
    fresh = Graph(graph.classifier)  # the other one has compiled the right interval
    threat = mmtf.ThreatModel(eta=0.3)
    z = PGD(threat, steps=20)(graph.classifier, x, y)
    with pytest.raises(InvertedBracket, match="Example .*: ibp proves"):
        certify(fresh, x, y, threat, ("ibp",), adversarial=[z])


def test_a_graph_that_differs_from_the_model_is_caught(monkeypatch):
    graph = Graph(linear())
    monkeypatch.setattr(graph, "forward", lambda x: 1.1 * x)
    with pytest.raises(RunError, match="differ from the model's"):
        certify(graph, np.float32([[0.5, 0]]), np.array([0]), Ball(eta=0.2))


def test_dear_verifiers_stop_in_time(trained):
    graph, x, y = trained
    threat = mmtf.ThreatModel(eta=0.1)
    whole = certify(graph, x, y, threat)
    found = certify(graph, x, y, threat, seconds_per_image=1e-9)
    cheap = certify(graph, x, y, threat, ("ibp", "crown_ibp"))
    assert (found.status == cheap.status).all()  # cheap verifiers run in any case
    assert whole.certified_error < cheap.certified_error


def test_batches_do_not_change_statuses(trained):
    graph, x, y = trained
    threat = mmtf.ThreatModel(eta=0.1)
    one, other = (certify(graph, x, y, threat, batch_size=size) for size in (7, 64))
    assert (one.status == other.status).all() and (one.stage == other.stage).all()
    np.testing.assert_allclose(one.margin, other.margin, atol=1e-9)


def test_wrong_arguments():
    x, y, ball = np.float32([[0.5, 0]]), np.array([0]), Ball(eta=0.2)
    for options, message in (
        ({"adversarial": [np.float32([[0.8, 0]])]}, "example 0 of attack 0 outside"),
        ({"adversarial": [np.zeros([2, 2])]}, "adversarial images"),
        ({"verifiers": ()}, "at least one verifier"),
        ({"verifiers": ("exact",)}, "verifier to be one of"),
        ({"verifiers": (IBP(linear()),)}, "a verifier of the same Graph"),
        ({"verifiers": (dict,)}, "a verifier's name or class"),
        ({"seconds_per_image": 0}, "seconds_per_image > 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            certify(linear(), x, y, ball, **options)
    for images, labels, message in (
        (x, [2], "labels from 0 to 1"),
        (x, [0.0], "labels as whole numbers"),
        (x, [0, 0], "1 labels"),
        (np.zeros([1, 3]), y, "images"),
        (x[:0], y[:0], "at least one image"),
    ):
        with pytest.raises(ConfigError, match=message):
            certify(linear(), images, np.asarray(labels), ball)
    assert VERIFIERS == ("ibp", "crown_ibp", "crown", "alpha_crown")


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_a_witness_lies_in_the_ball_in_float32(norm):
    """The least image of the program is on the edge of the ball; it is moved inside and tried."""
    x, y = np.float32([[0.5, 0], [0.1, 0]]), np.array([0, 0])
    found = certify(linear(), x, y, Ball(eta=0.2, norm=norm), ("milp",))
    assert found.status.tolist() == ["certified", "broken"]
    assert found.stage.tolist() == ["milp", "milp"]


def test_what_one_radius_shows_holds_at_others():
    def known(*status):
        stage = np.array([{"open": "", "broken": "attack"}.get(one, "crown") for one in status])
        margin = np.where(np.array(status) == "certified", 1.0, -1.0)
        return Certificates(np.array(status), stage, margin, np.zeros(len(status)), 0.0)

    found = nested(
        {
            0.3: known("open", "certified", "open", "open"),
            0.1: known("open", "open", "broken", "open"),
            0.2: known("certified", "open", "open", "open"),
        }
    )
    assert list(found) == [0.3, 0.1, 0.2]
    assert found[0.1].status.tolist() == ["certified", "certified", "broken", "open"]
    assert found[0.2].status.tolist() == ["certified", "certified", "broken", "open"]
    assert found[0.3].status.tolist() == ["open", "certified", "broken", "open"]
    assert found[0.1].stage.tolist() == ["crown", "crown", "attack", ""]
    assert found[0.1].margin.tolist() == [1.0, 1.0, -1.0, -1.0]

"""Hypotheses on the protocol behind the paper's AttNet errors, each stated before it is measured.

The paper's attack network errs on 1.000 of classifiers on which FGSM and PGD of the same radius err
on a few percent. A hypothesis says what the paper would have to have done, what that predicts, and
how an attack network is bounded, trained and judged under it. `scripts.attnet_protocol` measures
them; `scripts.attnet_protocol_page` compares them with the printed errors. Imports no TensorFlow.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from mmtf.reports.paper import paper_figure

NETS, ETAS = ("undefended", "minimax_grad"), (0.1, 0.2, 0.3, 0.4)
KS = (1, 2, 3, 4, 5, 6, 7, 8)
# A hypothesis fits if none of its errors is further from the printed one. The attack networks of
# two seeds differ by a few hundredths.
TOLERANCE = 0.1
WIDTH = 2.0  # of the box: a ball of this radius around any image holds it
# Net and radius of the long single-step training: the largest radius overfits the earliest.
LONG = ("lwa", 0.4)
# Twice the width of the box: the ball then never binds.
UNBOUNDED = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an attack network is bounded, trained and judged.

    Attributes:
      k: its ball has the radius k eta.
      clip: what its output is clipped to: `ball and box`, `ball` (pixels may leave [-1, 1]), `box`
        or `nothing`.
      mode: `inference`, or `training`: the classifier's dropout is active whenever it is called.
      images: split on which the attack network is trained, `training` or `test`.
      label: whether the attack network is given the label.
      steps: training steps of the attack network.
    """

    k: int = 1
    clip: str = "ball and box"
    mode: str = "inference"
    images: str = "training"
    label: bool = True
    steps: int = 500

    def bounds(self, eta: float) -> tuple[float, tuple[float, float]]:
        """The radius of the ball and the box, for pixels in [-1, 1], at the printed radius eta.

        Example:
          >>> Protocol(k=3).bounds(0.1), Protocol(clip="box").bounds(0.1)
          ((0.3, (-1.0, 1.0)), (2.0, (-1.0, 1.0)))
          >>> Protocol(k=2, clip="ball").bounds(0.25)
          (0.5, (-1.5, 1.5))
        """
        radius = round(self.k * eta, 6)
        if self.clip == "box":
            radius = 2.0
        elif self.clip == "nothing":
            radius = UNBOUNDED
        wide = 1.0 + radius if self.clip in ("ball", "nothing") else 1.0
        return radius, (-wide, wide)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One explanation of the printed errors.

    Attributes:
      letter: the group that it belongs to.
      title: its row in the tables.
      did: what the paper would have to have done.
      predicts: what would then be seen.
      protocol: how it is measured; None: it is about the classifier's training, not the attack's.
    """

    letter: str
    title: str
    did: str
    predicts: str
    protocol: Protocol | None


def _balls() -> Iterator[Hypothesis]:
    for k in KS:
        yield Hypothesis(
            letter="a" if k > 1 else "",
            title=f"k = {k}" if k > 1 else "as printed, k = 1",
            did="bounded AttNet by k eta, with one k for all nets and radii, and FGSM by eta"
            if k > 1
            else "what it says",
            predicts="all eight errors are met at one k, and those of Minimax-AttNet where the "
            "game and the attack have the ball of k eta"
            if k > 1
            else "errors are at most those of PGD-40 in the same ball",
            protocol=Protocol(k=k),
        )


HYPOTHESES = (
    *_balls(),
    Hypothesis(
        letter="b",
        title="pixels in [0, 1] or [-.5, .5], in their own range",
        did="scaled pixels to a range of width 1 and bounded AttNet by eta on that scale, FGSM by "
        "eta on [-1, 1]",
        predicts="the row k = 2, which is the same attack and is not run again",
        protocol=Protocol(k=2),
    ),
    Hypothesis(
        letter="b",
        title="pixels in [-.5, .5], box [-1, 1] of Eq. 4",
        did="the same, with the bound on z as printed, beyond the pixels' own range",
        predicts="more than at k = 2, since the pixels at the ends of the range can leave it",
        protocol=Protocol(k=2, clip="ball"),
    ),
    Hypothesis(
        letter="c",
        title="clipped to the ball alone",
        did="x + eta tanh(o) without a clip to the box",
        predicts="more than at k = 1, by as much as pixels outside of the range help",
        protocol=Protocol(clip="ball"),
    ),
    Hypothesis(
        letter="c",
        title="clipped to the box alone",
        did="imposed no ball on AttNet's output",
        predicts="near 1 for every net, and the undefended net's error is the same at every eta",
        protocol=Protocol(clip="box"),
    ),
    Hypothesis(
        letter="c",
        title="not clipped",
        did="imposed neither ball nor box",
        predicts="as clipped to the box alone",
        protocol=Protocol(clip="nothing"),
    ),
    Hypothesis(
        letter="d",
        title="single-step training that overfits",
        did="trained 100,000 steps at 1e-4 without dropout, until FGSM fails on a classifier that "
        "other attacks of the same radius break",
        predicts="PGD-40 at eta errs on at least what AttNet does, where FGSM errs on a few "
        "percent; nothing about the undefended net",
        protocol=None,
    ),
    Hypothesis(
        letter="e",
        title="classifier in training mode",
        did="attacked and judged the classifier with its dropout active",
        predicts="errors rise by what dropout alone does, which the clean error then shows as well",
        protocol=Protocol(mode="training"),
    ),
    Hypothesis(
        letter="f",
        title="AttNet trained on the test images",
        did="let the test images and their labels leak into AttNet's training",
        predicts="more than at k = 1, still at most PGD-40's in the same ball",
        protocol=Protocol(images="test"),
    ),
    Hypothesis(
        letter="f",
        title="AttNet without the label",
        did="not given AttNet the true label, the only label that the attack sees",
        predicts="at most the errors at k = 1: the label is no leak, FGSM has it as well",
        protocol=Protocol(label=False),
    ),
)  # fmt: skip

# Not a hypothesis: whether the attack networks are trained for long enough.
LONGER = Hypothesis(
    letter="",
    title="check: k = 6, AttNet with 1,500 steps",
    did="",
    predicts="",
    protocol=Protocol(k=6, steps=1500),
)


def printed(net: str, eta: float, attack: str = "attnet_curr", table: int | None = None) -> float:
    """The paper's error on MNIST, of the first table that has it or of the given one.

    Example:
      >>> printed("undefended", 0.1), printed("minimax_grad", 0.2)
      (0.697, 0.956)
    """
    found = paper_figure("mnist", eta, net, attack, table)
    assert found is not None, (net, eta, attack)
    return found


def key_of(run: str, eta: float, protocol: Protocol, attack: str) -> dict[str, Any]:
    """What identifies a measurement: settings that do not change it are left out.

    The undefended net does not depend on eta, and gradient attacks are not trained: one cell serves
    several hypotheses.

    Example:
      >>> protocol = Protocol(k=2, label=False)
      >>> key = key_of("undefended", 0.2, protocol, "fgsm")
      >>> key == key_of("undefended", 0.4, Protocol(), "fgsm"), key["radius"]
      (True, 0.4)
    """
    key = {"run": run, "attack": attack, "mode": protocol.mode}
    if attack != "none":
        key |= {"radius": protocol.bounds(eta)[0], "clip": protocol.clip}
    if attack == "attnet":
        key |= {name: getattr(protocol, name) for name in ("images", "label", "steps")}
    return key


def found(cells: Iterable[dict], key: dict[str, Any]) -> dict | None:
    """The cell of `key` among `cells`, or None."""
    return next((one for one in cells if key.items() <= one.items()), None)


def run_of(net: str, eta: float, protocol: Protocol | None = None) -> str:
    """The name of the run whose classifier a hypothesis is measured on.

    Example:
      >>> run_of("undefended", 0.2), run_of("minimax_grad", 0.2)
      ('undefended', 'minimax_grad-eta0.2')
      >>> run_of("undefended", 0.2, Protocol(mode="training"))
      'undefended-dropout'
    """
    if net == "undefended":
        return "undefended-dropout" if protocol and protocol.mode == "training" else net
    if protocol and net == "minimax_attnet":
        return f"{net}-k{protocol.k}-eta{eta:g}"
    return f"{net}-eta{eta:g}"

"""`AdditiveGame`: the defender adds one vector to every image, the attacker one to each."""

from typing import Any, NamedTuple

import numpy as np

from mmtf.additive.linearized import LABELS, Linearized, linearize, signs_of
from mmtf.classifiers.classifier import as_classifier
from mmtf.errors import require, require_choice, require_number, require_seed
from mmtf.solvers.feasible_lines import refined
from mmtf.solvers.feasible_subsystem import (
    SURROGATES,
    Feasible,
    HalfSpaces,
    at_length,
    default_starts,
    search,
)
from mmtf.solvers.hit_and_run import Draws, hit_and_run

RANDOM_STARTS = 2


class AdditiveGame:
    """The game of additive perturbations around a fixed classifier of two classes.

    With g = logit 1 - logit 0 and the label y in {-1, 1}, let s = y g / ||grad g|| and
    w = y grad g / ||grad g|| at an image x. The attacker adds v_a(x), ||v_a||_2 <= eta_attack; the
    defender adds v_d, ||v_d||_2 <= eta_defense, drawn from one distribution for all images. The
    defender wants

        E[ s + <w, v_a(x) + v_d> > 0 ]

    to be large, the share of images that the linearized classifier gets right. v_a = -eta_attack w
    (the fast gradient method in g) is the attacker's best choice whatever v_d is, so the defender
    maximizes phi(v) = P[s + <w, v> > eta_attack]. Every distribution on the maximizers is a best
    response, one maximizer alone too: in this game the defender gains nothing by drawing at random.
    SMOOTH is the uniform distribution on the maximizers. It is not Gaussian randomized smoothing.

    Args:
      classifier: a Classifier of two classes, a Keras model or a function that gives two logits.
      eta_attack, eta_defense: radii in l2, > 0, for pixels in [-1, 1].
      label: `truth`, or `prediction`: y is the class that the classifier gives to x.

    Raises:
      ConfigError: a radius that is not positive, or an unknown label.

    Source: Pal and Vidal (2020), "A Game Theoretic Analysis of Additive Adversarial Attacks and
    Defenses".

    Example:
      >>> import tensorflow as tf
      >>> net = lambda x, training: tf.stack([0 * x[:, 0], x[:, 0]], 1)
      >>> x = np.float32([[3.0, 0.0], [2.5, 0.0], [-0.5, 0.0], [-0.6, 0.0]])
      >>> game = AdditiveGame(net, eta_attack=1.0, eta_defense=1.0)
      >>> solved = game.solve(x, np.array([1, 1, 0, 0]))
      >>> solved.at_zero, solved.objective, bool(solved.vector[0] < -0.5)
      (0.5, 1.0, True)
    """

    def __init__(
        self, classifier: Any, eta_attack: float, eta_defense: float, *, label: str = "truth"
    ):
        require_number("eta_attack", eta_attack, above=0)
        require_number("eta_defense", eta_defense, above=0)
        require_choice("label", label, LABELS)
        self.classifier = as_classifier(classifier)
        self.eta_attack, self.eta_defense = float(eta_attack), float(eta_defense)
        self.label = label

    def linearize(self, x: np.ndarray, y: np.ndarray) -> Linearized:
        """The classifier linearized at the images x [n, H, W, C] with labels y in {0, 1}, [n]."""
        return linearize(self.classifier, x, signs_of(self.classifier, x, y, self.label))

    def half_spaces(self, images: Linearized) -> HalfSpaces:
        """The half-spaces s - eta_attack + <w, v> > 0 in the defender's ball."""
        offsets = images.distances - self.eta_attack
        return HalfSpaces(offsets, images.rows, self.eta_defense)

    def solve(self, x: np.ndarray, y: np.ndarray, seed: int = 0, *, steps: int = 200) -> "Solved":
        """Maximizes phi on examples: the share of them with s + <w, v> > eta_attack.

        Both surrogates of `mmtf.solvers.feasible_subsystem` are tried from the same starts: 0, the
        mean w of all images and of each class, and random ones. `mmtf.solvers.feasible_lines` moves
        the best vector to better ones.

        Args:
          x: float32 [n, H, W, C], training images; never the test images.
          y: int [n] in {0, 1}.
          seed: of the random starts.
          steps: of each search, > 0.
        """
        return self.solve_linearized(self.linearize(x, y), seed, steps=steps)

    def solve_linearized(self, images: Linearized, seed: int = 0, *, steps: int = 200) -> "Solved":
        """`solve` of images that are already linearized."""
        require_seed(seed)
        system = self.half_spaces(images)
        means = [images.rows[images.signs == sign] for sign in (-1.0, 1.0)]
        means = [own.mean(0, dtype=np.float64) for own in means if len(own)]
        starts = default_starts(system, random=RANDOM_STARTS, seed=seed)
        starts = np.concatenate([starts, at_length(np.stack(means), system)])
        found = {name: search(system, name, starts=starts, steps=steps) for name in SURROGATES}
        better = max(found.values(), key=lambda one: one.satisfied)
        best = refined(system, better, seed=seed)
        return Solved(system, found, best, images.directions.shape[1:], seed)


class Solved:
    """A solution of the game on a set of examples.

    Attributes:
      system: the half-spaces, one for each example.
      found: surrogate -> the result of its search.
      refined: the better of them, moved to better vectors along lines.
      shape: (H, W, C) of an image.
      seed: of the draws.
    """

    def __init__(
        self,
        system: HalfSpaces,
        found: dict[str, Feasible],
        refined: Feasible,
        shape: tuple[int, ...],
        seed: int,
    ):
        self.system, self.found, self.refined = system, found, refined
        self.shape, self.seed = shape, seed

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.system.offsets)

    @property
    def best(self) -> str:
        """The surrogate whose search found the better vector."""
        return max(self.found, key=lambda name: self.found[name].satisfied)

    @property
    def vector(self) -> np.ndarray:
        """v*, the best vector found, float32 [H, W, C]."""
        return self.refined.vector.reshape(self.shape).astype(np.float32)

    @property
    def objective(self) -> float:
        """phi at the best vector: the share of the examples with s + <w, v> > eta_attack."""
        return self.refined.satisfied / self.n

    @property
    def at_zero(self) -> float:
        """phi at v = 0, without a defense."""
        return self.system.count(np.zeros(self.system.rows.shape[1])) / self.n

    @property
    def value(self) -> tuple[float, float]:
        """(low, high) around the value of the game on these examples.

        The value is the maximum of phi. `low` is `objective`; `high` counts every half-space that
        meets the defender's ball. `mmtf.solvers.feasible_exact` closes the gap on small problems.
        """
        return self.objective, self.system.upper_bound / self.n

    @property
    def zero_is_best(self) -> bool:
        """Whether 0 satisfies all that the best vector does, and so is among its equals."""
        best = self.system.satisfied(self.refined.vector)
        return bool((self.system.offsets[best] > 0).all())

    def draws(self, n: int, **options: Any) -> Draws:
        """Uniform draws from the vectors that satisfy what the best one does; see `hit_and_run`."""
        start = self.refined.vector
        return hit_and_run(self.system, start, samples=n, seed=self.seed, **options)

    def sample(self, n: int) -> np.ndarray:
        """n draws of SMOOTH, float32 [n, H, W, C]."""
        return self.draws(n).vectors.reshape(n, *self.shape).astype(np.float32)


class Spread(NamedTuple):
    """How far draws of SMOOTH lie from one another and from 0.

    Attributes:
      cosine: mean pairwise cosine.
      lengths: 5, 50 and 95 % quantiles of ||v|| / eta_defense.
      near_zero: share of draws with ||v|| <= eta_defense / 2.
    """

    cosine: float
    lengths: tuple[float, float, float]
    near_zero: float


def spread_of(vectors: np.ndarray, eta_defense: float) -> Spread:
    """The spread of vectors [n, ...], n > 1.

    Example:
      >>> spread_of(np.eye(2), 1.0).cosine
      0.0
    """
    require(len(vectors) > 1, "at least 2 draws", len(vectors))
    flat = vectors.reshape(len(vectors), -1).astype(np.float64)
    lengths = np.linalg.norm(flat, axis=1)
    unit = flat / np.maximum(lengths, np.finfo(np.float64).tiny)[:, None]
    n = len(unit)
    cosine = (np.sum(unit.sum(0) ** 2) - n) / (n * (n - 1))
    low, middle, high = np.quantile(lengths / eta_defense, [0.05, 0.5, 0.95])
    near = float((lengths <= eta_defense / 2).mean())
    return Spread(float(cosine), (float(low), float(middle), float(high)), near)

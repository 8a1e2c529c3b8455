"""The settings of a smoothed classifier's measurement."""

import dataclasses

from mmtf.errors import require, require_int, require_number, require_seed
from mmtf.smoothing.certificates import largest_radius


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a smoothed classifier is measured; radii and sigma for pixels in [-1, 1].

    Attributes:
      sigma: standard deviation of the noise, > 0.
      n: draws by which an image is certified and predicted, > 0.
      n0: draws that select the class to certify, > 0.
      alpha: probability, for each image, that a certificate does not hold, in (0, 1).
      radii: ascending l2 radii > 0 at which accuracies are reported.
      attack_steps: steps of the attack, PGD in l2; 0: no attack.
      attack_draws: draws over which the attack averages, > 0.
      seed: of the noise and of the attack's starts.

    Raises:
      ConfigError: a value out of range.
    """

    sigma: float
    n: int = 10_000
    n0: int = 100
    alpha: float = 0.001
    radii: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0, 3.0)
    attack_steps: int = 20
    attack_draws: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        require_number("sigma", self.sigma, above=0)
        for name in ("n", "n0", "attack_draws"):
            require_int(name, getattr(self, name))
        require_number("alpha", self.alpha, above=0, below=1)
        for radius in self.radii:
            require_number("radii", radius, above=0)
        ascending = list(self.radii) == sorted(set(self.radii)) and bool(self.radii)
        require(ascending, "different radii, ascending, at least one", self.radii)
        require_int("attack_steps", self.attack_steps, at_least=0)
        require_seed(self.seed)

    @property
    def largest(self) -> float:
        """The radius certified for an image on which all n draws agree."""
        return largest_radius(self.sigma, self.n, self.alpha)

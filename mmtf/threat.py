"""`ThreatModel`, the constraint of Eq. 5: ||z - x||_p <= eta and every pixel of z in the box."""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from mmtf.config import NORMS
from mmtf.errors import ConfigError, require, require_choice, require_range
from mmtf.norms import l1, l2, linf
from mmtf.norms.sizes import LINF_SLACK, norms_of, slack
from mmtf.radius import (
    LONGEST_TEXT,
    PIXELS,
    Box,
    Radius,
    as_radius,
    describe_radius,
    epsilon_of,
    eta_of,
    largest,
    radius_text,
    require_norm,
)

# Images in [0, 1] are recognized by pixels in the upper half of [-1, 1] only, of which the largest
# is above this share of that half.
SPREAD = 0.8


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """The adversarial examples z that are allowed for an image x: ||z - x||_p <= eta, z in the box.

    Images are float tensors [N, ...]. Norms are taken per example, over all axes but the first.

    In `linf` eta may be an array, a radius for each channel or value: |z_i - x_i| <= eta_i. The
    ball is then that of the weighted norm max_i |d_i| / weights_i with `weights` = eta / max(eta)
    and `radius` = max(eta); sizes, steps and distances are measured in this norm.

    Attributes:
      eta: radius, > 0, on the scale of the box. On the default one it is twice the eps that the
        field counts in, for pixels in [0, 1] (`from_epsilon`, `epsilon`). A number, or a text of
        one as `8/255`. With `linf` also numbers >= 0, one of them > 0, as an array, list or tuple
        of the shape [C], [H, W, C] or one that broadcasts to it; they are kept as nested tuples.
      norm: `linf`, `l2` or `l1`.
      box: (low, high), the smallest and the largest value of a pixel.

    Raises:
      ConfigError: eta is not positive and finite, or is an array with another norm than linf; the
        norm is unknown; or the box is not two finite numbers low < high.

    Example:
      >>> threat = ThreatModel(eta=0.3)
      >>> x = tf.constant([[0.9, 0.0]])
      >>> print(threat.project(tf.constant([[1.5, -0.5]]), x).numpy().round(2))
      [[ 1.  -0.3]]
      >>> ThreatModel(eta=[0.1, 0.2, 0.3]).describe()
      'eta 0.1:0.2:0.3 (eps 0.05:0.1:0.15 on [0, 1], 12.75:25.5:38.25/255)'
    """

    eta: Any
    norm: str = "linf"
    box: Box = PIXELS

    def __post_init__(self):
        object.__setattr__(self, "eta", as_radius("eta", self.eta))
        require_choice("norm", self.norm, NORMS)
        require_norm(self.eta, self.norm)
        require_range("box", self.box)
        object.__setattr__(self, "box", tuple(self.box))

    @classmethod
    def from_epsilon(cls, epsilon: Any, *, norm: str = "linf", box: Box = PIXELS) -> "ThreatModel":
        """The threat model with radius `epsilon` for pixels in [0, 1]: eta = (high - low) epsilon.

        Args:
          epsilon: > 0, such as 8 / 255 or "8/255"; an array as `eta` of the class.
          norm, box: see the attributes of the class.

        Example:
          >>> ThreatModel.from_epsilon("8/255").describe()
          'eta 0.0627451 (eps 0.0313725 on [0, 1], 8/255)'
        """
        require_range("box", box)
        return cls(eta=eta_of(as_radius("epsilon", epsilon), box), norm=norm, box=box)

    @property
    def epsilon(self) -> Radius:
        """The radius converted to pixels in [0, 1]: eta / (high - low)."""
        return epsilon_of(self.eta, self.box)

    @functools.cached_property
    def radius(self) -> float:
        """The largest number of eta: the radius in the norm of `size` and of `steepest_step`."""
        return largest(self.eta)

    @functools.cached_property
    def radii(self) -> float | np.ndarray:
        """eta as a number, or as a float32 array that broadcasts over the images."""
        return self.eta if isinstance(self.eta, float) else np.asarray(self.eta, np.float32)

    @functools.cached_property
    def weights(self) -> float | np.ndarray:
        """eta / max(eta): 1.0, or a float32 array in [0, 1] that broadcasts over the images."""
        if isinstance(self.eta, float):
            return 1.0
        return np.float32(np.asarray(self.eta, np.float64) / self.radius)

    def with_radius(self, radius: float) -> "ThreatModel":
        """The same ball scaled so that the largest number of eta is `radius`, > 0."""
        if isinstance(self.eta, float):
            return dataclasses.replace(self, eta=radius)
        eta = np.asarray(self.eta, np.float64) * (radius / self.radius)
        return dataclasses.replace(self, eta=eta)

    def require_shape(self, image_shape: tuple[int | None, ...]) -> None:
        """Refuses images over which an array eta does not broadcast.

        Args:
          image_shape: (H, W, C).

        Raises:
          ConfigError: eta has other channels or another size than the images.
        """
        if isinstance(self.eta, float):
            return
        shape, known = np.shape(self.radii), tuple(image_shape)
        places = zip(shape[::-1], known[::-1], strict=False)
        fits = len(shape) <= len(known) and all(one in (1, size) for one, size in places)
        require(fits, f"eta that broadcasts over images of the shape {known}", f"shape {shape}")

    def __repr__(self) -> str:
        # In full, as it is part of cache keys; the text of a large array has a digest.
        full = np.ndim(self.radii) < 2 or np.size(self.radii) <= LONGEST_TEXT
        eta = self.eta if full else radius_text(self.eta)
        return f"{type(self).__name__}(eta={eta!r}, norm={self.norm!r}, box={self.box!r})"

    def describe(self) -> str:
        """The radius as text on both scales, for messages (see `from_epsilon`)."""
        return describe_radius(self.eta, self.box, self.norm)

    def require_images(self, x: tf.Tensor | np.ndarray) -> None:
        """Checks that images have the type and the pixel scale of this threat model.

        Args:
          x: [N, ...]. With few images, pixels in [0, 1] may not be recognized.

        Raises:
          ConfigError: the images are not float32; a pixel lies outside the box; or all pixels lie
            in the upper half of the box and nearly fill it, as pixels in [0, 1] do in [-1, 1].
        """
        low, high = self.box
        x = np.asarray(x)
        require(x.dtype == np.float32, "float32 images", x.dtype.name)
        require(x.size > 0, "at least one image", x.shape)
        self.require_shape(x.shape[1:])
        self.require_in_box(x)
        least, most = float(x.min()), float(x.max())
        middle = (low + high) / 2
        if least >= middle and most > middle + SPREAD * (high - middle):
            raise ConfigError(
                f"Expected pixels in both halves of the box [{low}, {high}]. Received: pixels in "
                f"[{least}, {most}]. For pixels in [0, 1] use 2 * x - 1, or "
                f"ThreatModel(box=(0.0, 1.0)) with half the radius (the same epsilon)."
            )

    def require_in_box(self, x: tf.Tensor | np.ndarray) -> None:
        """Raises ConfigError if a pixel of `x` lies outside the box or is NaN."""
        low, high = self.box
        x = np.asarray(x)
        if not x.size:
            return
        least, most = float(np.min(x)), float(np.max(x))
        # Rounded as in `clip_box`.
        if not (np.float32(low) <= np.float32(least) and np.float32(most) <= np.float32(high)):
            raise ConfigError(
                f"Expected images in the box [{low:g}, {high:g}]. Received: pixels from {least:g} "
                f"to {most:g}. Scale them to the box, or give ThreatModel(box=...)."
            )

    def clip_box(self, z: tf.Tensor) -> tf.Tensor:
        """The nearest point of the box: each pixel is clipped to [low, high]."""
        return tf.clip_by_value(z, *self.box)

    def project(self, z: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Projects `z` to the intersection of the ball around `x` with the box.

        For `linf` and `l1` the result is the nearest point of the intersection. For `l2` it is
        clip_box(x + t (z - x)) with t <= 1 about as large as the ball allows (`mmtf.norms.l2`).

        A subclass with another constraint overrides `region` and `into`.

        Args:
          z: [N, ...], the points.
          x: [N, ...], the images, in the box.
        """
        return self.into(z, self.region(x))

    def region(self, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """What `into` needs of the images `x`, computed once and used for many projections.

        Returns:
          Tensors of the shape of `x`: for `linf` the lower and the upper bound of each pixel, else
          the images.
        """
        x = tf.convert_to_tensor(x)
        self.require_shape(x.shape[1:])
        if self.norm == "linf":
            low, high = self.box
            return tf.maximum(x - self.radii, low), tf.minimum(x + self.radii, high)
        return (x,)

    def into(self, z: tf.Tensor, region: tuple[tf.Tensor, ...]) -> tf.Tensor:
        """`project(z, x)`, given region(x) in place of x."""
        z = tf.convert_to_tensor(z)
        if self.norm == "linf":
            return tf.clip_by_value(z, *region)
        (x,) = region
        ball = l1 if self.norm == "l1" else l2
        return ball.project(z, x, self.eta, *self.box)

    def steepest_step(self, gradient: tf.Tensor) -> tf.Tensor:
        """argmax over ||d||_p <= 1 of <gradient, d>: sign(g) for linf, g / ||g||_2 for l2.

        For `l1` it is the sign of the greatest entry of g, and 0 for all others. With an array eta
        it is `weights` sign(g), and `radius` times it is eta_i sign(g_i). Where the gradient of an
        example is zero, its step is zero.

        Args:
          gradient: [N, ...]; the result has its shape.
        """
        if self.norm == "linf":
            step = tf.sign(gradient)
            return step if isinstance(self.eta, float) else step * self.weights
        return (l1 if self.norm == "l1" else l2).steepest_step(gradient)

    def stepped(self, z: tf.Tensor, gradient: tf.Tensor, size: Any) -> tf.Tensor:
        """`z` after a step of gradient ascent of length `size`, not projected yet.

        For `linf` and `l2` it is z + size * steepest_step(gradient). For `l1` the length is shared
        by several pixels, as far as the box lets them go (`mmtf.norms.l1.ascended`).

        Args:
          z: [N, ...], in the ball and the box.
          gradient: of the loss to raise, of the shape of `z`.
          size: length of the step in the norm, a number or a scalar tensor.
        """
        if self.norm == "l1":
            return l1.ascended(gradient, z, size, *self.box, sparse=True)
        return z + size * self.steepest_step(gradient)

    def linear_maximizer(self, x: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """The point of the ball and the box where a linear loss is greatest, for FGSM and FGM.

        It is the maximizer for `linf` and `l1`; for `l2` where the box does not bind, and else the
        projection of the ball's maximizer.

        Args:
          x: [N, ...], the images, in the box.
          gradient: of the loss, of the shape of `x`.
        """
        if self.norm == "l1":
            return l1.ascended(gradient, x, self.eta, *self.box, sparse=False)
        return self.project(x + self.radius * self.steepest_step(gradient), x)

    def random_start(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Points drawn uniformly from the ball around `x`, then projected to the box.

        Args:
          x: [N, ...], the images, in the box.
          seed: int tensor [2]; equal seeds give equal points.
        """
        ball = {"linf": linf, "l2": l2, "l1": l1}[self.norm]
        return self.project(x + ball.random_delta(tf.shape(x), seed, self.radii, x.dtype), x)

    def size(self, delta: tf.Tensor | np.ndarray) -> np.ndarray:
        """||delta||_p of each example, weighted for an array eta: float64 [N] for delta [N, ...].

        A change where eta is 0 has the size infinity, unless it is float32 rounding.
        """
        delta = np.asarray(delta, np.float64)
        if not isinstance(self.eta, float):
            weights = np.asarray(self.eta, np.float64) / self.radius
            delta = linf.divided(delta, weights, LINF_SLACK * max(map(abs, self.box)))
        return norms_of(delta, self.norm)

    def violations(self, z: tf.Tensor | np.ndarray, x: tf.Tensor | np.ndarray) -> np.ndarray:
        """bool [N]: which examples z leave the ball around x or the box, or contain NaN or inf.

        Computed in float64. The tolerance covers float32 rounding only (`mmtf.norms.sizes`).
        """
        z, x = np.asarray(z, np.float64), np.asarray(x, np.float64)
        allowed = slack(self.norm, self.eta, self.box, z[0].size if len(z) else 0)
        if isinstance(self.eta, float):
            outside = self.size(z - x) > self.eta + allowed
        else:
            beyond = np.abs(z - x) > np.asarray(self.eta, np.float64) + allowed
            outside = beyond.reshape(len(z), -1).any(axis=1)
        flat = z.reshape(len(z), -1)
        low, high = (float(np.float32(bound)) for bound in self.box)  # rounded as in clip_box
        outside |= (flat < low).any(axis=1) | (flat > high).any(axis=1)
        return outside | ~np.isfinite(flat).all(axis=1)


def require_threat(threat: Any) -> None:
    """Raises ConfigError if `threat` is not a threat model, for example a radius."""
    require(hasattr(threat, "into"), "threat=mmtf.ThreatModel(eta=...)", threat)

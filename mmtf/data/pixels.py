"""Pixels in a range that is told, never guessed, as datasets keep them: uint8, or [-1, 1]."""

from typing import Any

import numpy as np

from mmtf.data.errors import DataError

BOX = (-1.0, 1.0)
BYTES = (0.0, 255.0)


def require_pixels(pixels: Any) -> tuple[float, float]:
    """The range (low, high) as floats.

    Raises:
      DataError: not two numbers low < high.
    """
    try:
        low, high = (float(bound) for bound in pixels)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (low < high and np.isfinite([low, high]).all()):
        raise DataError(
            f"Expected pixels=(low, high), the range of the images' pixels, as (0, 1) or (0, 255). "
            f"Received: {pixels!r}."
        )
    return low, high


def as_kept(images: np.ndarray, pixels: Any, where: str) -> np.ndarray:
    """Images in the range `pixels` as a dataset keeps them.

    Args:
      images: uint8, or a float type, of any shape.
      pixels: (low, high), the range of float pixels; None: [-1, 1]. uint8 pixels are in [0, 255].
      where: whose images they are, for the message.

    Returns:
      uint8 images as they are; others as float32 in [-1, 1].

    Raises:
      DataError: another type; NaN; pixels outside the range; or a range other than [0, 255] for
        uint8.

    Example:
      >>> as_kept(np.array([0.0, 0.5, 1.0]), (0, 1), "the train split").tolist()
      [-1.0, 0.0, 1.0]
    """
    low, high = BOX if pixels is None else require_pixels(pixels)
    if images.dtype == np.uint8:
        if pixels is not None and (low, high) != BYTES:
            raise DataError(
                f"Expected float pixels of {where} for pixels=({low:g}, {high:g}). Received: "
                "uint8, whose range is [0, 255]: leave pixels out."
            )
        return images
    if images.dtype != np.float32 and (pixels is None or images.dtype.kind != "f"):
        raise DataError(
            f"Expected uint8 or float32 images in {where}. Received: {images.dtype}. Convert "
            "pixels in [0, 255] with astype('uint8'), others with astype('float32')."
        )
    least, most = float(images.min()), float(images.max())
    if np.isnan(least) or np.isnan(most):
        raise DataError(f"Expected finite pixels in {where}. Received: NaN.")
    if np.float32(least) < np.float32(low) or np.float32(most) > np.float32(high):
        raise DataError(
            f"Expected float pixels of {where} in [{low:g}, {high:g}]. Received: [{least:g}, "
            f"{most:g}]. Give their range, pixels=(0, 1) or pixels=(0, 255)."
        )
    if (low, high) == BOX:
        return images.astype(np.float32, copy=False)
    # In float64, so that the ends of the range become those of the box.
    scaled = (images.astype(np.float64) - low) * (2.0 / (high - low)) - 1.0
    return np.clip(scaled, *BOX).astype(np.float32)

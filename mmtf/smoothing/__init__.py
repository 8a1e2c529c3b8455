"""Randomized smoothing: certified l2 robustness of a classifier's vote under Gaussian noise.

    python -m mmtf.smooth --model=PATH --sigma=1.0 --n=10000

From Python:

    from mmtf import smoothing

    certified = smoothing.certify(model, x, sigma=1.0, n=10_000)
    certified.label, certified.radius
"""

from mmtf.registry import lazy_attributes

# Imported when first used: the command sets TensorFlow up before it is imported.
_PUBLIC = {
    "ABSTAIN": "mmtf.smoothing.certificates",
    "Certified": "mmtf.smoothing.certificates",
    "Smoothed": "mmtf.classifiers.smoothed",
    "certified_of": "mmtf.smoothing.certificates",
    "certify": "mmtf.smoothing.procedures",
    "counts": "mmtf.smoothing.noisy_votes",
    "largest_radius": "mmtf.smoothing.certificates",
    "lower_bound": "mmtf.smoothing.certificates",
    "predict": "mmtf.smoothing.procedures",
    "save_smoothed": "mmtf.smoothing.serving",
    "voted": "mmtf.smoothing.certificates",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazy_attributes(__name__, _PUBLIC)

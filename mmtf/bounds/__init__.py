"""Certified lower bounds on margins, against every adversarial example of a ball.

`BOUNDS` maps the name of a verifier to its class, from cheap to dear:
BOUNDS[name](classifier)(x, y, threat) -> lower bounds of logit y - logit j, float64 [N, C].
`certify` runs several of them in turn.
"""

from typing import Any

from mmtf.bounds.verifiers import BOUNDS
from mmtf.registry import Registry

# Attributes, imported on first use. No module has the name of a function, because importing it
# would replace the function.
_PUBLIC = Registry(
    "attribute",
    {
        "Ball": "mmtf.bounds.balls:Ball",
        "Certificates": "mmtf.bounds.certificates:Certificates",
        "certify": "mmtf.bounds.cascade:certify",
    },
)

__all__ = ["BOUNDS", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return _PUBLIC[name]
    raise AttributeError(f"module 'mmtf.bounds' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

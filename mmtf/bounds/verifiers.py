"""`BOUNDS`: the verifiers by name, from cheap to dear."""

from mmtf.registry import Registry

BOUNDS = Registry(
    "verifier",
    {
        "ibp": "mmtf.bounds.ibp:IBP",
        "crown_ibp": "mmtf.bounds.crown:CrownIBP",
        "crown": "mmtf.bounds.crown:Crown",
        "alpha_crown": "mmtf.bounds.alpha_crown:AlphaCrown",
        "bab": "mmtf.bounds.bab:BaB",
        "milp": "mmtf.bounds.milp:MILP",
    },
    bases=("mmtf.bounds.verifier:Verifier",),
)

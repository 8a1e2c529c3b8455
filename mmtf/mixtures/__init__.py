"""Mixed strategies: a random choice among classifiers, against a random choice among attacks.

    python -m mmtf.mixture --model=plain=PATH --model=lwa=PATH --attacks=fgsm@*,pgd@* --adaptive

From Python:

    from mmtf import mixtures

    found = mixtures.solve(errors)  # of defenses x attacks
    mixture = mixtures.Mixture({"plain": plain, "lwa": lwa}, found.p)
    attacked = mixtures.adaptive_attack(mixture, threat, x, y)
"""

from mmtf.registry import lazy_attributes

# Imported when first used: the command sets TensorFlow up before it is imported.
_PUBLIC = {
    "Adaptive": "mmtf.mixtures.adaptive",
    "DoubleOracle": "mmtf.mixtures.growing",
    "ExpectedErrorPGD": "mmtf.mixtures.adaptive",
    "MixedAttacks": "mmtf.mixtures.mixed_attacks",
    "Mixture": "mmtf.mixtures.mixed_classifier",
    "PayoffTable": "mmtf.mixtures.payoffs",
    "Payoffs": "mmtf.mixtures.payoffs",
    "Solution": "mmtf.mixtures.matrix_game",
    "adaptive_attack": "mmtf.mixtures.adaptive",
    "double_oracle": "mmtf.mixtures.growing",
    "expected_errors": "mmtf.mixtures.adaptive",
    "frozen_attacks": "mmtf.mixtures.frozen",
    "per_image_errors": "mmtf.mixtures.per_image",
    "save_mixture": "mmtf.mixtures.serving",
    "solve": "mmtf.mixtures.matrix_game",
    "solve_bayesian": "mmtf.mixtures.matrix_game",
    "solve_per_image": "mmtf.mixtures.per_image",
    "three_attackers": "mmtf.mixtures.attackers",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazy_attributes(__name__, _PUBLIC)

"""The additive game: one vector against all images, one perturbation against each (2020).

    python -m mmtf.additive --dataset=mnist --classes=0,1 --eta_attack=4 --eta_defense=4

From Python:

    from mmtf import additive

    game = additive.AdditiveGame(classifier, eta_attack=4.0, eta_defense=4.0)
    solved = game.solve(x_train, y_train, seed=0)
    model = additive.defended(classifier, solved.sample(64))
"""

from mmtf.registry import lazy_attributes

# Imported when first used: the command sets TensorFlow up before it is imported.
_PUBLIC = {
    "ADAPTS": "mmtf.additive.attacks",
    "AddDrawnVector": "mmtf.additive.layers",
    "AdditiveGame": "mmtf.additive.game",
    "DEFENSES": "mmtf.additive.defenses",
    "Pair": "mmtf.additive.pairs",
    "Settings": "mmtf.additive.cell",
    "Solved": "mmtf.additive.game",
    "defended": "mmtf.additive.layers",
    "measure": "mmtf.additive.cell",
    "pair_of": "mmtf.additive.pairs",
    "train_classifier": "mmtf.additive.pairs",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazy_attributes(__name__, _PUBLIC)

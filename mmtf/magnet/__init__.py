"""MagNet (Meng & Chen 2017): auto-encoders that detect and reform adversarial examples.

    python -m mmtf.magnet --dataset=mnist --eta=0.6 --output=magnet

From Python:

    from mmtf import magnet

    x, _ = data.train()
    recipe = magnet.recipe_for(data.image_shape)
    guarded = magnet.make_guarded(classifier, x[5000:], x[:5000], recipe)
    guarded(images), guarded.accepts(images)
"""

from mmtf.registry import lazy_attributes

# Imported when first used: the command sets TensorFlow up before it is imported.
_PUBLIC = {
    "DivergenceDetector": "mmtf.classifiers.detectors",
    "Guarded": "mmtf.classifiers.guarded",
    "Pack": "mmtf.magnet.pack",
    "Recipe": "mmtf.magnet.recipes",
    "ReconstructionDetector": "mmtf.classifiers.detectors",
    "calibrated": "mmtf.classifiers.detectors",
    "jensen_shannon": "mmtf.classifiers.detectors",
    "make_guarded": "mmtf.magnet.building",
    "make_pack": "mmtf.magnet.building",
    "recipe_for": "mmtf.magnet.recipes",
    "save_guarded": "mmtf.classifiers.guarded_files",
    "threshold_at": "mmtf.classifiers.detectors",
    "train_autoencoders": "mmtf.magnet.training",
}

__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazy_attributes(__name__, _PUBLIC)

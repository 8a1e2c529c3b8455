"""What a filter keeps and hides: accuracies of classifiers trained afresh on its outputs."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from mmtf.errors import require, require_choice
from mmtf.privacy.examples import PrivacyData
from mmtf.stats.intervals import wilson

FOLDS = 3


@dataclasses.dataclass(frozen=True)
class Cell:
    """What classifiers learn from the outputs of one filter.

    Attributes:
      target: test accuracy of a softmax classifier of the target, the classes being those of the
        data; its hyperparameter is chosen by cross-validation.
      private: attacker's name -> test accuracy for the private attribute. Of two classes an
        accuracy a below 1/2 counts as 1 - a: such an attacker would flip its answers.
      n: number of test examples.
    """

    target: float
    private: dict[str, float]
    n: int

    @property
    def strongest(self) -> str:
        """Name of the attacker with the highest test accuracy."""
        return max(self.private, key=lambda name: self.private[name])

    @property
    def leak(self) -> float:
        """Test accuracy of the strongest attacker.

        The largest of several accuracies on the same examples is biased upward, so that the
        attribute is hidden at least as well as this figure says.
        """
        return self.private[self.strongest]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data with Wilson's 95 % intervals over the test examples."""
        return {
            "target": self.target,
            "target_interval": list(wilson(round(self.target * self.n), self.n)),
            "private": dict(self.private),
            "strongest": self.strongest,
            "leak": self.leak,
            "leak_interval": list(wilson(round(self.leak * self.n), self.n)),
            "n": self.n,
        }


def _softmax(seed):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500), {"C": [0.01, 0.1, 1.0, 10.0]}


def _svm(seed):
    from sklearn.svm import SVC

    return SVC(), {"C": [0.3, 3.0], "gamma": ["scale", 0.03]}


def _mlp(seed):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((32,), max_iter=60, learning_rate_init=5e-3, random_state=seed)
    return model, {"alpha": [1e-3, 1.0]}


def _forest(seed):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100, random_state=seed), {"min_samples_leaf": [1, 10]}


def _boosting(seed):
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=50, random_state=seed)
    return model, {"learning_rate": [0.05, 0.2]}


# Name -> function of a seed -> (scikit-learn classifier, its grid of hyperparameters).
ATTACKERS: dict[str, Callable[[int], tuple[Any, dict[str, list]]]] = {
    "softmax": _softmax,
    "svm": _svm,
    "mlp": _mlp,
    "forest": _forest,
    "boosting": _boosting,
}
# Trees do not depend on the scale of the features.
SCALED = ("softmax", "svm", "mlp")


def measure(
    filter: keras.Model | Callable[[np.ndarray], np.ndarray],
    data: PrivacyData,
    *,
    attackers: Sequence[str] = ("softmax", "svm", "mlp", "forest"),
    seed: int = 0,
) -> Cell:
    """Trains classifiers afresh on the filtered training examples and tests them.

    Hyperparameters, and whether features are standardized, are chosen by cross-validation (3 folds)
    on the training examples.

    Args:
      filter: a Keras model, or a function of raw examples [N, ...] -> [N, d]. A filter that adds
        noise must draw it independently for every call.
      data: the examples.
      attackers: names of `ATTACKERS` that predict the private attribute, at least one.
      seed: of the classifiers.

    Raises:
      ConfigError: unknown attackers, none, or outputs that are not finite.

    Example:
      >>> from mmtf.privacy import load_data
      >>> data = load_data("digits")
      >>> cell = measure(lambda x: x.reshape(len(x), -1), data, attackers=["softmax"])
      >>> cell.target > 0.8, cell.leak > 0.8
      (True, True)
    """
    require(len(attackers) > 0, "at least one attacker", list(attackers))
    for name in attackers:
        require_choice("attackers", name, ATTACKERS)
    z_train, z_test = (_outputs(filter, x) for x in (data.x_train, data.x_test))

    def accuracy(name, train, test):
        return _fit(name, seed, z_train, train).score(z_test, test)

    private = {}
    for name in attackers:
        reached = accuracy(name, data.private_train, data.private_test)
        private[name] = max(reached, 1 - reached) if data.private_classes == 2 else reached
    target = accuracy("softmax", data.target_train, data.target_test)
    return Cell(float(target), {name: float(a) for name, a in private.items()}, len(z_test))


def _outputs(filter, x):
    z = filter.predict(x, batch_size=1000, verbose=0) if hasattr(filter, "predict") else filter(x)
    z = np.asarray(z, np.float32).reshape(len(x), -1)
    require(bool(np.isfinite(z).all()), "finite outputs of the filter", "NaN or infinity")
    return z


def _fit(name, seed, z, labels):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    model, grid = ATTACKERS[name](seed)
    grid = {f"model__{key}": values for key, values in grid.items()}
    if name in SCALED:
        grid["scale"] = [StandardScaler(), "passthrough"]
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(Pipeline([("scale", "passthrough"), ("model", model)]), grid, cv=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search.fit(z, labels)

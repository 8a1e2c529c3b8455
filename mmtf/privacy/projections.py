"""Linear filters in closed form: directions onto which examples are projected.

Each function takes centered training vectors [N, D] and returns directions [D, d], d <= D.
"""

import numpy as np
import scipy.linalg

TINY = 1e-8


def pca(x: np.ndarray, dimensions: int) -> np.ndarray:
    """The `dimensions` directions of largest variance, orthonormal.

    Example:
      >>> x = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
      >>> np.abs(pca(x, 1)).round(6).ravel().tolist()
      [1.0, 0.0]
    """
    return np.linalg.svd(x, full_matrices=False)[2][:dimensions].T


def random_directions(x: np.ndarray, dimensions: int, seed: int) -> np.ndarray:
    """Orthonormal directions, uniformly distributed."""
    normal = np.random.default_rng(seed).normal(size=(x.shape[1], dimensions))
    return np.linalg.qr(normal)[0]


def between(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Scatter between classes: sum over classes k of n_k m_k m_k', m_k the mean of class k."""
    means = [(np.sum(labels == k), x[labels == k].mean(0)) for k in np.unique(labels)]
    return sum(count * np.outer(mean, mean) for count, mean in means)


def plda(x: np.ndarray, target: np.ndarray, private: np.ndarray, dimensions: int) -> np.ndarray:
    """Private LDA: generalized eigenvectors of the two scatters between classes.

        C_target e = c C_private e,    the `dimensions` largest c

    Both matrices get 1e-8 of their trace on the diagonal. Source: Hamm (2017), "Minimax Filter",
    which calls it a heuristic.
    """
    keep, hide = (_regular(between(x, labels)) for labels in (target, private))
    vectors = scipy.linalg.eigh(keep, hide)[1][:, ::-1][:, :dimensions]
    return vectors / np.linalg.norm(vectors, axis=0)


def ppls(
    x: np.ndarray,
    target: np.ndarray,
    private: np.ndarray,
    dimensions: int,
    weight: float = 1.0,
) -> np.ndarray:
    """Privacy-preserving partial least squares: directions of covariance with the target alone.

    Direction k maximizes |Cov(x e, target)|^2 - weight |Cov(x e, private)|^2 over unit vectors e;
    then x is deflated, that is, its regression on x e is subtracted. Labels of several classes
    count as one-hot rows.

    Args:
      x: centered vectors [N, D].
      target, private: int [N].
      dimensions: number of directions.
      weight: >= 0.

    Source: Enev et al., "SensorSift: balancing sensor data privacy and utility in automated face
    understanding", ACSAC 2012.
    """
    left, map_, found = x.astype(np.float64).copy(), np.eye(x.shape[1]), []
    keep, hide = (_one_hot(labels) for labels in (target, private))
    for _ in range(dimensions):
        of_target, of_private = left.T @ keep / len(x), left.T @ hide / len(x)
        matrix = of_target @ of_target.T - weight * of_private @ of_private.T
        direction = np.linalg.eigh(matrix)[1][:, -1]
        scores = left @ direction
        loading = left.T @ scores / max(scores @ scores, TINY)
        found.append(map_ @ direction)
        step = np.eye(x.shape[1]) - np.outer(direction, loading)
        left, map_ = left @ step, map_ @ step
    return np.stack(found, 1)


def erasure(x: np.ndarray, private: np.ndarray) -> np.ndarray:
    """The projection [D, D] that removes the differences between the private classes' means."""
    means = np.stack([x[private == k].mean(0) for k in np.unique(private)])
    basis = scipy.linalg.orth((means - means.mean(0)).T)
    return np.eye(x.shape[1]) - basis @ basis.T


def erased_lda(x: np.ndarray, target: np.ndarray, private: np.ndarray) -> np.ndarray:
    """Linear discriminants of the target after `erasure`: [D, classes of the target - 1].

    The covariance within classes is shrunk as by Ledoit and Wolf.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    removed = erasure(x, private)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(x @ removed, target)
    return removed @ model.scalings_[:, : len(model.classes_) - 1]


def _regular(matrix):
    return matrix + TINY * np.trace(matrix) * np.eye(len(matrix))


def _one_hot(labels):
    hot = np.eye(int(labels.max()) + 1)[labels]
    return hot - hot.mean(0)

"""Loads the examples of a privacy game."""

import os

import numpy as np

from mmtf.errors import ConfigError, require
from mmtf.privacy.examples import PrivacyData
from mmtf.privacy.tfds_labels import load_tfds
from mmtf.storage.files import UNREADABLE

TEST_SHARE = 0.2
SPLIT_SEED = 0
EMBEDDED = "digits"


def load_data(
    name: str = EMBEDDED,
    *,
    target: str | None = None,
    private: str | None = None,
    data_dir: str | None = None,
) -> PrivacyData:
    """Loads examples with two labels.

    Args:
      name: one of
        `digits`: scikit-learn's 1,797 handwritten digits, no file needed; target: whether the
          digit is odd; private: whether it is at least 5;
        a path that ends in `.mat`: GENKI faces in the layout of the minimax filter's reference
          code (`Xtrain` [256, N], `y1_train`, `y2_train` in 1, 2, and the same for test); target:
          expression, private: gender;
        a path that ends in `.npz`: arrays `x` [N, ...], `target` [N] and `private` [N], of which a
          fifth, drawn at random with a fixed seed, is the test set; or the six arrays `x_train`,
          `target_train`, `private_train`, `x_test`, `target_test`, `private_test`;
        `tfds:NAME`: a dataset of TensorFlow Datasets with two labels.
      target, private: for `tfds:NAME`, the features with the two labels, as `label` and
        `attributes/Male`.
      data_dir: for `tfds:NAME`, the folder of TensorFlow Datasets.

    Raises:
      ConfigError: the file or dataset cannot be read, or holds other arrays.

    Example:
      >>> data = load_data("digits")
      >>> data.x_train.shape, data.target, data.private
      ((1438, 8, 8, 1), 'odd', 'at least 5')
    """
    if name.startswith("tfds:"):
        return load_tfds(name.removeprefix("tfds:"), target, private, data_dir)
    require(
        target is None and private is None,
        "--target and --private only with --data=tfds:NAME",
        (target, private),
    )
    if name == EMBEDDED:
        return _digits()
    if name.endswith(".mat"):
        return _genki(name)
    if name.endswith(".npz"):
        return _npz(name)
    raise ConfigError(
        f"Expected data to be {EMBEDDED}, a .mat or .npz file, or tfds:NAME. Received: {name!r}."
    )


def _digits():
    import sklearn.datasets

    source = sklearn.datasets.load_digits()
    x = (source.images / 16.0).astype(np.float32)[..., None]
    odd, high = source.target % 2, (source.target >= 5).astype(np.int32)
    return _split("digits", x, odd, high, "odd", "at least 5")


def _genki(path):
    import scipy.io

    try:
        arrays = scipy.io.loadmat(_existing(path))
    except (scipy.io.matlab.MatReadError, ValueError, TypeError, NotImplementedError) as error:
        raise ConfigError(f"Expected a MATLAB 5 file. Received: {path} ({error}).") from error
    names = [f"{k}_{part}" for k in ("y1", "y2") for part in ("train", "test")]
    _require_arrays(path, arrays, ["Xtrain", "Xtest", *names])

    def examples(part):
        # A column each; MATLAB stores images by columns.
        return np.reshape(arrays[f"X{part}"].T, (-1, 16, 16, 1), order="C").transpose(0, 2, 1, 3)

    require(
        arrays["Xtrain"].shape[0] == 256 == arrays["Xtest"].shape[0],
        f"Xtrain and Xtest of shape [256, N] in {path}",
        (arrays["Xtrain"].shape, arrays["Xtest"].shape),
    )
    labels = {key: arrays[key].astype(np.int32).ravel() - 1 for key in names}
    return PrivacyData(
        "genki",
        examples("train"),
        labels["y1_train"],
        labels["y2_train"],
        examples("test"),
        labels["y1_test"],
        labels["y2_test"],
        "expression",
        "gender",
    )


def _npz(path):
    try:
        found = np.load(_existing(path), allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("a single array")
        with found as file:
            arrays = dict(file)
    except UNREADABLE as error:
        raise ConfigError(f"Expected a NumPy .npz file. Received: {path} ({error}).") from error
    name = os.path.splitext(os.path.basename(path))[0]
    if "x" in arrays:
        _require_arrays(path, arrays, ["x", "target", "private"])
        return _split(name, arrays["x"], arrays["target"], arrays["private"], "target", "private")
    names = [f"{k}_{part}" for part in ("train", "test") for k in ("x", "target", "private")]
    _require_arrays(path, arrays, names)
    return PrivacyData(name, *(arrays[key] for key in names))


def _split(name, x, target, private, target_name, private_name):
    count = {len(x), len(target), len(private)}
    require(len(count) == 1 and len(x) > 4, "x, target and private of one length > 4", count)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(x))
    held = round(TEST_SHARE * len(x))
    test, train = order[:held], order[held:]
    return PrivacyData(
        name,
        x[train],
        target[train],
        private[train],
        x[test],
        target[test],
        private[test],
        target_name,
        private_name,
    )


def _existing(path):
    path = os.path.expanduser(path)
    require(os.path.isfile(path), "an existing file of examples", path)
    return path


def _require_arrays(path, arrays, names):
    missing = [name for name in names if name not in arrays]
    require(not missing, f"arrays {', '.join(names)} in {path}", f"none named {missing}")

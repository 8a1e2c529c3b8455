"""`PrivacyData`: examples with two labels, the target to keep and the private attribute to hide."""

import dataclasses

import numpy as np

from mmtf.errors import require
from mmtf.storage.digest import sha256


@dataclasses.dataclass(frozen=True, eq=False)
class PrivacyData:
    """Training and test examples of a privacy game.

    Attributes:
      name: the dataset's name in tables.
      x_train, x_test: float32 [N, ...], examples of one shape: vectors [N, D] or images
        [N, H, W, C].
      target_train, target_test: int32 [N], classes 0, 1, ... of the task to keep.
      private_train, private_test: int32 [N], classes 0, 1, ... of the attribute to hide.
      target, private: what the two labels mean, for tables.

    Raises:
      ConfigError: arrays of different lengths, no examples, examples that are not finite, labels
        that are not whole numbers >= 0, or a label of one class only.
    """

    name: str
    x_train: np.ndarray
    target_train: np.ndarray
    private_train: np.ndarray
    x_test: np.ndarray
    target_test: np.ndarray
    private_test: np.ndarray
    target: str = "target"
    private: str = "private"

    def __post_init__(self):
        for part in ("train", "test"):
            x = np.asarray(getattr(self, f"x_{part}"), np.float32)
            require(x.ndim > 1 and len(x) > 0, f"x_{part} of shape [N, ...], N > 0", x.shape)
            require(bool(np.isfinite(x).all()), f"finite values in x_{part}", "NaN or infinity")
            object.__setattr__(self, f"x_{part}", x)
            for label in ("target", "private"):
                name = f"{label}_{part}"
                object.__setattr__(self, name, _labels(getattr(self, name), name, len(x)))
        shapes = self.x_train.shape[1:], self.x_test.shape[1:]
        require(shapes[0] == shapes[1], "examples of one shape in x_train and x_test", shapes)
        for label in ("target", "private"):
            train, test = getattr(self, f"{label}_train"), getattr(self, f"{label}_test")
            count = int(train.max()) + 1
            classes = len(np.unique(train))
            require(classes > 1, f"at least two classes in {label}_train", classes)
            require(
                int(test.max()) < count, f"{label}_test of {label}_train's classes", int(test.max())
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self.x_train.shape[1:]

    @property
    def target_classes(self) -> int:
        """Number of classes of the target."""
        return int(self.target_train.max()) + 1

    @property
    def private_classes(self) -> int:
        """Number of classes of the private attribute."""
        return int(self.private_train.max()) + 1

    @property
    def fingerprint(self) -> str:
        """Hash of all arrays."""
        return sha256(
            self.x_train,
            self.target_train,
            self.private_train,
            self.x_test,
            self.target_test,
            self.private_test,
        )

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """The training and the test examples as vectors, float32 [N, D]."""
        return self.x_train.reshape(len(self.x_train), -1), self.x_test.reshape(
            len(self.x_test), -1
        )


def _labels(values, name, count):
    values = np.asarray(values)
    whole = values.dtype.kind in "iub" or (
        values.dtype.kind == "f" and bool(np.all(values == np.floor(values)))
    )
    good = values.shape == (count,) and whole and bool(np.all(values >= 0))
    received = f"{values.dtype} {values.shape}"
    require(good, f"{name}: {count} whole numbers >= 0, one for each example", received)
    return values.astype(np.int32)

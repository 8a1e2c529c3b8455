"""Examples with two labels from files."""

import numpy as np
import pytest
import scipy.io

from mmtf.errors import ConfigError
from mmtf.privacy import FILTERS, PrivacyData, load_data
from mmtf.privacy.tfds_labels import _classes


def arrays(count=20):
    rng = np.random.default_rng(0)
    target, private = np.arange(count) % 2, np.arange(count) // 2 % 2
    return {"x": rng.normal(size=(count, 4)), "target": target, "private": private}


def test_npz_is_split(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays())
    data = load_data(str(tmp_path / "mine.npz"))
    assert (data.name, len(data.x_train), len(data.x_test)) == ("mine", 16, 4)
    again = load_data(str(tmp_path / "mine.npz"))
    assert data.fingerprint == again.fingerprint


def test_npz_with_its_own_test_set(tmp_path):
    both = {f"{k}_{part}": v for part in ("train", "test") for k, v in arrays().items()}
    np.savez(tmp_path / "mine.npz", **both)
    data = load_data(str(tmp_path / "mine.npz"))
    np.testing.assert_array_equal(data.x_test, arrays()["x"].astype(np.float32))


def test_genki_columns_are_images(tmp_path):
    images = np.arange(4 * 256).reshape(4, 16, 16) / 1024
    columns = np.stack([image.ravel(order="F") for image in images], 1)
    labels = {f"{k}_{part}": [[1, 2, 1, 2]] for k in ("y1", "y2") for part in ("train", "test")}
    scipy.io.savemat(tmp_path / "genki.mat", {"Xtrain": columns, "Xtest": columns, **labels})
    data = load_data(str(tmp_path / "genki.mat"))
    np.testing.assert_allclose(data.x_train[..., 0], images, rtol=1e-6)
    assert data.target_train.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "existing file"),
        ({"x": np.zeros([5, 2])}, "arrays x, target, private"),
        ({**arrays(), "target": np.full(20, 0.5)}, "whole numbers"),
        ({**arrays(), "target": np.zeros(20, int)}, "two classes"),
        ({**arrays(), "x": np.full([20, 2], np.nan)}, "finite values"),
        ({**arrays(), "private": np.zeros(3, int)}, "one length"),
    ],
)
def test_files_that_do_not_fit(tmp_path, content, message):
    if content is not None:
        np.savez(tmp_path / "mine.npz", **content)
    with pytest.raises(ConfigError, match=message):
        load_data(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("name", ["other", "mine.mat", "mine.npz", "tfds:mnist"])
def test_files_that_cannot_be_read(tmp_path, name):
    path = name if ":" in name or name == "other" else str(tmp_path / name)
    if path != name:
        (tmp_path / name).write_text("no arrays")
    with pytest.raises(ConfigError, match="Expected"):
        load_data(path)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_start_with_d_finite_outputs(name, monkeypatch):
    monkeypatch.setattr("mmtf.privacy.filters.PRETRAIN_EPOCHS", 1)
    data = load_data("digits")
    small = PrivacyData("small", *(part[:100] for part in six(data)))
    model = FILTERS[name](small, 3)
    z = model.predict(small.x_test, verbose=0)
    assert z.shape == (100, 3)
    assert np.isfinite(z).all()


def six(data):
    parts = [(f"x_{p}", f"target_{p}", f"private_{p}") for p in ("train", "test")]
    return [getattr(data, name) for names in parts for name in names]


@pytest.mark.parametrize("label", ["target", "private"])
def test_one_class_is_refused_whatever_its_number(tmp_path, label):
    np.savez(tmp_path / "mine.npz", **{**arrays(), label: np.ones(20, int)})
    with pytest.raises(ConfigError, match="two classes"):
        load_data(str(tmp_path / "mine.npz"))


@pytest.mark.parametrize("kind", ["cut", "single"])
def test_a_damaged_npz_is_told(tmp_path, kind):
    path = tmp_path / "mine.npz"
    if kind == "cut":
        np.savez(path, **arrays())
        path.write_bytes(path.read_bytes()[:100])
    else:
        with open(path, "wb") as target:
            np.save(target, np.zeros(3))
    with pytest.raises(ConfigError, match="a NumPy .npz file"):
        load_data(str(path))


@pytest.mark.parametrize("value", [{"Male": True}, b"text"])
def test_features_that_are_no_numbers_are_refused(value):
    column = np.asarray([value, value])
    with pytest.raises(ConfigError, match="one number for each example"):
        _classes(column, column)


def test_principal_components_are_at_most_as_many_as_examples():
    few = PrivacyData("few", *(part[:20] for part in six(load_data("digits"))))
    with pytest.raises(ConfigError, match="dimensions from 1 to 20"):
        FILTERS["linear"](few, 30)
    assert FILTERS["linear"](few, 30, start="random").output_shape == (None, 30)

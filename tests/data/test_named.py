"""Which preprocessing goes with which name."""

import pytest

from mmtf.data import named, standardize_per_image, to_unit_box
from mmtf.errors import ConfigError


@pytest.mark.parametrize(
    "name, preprocess",
    [
        ("cifar10", standardize_per_image),
        ("cifar10:3.0.2", standardize_per_image),
        ("mnist", to_unit_box),
        ("mnist:3.0.1", to_unit_box),
        ("kmnist", to_unit_box),
    ],
)
def test_preprocessing_by_name(monkeypatch, make_dataset, name, preprocess):
    def load(given, change, folder):
        assert (given, folder) == (name, "/folder")
        return make_dataset(preprocess=change, note="a part")

    monkeypatch.setattr(named, "load_tfds", load)
    data = named.load_data(name, "/folder")
    assert data.preprocess is preprocess
    standardized = preprocess is standardize_per_image
    assert data.note == "a part" + f"; {named.NOTES['per_image']}" * standardized
    assert named.load_data(name, "/folder", preprocess="box").preprocess is to_unit_box
    with pytest.raises(ConfigError, match="preprocess to be one of box, per_image"):
        named.load_data(name, "/folder", preprocess="none")


def test_the_embedded_digits_need_no_tfds(monkeypatch):
    def fail(*given):
        raise AssertionError

    monkeypatch.setattr(named, "load_tfds", fail)
    assert named.load_data(named.EMBEDDED).name == "digits"

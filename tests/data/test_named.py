"""Which preprocessing goes with which name."""

import pytest

from mmtf.data import named, standardize_per_image, to_unit_box


@pytest.mark.parametrize(
    "name, preprocess",
    [("cifar10", standardize_per_image), ("mnist", to_unit_box), ("kmnist", to_unit_box)],
)
def test_preprocessing_by_name(monkeypatch, name, preprocess):
    monkeypatch.setattr(named, "load_tfds", lambda *given: given)
    assert named.load_data(name, "/folder") == (name, preprocess, "/folder")


def test_the_embedded_digits_need_no_tfds(monkeypatch):
    def fail(*given):
        raise AssertionError

    monkeypatch.setattr(named, "load_tfds", fail)
    assert named.load_data(named.EMBEDDED).name == "digits"

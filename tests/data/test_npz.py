"""A .npz file: names of arrays, the split, and files that are none."""

import numpy as np
import pytest

from mmtf.data import DataError, load_data, load_npz

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 4, 3)).astype(np.uint8)
LABELS = np.arange(20) % 3


def save(path, **arrays):
    np.savez_compressed(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
    ],
)
def test_arrays_of_both_splits(names, tmp_path):
    arrays = (IMAGES[:14], LABELS[:14, None], IMAGES[14:], LABELS[14:, None])
    path = save(tmp_path / "mine.npz", **dict(zip(names, arrays, strict=True)))
    data = load_data(f"npz:{path}")
    np.testing.assert_array_equal(data.train_images, IMAGES[:14, ..., None])
    np.testing.assert_array_equal(data.test_labels, LABELS[14:])
    assert (data.num_classes, data.class_names, data.name) == (3, (), f"npz:{path}")


def test_whole_arrays_are_split_by_the_seed_and_float_pixels_need_a_range(tmp_path):
    path = save(
        tmp_path / "mine.npz",
        x=IMAGES[..., None] / 255.0,
        y=np.eye(4)[LABELS],
        class_names=["a", "b", "c", "none"],
    )
    with pytest.raises(DataError, match="uint8 or float32 images"):
        load_npz(path)
    data = load_data(f"npz:{path},pixels=0:1,test_share=0.25,seed=1")
    assert (len(data.train_images), len(data.test_images), data.num_classes) == (15, 5, 4)
    assert data.class_names == ("a", "b", "c", "none") and data.train_images.dtype == np.float32
    assert data.note == "5 of 20 examples held out for the test, seed 1"
    both = np.concatenate([data.train_images, data.test_images])[..., 0]
    expected = IMAGES / 127.5 - 1
    order = np.lexsort(both.reshape(20, -1).T)
    # float32 rounding of numbers up to 1.
    np.testing.assert_allclose(
        both[order], expected[np.lexsort(expected.reshape(20, -1).T)], rtol=0, atol=1e-7
    )


def test_files_that_cannot_be_used_are_told_in_one_line(tmp_path):
    junk, single = tmp_path / "junk.npz", tmp_path / "single.npz"
    junk.write_bytes(b"PK no archive")
    with open(single, "wb") as target:
        np.save(target, IMAGES)
    pickled = save(tmp_path / "pickled.npz", x=np.array([{}, {}]), y=LABELS[:2])
    other = save(tmp_path / "other.npz", pixels=IMAGES)
    for path, message in (
        (tmp_path / "none.npz", "which is not there"),
        (tmp_path, "a .npz file of numeric arrays"),
        (junk, "a .npz file of numeric arrays"),
        (single, "a single array"),
        (pickled, "a .npz file of numeric arrays"),
        (other, "x_train, y_train, x_test, y_test .or x, y. in .* Received: pixels"),
    ):
        with pytest.raises(DataError, match=message) as told:
            load_npz(str(path))
        assert "\n" not in str(told.value)
    with pytest.raises(DataError, match="pixels=LOW:HIGH, as 0:1. Received: pixels=1"):
        load_data(f"npz:{other},pixels=1")
    with pytest.raises(DataError, match="Expected npz:PATH"):
        load_data("npz:")


def test_a_damaged_compressed_file_is_told(tmp_path):
    path = save(tmp_path / "damaged.npz", x=IMAGES, y=LABELS)
    with open(path, "rb") as source:
        content = bytearray(source.read())
    # The first member is at 0: 30 bytes, its name, an extra field, then the data.
    name, extra = (int.from_bytes(content[at : at + 2], "little") for at in (26, 28))
    content[30 + name + extra] = 0xFF  # no such kind of deflate block
    with open(path, "wb") as target:
        target.write(content)
    with pytest.raises(DataError, match="a .npz file of numeric arrays") as told:
        load_npz(path)
    assert "\n" not in str(told.value)


def test_labels_that_are_text_are_told(tmp_path):
    path = save(tmp_path / "text.npz", x=IMAGES, y=np.array(["cat", "dog"] * 10))
    with pytest.raises(DataError, match="integer labels"):
        load_npz(path)

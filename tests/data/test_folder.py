"""A folder of images by class: from memory and from files the same, and faults with their path."""

import os
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.data import Batches, DataError, load_data, load_folder
from mmtf.data.image_files import ImageFiles
from mmtf.data.sources import ImageSource
from mmtf.errors import ConfigError

NAMES = ("ant", "bee", "cat")


def write(path, image):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tf.io.write_file(str(path), tf.io.encode_png(image))


def pictures(count, shape=(6, 5, 3), seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    images[:, 0, 0, 0] = np.arange(count)  # all different
    return images


def make_folder(root, images, split=""):
    """Images i of class i % 3."""
    for number, image in enumerate(images):
        write(os.path.join(root, split, NAMES[number % 3], f"{number:03}.png"), image)
    return str(root)


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "photos", pictures(30))


def pairs(images, labels):
    return sorted(zip(images[:, 0, 0, 0].tolist(), labels.tolist(), strict=True))


def test_one_folder_is_split_by_the_seed(folder):
    data = load_folder(folder)
    assert data.class_names == NAMES and data.num_classes == 3 and data.image_shape == (6, 5, 3)
    assert (len(data.train_images), len(data.test_images)) == (24, 6)
    found = pairs(data.train_images, data.train_labels) + pairs(data.test_images, data.test_labels)
    assert sorted(found) == [(i, i % 3) for i in range(30)]
    np.testing.assert_array_equal(np.bincount(data.test_labels), [2, 2, 2])
    assert "6 of 30 images held out for the test, 0.2 of each class, seed 0" in data.note
    again, other = load_folder(folder), load_folder(folder, seed=1)
    np.testing.assert_array_equal(again.test_images, data.test_images)
    assert pairs(other.test_images, other.test_labels) != pairs(data.test_images, data.test_labels)
    # The first examples are of all classes, though files are listed class by class.
    assert set(data.train_labels[:12]) == {0, 1, 2}


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    images = pictures(30)
    make_folder(tmp_path, images[:21], "train")
    make_folder(tmp_path, images[21:], "test")
    data = load_folder(str(tmp_path))
    assert pairs(data.train_images, data.train_labels) == [(i, i % 3) for i in range(21)]
    assert pairs(data.test_images, data.test_labels) == [(i, (i - 21) % 3) for i in range(21, 30)]
    assert set(data.test_labels[:6]) == {0, 1, 2} and data.note == "9 images of test"
    shutil.rmtree(tmp_path / "test" / "bee")
    with pytest.raises(DataError, match="same classes in train and test of .*: bee in only one"):
        load_folder(str(tmp_path))


def test_images_are_those_that_keras_reads(folder):
    data = load_folder(folder)
    theirs = keras.utils.image_dataset_from_directory(
        folder, image_size=(6, 5), batch_size=None, shuffle=False, verbose=False
    )
    known = {np.uint8(image).tobytes(): int(label) for image, label in theirs.as_numpy_iterator()}
    assert len(known) == 30
    for image, label in zip(data.train_images, data.train_labels, strict=True):
        assert known[image.tobytes()] == label


@pytest.mark.parametrize("options", [{}, {"image_size": (4, 8)}, {"color": "grayscale"}])
def test_from_files_it_is_the_same_as_from_memory(folder, options):
    memory, files = (load_folder(folder, in_memory=where, **options) for where in (True, False))
    assert isinstance(files.train_images, ImageFiles) and files.image_shape == memory.image_shape
    assert files.train_images.nbytes == memory.train_images.nbytes
    np.testing.assert_array_equal(files.test_images[:], memory.test_images)
    np.testing.assert_array_equal(files.train_images[[5, 0, 7]], memory.train_images[[5, 0, 7]])
    np.testing.assert_array_equal(files.train()[0], memory.train()[0])
    one, other = (Batches(data, batch_size=4, seed=2, in_memory=False) for data in (memory, files))
    for (x, y), (theirs, labels) in zip(one.stream(2, 9, 2), other.stream(2, 9, 2), strict=True):
        np.testing.assert_array_equal(x, theirs)
        np.testing.assert_array_equal(y, labels)
    held, same = memory.holdout(5), files.holdout(5)
    np.testing.assert_array_equal(same.test_images[:], held.test_images)
    assert (
        same.raw_digest
        != files.raw_digest
        == load_folder(folder, in_memory=False, **options).raw_digest
    )


def test_sizes_that_differ_need_a_size(folder):
    write(f"{folder}/cat/wide.png", pictures(1, (6, 9, 3))[0])
    with pytest.raises(
        DataError, match=r"one size.*\(6, 5, 3\) in .* \(6, 9, 3\) in .*wide.png"
    ) as told:
        load_folder(folder)
    assert "image_size=(height, width)" in str(told.value)
    data = load_folder(folder, image_size=(6, 5))
    assert len(data.train_images) + len(data.test_images) == 31 and "resized to 6 x 5" in data.note


def test_colors_that_differ_need_a_color(folder):
    write(f"{folder}/cat/gray.png", pictures(1, (6, 5, 1))[0])
    with pytest.raises(DataError, match="one channels.*color='rgb'"):
        load_folder(folder)
    assert load_folder(folder, color="rgb").image_shape == (6, 5, 3)
    assert load_folder(folder, color="grayscale").image_shape == (6, 5, 1)


def test_gray_images_have_one_channel_and_transparent_ones_are_refused(tmp_path):
    gray = make_folder(tmp_path / "gray", pictures(15, (4, 7, 1)))
    assert load_folder(gray).image_shape == (4, 7, 1)
    clear = make_folder(tmp_path / "clear", pictures(15, (4, 7, 4)))
    with pytest.raises(DataError, match="gray or RGB images. Received: 4 channels"):
        load_folder(clear)
    assert load_folder(clear, color="rgb").image_shape == (4, 7, 3)


@pytest.mark.parametrize("content", [b"", b"no image at all", "half"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_a_damaged_image_is_told_with_its_path(folder, content, in_memory):
    path = f"{folder}/bee/004.png"
    if content == "half":
        with open(path, "rb") as source:
            content = source.read()
        content = content[: len(content) // 2]
    with open(path, "wb") as target:
        target.write(content)
    with pytest.raises(DataError, match="can be decoded. Received: .*bee/004.png") as told:
        load_folder(folder, in_memory=in_memory)
    assert "\n" not in str(told.value)


def test_hidden_files_are_ignored_and_foreign_formats_are_not(folder):
    for name in (
        "bee/._001.png",
        "bee/.DS_Store",
        ".cache/x.png",
        "bee/.hidden/x.png",
        "cat/notes.txt",
    ):
        os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
        with open(f"{folder}/{name}", "w") as target:
            target.write("nothing")
    data = load_folder(folder)
    assert data.class_names == NAMES and len(data.train_images) + len(data.test_images) == 30
    with open(f"{folder}/cat/new.webp", "w") as target:
        target.write("nothing")
    with pytest.raises(DataError, match="Received: .*cat/new.webp. Convert it"):
        load_folder(folder)


def test_folders_that_cannot_be_used_are_told(folder, tmp_path):
    with pytest.raises(DataError, match="a subfolder for each class. Received: .*nowhere"):
        load_folder(str(tmp_path / "nowhere"))
    os.makedirs(f"{folder}/empty")
    with pytest.raises(DataError, match="images of every class in .*Received: none in empty"):
        load_folder(folder)
    with pytest.raises(DataError, match="two or more classes.* Received: bee"):
        shutil.copytree(f"{folder}/bee", tmp_path / "one" / "bee")
        load_folder(str(tmp_path / "one"))
    os.rmdir(f"{folder}/empty")
    with pytest.raises(DataError, match="hold out 0.01 of each class"):
        load_folder(folder, test_share=0.01)
    for wrong in (
        {"test_share": 0},
        {"image_size": (0, 3)},
        {"image_size": (1.5, 2)},
        {"color": "cmyk"},
    ):
        with pytest.raises(ConfigError):
            load_folder(folder, **wrong)


def test_by_name_with_options(folder):
    data = load_data(f"folder:{folder},image_size=4x8,color=grayscale,test_share=0.3,seed=3")
    assert data.image_shape == (4, 8, 1) and len(data.test_images) == 9
    assert data.name.endswith("seed=3") and data.class_names == NAMES
    assert load_data(f"folder:{folder}", preprocess="per_image").test()[0].std() > 0.3
    for wrong, message in (
        ("size=4x8", "among image_size, color, test_share, seed. Received: size=4x8"),
        ("image_size=4", "image_size=HEIGHTxWIDTH, as 64x64. Received: image_size=4"),
        ("seed=one", "seed=NUMBER"),
    ):
        with pytest.raises(DataError, match=message):
            load_data(f"folder:{folder},{wrong}")


def test_class_names_are_validated(make_dataset):
    assert make_dataset(class_names=list(NAMES)).class_names == NAMES
    for names in (("a", "b"), ("a", "b", "b")):
        with pytest.raises(DataError, match="3 different class names, or none"):
            make_dataset(class_names=names)


def test_an_evaluation_reads_one_batch_after_the_other(folder, monkeypatch, linear, rng):
    """Slices as large as a batch, and the figures of an array."""
    memory, files = (load_folder(folder, in_memory=where) for where in (True, False))
    classifier = linear(rng.normal(0, 0.1, (90, 3)))
    options = {"threat": mmtf.ThreatModel(eta=0.2), "checks": False, "batch_size": 2}
    attacks = ["none", "fgsm", "pgd"]
    expected = mmtf.evaluate(classifier, attacks, memory, **options)
    taken, read = [], ImageFiles.__getitem__

    def noting(self, rows):
        found = read(self, rows)
        taken.append(len(found))
        return found

    monkeypatch.setattr(ImageFiles, "__getitem__", noting)
    monkeypatch.setattr("mmtf.data.dataset.MEMORY_LIMIT_BYTES", 4 * 90 * 5)  # less than 6 images
    x, _ = files.test_inputs()
    assert isinstance(x, ImageSource) and x.shape == (6, 6, 5, 3)
    np.testing.assert_array_equal(x[2:4], memory.inputs(memory.test_images[2:4]))
    with pytest.raises(DataError, match="fits in memory as float32.* Give max_examples"):
        files.test()
    monkeypatch.setattr("mmtf.evaluation.payoff.SCALE_EXAMPLES", 4)
    monkeypatch.setattr("mmtf.evaluation.admission.SCALE_EXAMPLES", 4)
    taken.clear()
    found = mmtf.evaluate(classifier, attacks, files, **options)
    assert (found.error == expected.error).all() and found.error.iloc[-1] > 0
    # All that is read at once but batches: the first 16 images, which tell what preprocess does.
    assert taken.count(2) >= 3 * len(attacks) and set(taken) <= {1, 2, 4, 6}


def test_a_wrong_seed_or_share_is_told_as_such(folder, tmp_path):
    np.savez(tmp_path / "x.npz", x=np.zeros([9, 2, 2, 1], np.uint8), y=np.arange(9) % 3)
    for name in (f"folder:{folder}", f"npz:{tmp_path / 'x.npz'}"):
        with pytest.raises(ConfigError, match="Expected seed in"):
            load_data(f"{name},seed=-1")
    with pytest.raises(ConfigError, match="test_share"):
        load_folder(folder, test_share="0.2")


@pytest.mark.parametrize("wrong", [{"image_size": 64}, {"in_memory": "no"}])
def test_options_of_another_type_are_refused(folder, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        load_folder(folder, **wrong)

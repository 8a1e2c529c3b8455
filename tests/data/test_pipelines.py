"""tf.data pipelines: what is kept, what streams, and that a stream goes on where it stopped."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import mmtf
from mmtf.data import Batches, DataError
from mmtf.data.pipelines import PipelineImages
from mmtf.errors import ConfigError
from mmtf.training.callbacks import Callbacks

COUNT, SHAPE = 23, (4, 3, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE)).astype(np.uint8)
IMAGES[:, 0, 0, 0] = np.arange(COUNT)
LABELS = np.arange(COUNT) % 3


def pipeline(images=IMAGES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels))


def made(train=None, test=None, **options):
    train = pipeline() if train is None else train
    test = pipeline(IMAGES[:9], LABELS[:9]) if test is None else test
    return mmtf.Dataset.from_tf_data(train, test, **{"num_classes": 3, **options})


def streamed(train=None, **options):
    return made(train, in_memory=False, **options)


FORMS = {
    "single": pipeline(),
    "batches": pipeline().batch(5),
    "dictionaries": pipeline().map(lambda image, label: {"image": image, "label": label}),
    "one-hot": pipeline(labels=np.eye(3)[LABELS].astype(np.float32)).batch(4),
    "int64 of one value": pipeline(labels=LABELS.astype(np.uint8)),
}


@pytest.mark.parametrize("in_memory", [None, False])
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_elements_give_the_same_data(form, in_memory):
    data = made(FORMS[form], in_memory=in_memory)
    assert isinstance(data.train_images, np.ndarray) == (in_memory is None)
    np.testing.assert_array_equal(data.train_images[:], IMAGES)
    np.testing.assert_array_equal(data.train_labels, LABELS)
    known = mmtf.Dataset(
        name="arrays",
        train_images=IMAGES,
        train_labels=LABELS,
        test_images=IMAGES[:9],
        test_labels=LABELS[:9],
        num_classes=3,
    )
    np.testing.assert_array_equal(data.train()[0], known.train()[0])
    images, labels = next(iter(Batches(data, batch_size=4, seed=0, in_memory=False).stream(0, 1)))
    assert (images.shape, images.dtype) == ((4, *SHAPE), tf.float32)
    assert (labels.shape, labels.dtype) == ((4,), tf.int32)


@pytest.mark.parametrize("in_memory", [None, False])
@pytest.mark.parametrize("pixels", [(0, 1), (0, 255), (-1, 1)])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_float_pixels_have_a_range_that_is_told(kind, pixels, in_memory):
    low, high = pixels
    images = (low + (high - low) * (IMAGES / 255.0)).astype(kind)
    data = made(pipeline(images), pipeline(images), pixels=pixels, in_memory=in_memory)
    found = data.train()[0]
    # Rounding of the pixels in their own type, then in float32.
    atol = float(np.finfo(kind).eps) + 1e-7
    np.testing.assert_allclose(found, IMAGES / 127.5 - 1, rtol=0, atol=atol)
    assert found.dtype == np.float32 and found.min() >= -1 and found.max() <= 1
    array = mmtf.Dataset(
        name="arrays",
        train_images=images,
        train_labels=LABELS,
        test_images=images,
        test_labels=LABELS,
        num_classes=3,
        pixels=pixels,
    )
    np.testing.assert_array_equal(array.train()[0], found)
    batch = next(iter(Batches(data, batch_size=COUNT, seed=1, in_memory=False).stream(0, 1)))[0]
    for image in batch.numpy():
        assert (image == found).all((1, 2, 3)).any()


@pytest.mark.parametrize(
    "train, options, message",
    [
        (
            pipeline(IMAGES / 255.0),
            {},
            "Expected pixels=(low, high) for float images of the training",
        ),
        (pipeline(IMAGES / 1.0), {"pixels": (0, 1)}, "in [0, 1]. Received: [0, 255]"),
        (pipeline(IMAGES), {"pixels": (0, 1)}, "Received: uint8, whose range is [0, 255]"),
        (pipeline(IMAGES / 255.0), {"pixels": (1, 0)}, "Expected pixels=(low, high), the range"),
        (pipeline(IMAGES / 255.0), {"pixels": "unit"}, "Expected pixels=(low, high), the range"),
        (pipeline(IMAGES * np.float32("nan")), {"pixels": (0, 1)}, "finite pixels"),
        (pipeline(IMAGES.astype(np.int32)), {"pixels": (0, 255)}, "Received: int32"),
        (pipeline(labels=LABELS + 1), {}, "labels of the train split of 'tf_data' in [0, 3)"),
        (pipeline(labels=np.eye(3)[LABELS] * 0.5), {}, "one-hot labels of the train split"),
        (pipeline(IMAGES[..., 0]), {}, "(image [H, W, C], label)"),
        (pipeline().map(lambda x, y: (x, y, 1.0)), {}, "Without weights"),
        (pipeline().map(lambda x, y: x), {}, "(image [H, W, C], label)"),
        (pipeline().take(0), {}, "at least one example in the training pipeline"),
        (IMAGES, {}, "as a tf.data.Dataset. Received: ndarray"),
        (pipeline(), {"num_classes": 1}, "num_classes >= 2"),
    ],
)
@pytest.mark.parametrize("in_memory", [None, False])
def test_pipelines_that_cannot_be_used_are_refused_in_one_line(train, options, message, in_memory):
    with pytest.raises(DataError, match=re.escape(message)) as told:
        made(train, in_memory=in_memory, **options)
    assert "\n" not in str(told.value)


def test_images_of_several_shapes_are_refused():
    def shapes():
        for width in (3, 3, 5):
            yield np.zeros((4, width, 1), np.uint8), 0

    spec = (tf.TensorSpec([4, None, 1], tf.uint8), tf.TensorSpec([], tf.int32))
    with pytest.raises(DataError, match="of one shape. Received: .*Resize them in a map"):
        made(tf.data.Dataset.from_generator(shapes, output_signature=spec))


def test_a_test_pipeline_in_random_order_is_refused_and_a_training_one_is_noted():
    mixed = pipeline().shuffle(COUNT, seed=1)
    with pytest.raises(DataError, match="same images in the same order each time"):
        mmtf.Dataset.from_tf_data(pipeline(), mixed, num_classes=3, in_memory=False)
    assert "a resumed run is not bitwise the same" in streamed(mixed).note
    assert "not bitwise" not in streamed().note
    assert f"stream through a buffer of {COUNT} " in streamed().note
    assert mmtf.Dataset.from_tf_data(mixed, mixed, num_classes=3).note == ""  # kept as it came


def numbers_of(batches):
    """The number of each example, from its first pixel."""
    return np.rint((np.concatenate([x for x, _ in batches])[:, 0, 0, 0] + 1) * 127.5).astype(int)


def test_every_example_comes_once_an_epoch_and_epochs_differ():
    found = numbers_of(Batches(streamed(), batch_size=COUNT, seed=3).stream(0, 3))
    epochs = found.reshape(3, COUNT)
    for epoch in epochs:
        assert sorted(epoch) == list(range(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_small_buffer_moves_examples_ahead_by_less_than_its_size():
    epoch = numbers_of(Batches(streamed(shuffle_buffer=4), batch_size=COUNT, seed=3).stream(0, 1))
    assert sorted(epoch) == list(range(COUNT)) and list(epoch) != sorted(epoch)
    assert (epoch - np.arange(COUNT)).max() < 4


@pytest.mark.parametrize("batch_size", [4, 10, 50])
def test_the_stream_is_a_function_of_seed_and_position(batch_size):
    tf.random.set_seed(1)
    batches = Batches(streamed(shuffle_buffer=7), batch_size=batch_size, seed=5)
    whole = list(batches.stream(0, 9))
    tf.random.set_seed(2)  # of the program: without effect
    again = Batches(streamed(shuffle_buffer=7), batch_size=batch_size, seed=5)
    for first in (0, 1, 4, 7):
        for (x, y), (known, labels) in zip(again.stream(first, 9), whole[first:], strict=True):
            np.testing.assert_array_equal(x, known)
            np.testing.assert_array_equal(y, labels)
            np.testing.assert_array_equal(numbers_of([(x, y)]) % 3, y)
    other = Batches(streamed(shuffle_buffer=7), batch_size=batch_size, seed=6)
    assert (numbers_of(other.stream(0, 9)) != numbers_of(whole)).any()


def test_replicas_and_workers_share_the_batches():
    batches = Batches(streamed(), batch_size=8, seed=2)
    whole = numbers_of(batches.stream(1, 6)).reshape(5, 4, 2)
    np.testing.assert_array_equal(numbers_of(batches.stream(1, 6, 4)).reshape(5, 4, 2), whole)
    for first in (0, 2):  # two workers of two replicas each
        part = numbers_of(batches.stream(1, 6, 4, first, 2)).reshape(5, 2, 2)
        np.testing.assert_array_equal(part, whole[:, first : first + 2])


@pytest.mark.parametrize("data", [made(), streamed()], ids=["array", "stream"])
def test_weights_stay_with_their_examples(data):
    weights = np.arange(COUNT, dtype=np.float32) / 2
    batches = Batches(data, batch_size=8, seed=2, in_memory=False, weights=weights)
    for images, labels, own in batches.stream(1, 7, 2):
        numbers = numbers_of([(images, labels)])
        np.testing.assert_array_equal(own, weights[numbers])
        np.testing.assert_array_equal(labels, numbers % 3)


def test_slices_in_order_are_read_once():
    reads = []

    def generate():
        reads.append(0)
        for image, label in zip(IMAGES, LABELS, strict=True):
            reads[-1] += 1
            yield image, label

    spec = (tf.TensorSpec(SHAPE, tf.uint8), tf.TensorSpec([], tf.int64))
    source = streamed(tf.data.Dataset.from_generator(generate, output_signature=spec)).train_images
    reads.clear()
    parts = [source[start : start + 5] for start in range(0, COUNT, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), IMAGES)
    assert len(reads) == 1 and reads[0] <= COUNT
    np.testing.assert_array_equal(source[3:6], IMAGES[3:6])
    assert len(source[COUNT:]) == 0 and source[:0].shape == (0, *SHAPE)


def test_what_a_stream_cannot_do_is_told():
    data = streamed()
    with pytest.raises(DataError, match="Split the pipeline itself"):
        data.holdout(3)
    with pytest.raises(ConfigError, match="in_memory=None or False with a dataset that streams"):
        Batches(data, batch_size=2, seed=0, in_memory=True)
    with pytest.raises(ConfigError, match="shuffle_buffer > 0"):
        streamed(shuffle_buffer=0)
    with pytest.raises(ConfigError, match="mmtf.Dataset.from_tf_data"):
        mmtf.evaluate(lambda x, training: x, ["none"], pipeline(), threat=mmtf.ThreatModel(eta=0.1))


def net():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])


class Stopped(Exception):
    """Raised in place of a signal."""


def test_a_stopped_run_goes_on_bitwise(tmp_path):
    """The stream of step 17 of 30 is in its third epoch."""
    game = mmtf.games.MinimaxGrad(mmtf.ThreatModel(eta=0.1))
    options = {"schedule": mmtf.Schedule(steps=30, batch_size=4, learning_rate=0.01)}
    options |= {"progress": False, "precision": "float32"}

    def stop(step, metrics):
        if step >= 17:
            raise Stopped

    whole, parts = net(), net()
    mmtf.train(game, streamed(shuffle_buffer=6), model=whole, **options)
    options |= {"checkpoint_dir": str(tmp_path), "checkpoint_seconds": 0.0}
    stopped = Callbacks(on_evaluation=lambda step: step < 17 or stop(step, {}), evaluate_every=1)
    with pytest.raises(Stopped):
        mmtf.train(game, streamed(shuffle_buffer=6), model=parts, events=stopped, **options)
    again = net()
    trained = mmtf.train(game, streamed(shuffle_buffer=6), model=again, **options)
    assert trained.trainer.total_steps == 30
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any(
        (a != b).any() for a, b in zip(parts.get_weights(), again.get_weights(), strict=True)
    )
    with pytest.raises(ConfigError, match="dataset.images"):
        changed = streamed(pipeline(IMAGES[::-1], LABELS[::-1]))
        mmtf.train(game, changed, model=net(), **options)


def test_the_trainer_reads_one_pipeline_for_all_its_calls(monkeypatch):
    from mmtf.distributed.strategy import make_strategy
    from mmtf.training.trainer import Trainer

    made_streams, stream = [], PipelineImages.stream
    monkeypatch.setattr(
        PipelineImages,
        "stream",
        lambda self, seed, first, *own: made_streams.append(first) or stream(self, seed, first),
    )
    batches = Batches(streamed(), batch_size=4, seed=0)
    game = mmtf.games.LWA(mmtf.ThreatModel(eta=0.1))
    trainer = Trainer(
        game,
        net(),
        batches,
        schedule=mmtf.Schedule(steps=20, batch_size=4),
        strategy=make_strategy("auto"),
        precision="float32",
        seed=0,
    )
    for first, count in ((0, 3), (3, 2), (5, 7), (2, 2), (4, 30)):
        trainer.run(first, count)
    # Steps 2 and the 34 steps beyond the schedule need streams of their own.
    assert made_streams == [0, 8, 16] and trainer.traces == 1


def test_an_evaluation_of_a_stream_has_the_figures_of_an_array(monkeypatch, linear, rng):
    classifier = linear(rng.normal(0, 0.4, (12, 3)))
    options = {"threat": mmtf.ThreatModel(eta=0.2), "checks": True, "batch_size": 4}
    attacks = ["none", "fgsm", "pgd"]
    monkeypatch.setattr("mmtf.evaluation.payoff.SCALE_EXAMPLES", 2)
    monkeypatch.setattr("mmtf.evaluation.admission.SCALE_EXAMPLES", 2)
    monkeypatch.setattr("mmtf.evaluation.gradient_masking.EXAMPLES", 8)
    test = pipeline(IMAGES[:21], LABELS[:21])
    expected = mmtf.evaluate(classifier, attacks, made(test=test), **options)
    monkeypatch.setattr("mmtf.data.dataset.MEMORY_LIMIT_BYTES", 4 * 12 * 3)
    found = mmtf.evaluate(classifier, attacks, streamed(test=test), **options)
    columns = ["attack", "error", "ci_low", "n", "in_doubt"]
    assert found[columns].equals(expected[columns]) and found.error.iloc[1] > found.error.iloc[0]


@pytest.mark.parametrize("wrong", [{"shuffle_buffer": "8"}, {"in_memory": "no"}])
def test_options_of_another_type_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        made(**wrong)

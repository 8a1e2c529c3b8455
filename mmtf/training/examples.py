"""The examples of a training: what is trained on, what is held out, and their weights."""

import dataclasses

import numpy as np

from mmtf.data.dataset import Dataset
from mmtf.data.extra import with_extra
from mmtf.data.named import load_data
from mmtf.data.splits import holdout_rows
from mmtf.errors import require
from mmtf.schedule import EXTRA_SHARE, Schedule
from mmtf.training.options import TrainOptions
from mmtf.training.weights import example_weights


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingExamples:
    """The examples of a training.

    Attributes:
      dataset: its training split is trained on: what is not held out, then the extra examples.
      extra: number of extra examples.
      weights: float32, one for each example of the split; None: each is 1.
      held_out: its test split are the held-out training examples; None: none are.
      digest: of the extra examples; "": there are none.
    """

    dataset: Dataset
    extra: int = 0
    weights: np.ndarray | None = None
    held_out: Dataset | None = None
    digest: str = ""


def training_examples(
    dataset: Dataset, schedule: Schedule, options: TrainOptions
) -> TrainingExamples:
    """What `mmtf.train` trains on.

    Args:
      dataset: as given to it.
      schedule: `holdout`, `extra_data` and `extra_share`.
      options: `extra_data`, `class_weight` and `sample_weight`.

    Raises:
      ConfigError: extra_share without extra data, or unusable weights.
      DataError: extra examples that do not fit, or more held out than there are.
    """
    weights = weights_of(dataset, options)
    extra = options.extra_data
    if extra is None and schedule.extra_data:
        extra = load_data(schedule.extra_data)
    alone = extra is None and schedule.extra_share != EXTRA_SHARE
    require(not alone, "extra_share with extra_data", schedule.extra_share)
    held_out, used = None, dataset
    if schedule.holdout:
        held_out = dataset.holdout(schedule.holdout)
        used = dataclasses.replace(
            dataset, train_images=held_out.train_images, train_labels=held_out.train_labels
        )
        if weights is not None:
            weights = weights[holdout_rows(len(weights), schedule.holdout)[0]]
    if extra is None:
        return TrainingExamples(used, weights=weights, held_out=held_out)
    if weights is not None:
        own = dataclasses.replace(options, sample_weight=None)
        theirs = weights_of(extra, own, dataset.num_classes)
        theirs = np.ones(len(extra.train_labels), np.float32) if theirs is None else theirs
        weights = np.concatenate([weights, theirs])
    count, used = len(extra.train_labels), with_extra(used, extra)
    return TrainingExamples(used, count, weights, held_out, extra.raw_digest)


def weights_of(
    dataset: Dataset, options: TrainOptions, num_classes: int | None = None
) -> np.ndarray | None:
    """The weights of a dataset's training examples, float32 [N]; None: each is 1.

    Args:
      dataset: its training split.
      options: `class_weight` and `sample_weight`.
      num_classes: None: that of the dataset.
    """
    classes = num_classes or dataset.num_classes
    given = options.class_weight, options.sample_weight
    return example_weights(dataset.train_labels, classes, *given)

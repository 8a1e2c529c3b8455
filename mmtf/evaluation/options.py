"""`EvalOptions`: how classifiers are measured."""

import dataclasses

from mmtf.errors import require_bool, require_choice, require_int, require_path, require_seed
from mmtf.runtime import PRECISIONS


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Options of an evaluation.

    Attributes:
      max_examples: number of test examples, the first ones; 0 for all.
      seed: for random starts and directions.
      batch_size: images attacked together, > 0; random starts are drawn per batch. None: 500 small
        images, fewer large ones (`mmtf.evaluation.batching.default_batch_size`).
      precision: precision in which attacks compute: `float32`, `bfloat16`, or `auto`, bfloat16 if
        the hardware supports it and all classifiers are Keras models. Errors are always measured
        in float32.
      checks: whether to check for signs of masked gradients (`mmtf.evaluation.gradient_masking`).
      eot_samples: number of forward passes that gradient-based attacks average; 1: a single pass.
      keep: number of adversarial images stored in each result, the first ones.
      distances: whether to compute the smallest misclassified perturbation of each example.
      skip_certified: whether examples that IBP or CROWN-IBP certify in an attack's ball are counted
        as classified correctly without attacking them (`mmtf.evaluation.proved`). Targeted attacks
        are not affected.
      cache_dir: folder in which finished cells, and the finished batches of an interrupted one, are
        stored; the same call reads them back. None: they are not stored.
      progress: whether each cell shows its progress on stderr.

    Raises:
      ConfigError: a value out of range.
    """

    max_examples: int = 0
    seed: int = 0
    batch_size: int | None = None
    precision: str = "float32"
    checks: bool = True
    eot_samples: int = 1
    keep: int = 0
    distances: bool = False
    skip_certified: bool = False
    cache_dir: str | None = None
    progress: bool = False

    def __post_init__(self):
        require_int("max_examples", self.max_examples, at_least=0)
        require_seed(self.seed)
        if self.batch_size is not None:
            require_int("batch_size", self.batch_size)
        require_choice("precision", self.precision, PRECISIONS)
        require_int("eot_samples", self.eot_samples)
        require_int("keep", self.keep, at_least=0)
        if self.cache_dir is not None:
            require_path("cache_dir", self.cache_dir)
        for name in ("checks", "distances", "skip_certified", "progress"):
            require_bool(name, getattr(self, name))

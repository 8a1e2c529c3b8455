"""The timed works and the variants of each; a new variant is one entry."""

import dataclasses

BATCH = 128
ETA = 0.3


@dataclasses.dataclass(frozen=True)
class Work:
    """One piece of work that every variant does in the same way.

    Attributes:
      title: title in tables.
      unit: unit of counting: `step` (of BATCH images), `image` or `start`.
      count: default number of units in a timed block.
      forwards: arithmetic per image in forward passes; a backward pass counts as one for the
        images and one for the weights. 0: not counted.
      variants: precision -> names of the variants, mmtf first.
      saved: variant -> number of forward passes that it saves.
      once: whether a block is one call on `count` images, without a warm-up.
      fresh: name of a work; a block is then a whole process, from its start to the end of one block
        of that work.
    """

    title: str
    unit: str
    count: int
    forwards: int
    variants: dict[str, tuple[str, ...]]
    saved: dict[str, float] = dataclasses.field(default_factory=dict)
    once: bool = False
    fresh: str | None = None


# A step: the attack's gradient (2 forwards), the risk (1) and its gradients (2); Minimax-Grad
# also differentiates the gradient's norm (3, of every second example 1.5); in Algorithm 1
# the sensitivity, without dropout, has a forward pass of its own (1). What the attack network
# computes itself, under 5 %, is not counted.
WORKS = {
    "fgsm_step": Work(
        "adversarial training step with FGSM (LWA)",
        "step",
        12,
        5,
        {
            "float32": ("mmtf", "cleverhans", "torch", "foolbox", "art_function", "art"),
            "bfloat16": ("mmtf", "cleverhans", "torch"),
        },
    ),
    "minimax_grad_step": Work(
        "Minimax-Grad step",
        "step",
        8,
        8,
        {
            "float32": ("mmtf", "mmtf_every2", "torch"),
            "bfloat16": ("mmtf", "mmtf_every2", "torch"),
        },
        saved={"mmtf_every2": 1.5},
    ),
    "attnet_step": Work(
        "Minimax-AttNet step, the paper's 3 x 300 attack network",
        "step",
        8,
        9,
        {"float32": ("mmtf", "torch"), "bfloat16": ("mmtf", "torch")},
    ),
    "pgd": Work(
        "PGD-40",
        "image",
        500,
        80,
        {
            "float32": ("mmtf", "cleverhans", "torch", "foolbox", "foolbox_torch", "art"),
            "bfloat16": ("mmtf",),
        },
    ),
    "apgd": Work(
        "APGD-50 on the cross-entropy",
        "image",
        500,
        102,
        {"float32": ("mmtf", "autoattack", "art"), "bfloat16": ("mmtf",)},
    ),
    "autoattack": Work(
        "AutoAttack (standard, 5,000 queries)",
        "image",
        100,
        0,
        {"float32": ("mmtf", "autoattack"), "bfloat16": ("mmtf",)},
        once=True,
    ),
    "start_up": Work(
        "from a new process to the end of its first FGSM step",
        "start",
        1,
        0,
        {"float32": ("mmtf", "cleverhans", "torch", "foolbox", "art_function", "art")},
        fresh="fgsm_step",
    ),
}

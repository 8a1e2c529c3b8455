"""What single-step training says on the paper's AttNet errors, in sentences (hypothesis d).

Every sentence follows from results/section4/attnet_protocol.json and from records that other pages
have. Imports no TensorFlow.
"""

from mmtf.reports import read_json
from scripts.attnet_hypotheses import (
    LONG,
    NETS,
    TOLERANCE,
    Protocol,
    found,
    key_of,
    printed,
    run_of,
)
from scripts.blocks import RESULTS
from scripts.paper.cells import Track
from scripts.paper.records import Results

# Of the hypothesis, which are the paper's.
STEPS = 100_000
# The paper's schedule, and what cat and mouse makes.
HARDENED = RESULTS / "section4" / "hardened_minimax_grad.json"
CELLS, CAT_AND_MOUSE = RESULTS / "cells", Track("mnist", "tutorial", "fast")


def single_step(record: dict) -> list[str]:
    """Returns the paragraph on overfitting to FGSM: of this record, and of two of other pages.

    Args:
      record: of `scripts.attnet_protocol`, with the keys cells and runs.
    """
    told = []
    if run := record["runs"].get(run_of(*LONG)):
        told.append(_overfitting(run, record["cells"]))
    else:
        told.append("Training without dropout, as the hypothesis has it, was not run.")
    full = {one["attack"]: one["error"] for one in read_json(HARDENED)["results"]}
    rounds = {
        attack: Results(str(CELLS)).of(CAT_AND_MOUSE, 0.3, "adv_fgsm80", attack)[0]["error"]
        for attack in ("fgsm80", "fgsm_curr", "pgd_curr", "attnet_paper_curr")
    }
    told.append(
        "Minimax-Grad by the paper's schedule, all 100,000 steps at eta 0.3 with dropout, does not "
        f"overfit: FGSM {full['fgsm_curr']:.3f}, PGD-40 {full['pgd_curr']:.3f}, the paper's AttNet "
        f"{full['attnet_paper_curr']:.3f}. Cat and mouse fits the attacks that it trained on: Adv "
        "FGSM80 (tutorial's initializer, fast schedule, eta 0.3) errs on "
        f"{rounds['fgsm80']:.3f} under FGSM80, {rounds['fgsm_curr']:.3f} under FGSM-curr, "
        f"{rounds['pgd_curr']:.3f} under PGD-40, and "
        f"{rounds['attnet_paper_curr']:.3f} under the paper's AttNet at k = 1 (the paper: "
        f"{printed('adv_fgsm80', 0.3):.3f})."
    )
    return [f"(d) {' '.join(told)}"]


def _overfitting(run: dict, cells: list[dict]) -> str:
    """Whether the long single-step training parts PGD's error from FGSM's, and what AttNet does."""
    names = {"fgsm": "FGSM", "pgd": "PGD-40", "attnet": "AttNet"}
    keys = {one: key_of(run_of(*LONG), LONG[1], Protocol(), one) for one in names}
    ends = {one: cell for one, key in keys.items() if (cell := found(cells, key))}
    last = run["curve"][-1]
    lowest = min(run["curve"], key=lambda point: point["pgd_curr"])
    gap = last["pgd_curr"] - last["fgsm_curr"]
    if len(ends) == len(names):
        gap = ends["pgd"]["error"] - ends["fgsm"]["error"]
    seen = "is not seen"
    if gap > 0.5:
        seen = "is seen"
    elif last["pgd_curr"] - lowest["pgd_curr"] > TOLERANCE:
        seen = "begins"
    taken = run["training"]["steps"]
    steps = f"{'all' if taken == STEPS else f'{taken:,} of the'} {STEPS:,} steps"
    told = (
        f"Overfitting to FGSM {seen} with LWA without dropout at eta 0.4, trained for {steps}. "
        f"PGD-10 errs least, on {lowest['pgd_curr']:.3f} of {last['n']} test images, after "
        f"{lowest['step']:,} steps; at the end PGD-10 errs on {last['pgd_curr']:.3f} and FGSM on "
        f"{last['fgsm_curr']:.3f} of them."
    )
    if len(ends) < len(names):
        return told
    errors = ", ".join(
        f"{names[one]} errs on {cell['error']:.3f} of {cell['n']:,}" for one, cell in ends.items()
    )
    near = abs(ends["attnet"]["error"] - printed(NETS[1], LONG[1])) <= TOLERANCE
    explains = "may explain" if near else "does not explain"
    return (
        f"{told} In float32, at the end, {errors}. That {explains} the printed "
        f"{printed(NETS[1], LONG[1]):.3f} of AttNet on Minimax-Grad; Minimax-Grad itself was not "
        "trained without dropout here."
    )

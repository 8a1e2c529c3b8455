import evaluation_records as records
import pytest

from mmtf.evaluation.gradient_masking import MEANINGS
from mmtf.reports import checks
from mmtf.reports.measured import Measured


def test_each_check_of_an_evaluation_has_its_words():
    assert list(checks.CHECKS) == list(MEANINGS)
    for check in checks.CHECKS.values():
        assert check.question.endswith("?") and check.meaning.endswith(".")


def sign(check, **entries):
    return {"defense": "net", "check": check, "text": "net: a sentence", **entries}


@pytest.mark.parametrize(
    ("attacks", "etas", "signs", "check", "told"),
    [
        (["pgd"], [0.3], [], "rough_loss", (False, "no sign")),
        (["pgd"], [0.3], [sign("rough_loss", value="20%")], "rough_loss", (True, "sign: 20%")),
        (["pgd"], [0.3], [sign("rough_loss")], "rough_loss", (True, "sign: net: a sentence")),
        (["pgd"], [0.3], [], "larger_eta_weaker", (False, "not run: one radius")),
        (["pgd"], [0.1, 0.3], [], "larger_eta_weaker", (False, "no sign")),
        (["square", "pgd"], [0.3], [], "black_box_wins", (False, "no sign")),
        (["pgd@other", "autoattack"], [0.3], [], "black_box_wins", (False, "no sign")),
        (["fgsm", "autoattack"], [0.3], [], "single_step_wins", (False, "no sign")),
        (["pgd", "fgm_l2", "pgd_l2"], [0.3], [], "single_step_wins", (False, "no sign")),
    ],
)
def test_an_outcome_is_told(attacks, etas, signs, check, told):
    record = records.record_of(models=["net"], attacks=attacks, etas=etas, signs=signs)
    assert checks.outcome(Measured(record), "net", check) == told


@pytest.mark.parametrize(
    ("attacks", "check"),
    [
        (["square", "autoattack"], "black_box_wins"),
        (["pgd"], "black_box_wins"),
        (["fgsm", "square"], "single_step_wins"),
        (["pgd", "square_l2"], "black_box_wins"),  # in different balls
    ],
)
def test_a_check_that_did_not_run_is_not_passed(attacks, check):
    measured = Measured(records.record_of(models=["net"], attacks=attacks, etas=[0.3]))
    assert checks.outcome(measured, "net", check)[1].startswith("not run: needs")


def test_without_gradients_checks_that_need_them_say_nothing():
    signs = [sign("zero_gradient", value="all")]
    measured = Measured(records.record_of(models=["net"], attacks=["pgd"], etas=[0.3], signs=signs))
    assert checks.outcome(measured, "net", "rough_loss")[1] == "says nothing without gradients"
    assert checks.summary(measured) == "Signs of gradient masking were found in net."

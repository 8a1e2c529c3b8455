"""Claims on the paper's own figures, and on records made to bear them out or not."""

import pytest

from mmtf.stats.estimates import FAILS, HOLDS, MISSING, UNDECIDED
from scripts.paper.cells import Track
from scripts.paper.claims import CLAIMS
from scripts.paper.tables import measured_as, paper_table
from scripts.paper.views import measured_view, reported_view

MNIST = (0.1, 0.2, 0.3, 0.4)


def verdict(number, view):
    claim = CLAIMS[number - 1]
    return claim.verdict(claim.checks(view))


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("eta", MNIST)
def test_the_papers_figures_bear_out_its_first_claims(number, eta):
    assert verdict(number, reported_view("mnist", eta)) == HOLDS


def test_what_the_papers_own_figures_do_not_bear_out():
    # Table 3: at eta 0.3 LWA's worst is .130, Minimax-Grad's .144.
    assert [verdict(5, reported_view("mnist", eta)) for eta in MNIST] == [
        HOLDS,
        HOLDS,
        FAILS,
        HOLDS,
    ]
    # Who is ahead is claim 5's: LWA is close at every radius.
    assert [verdict(6, reported_view("mnist", eta)) for eta in MNIST] == [HOLDS] * 4
    # Table 5: both are at 0.010 at eta 0.1, and the claim is for 0.3 and 0.4.
    assert [verdict(8, reported_view("mnist", eta)) for eta in MNIST] == [HOLDS] * 4


def test_on_cifar_adversarial_training_need_only_help():
    # It leaves .425 where the clean error is .222 (Table 7), from .766 (Table 6).
    assert verdict(2, reported_view("cifar10", 0.05)) == HOLDS


def test_repaired_is_the_papers_level_and_less_than_before(keep):
    assert verdict(2, fill(keep, adv_fgsm1_fgsm1=0.0145)) == HOLDS
    fresh = type(keep.results)(keep.root)
    keep(0.3, "adv_fgsm1", "fgsm1", 0.03)
    assert verdict(2, measured_view(fresh, Track("mnist"), 0.3)) == FAILS


@pytest.mark.parametrize("error", [0.4, 0.02])  # Minimax-Grad's worst is 0.144
def test_lwa_far_behind_or_far_ahead_is_not_close(keep, error):
    attacks = ("none", "fgsm1", "fgsm2", "fgsm80", "fgsm_curr")
    assert verdict(6, fill(keep, **{f"lwa_{one}": error for one in attacks})) == FAILS


def test_a_row_of_two_trainings_decides_nothing(keep):
    view = fill(keep, eta=0.1)
    assert verdict(6, view) == HOLDS
    keep(0.1, "lwa", "none", 0.01, training={"steps": 100, "seconds": 2.0})
    fresh = type(keep.results)(keep.root)
    assert verdict(6, measured_view(fresh, Track("mnist"), 0.1)) == MISSING


def test_without_records_nothing_is_claimed(keep):
    view = measured_view(keep.results, Track("mnist"), 0.3)
    assert {verdict(claim.number, view) for claim in CLAIMS} == {MISSING}


def fill(keep, eta=0.3, number=3, **changes):
    table = paper_table(number)
    for defense in table.defenses:
        for column in table.columns:
            if column != "worst":
                error = table.reported(eta, defense, column)
                error = changes.get(f"{defense}_{column}", error)
                keep(eta, defense, measured_as(column), error)
    # Results keeps what it has read.
    return measured_view(type(keep.results)(keep.root), Track("mnist"), eta)


def test_records_like_the_papers_get_its_verdicts(keep):
    view = fill(keep, eta=0.1)
    for number in (1, 2, 3, 4, 5, 6):
        assert verdict(number, view) == HOLDS, CLAIMS[number - 1].text


def test_a_net_that_withstands_fgsm_fails_claim_1(keep):
    assert verdict(1, fill(keep, no_defense_fgsm_curr=0.25)) == FAILS


def test_an_attack_that_wins_by_little_does_not_break(keep):
    """Claim 3: FGSM2 does more than FGSM1 beyond doubt, and nothing near the paper's 0.404."""
    assert verdict(3, fill(keep, eta=0.1)) == HOLDS
    view = fill(keep, eta=0.1, adv_fgsm1_fgsm2=0.03)
    checks = CLAIMS[2].checks(view)
    assert [check.verdict for check in checks] == [HOLDS, FAILS, HOLDS, HOLDS]
    assert "0.0300 [" in checks[1].text and ">= 0.198, half of the reported" in checks[1].text


def test_more_robust_than_before_is_not_yet_robust(keep):
    """Claim 4: less than after rounds 1 and 2, and more than twice what the paper has."""
    assert verdict(4, fill(keep, eta=0.1)) == HOLDS
    checks = CLAIMS[3].checks(fill(keep, eta=0.1, adv_fgsm80_fgsm_curr=0.3))
    assert [check.verdict for check in checks] == [FAILS, HOLDS, HOLDS, HOLDS, HOLDS]
    assert "<= 0.220, twice the reported" in checks[0].text


def test_what_one_check_in_many_does_by_chance_fails_no_claim(keep):
    """Surely worse than LWA at 95 %, not at 99 % (one of five)."""
    view = fill(keep, eta=0.1, minimax_grad_fgsm_curr=0.0460, lwa_fgsm_curr=0.0440)
    checks = CLAIMS[4].checks(view)
    assert [check.verdict for check in checks] == [HOLDS] * 4 + [FAILS]
    assert verdict(5, view) == FAILS
    few = {"minimax_grad_fgsm_curr": 0.0446, "lwa_fgsm_curr": 0.0440}
    view = fill(keep, eta=0.1, **few)
    checks = CLAIMS[4].checks(view)
    assert checks[4].verdict == FAILS and checks[4].judge(5) == UNDECIDED
    assert verdict(5, view) == UNDECIDED
    assert [one for _, one in CLAIMS[4].judged(checks)] == [HOLDS] * 4 + [UNDECIDED]


def test_an_attack_that_does_nothing_tells_no_defenses_apart(keep):
    """Claim 8: Minimax-Grad's error is its clean one, and the network games' a little more."""
    view = fill(keep, number=5, eta=0.1, minimax_grad_attnet_curr=0.008)
    keep(0.1, "minimax_grad", "none", 0.006)
    view = measured_view(type(keep.results)(keep.root), Track("mnist"), 0.1)
    checks = [check for check in CLAIMS[7].checks(view) if not check.beyond]
    assert [check.verdict for check in checks] == [HOLDS, HOLDS, UNDECIDED, UNDECIDED]
    assert "undecided: not surely does it take minimax_grad 0.01 beyond its clean" in checks[2].text


def test_the_best_overall_of_table_5(keep):
    assert [verdict(11, reported_view("mnist", eta)) for eta in MNIST] == [
        FAILS,  # .058, Alt-AttNet .048
        FAILS,  # .109, Alt-AttNet .096
        HOLDS,
        HOLDS,
    ]
    view = fill(keep, number=5)
    assert verdict(11, view) == HOLDS
    checks = CLAIMS[10].checks(fill(keep, number=5, minimax_attnet_fgsm_curr=0.3))
    assert [check.verdict for check in checks] == [FAILS, HOLDS, FAILS]
    assert CLAIMS[10].checks(reported_view("cifar10", 0.05)) == []


def test_a_close_call_is_undecided(keep):
    view = fill(keep, eta=0.1, minimax_grad_fgsm_curr=0.0438)  # LWA errs on two images more
    assert verdict(5, view) == UNDECIDED


def test_stronger_attacks_stand_beside_and_do_not_count(keep):
    view = fill(keep, eta=0.1)
    keep(0.1, "minimax_grad", "autoattack_curr", 0.9, n=200)
    keep(0.1, "lwa", "autoattack_curr", 0.1, n=200)
    checks = CLAIMS[4].checks(measured_view(keep.results, Track("mnist"), 0.1))
    beyond = [check for check in checks if check.beyond]
    assert [check.verdict for check in beyond] == [FAILS]
    assert verdict(5, view) == HOLDS


def test_network_games_are_judged_by_the_papers_network(keep):
    assert verdict(8, fill(keep, number=5)) == HOLDS
    keep(0.3, "minimax_attnet", "attnet_curr", 0.9)  # the U-Net
    keep(0.3, "minimax_grad", "attnet_curr", 0.1)
    view = measured_view(type(keep.results)(keep.root), Track("mnist"), 0.3)
    assert verdict(8, view) == HOLDS
    assert verdict(8, fill(keep, number=5, minimax_attnet_attnet_curr=0.5)) == FAILS


def test_the_curves_ends_are_compared(keep):
    for game, error in (("minimax_attnet", 0.02), ("alt_attnet", 0.022), ("maximin_attnet", 0.2)):
        end = {"error": error, "ci_low": error - 0.01, "ci_high": error + 0.01, "n": 500}
        keep(0.3, game, "curve", 0.0, last={"attnet_met": end})
    view = measured_view(keep.results, Track("mnist"), 0.3)
    checks = CLAIMS[8].checks(view)
    assert [check.verdict for check in checks] == [UNDECIDED, HOLDS, HOLDS]
    # All test images, where they were measured, decide what the curve's 500 leave open.
    keep(0.3, "minimax_attnet", "attnet_met", 0.02)
    keep(0.3, "alt_attnet", "attnet_met", 0.05)
    assert ends_apart(keep) == [HOLDS, HOLDS, HOLDS]


def ends_apart(keep):
    view = measured_view(type(keep.results)(keep.root), Track("mnist"), 0.3)
    return [check.verdict for check in CLAIMS[8].checks(view)]


def test_ends_that_are_surely_a_little_apart_are_the_same(keep):
    """Different by 0.004 beyond doubt, and by less than the 0.01 that counts beyond doubt, too."""
    keep(0.3, "minimax_attnet", "attnet_met", 0.012)
    keep(0.3, "alt_attnet", "attnet_met", 0.008)
    keep(0.3, "maximin_attnet", "attnet_met", 0.0015)
    assert ends_apart(keep) == [FAILS, UNDECIDED, FAILS]


def test_attnet_may_be_comparable_to_fgsm_but_must_do_much_to_hardened_ones(keep):
    """Claim 7: within 0.01 of FGSM will do; on MNIST at 0.2 and beyond, half of the reported."""
    for defense, fgsm, attnet in (
        ("adv_fgsm1", 0.85, 0.845),
        ("adv_fgsm80", 0.35, 0.9),
        ("minimax_grad", 0.03, 0.6),
    ):
        keep(0.3, defense, "none", 0.01)
        keep(0.3, defense, "fgsm_curr", fgsm)
        keep(0.3, defense, "attnet_paper_curr", attnet)
    view = measured_view(keep.results, Track("mnist"), 0.3)
    checks = [check for check in CLAIMS[6].checks(view) if not check.beyond]
    assert [check.verdict for check in checks] == [HOLDS] * 5
    assert "(difference -0.0050 [" in checks[0].text
    assert "minimax_grad under attnet_paper_curr 0.6000" in checks[4].text
    assert ">= 0.496, half of the reported" in checks[4].text  # (1.000 - 0.008) / 2
    keep(0.3, "minimax_grad", "attnet_paper_curr", 0.1)
    view = measured_view(type(keep.results)(keep.root), Track("mnist"), 0.3)
    checks = [check for check in CLAIMS[6].checks(view) if not check.beyond]
    assert [check.verdict for check in checks] == [HOLDS] * 4 + [FAILS]


def test_close_is_twice_the_papers_gap_at_the_radius():
    texts = [
        CLAIMS[5].checks(reported_view(*of))[0].text for of in (("mnist", 0.1), ("cifar10", 0.05))
    ]
    # Table 3: .044 - .025. Table 8: .464 - .481.
    assert "within 0.038, " in texts[0] and "within 0.034, " in texts[1]


def test_cifar_is_claim_10s_alone():
    assert CLAIMS[9].checks(reported_view("mnist", 0.3)) == []
    # Table 8: at eta 0.05 LWA's worst is .464, Minimax-Grad's .481.
    assert [verdict(10, reported_view("cifar10", eta)) for eta in (0.05, 0.06)] == [FAILS, HOLDS]
    # Table 8: at eta 0.07 Adv FGSM40's worst is .431, Minimax-Grad's .497.
    assert verdict(10, reported_view("cifar10", 0.07)) == FAILS

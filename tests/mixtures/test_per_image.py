"""The per-image attacker and the mixture that is optimal against it."""

import numpy as np
import pytest
import scipy.optimize

from mmtf.errors import ConfigError
from mmtf.mixtures.matrix_game import solve
from mmtf.mixtures.per_image import per_image_errors, solve_per_image


def test_it_is_at_least_the_tables(rng):
    wrong = rng.random((3, 5, 40)) < 0.3
    p = rng.dirichlet(np.ones(3))
    assert per_image_errors(wrong, p).mean() >= (p @ wrong.mean(-1)).max()
    np.testing.assert_allclose(per_image_errors(wrong[:, :1], p), p @ wrong[:, 0])


def test_one_image_per_attack_gains_nothing_by_choosing():
    """Both nets fall to the same attack on every image: the table's attacker is the per-image."""
    wrong = np.zeros((2, 2, 4), bool)
    wrong[0, 0] = wrong[1, 1] = True
    found = solve_per_image(wrong)
    assert found.value == pytest.approx(solve(wrong.mean(-1)).value) == pytest.approx(0.5)
    np.testing.assert_allclose(found.p, [0.5, 0.5])


@pytest.mark.parametrize("seed", range(4))
def test_the_program_of_all_images_and_attacks(seed):
    """The same optimum as without grouping images, t_i >= sum_d p_d e[d, a, i] for all a and i."""
    wrong = np.random.default_rng(seed).random((4, 3, 30)) < 0.35
    defenses, attacks, images = wrong.shape
    rows = [
        np.concatenate([wrong[:, a, i], -np.eye(images)[i]])
        for a in range(attacks)
        for i in range(images)
    ]
    whole = scipy.optimize.linprog(
        [*[0.0] * defenses, *[1 / images] * images],
        A_ub=rows,
        b_ub=np.zeros(len(rows)),
        A_eq=[[1.0] * defenses + [0.0] * images],
        b_eq=[1.0],
    )
    found = solve_per_image(wrong)
    assert found.value == pytest.approx(whole.fun, abs=1e-9)
    assert abs(found.certificate) <= 1e-9 and found.q is None


def test_other_shapes_are_refused():
    for wrong in (np.zeros((2, 3)), np.zeros((63, 1, 1))):
        with pytest.raises(ConfigError, match="errors as a bool array|at most 62"):
            solve_per_image(wrong)

"""The trial behind the brief schedule, on the digits."""

from benchmarks.brief_steps import nearest, play
from mmtf.data import load_data


def test_known_attacks_appear_when_their_round_begins():
    data = load_data("digits").holdout(100)
    points = play(data, eta=0.3, first_steps=4, steps=2, rounds=1, every=2)
    assert [point["step"] for point in points] == [0, 2, 4, 6]
    assert "fgsm1" not in points[1]
    # At the end of round 0 FGSM 1 is made on this very classifier; of round 1 FGSM 2.
    assert points[2]["fgsm1"] == points[2]["fgsm_curr"] and "fgsm2" not in points[2]
    assert points[3]["fgsm2"] == points[3]["fgsm_curr"] and "fgsm1" in points[3]


def test_the_step_nearest_the_papers_clean_error_is_of_round_0():
    errors = {0: 0.026, 100: 0.05, 200: 0.03, 300: 0.022, 400: 0.026}
    points = [{"step": step, "none": error} for step, error in errors.items()]
    assert nearest(points, 300) == 200  # neither before training, nor after round 0
    assert nearest(points, 400) == 400

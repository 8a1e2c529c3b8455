"""The trial behind the brief schedule, on the digits."""

from benchmarks.brief_steps import nearest, play
from mmtf.data import load_data


def test_known_attacks_appear_when_their_round_begins():
    data = load_data("digits").holdout(100)
    points = play(data, eta=0.3, first_steps=4, steps=2, rounds=1, every=2)
    assert [point["step"] for point in points] == [0, 2, 4, 6]
    assert "fgsm1" not in points[1] and "fgsm1" in points[-1]
    last = points[-2]  # the end of round 0: FGSM 1 is made on this very classifier
    assert all(0 <= point["none"] <= point["fgsm_curr"] <= 1 for point in points)
    assert nearest(points, 4) in (2, 4) and last["step"] == 4

"""What may stand for an optimizer, and how it is shown."""

import keras
import numpy as np
import pytest

from mmtf.solvers import Simultaneous
from mmtf.solvers.optimizers import live, show


def test_refuses_what_is_no_optimizer():
    solver = Simultaneous(u_optimizer=None)
    with pytest.raises(TypeError, match=r"Expected a Keras optimizer.*Received None"):
        solver.build([keras.Variable(1.0)], [keras.Variable(1.0)])


def test_a_schedule_is_a_learning_rate():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=1, decay_rate=0.5)
    solver = Simultaneous(u_optimizer=schedule, v_optimizer=keras.optimizers.Adam(schedule))
    text = "ExponentialDecay(initial_learning_rate=0.5, decay_steps=1, decay_rate=0.5)"
    assert repr(solver).startswith(f"Simultaneous(u_optimizer={text}, v_optimizer=Adam(")
    assert f"learning_rate={text}" in repr(solver)
    u, v = keras.Variable(1.0), keras.Variable(1.0)
    solver.build([u], [v])
    for _ in range(2):
        solver.step(lambda u, v: u[0] - v[0])
    assert float(u.numpy()) == 0.25


def test_a_number_serves_several_builds():
    solver = Simultaneous(u_optimizer=0.5, v_optimizer=0.5)
    for _ in range(2):
        u, v = keras.Variable(1.0), keras.Variable(1.0)
        solver.build([u], [v]).step(lambda u, v: u[0] * v[0])
        assert float(u.numpy()) == 0.5


@pytest.mark.parametrize("rate", [1, 0.5, np.float32(0.5), np.float64(0.5)])
def test_any_number_is_a_learning_rate(rate):
    assert float(live(rate, [keras.Variable(1.0)]).learning_rate) == rate


def test_a_name_is_that_optimizer_with_its_defaults():
    assert show(live("adam", [keras.Variable(1.0)])) == show(keras.optimizers.Adam())


def test_shows_zero_and_leaves_out_what_is_off():
    text = show(keras.optimizers.SGD(0.0, clipnorm=0.5))
    assert "learning_rate=0, " in text and "clipnorm=0.5" in text
    assert "weight_decay" not in text and "nesterov" not in text

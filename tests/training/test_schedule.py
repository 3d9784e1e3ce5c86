from itertools import pairwise

import numpy as np
import pytest
import torch

from ferkit.training.schedule import batches, learning_rate, step_generator, step_seed


def test_rate_rises_linearly_then_falls_by_a_cosine():
    rates = [learning_rate(step, 100, peak=2.0, warmup=0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[55] == pytest.approx(1.0)
    assert rates[99] < 0.002
    assert all(earlier >= later for earlier, later in pairwise(rates[9:]))


def test_rates_of_milestones_by_hand():
    """Half the peak in the first of 20 epochs of 10 steps, then the peak, from the tenth on a tenth of it."""
    milestones = ((0.0, 0.5), (0.05, 1.0), (0.5, 0.1))
    rates = [learning_rate(step, 200, 2.0, 0, milestones) for step in range(200)]
    assert rates == pytest.approx([1.0] * 10 + [2.0] * 90 + [0.2] * 100)
    risen = [learning_rate(step, 200, 2.0, 0.02, ((0.5, 0.1),)) for step in (0, 3, 4, 99, 100)]
    assert risen == pytest.approx([0.5, 2.0, 2.0, 2.0, 0.2])


def test_an_epoch_shows_each_face_at_most_once_and_epochs_differ():
    order = list(batches(count=23, batch_size=5, seed=0, first=0, last=8))
    epochs = [np.concatenate(order[:4]), np.concatenate(order[4:])]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 20
    assert epochs[0].tolist() != epochs[1].tolist()


@pytest.mark.parametrize("first", [0, 3, 4, 7])
def test_later_steps_do_not_depend_on_where_one_begins(first):
    whole = list(batches(23, 5, seed=1, first=0, last=10))
    part = list(batches(23, 5, seed=1, first=first, last=10))
    np.testing.assert_array_equal(np.stack(part), np.stack(whole[first:]))


def test_generators_depend_on_seed_step_and_process():
    def draw(*key):
        return torch.rand(3, generator=step_generator(*key)).tolist()

    assert draw(0, 5, 0) == draw(0, 5, 0)
    assert len({tuple(draw(*key)) for key in [(0, 5, 0), (1, 5, 0), (0, 6, 0), (0, 5, 1)]}) == 4
    assert len({step_seed(0, 5, use=use) for use in (0, 1, 2)}) == 3


def test_weights_say_how_often_a_face_is_drawn():
    """Of six draws an epoch, weights of 3, 2, 1, 0, 0, 0 ask for three, two and one."""
    drawn = np.concatenate(list(batches(6, 3, 0, 0, 20, np.array([3.0, 2, 1, 0, 0, 0])))).reshape(10, 6)
    assert all(np.bincount(epoch, minlength=6).tolist() == [3, 2, 1, 0, 0, 0] for epoch in drawn)
    assert len({tuple(epoch) for epoch in drawn}) > 1

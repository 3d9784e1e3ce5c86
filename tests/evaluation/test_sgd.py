import numpy as np
import pytest
import torch

from ferkit.errors import InputError
from ferkit.evaluation.sgd import SCHEDULES, SgdSchedule, sgd_answers
from ferkit.probing.settings import LINEAR
from samples import clouds

QUICK = SgdSchedule(lr=0.5, epochs=5, milestones=(3, 4), batch=32)


def test_one_step_by_hand():
    # Of zero weights every class has 1/2: the gradient of row x of class 0 is -x/2 and x/2, and lr 1 goes all of it.
    schedule = SgdSchedule(lr=1.0, epochs=1, milestones=(), batch=2, momentum=0.0)
    train, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), ["a", "b"]
    # The mean gradient gives W_a = (1/4, -1/4) = -W_b and no bias: the sign of x - y decides.
    answers = sgd_answers(train, labels, np.array([[2.0, 1.0], [1.0, 2.0], [-1.0, -0.5]]), schedule=schedule)
    assert answers.tolist() == ["a", "b", "b"]


def test_the_papers_schedules():
    """FaceCycle's and CRS-CONT's are facts of their code, see docs/papers.md."""
    assert ("lbfgs", *SCHEDULES) == LINEAR
    facecycle, crs_cont = SCHEDULES["facecycle"], SCHEDULES["crs-cont"]
    assert (facecycle.lr, facecycle.epochs, facecycle.milestones) == (30, 300, (80, 160, 240))
    assert (facecycle.factor, facecycle.weight_decay, facecycle.least_area) == (0.1, 1e-4, 1)
    assert (crs_cont.lr, crs_cont.epochs, crs_cont.milestones, crs_cont.factor) == (4, 100, (60, 75, 90), 0.2)
    assert crs_cont.least_area < 1
    assert facecycle.lasting(30).milestones == (8, 16, 24)  # fewer epochs keep the milestones' shares
    assert facecycle.lasting(None) is facecycle


def test_the_rate_falls_tenfold_at_each_milestone(monkeypatch):
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Watched)
    sgd_answers(*clouds(0, 33), clouds(1, 1)[0], schedule=QUICK)
    assert rates == pytest.approx([0.5] * 6 + [0.05] * 2 + [0.005] * 2)


def test_faceless_rows_train_nothing_and_are_not_answered():
    train, labels = clouds(0, 60)
    plus = np.vstack([np.full((5, 6), np.nan), train])
    test = np.vstack([train[:3], np.full((1, 6), np.nan)])
    answers = sgd_answers(plus, ["fear"] * 5 + labels, test, schedule=QUICK)
    assert answers[3] is None
    assert np.array_equal(answers[:3], sgd_answers(train, labels, test[:3], schedule=QUICK))


@pytest.mark.parametrize(
    ("labels", "schedule"), [(["a"] * 20, QUICK), (["a", "b"] * 10, SgdSchedule(lr=1e30, epochs=2)), (["a"], QUICK)]
)
def test_bad_input(labels, schedule):
    with pytest.raises(InputError):
        sgd_answers(1e10 * clouds(0, 20)[0], labels, clouds(1, 5)[0], schedule=schedule)

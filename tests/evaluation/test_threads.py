import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from ferkit.evaluation.linear import linear_answers
from ferkit.evaluation.threads import one_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info()]


def test_one_thread_inside_and_as_before_outside():
    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before


def test_the_linear_classifier_is_fitted_on_one_thread(monkeypatch):
    seen, fit = [], LogisticRegression.fit

    def watched(self, *arguments):
        seen.extend(threads())
        return fit(self, *arguments)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    linear_answers(np.eye(4), list("aabb"), np.eye(4), strengths=[1.0])
    assert set(seen) == {1}

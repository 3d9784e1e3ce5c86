import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torchmetrics.functional import concordance_corrcoef

from ferkit.errors import InputError
from ferkit.evaluation.affect import affect_answers, concordance, correlation, rmse, sign_agreement


def values_of(seed, count=50):
    random = np.random.default_rng(seed)
    true = random.uniform(-1, 1, size=(count, 2))
    return true, 0.6 * true + 0.1 + 0.3 * random.normal(size=(count, 2))


def test_three_values_by_hand():
    # Means 0 and 1, variances 2/3 and 2/3, covariance 2/3: 2 (2/3) / (2/3 + 2/3 + 1) = 4/7.
    true, predicted = np.array([-1, 0, 1]), np.array([0, 1, 2])
    assert concordance(true, predicted) == pytest.approx(4 / 7)
    assert rmse(true, predicted) == 1
    assert correlation(true, predicted) == pytest.approx(1)
    assert sign_agreement(true, predicted) == pytest.approx(1 / 3)
    assert np.isnan([correlation(np.ones(2), true[:2]), concordance(np.ones(3), np.ones(3))]).all()


@pytest.mark.parametrize("seed", range(3))
def test_torchmetrics_and_scikit_learn_agree(seed):
    true, predicted = values_of(seed)
    # torchmetrics divides the moments by N - 1 where Lin divides by N: the square of the means' distance, which both
    # leave alone, is brought to the same footing by scaling it.
    ours = concordance(true, predicted)
    spread = true.var(axis=0) + predicted.var(axis=0)
    apart = (true.mean(axis=0) - predicted.mean(axis=0)) ** 2
    theirs = concordance_corrcoef(torch.from_numpy(predicted), torch.from_numpy(true)).numpy()
    assert ours * (spread + apart) / (spread + apart * 49 / 50) == pytest.approx(theirs)
    assert rmse(true, predicted) == pytest.approx(root_mean_squared_error(true, predicted, multioutput="raw_values"))
    expected = [np.corrcoef(true[:, column], predicted[:, column])[0, 1] for column in range(2)]
    np.testing.assert_allclose(correlation(true, predicted), expected, rtol=1e-12)


def test_scikit_learns_pipeline_agrees():
    random = np.random.default_rng(0)
    train, test = random.normal(2, 3, size=(80, 5)), random.normal(2, 3, size=(30, 5))
    values = values_of(0, 80)[0]
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(train, values).predict(test)
    assert affect_answers(train, values, test, alphas=[10.0]).predicted == pytest.approx(oracle)


def test_faceless_rows_get_the_mean_of_train():
    random = np.random.default_rng(0)
    train, values = random.normal(size=(20, 3)), random.normal(size=(20, 2))
    plus = np.vstack([train, np.full((1, 3), np.nan)]), np.vstack([values, [[9.0, 9.0]]])
    answers = affect_answers(*plus, np.vstack([train[:1], np.full((1, 3), np.nan)]))
    assert answers.predicted[1] == pytest.approx(values.mean(axis=0))
    assert answers.predicted[0] == pytest.approx(affect_answers(train, values, train[:1]).predicted[0])


@pytest.mark.parametrize(
    "change",
    [
        {"train_values": np.full((20, 2), np.nan)},
        {"train_values": np.ones((3, 2))},
        {"train_identities": ["x"] * 20},
        {"test": np.ones((2, 4))},
    ],
)
def test_bad_input(change):
    random = np.random.default_rng(0)
    train, values = random.normal(size=(20, 3)), random.normal(size=(20, 2))
    with pytest.raises(InputError):
        affect_answers(**{"train": train, "train_values": values, "test": train, **change})

"""The scores that `choose_layer` compares with, against their definitions; regrets with known answers."""

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from sims.choose_layer import RULES, SCORES, _regrets, _summary, h_score, log_evidence


def sample(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal(size=(n, d)) + 1.5 * y[:, None], y


def test_h_score_is_the_variance_that_least_squares_explains():
    x, y = sample()
    one_hot = np.eye(2)[y] - 0.5
    centred = x - x.mean(0)
    fitted = centred @ np.linalg.lstsq(centred, one_hot, rcond=None)[0]
    assert h_score(x, y) == pytest.approx(np.sum(fitted**2) / np.sum(one_hot**2), rel=1e-10)  # K - 1 = 1


@pytest.mark.parametrize("d", [3, 20])
def test_log_evidence_is_the_largest_log_marginal_likelihood(d):
    x, y = sample(d=d)

    def missed(logs, t):
        a, b = np.exp(logs)
        covariance = np.eye(len(t)) / b + x @ x.T / a
        return -scipy.stats.multivariate_normal(np.zeros(len(t)), covariance, allow_singular=True).logpdf(t)

    best = [
        -scipy.optimize.minimize(missed, [0.0, 1.0], args=((y == k).astype(float),), method="Nelder-Mead").fun / len(y)
        for k in (0, 1)
    ]
    assert log_evidence(x, y, steps=500) == pytest.approx(np.mean(best), abs=1e-3)


def task(accuracy, **scores):
    given = {key: [0.0, 0.0, 1.0] for key in SCORES} | scores
    return {"layers": ["input", "1", "2"], "widths": [9, 5, 4], "accuracy": accuracy, "scores": given}


def test_regrets():
    tasks = [task([0.5, 0.9, 0.6], C=[9.0, 3.0, 1.0]), task([0.9, 0.2, 0.3])]
    assert _regrets(tasks, "C") == [0, 0]  # the second by its default
    assert _regrets(tasks, "last layer") == [pytest.approx(30), 0]
    assert _regrets(tasks, "first layer") == [0, pytest.approx(10)]
    assert _regrets(tasks, "widest layer") == [0, pytest.approx(10)]  # the input is no layer of the network
    summary = _summary(tasks)
    assert (summary["tasks"], summary["tasks_in_which_the_input_beats_every_layer"]) == (2, 1)
    assert summary["rules"]["D"] == {"mean_regret": pytest.approx(15), "worst_regret": pytest.approx(30)}
    assert set(summary["rules"]) == {*SCORES, *RULES}

"""Ranks from singular values: known spectra, order relations between them, bad input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import (
    effective_rank,
    measure_features,
    numerical_rank,
    singular_values,
    stable_rank,
    threshold_rank,
    variance_rank,
)

spectra = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=12)


@settings(max_examples=100, deadline=None)
@given(spectra, st.floats(0.01, 0.999))
def test_share_ranks_are_the_fewest_that_hold_the_share(spectrum, share):
    for rank, power in ((numerical_rank, 1), (variance_rank, 2)):
        weights = [s**power for s in sorted(spectrum, reverse=True)]
        r = rank(spectrum, share=share)
        slack = 1e-12 * sum(weights)
        assert sum(weights[:r]) >= share * sum(weights) - slack
        assert sum(weights[: r - 1]) < share * sum(weights) + slack


@settings(max_examples=100, deadline=None)
@given(spectra, st.floats(1e-3, 1e3))
def test_ranks_do_not_depend_on_scale_and_order(spectrum, scale):
    other = [scale * s for s in reversed(spectrum)]
    assert stable_rank(other) == pytest.approx(stable_rank(spectrum))
    assert effective_rank(other) == pytest.approx(effective_rank(spectrum))
    assert 1 <= stable_rank(spectrum) <= effective_rank(spectrum) * (1 + 1e-12) <= len(spectrum) * (1 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(spectra)
def test_squares_weigh_the_largest_more(spectrum):
    assert variance_rank(spectrum) <= numerical_rank(spectrum)


def test_r_equal_values_have_rank_r_by_every_definition():
    spectrum = np.array([2.0] * 20 + [0.0] * 5)
    assert numerical_rank(spectrum) == variance_rank(spectrum) == 19  # 95 % of 20
    assert numerical_rank(spectrum, share=1) == 20
    assert stable_rank(spectrum) == pytest.approx(20)
    assert effective_rank(spectrum) == pytest.approx(20)
    assert threshold_rank(spectrum) == 20


def test_the_share_is_of_the_sum_and_not_of_the_squares():
    spectrum = np.array([10.0] + [1.0] * 10)
    assert numerical_rank(spectrum) == 10  # 10 + 9 of 20
    assert variance_rank(spectrum) == 6  # 100 + 5 of 110: 95.45 %; 104 is 94.5 %


def test_threshold():
    spectrum = [1.0, 1e-2, 1e-3, 1e-5]
    assert threshold_rank(spectrum) == 2  # above, not at, the threshold
    assert threshold_rank(spectrum, threshold=1e-6) == 4
    assert threshold_rank([0.0, 0.0]) == 0


def test_zero_features_have_rank_zero_and_undefined_entropy():
    assert numerical_rank([0.0, 0.0]) == 0
    assert np.isnan(stable_rank([0.0]))
    assert np.isnan(effective_rank([0.0, 0.0]))


def test_singular_values_of_features():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2, 3)) + 100
    flat = x.reshape(40, 6)
    np.testing.assert_allclose(singular_values(x), np.linalg.svd(flat, compute_uv=False))
    centred = np.linalg.svd(flat - flat.mean(0), compute_uv=False)
    np.testing.assert_allclose(singular_values(torch.from_numpy(x), centred=True), centred, rtol=1e-12)
    assert numerical_rank(singular_values(x)) < numerical_rank(singular_values(x, centred=True))
    assert singular_values(x.astype(np.float32)).dtype == np.float64


def test_compression_bounds_ranks_of_centred_features():
    # U1 and U2 of the theory note, on features that satisfy no assumption
    rng = np.random.default_rng(3)
    for spread in (0.01, 0.1, 1.0):
        y = np.arange(200) % 5
        x = rng.standard_normal((5, 30))[y] + spread * rng.standard_normal((200, 30))
        compression = measure_features([x], y).compression[0]
        spectrum = singular_values(x, centred=True)
        assert variance_rank(spectrum, share=1 / (1 + compression)) <= 4
        assert stable_rank(spectrum) <= (1 + compression) * 4


@pytest.mark.parametrize("spectrum", [[], [[1.0]], [1.0, -1.0], [np.nan], [np.inf, 1.0]])
def test_bad_spectra_are_refused(spectrum):
    for rank in (numerical_rank, variance_rank, stable_rank, effective_rank, threshold_rank):
        with pytest.raises(InvalidInputError, match="singular values"):
            rank(spectrum)


def test_bad_options_and_features_are_refused():
    for share in (0, 1.5, np.nan):
        with pytest.raises(InvalidInputError, match="share"):
            numerical_rank([1.0], share=share)
    with pytest.raises(InvalidInputError, match="threshold"):
        threshold_rank([1.0], threshold=1)
    with pytest.raises(InvalidInputError, match="sample 1, entry 0 is nan"):
        singular_values([[0.0, 1.0], [np.nan, 0.0]])

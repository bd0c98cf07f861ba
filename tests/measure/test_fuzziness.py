"""Separation fuzziness: the second pass against d × d matrices in 40 digits; its rank; bad input."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments, ClassSummary, FuzzinessPass
from tests.measure import slow
from tests.measure.cases import UNIT, cases


def both_passes(x, y, classes, batches=None, rounding=UNIT):
    batches = [slice(None)] if batches is None else batches
    moments = ClassMoments(classes=classes, dimension=x.shape[1])
    for part in batches:
        moments.update(x[part], y[part])
    second = FuzzinessPass(moments, rounding=rounding)
    for part in batches:
        second.update(x[part], y[part])
    return second


def condition(x, y):
    """Norm of the samples over the smallest singular value of √p (μ_k - μ) that is not zero."""
    p = np.bincount(y) / y.size
    means = np.stack([x[y == k].mean(0) for k in range(p.size)])
    singular = np.linalg.svd(np.sqrt(p)[:, None] * (means - p @ means), compute_uv=False)
    return np.linalg.norm(x, axis=1).max() / singular[: min(p.size - 1, x.shape[1])].min()


@settings(max_examples=60, deadline=None)
@given(cases(most_dimension=5))
def test_second_pass_is_the_exact_answer_to_rounding(case):
    # rounding of means and of the decomposition moves Σ_B⁺ by twice its condition number
    error = UNIT * 16 * (len(case.batches) + case.x.size) * condition(case.x, case.y)
    assume(error < 1e-4)
    exact = slow.measure(case.x, case.y)
    second = both_passes(case.x, case.y, case.classes, case.batches)
    assert second.rank == min(case.classes - 1, case.dimension)
    assert second.value() == pytest.approx(exact.fuzziness, rel=error, abs=0)


@settings(max_examples=20, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_passes_merge(case, random):
    assume(UNIT * condition(case.x, case.y) < 1e-10)
    whole = both_passes(case.x, case.y, case.classes)
    moments = ClassMoments(classes=case.classes, dimension=case.dimension).update(case.x, case.y)
    parts = [FuzzinessPass(moments).update(case.x[part], case.y[part]) for part in case.batches]
    random.shuffle(parts)
    merged = FuzzinessPass(moments)
    for part in parts:
        merged.merge(part)
    assert merged.value() == pytest.approx(whole.value(), rel=16 * UNIT * case.x.size, abs=0)


def test_rank_is_fixed_where_means_lie_on_a_line():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    # collinear only as far as float32 goes: a third direction of rounding must not be inverted
    direction = rng.standard_normal(8)
    noise = rng.standard_normal((300, 8))
    noise -= np.stack([noise[y == k].mean(0) for k in range(3)])[y]
    x = (np.outer(y + 1.0, direction) + 1e-2 * noise).astype(np.float32)
    second = both_passes(x, y, 3, rounding=np.finfo(np.float32).eps)
    along = direction / np.linalg.norm(direction)
    within = np.mean([((x[y == k].astype(float) - x[y == k].mean(0, dtype=float)) @ along).var() for k in range(3)])
    between = (np.arange(3) * np.linalg.norm(direction)).var()
    assert second.rank == 1
    assert second.value() == pytest.approx(within / between, rel=1e-4)
    # float64's unit takes the rounding for a direction, and its inverse outweighs everything else
    wrong = both_passes(x, y, 3)
    assert wrong.rank == 2
    assert wrong.value() > 100 * second.value()


def test_orthonormal_data_have_none():
    x, y = np.eye(12), np.arange(12) % 3
    second = both_passes(x, y, 3)
    assert second.rank == 2
    assert second.value() == pytest.approx(0, abs=(8 * UNIT) ** 2)


def test_two_classes_in_one_dimension_have_compression_itself():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.standard_normal((40, 1)) + 3 * y[:, None]
    moments = ClassMoments(classes=2, dimension=1).update(x, y)
    assert both_passes(x, y, 2).value() == pytest.approx(moments.compression(), rel=1e-13)


def test_it_is_invariant_under_linear_maps_that_lose_nothing_and_compression_is_not():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.standard_normal((60, 2)) + 4 * rng.standard_normal((3, 2))[y]
    image = x @ np.array([[1.0, 9.0], [0.5, -3.0]])
    assert both_passes(image, y, 3).value() == pytest.approx(both_passes(x, y, 3).value(), rel=1e-11)
    one, other = ClassSummary.of(x, y), ClassSummary.of(image, y)
    assert abs(one.compression() / other.compression() - 1) > 0.05


def test_coinciding_means_have_no_fuzziness():
    second = both_passes(np.array([[0.0], [2.0], [0.0], [2.0]]), np.array([0, 0, 1, 1]), 2)
    assert second.rank == 0
    assert np.isnan(second.value())


def test_no_matrix_of_the_dimension_squared_is_made():
    dimension = 30_000  # of which the square has 7 GB
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12, dimension)).astype(np.float32), np.arange(12) % 3
    summary = ClassSummary.of(x, y)
    assert both_passes(x, y, 3).value() == pytest.approx(float(summary.separation_fuzziness()), rel=1e-11)


def test_small_within_scatter_does_not_cancel():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    x = (rng.standard_normal((4, 5)) + 3)[y] + 1e-6 * rng.standard_normal((200, 5))
    exact = slow.measure(x, y)
    assert both_passes(x, y, 4).value() == pytest.approx(exact.fuzziness, rel=1e-8, abs=0)


def test_an_incomplete_pass_is_refused():
    x, y = np.arange(8.0).reshape(4, 2), np.array([0, 0, 1, 1])
    moments = ClassMoments(classes=2, dimension=2).update(x, y)
    with pytest.raises(InvalidInputError, match="2 samples in the second pass; expected 4"):
        FuzzinessPass(moments).update(x[:2], y[:2]).value()
    with pytest.raises(InvalidInputError, match="dimension 3"):
        FuzzinessPass(moments).update(np.ones((4, 3)), y)
    with pytest.raises(InvalidInputError, match="no sample"):
        FuzzinessPass(ClassMoments(classes=2, dimension=2).update(x[:2], y[:2]))


def test_torch_tensors_are_taken():
    x, y = torch.arange(8.0).reshape(4, 2) ** 2, torch.tensor([0, 0, 1, 1])
    assert both_passes(x, y, 2).value() == both_passes(x.numpy(), y.numpy(), 2).value()


@pytest.mark.parametrize("offset", [0.0, 20.0, 1e4])
def test_many_narrow_rows_are_projected_first_where_that_costs_no_digits(offset):
    generator = torch.Generator().manual_seed(3)
    y = torch.randint(4, (4000,), generator=generator)
    x = torch.randn(4000, 6, generator=generator) + 2 * torch.randn(4, 6, generator=generator)[y] + offset
    z = x.to(torch.float64)
    means = torch.stack([z[y == k].mean(0) for k in range(4)])
    p = torch.bincount(y) / 4000
    between = (means - p.double() @ means).mT @ torch.diag(p.double()) @ (means - p.double() @ means)
    t = z - means[y]
    exact = float(torch.trace(t.mT @ t / 4000 @ torch.linalg.pinv(between, rtol=1e-9)))
    found = FuzzinessPass(ClassMoments(classes=4, dimension=6).update(x, y))
    assert (found._projected is None) == (offset == 1e4)
    assert found.update(x[:1500], y[:1500]).update(x[1500:], y[1500:]).value() == pytest.approx(exact, rel=1e-8)

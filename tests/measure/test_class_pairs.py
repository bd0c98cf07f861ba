"""Pairs of classes by blocked products, against differences taken a pair at a time in longer arithmetic."""

from itertools import combinations

import numpy as np
import pytest
import torch

from pnc.measure import ClassMoments, SamplingErrorPass, discrimination
from pnc.measure.quantities import class_pairs as module
from pnc.measure.quantities.class_pairs import class_pairs, closest_pair


def moments_of(means, counts=None, squares=None):
    classes = len(means)
    counts = np.arange(classes) % 3 + 2 if counts is None else counts
    squares = np.linspace(0.5, 2.0, classes) if squares is None else squares
    state = {"counts": torch.as_tensor(counts), "means": torch.as_tensor(means), "squares": torch.as_tensor(squares)}
    return ClassMoments.from_state(state)


def by_definition(moments):
    """CDNV, Δ² and the bracket of U4, a pair at a time, in long double."""
    means, squares = moments.means.numpy().astype(np.longdouble), moments.squares.numpy().astype(np.longdouble)
    counts = moments.counts.numpy()
    variance, p, within = squares / counts, counts / counts.sum(), squares.sum() / counts.sum()
    terms, gaps, brackets = [], [], []
    for i, j in combinations(range(len(counts)), 2):
        gap = ((means[i] - means[j]) ** 2).sum()
        terms.append((variance[i] + variance[j]) / (2 * gap))
        gaps.append(gap)
        brackets.append(gap - within * (1 / p[i] + 1 / p[j]))
    return float(np.mean(terms)), float(min(gaps)), float(min(brackets))


def clusters(seed, *, offset, gap):
    """Forty classes, far from the origin, some of them in pairs that nearly coincide."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((40, 7)) + offset
    means[1::4] = means[::4] + gap * rng.standard_normal((10, 7))
    return means


@pytest.mark.parametrize("entries", [1, 40, 333, 2**22])
@pytest.mark.parametrize(("offset", "gap"), [(0.0, 1.0), (0.0, 1e-3), (1e3, 1e-6), (0.0, 1e-9)])
def test_blocks_give_what_differences_of_pairs_give(entries, offset, gap, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", entries)
    moments = moments_of(clusters(3, offset=offset, gap=gap))
    found = class_pairs(moments)
    cdnv, smallest, bracket = by_definition(moments)
    # products lose at most 1e-5⁻¹ units of what is not refined; means 1e3 from the origin themselves lose 1e-10 of 1e-6
    assert found.class_distance_normalised_variance == pytest.approx(cdnv, rel=1e-9)
    assert found.smallest_separation == pytest.approx(smallest, rel=1e-12)
    assert found.projected_separation == pytest.approx(bracket, rel=1e-9)
    norms = (moments.means.numpy() ** 2).sum(1)
    p = moments.counts.numpy() / moments.counts.numpy().sum()
    values = (found.smallest_mean_square, found.mean_square, found.largest_mean_square)
    np.testing.assert_allclose(values, (norms.min(), p @ norms, norms.max()), rtol=1e-12)


@pytest.mark.parametrize("entries", [1, 50, 2**22])
def test_the_closest_pair_is_found_where_cosines_cannot_tell(entries, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_ENTRIES", entries)
    rng = np.random.default_rng(0)
    for _ in range(20):
        axis = rng.standard_normal(6)
        means = torch.from_numpy(axis + 1e-9 * rng.standard_normal((30, 6)))  # every 1 - cos is below rounding
        units = (means / means.norm(dim=1, keepdim=True)).numpy().astype(np.longdouble)
        gaps = {(i, j): float(((units[i] - units[j]) ** 2).sum() / 2) for i, j in combinations(range(30), 2)}
        pair = tuple(sorted(closest_pair(means).tolist()))
        assert gaps[pair] == pytest.approx(min(gaps.values()), rel=1e-5)  # of differences of 1e-9: 1e-16/1e-9 each
        assert float(discrimination(means)) == pytest.approx(min(gaps.values()), rel=1e-5)


def test_many_classes_are_taken_in_blocks_of_classes(monkeypatch):
    means = np.random.default_rng(5).standard_normal((40, 9)) + 0.3
    whole = class_pairs(moments_of(means)), closest_pair(torch.from_numpy(means)).tolist()
    monkeypatch.setattr(module, "_BLOCK_CLASSES", 7)
    parts = class_pairs(moments_of(means)), closest_pair(torch.from_numpy(means)).tolist()
    assert parts[1] == whole[1]
    for name, value in vars(whole[0]).items():
        assert getattr(parts[0], name) == pytest.approx(value, rel=1e-13), name


def test_the_closest_pair_is_looked_for_again_where_the_means_change():
    moments = ClassMoments(classes=3, dimension=2).update([[1.0, 0.0], [0.0, 1.0], [1.0, 0.2]], [0, 1, 2])
    assert moments.closest_pair().tolist() == [0, 2]
    moments.update([[-40.0, 0.0]], [0])
    assert moments.closest_pair().tolist() == [1, 2]


def test_a_batch_of_means_is_each_of_them():
    means = torch.randn(5, 3, 9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    alone = torch.stack([discrimination(one) for one in means.reshape(15, 9, 4)]).reshape(5, 3)
    torch.testing.assert_close(discrimination(means), alone, rtol=1e-12, atol=0)


def test_nan_where_a_class_is_empty_or_means_coincide():
    moments = moments_of(np.array([[1.0], [1.0], [3.0]]))
    assert np.isnan(class_pairs(moments).class_distance_normalised_variance)
    assert class_pairs(moments).smallest_separation == 0
    empty = moments_of(np.array([[1.0], [2.0], [3.0]]), counts=[1, 0, 2])
    assert np.isnan(class_pairs(empty).class_distance_normalised_variance)


def test_many_classes_need_no_matrix_of_all_pairs():
    classes = 6000  # K × K in float64 would take 275 MiB
    means = np.random.default_rng(0).standard_normal((classes, 3))
    moments = moments_of(means, counts=np.full(classes, 2))
    measured = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True)
    with measured as profile:
        found = class_pairs(moments)
        value = moments.discrimination()
        SamplingErrorPass(moments)
    largest = max((event.cpu_memory_usage for event in profile.events()), default=0)
    assert largest <= 3 * 8 * 2**22
    assert found.smallest_separation > 0
    assert value >= 0


def test_a_mean_that_is_zero_is_orthogonal_to_all():
    means = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert closest_pair(means).tolist() == [1, 2]

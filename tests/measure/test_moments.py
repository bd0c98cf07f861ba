"""Class moments: one pass against exact rational arithmetic, merging, conditioning, bad input."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments, arrays
from tests.measure import slow
from tests.measure.cases import UNIT, between_tolerance, cases, within_tolerance


def accumulate(case, x=None):
    moments = ClassMoments(classes=case.classes, dimension=case.dimension)
    for part in case.batches:
        moments.update((case.x if x is None else x)[part], case.y[part])
    return moments


def close(got, exact, tolerance):
    return got == pytest.approx(float(exact), rel=tolerance, abs=0)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_one_pass_is_the_exact_answer_to_rounding(case):
    exact = slow.measure(case.x, case.y, fuzziness=False)
    moments = accumulate(case)
    within, between = within_tolerance(case, exact), between_tolerance(case, exact)
    assert close(moments.within_scatter(), exact.within, within)
    assert close(moments.between_scatter(), exact.between, between)
    assert close(moments.compression(), exact.compression, within + between + 4 * UNIT)
    scale = np.abs(case.x).max()
    means = np.array(exact.means, dtype=np.float64)
    np.testing.assert_allclose(moments.class_means(), means, rtol=0, atol=8 * (len(case.batches) + 1) * UNIT * scale)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_discrimination_is_the_exact_answer_to_rounding(case):
    exact = slow.measure(case.x, case.y, fuzziness=False)
    norms = np.linalg.norm(np.array(exact.means, dtype=np.float64), axis=1)
    # an angle between means is off by the rounding of the means over their norm; D is at most twice that off
    error = 8 * (len(case.batches) + 1) * UNIT * np.linalg.norm(case.x, axis=1).max() / norms.min()
    assume(error < 1e-6)
    assert accumulate(case).discrimination() == pytest.approx(exact.discrimination, rel=0, abs=4 * error)


@settings(max_examples=40, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_any_cut_merged_in_any_order_is_the_same(case, random):
    parts = []
    for part in case.batches:
        one = ClassMoments(classes=case.classes, dimension=case.dimension)
        parts.append(one.update(case.x[part], case.y[part]))
    parts.append(ClassMoments(classes=case.classes, dimension=case.dimension))
    random.shuffle(parts)
    merged = parts[0]
    for part in parts[1:]:
        merged.merge(part)
    exact = slow.measure(case.x, case.y, fuzziness=False)
    assert merged.counts.tolist() == np.bincount(case.y).tolist()
    assert close(merged.within_scatter(), exact.within, within_tolerance(case, exact))
    assert close(merged.between_scatter(), exact.between, between_tolerance(case, exact))


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 2**32 - 1))
def test_rotation_scaling_and_renaming_of_classes_change_nothing(case, seed):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((case.dimension, case.dimension)))[0]
    renamed = rng.permutation(case.classes)
    moments, other = accumulate(case), ClassMoments(classes=case.classes, dimension=case.dimension)
    other.update(3 * case.x @ rotation, renamed[case.y])
    exact = slow.measure(case.x, case.y, fuzziness=False)
    # rotating rounds every sample by d u of its norm
    total = np.sqrt((np.abs(case.x) ** 2).sum(1).max() / float(min(exact.within or exact.between, exact.between)))
    tolerance = 8 * UNIT * (case.x.size + case.dimension * total)
    assert other.compression() == pytest.approx(moments.compression(), rel=tolerance)


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 11), ("bfloat16", 8), ("float32", 24), ("float64", 53)])
def test_narrow_dtypes_are_accumulated_in_float64(dtype, bits):
    rng = np.random.default_rng(bits)
    x = torch.from_numpy(rng.standard_normal((60, 5)) + 3).to(getattr(torch, dtype))
    y = rng.integers(0, 3, 60)
    exact = slow.measure(x.to(torch.float64).numpy(), y, fuzziness=False)
    moments = ClassMoments(classes=3, dimension=5).update(x, y)
    assert moments.compression() == pytest.approx(exact.compression, rel=1e-13)
    assert moments.discrimination() == pytest.approx(exact.discrimination, rel=1e-13)


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("batch", [7, 64, 1000])
def test_a_within_variance_of_1e_12_of_the_squared_mean_norm(order, batch):
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(4), 250)
    if order == "shuffled":
        y = rng.permutation(y)
    means = rng.standard_normal((4, 16)) + 5
    norm = np.linalg.norm(means, axis=1).max()
    x = means[y] + 1e-6 * norm / 4 * rng.standard_normal((1000, 16))
    moments = ClassMoments(classes=4, dimension=16)
    for start in range(0, 1000, batch):
        moments.update(x[start : start + batch], y[start : start + batch])
    exact = slow.measure(x, y, fuzziness=False)
    assert exact.within / norm**2 == pytest.approx(1e-12, rel=0.2)
    # the tolerance that is asked for is 1e-3; what rounding of the means explains is u ‖μ‖/σ = 2e-10 a batch
    assert moments.compression() == pytest.approx(exact.compression, rel=1e-9)


def test_the_textbook_formula_would_not_pass_that():
    rng = np.random.default_rng(1)
    x = 5 + 5e-6 * rng.standard_normal(1000)
    naive = np.mean(x**2) - np.mean(x) ** 2
    moments = ClassMoments(classes=2, dimension=1).update(np.append(x, 0)[:, None], [0] * 1000 + [1])
    true = np.mean((x - x.mean()) ** 2)
    assert moments.within_scatter() * 1001 / 1000 == pytest.approx(true, rel=1e-9)
    assert abs(naive / true - 1) > 1e-5


def test_a_class_that_drifts_far_from_where_it_began():
    x = np.concatenate([np.zeros(1), 1e8 + np.arange(100.0)])[:, None]
    y = np.zeros(101, dtype=int)
    moments = ClassMoments(classes=2, dimension=1).update([[1.0]], [1])
    for start in (0, 1, 30):
        stop = {0: 1, 1: 30, 30: 101}[start]
        moments.update(x[start:stop], y[start:stop])
    exact = slow.measure(np.append(x, [[1.0]], axis=0), [*y, 1], fuzziness=False)
    assert moments.within_scatter() == pytest.approx(float(exact.within), rel=200 * UNIT)


@pytest.mark.parametrize("classes", [3, 200])
def test_many_small_classes_take_the_other_road_to_the_same_numbers(classes):
    rng = np.random.default_rng(classes)
    y = rng.permutation(np.arange(2000) % classes)
    x = rng.standard_normal((2000, 4)) + 100 + y[:, None]
    whole = ClassMoments(classes=classes, dimension=4).update(x, y)
    few = ClassMoments(classes=classes, dimension=4)
    for start in range(0, 2000, 13):
        few.update(x[start : start + 13], y[start : start + 13])
    means = np.stack([x[y == k].mean(0) for k in range(classes)])
    within = ((x - means[y]) ** 2).sum() / 2000
    for moments in (whole, few):
        assert moments.within_scatter() == pytest.approx(within, rel=1e-11)
        np.testing.assert_allclose(moments.class_means(), means, rtol=1e-13)


def test_wide_features_are_cut_into_chunks():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 3000)).astype(np.float32), rng.integers(0, 2, 300)
    moments = ClassMoments(classes=2, dimension=3000).update(x, y)
    double = x.astype(np.float64)
    within = sum(((double[y == k] - double[y == k].mean(0)) ** 2).sum() for k in (0, 1)) / 300
    assert moments.within_scatter() == pytest.approx(within, rel=1e-13)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_class_weights_are_an_option(case):
    exact = slow.measure(case.x, case.y, class_weights=True, fuzziness=False)
    moments = accumulate(case)
    assert close(moments.between_scatter("classes"), exact.between, between_tolerance(case, exact))
    tolerance = within_tolerance(case, exact) + between_tolerance(case, exact) + 4 * UNIT
    assert close(moments.compression("classes"), exact.compression, tolerance)


def test_weights_differ_for_imbalanced_classes_only():
    x = np.array([[0.0], [0.0], [0.0], [1.0]])
    imbalanced = ClassMoments(classes=2, dimension=1).update(x, [0, 0, 0, 1])
    assert imbalanced.between_scatter("samples") == pytest.approx(3 / 16)
    assert imbalanced.between_scatter("classes") == pytest.approx(1 / 4)
    balanced = ClassMoments(classes=2, dimension=1).update(x, [0, 0, 1, 1])
    assert balanced.between_scatter("samples") == balanced.between_scatter("classes")


def test_one_sample_a_class_is_compressed_to_nothing():
    moments = ClassMoments(classes=3, dimension=4).update(np.random.default_rng(0).standard_normal((3, 4)), [2, 0, 1])
    assert moments.within_scatter() == 0
    assert moments.compression() == 0


def test_repeated_samples_are_compressed_to_nothing():
    x = np.random.default_rng(0).standard_normal((3, 4))
    moments = ClassMoments(classes=3, dimension=4).update(np.tile(x, (5, 1)), [2, 0, 1] * 5)
    assert moments.within_scatter() == 0


def test_coinciding_means_have_no_compression():
    x = np.random.default_rng(0).standard_normal((50, 4)) + 7
    moments = ClassMoments(classes=2, dimension=4)
    moments.update(x, [0] * 50)
    for row in x[::-1]:
        moments.update(row[None], [1])
    # summed in another order, equal means differ in their last bits, and that is no scatter
    assert moments.between_scatter() > 0
    assert np.isnan(moments.compression())
    assert moments.within_scatter() > 0


def test_equal_means_have_no_scatter_at_all():
    y = np.repeat(np.arange(3), [2, 3, 7])
    moments = ClassMoments(classes=3, dimension=2).update(np.tile([0.1, 0.3], (12, 1)), y)
    assert moments.between_scatter() == 0
    assert np.isnan(moments.compression())


@pytest.mark.parametrize("zero", [[[0.0, 0.0]] * 3, [[0.1, 0.7], [0.2, 0.1], [-0.3, -0.8]]])
def test_a_zero_mean_has_no_discrimination(zero):
    moments = ClassMoments(classes=2, dimension=2).update(np.array([*zero, [1.0, 0.0]]), [0, 0, 0, 1])
    assert np.isnan(moments.discrimination())
    assert np.isfinite(moments.compression())


def test_a_small_mean_is_not_a_zero_mean():
    moments = ClassMoments(classes=2, dimension=2).update([[1e-150, 0.0], [0.0, 1e30]], [0, 1])
    assert moments.discrimination() == 1


def test_exactly_orthogonal_and_obtuse_means():
    assert ClassMoments(classes=2, dimension=2).update([[1, 0], [0, 1]], [0, 1]).discrimination() == 1
    assert ClassMoments(classes=2, dimension=2).update([[1, 0], [-1, 0]], [0, 1]).discrimination() == 2
    simplex = np.eye(4) - 0.25
    moments = ClassMoments(classes=4, dimension=4).update(simplex, np.arange(4))
    assert moments.discrimination() == pytest.approx(4 / 3, rel=8 * UNIT)


def test_nearly_parallel_means_keep_their_digits():
    moments = ClassMoments(classes=2, dimension=2).update([[1.0, 0.0], [1.0, 1e-7]], [0, 1])
    assert moments.discrimination() == pytest.approx(0.5e-14, rel=1e-8, abs=0)


def test_nothing_yet_is_undefined():
    moments = ClassMoments(classes=2, dimension=2)
    assert moments.samples == 0
    for value in (moments.within_scatter(), moments.between_scatter(), moments.compression()):
        assert np.isnan(value)
    moments.update([[1.0, 0.0]], [1])
    assert np.isnan(moments.between_scatter("classes"))
    assert np.isnan(moments.discrimination())


def test_merging_an_empty_side_changes_no_bit():
    x, y = np.random.default_rng(0).standard_normal((9, 2)), np.arange(9) % 2
    full, empty = ClassMoments(classes=3, dimension=2).update(x, y), ClassMoments(classes=3, dimension=2)
    before = full.state()
    for merged in (ClassMoments.from_state(before).merge(empty), empty.merge(full)):
        assert all(torch.equal(merged.state()[name], before[name]) for name in before)


def test_state_is_a_copy_of_fixed_shape():
    moments = ClassMoments(classes=3, dimension=2).update([[1.0, 2.0]], [1])
    state = moments.state()
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        "counts": (3,),
        "means": (3, 2),
        "squares": (3,),
    }
    moments.update([[5.0, 5.0]], [1])
    assert state["counts"].sum() == 1
    assert ClassMoments.from_state(state).update([[5.0, 5.0]], [1]).within_scatter() == moments.within_scatter()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.reshape(6, 2, 2),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(">f8"),
        lambda x: x.astype(np.longdouble),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x[::-1][::-1],
        lambda x: x.tolist(),
        lambda x: torch.from_numpy(x),
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: torch.from_numpy(x.T.copy()).T,
        lambda x: x.astype(np.int32),
        lambda x: x.astype(np.uint16),
        lambda x: torch.from_numpy(x).to(torch.int8),
    ],
)
def test_arrays_of_any_kind(make):
    x, y = np.arange(24.0).reshape(6, 4) ** 2 % 17, [0, 1, 0, 1, 1, 0]
    reference = ClassMoments(classes=2, dimension=4).update(x, y)
    other = ClassMoments(classes=2, dimension=4).update(make(x), torch.tensor(y))
    assert other.compression() == reference.compression()


def test_read_only_arrays_are_read_without_a_warning():
    x = np.ones((2, 2))
    x.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ClassMoments(classes=2, dimension=2).update(x, [0, 1])


BAD = {
    "sample 12, entry 1 is nan": ([[1.0, 0.0], [0.0, 0.0], [0.0, np.nan]], [0, 1, 1]),
    "sample 11, entry 0 is inf": ([[1.0, 0.0], [np.inf, 0.0]], [0, 1]),
    "overflow": ([[1e200, 0.0], [-1e200, 0.0]], [0, 0]),
    "features of dimension 3": ([[1.0, 0.0, 0.0]], [0]),
    "labels of shape (1,) for 2 samples": ([[1.0, 0.0]] * 2, [0]),
    "label 2 at sample 1": ([[1.0, 0.0]] * 2, [0, 2]),
    "label -1 at sample 0": ([[1.0, 0.0]] * 2, [-1, 0]),
    "label 0.5 at sample 0": ([[1.0, 0.0]] * 2, [0.5, 0]),
    "dtype complex128": ([[1j, 0.0]], [0]),
    "dtype bool": ([[True, False]], [0]),
    "dtype <U1": (np.array([["a", "b"]]), [0]),
    "shape (0, 2)": (np.empty((0, 2)), []),
    "shape ()": (1.0, []),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_refused_and_leaves_no_trace(message):
    moments = ClassMoments(classes=2, dimension=2).update([[1.0, 2.0], [3.0, 5.0]], [0, 1])
    before = moments.state()
    with pytest.raises(InvalidInputError) as error:
        moments.update(*BAD[message], first_sample=10)
    shown = str(error.value).replace("str32", "<U1")
    assert message in shown
    assert "\n" not in shown
    assert all(torch.equal(moments.state()[name], before[name]) for name in before)


def test_moments_that_do_not_fit_are_refused():
    moments = ClassMoments(classes=2, dimension=2)
    with pytest.raises(InvalidInputError, match="3 classes in dimension 2"):
        moments.merge(ClassMoments(classes=3, dimension=2))
    with pytest.raises(InvalidInputError, match="at least 2 classes"):
        ClassMoments(classes=1, dimension=2)
    with pytest.raises(InvalidInputError, match="no float64"):
        ClassMoments(classes=2, dimension=2, device="mps")
    state = moments.state()
    with pytest.raises(InvalidInputError, match=r"counts \(K,\)"):
        ClassMoments.from_state({**state, "squares": state["squares"][:1]})
    with pytest.raises(InvalidInputError, match=r"counts \(K,\)"):
        ClassMoments.from_state({"counts": state["counts"]})
    with pytest.raises(InvalidInputError, match="samples or classes"):
        moments.update([[0.0, 1.0]], [0]).between_scatter("equal")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@settings(max_examples=10, deadline=None)
@given(cases())
def test_an_accelerator_returns_the_same(case):
    here, there = (
        accumulate(case),
        ClassMoments(classes=case.classes, dimension=case.dimension, device="cuda"),
    )
    for part in case.batches:
        there.update(torch.from_numpy(case.x[part]).to("cuda"), case.y[part])
    exact = slow.measure(case.x, case.y, fuzziness=False)
    assert there.within_scatter() == pytest.approx(here.within_scatter(), rel=2 * within_tolerance(case, exact))
    assert here.merge(there).samples == 2 * case.y.size


def test_norms_in_parts_are_the_norms(monkeypatch):
    rows = torch.randn(37, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(arrays, "_PART_ENTRIES", 50)
    np.testing.assert_allclose(arrays.squared_norms(rows).numpy(), (rows.numpy() ** 2).sum(1), rtol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 5.0, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_narrow_rows_keep_twelve_digits_whatever_their_means(offset, dtype):
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(5, (6000,), generator=generator)
    x = (torch.randn(6000, 8, generator=generator) + torch.randn(5, 8, generator=generator)[y] + offset).to(dtype)
    moments = ClassMoments(classes=6, dimension=8)  # the last class stays empty, and one has a single sample
    y[0] = 4
    for rows in torch.arange(6000).split(2000):
        moments.update(x[rows], y[rows])
    z = x.to(torch.float64) - offset  # exact: the differences of such numbers
    means = torch.stack([z[y == k].mean(0) for k in range(5)])
    within = ((z - means[y]) ** 2).sum() / 6000
    assert moments.within_scatter() == pytest.approx(float(within), rel=1e-12)
    np.testing.assert_allclose(moments.means[:5] - offset, means, atol=1e-13 * (1 + offset))
    assert moments._centres == (offset >= 1e3)


def test_a_nan_among_many_narrow_rows_is_named_and_nothing_is_added():
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(3000) % 2
    y[7] = 2  # alone in its class
    x[7, 2] = torch.nan
    moments = ClassMoments(classes=3, dimension=4)
    with pytest.raises(InvalidInputError, match="sample 7, entry 2 is nan"):
        moments.update(x, y)
    assert moments.samples == 0
    assert not moments.means.any()

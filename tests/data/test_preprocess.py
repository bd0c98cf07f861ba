"""Preprocessing against planted answers and an independent singular value decomposition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.data.preprocess import Preprocessing, preprocess
from pnc.data.problem import Problem
from pnc.errors import InvalidInputError

u = np.finfo(float).eps
quick = settings(deadline=None, max_examples=40)
scales = st.sampled_from(["orthonormal", "unit-norm", "unit-variance"])
seeds = st.integers(0, 2**32)


@st.composite
def planted(draw, lowest=0.3, highest=0.8):
    """X = U diag(s) Vᵀ + offset, U centred: tall, square and wide; s geometric: every gap is known."""
    d = draw(st.integers(2, 12))
    N = draw(st.sampled_from([d // 2 + 2, d + 1, 3 * d, 9 * d, 40 * d]))
    r = min(d, N - 1, draw(st.integers(1, 12)))
    rng = np.random.default_rng(draw(seeds))
    U = np.linalg.qr(np.column_stack([np.ones(N), rng.standard_normal((N, r))]))[0][:, 1:]
    V = np.linalg.qr(rng.standard_normal((d, r)))[0]
    s = draw(st.floats(0.1, 10)) * draw(st.floats(lowest, highest)) ** np.arange(r)
    return U, s, V, draw(st.sampled_from([0.0, 1.0, 30.0])) * rng.standard_normal(d)


def with_mean(problem, centre):
    """The data; where the mean stays in, one of the size of the smallest s, which would else drown in it."""
    U, s, V, offset = problem
    if not centre:
        offset = 0.1 * s[-1] * np.sign(offset)
    return U * s @ V.T + offset, s, offset


def tolerance(s, offset, N, d):
    """Of directions: rounding of the centred data and of XᵀX, over the smallest gap of the eigenvalues."""
    size = s[0] + np.sqrt(N) * np.linalg.norm(offset)
    gap = np.min(np.append(s[:-1] ** 2 - s[1:] ** 2, s[-1] ** 2))
    return 40 * np.sqrt(N * d) * d * u * size * s[0] / gap


@quick
@given(planted(), st.data())
def test_principal_components(problem, data):
    U, s, V, offset = problem
    N, d = len(U), len(V)
    X = U * s @ V.T + offset
    m = data.draw(st.integers(1, len(s)))
    fitted = Preprocessing(components=m).fit(X)
    Z = fitted.apply(X)
    allowed = tolerance(s, offset, N, d)
    assert Z.shape == (N, m)
    assert fitted.rank == len(s)
    assert fitted.explained_variance == pytest.approx((s[:m] ** 2).sum() / (s**2).sum(), rel=1e-10)
    expected = U[:, :m] * s[:m] * np.sqrt(m / (s[:m] ** 2).sum())
    for found, planted_one in zip(Z.T, expected.T):
        sign = np.sign(found @ planted_one)
        assert np.abs(found - sign * planted_one).max() <= allowed * np.abs(expected).max() + 1e-14


@quick
@given(planted(), st.booleans(), st.data())
def test_against_an_independent_decomposition(problem, centre, data):
    """Uncentred too; Gram matrices are compared, which know nothing of signs."""
    X, s, offset = with_mean(problem, centre)
    centred = X - X.mean(axis=0) if centre else X
    left, sigma, _ = np.linalg.svd(centred, full_matrices=False)
    m = data.draw(st.integers(1, len(s)))
    Z = Preprocessing(components=m, whiten=True, centre=centre).fit(X).apply(X)
    following = sigma[m] if m < len(sigma) else 0.0
    gap = (sigma[m - 1] ** 2 - following**2) / sigma[0] ** 2
    size = 1 + np.sqrt(len(X)) * np.linalg.norm(offset) / sigma[0]
    allowed = 40 * np.sqrt(X.size) * X.shape[1] * u * size / min(gap, sigma[m - 1] / sigma[0])
    assert np.abs(Z @ Z.T - left[:, :m] @ left[:, :m].T).max() <= allowed


@quick
@given(planted(0.2, 0.9), st.booleans(), scales)
def test_whitened(problem, centre, scale):
    """XᵀX is a multiple of I to rounding, also where the variances spread over ten orders of magnitude."""
    U, s, V, offset = problem
    s = np.maximum(s, 3e-5 * s[0])
    X = U * s @ V.T + offset * 0.01
    fitted = Preprocessing(whiten=True, centre=centre, scale=scale).fit(X)
    Z = fitted.apply(X)
    N, m = Z.shape
    assert m == fitted.rank
    multiple = {"orthonormal": 1, "unit-norm": N / m, "unit-variance": N}[scale]
    assert np.abs(Z.T @ Z / multiple - np.eye(m)).max() <= 1e-10


@quick
@given(planted(), st.booleans(), st.booleans(), st.booleans(), scales)
def test_scales(problem, reduce, whiten, centre, scale):
    """The three numbers, from the preprocessed inputs alone; m is their rank, the components kept."""
    X, s, _ = with_mean(problem, centre)
    components = len(s) if reduce else None
    fitted = Preprocessing(components=components, whiten=whiten, centre=centre, scale=scale).fit(X)
    Z = fitted.apply(X)
    m = components or fitted.rank
    if scale == "unit-norm":
        assert np.mean(np.linalg.norm(Z, axis=1) ** 2) == pytest.approx(1, rel=1e-10)
        return
    on_range = np.linalg.eigvalsh(Z.T @ Z)[-m:].mean()
    assert on_range == pytest.approx(1 if scale == "orthonormal" else len(X), rel=1e-10)


@quick
@given(planted())
def test_directions_point_where_their_largest_entry_is_positive(problem):
    U, s, V, offset = problem
    matrix = Preprocessing(components=len(s)).fit(U * s @ V.T + offset).matrix
    assert np.all(matrix.max(axis=0) >= -matrix.min(axis=0))


@quick
@given(planted(), scales)
def test_inputs_keep_their_coordinates_unless_asked(problem, scale):
    U, s, V, offset = problem
    X = U * s @ V.T + offset
    fitted = Preprocessing(scale=scale).fit(X)
    Z = fitted.apply(X)
    assert Z.shape == X.shape
    assert np.abs(Z - fitted.factor * (X - X.mean(axis=0))).max() <= 8 * u * fitted.factor * np.abs(X).max()


@quick
@given(planted(), st.booleans(), st.data())
def test_sample_permutation(problem, whiten, data):
    U, s, V, offset = problem
    X = U * s @ V.T + offset
    order = np.random.default_rng(data.draw(seeds)).permutation(len(X))
    spec = Preprocessing(components=len(s), whiten=whiten)
    straight, permuted = spec.fit(X).apply(X), spec.fit(X[order]).apply(X[order])
    allowed = tolerance(s, offset, *X.shape) * s[0] / s[-1]
    assert (
        np.abs(straight[order] @ straight[order].T - permuted @ permuted.T).max()
        <= allowed * np.abs(straight @ straight.T).max()
    )


@pytest.mark.parametrize("N", [30, 900, 20_000])
def test_a_large_mean_costs_no_more_than_its_rounding(N):
    """Offset 10⁸ against variation 1: what is left is the rounding of X itself, u 10⁸ an entry."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N, 5)) * [5, 4, 3, 2, 1]
    far = X + 1e8
    exact = far - 1e8  # the variation as rounded, which subtraction gives back exactly
    spec = Preprocessing(components=3, whiten=True)
    near, found = spec.fit(exact).apply(exact), spec.fit(far).apply(far)
    assert np.abs(near.T @ found - np.eye(3)).max() < 1e-6
    assert np.abs(found.T @ found - np.eye(3)).max() <= 1e-10
    # the mean is off by no more than its own rounding, however many samples were added up
    assert np.abs(spec.fit(far).mean - (1e8 + exact.mean(axis=0))).max() <= 2 * u * 1e8


def test_fitted_on_one_set_applied_to_another():
    rng = np.random.default_rng(2)
    train, test = rng.standard_normal((60, 4)) + 3, rng.standard_normal((7, 4)) - 5
    fitted = Preprocessing(components=2, whiten=True).fit(train)
    both = np.concatenate([train, test])
    assert np.allclose(fitted.apply(both)[60:], fitted.apply(test), rtol=1e-12)
    direction = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)[2][:2]
    sigma = np.linalg.svd(train - train.mean(axis=0), compute_uv=False)[:2]
    expected = (test - train.mean(axis=0)) @ direction.T / sigma
    assert np.allclose(np.abs(fitted.apply(test)), np.abs(expected), rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
@pytest.mark.parametrize("samples", [12, 5000])
def test_any_real_dtype_is_computed_in_float64(dtype, samples):
    X = np.random.default_rng(3).integers(0, 256, (samples, 6)).astype(dtype)
    spec = Preprocessing(components=4, whiten=True)
    fitted = spec.fit(X)
    assert fitted.apply(X).dtype == np.float64
    assert np.array_equal(fitted.apply(X), spec.fit(X.astype(np.float64)).apply(X.astype(np.float64)))


def test_whitening_leaves_out_what_does_not_vary():
    rng = np.random.default_rng(4)
    X = np.column_stack([rng.standard_normal((9, 2)), np.full(9, 0.1)])
    problem = preprocess(Problem(X=X, y=[0, 1, 2] * 3), whiten=True)
    assert problem.X.shape == (9, 2)
    assert problem.notes == ("whitening kept 2 of 3 directions; the others do not vary",)
    assert problem.provenance["preprocessing"]["components"] == 2


def test_provenance():
    X = np.random.default_rng(5).standard_normal((20, 6))
    before = Problem(X=X, y=np.arange(20) % 3, name="mine", provenance={"source": "here"})
    after = preprocess(before, components=3, scale="unit-norm")
    done = after.provenance["preprocessing"]
    assert (after.name, after.provenance["source"], after.classes) == ("mine", "here", 3)
    assert np.array_equal(after.y, before.y)
    assert {k: done[k] for k in ("components", "whiten", "centre", "scale", "rank")} == {
        "components": 3,
        "whiten": False,
        "centre": True,
        "scale": "unit-norm",
        "rank": 6,
    }
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1]
    assert done["explained_variance"] == pytest.approx(eigenvalues[:3].sum() / eigenvalues.sum())
    assert done["factor"] == pytest.approx(np.sqrt(20 / (19 * eigenvalues[:3].sum())))


@pytest.mark.parametrize(
    ("options", "X", "match"),
    [
        ({"components": 0}, np.eye(3), "components = 0; expected at least 1"),
        ({"components": -2}, np.eye(3), "components = -2"),
        ({"scale": "unit"}, np.eye(3), "expected one of orthonormal, unit-norm, unit-variance"),
        ({"components": 4}, np.eye(3), "expected at most 2 components"),
        ({"components": 3}, np.eye(3), "centred inputs of shape .3, 3., rank 2"),
        ({"components": 3, "whiten": True}, np.ones((5, 1)) * np.arange(4.0), "inputs that are all the same"),
        ({"components": 5}, np.random.default_rng(0).standard_normal((40, 4)), "at most 4 components"),
        ({"components": 2, "centre": False}, np.ones((40, 4)), "rank 1; expected at most 1 component"),
        ({}, np.full((7, 3), 0.1), "inputs that are all the same"),
        ({}, np.full((700, 3), 0.1), "inputs that are all the same"),
        ({"centre": False}, np.zeros((7, 3)), "inputs that are all zero"),
        ({}, np.array([[1.0, 2], [np.nan, 3]]), r"X\[1, 0\] = nan"),
        ({}, np.array([[1.0, np.inf], [-np.inf, 3]]), r"X\[0, 1\] = inf"),
        ({}, np.ones(4), "shape .4,."),
        ({}, np.ones((0, 4)), "shape .0, 4."),
        ({}, np.array([["a", "b"]]), "dtype <U1"),
    ],
)
def test_refused(options, X, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        Preprocessing(**options).fit(X)
    assert "\n" not in str(caught.value)


def test_applied_to_another_dimension():
    fitted = Preprocessing(components=2).fit(np.random.default_rng(6).standard_normal((9, 5)))
    with pytest.raises(InvalidInputError, match="dimension 4; expected dimension 5"):
        fitted.apply(np.ones((3, 4)))
    with pytest.raises(InvalidInputError, match=r"X\[0, 0\] = nan"):
        fitted.apply(np.full((3, 5), np.nan))


def test_one_repeated_sample_and_one_sample():
    with pytest.raises(InvalidInputError, match="all the same"):
        Preprocessing().fit(np.array([[0.3, 0.7, 1e6]]))
    with pytest.raises(InvalidInputError, match="all the same"):
        Preprocessing(whiten=True).fit(np.repeat([[0.3, 0.7, 1e6]], 50, axis=0))

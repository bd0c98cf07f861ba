"""Inputs that are never whole in memory say what whole ones say: Gram matrices alone, and rows in blocks."""

from __future__ import annotations

import resource
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pnc.theory.assumptions
import pnc.theory.class_factor as class_factor_module
from pnc.curves import FIELDS
from pnc.data import GramProblem, Problem, StreamedProblem, draw, draw_gram, load_problem, save_problem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import applicable_statements, bounds, data_modes, measure_data, predict
from pnc.theory.class_factor import class_factor, class_sums

quick = settings(deadline=None, max_examples=40)


def streamed(problem, rows=None):
    def read(most):
        step = rows or most
        return (problem.X[i : i + step] for i in range(0, problem.samples, step))

    return StreamedProblem(y=problem.y, dimension=problem.dimension, read=read)


def same(one, other, network, *, rtol):
    a, b = predict(one, network), predict(other, network)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=1e-26, err_msg=name)
    assert a.provenance["statement"] == b.provenance["statement"]
    assert set(a.provenance["not_applicable"]) == set(b.provenance["not_applicable"])
    x, y = bounds(one, network), bounds(other, network)
    for name in ("compression_lower", "compression_upper", "discrimination_lower", "discrimination_upper"):
        np.testing.assert_allclose(getattr(x, name), getattr(y, name), rtol=rtol, err_msg=name)


@quick
@given(
    classes=st.integers(2, 5),
    size=st.integers(2, 9),
    unequal=st.booleans(),
    theta=st.floats(0.01, 0.95),
    kind=st.sampled_from(["nearly-orthonormal", "orthonormal"]),
    depth=st.integers(2, 7),
    epsilon=st.floats(0.05, 0.97),  # near 1 directions of the labels are hidden by the initial weights: T3
    label_scale=st.floats(0.3, 3),
    narrow=st.booleans(),
)
def test_the_gram_matrix_says_what_the_inputs_say(
    classes, size, unequal, theta, kind, depth, epsilon, label_scale, narrow
):
    sizes = tuple(size + (k if unequal else 0) for k in range(classes))
    spec = ProblemSpec(classes=classes, samples_per_class=sizes, kind=kind, theta=theta, seed=3)
    width = spec.dimension - 1 if narrow else None
    network = NetworkSpec(depth=depth, width=width, residual_scale=epsilon, label_scale=label_scale)
    whole = draw(spec)
    gram = draw_gram(spec)
    if kind == "nearly-orthonormal":
        np.testing.assert_allclose(gram.gram, whole.X @ whole.X.T, atol=1e-13)
        # the oracle is the law of the inputs; rounding of what the classes differ by, at worst θ/N of it
        same(gram, whole, network, rtol=1e-8)
        for name, value in measure_data(whole).to_dict().items():
            assert measure_data(gram).to_dict()[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
    else:
        found, expected = predict(gram, network), predict(whole, network)
        np.testing.assert_allclose(found.compression, expected.compression, rtol=1e-12)
        np.testing.assert_allclose(found.discrimination, expected.discrimination, rtol=1e-12)
        assert measure_data(gram).theta_entrywise == 0


def test_conjugate_gradients_and_lanczos_are_used_for_large_ones_and_agree():
    spec = ProblemSpec(classes=6, samples_per_class=100, theta=0.7)
    whole, gram = draw(spec), draw_gram(spec)
    G = whole.X @ whole.X.T
    values = np.linalg.eigvalsh(G)
    found = measure_data(gram)
    assert found.gram_smallest == pytest.approx(values[0], rel=1e-11)
    assert found.gram_largest == pytest.approx(values[-1], rel=1e-11)
    same(gram, whole, NetworkSpec(depth=4, residual_scale=0.2), rtol=1e-8)


def test_the_scan_of_all_pairs_is_done_once(monkeypatch, capsys):
    calls = []
    real = pnc.theory.assumptions._largest_deviation
    monkeypatch.setattr(pnc.theory.assumptions, "_largest_deviation", lambda X: calls.append(len(X)) or real(X))
    problem, network = draw(ProblemSpec()), NetworkSpec(depth=3)
    predict(problem, network), bounds(problem, network), measure_data(problem), applicable_statements(problem, network)
    assert calls == [problem.samples]


def test_a_gram_matrix_that_is_singular_is_refused():
    with pytest.raises(InvalidInputError, match="eigenvalue"):
        measure_data(GramProblem(gram=np.ones((4, 4)), y=[0, 0, 1, 1], dimension=9))


@quick
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 4),
    dimension=st.integers(1, 6),
    offset=st.sampled_from([0.0, 1.0, 1e6]),
    rank=st.integers(1, 6),
    rows=st.integers(1, 40),
)
def test_blocks_of_rows_say_what_the_whole_says(seed, classes, dimension, offset, rank, rows):
    """Against the sums over all samples, written out."""
    rng = np.random.default_rng(seed)
    N = 3 * dimension + 5 * classes
    X = rng.standard_normal((N, min(rank, dimension))) @ rng.standard_normal((min(rank, dimension), dimension))
    X += offset * rng.standard_normal(dimension)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, N - classes)])
    problem = streamed(Problem(X=X, y=y), rows)
    R, means = class_factor(problem)
    exact = X.astype(np.longdouble)
    centres = np.array([exact[y == k].mean(axis=0) for k in range(classes)])
    scatter = (exact - centres[y]).T @ (exact - centres[y])
    size = max(1.0, float(np.abs(X).max()))
    np.testing.assert_allclose(means, centres.astype(float), atol=1e-14 * size)
    # an entry of X is rounded to offset times the unit roundoff, whatever is done with it
    np.testing.assert_allclose(R.T @ R, scatter.astype(float), atol=1e-13 * N * (1 + size))


def test_digits_are_not_lost_where_squaring_would_lose_them():
    """Directions of very different spread, in more rows than are factored at once: read again, and accurate."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9000, 4)) * [1.0, 1e-3, 1e-6, 1e-9] @ np.linalg.qr(rng.standard_normal((4, 4)))[0]
    y = rng.integers(0, 3, 9000)
    assert len(X) > class_factor_module._FEW
    R, means = class_factor(streamed(Problem(X=X, y=y)))
    exact = np.linalg.svd(X - means[y], compute_uv=False)
    np.testing.assert_allclose(np.linalg.svd(R, compute_uv=False), exact, rtol=1e-6)
    gram = (X - means[y]).T @ (X - means[y])
    squared = np.sqrt(np.linalg.eigvalsh(gram).clip(min=0))[::-1]
    assert abs(squared[-1] / exact[-1] - 1) > 1e-3  # what the other way would have said


@pytest.mark.parametrize("spread", [[1.0, 1.0, 1.0], [1.0, 1e-2, 1e-7]])
def test_the_law_of_tall_data(spread):
    """T3 from blocks against T3 from one singular value decomposition of all the inputs."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 9000)
    X = rng.standard_normal((3, 3))[y] + rng.standard_normal((9000, 3)) * spread
    network = NetworkSpec(depth=4, residual_scale=0.1)
    curve = predict(streamed(Problem(X=X, y=y)), network)
    # by hand: M = Y X⁺, its modes, features X (V S^{l/L} Vᵀ + ε^l (I - V Vᵀ))
    M = np.eye(3)[:, y] @ np.linalg.pinv(X.T)
    _, s, Vt = np.linalg.svd(M)
    keep = s > 2 * 0.1**4
    V = Vt[keep].T
    for l in range(4):
        Z = X @ (V * s[keep] ** (l / 4)) @ V.T + 0.1**l * (X - X @ V @ V.T)
        centres = np.array([Z[y == k].mean(axis=0) for k in range(3)])
        priors = np.bincount(y) / 9000
        within = np.mean(np.sum((Z - centres[y]) ** 2, axis=1))
        between = priors @ np.sum((centres - priors @ centres) ** 2, axis=1)
        assert curve.compression[l] == pytest.approx(within / between, rel=1e-9)
        cosines = centres @ centres.T / np.outer(*[np.linalg.norm(centres, axis=1)] * 2)
        assert curve.discrimination[l] == pytest.approx(1 - cosines[~np.eye(3, dtype=bool)].max(), rel=1e-9)


def test_labels_that_a_linear_map_tells_are_found_in_blocks():
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1, 2], 40)
    inside = np.eye(3)[y] @ rng.standard_normal((3, 5))  # every sample its class mean: labels are linear in it
    assert data_modes(streamed(Problem(X=inside, y=y), 7)).interpolates
    other = inside.copy()
    other[5] = inside[100]  # one sample with the inputs of another class
    assert not data_modes(streamed(Problem(X=other, y=y), 7)).interpolates


def test_class_sums_by_index():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((50, 4)), rng.integers(0, 6, 50)
    np.testing.assert_allclose(class_sums(X, y, 7), np.eye(7)[y].T @ X, atol=1e-13)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_large_file_is_read_in_blocks(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("pnc.data.files._STREAMED", 0)
    rng = np.random.default_rng(4)
    problem = Problem(X=rng.standard_normal((400, 7)), y=rng.integers(0, 3, 400))
    save_problem(tmp_path / f"p{suffix}", problem)
    found = load_problem(tmp_path / f"p{suffix}", whole=False)
    assert isinstance(found, StreamedProblem)
    assert np.array_equal(np.concatenate([block for _, block in found.blocks(13)]), problem.X)
    same(found, problem, NetworkSpec(depth=3, residual_scale=0.2), rtol=1e-12)
    wide = Problem(X=rng.standard_normal((10, 7)), y=rng.integers(0, 3, 10))
    save_problem(tmp_path / f"w{suffix}", wide)
    assert isinstance(load_problem(tmp_path / f"w{suffix}", whole=False), Problem)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_damage_is_noticed_in_blocks(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("pnc.data.files._STREAMED", 0)
    path = tmp_path / f"p{suffix}"
    save_problem(path, Problem(X=np.random.default_rng(5).standard_normal((900, 4)), y=np.arange(900) % 2))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"damaged \(.*(CRC|checksum)"):
        measure_data(load_problem(path, whole=False))


def test_what_is_not_finite_is_named_in_blocks():
    X = np.ones((30, 2))
    X[17, 1] = np.inf
    problem = StreamedProblem(
        y=np.arange(30) % 2, dimension=2, read=lambda rows: (X[i : i + 4] for i in range(0, 30, 4))
    )
    with pytest.raises(InvalidInputError, match=r"X\[17, 1\] = inf"):
        measure_data(problem)


needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def peak(*arguments):
    """Seconds and megabytes of `pnc` in a process of its own."""
    code = textwrap.dedent("""
        import sys
        from pnc.cli.main import main
        sys.argv = ["pnc", *sys.argv[1:]]
        try:
            main()
        except SystemExit:
            pass
        # not ru_maxrss, which a process takes over from the one that started it
        found = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
        print(int(found[0].split()[1]) // 1024, file=sys.stderr)
    """)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "layer" in ended.stdout, ended.stderr
    return after.ru_utime - before.ru_utime, int(ended.stderr.split()[-1])


@needs_linux
def test_predict_makes_no_inputs():
    """N = 4,000: the inputs alone would be 213 MB, their decomposition several times that and a minute."""
    seconds, megabytes = peak("predict", "--classes", 10, "--samples-per-class", 400)
    assert megabytes < 450  # one 128 MB matrix and blocks
    assert seconds < 30


@needs_linux
def test_predict_reads_a_file_in_blocks(tmp_path):
    """256 MB of inputs, of which no copy is ever in memory."""
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((250_000, 128)), rng.integers(0, 10, 250_000)
    np.savez(tmp_path / "tall.npz", X=X, y=y)
    start = time.process_time()
    with np.load(tmp_path / "tall.npz") as file:
        file["X"]
    read = time.process_time() - start
    seconds, megabytes = peak("predict", "--data", tmp_path / "tall.npz")
    assert megabytes < 330
    assert seconds < 10 + 20 * read  # the interpreter starts, too

"""Streamed spectra: exact against the whole SVD, sketches inside their stated error, merging."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pnc.errors import InvalidInputError
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.quantities.rank import (
    effective_rank,
    numerical_rank,
    singular_values,
    stable_rank,
    threshold_rank,
    variance_rank,
)
from pnc.measure.quantities.spectrum import Spectrum

UNIT = np.finfo(np.float64).eps


def features(seed, samples, dimension, decay, offset):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, dimension)) * decay ** np.arange(dimension) @ np.linalg.qr(
        rng.standard_normal((dimension, dimension))
    )[0] + offset * rng.standard_normal(dimension)


def streamed(x, cuts, **options):
    spectrum = StreamingSpectrum(dimension=x.shape[1], **options)
    for part in np.split(x, sorted(cuts)):
        if len(part):
            spectrum.update(part)
    return spectrum


shapes = st.tuples(
    st.integers(0, 2**31),
    st.integers(1, 200),
    st.integers(1, 30),
    st.sampled_from([1.0, 0.9, 0.5]),
    st.sampled_from([0.0, 1.0, 1e4]),
)


@settings(max_examples=50)
@given(shapes, st.lists(st.integers(0, 200), max_size=5), st.booleans())
def test_exact_spectra_are_those_of_the_whole(shape, cuts, centred):
    x = features(*shape)
    value = streamed(x, cuts).value(centred=centred)
    exact = singular_values(x, centred=centred)
    tolerance = 16 * UNIT * max(x.shape) * np.linalg.norm(x)
    np.testing.assert_allclose(value.values, exact[: value.values.size], rtol=0, atol=tolerance)
    assert (exact[value.values.size :] <= tolerance).all()
    assert value.exact
    assert value.most == min(x.shape)


def test_small_singular_values_keep_digits_that_a_gram_matrix_loses():
    x = features(0, 300, 6, 1e-2, 0.0)  # the last is 1e-10 of the first
    exact = np.linalg.svd(x, compute_uv=False)
    value = streamed(x, [100, 170]).value().values
    np.testing.assert_allclose(value, exact, rtol=1e-4)
    gram = np.sqrt(np.abs(np.linalg.eigvalsh(x.T @ x)[::-1]))
    assert abs(gram[-1] / exact[-1] - 1) > 1e-2


@settings(max_examples=60)
@given(shapes, st.lists(st.integers(0, 200), max_size=5), st.integers(1, 8), st.booleans())
def test_what_a_sketch_states_contains_the_truth(shape, cuts, rows, centred):
    x = features(*shape)
    sketch = streamed(x, cuts, width=0, sketch=rows).value(centred=centred)
    exact = singular_values(x, centred=centred)
    rounding = 64 * UNIT * max(x.shape) * np.linalg.norm(x) ** 2
    kept = np.zeros(exact.size)
    kept[: sketch.values.size] = sketch.values[: exact.size]
    assert (kept**2 <= exact**2 + rounding).all()
    assert (exact**2 <= kept**2 + sketch.squared_error + rounding).all()
    total = np.sum(sketch.values**2) + sketch.missing
    assert total == pytest.approx(np.sum(exact**2), abs=rounding, rel=1e-12)


@settings(max_examples=60)
@given(shapes, st.integers(1, 8), st.floats(0.3, 0.99))
def test_bounds_on_ranks_contain_the_ranks(shape, rows, share):
    x = features(*shape)
    value = streamed(x, [50], width=0, sketch=rows).value()
    exact = singular_values(x)
    wider = Spectrum(  # the rounding that the statement leaves out, put in
        values=value.values,
        squared_error=value.squared_error + 64 * UNIT * max(x.shape) * np.linalg.norm(x) ** 2,
        missing=value.missing + 64 * UNIT * max(x.shape) * np.linalg.norm(x) ** 2,
        most=value.most,
        centred=False,
    )
    for bounds, truth in (
        (wider.numerical_rank(share), numerical_rank(exact, share=share)),
        (wider.variance_rank(share), variance_rank(exact, share=share)),
        (wider.threshold_rank(0.1), threshold_rank(exact, threshold=0.1)),
        (wider.stable_rank(), stable_rank(exact) * (1 - 1e-12)),
    ):
        assert bounds[0] * (1 - 1e-9) <= truth <= bounds[1] * (1 + 1e-9)
    assert value.exact or np.isnan(value.effective_rank())


def test_bounds_allow_what_the_sketch_may_have_missed():
    # (3, 1) is possible for s = (1, 1) with 8 missing in one direction: rank 1 at a share of 0.7
    sketch = Spectrum(values=np.ones(2), squared_error=8.0, missing=8.0, most=2, centred=False)
    assert sketch.numerical_rank(0.7) == (1, 2)


def test_exact_ranks_are_those_of_the_definitions():
    x = features(3, 80, 12, 0.7, 1.0)
    exact = singular_values(x)
    assert streamed(x, [30]).value().ranks() == {
        "numerical_rank": numerical_rank(exact),
        "variance_rank": variance_rank(exact),
        "stable_rank": pytest.approx(stable_rank(exact)),
        "effective_rank": pytest.approx(effective_rank(exact)),
        "threshold_rank": threshold_rank(exact),
    }


def test_a_sketch_of_a_compressed_layer_is_nearly_exact():
    rng = np.random.default_rng(0)
    y = np.arange(500) % 5
    x = 10 * rng.standard_normal((5, 400))[y] + 0.01 * rng.standard_normal((500, 400))
    value = streamed(x, [123, 400], width=100, sketch=16).value(centred=True)
    exact = singular_values(x, centred=True)
    assert not value.exact
    np.testing.assert_allclose(value.values[:4], exact[:4], rtol=1e-6)
    assert value.squared_error < 1e-4 * exact[3] ** 2
    assert value.ranks()["variance_rank"] == variance_rank(exact) == 4


@settings(max_examples=30)
@given(shapes, st.integers(0, 200), st.sampled_from([0, 1000]))
def test_merged_is_whole_and_either_may_be_empty(shape, cut, width):
    x = features(*shape)
    options = {"dimension": x.shape[1], "width": width, "sketch": 4}
    first, second = StreamingSpectrum(**options), StreamingSpectrum(**options)
    if cut:
        first.update(x[:cut])
    if cut < len(x):
        second.update(x[cut:])
    merged = first.merge(second)
    assert merged.samples == len(x)
    exact = singular_values(x, centred=True)
    rounding = 64 * UNIT * max(x.shape) * np.linalg.norm(x) ** 2
    value = merged.value(centred=True)
    kept = np.zeros(exact.size)
    kept[: value.values.size] = value.values[: exact.size]
    assert (np.abs(exact**2 - kept**2) <= value.squared_error + rounding).all()
    assert np.sum(kept**2) + value.missing == pytest.approx(np.sum(exact**2), abs=rounding, rel=1e-12)


def test_a_batch_that_fails_half_way_leaves_nothing(monkeypatch):
    x = features(1, 300, 3, 0.9, 1.0)
    spectrum = StreamingSpectrum(dimension=3).update(x[:50])
    before, calls, join = spectrum.value().values, [], StreamingSpectrum._join

    def failing(self, *arguments):
        calls.append(0)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("out of memory")
        join(self, *arguments)

    monkeypatch.setattr(StreamingSpectrum, "_join", failing)
    with pytest.raises(torch.OutOfMemoryError):
        spectrum.update(x[50:])
    assert spectrum.samples == 50
    np.testing.assert_array_equal(spectrum.value().values, before)


def test_bad_input():
    spectrum = StreamingSpectrum(dimension=2)
    with pytest.raises(InvalidInputError, match="no samples"):
        spectrum.value()
    with pytest.raises(InvalidInputError, match="dimension 3"):
        spectrum.update(np.zeros((4, 3)))
    with pytest.raises(InvalidInputError, match="sample 1, entry 0 is nan"):
        spectrum.update([[0.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(InvalidInputError, match="dimension 3"):
        spectrum.merge(StreamingSpectrum(dimension=3))
    with pytest.raises(InvalidInputError, match="share"):
        spectrum.update(np.eye(2)).value().variance_rank(0)
    with pytest.raises(InvalidInputError, match="sketch of 0 rows"):
        StreamingSpectrum(dimension=2, sketch=0)
    zero = StreamingSpectrum(dimension=2).update(np.zeros((3, 2))).value()
    assert zero.numerical_rank() == (0, 0)
    assert np.isnan(zero.stable_rank()[0])


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_narrow_features_are_summed_as_squares_within_the_bound_that_is_said(parts):
    generator = torch.Generator().manual_seed(parts)
    scales = torch.logspace(0, -6, 20)
    x = torch.randn(900, 20, generator=generator) * scales + 3
    spectra = [StreamingSpectrum(dimension=20) for _ in range(parts)]
    for i, rows in enumerate(x.split(100)):
        spectra[i % parts].update(rows)
    merged = spectra[0]
    for other in spectra[1:]:
        merged.merge(other)
    assert any(each._gram is not None for each in spectra)
    for centred in (False, True):
        z = x.double() - (x.double().mean(0) if centred else 0)
        exact = torch.linalg.svdvals(z)
        found = torch.from_numpy(merged.value(centred=centred).values.copy())
        assert merged.rounding > 0
        assert ((found**2 - exact**2).abs() <= merged.rounding + 1e-13 * exact[0] ** 2).all()
        np.testing.assert_allclose(found, exact, rtol=1e-6)
    assert StreamingSpectrum(dimension=20).update(x.double()).rounding == 0


def test_float64_features_are_never_squared():
    x = torch.randn(300, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x *= torch.logspace(0, -11, 6, dtype=torch.float64)
    spectrum = StreamingSpectrum(dimension=6)
    for rows in x.split(30):
        spectrum.update(rows)
    np.testing.assert_allclose(spectrum.value().values, torch.linalg.svdvals(x), rtol=1e-6)

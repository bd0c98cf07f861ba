"""C, D and their spread over draws against draws of dense networks."""

import numpy as np
import pytest

from pnc.errors import NotApplicableError
from pnc.theory.initialisation import Activation, Convolution, Dense, Named, finite_width, predict_initialisation
from tests.oracles import measure_layer

CLASSES, SAMPLES, DIMENSION = 3, 6, 20


def data(seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(CLASSES), SAMPLES)
    return rng.normal(size=(CLASSES, DIMENSION))[y] + 0.8 * rng.normal(size=(y.size, DIMENSION)), y


def network(width, depth, name="relu", bias=0.05):
    layers = []
    for l in range(1, depth + 1):
        layers += [Dense(width=width, gain=2.0, bias=bias), Activation(name=name), Named(name=str(l))]
    return tuple(layers)


def draws(width, depth, count, φ, bias=0.05):
    """(count, depth, 2): log C and D of every layer of networks drawn in NumPy."""
    X, y = data()
    found = np.empty((count, depth, 2))
    for seed in range(count):
        rng = np.random.default_rng(seed)
        z = X
        for l in range(depth):
            z = φ(
                z @ rng.normal(size=(width, z.shape[1])).T * np.sqrt(2 / z.shape[1])
                + rng.normal(size=width) * bias**0.5
            )
            layer = measure_layer(z, y)
            found[seed, l] = np.log(layer.compression), layer.discrimination
    return found


@pytest.mark.parametrize(("name", "φ"), [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)])
def test_mean_and_spread_over_draws(name, φ):
    width, depth, count = 100, 4, 120
    found = draws(width, depth, count, φ)
    X, y = data()
    law = predict_initialisation(network(width, depth, name), X, y, directions=200)
    error = found.std(axis=0, ddof=1) / np.sqrt(count)
    limits = np.stack([np.log(law.curve.compression[1:]), law.curve.discrimination[1:]], axis=1)
    shift = np.stack([law.finite_width.log_compression_shift, law.finite_width.discrimination_shift], axis=1)
    spread = np.stack([law.finite_width.log_compression_spread, law.finite_width.discrimination_spread], axis=1)
    # the correction leaves what is of second order in 1/width: a quarter of the spread, at most
    assert np.all(np.abs(found.mean(axis=0) - limits - shift) < 4 * error + 0.25 * spread)
    # both spreads are estimates from `count` draws and 200 directions
    np.testing.assert_allclose(spread / found.std(axis=0, ddof=1), 1, atol=0.35)
    inside = (found[..., 0] >= np.log(law.compression_interval()[1:, 0])) & (
        found[..., 0] <= np.log(law.compression_interval()[1:, 1])
    )
    assert inside.mean() > 0.97
    assert (
        np.abs(found[..., 0] - np.log(law.compression_interval(0.5)[1:]).mean(axis=1)) < 0.5 * spread[:, 0]
    ).mean() < 0.6


def test_the_correction_and_the_variance_fall_as_one_over_the_width():
    X, y = data()
    narrow = finite_width(network(50, 3), X, y, directions=32)
    wide = finite_width(network(200, 3), X, y, directions=32)
    np.testing.assert_allclose(narrow.log_compression_shift, 4 * wide.log_compression_shift, rtol=1e-9)
    np.testing.assert_allclose(narrow.log_compression_spread, 2 * wide.log_compression_spread, rtol=1e-9)


def test_an_off_by_one_layer_is_seen():
    X, y = data()
    found = draws(400, 3, 30, lambda x: np.maximum(x, 0))
    law = predict_initialisation(network(400, 4), X, y)
    error = found[..., 0].std(axis=0, ddof=1)
    here = np.abs(found[..., 0].mean(axis=0) - np.log(law.curve.compression[1:4]))
    assert np.all(here < error)
    before = np.abs(found[..., 0].mean(axis=0) - np.log(law.curve.compression[:3]))
    assert np.all(before > here)
    assert np.max(before / error) > 3


def test_a_linear_layer_changes_nothing_in_the_limit():
    X, y = data()
    law = predict_initialisation(
        (Dense(width=30, gain=0.7), Named(name="pre"), Dense(width=30, gain=0.7), Named(name="post")), X, y
    )
    np.testing.assert_allclose(law.curve.compression, law.curve.compression[0], rtol=1e-12)
    np.testing.assert_allclose(law.curve.discrimination, law.curve.discrimination[0], rtol=1e-12)


def test_the_spread_of_convolutions_is_refused_and_left_out():
    X, y = np.random.default_rng(0).normal(size=(6, 1, 4, 4)), np.array([0, 0, 0, 1, 1, 1])
    layers = (Convolution(width=4, gain=2.0, kernel=(3, 3)), Activation(name="relu"), Named(name="1"))
    with pytest.raises(NotApplicableError, match="Convolution"):
        finite_width(layers, X, y)
    law = predict_initialisation(layers, X, y)
    assert law.finite_width is None
    assert np.isnan(law.compression_interval()[1]).all()

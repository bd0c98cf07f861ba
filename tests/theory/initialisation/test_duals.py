"""`dual_moment` against two-dimensional integrals by SciPy."""

import numpy as np
import pytest
import scipy.integrate
import scipy.special

from pnc.errors import InvalidInputError
from pnc.theory.initialisation import ACTIVATIONS, dual_moment

# written out again, from their definitions
FUNCTIONS = {
    "relu": lambda x: max(x, 0.0),
    "leaky-relu": lambda x: x if x > 0 else 0.01 * x,
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "gelu": lambda x: x * scipy.special.ndtr(x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: x if x > 0 else np.exp(x) - 1,
}


def by_integration(name, a, b, cosine):
    φ, sine = FUNCTIONS[name], np.sqrt(1 - cosine**2)

    def inner(x):
        kink = [-cosine * x / sine] if sine > 0 and abs(cosine * x / sine) < 9 else None
        density = lambda t: φ(np.sqrt(b) * (cosine * x + sine * t)) * np.exp(-t * t / 2)  # noqa: E731
        return scipy.integrate.quad(density, -9, 9, points=kink, epsabs=1e-12, limit=200)[0]

    outer = lambda x: φ(np.sqrt(a) * x) * inner(x) * np.exp(-x * x / 2)  # noqa: E731
    return scipy.integrate.quad(outer, -9, 9, points=[0.0], epsabs=1e-11, limit=200)[0] / (2 * np.pi)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize(("a", "b", "cosine"), [(1.0, 1.0, 0.5), (0.2, 2.5, -0.7), (3.0, 1.0, 0.95)])
def test_against_integrals(name, a, b, cosine):
    covariance = np.array([[cosine * np.sqrt(a * b)]])
    found = dual_moment(name, np.array([a]), covariance, np.array([b]))[0, 0]
    assert found == pytest.approx(by_integration(name, a, b, cosine), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_equal_samples_have_their_second_moment(name):
    found = dual_moment(name, np.array([1.7, 1.7]), np.full((2, 2), 1.7))
    square = scipy.integrate.quad(
        lambda x: FUNCTIONS[name](np.sqrt(1.7) * x) ** 2 * np.exp(-x * x / 2), -9, 9, points=[0.0]
    )[0]
    np.testing.assert_allclose(found, square / np.sqrt(2 * np.pi), rtol=1e-7)


def test_samples_that_are_zero_stay_zero_after_relu():
    assert dual_moment("relu", np.array([0.0, 1.0]), np.array([[0.0, 0.0], [0.0, 1.0]]))[0].tolist() == [0.0, 0.0]


def test_an_unknown_activation_is_named():
    with pytest.raises(InvalidInputError, match="'softplus'"):
        dual_moment("softplus", np.ones(1), np.ones((1, 1)))

"""T1's closed form of every layer's spectrum against trained deep linear networks."""

import numpy as np
import pytest

from pnc import NetworkSpec, ProblemSpec, SimulationSpec
from pnc.data import draw
from pnc.measure import numerical_rank, singular_values, stable_rank
from pnc.simulate import simulate
from pnc.theory import layer_spectrum, orthonormal_spectrum, predicted_numerical_rank, predicted_stable_rank


@pytest.fixture(scope="module", params=["orthonormal", "nearly-orthonormal"])
def trained(request):
    problem = draw(ProblemSpec(classes=3, samples_per_class=8, kind=request.param, seed=1))
    network = NetworkSpec(depth=5, width=200, residual_scale=0.3)
    run = simulate(problem, network, SimulationSpec(seed=0))
    weights, basis = run.written_out()
    layers = [problem.X @ basis]
    for w in weights[:-1]:
        layers.append(layers[-1] @ w.T)
    return problem, network, run, layers


@pytest.mark.parametrize("centred", [False, True])
def test_the_spectrum_of_every_layer(trained, centred):
    problem, network, run, layers = trained
    for l, features in enumerate(layers):
        measured = singular_values(features, centred=centred) ** 2
        predicted = layer_spectrum(problem, network, l, centred=centred)
        top, rest = slice(0, problem.classes - centred), slice(problem.classes - centred, problem.samples - centred)
        # successive signal values s² differ by the imbalance, and residual ones lie in the range that A3 was found in
        balance = run.residuals.imbalance.sum() / predicted[: problem.classes - centred].min() ** (1 / max(l, 1))
        low, high = (
            float(np.prod(found[:l] ** 2)) / network.residual_scale ** (2 * l)
            for found in (run.residuals.residual_smallest, run.residuals.residual_largest)
        )
        np.testing.assert_allclose(measured[top], predicted[top], rtol=balance if l else 1e-12)
        assert balance < 0.1  # a layer further the values are 1.5 times as large
        assert (measured[rest] >= predicted[rest] * low * (1 - 1e-9)).all()
        assert (measured[rest] <= predicted[rest] * high * (1 + 1e-9)).all()


def test_the_ranks_of_every_layer(trained):
    problem, network, _, layers = trained
    for l, features in enumerate(layers):
        values = layer_spectrum(problem, network, l)
        assert abs(numerical_rank(singular_values(features)) - predicted_numerical_rank(values)) <= 1
        centred = layer_spectrum(problem, network, l, centred=True)
        assert stable_rank(singular_values(features, centred=True)) == pytest.approx(
            predicted_stable_rank(centred), rel=0.02
        )


@pytest.mark.parametrize("trained", ["orthonormal"], indirect=True)
def test_orthonormal_data_leave_two_values(trained):
    _, network, _, layers = trained
    for l, features in enumerate(layers):
        (signal, many), (residual, few) = orthonormal_spectrum(3, 8, network, l, centred=True)
        values = singular_values(features, centred=True) ** 2
        assert (many, few) == (2, 21)
        np.testing.assert_allclose(values[:2], signal, rtol=0.01)  # 0.65 % at layer 4
        np.testing.assert_allclose(np.median(values[2:23]), residual, rtol=1e-6)

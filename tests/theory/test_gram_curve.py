"""`curve_of_grams` against loops over samples, and against T1–T4 where their Gram matrix is known."""

import numpy as np
import pytest

from pnc.curves import FIELDS
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import curve_of_grams, layer_gram, predict
from tests.oracles import measure_layer


@pytest.mark.parametrize(("sizes", "d"), [((4, 4, 4), 9), ((2, 7, 5, 3), 30), ((6, 1), 4)])
def test_against_loops_over_samples(sizes, d):
    rng = np.random.default_rng(len(sizes))
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    features = [rng.normal(size=(len(sizes), d))[y] + 0.7 * rng.normal(size=(y.size, d)) + shift for shift in (0, 5)]
    curve = curve_of_grams([Z @ Z.T for Z in features], y)
    for l, Z in enumerate(features):
        expected = measure_layer(Z, y)
        for name in FIELDS:
            assert getattr(curve, name)[l] == pytest.approx(getattr(expected, name), rel=1e-10), name


def test_the_law_of_linear_networks_read_off_its_gram_matrices():
    problem = draw(ProblemSpec(classes=3, samples_per_class=(4, 6, 5), theta=0.5, seed=1))
    network = NetworkSpec(depth=4, residual_scale=0.3)
    law = predict(problem, network)
    read = curve_of_grams((layer_gram(problem, network, l) for l in range(4)), problem.y)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(read, name), getattr(law, name), rtol=1e-8, err_msg=name)


def test_class_means_that_coincide_have_no_compression():
    curve = curve_of_grams([np.ones((4, 4)) + np.eye(4)], np.array([0, 0, 1, 1]))
    assert curve.between_scatter[0] == pytest.approx(0.25)
    same = np.tile(np.random.default_rng(0).normal(size=(2, 3)), (2, 1))  # both classes hold the same two samples
    curve = curve_of_grams([same @ same.T], np.array([0, 0, 1, 1]))
    assert np.isnan(curve.compression[0])
    assert np.isnan(curve.separation_fuzziness[0])
    assert curve.between_scatter[0] == 0


def test_refused():
    with pytest.raises(InvalidInputError, match="4 samples"):
        curve_of_grams([np.eye(3)], np.array([0, 0, 1, 1]))
    with pytest.raises(InvalidInputError, match="no Gram matrix"):
        curve_of_grams([], np.array([0, 1]))

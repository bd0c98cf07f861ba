"""ε_eff, He & Su's law, separability and T7's shape, each against a definition of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pnc.compare import effective_residual_scale, equi_separation, separability_onset, trace_shape
from pnc.curves import LayerCurve
from pnc.data import draw
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec, ProblemSpec
from pnc.theory import predict
from tests.compare.curves import curve


@pytest.mark.parametrize(("depth", "samples", "label_scale"), [(4, 5, 1.0), (6, 10, 1.0), (5, 8, 0.5)])
def test_a_linear_networks_effective_scale_is_its_own(depth, samples, label_scale):
    problem = draw(ProblemSpec(classes=3, samples_per_class=samples, theta=0.0))
    network = NetworkSpec(depth=depth, residual_scale=0.3, label_scale=label_scale)
    compression = predict(problem, network).compression
    slope = math.log(compression[2] / compression[1])
    found = effective_residual_scale(slope, depth=depth, samples_per_class=samples, label_scale=label_scale)
    assert found.value == pytest.approx(0.3, rel=1e-6)


def test_unequal_classes_widen_the_interval():
    equal = effective_residual_scale(-1.0, -1.1, -0.9, depth=5, samples_per_class=20)
    unequal = effective_residual_scale(-1.0, -1.1, -0.9, depth=5, samples_per_class=[10, 40])
    assert unequal.value == pytest.approx(equal.value)  # 20 is the geometric mean
    assert unequal.lower < equal.lower < equal.value < equal.upper < unequal.upper
    assert unequal.upper == pytest.approx(math.sqrt(math.exp(-0.9) * 40 ** (1 / 5)))


@pytest.mark.parametrize("options", [{"depth": 0}, {"samples_per_class": []}, {"label_scale": 0.0}])
def test_sizes_that_make_no_sense_are_refused(options):
    with pytest.raises(InvalidInputError, match="above 0"):
        effective_residual_scale(-1.0, **{"depth": 5, "samples_per_class": 10, **options})


def separated(fuzziness):
    n = len(fuzziness)
    return LayerCurve(
        layers=range(n), compression=np.ones(n), discrimination=np.ones(n), within_scatter=np.ones(n),
        between_scatter=np.ones(n), separation_fuzziness=fuzziness,
    )  # fmt: skip


def test_pearson_and_ratio_are_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    values = np.exp(2 - 0.6 * np.arange(8) + 0.2 * rng.standard_normal(8))
    found, theirs = equi_separation(separated(values), confidence=0.9), stats.pearsonr(np.arange(8), np.log(values))
    assert found.pearson == pytest.approx(theirs.statistic)
    ends = theirs.confidence_interval(0.9)
    assert (found.pearson_lower, found.pearson_upper) == pytest.approx((ends.low, ends.high))
    line = stats.linregress(np.arange(8), np.log(values))
    assert found.ratio == pytest.approx(math.exp(line.slope))
    reach = line.stderr * stats.t.ppf(0.95, 6)
    assert (found.ratio_lower, found.ratio_upper) == pytest.approx(
        tuple(np.exp([line.slope - reach, line.slope + reach]))
    )


def test_layers_without_fuzziness_are_left_out():
    found = equi_separation(separated([8.0, np.nan, 2.0, 1.0, 0.0]))
    assert found.layers == (0, 2, 3)
    assert found.ratio == pytest.approx(0.5)
    assert equi_separation(separated([1.0, np.nan, np.nan, 0.5])) is None
    assert equi_separation(separated([2.0, 2.0, 2.0])) is None


def test_the_first_layer_that_reaches_the_share_counts():
    accuracies = {"nearest_centre_accuracy": [0.4, 0.94, 0.9, 0.97, 1.0], "linear_probe_accuracy": [0.95, 1, 1, 1, 1]}
    probed = curve(np.ones(5), **accuracies)
    assert separability_onset(probed).nearest_centre == 3
    assert separability_onset(probed).linear_probe == 0
    assert separability_onset(probed, share=0.93).nearest_centre == 1
    assert separability_onset(curve(np.ones(5))).nearest_centre is None


def test_moments_of_a_spectrum_keep_the_shape():
    rng = np.random.default_rng(0)
    atoms, weights = rng.uniform(0.1, 1, 6), rng.uniform(0, 1, 6)
    traces = np.array([weights @ atoms**l for l in range(7)])
    kept = trace_shape(np.arange(7), traces)
    assert kept.holds
    assert (kept.largest_fall, kept.falls_at) == (0.0, None)
    traces[5] *= 0.9  # the ratio from layer 4 to 5 falls
    broken = trace_shape(np.arange(7), traces)
    assert not broken.holds
    assert broken.falls_at == 4
    assert broken.largest_fall == pytest.approx(1 - (traces[5] / traces[4]) / (traces[4] / traces[3]))
    assert trace_shape(np.arange(7), traces, rounding=0.5).holds


def test_gaps_and_zeros_have_no_shape():
    assert trace_shape(np.array([0, 2, 3]), np.ones(3)) is None
    assert trace_shape(np.arange(3), np.array([1.0, 0.5, 0.0])) is None
    assert trace_shape(np.arange(2), np.ones(2)) is None

"""The shapes and types that signatures state, checked at run time on wide, tall and narrow problems.

Here every annotation is checked, of arguments before the function sees them, too; in the rest of the suite
`tests.shapes` checks arrays, after it has.
"""

from __future__ import annotations

import doctest
import functools
import inspect
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import jaxtyped

import pnc.theory
from pnc.data import Problem
from pnc.spec import NetworkSpec


def setting(kind):
    rng = np.random.default_rng(0)
    problem = Problem(X=rng.standard_normal((9, 5 if kind == "tall" else 12)), y=np.arange(9) % 3)
    network = NetworkSpec(depth=4, residual_scale=0.2, width=7 if kind == "narrow" else None)
    return problem, network


def arguments(problem, network):
    """Arguments of functions that take more, or less, than a problem and its network."""
    weights = pnc.theory.exact_weights(problem, network, seed=0)
    statistics = pnc.theory.layer_statistics(problem, network)
    means = np.eye(3)
    eigenvalues = np.array([4.0, 1.0])
    special = {
        "between_scatter": (statistics,),
        "class_mean_gram": (statistics, 1),
        "compression": (statistics,),
        "compression_ratio_bounds": (0.5, problem.counts, network),
        "compression_ratio_bounds_of_gram": (0.5, 1.5, problem.counts, network),
        "curve_of_grams": ([problem.X @ problem.X.T], problem.y),
        "data_modes": (problem,),
        "default_weights_rates": ([2, 2], [5, 5, 5]),
        "discrimination": (statistics,),
        "discrimination_of_gram": (means,),
        "explicit_discrimination_bound": (0.2, 3, 2, network),
        "jensen_lower_bound": (np.array([1.0, 0.5]), 4),
        "layer_features": (problem, network, 2),
        "layer_gram": (problem, network, 2),
        "layer_spectrum": (problem, NetworkSpec(depth=4, residual_scale=0.2), 2),
        "measure_data": (problem,),
        "measure_weights": (weights, problem, network),
        "moment_law": (np.array([1.0, 0.5, 0.3]),),
        "nearest_centre_error_bound": (0.1, means),
        "nearest_centre_error_bound_from_curve": (0.1, 1.0, np.ones(3), np.full(3, 1 / 3)),
        "orthonormal_spectrum": (3, 2, network, 1),
        "predicted_effective_rank": (eigenvalues,),
        "predicted_numerical_rank": (eigenvalues,),
        "predicted_stable_rank": (eigenvalues,),
        "projected_nearest_centre_error_bound": (0.1, means, np.full(3, 1 / 3)),
        "residual_projection_of": (weights, problem, network),
        "separation_fuzziness": (statistics,),
        "smallest_separation_bound": (1.0, 1.0),
        "spectral_measures": (weights[0], problem),
        "stable_rank_bound": (0.1, 3),
        "variance_rank_bound": (0.01, 3),
        "variance_share_bound": (0.1,),
        "within_scatter": (statistics,),
    }
    times = np.linspace(0, 5, 4)
    special |= {
        "plateau_time": (2.0,),
        "predict_dynamics": (problem, network, times),
        "signal_growth": (times, np.array([2.0, 1.0])),
        "time_to_reach": (0.5, 2.0),
        "unaligned_growth": (times, np.array([2.0, 1.0])),
    }
    return special


GROWTH = {"depth": 3, "start": 0.1, "samples": 6}  # keywords of the scalar dynamics


numbers = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a whole number is a number, too

FUNCTIONS = [name for name in pnc.theory.__all__ if inspect.isfunction(getattr(pnc.theory, name))]


def of_the_network(name):
    """Whether a function asks for a problem and its network alone."""
    parameters = inspect.signature(getattr(pnc.theory, name)).parameters.values()
    asked = [one for one in parameters if one.default is one.empty]
    alone = [one.name for one in asked] == ["problem", "network"] and asked[1].annotation == "NetworkSpec"
    return alone and name != "predict_cross_entropy"  # E2 is of orthonormal data


# on problems of three kinds those that take a problem and its network, and those for which `arguments` says what they
# take; all others at least on their examples
OWN = [name for name in FUNCTIONS if of_the_network(name) or name in arguments(*setting("wide"))]


# T6 needs an invertible Gram matrix and d_h ≥ d; its refusal is tested in test_bounds.py
CALLS = [
    (n, k) for n in OWN for k in ("wide", "tall", "narrow") if (n, k == "wide") != ("discrimination_bounds", False)
]


@pytest.mark.parametrize(("name", "kind"), CALLS)
def test_arguments_and_results_have_the_stated_shapes(name, kind):
    problem, network = setting(kind)
    function = getattr(pnc.theory, name)
    keywords = GROWTH if {*GROWTH} <= {*inspect.signature(function).parameters} else {}
    result = jaxtyped(typechecker=beartype)(inspect.unwrap(function))(
        *arguments(problem, network).get(name, (problem, network)), **keywords
    )
    if type(result).__module__.startswith("pnc.theory"):  # a record: built again, each field is checked
        checked = jaxtyped(typechecker=beartype)(type(result))
        checked(**{field: getattr(result, field) for field in type(result).__dataclass_fields__})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_keep_every_annotation(name, monkeypatch):
    """The example of every public function, with the function's arguments and result held against its annotations."""
    function = getattr(pnc.theory, name)
    strict = jaxtyped(typechecker=numbers)(inspect.unwrap(function))
    called = []

    @functools.wraps(function)
    def watched(*args, **kwargs):
        called.append(name)
        return strict(*args, **kwargs)

    module = sys.modules[function.__module__]
    monkeypatch.setattr(module, name, watched)
    monkeypatch.setattr(pnc.theory, name, watched)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for example in doctest.DocTestFinder(recurse=False).find(function, name, module=module):
        assert not runner.run(example, clear_globs=False).failed
    assert called


def test_a_wrong_shape_is_noticed():
    function = inspect.unwrap(pnc.theory.nearest_centre_error_bound_from_curve)
    with pytest.raises(TypeError, match="problem arose"):
        jaxtyped(typechecker=beartype)(function)(0.1, 1.0, np.ones(3), np.ones(2))


def test_the_public_list_is_complete_and_sorted():
    assert list(pnc.theory.__all__) == sorted(pnc.theory.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    assert all(getattr(pnc.theory, name).__doc__ for name in pnc.theory.__all__)


def test_no_heavy_import():
    code = "import sys, pnc.theory; print({'torch', 'sympy', 'scipy', 'xarray'} & set(sys.modules) or '')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == ""


def test_no_samples_by_samples_matrix():
    """N = 30,000: a Gram matrix would take 7 GB; a copy of X, for its QR, is all that is made."""
    rng = np.random.default_rng(0)
    problem = Problem(X=rng.standard_normal((30_000, 16)), y=np.arange(30_000) % 4)
    network = NetworkSpec(depth=4, residual_scale=0.05)
    tracemalloc.start()
    try:
        curve = pnc.theory.predict(problem, network)
        found = pnc.theory.bounds(problem, network)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * problem.X.nbytes
    assert np.isfinite(curve.compression).all()
    assert np.isnan(found.compression_lower).all()

"""Curves that are kept with the package: every one can be read and compared, and says where it is from."""

import importlib
import json

import numpy as np
import pytest
from scipy.stats import pearsonr

from pnc.compare import follow, published_curves, published_names
from pnc.errors import InvalidInputError
from tests.cli.commands import run

OWN = [name for name in published_names() if name.endswith("fashion-mnist")]


def test_every_curve_says_where_it_is_from_and_can_be_judged():
    assert {"resnet-20-cifar-10", "resnet-56-cifar-10", "deep-linear-notebook"} <= set(published_names())
    for name in published_names():
        kept = published_curves(name)
        assert kept.about
        assert kept.source
        for one in kept.runs():
            assert follow(one.curve, converged=one.converged).verdict.exit_status in (0, 3, 4)
            assert kept.source in one.notes[0]


@pytest.mark.parametrize("name", OWN)
def test_own_curves_are_three_seeds_of_the_recipe_that_measures_them_again(name):
    runs = published_curves(name).runs()
    case = importlib.import_module("sims.blocks_trained").CASES[name.removesuffix("-fashion-mnist")]
    assert len(runs) == 3
    for seed, one in enumerate(runs):
        assert one.converged
        assert one.recipe["network"]["seed"] == seed
        assert one.recipe["network"]["name"] == case.network
        assert {key: one.recipe["training"][key] for key in case.training} == dict(case.training)
        curve = one.curve
        assert np.all(np.isfinite(curve.compression))
        np.testing.assert_allclose(curve.compression, curve.within_scatter / curve.between_scatter, rtol=1e-6)
        # the data are the same from seed to seed, so the input is
        np.testing.assert_allclose(curve.compression[0], runs[0].curve.compression[0], rtol=1e-12)
    accuracies = [record["splits"]["train"]["accuracy"] for record in published_curves(name).records]
    assert min(accuracies) >= 0.999
    assert {one.curve.origin.split for one in published_curves(name).runs("test")} == {"test"}


def test_a_published_fuzziness_is_judged_by_the_law_of_data_separation(capsys):
    ended = run(capsys, "compare", "published:resnet-20-cifar-10", "--json")
    assert ended.status == 4  # C and D were not published
    found = ended.json()
    nc1 = [261.07, 164.63, 74.31, 49.25, 23.83, 17.04, 9.18, 2.39, 0.77, 0.16]
    assert found["equi_separation"]["pearson"] == pytest.approx(pearsonr(range(10), np.log(nc1))[0], abs=1e-12)
    np.testing.assert_allclose(found["separation_fuzziness"], 10 * np.array(nc1), rtol=1e-12)
    text = run(capsys, "compare", "published:resnet-20-cifar-10").out
    assert "github.com/jhlee1995-cloud/Atlas" in text
    assert "2611" in text


def test_the_notebook_obeys_the_formula_of_equal_weights(capsys):
    found = run(capsys, "compare", "published:deep-linear-notebook", "--json").json()
    # C_(l+1)/C_l = ε²/(√n/α)^(2/L) with ε = 0.3, n = 10, α = 100, L = 6: 0.2846
    assert found["residual_scale"]["value"] == pytest.approx(0.3, abs=0.005)


def test_the_list_and_a_wrong_name(capsys):
    listed = run(capsys, "compare", "published:", "--json")
    assert listed.status == 0
    assert sorted(listed.json()) == published_names()
    assert "published:resnet-56-cifar-10" in run(capsys, "compare", "published:").out
    wrong = run(capsys, "compare", "published:resnet-20-cifar")
    assert wrong.status == 2
    assert "resnet-20-cifar-10" in wrong.err
    with pytest.raises(InvalidInputError):
        published_curves("nothing")


def test_own_seeds_are_compared_at_once(capsys):
    found = run(capsys, "compare", f"published:{OWN[0]}", "--json").json()
    assert len(found["names"]) == 3
    json.dumps(found)

"""The verdict on any network: planted curves, how often it errs, and what it says of what it cannot know."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from pnc.compare import Verdict, follow, follow_seeds
from pnc.compare.laws.evidence import weigh_law
from pnc.errors import InvalidInputError
from pnc.measure import measure_model
from pnc.nets import build
from tests.compare.curves import curve

GEOMETRIC = {
    "law": lambda l: -0.5 * l,
    "law from layer 4": lambda l: -0.6 * np.maximum(l - 4, 0),
    "constant": lambda l: 0.0 * l,
    "floor": lambda l: np.log(0.02 + 0.4**l),
    "quadratic": lambda l: -0.08 * l**2,
    "rising": lambda l: 0.3 * l,
}
LINEAR = {
    "law": lambda l: 0.1 + 0.09 * l,
    "obtuse law": lambda l: 1.9 - 0.09 * l,
    "constant": lambda l: 0.5 + 0.0 * l,
    "approach": lambda l: 0.95 - 0.9 * 0.5**l,
    "falling": lambda l: 0.9 - 0.09 * l,
}
RUNS = 120


def rates(law, shape, *, layers, curves=1, noise, seed=0):
    """Share of FOLLOWS, DEPARTS and UNDECIDED over random noise."""
    rng, l = np.random.default_rng(seed), np.arange(1.0, layers + 1)
    counted = Counter(
        weigh_law(law, l, shape(l) + noise * rng.standard_normal((curves, layers)), confidence=0.95).verdict
        for _ in range(RUNS)
    )
    return {verdict: counted[verdict] / RUNS for verdict in (Verdict.FOLLOWS, Verdict.DEPARTS, Verdict.UNDECIDED)}


def at_most(rate, limit):
    """Whether a rate over `RUNS` is no more than the limit, 4 binomial standard errors allowed."""
    return rate <= limit + 4 * math.sqrt(limit * (1 - limit) / RUNS)


@pytest.mark.parametrize(("layers", "curves"), [(7, 1), (9, 1), (6, 3), (7, 3)])
@pytest.mark.parametrize(("law", "noise"), [("geometric", 0.1), ("linear", 0.02)])
def test_a_planted_law_follows_and_seldom_departs(law, noise, layers, curves):
    found = rates(
        law, {"geometric": GEOMETRIC, "linear": LINEAR}[law]["law"], layers=layers, curves=curves, noise=noise
    )
    assert at_most(found[Verdict.DEPARTS], 0.05)
    assert at_most(1 - found[Verdict.FOLLOWS], 0.10)


def test_a_planted_phase_follows_from_its_onset():
    found = rates("geometric", GEOMETRIC["law from layer 4"], layers=9, noise=0.05)
    assert at_most(found[Verdict.DEPARTS], 0.05)
    assert at_most(1 - found[Verdict.FOLLOWS], 0.10)


@pytest.mark.parametrize(("layers", "curves"), [(7, 1), (9, 1), (7, 3)])
@pytest.mark.parametrize("name", ["constant", "floor", "quadratic", "rising"])
def test_what_is_not_geometric_departs(name, layers, curves):
    found = rates("geometric", GEOMETRIC[name], layers=layers, curves=curves, noise=0.03)
    assert at_most(found[Verdict.FOLLOWS], 0.025)
    assert at_most(1 - found[Verdict.DEPARTS], 0.05)


@pytest.mark.parametrize(("layers", "curves"), [(7, 1), (7, 3)])
@pytest.mark.parametrize("name", ["constant", "approach", "falling"])
def test_what_is_not_linear_departs(name, layers, curves):
    found = rates("linear", LINEAR[name], layers=layers, curves=curves, noise=0.01)
    assert at_most(found[Verdict.FOLLOWS], 0.025)
    assert at_most(1 - found[Verdict.DEPARTS], 0.05)


def test_obtuse_means_may_fall_to_one():
    found = rates("linear", LINEAR["obtuse law"], layers=8, noise=0.01)
    assert at_most(1 - found[Verdict.FOLLOWS], 0.10)


@pytest.mark.parametrize(("layers", "curves", "decides"), [(6, 1, False), (7, 1, True), (5, 3, False), (6, 3, True)])
def test_with_too_few_layers_nothing_is_said(layers, curves, decides):
    found = rates("geometric", GEOMETRIC["law"], layers=layers, curves=curves, noise=0.01)
    assert found[Verdict.FOLLOWS if decides else Verdict.UNDECIDED] == 1
    if not decides:  # where a bend of no small size would have passed for a line
        l = np.arange(1.0, layers + 1)
        values = np.array([GEOMETRIC["quadratic"](l)] * curves)
        values = values + 0.03 * np.random.default_rng(1).standard_normal(values.shape)
        evidence = weigh_law("geometric", l, values, confidence=0.95)
        assert evidence.verdict is Verdict.UNDECIDED
        assert "too few to tell a line from a bend" in evidence.reasons[0]


def test_a_richer_alternative_that_is_no_better_does_not_count():
    """A bend whose criterion is above the line's, if by less than 2, leaves the law standing."""
    rng, l, seen = np.random.default_rng(0), np.arange(1.0, 13), 0
    for _ in range(60):
        evidence = weigh_law("geometric", l, -0.5 * l + 0.1 * rng.standard_normal((1, 12)), confidence=0.95)
        bend = next(a for a in evidence.alternatives if a.name == "bend")
        if evidence.phase.onset == 1 and 0 < bend.difference < 2:
            assert bend.verdict is Verdict.FOLLOWS
            seen += 1
    assert seen > 0


def test_a_short_phase_is_undecided():
    l = np.arange(1.0, 10)
    values = -2.0 * np.maximum(l - 7, 0)[None] + 0.02 * np.random.default_rng(0).standard_normal((1, 9))
    evidence = weigh_law("geometric", l, values, confidence=0.95)
    assert evidence.phase.onset == 7
    assert evidence.verdict is Verdict.UNDECIDED
    assert "3 layers from 7 on" in evidence.reasons[0]


def test_a_constant_phase_departs():
    """Geometric to layer 5 and nothing after: the last phase is no law."""
    l = np.arange(1.0, 10)
    values = -1.0 * np.minimum(l, 5)[None] + 0.02 * np.random.default_rng(0).standard_normal((1, 9))
    evidence = weigh_law("geometric", l, values, confidence=0.95)
    assert evidence.verdict is Verdict.DEPARTS
    assert any("a constant phase from layer 5 on" in reason for reason in evidence.reasons)


LAW = np.arange(9)


def lawful(**options):
    return curve(3 * 0.4**LAW, 0.1 + 0.09 * LAW, **options)


def test_a_lawful_network_follows():
    found = follow(lawful(converged=True, class_counts=[50, 50]))
    assert found.verdict is Verdict.FOLLOWS
    assert found.verdict.exit_status == 0
    assert found.geometric.phase.onset == 1
    assert math.exp(found.geometric.phase.slope) == pytest.approx(0.4)
    assert found.residual_scale.value == pytest.approx(math.sqrt(0.4 * 50 ** (1 / 9)))
    assert found.to_dict()["verdict"] == "FOLLOWS"
    assert found.to_dict()["compression"] == pytest.approx((3 * 0.4**LAW).tolist())


def test_either_law_may_depart():
    found = follow(curve(3 * 0.4**LAW, 0.95 - 0.9 * 0.5**LAW))
    assert (found.geometric.verdict, found.linear.verdict) == (Verdict.FOLLOWS, Verdict.DEPARTS)
    assert found.verdict is Verdict.DEPARTS
    assert "exponential approach" in found.advice


def test_an_unfinished_training_has_no_verdict():
    assert follow(lawful(converged=False)).verdict is Verdict.NOT_CONVERGED
    assert follow(lawful(), converged=False).verdict.exit_status == 4
    assert "not known" in " ".join(follow(lawful()).notes)


def test_layers_below_noise_are_left_out():
    noisy = lawful(noise_floor=[1e-9] * 6 + [1.0] * 3)
    found = follow(noisy)
    assert found.geometric.layers == (1, 2, 3, 4, 5)
    assert found.geometric.left_out == (6, 7, 8)
    assert found.verdict is Verdict.BELOW_NOISE
    assert "[6, 7, 8]" in found.advice


def test_discrimination_that_is_one_is_not_asked_for():
    found = follow(curve(3 * 0.4**LAW, np.full(9, 0.999)))
    assert found.linear is None
    assert found.verdict is Verdict.FOLLOWS


def test_the_input_may_be_an_outlier_unless_asked_for():
    compression = 3 * 0.4**LAW
    compression[0] = 100.0
    free, asked = (
        follow(curve(compression, 0.1 + 0.09 * LAW)),
        follow(curve(compression, 0.1 + 0.09 * LAW), first_layer=0),
    )
    assert free.geometric.layers[0] == 1
    assert asked.geometric.layers[0] == 0
    assert asked.geometric.phase.onset == 1  # found, where it is part of the curve


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"confidence": 1.0}, "confidence"),
        ({"first_layer": 9}, "first layer 9"),
        ({"samples_per_class": 0}, "per class"),
    ],
)
def test_bad_input(options, words):
    with pytest.raises(InvalidInputError, match=words):
        follow(lawful(), **options)


def noisy(seed, *, noise=0.05, first=1.0):
    rng = np.random.default_rng(seed)
    return curve(
        first * 3 * 0.6**LAW * np.exp(noise * rng.standard_normal(9)),
        0.1 + 0.09 * LAW + noise / 5 * rng.standard_normal(9),
        class_counts=[100] * 10,
        converged=True,
    )


def test_seeds_are_judged_together():
    found = follow_seeds([noisy(seed) for seed in range(4)])
    assert found.verdict is Verdict.FOLLOWS
    row = found.table["ratio"]
    assert row.lower < 0.6 < row.upper
    assert row.upper - row.lower < 0.1
    # ε_eff of each seed is that of its ratio
    scales = [math.sqrt(ratio * 100 ** (1 / 9)) for ratio in row.values]
    assert found.table["residual_scale"].values == pytest.approx(scales)
    assert found.table["residual_scale"].mean == pytest.approx(float(np.exp(np.mean(np.log(scales)))), rel=1e-12)
    assert found.to_dict()["layers"] == LAW.tolist()


def test_one_unfinished_seed_is_one_too_many():
    found = follow_seeds([noisy(0), noisy(1), noisy(2)], converged=[True, False, True])
    assert found.verdict is Verdict.NOT_CONVERGED


def test_intervals_over_seeds_hold_the_truth_as_often_as_they_say():
    """The slope of each seed is drawn around the truth: Student's interval of three must hold it in nine of ten."""
    rng, runs, held = np.random.default_rng(0), 80, 0
    for _ in range(runs):
        slopes = -0.5 + 0.05 * rng.standard_normal(3)
        curves = [curve(np.exp(slope * LAW), 0.1 + 0.09 * LAW) for slope in slopes]
        row = follow_seeds(curves, confidence=0.9).table["ratio"]
        held += row.lower <= math.exp(-0.5) <= row.upper
    assert abs(held / runs - 0.9) < 4 * math.sqrt(0.09 / runs)


def test_seeds_need_the_same_layers():
    with pytest.raises(InvalidInputError, match="same layers"):
        follow_seeds([noisy(0), curve([1.0, 0.5, 0.2])])
    with pytest.raises(InvalidInputError, match="two or more"):
        follow_seeds([noisy(0)])


def test_the_classifier_of_any_network_is_not_judged():
    """The same network with its classifier measured and without gives the same verdict and the same ε_eff."""
    torch.manual_seed(0)
    y = torch.arange(60) % 3
    x = torch.randn(3, 12)[y] + 0.5 * torch.randn(60, 12)
    model = build("mlp", input_shape=(12,), classes=3, width=24, depth=9)
    whole = measure_model(model, [(x, y)], classes=3, layers=["body.?", "head"])
    hidden = measure_model(model, [(x, y)], classes=3, layers=["body.?"])
    assert (whole.provenance["classifier"], hidden.provenance["classifier"]) == ("head", None)
    judged, expected = follow(whole), follow(hidden)
    assert len(judged.curve) == len(whole) - 1
    assert (judged.verdict, judged.residual_scale.value) == (expected.verdict, expected.residual_scale.value)
    assert any("head is the classifier" in note for note in judged.notes)
    assert follow_seeds([whole, whole]).geometric.layers == follow_seeds([hidden, hidden]).geometric.layers


def test_the_interval_of_the_onsets_stays_within_the_layers_where_a_phase_can_begin():
    """Onsets 1, 1 and 5 have the Student interval [-3.4, 8.1]."""
    l = np.arange(9)

    def bent(onset, seed):
        noise = 0.01 * np.random.default_rng(seed).standard_normal(9)
        return curve(np.exp(np.where(l < onset, -0.1 * l, -0.1 * onset - 0.8 * (l - onset)) + noise), 0.1 + 0.1 * l)

    found = follow_seeds([bent(1, 0), bent(1, 1), bent(5, 2)]).table["onset"]
    assert found.values == (1.0, 1.0, 5.0)
    assert (found.lower, found.upper) == (1.0, 6.0)


@pytest.mark.parametrize(
    ("one", "two", "name"),
    [
        ({"samples": 12}, {"samples": 60000}, "samples: 12 and 60000"),
        ({"classes": 2}, {"classes": 10}, "classes"),
        ({"names": ["input", "fc"] * 4}, {"names": ["input", "conv"] * 4}, "name of layer 1: fc and conv"),
        ({"dimensions": [12] * 8}, {"dimensions": [784] * 8}, "dimension of layer 0"),
        ({"split": "train"}, {"split": "test"}, "split"),
        ({"network": {"width": 8, "seed": 0}}, {"network": {"width": 9, "seed": 1}}, "network.width: 8 and 9"),
    ],
)
def test_curves_that_are_no_seeds_of_one_network_are_refused(one, two, name):
    l = np.arange(8)
    curves = [curve(3 * 0.5**l, 0.1 + 0.1 * l, **said) for said in (one, two)]
    with pytest.raises(InvalidInputError, match="curves that differ in " + name):
        follow_seeds(curves)
    follow_seeds([curve(3 * 0.5**l, 0.1 + 0.1 * l, **one), curve(3 * 0.5**l, 0.1 + 0.1 * l)])  # nothing said: no doubt


def test_the_seed_may_differ():
    l = np.arange(8)
    curves = [curve(3 * 0.5**l, 0.1 + 0.1 * l, network={"width": 8, "seed": seed}) for seed in (0, 1)]
    assert len(follow_seeds(curves).runs) == 2

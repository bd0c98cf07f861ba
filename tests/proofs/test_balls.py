"""Enclosures contain the truth, decisions are exact, and comparisons know three answers."""

import random

import mpmath
import pytest
from flint import arb, fmpq, fmpq_mat

from proofs_check.balls import (
    at_most,
    ball_matrix,
    certainly_psd,
    eigenvalues,
    exactly_zero,
    identity,
    logarithm,
    meets,
    root,
    trace,
)
from proofs_check.instances import diagonal, exact_network, gram_instances, orthogonal, random_matrix
from proofs_check.ledger import Status


def _positive(rng, size):
    factor = random_matrix(size, size, rng)
    return factor * factor.transpose() + identity(size) * fmpq(1, 5)


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_a_root_to_its_power_meets_the_matrix_and_is_tight(degree):
    rng = random.Random(degree)
    matrix = _positive(rng, 4)
    found, power = root(matrix, degree), ball_matrix(identity(4))
    for _ in range(degree):
        power = power * found
    for a, b in zip(power.entries(), matrix.entries()):
        assert (a - b).contains(0)
        assert a.rad() < 1e-30


def test_a_root_of_repeated_eigenvalues():
    rng = random.Random(3)
    frame = orthogonal(4, rng)
    matrix = frame * diagonal([4, 4, 4, 9]) * frame.transpose()
    expected = frame * diagonal([2, 2, 2, 3]) * frame.transpose()
    for a, b in zip(root(matrix, 2).entries(), expected.entries()):
        assert a.contains(b)


def test_a_logarithm_against_mpmath():
    matrix = _positive(random.Random(5), 3)
    with mpmath.workdps(40):
        numbers = mpmath.matrix([[mpmath.mpf(int(x.p)) / int(x.q) for x in row] for row in matrix.tolist()])
        values, vectors = mpmath.eigsy(numbers)
        true = vectors * mpmath.diag([mpmath.log(v) for v in values]) * vectors.T
        found = logarithm(matrix)
        for i in range(3):
            for j in range(3):
                assert abs(found[i, j] - arb(mpmath.nstr(true[i, j], 35))) < 1e-25


def test_an_indefinite_matrix_has_no_root():
    with pytest.raises(ValueError, match="positive definite"):
        root(diagonal([1, -1]), 2)


@pytest.mark.parametrize("values", [(1, 1, 1), (0, 0, 5), (2, 2, 3), (-1, 0, 7)])
def test_eigenvalues_with_repeats(values):
    frame = orthogonal(3, random.Random(1))
    for matrix in (diagonal(values), frame * diagonal(values) * frame.transpose()):
        for found, true in zip(eigenvalues(matrix), sorted(values)):
            assert (found - true).contains(0)
            assert found.rad() < 1e-20


@pytest.mark.parametrize(
    ("entries", "semi", "strict"),
    [
        ([2, 1, 1, 2], True, True),
        ([1, 1, 1, 1], True, False),
        ([1, 2, 2, 1], False, False),
        ([0, 1, 1, 0], False, False),
    ],
)
def test_definiteness_is_decided_exactly(entries, semi, strict):
    matrix = fmpq_mat(2, 2, entries)
    assert certainly_psd(matrix) is semi
    assert certainly_psd(matrix, strictly=True) is strict


def test_a_tiny_violation_is_seen():
    matrix = fmpq_mat(2, 2, [1, 1, 1, 1 - fmpq(1, 10**60)])
    assert certainly_psd(matrix) is False


def test_comparisons_have_three_answers():
    wide = arb(1, 1)
    assert at_most([("a", arb(1), arb(2))]).status is Status.DISCHARGED
    assert at_most([("a", arb(2), arb(1))]).status is Status.REFUTED
    assert at_most([("a", arb(1), wide)]).status is Status.OPEN
    assert at_most([]).status is Status.OPEN


def test_a_violation_outweighs_an_undecided_comparison():
    assert at_most([("a", arb(1), arb(1, 1)), ("b", fmpq(2), fmpq(1))]).status is Status.REFUTED


def test_equality_needs_narrow_enclosures():
    assert meets([("a", arb(1), fmpq(1))], noun="numbers").holds
    assert meets([("a", arb(1, 1), fmpq(1))], noun="numbers").status is Status.OPEN
    assert meets([("a", arb(1), fmpq(2))], noun="numbers").status is Status.REFUTED
    assert meets([], noun="numbers").status is Status.OPEN


def test_exact_networks_satisfy_their_assumptions():
    net = exact_network(random.Random(2), counts=(2, 3), dimension=6, depth=4, width=8)
    gram = net.data.transpose() * net.data
    m = net.targets * gram.inv() * net.data.transpose()
    assert exactly_zero(net.product(4) - m)  # A1
    for layer in (1, 2):
        weight, after = net.weights[layer - 1], net.weights[layer]
        gap = after.transpose() * after - weight * weight.transpose()
        assert exactly_zero(gap * net.product(layer))  # A2
        assert not exactly_zero(gap)  # and only on what is reached: the network is wider than its input
    a = net.weights[0].transpose() * net.weights[0]
    rest = identity(6) - net.right * net.right.transpose()
    assert exactly_zero(a * rest - rest * net.residual_scale**2)  # A3


def test_gram_instances_keep_the_entrywise_condition():
    for instance in gram_instances(("1/2",), [(2, 3)], random.Random(0), randoms=4):
        samples = sum(instance.counts)
        gap = instance.gram - identity(samples)
        assert max(abs(entry) for entry in gap.entries()) * samples <= instance.theta
        assert trace(gap) <= instance.theta


def test_roots_and_logarithms_of_nearly_repeated_eigenvalues():
    frame = orthogonal(4, random.Random(8))
    for split in (0, fmpq(1, 10**30), fmpq(1, 10**45)):
        matrix = frame * diagonal([1, 1 + split, 1 - split, 2]) * frame.transpose()
        assert max(float(x.rad()) for x in root(matrix, 5).entries()) < 1e-30
        assert max(float(x.rad()) for x in logarithm(matrix).entries()) < 1e-30

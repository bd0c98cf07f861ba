"""The gradient through K vectors a layer (Y3) against torch's own, of the loss over all N samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pnc.data import Problem
from pnc.simulate import initial_weights
from pnc.simulate.networks import Networks
from pnc.spec import NetworkSpec, SimulationSpec


def batch_of_networks(depth, *, samples=9, dimension=6, width=7, runs=3):
    """Networks on economical data, their weights, and the problems that they come from."""
    rng = np.random.default_rng(depth)
    problems = [Problem(X=rng.standard_normal((samples, dimension)), y=np.arange(samples) % 3) for _ in range(runs)]
    network = NetworkSpec(depth=depth, width=width, residual_scale=0.6, label_scale=2.0)
    made = [
        initial_weights(problem, network, SimulationSpec(coordinates="full", seed=seed))
        for seed, problem in enumerate(problems)
    ]
    factors = [torch.from_numpy(data.basis * data.scale) for _, data in made]
    networks = Networks(
        factor=torch.stack(factors),
        target=torch.stack([torch.from_numpy(data.target) for _, data in made]),
        samples=torch.full((runs,), float(samples), dtype=torch.float64),
        shapes=tuple(w.shape for w in made[0][0]),
    )
    noise = [[w + 0.1 * rng.standard_normal(w.shape) for w in weights] for weights, _ in made]
    return networks, [torch.stack([torch.from_numpy(n[l]) for n in noise]) for l in range(depth)], problems


def autograd(weights, problem, label_scale=2.0):
    """Loss over every sample and its gradient, by the definition."""
    leaves = [w.clone().requires_grad_() for w in weights]
    output = torch.from_numpy(problem.X.copy()).mT
    for leaf in leaves:
        output = leaf @ output
    wanted = torch.nn.functional.one_hot(torch.from_numpy(problem.y.copy())).double().mT / label_scale
    loss = (output - wanted).square().sum() / problem.samples
    return torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_gradient_is_that_of_the_loss_over_all_samples(depth):
    networks, weights, problems = batch_of_networks(depth)
    gradient, error = networks.gradient(networks.join(weights))
    torch.testing.assert_close(error, networks.error(networks.join(weights)), rtol=1e-14, atol=1e-14)
    for run, problem in enumerate(problems):
        expected = autograd([w[run] for w in weights], problem)
        for ours, theirs in zip(networks.split(gradient), expected, strict=True):
            torch.testing.assert_close(ours[run], theirs, rtol=1e-11, atol=1e-13)
            assert theirs.abs().max() > 1e-3


def test_join_and_split_are_inverse():
    networks, weights, _ = batch_of_networks(4)
    for before, after in zip(weights, networks.split(networks.join(weights)), strict=True):
        assert torch.equal(before, after)


def test_curvature_is_the_largest_eigenvalue_of_the_hessian():
    networks, weights, problems = batch_of_networks(3, samples=6, dimension=3, width=4)
    y = networks.join(weights)
    probe = torch.from_numpy(np.random.default_rng(0).standard_normal(y.shape))
    value, vector = networks.curvature(y, probe, iterations=300)
    for run, problem in enumerate(problems):

        def loss(flat, run=run, problem=problem):
            product = torch.from_numpy(problem.X.copy()).mT
            for w in networks.split(flat[None]):
                product = w[0] @ product
            wanted = torch.nn.functional.one_hot(torch.from_numpy(problem.y.copy())).double().mT / 2
            return (product - wanted).square().sum() / problem.samples

        hessian = torch.autograd.functional.hessian(loss, y[run])
        largest = torch.linalg.eigvalsh(hessian).abs().max()
        # differences of the gradient are exact to about the square root of the rounding
        assert float(value[run]) == pytest.approx(float(largest), rel=1e-5)
        direction = vector[run] / vector[run].norm()
        assert float((hessian @ direction).norm()) == pytest.approx(float(largest), rel=1e-5)

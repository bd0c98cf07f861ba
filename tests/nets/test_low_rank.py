"""The low-rank layer's losses, its best W, and the ways to it, against NumPy and against one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets import (
    PROJECTIONS,
    LowRankLayer,
    captured_share,
    largest_angle,
    subspace_by_nystrom,
    subspace_by_random_range,
    subspace_by_svd,
)

EPS = np.finfo(np.float64).eps


def activations(n: int = 60, m: int = 24, *, decay: float = 1.0, noise: float = 0.0, seed: int = 0) -> torch.Tensor:
    """(n, m), singular values about i^-decay."""
    draw = np.random.default_rng(seed)
    left, right = (np.linalg.qr(draw.standard_normal((size, min(n, m))))[0] for size in (n, m))
    values = np.arange(1.0, min(n, m) + 1) ** -decay
    return torch.from_numpy(left * values @ right.T + noise * draw.standard_normal((n, m)) / np.sqrt(m))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(layer: LowRankLayer, seed: int = 0) -> LowRankLayer:
    draw = generator(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
    return layer


def test_losses_are_those_of_the_paper_with_a_dense_w() -> None:
    layer = filled(LowRankLayer(24, rank=3, dtype=torch.float64))
    a = activations()
    compression, norm = layer(a.reshape(60, 4, 3, 2))
    w, b = (layer.left @ layer.right.T).detach().numpy(), layer.shift.detach().numpy()
    assert np.linalg.matrix_rank(w) == 3
    for i, row in enumerate(a.numpy()):
        assert compression[i].item() == pytest.approx(np.sum((w.T @ (row + b) - (row + b)) ** 2), rel=1e-12)
        assert norm[i].item() == pytest.approx(abs(1 - np.linalg.norm(row)), rel=1e-12)


@pytest.mark.parametrize("decay", [0.3, 1.0])
def test_the_projector_on_the_top_singular_vectors_is_the_best_w(decay: float) -> None:
    """Eckart and Young: L_c = Σ_{i>r} σ_i² / n there; alternating least squares from anywhere get as low, not lower."""
    r, z = 3, activations(20, 10, decay=decay)
    layer = filled(LowRankLayer(10, rank=r, dtype=torch.float64))
    z = z + layer.shift.detach()
    values = np.linalg.svd(z.numpy(), compute_uv=False)
    least = np.sum(values[r:] ** 2) / len(z)
    layer.project(z - layer.shift.detach(), method="svd")
    found = layer(z - layer.shift.detach())[0].mean().item()
    # σ² of a matrix with σ_1: a few units of rounding of σ_1² each
    assert abs(found - least) < 100 * EPS * values[0] ** 2
    other = filled(LowRankLayer(10, rank=r, dtype=torch.float64), seed=1)
    with torch.no_grad():
        other.shift.copy_(layer.shift)
    left, right = other.left.detach().numpy(), other.right.detach().numpy()
    for _ in range(300):  # each the best for the other one
        right = (np.linalg.pinv(z.numpy() @ left) @ z.numpy()).T
        left = right @ np.linalg.inv(right.T @ right)
    with torch.no_grad():
        other.left.copy_(torch.from_numpy(left))
        other.right.copy_(torch.from_numpy(right))
    reached = other(z - layer.shift.detach())[0].mean().item() / least
    assert 1 - 1e-12 < reached < 1 + 1e-6


def test_at_the_projector_descent_turns_the_right_factor_as_oja_says() -> None:
    layer = LowRankLayer(24, rank=3, dtype=torch.float64)
    layer.project(activations(seed=1), method="svd")
    z = activations(seed=2)
    layer(z)[0].mean().backward()
    v = layer.left.detach()
    outside = torch.eye(24, dtype=torch.float64) - v @ v.T
    expected = -2 / len(z) * outside @ (z.T @ z) @ v
    torch.testing.assert_close(layer.right.grad, expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(layer.left.grad, torch.zeros_like(v), rtol=0, atol=1e-14)
    assert layer.scale.item() == pytest.approx(activations(seed=1).square().sum(1).mean().item())


def test_no_loss_is_left_where_a_shift_brings_activations_into_r_dimensions() -> None:
    """b is in W's formula for a reason: an affine subspace of r dimensions needs r + 1 without it."""
    a = activations(m=24)[:, :2] @ activations(2, 24, seed=3) + 5 * activations(1, 24, seed=4)
    layer = LowRankLayer(24, rank=2, dtype=torch.float64)
    layer.project(a, method="svd")
    assert layer(a)[0].mean() > 1e-6
    with torch.no_grad():
        layer.shift.copy_(-a.mean(0))
    layer.project(a, method="svd")
    assert layer(a)[0].mean() < 1e-26


@pytest.mark.parametrize("method", PROJECTIONS)
def test_every_way_finds_a_subspace_that_is_there(method: str) -> None:
    """Exactly of rank 4, twelve of the units dead: up to rounding over the gap, which is the fourth singular value."""
    z = activations(80, 40, decay=0.5)[:, :4].matmul(activations(4, 30, decay=0.2, seed=5))
    z = torch.cat([z, torch.zeros(80, 12, dtype=torch.float64)], 1)
    basis = PROJECTIONS[method](z, 4, generator=generator())
    torch.testing.assert_close(basis.T @ basis, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-13)
    assert captured_share(z, basis) == pytest.approx(1, abs=1e-12)
    oracle = torch.from_numpy(np.linalg.svd(z.numpy())[2][:4].T.copy())
    values = np.linalg.svd(z.numpy(), compute_uv=False)
    assert largest_angle(basis, oracle) < np.rad2deg(1e4 * EPS * values[0] / values[3])


@pytest.mark.parametrize(("method", "least"), [("svd", 1 - 1e-12), ("randomised", 0.98), ("nystrom", 0.95)])
@pytest.mark.parametrize("decay", [0.5, 1.0, 1.5])
def test_wide_activations_lose_little(method: str, least: float, decay: float) -> None:
    """At most 5 % of the variance that the best subspace captures; and a tenth as many columns lose more."""
    z = torch.relu(activations(300, 500, decay=decay, noise=0.01))
    best = captured_share(z, subspace_by_svd(z, 10))
    for seed in range(3):
        share = captured_share(z, PROJECTIONS[method](z, 10, generator=generator(seed)))
        assert least * best <= share <= best * (1 + 1e-12)


def test_an_ensemble_is_the_mean_of_nystrom_approximations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against G[:, S] G[S, S]⁺ G[S, :] by pseudo-inverses of the Gram matrix, and against G itself with all columns."""
    z = activations(50, 20, decay=0.7)
    sets = [[0, 3, 7, 12, 19], [1, 2, 3, 4, 5], [18, 9, 0, 11, 13]]
    drawn = iter(sets)
    monkeypatch.setattr(torch, "multinomial", lambda *arguments, **options: torch.tensor(next(drawn)))
    basis = subspace_by_nystrom(z, 3, columns=5)
    gram = (z.T @ z).numpy()
    mean = sum(gram[:, s] @ np.linalg.pinv(gram[np.ix_(s, s)]) @ gram[s] for s in sets) / 3
    vectors = torch.from_numpy(np.linalg.eigh(mean)[1][:, -3:])
    assert largest_angle(basis, vectors) < 1e-5
    one = np.linalg.eigh(gram)[1][:, -3:]
    assert largest_angle(basis, torch.from_numpy(one)) > 1  # degrees: a sample of columns is not all of them
    monkeypatch.undo()
    whole = subspace_by_nystrom(z, 3, columns=20, experts=1, generator=generator())
    assert largest_angle(whole, torch.from_numpy(one)) < 1e-5


def test_power_iterations_and_columns_pay() -> None:
    z = activations(200, 150, decay=0.4)
    best = subspace_by_svd(z, 8)
    angles = [
        np.mean([largest_angle(best, way(z, 8, generator=generator(seed))) for seed in range(5)])
        for way in (
            lambda *a, **k: subspace_by_random_range(*a, power_iterations=0, **k),
            lambda *a, **k: subspace_by_random_range(*a, power_iterations=6, **k),
            lambda *a, **k: subspace_by_nystrom(*a, columns=8, experts=1, **k),
            lambda *a, **k: subspace_by_nystrom(*a, columns=80, **k),
        )
    ]
    assert angles[1] < angles[0] / 2
    assert angles[3] < angles[2] / 2


def test_the_same_generator_gives_the_same_subspace_and_leaves_torch_alone() -> None:
    z = activations()
    for method in PROJECTIONS:
        torch.manual_seed(5)
        one, other = (PROJECTIONS[method](z, 3, generator=generator(7)) for _ in range(2))
        assert torch.equal(one, other)
        drawn = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(drawn, torch.rand(1))


def test_what_works_in_place_may_follow_and_half_precision_is_widened() -> None:
    layer = LowRankLayer(6, rank=2)
    layer.project(torch.randn(20, 6, generator=generator()))
    x = torch.randn(4, 6, generator=generator(1), requires_grad=True)
    hidden = x * 1
    compression, norm = layer(hidden)
    (compression.sum() + norm.sum() + nn.ReLU(inplace=True)(hidden).sum()).backward()
    own = x.detach().clone().requires_grad_()
    (sum(loss.sum() for loss in layer(own)) + torch.relu(own).sum()).backward()
    torch.testing.assert_close(x.grad, own.grad)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x.detach().bfloat16())
    high = layer(x.detach().bfloat16().float())
    assert all(torch.equal(a, b) and a.dtype == torch.float32 for a, b in zip(low, high))


def test_angles_and_shares() -> None:
    e = torch.eye(5, dtype=torch.float64)
    turned = torch.stack([e[0], np.cos(1e-9) * e[1] + np.sin(1e-9) * e[2]], 1)
    assert largest_angle(e[:, :2], turned) == pytest.approx(np.rad2deg(1e-9), rel=1e-6)
    z = activations()
    values = np.linalg.svd(z.numpy(), compute_uv=False) ** 2
    assert captured_share(z, subspace_by_svd(z, 4)) == pytest.approx(values[:4].sum() / values.sum(), rel=1e-12)


@pytest.mark.parametrize("rank", [0, 24, 2.0, True])
def test_a_rank_that_the_width_does_not_allow_is_refused(rank: object) -> None:
    with pytest.raises(InvalidInputError, match="rank"):
        LowRankLayer(24, rank=rank)


@pytest.mark.parametrize("method", PROJECTIONS)
def test_fewer_samples_than_the_rank_are_refused(method: str) -> None:
    with pytest.raises(InvalidInputError, match=r"rank 5 for activations of shape \(4, 24\); expected 1 to 4"):
        PROJECTIONS[method](activations(4), 5)
    with pytest.raises(InvalidInputError, match="one row a sample"):
        PROJECTIONS[method](torch.zeros(4), 1)

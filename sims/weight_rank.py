"""Low-rank weights from compression under weight decay: how tight U7 is, layer by layer, over three weight decays.

    python -m sims.weight_rank --scale smoke

Networks on Fashion-MNIST, mean squared error, plain gradient descent on all images at once, weight decay in the loss:
`√(Σ_{i>K} σ_i(W)²)` of every linear and convolutional layer against U7's bound, at the end of training. A convolution
is a linear map of patches; its samples are all patches of all images, and scatters are summed over an image's.

`smoke`: a narrow MLP on 100 images. `paper` and `full`: an MLP, VGG-11 and ResNet-18 (batch norm, narrow), 300 images.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import nn

from pnc.data import ImageData, load_splits
from pnc.nets import build
from pnc.theory import weight_tail_bound

from .common import Scale, command, new_figure, save

__all__ = ["measure_weights", "reproduce"]

DECAYS = (1e-3, 3e-3, 1e-2)
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"width": 128, "depth": 5, "batch_norm": False},
    "vgg-11-bn": {"width": 8},
    "resnet-18": {"width": 8},
}


def measure_weights(
    model: nn.Module, x: Float[torch.Tensor, "N ..."], y: Int[torch.Tensor, " N"], *, classes: int, weight_decay: float
) -> list[dict[str, float | str]]:
    """Every linear layer's singular values beyond K and U7's bound; gradients as they are in training, all samples."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    handles = []
    for name, module in layers.items():

        def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor, name: str = name) -> None:
            output.retain_grad()
            seen[name] = inputs[0].detach(), output

        handles.append(module.register_forward_hook(keep))
    model.zero_grad()
    _loss(model, x, y, classes).backward()
    for handle in handles:
        handle.remove()
    rows: list[dict[str, float | str]] = []
    for name, module in layers.items():
        z, output = seen[name]
        assert output.grad is not None
        assert module.weight.grad is not None
        signal = output.grad.double() * len(x)  # of one sample's loss
        inputs = z.double()[..., None]  # (N, in, places)
        if isinstance(module, nn.Conv2d):
            assert not isinstance(module.padding, str)
            inputs = nn.functional.unfold(
                z.double(), module.kernel_size, module.dilation, module.padding, module.stride
            )
        within = 0.0
        for k in range(classes):
            part = inputs[y == k]
            within += float(((part - part.mean(dim=(0, 2), keepdim=True)) ** 2).sum()) / len(x)
        W = module.weight.detach().double().flatten(1)
        gradient = module.weight.grad.double().flatten(1) + weight_decay * W
        values = torch.linalg.svdvals(W)
        bound = weight_tail_bound(
            gradient_norm=float(gradient.norm()),
            mean_square_error_signal=float((signal**2).sum()) / len(x),
            within_scatter=within,
            weight_decay=weight_decay,
        )
        tail = float((values[classes:] ** 2).sum().sqrt())
        rows.append({"layer": name, "norm": float(values.norm()), "beyond_K": tail, "bound": bound})
    return rows


def _loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int) -> torch.Tensor:
    targets = nn.functional.one_hot(y, classes).to(x.dtype)
    return ((model(x) - targets) ** 2).sum(dim=1).mean()


def _trained(
    network: str, decay: float, x: torch.Tensor, y: torch.Tensor, *, steps: int, rate: float, width: int | None
) -> nn.Module:
    options: dict[str, Any] = {**NETWORKS[network], **({} if width is None else {"width": width})}
    model = build(network, input_shape=tuple(x.shape[1:]), classes=10, seed=0, **options).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=rate / 100)
    for _ in range(steps):
        optimiser.zero_grad()
        _loss(model, x, y, 10).backward()
        optimiser.step()
        schedule.step()
    return model


def reproduce(out: Path, *, scale: Scale = "smoke", workers: int | None = None, quiet: bool = False) -> dict[str, Any]:
    """What of each layer's weights lies beyond K directions, and what U7 allows."""
    del workers  # gradient descent on all samples: one process
    small = scale == "smoke"
    names, count, steps, width = (["mlp"], 10, 400, 48) if small else (list(NETWORKS), 30, 2000, None)
    data = load_splits("fashion-mnist", samples_per_class=count).train
    assert isinstance(data, ImageData)
    x, y = torch.tensor(data.images, dtype=torch.float32) / 255 - 0.286, torch.tensor(data.y)
    found: dict[str, Any] = {}
    violated, tightest = 0, 0.0
    figure, panels = new_figure(len(names), height=3.2)
    for panel, name in zip(panels, names):
        for decay in DECAYS:
            model = _trained(name, decay, x, y, steps=steps, rate=0.05, width=width)
            rows = measure_weights(model, x, y, classes=10, weight_decay=decay)
            found[f"{name}, weight decay {decay:g}"] = rows
            tails, bounds = ([float(row[key]) for row in rows] for key in ("beyond_K", "bound"))
            violated += sum(tail > bound * (1 + 1e-4) for tail, bound in zip(tails, bounds))
            tightest = max(tightest, *(tail / bound for tail, bound in zip(tails, bounds)))
            (line,) = panel.plot(range(1, len(rows) + 1), tails, "o-", label=f"λ = {decay:g}")
            panel.plot(range(1, len(rows) + 1), bounds, "--", color=line.get_color())
            if not quiet:
                print(f"{name}, λ = {decay:g}: {rows}", file=sys.stderr, flush=True)
        panel.set(xlabel="layer", ylabel="beyond K directions; dashed: U7", yscale="log", title=name)
        panel.legend(frameon=False, fontsize=8)
    return save(out, "weight_rank", figure, {"layers": found, "violated": violated, "largest_share_of_bound": tightest})


if __name__ == "__main__":
    sys.exit(command(reproduce, "weight_rank"))

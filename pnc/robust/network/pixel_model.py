"""`PixelModel`: a network that takes images in [0, 1] and standardises them inside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn
from torch.func import functional_call

from pnc.errors import InvalidInputError

__all__ = ["PixelModel"]


class PixelModel(nn.Module):
    """`model((x - mean) / scale)`, x in [0, 1]: what an attack may change is what a camera would see.

    Always in evaluation mode: a network in train mode is set to it, and a note says so. Gradients reach the images
    and nothing else: the network's own `.grad` stays as it is. Where the output does not depend on the images by any
    differentiable path (a threshold, a detached input), their gradient is 0 instead of an error.

    Args:
        model: the network, (batch, …) → (batch, K) logits; used, not copied.
        mean: (C,) or one number, what is subtracted from every channel; the channels are axis 1.
        scale: (C,) or one number, what it is then divided by; above 0.

    Attributes:
        notes: what a reader of the numbers should know.

    Raises:
        InvalidInputError: a scale that is not above 0, numbers that are not finite.

    >>> net = PixelModel(nn.Linear(2, 2), mean=0.5, scale=0.25)
    >>> net.training, net.notes
    (False, ('the network was in train mode: it was set to evaluation mode',))
    >>> torch.equal(net(torch.full((1, 2), 0.75)), net.model(torch.ones(1, 2)))
    True
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, model: nn.Module, mean: float | Sequence[float] = 0.0, scale: float | Sequence[float] = 1.0
    ) -> None:
        super().__init__()
        in_train_mode = any(module.training for module in model.modules())
        self.notes: tuple[str, ...] = (
            ("the network was in train mode: it was set to evaluation mode",) if in_train_mode else ()
        )
        self.model = model.eval()
        for name, value in (("mean", mean), ("scale", scale)):
            # a reference: standardised exactly as the network was trained, in its own precision
            numbers = torch.as_tensor(value, dtype=torch.float64).detach().reshape(-1)
            if not torch.isfinite(numbers).all() or (name == "scale" and bool((numbers <= 0).any())):
                raise InvalidInputError(
                    got=f"{name} = {numbers.tolist()}",
                    expected="finite numbers" + (" above 0" if name == "scale" else "") + ", one a channel",
                    next_step="take those of the training split",
                )
            self.register_buffer(name, numbers)
        self.eval()

    @property
    def dtype(self) -> torch.dtype:
        """Of the network's weights; that of images handed to it."""
        return next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)

    @property
    def device(self) -> torch.device:
        """Of the network's weights."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    def train(self, mode: bool = True) -> PixelModel:
        """Evaluation mode, whatever is asked for."""
        return super().train(False)

    def forward(self, x: Float[torch.Tensor, "batch ..."]) -> Float[torch.Tensor, "batch ..."]:
        if self.model.training:  # set by somebody else since
            self.model.eval()
        each = (1, -1, *(1,) * (x.ndim - 2))
        standard = ((x - self.mean.to(x).reshape(each)) / self.scale.to(x).reshape(each)).to(self.dtype)
        # without these, a backward pass would add to the .grad of every weight, and pay for it
        fixed = {name: value.detach() for name, value in self.model.named_parameters()}
        logits = functional_call(self.model, fixed, (standard,)) if fixed else self.model(standard)
        if x.requires_grad and torch.is_grad_enabled() and not logits.requires_grad:
            logits = logits + 0 * x.flatten(1).sum(1, keepdim=True)
        return logits

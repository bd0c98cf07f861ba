"""Batch norm over the samples of all processes, on any backend (torch's own does it on GPUs alone)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import distributed, nn
from torch.distributed.nn.functional import all_reduce

__all__ = ["synchronised_batch_norm"]


def _forward(module: nn.modules.batchnorm._BatchNorm, input: torch.Tensor) -> torch.Tensor:
    x = input
    if not module.training:
        return type(module).forward(module, x)
    given = x.dtype
    x = x.float() if given in (torch.float16, torch.bfloat16) else x
    each = (1, -1, *(1,) * (x.ndim - 2))
    axes = [axis for axis in range(x.ndim) if axis != 1]
    count = torch.tensor(float(x.numel() // x.shape[1]), dtype=torch.float64, device=x.device)
    distributed.all_reduce(count)
    n = count.item()
    # in two passes: no square of a large mean is subtracted from another. The sums carry gradients across processes.
    mean = all_reduce(x.sum(axes)) / n
    centred = x - mean.reshape(each)
    variance = all_reduce(centred.square().sum(axes)) / n
    if module.track_running_stats:
        seen, means, variances = module.num_batches_tracked, module.running_mean, module.running_var
        assert seen is not None  # these are there where they are tracked
        assert means is not None
        assert variances is not None
        with torch.no_grad():
            seen += 1
            share = 1 / seen.item() if module.momentum is None else module.momentum
            means.lerp_(mean.to(means.dtype), share)
            variances.lerp_((variance * (n / (n - 1))).to(variances.dtype), share)
    normalised = centred * torch.rsqrt(variance + module.eps).reshape(each)
    if module.affine:
        normalised = normalised * module.weight.reshape(each) + module.bias.reshape(each)
    return normalised.to(given)


@contextmanager
def synchronised_batch_norm(model: nn.Module) -> Iterator[int]:
    """While it lasts, every batch norm of a network uses mean and variance over all processes; yields how many.

    The modules stay what they are, so that names, hooks and saved weights do not change.
    """
    found = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in found:
        module.forward = partial(_forward, module)
    try:
        yield len(found)
    finally:
        for module in found:
            del module.forward

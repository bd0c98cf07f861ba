"""Networks written out once more, as functions of the weights alone, without any of `pnc.nets`' modules."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F


class Weights:
    """Hands out the tensors of a state dictionary in the order in which the network was built."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.left: Iterator[torch.Tensor] = iter(
            [tensor for name, tensor in state.items() if "num_batches" not in name]
        )

    def take(self, count: int) -> list[torch.Tensor]:
        return [next(self.left) for _ in range(count)]

    def exhausted(self) -> bool:
        return next(self.left, None) is None


def norm(x: torch.Tensor, weights: Weights, *, training: bool) -> torch.Tensor:
    weight, bias, mean, variance = weights.take(4)
    return F.batch_norm(x, mean.clone(), variance.clone(), weight, bias, training=training)


def conv_norm(x, weights, *, training, stride=1):
    (kernel,) = weights.take(1)
    return norm(F.conv2d(x, kernel, stride=stride, padding=kernel.shape[-1] // 2), weights, training=training)


def resnet(x, state, *, depth, training) -> torch.Tensor:
    """Table 1 of He et al., with a 3 × 3 stem; a shortcut is projected where the shape changes."""
    weights = Weights(state)
    x = F.relu(conv_norm(x, weights, training=training))
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}[depth]
    channels = 64
    for stage, count in enumerate(blocks):
        out_channels = 64 * 2**stage * (4 if depth == 50 else 1)
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            strides = (1, stride, 1) if depth == 50 else (stride, 1)
            out = x
            for i, step in enumerate(strides):
                out = conv_norm(out, weights, training=training, stride=step)
                if i < len(strides) - 1:
                    out = F.relu(out)
            if stride != 1 or channels != out_channels:
                x = conv_norm(x, weights, training=training, stride=stride)
            x, channels = F.relu(out + x), out_channels
    weight, bias = weights.take(2)
    assert weights.exhausted()
    return x.mean((2, 3)) @ weight.T + bias


def vgg(x, state, *, depth, batch_norm, training) -> torch.Tensor:
    """Table 1 of Simonyan and Zisserman, as the usual list of widths with M for max-pooling."""
    rows = {
        11: "64 M 128 M 256 256 M 512 512 M 512 512 M",
        13: "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
        16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
        19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
    }
    weights = Weights(state)
    for entry in rows[depth].split():
        if entry == "M":
            x = F.max_pool2d(x, 2)
            continue
        kernel, bias = weights.take(2)
        assert len(kernel) == int(entry)
        x = F.conv2d(x, kernel, bias, padding=1)
        if batch_norm:
            x = norm(x, weights, training=training)
        x = F.relu(x)
    weight, bias = weights.take(2)
    assert weights.exhausted()
    return x.mean((2, 3)) @ weight.T + bias


def dense(x, state, *, nonlinear, linear, batch_norm, bias, training, activation=torch.relu) -> torch.Tensor:
    weights = Weights(state)
    x = x.reshape(len(x), -1)
    for index in range(nonlinear + linear + 1):
        weight, *offset = weights.take(2 if bias else 1)
        x = x @ weight.T + (offset[0] if bias else 0)
        if index < nonlinear:
            x = activation(norm(x, weights, training=training) if batch_norm else x)
    assert weights.exhausted()
    return x

"""Small torch modules for the tests of capture."""

import torch
from torch import nn


class Block(nn.Module):
    """A residual block whose activation is one module called twice, in place."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        z = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        z += x
        return self.relu(z)


class Residual(nn.Module):
    """Stem, two blocks, pooled head: a ResNet in small."""

    def __init__(self, classes=3):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.layer1 = nn.Sequential(Block(4), Block(4))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(4, classes)

    def forward(self, x):
        return self.fc(self.pool(self.layer1(self.stem(x))).flatten(1))


class Returning(nn.Module):
    """Returns what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Chain(nn.Module):
    """Runs parts by hand; each sees the latest output that still has a row a sample."""

    def __init__(self, **parts):
        super().__init__()
        self.parts = nn.ModuleDict(parts)

    def forward(self, x):
        for part in self.parts.values():
            y = part(x)
            y = next(iter(y.values())) if isinstance(y, dict) else y[0] if isinstance(y, tuple) else y
            if torch.is_tensor(y) and y.is_floating_point() and y.shape[:1] == x.shape[:1]:
                x = y
        return x


def mlp(dimension=5, width=6, classes=3, depth=3, *, inplace=False, seed=0, dtype=torch.float64):
    """Linear, batch norm, ReLU, …, Linear, with running statistics that are not those of the start."""
    torch.manual_seed(seed)
    parts = []
    for inputs in (dimension, *[width] * (depth - 2)):
        parts += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(inplace=inplace)]
    model = nn.Sequential(*parts, nn.Linear(width, classes)).to(dtype)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(40, dimension, dtype=dtype))
    return model

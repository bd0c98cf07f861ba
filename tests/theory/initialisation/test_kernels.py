"""The kernels against draws of networks, with tolerances from the spread over draws."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pnc.errors import InvalidInputError, NotApplicableError
from pnc.theory.initialisation import (
    Activation,
    Average,
    Convolution,
    Dense,
    Flatten,
    MaxPool,
    Named,
    Residual,
    Scale,
    kernels,
)

RELU, HERE = Activation(name="relu"), Named(name="here")


def last(layers, X, **options):
    return dict(kernels((*layers, HERE), X, **options))["here"]


def images(N=4, channels=2, side=7, seed=0):
    return np.random.default_rng(seed).normal(size=(N, channels, side, side)) + 0.3


def mean_and_error(make, X, draws):
    """Mean Gram matrix over draws of a network, and the standard error of each entry."""
    with torch.no_grad():
        grams = []
        for seed in range(draws):
            torch.manual_seed(seed)
            z = make()(torch.from_numpy(X)).flatten(1).numpy()
            grams.append(z @ z.T)
    grams = np.array(grams)
    return grams.mean(axis=0), grams.std(axis=0, ddof=1) / np.sqrt(draws)


def convolution(inputs, width, kernel, *, gain, bias=0.0, **options):
    made = nn.Conv2d(inputs, width, kernel, bias=bias > 0, dtype=torch.float64, **options)
    nn.init.normal_(made.weight, std=np.sqrt(gain / made.weight[0].numel()))
    if bias:
        nn.init.normal_(made.bias, std=np.sqrt(bias))
    return made


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((3, 3), (1, 1), (1, 1)), ((3, 2), (2, 1), (0, 1)), ((5, 5), (3, 3), (2, 2))]
)
def test_the_first_convolution_is_exact_at_any_width(kernel, stride, padding):
    X, options = images(), {"stride": stride, "padding": padding}
    law = last((Convolution(width=64, gain=1.5, bias=0.2, kernel=kernel, **options), RELU), X)
    mean, error = mean_and_error(
        lambda: nn.Sequential(convolution(2, 64, kernel, gain=1.5, bias=0.2, **options), nn.ReLU()), X, draws=400
    )
    assert np.all(np.abs(mean - law) < 4.5 * error)
    assert np.any(np.abs(mean - 1.05 * law) > 4.5 * error)  # five per cent would be seen


@pytest.mark.parametrize("kernel", [None, (2, 2), (3, 3)])
def test_average_pooling_of_a_convolution(kernel):
    X = images()
    layers = (Convolution(width=8, gain=2.0, kernel=(3, 3), padding=(1, 1), bias=0.1), RELU)
    pool = (lambda z: z.mean((2, 3))) if kernel is None else (lambda z: F.avg_pool2d(z, kernel, stride=2))
    stride = None if kernel is None else (2, 2)
    law = last((*layers, Average(kernel=kernel, stride=stride)), X)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = convolution(2, 8, 3, gain=2.0, bias=0.1, padding=1)

        def forward(self, x):
            return pool(F.relu(self.conv(x)))

    mean, error = mean_and_error(Net, X, draws=400)
    assert np.all(np.abs(mean - law) < 4.5 * error)
    # samples are not averaged pixel by pixel: without the pairs of pixels the law would be off
    alone = last(layers, X) / (1 if kernel is None else np.prod(kernel))
    assert np.any(np.abs(mean - alone / 49) > 4.5 * error)


def test_two_wide_layers_then_pooling_of_pairs_at_a_distance_behind_a_stride():
    X = images()
    layers = (
        Convolution(width=600, gain=2.0, kernel=(3, 3), stride=(2, 2), padding=(1, 1)),
        RELU,
        Convolution(width=20, gain=2.0, kernel=(3, 3), padding=(1, 1)),
        RELU,
        Average(),
    )
    mean, error = mean_and_error(
        lambda: nn.Sequential(
            convolution(2, 600, 3, gain=2.0, stride=2, padding=1),
            nn.ReLU(),
            convolution(600, 20, 3, gain=2.0, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        ),
        X,
        draws=150,
    )
    # width 600: the first layer's fluctuations move the mean by less than a per cent
    assert np.all(np.abs(mean - last(layers, X)) < 4.5 * error + 0.01 * np.abs(mean))


class PostActivation(nn.Module):
    """relu(conv(relu(conv(x))) + relu(conv(x))) as in a ResNet: the identity shortcut carries a rectified value."""

    def __init__(self, width):
        super().__init__()
        self.stem = convolution(2, width, 3, gain=2.0, padding=1)
        self.branch = convolution(width, width, 3, gain=2.0, padding=1)

    def forward(self, x):
        h = F.relu(self.stem(x))
        return F.relu(self.branch(h) + h)


def test_an_identity_shortcut_before_an_activation_is_sampled():
    X = images(side=5)
    stem = Convolution(width=300, gain=2.0, kernel=(3, 3), padding=(1, 1))
    law = last((stem, RELU, Residual(branch=(stem,)), RELU), X, samples=20_000)
    mean, error = mean_and_error(lambda: PostActivation(300), X, draws=60)
    assert np.all(np.abs(mean - law) < 4.5 * error + 0.01 * np.abs(mean))
    # what a Gaussian of the same second moment would give is another number
    gaussian = last((stem, RELU, Convolution(width=300, gain=2.0 * 2, kernel=(3, 3), padding=(1, 1)), RELU), X)
    assert np.any(np.abs(mean - gaussian) > 4.5 * error + 0.01 * np.abs(mean))


def test_pre_activation_blocks_are_closed():
    X = np.random.default_rng(0).normal(size=(5, 12))
    first, block = Dense(width=2000, gain=1.0), Residual(branch=(RELU, Dense(width=2000, gain=2.0)))
    law = last((first, block, block, RELU), X)

    def make():
        weights = [torch.randn(2000, 12, dtype=torch.float64) / 12**0.5]
        weights += [torch.randn(2000, 2000, dtype=torch.float64) * (2 / 2000) ** 0.5 for _ in range(2)]

        def net(x):
            z = x @ weights[0].T
            for w in weights[1:]:
                z = z + F.relu(z) @ w.T
            return F.relu(z)

        return net

    mean, error = mean_and_error(make, X, draws=12)
    assert np.all(np.abs(mean - law) < 6 * error + 0.01 * np.abs(mean))


def test_scale_flatten_and_dense():
    X = images(side=4)
    layers = (
        Convolution(width=3, gain=1.0, kernel=(3, 3)),
        Scale(factor=0.5),
        Flatten(),
        Dense(width=7, gain=2.0, bias=0.3),
    )
    pixels = last(layers[:1], X) / (3 * 4)  # mean over channels and pixels
    np.testing.assert_allclose(last(layers, X), 7 * (2.0 * 0.25 * pixels + 0.3), rtol=1e-12)


def test_rows_and_images_of_one_pixel_are_the_same():
    X = np.random.default_rng(0).normal(size=(4, 6))
    dense = last((Dense(width=5, gain=2.0), RELU), X)
    one = last((Convolution(width=5, gain=2.0, kernel=(1, 1)), RELU), X[:, :, None, None])
    np.testing.assert_allclose(dense, one, rtol=1e-13)


def test_refused():
    X = images()
    stem = Convolution(width=4, gain=2.0, kernel=(3, 3), padding=(1, 1))
    with pytest.raises(NotApplicableError, match="max-pooling"):
        last((stem, RELU, MaxPool()), X)
    with pytest.raises(NotApplicableError, match="identity shortcut"):
        last((stem, RELU, Residual(branch=(stem,)), RELU, Average()), X)
    with pytest.raises(NotApplicableError, match="ends in a linear layer"):
        last((stem, RELU, Residual(branch=(stem, RELU)), RELU), X)
    with pytest.raises(InvalidInputError, match="one pixel"):
        last((stem, Dense(width=3, gain=1.0)), X)
    with pytest.raises(InvalidInputError, match="equal shapes"):
        last((stem, Residual(branch=(Convolution(width=5, gain=1.0, kernel=(1, 1)),))), X)
    with pytest.raises(InvalidInputError, match="NaN"):
        last((stem,), np.full((2, 1, 3, 3), np.nan))

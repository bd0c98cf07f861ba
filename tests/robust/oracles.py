"""Attacks by hand: a network of one hidden layer, its gradient written out, NumPy alone."""

from __future__ import annotations

import numpy as np


class TwoLayers:
    """z = W₂ relu(W₁ (x - mean)/scale + b₁) + b₂, in float64."""

    def __init__(self, w1, b1, w2, b2, *, mean=0.0, scale=1.0):
        self.w1, self.b1, self.w2, self.b2 = (np.asarray(part, dtype=np.float64) for part in (w1, b1, w2, b2))
        self.mean, self.scale = mean, scale

    def hidden(self, x):
        return ((x.reshape(len(x), -1) - self.mean) / self.scale) @ self.w1.T + self.b1

    def logits(self, x):
        return np.maximum(self.hidden(x), 0) @ self.w2.T + self.b2

    def pulled_back(self, x, by_logits):
        """∇ₓ of a function of the logits whose gradient there is `by_logits`."""
        through = (by_logits @ self.w2) * (self.hidden(x) > 0)
        return (through @ self.w1 / self.scale).reshape(x.shape)

    def cross_entropy_gradient(self, x, y):
        z = self.logits(x)
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        return self.pulled_back(x, p)

    def margin_gradient(self, x, y):
        """Of the largest other logit less the label's."""
        z = self.logits(x)
        rows = np.arange(len(y))
        others = z.copy()
        others[rows, y] = -np.inf
        g = np.zeros_like(z)
        g[rows, others.argmax(1)] = 1
        g[rows, y] -= 1
        return self.pulled_back(x, g)


def projected(delta, radius, norm):
    if norm == "linf":
        return np.clip(delta, -radius, radius)
    lengths = np.sqrt((delta.reshape(len(delta), -1) ** 2).sum(1)).reshape(-1, *[1] * (delta.ndim - 1))
    return np.where(lengths > radius, delta * radius / np.maximum(lengths, 1e-300), delta)


def ascent(net, x, y, *, radius, norm, step, steps, start=0.0, loss="cross-entropy", targets=None):
    """Signed or normalised gradient steps, projected onto the ball and then onto [0, 1]."""
    gradient = net.cross_entropy_gradient if loss == "cross-entropy" else net.margin_gradient
    at = np.clip(x + start, 0, 1)
    for _ in range(steps):
        g = gradient(at, y) if targets is None else -gradient(at, targets)
        if norm == "linf":
            way = np.sign(g)
        else:
            way = g / np.sqrt((g.reshape(len(g), -1) ** 2).sum(1)).reshape(-1, *[1] * (g.ndim - 1))
        at = np.clip(x + projected(at + step * way - x, radius, norm), 0, 1)
    return at

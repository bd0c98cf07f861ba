"""What the exact law needs to know of a problem: a few numbers per signal direction, and the residual's.

By T1/T3 the features of layer l are, up to a rotation, the scores on the signal directions times σ_i^l and
the residual coordinates times ε^l. Scatters, class means and fuzziness of every layer therefore follow from
one pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pnc.data import GramProblem, Inputs, Problem, StreamedProblem
from pnc.errors import InvalidInputError
from pnc.spec import NetworkSpec
from pnc.theory.class_factor import class_sums
from pnc.theory.gram_modes import gram_modes
from pnc.theory.signal import SignalModes, data_modes, deviations, signal_modes, signal_spectrum

__all__ = ["LayerStatistics", "ResidualStatistics", "layer_statistics", "statistics_of_modes"]

_ENTRIES = 1 << 18  # numbers of a block of layers: 2 MB, however many layers there are


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidualStatistics:
    """The residual coordinates of the samples at scale 1, summed up.

    Args:
        means: (K, m) class means in some orthonormal basis; their Gram matrix is `Q_0 - B Bᵀ`.
        within: trace of their within-class scatter.
        within_of_means: (K, K) `c Σ_W cᵀ`, where c are the means about the global mean.
        cross_of_means: (r, K) `S cᵀ`, where S is the within-class scatter of signal scores with the residual.
        text: which directions it keeps, for provenance.
    """

    means: Float[np.ndarray, "K m"]
    within: float
    within_of_means: Float[np.ndarray, "K K"]
    cross_of_means: Float[np.ndarray, "r K"]
    text: str

    def scaled(self, share: float, text: str) -> ResidualStatistics:
        """The same with the projection onto the residual directions times `share`."""
        return ResidualStatistics(
            means=np.sqrt(share) * self.means,
            within=share * self.within,
            within_of_means=share**2 * self.within_of_means,
            cross_of_means=share * self.cross_of_means,
            text=text,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStatistics:
    """Everything from which T1–T4 give each layer.

    Args:
        statement: `"T1"` where G is invertible and no direction is truncated, else `"T3"`.
        depth: L.
        residual_scale: ε.
        priors: (K,) p.
        signal_scales: (r,) σ_i = s_i^{1/L}, what each layer multiplies signal direction i by.
        signal_means: (K, r) B, class means of the signal scores `v_iᵀ x`.
        signal_within: (r, r) within-class scatter of the signal scores; zero where the labels are
            interpolated.
        residual_input: residual statistics of layer 0, where nothing is lost yet.
        residual_hidden: of layers 1…L-1, after the projection onto what the width lets through.
    """

    statement: str
    depth: int
    residual_scale: float
    priors: Float[np.ndarray, " K"]
    signal_scales: Float[np.ndarray, " r"]
    signal_means: Float[np.ndarray, "K r"]
    signal_within: Float[np.ndarray, "r r"]
    residual_input: ResidualStatistics
    residual_hidden: ResidualStatistics

    def residual(self, layer: int) -> ResidualStatistics:
        """Residual statistics (at scale 1) that layer `layer` sees."""
        return self.residual_input if layer == 0 else self.residual_hidden

    def layers(self) -> range:
        """Layers of the law, 0…L-1."""
        return range(self.depth)

    def signal_powers(self) -> Float[np.ndarray, "L r"]:
        """(L, r) `σ_i^{2l}` of layers 0…L-1."""
        return self.signal_scales[None, :] ** (2 * np.arange(self.depth)[:, None])

    def residual_powers(self) -> Float[np.ndarray, " L"]:
        """(L,) `ε^{2l}` of layers 0…L-1."""
        return self.residual_scale ** (2 * np.arange(self.depth))

    def mean_factors(self) -> Iterator[tuple[slice, Float[np.ndarray, "l K m"]]]:
        """`mean_factor` of many layers at a time: layer 0 by itself, then blocks that fit in a cache.

        A network may have 100,000 layers: one call a layer would take a minute, all in one array gigabytes.
        """
        entries = self.signal_means.size + self.residual_hidden.means.size
        step = max(1, _ENTRIES // (entries + self.priors.size**2))
        for start, stop in [(0, 1), *((l, min(l + step, self.depth)) for l in range(1, self.depth, step))]:
            l = np.arange(start, stop)[:, None, None]
            parts = (
                self.signal_means * self.signal_scales**l,
                self.residual(start).means * self.residual_scale**l,
            )
            yield slice(start, stop), np.concatenate(parts, axis=2)

    def mean_factor(self, layer: int) -> Float[np.ndarray, "K m"]:
        """(K, r + m) class means of layer `layer` up to a rotation: `[B diag(σ^l), ε^l means]`."""
        return np.hstack(
            [
                self.signal_means * self.signal_scales**layer,
                self.residual(layer).means * self.residual_scale**layer,
            ]
        )

    def centred(self, means: Float[np.ndarray, "*l K m"]) -> Float[np.ndarray, "*l K m"]:
        """`J means`, `J = I - 1 pᵀ`: class means about the sample-weighted global mean, of one layer or of many."""
        return means - (self.priors @ means)[..., None, :]


def layer_statistics(
    problem: Inputs,
    network: NetworkSpec,
    *,
    residual_projection: Float[np.ndarray, "m d"] | None = None,
) -> LayerStatistics:
    """The statistics of signal and residual from which T1–T4 follow (theory note, T1 and T3).

    For G invertible, `X v_i = Yᵀ u_i / (α s_i)` is constant within a class: T1 uses this exactly. Otherwise
    the scores are taken from the data (T3). For a width d_h < d the residual of layers l ≥ 1 is `XᵀΠX`, Π the
    projection onto the rows of `residual_projection`; without it Π is replaced by its Haar average,
    `(d_h - r)/(d - r)` times the identity on the complement of the signal.

    Args:
        residual_projection: (m, d), orthonormal rows, m ≤ min(d_h, d) - r; its component along the signal is
            removed.

    Raises:
        InvalidInputError: a projection of the wrong shape or without orthonormal rows, a width below r.

    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> layer_statistics(problem, NetworkSpec(depth=3)).statement
    'T1'
    """
    if isinstance(problem, GramProblem):
        if residual_projection is not None:
            raise InvalidInputError(
                got="a residual_projection with a problem that is known by its Gram matrix alone",
                expected="the inputs, which the projection refers to",
                next_step="pass a Problem with X",
            )
        return _of_gram(problem, network)
    data, modes = data_modes(problem), signal_modes(problem, network)
    d, r = data.dimension, modes.directions
    if data.interpolates:
        signal_means = modes.left / (network.label_scale * modes.values)
    else:
        signal_means = data.class_means @ modes.right
    signal_within, complete = _pass_over_data(problem, modes, signal_means, None, exact=data.interpolates)
    hidden = complete
    if residual_projection is not None:
        basis = _checked_projection(residual_projection, modes, network)
        hidden = _pass_over_data(problem, modes, signal_means, basis, exact=data.interpolates)[1]
    elif network.width is not None and network.width < d:
        kept, of = network.width - r, d - r
        hidden = complete.scaled(kept / of, f"Haar average: {kept}/{of} of the residual directions (width < d)")
    return LayerStatistics(
        statement="T1" if data.gram_invertible and modes.truncated.size == 0 else "T3",
        depth=network.depth,
        residual_scale=network.residual_scale,
        priors=data.counts / data.samples,
        signal_scales=modes.values ** (1 / network.depth),
        signal_means=signal_means,
        signal_within=signal_within,
        residual_input=complete,
        residual_hidden=hidden,
    )


def statistics_of_modes(
    problem: Problem,
    modes: SignalModes,
    *,
    statement: str,
    layers: int,
    signal_scales: Float[np.ndarray, " r"],
    residual_scale: float,
    fitted: bool,
    label_scale: float = 1.0,
) -> LayerStatistics:
    """Statistics of features whose part along each mode grows by one factor a layer, and the rest by another.

    Args:
        modes: which directions of the input are signal.
        statement: which statement says so.
        layers: how many layers it speaks of, the input included.
        signal_scales: (r,) what each layer multiplies signal direction i by.
        residual_scale: what each layer multiplies everything else by.
        fitted: whether the modes are those of (Y/α) X⁺; their scores are then constant within a class where the
            labels are interpolated.
        label_scale: α of the modes.

    >>> from pnc.theory.signal import fitted_modes
    >>> problem = Problem(X=np.eye(4, 6), y=[0, 0, 1, 1])
    >>> modes = fitted_modes(problem)
    >>> statistics_of_modes(problem, modes, statement="R1", layers=4, signal_scales=np.ones(2), residual_scale=1.0,
    ...                     fitted=True).layers()
    range(0, 4)
    """
    data = data_modes(problem)
    exact = fitted and data.interpolates
    means = modes.left / (label_scale * modes.values) if exact else data.class_means @ modes.right
    within, complete = _pass_over_data(problem, modes, means, None, exact=exact)
    return LayerStatistics(
        statement=statement,
        depth=layers,
        residual_scale=residual_scale,
        priors=data.counts / data.samples,
        signal_scales=signal_scales,
        signal_means=means,
        signal_within=within,
        residual_input=complete,
        residual_hidden=complete,
    )


def _of_gram(problem: GramProblem, network: NetworkSpec) -> LayerStatistics:
    """From the Gram matrix: the labels are interpolated, so the signal's scores are the same within a class."""
    data, modes = gram_modes(problem), signal_spectrum(problem, network)
    r, K, priors = modes.directions, data.counts.size, data.counts / data.samples
    signal_means = modes.left / (network.label_scale * modes.values)
    # of the class means, Xᵀ Yᵀ D⁻¹, what is left beside the signal is Xᵀ a; the products of the samples with it are G a
    on_signal = signal_means @ signal_means.T
    a = -data.label_weights @ on_signal
    a[np.arange(data.samples), problem.y] += 1 / data.counts[problem.y]
    Ga = data.mean_products - on_signal[problem.y]
    values, vectors = np.linalg.eigh(a.T @ Ga)
    about = data.mean_products - (class_sums(data.mean_products, problem.y, K) / data.counts[:, None])[problem.y]
    centring = np.eye(K) - priors
    complete = ResidualStatistics(
        means=vectors * np.sqrt(values.clip(min=0)),
        within=data.within,
        within_of_means=centring @ (about.T @ about / data.samples) @ centring.T,
        cross_of_means=np.zeros((r, K)),
        text="complete",
    )
    hidden = complete
    if network.width is not None and network.width < data.dimension:
        kept, of = network.width - r, data.dimension - r
        hidden = complete.scaled(kept / of, f"Haar average: {kept}/{of} of the residual directions (width < d)")
    return LayerStatistics(
        statement="T3" if modes.truncated.size else "T1",
        depth=network.depth,
        residual_scale=network.residual_scale,
        priors=priors,
        signal_scales=modes.values ** (1 / network.depth),
        signal_means=signal_means,
        signal_within=np.zeros((r, r)),
        residual_input=complete,
        residual_hidden=hidden,
    )


def _pass_over_data(
    problem: Problem | StreamedProblem,
    modes: SignalModes,
    signal_means: np.ndarray,
    basis: np.ndarray | None,
    *,
    exact: bool,
) -> tuple[np.ndarray, ResidualStatistics]:
    """One pass in blocks: within-class scatter of the signal scores, and the residual's statistics in
    `basis`."""
    data, V = data_modes(problem), modes.right
    means = data.class_means - signal_means @ V.T
    means -= (means @ V) @ V.T  # B comes from the labels: what rounding left along the signal goes
    centred = means - (data.counts / data.samples) @ means
    if basis is not None:
        means, centred = means @ basis.T, centred @ basis.T
    r, K = modes.directions, problem.classes
    signal_within, cross, of_means, within = np.zeros((r, r)), np.zeros((r, K)), np.zeros((K, K)), 0.0
    for rows in deviations(problem):
        scores = rows @ V
        residual = rows - scores @ V.T
        if basis is not None:
            residual = residual @ basis.T
        on_means = residual @ centred.T
        within += float(np.vdot(residual, residual))
        of_means += on_means.T @ on_means
        if not exact:
            signal_within += scores.T @ scores
            cross += scores.T @ on_means
    # a K × K factor with the same Gram matrix is all that the layers need of the residual means
    if means.shape[1] > K:
        means = np.linalg.qr(means.T).R.T
    N = data.samples
    text = "complete" if basis is None else f"the given projection onto {basis.shape[0]} directions"
    return signal_within / N, ResidualStatistics(
        means=means,
        within=within / N,
        within_of_means=of_means / N,
        cross_of_means=cross / N,
        text=text,
    )


def _checked_projection(projection: np.ndarray, modes: SignalModes, network: NetworkSpec) -> np.ndarray:
    """Orthonormal rows orthogonal to the signal, from what the caller gave."""
    projection = np.asarray(projection, dtype=np.float64)
    d, r = modes.right.shape
    most = min(network.width if network.width is not None else d, d) - r
    if projection.ndim != 2 or projection.shape[1] != d or projection.shape[0] > most:
        raise InvalidInputError(
            got=f"residual_projection of shape {projection.shape}",
            expected=f"shape (m, {d}) with m ≤ {most} = min(width, d) - signal directions",
            next_step="pass the rows that residual_projection_of(weights, …) returns",
        )
    off = float(np.abs(projection @ projection.T - np.eye(projection.shape[0])).max(initial=0.0))
    if off > 1e-6:
        raise InvalidInputError(
            got=f"residual_projection whose rows miss orthonormality by {off:.2g}",
            expected="orthonormal rows",
            next_step="orthonormalise them, for instance with numpy.linalg.qr",
        )
    cleaned = projection - (projection @ modes.right) @ modes.right.T
    return np.linalg.svd(cleaned, full_matrices=False)[2] if cleaned.size else cleaned

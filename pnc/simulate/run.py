"""`simulate`: train a deep linear network and measure every layer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float

from pnc.curves import LayerCurve
from pnc.data import Problem
from pnc.errors import InvalidInputError
from pnc.measure import ClassSummary, measure_linear
from pnc.simulate.balanced import BalancedNetworks
from pnc.simulate.device import resolve_device, threads_for
from pnc.simulate.economical import EconomicalData, economical
from pnc.simulate.history import History, Recorder
from pnc.simulate.initial import (
    ReducedClassifier,
    default_weights,
    first_factor,
    full_orthogonal_weights,
    orthogonal_weights_of,
    reduced_classifier,
    reduced_orthogonal_weights,
)
from pnc.simulate.krylov import CutOff, KrylovCoordinates, krylov_coordinates, summary_inside
from pnc.simulate.networks import Networks
from pnc.simulate.outcome import Outcome
from pnc.simulate.powers import measure_powers
from pnc.simulate.train import Course, Progress, Trained, train_together
from pnc.spec import NetworkSpec, SimulationSpec
from pnc.theory import (
    SIGNAL_MARGIN,
    Certificate,
    SignalModes,
    WeightAssumptions,
    certify,
    exact_weights,
    measure_weights,
    residual_projection_of,
    rounding_allowance,
    signal_modes,
)
from pnc.threads import threads_by_size

__all__ = ["PreparedRun", "Simulation", "UsedCoordinates", "initial_weights", "prepare", "simulate", "train_stack"]

_CONVERGED = 1e-16  # the usual tolerance of the loss
_UNSEEN = 1e-3  # share of C in the last layer that what is left of the loss may make up
_LEAST_LOSS = 1e-26  # below, rounding decides
_CERTIFIED_DEPTH = 300  # likewise, in depth
_MEASURED_DEPTH = 256  # hidden layers that are one matrix are looked at so far; beyond they differ by less and less
_CERTIFIED_WIDTH = 1500  # wider, the singular values that the certificate reads take longer than training


@dataclass(frozen=True, kw_only=True, eq=False)
class UsedCoordinates:
    """In which coordinates a network was trained.

    Args:
        kind: `krylov` (Y4), `reduced` (Y2) or `full`.
        dimensions: of the hidden layers.
        of: what they are in reduced coordinates; with `full`, the width.
        cut_off: share of the update of W_1, where it is largest, that these coordinates leave out.
        span: (d, m) orthonormal basis of the inputs' whole span where W_1 acts on a part of it.
    """

    kind: Literal["krylov", "reduced", "full"]
    dimensions: int
    of: int
    cut_off: float = 0.0
    span: np.ndarray | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything but the basis."""
        return {name: value for name, value in vars(self).items() if name != "span"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulation:
    """A trained network and what its layers do.

    Args:
        outcome: how training ended.
        measured: `LayerCurve` of layers 0…L-1.
        residuals: how far the weights are from A1–A3.
        weights: W_1…W_L in the coordinates of `train.coordinates`; reduced ones act on `basisᵀ x`. `written_out` gives
            them on the whole span of the inputs.
        basis: (d, m) orthonormal basis of the span of the inputs, or of the part of it that training moves (Y4).
        inputs: the problem in the coordinates that W_1 acts on; the last one carries the scatter of all directions that
            training does not move, where there are such.
        coordinates: which are used, and how much of the update they leave out.
        residual_projection: (d_h - r, d) residual directions that W_1 lets through for d_h < d, else `None`; for
            `predict`.
        history: curves along training, where `train.record` asked for them.
        loss: loss on the signal directions as a share of its start.
        steps: integrator and descent steps.
        evaluations: gradients computed.
        flow_time: the sum of the steps, in units of 1 / (loss per squared weight).
        learning_rate: of the descent; NaN where there was none.
        stable_learning_rate: a step size at which descent is stable to the end.
        seconds: wall time of training.
        network: with the width that was used.
        train: as it was carried out.
    """

    outcome: Outcome
    measured: LayerCurve
    residuals: WeightAssumptions
    weights: list[np.ndarray]
    basis: np.ndarray
    inputs: Problem
    coordinates: UsedCoordinates
    residual_projection: np.ndarray | None
    history: History | None
    loss: float
    steps: int
    evaluations: int
    flow_time: float
    learning_rate: float
    stable_learning_rate: float
    seconds: float
    network: NetworkSpec
    train: SimulationSpec

    @cached_property
    def certificate(self) -> Certificate | None:
        """Intervals that these weights must obey (theory note, T8); `None` for too many or too wide matrices."""
        if max(self.weights[0].shape) > _CERTIFIED_WIDTH or self.network.depth > _CERTIFIED_DEPTH:
            return None
        return certify(self.weights, self.inputs.X, self.inputs.y)

    def written_out(self) -> tuple[list[np.ndarray], np.ndarray]:
        """W_1…W_L and the basis that W_1 acts on, where Krylov coordinates hold a part of it (theory note, Y4).

        Outside V a hidden layer is ε times the identity. Other coordinates are given as they are.
        """
        span = self.coordinates.span
        if span is None:
            return self.weights, self.basis
        ε, inner = self.network.residual_scale, span.T @ self.basis
        size, beside = span.shape[1], inner.shape[1] - 1  # the last direction of the basis stands for those beside V
        extra = self.weights[0].shape[0] - inner.shape[1]
        frame = np.zeros((size + extra, inner.shape[1] + extra))
        frame[:size, :beside], frame[size:, beside:-1], frame[:size, -1] = (
            inner[:, :beside],
            np.eye(extra),
            inner[:, -1],
        )
        rest = ε * (np.eye(size + extra) - frame @ frame.T)
        first = frame @ self.weights[0] @ inner.T
        first[:size] += ε * (np.eye(size) - inner @ inner.T)
        hidden = [frame @ w @ frame.T + rest for w in self.weights[1:-1]]
        return [first, *hidden, self.weights[-1] @ frame.T], span

    @property
    def advice(self) -> str:
        """What the outcome suggests to do, with numbers."""
        if self.outcome is Outcome.DIVERGED:
            return f"{self.outcome.value}, for instance {self.stable_learning_rate:.3g}"
        return self.outcome.value


def initial_weights(
    problem: Problem, network: NetworkSpec, train: SimulationSpec
) -> tuple[list[np.ndarray], EconomicalData]:
    """Initial weights W_1…W_L in the coordinates of `train`, and the economical data that go with them.

    Reduced and full coordinates share one draw: with the same seed they are the same network (theory note, Y2).

    Raises:
        InvalidInputError: a width that is not stated or too small for the labels.
    """
    width = network.stated_width
    signal_modes(problem, network)  # refuses a width that the labels cannot pass
    data = economical(problem, network)
    reduced = train.coordinates == "reduced"
    if train.weights == "default":
        return default_weights(data, network, seed=train.seed), data
    if train.weights == "exact":
        if not reduced:
            return exact_weights(problem, network, seed=train.seed), data
        size = min(width, data.scale.size + problem.classes)
        inside = Problem(X=problem.X @ data.basis, y=problem.y)
        return exact_weights(inside, replace(network, width=size), seed=train.seed), data
    make = reduced_orthogonal_weights if reduced else full_orthogonal_weights
    return make(data, network, seed=train.seed), data


def _require_signal(modes: SignalModes, network: NetworkSpec) -> None:
    if modes.directions:
        return
    largest = float(modes.truncated[0])
    scale = (largest / SIGNAL_MARGIN) ** (1 / network.depth)
    raise InvalidInputError(
        got=f"no direction to learn: the largest singular value of the least-squares map is {largest:.3g}",
        expected=f"one above {modes.threshold:.3g}, what the initial weights leave in every direction",
        next_step=f"pass `residual_scale` below {scale:.3g} or a smaller `label_scale`"
        if scale > 1e-3
        else "check that the inputs tell the classes apart linearly, and `label_scale`",
    )


def simulate(
    problem: Problem,
    network: NetworkSpec,
    train: SimulationSpec | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
) -> Simulation:
    """Train a deep linear network on a problem and measure C_l, D_l and the rest of every layer.

    The loss is ‖W_{L:1} X - Y/α‖²_F / N. Its minimum over linear maps takes no part (theory note, Y3), and directions
    that are not signal, which decay only algebraically, are left out of the stopping rule (T3). With `exact` weights
    nothing is left to train. Ctrl-C ends training; what was reached is returned with the outcome INTERRUPTED.

    Args:
        problem: inputs and labels.
        network: depth, width, ε and α; without a width, the widest of the input dimension, 512
            and 32 K (the law's error falls like K over the width).
        train: how; `SimulationSpec()` where not given.
        progress: called about ten times a second.

    Raises:
        InvalidInputError: a width too small for the labels, an ε that hides every direction, a device that is not
            there.

    >>> problem = Problem(X=np.eye(6, 8), y=[0, 0, 0, 1, 1, 1])
    >>> run = simulate(problem, NetworkSpec(depth=3, width=300))
    >>> run.outcome.name, len(run.measured)
    ('CONVERGED', 3)
    """
    with threads_by_size(*problem.X.shape):
        return _simulate(problem, network, train or SimulationSpec(), progress)


def _simulate(
    problem: Problem,
    network: NetworkSpec,
    train: SimulationSpec,
    progress: Callable[[Progress], None] | None,
) -> Simulation:
    run = prepare(problem, network, train)
    while True:
        recorder, began = run.recorder(), time.perf_counter()
        with threads_for(max(run.shapes[1]), run.device):
            [trained] = train_stack([run], [recorder], progress=progress)
        found = run.finish(trained, recorder, seconds=time.perf_counter() - began)
        if not found.coordinates.cut_off > run.train.cut_off or trained.outcome is Outcome.INTERRUPTED:
            return found
        run = run.in_more_coordinates()


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedRun:
    """A run with everything that does not change in training; `prepare` makes it.

    Args:
        problem: inputs and labels.
        network: with its width.
        train: how it is trained.
        device: where.
        data: economical data (Y3).
        initial: W_1…W_L, or w and γ (Y5).
        summary: of the inputs in the coordinates of their span, or in Krylov coordinates.
        krylov: Krylov coordinates, where they are used; `data`, `initial` and `summary` are then in these.
        inside: the problem in the coordinates that reduced weights act on.
        span: (d, m) orthonormal basis of the inputs' span.
        largest: largest singular value of the inputs.
        smallest: smallest of their span.
    """

    problem: Problem
    network: NetworkSpec
    train: SimulationSpec
    device: torch.device
    data: EconomicalData
    initial: list[np.ndarray]
    summary: ClassSummary
    krylov: KrylovCoordinates | None
    inside: Problem
    span: np.ndarray
    largest: float
    smallest: float

    @property
    def reduced(self) -> bool:
        """Whether the weights are in reduced coordinates."""
        return self.train.coordinates == "reduced"

    @property
    def balanced(self) -> bool:
        """Whether training moves two matrices of K rows in place of all weights (theory note, Y5)."""
        train, wide = self.train, self.network.stated_width >= self.problem.dimension
        law = train.weights == "orthogonal" and train.engine == "flow" and self.reduced and wide
        return law and self.device.type == "cpu" and train.dtype == "float64"

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of what training moves: W_1…W_L in the coordinates of the run, or w and γ (Y5)."""
        return tuple((w.shape[0], w.shape[1]) for w in self.initial)

    @property
    def stable_learning_rate(self) -> float:
        """A step size at which descent is stable to the end.

        At a balanced minimum the curvature is at most (2/N) ‖X‖² L s^(2-2/L) (theory note, Y1).
        """
        depth, data = self.network.depth, self.data
        largest = data.signal_values[0] ** (2 - 2 / depth) * self.largest**2
        return data.samples / (2 * depth * largest)

    @property
    def _sought(self) -> float:
        """The loss at which a flow ends: what is unlearned must not be seen in the last layer, where C_l ~ ε^{2(L-1)}.

        Whoever asks for a larger loss than usual gets it.
        """
        train, network = self.train, self.network
        if not self.balanced or train.loss_tolerance > _CONVERGED:
            return train.loss_tolerance
        seen = _UNSEEN * network.residual_scale ** (2 * (network.depth - 1))
        return min(train.loss_tolerance, max(seen, _LEAST_LOSS))

    @property
    def course(self) -> Course:
        """How training goes and when it ends."""
        train = self.train
        largest = max(float(np.abs(w).max()) for w in self.initial)
        return Course(
            signal_left=self.data.signal_left,
            steps=train.steps,
            tolerance=train.loss_tolerance,
            sought=self._sought,
            scale=self.network.residual_scale if train.weights == "orthogonal" else largest,
            learning_rate=(train.learning_rate or self.stable_learning_rate) if train.engine == "descent" else None,
        )

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device, getattr(torch, self.train.dtype))[None]

    def networks(self) -> Networks | BalancedNetworks:
        """Its loss, as a batch of one."""
        return self._two_matrices() if self.balanced else self._all_weights()

    def _two_matrices(self) -> BalancedNetworks:
        data = self.data
        return BalancedNetworks(
            factor=self._tensor(data.scale),
            target=self._tensor(data.target),
            samples=self._tensor(np.array(float(data.samples))),
            scale=self._tensor(np.array(self.network.residual_scale)),
            depth=self._tensor(np.array(float(self.network.depth))),
            size=self.initial[0].shape[1],
        )

    def _all_weights(self) -> Networks:
        data = self.data
        return Networks(
            factor=self._tensor(np.diag(data.scale) if self.reduced else data.basis * data.scale),
            target=self._tensor(data.target),
            samples=self._tensor(np.array(float(data.samples))),
            shapes=self.shapes,
        )

    def start(self) -> Float[torch.Tensor, "1 P"]:
        """Its initial weights in one row."""
        return torch.cat([self._tensor(w).flatten(1) for w in self.initial], dim=1)

    def _split(self, y: Float[torch.Tensor, "1 P"]) -> list[torch.Tensor]:
        parts = torch.split(y[0].double(), [rows * columns for rows, columns in self.shapes])
        return [part.unflatten(0, shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def measure(self, y: Float[torch.Tensor, "1 P"], *, fuzziness: bool) -> LayerCurve:
        """What the layers make of the inputs, of weights in one row."""
        if self.balanced:
            at = self._two_matrices().spectrum(y.double())
            layers, scale = self.network.depth, self.network.residual_scale
            beside = self.krylov is not None
            return measure_powers(
                self.summary, at, residual_scale=scale, layers=layers, beside=beside, fuzziness=fuzziness
            )
        weights = [self._with_beside(w) for w in self._split(y)]
        if not self.reduced:
            weights[0] = weights[0] @ torch.from_numpy(self.data.basis).to(weights[0])
        return measure_linear(self.summary, weights[:-1], fuzziness=fuzziness)

    def weights(self, y: Float[torch.Tensor, "1 P"]) -> list[np.ndarray]:
        """W_1…W_L of what training moved, in one row."""
        if not self.balanced:
            *hidden, last = self._split(y)
            weights = [self._with_beside(w).cpu().numpy() for w in hidden]
            return [*weights, _padded(last.cpu().numpy(), self.krylov)]
        root, m = self._two_matrices().hidden(y.double())[0], self.data.scale.size
        # turned so that inputs beside the span enter the last of the hidden coordinates, as they do at the start
        left, _, right = np.linalg.svd(root[:, m:])
        turn = np.vstack([left[:, len(right) :].T, (left[:, : len(right)] @ right).T])
        first, root = (
            self._with_beside(torch.from_numpy(w)).numpy() for w in (turn @ root[:, :m], turn @ root @ turn.T)
        )
        last = self._split(y)[0].numpy() @ turn.T
        return [first, *[root] * (self.network.depth - 2), _padded(last, self.krylov)]

    def _with_beside(self, weight: torch.Tensor) -> torch.Tensor:
        """A hidden layer with one direction more, for all that training does not move, where these are left out."""
        if self.krylov is None:
            return weight
        ε = torch.tensor([[self.network.residual_scale]], dtype=weight.dtype, device=weight.device)
        return torch.block_diag(weight, ε)

    def recorder(self) -> Recorder:
        """What follows its training."""
        if self.krylov is None:
            return Recorder(self.train.record, self.curves)
        leaving = CutOff(self._leaving, self.krylov.leak, samples=self.data.samples, least=float(self.smallest**2))
        return Recorder(self.train.record, self.curves, cut_off=leaving)

    def _leaving(self, y: Float[torch.Tensor, "1 P"]) -> tuple[np.ndarray, np.ndarray]:
        """W_{L:2} and W_{L:1}, in any coordinates of the first hidden layer."""
        if self.balanced:
            at, K = self._two_matrices().spectrum(y.double()), self.data.target.shape[0]
            before = at.rows[0, :K] * at.gain[0] ** (self.network.depth - 2)
            return before, (before * at.gain[0]) @ at.frame[0, : self.data.scale.size].T
        first, *rest = [w.cpu().numpy() for w in self._split(y)]
        before = np.linalg.multi_dot([*rest[::-1], np.eye(len(first))])
        return before, before @ first

    def curves(self, y: Float[torch.Tensor, "1 P"]) -> tuple[np.ndarray, np.ndarray]:
        """C_l and D_l of weights in one row."""
        curve = self.measure(y, fuzziness=False)
        return curve.compression, curve.discrimination

    def in_more_coordinates(self) -> PreparedRun:
        """The same run where Krylov coordinates have turned out to leave out too much.

        First the initial classifier counts for as much as the labels; then all reduced coordinates are used.
        """
        if self.krylov is not None and not self.krylov.generous:
            classifier = reduced_classifier(
                whole := economical(self.problem, self.network), self.network, seed=self.train.seed
            )
            found = krylov_coordinates(whole, classifier.inside, product_scale=None, share=self.train.cut_off)
            if found is not None:
                return _in_krylov_coordinates(
                    self.problem, self.network, self.train, self.device, whole, classifier, found
                )
        return _in_reduced_coordinates(self.problem, self.network, self.train, self.device)

    def _used(self, weights: list[np.ndarray], recorder: Recorder) -> UsedCoordinates:
        size = weights[0].shape[0]
        if self.krylov is None:
            return UsedCoordinates(kind="reduced" if self.reduced else "full", dimensions=size, of=size)
        ε, gains = self.network.residual_scale, np.linalg.svd(weights[0], compute_uv=False)
        update = float(np.linalg.norm(gains - ε))  # at most ‖W_1 - W_1(0)‖, as W_1(0) is ε times an isometry
        share = recorder.cut_off.outside / update if recorder.cut_off is not None and update > 0 else 0.0
        of = size - 1 + self.span.shape[1] - self.data.scale.size
        return UsedCoordinates(kind="krylov", dimensions=size - 1, of=of, cut_off=share, span=self.span)

    def finish(self, trained: Trained, recorder: Recorder, *, seconds: float) -> Simulation:
        """What training came to, measured."""
        problem, network, train, data = self.problem, self.network, self.train, self.data
        weights = self.weights(trained.y)
        inside, basis, size = self.inside, data.basis, weights[0].shape[0]
        if self.krylov is not None:
            basis = np.hstack([basis, _beside(self.span, basis)])
        projection, narrow = None, network.stated_width < problem.dimension
        if narrow and not (self.reduced and train.weights == "exact"):
            orthogonal = train.weights == "orthogonal"
            first = first_factor(data, network, seed=train.seed) if orthogonal else self.initial[0]
            projection = residual_projection_of([first], problem, network)
        elif narrow:
            projection = residual_projection_of(self.initial, inside, replace(network, width=size)) @ data.basis.T
        measured = self.measure(trained.y, fuzziness=True)
        residuals = _measured(weights, inside, replace(network, width=size), balanced=self.balanced)
        if train.coordinates == "reduced" and narrow:
            residuals = residuals.without_layer(1)  # its scale is ε on all of R^d, not on the span of the samples
        if self.krylov is not None:
            copies = self.span.shape[1] - basis.shape[1]
            residuals = _with_copies(residuals, copies, len(basis.T) - data.signal_values.size, network.residual_scale)
        return Simulation(
            outcome=trained.outcome,
            measured=_with_origin(measured, problem, network, train, trained, projection, device=self.device),
            residuals=residuals,
            weights=weights,
            basis=basis,
            inputs=inside,
            coordinates=self._used(weights, recorder),
            residual_projection=projection,
            history=recorder.history(),
            loss=trained.loss,
            steps=trained.steps,
            evaluations=trained.evaluations,
            flow_time=trained.flow_time,
            learning_rate=trained.learning_rate,
            stable_learning_rate=self.stable_learning_rate,
            seconds=seconds,
            network=network,
            train=train,
        )


def prepare(problem: Problem, network: NetworkSpec, train: SimulationSpec) -> PreparedRun:
    """Fill the width in, draw the initial weights and reduce the data to what training needs.

    Raises:
        InvalidInputError: a width too small for the labels, an ε that hides every direction, a device that is not
            there.
    """
    if not isinstance(train, SimulationSpec):  # which was called TrainSpec once
        raise InvalidInputError(
            got=f"a {type(train).__name__} to simulate with",
            expected="a SimulationSpec: a TrainSpec is for pnc.train",
            next_step="pass pnc.SimulationSpec(…)",
        )
    if network.width is None:
        network = replace(network, width=max(512, problem.dimension, 32 * problem.classes))
    device = resolve_device(train.device)
    _require_signal(signal_modes(problem, network), network)
    cuts = (
        train.weights == "orthogonal" and train.coordinates == "reduced" and network.stated_width >= problem.dimension
    )
    if cuts and train.cut_off > 0:
        data = economical(problem, network)
        classifier = reduced_classifier(data, network, seed=train.seed)
        found = krylov_coordinates(
            data, classifier.inside, product_scale=network.residual_scale**network.depth, share=train.cut_off
        )
        if found is not None:
            return _in_krylov_coordinates(problem, network, train, device, data, classifier, found)
    return _in_reduced_coordinates(problem, network, train, device)


def _in_reduced_coordinates(
    problem: Problem, network: NetworkSpec, train: SimulationSpec, device: torch.device
) -> PreparedRun:
    """A run in the coordinates that `train` states, and all of them."""
    data = economical(problem, network)
    inside = Problem(X=problem.X @ data.basis, y=problem.y)
    run = PreparedRun(
        problem=problem,
        network=network,
        train=train,
        device=device,
        data=data,
        initial=[],
        summary=ClassSummary.of(inside.X, problem.y, device=device),
        krylov=None,
        inside=inside if train.coordinates == "reduced" else problem,
        span=data.basis,
        largest=float(data.scale[0]),
        smallest=float(data.scale[-1]),
    )
    if run.balanced:
        rows = reduced_classifier(data, network, seed=train.seed).rows
        return replace(run, initial=[network.residual_scale * rows, rows])
    return replace(run, initial=initial_weights(problem, network, train)[0])


def _in_krylov_coordinates(
    problem: Problem,
    network: NetworkSpec,
    train: SimulationSpec,
    device: torch.device,
    whole: EconomicalData,
    classifier: ReducedClassifier,
    krylov: KrylovCoordinates,
) -> PreparedRun:
    """A run in the directions that training moves (Y4)."""
    data, ε = krylov.data, network.residual_scale
    summary, samples = summary_inside(problem.X, problem.y, data.basis)
    rows = np.hstack([classifier.inside @ krylov.frame, classifier.outside])
    run = PreparedRun(
        problem=problem,
        network=network,
        train=train,
        device=device,
        data=data,
        initial=[],
        summary=replace(summary, means=summary.means.to(device), factor=summary.factor.to(device)),
        krylov=krylov,
        inside=Problem(X=samples, y=problem.y),
        span=whole.basis,
        largest=float(whole.scale[0]),
        smallest=float(whole.scale[-1]),
    )
    if run.balanced:
        return replace(run, initial=[ε * rows, rows])
    return replace(run, initial=orthogonal_weights_of(rows, data.scale.size, network))


def _measured(weights: list[np.ndarray], inside: Problem, network: NetworkSpec, *, balanced: bool) -> WeightAssumptions:
    """A1–A3; of a deep balanced network, whose hidden layers are one matrix, layers beyond the 255th repeat the 254th.

    What of that matrix can be reached narrows with depth, so the interval of its residual singular values does, too.
    """
    L, kept = network.depth, _MEASURED_DEPTH
    if not balanced or L <= kept:
        return measure_weights(weights, inside, network)
    values, vectors = np.linalg.eigh(weights[1])
    skipped = (vectors * np.maximum(values, 0) ** (L - kept)) @ vectors.T
    shorter = replace(network, depth=kept, residual_scale=network.residual_scale ** (L / kept))
    found = measure_weights([*weights[: kept - 1], weights[-1] @ skipped], inside, shorter)
    # the directions of the signal before the classifier, of whose balance A2 speaks there
    signal = np.linalg.svd(weights[-1] @ vectors * np.maximum(values, 0) ** (L - 2), full_matrices=False)[2]
    basis = vectors @ signal.T
    gap = weights[-1].T @ (weights[-1] @ basis) - weights[1] @ (weights[1] @ basis)
    repeat = [*range(kept - 2), *[kept - 3] * (L - kept), kept - 2]
    arrays = {name: value[repeat] for name, value in vars(found).items() if isinstance(value, np.ndarray)}
    arrays["imbalance"][-1] = np.linalg.norm(gap, 2)
    return replace(found, **arrays)


def _padded(last: np.ndarray, krylov: KrylovCoordinates | None) -> np.ndarray:
    """The classifier, which has nothing in the direction that stands for all that training does not move."""
    return last if krylov is None else np.pad(last, ((0, 0), (0, 1)))


def _beside(span: np.ndarray, basis: np.ndarray) -> Float[np.ndarray, "d 1"]:
    """A direction of the inputs' span beside a part of it."""
    inner = span.T @ basis
    shares = 1 - np.sum(inner**2, axis=1)
    column = np.eye(len(inner))[:, [int(np.argmax(shares))]]
    for _ in range(2):  # twice is enough for orthogonality to rounding
        column = column - inner @ (inner.T @ column)
    return span @ (column / np.linalg.norm(column))


def _with_copies(found: WeightAssumptions, copies: int, measured: int, scale: float) -> WeightAssumptions:
    """Mean and variance of the residual singular values with so many more of them that are ε."""
    total = measured + copies
    mean = (measured * found.residual_mean + copies * scale) / total
    spread = measured * (found.residual_variance + (found.residual_mean - mean) ** 2)
    return replace(
        found,
        residual_mean=mean,
        residual_variance=(spread + copies * (scale - mean) ** 2) / total,
        residual_smallest=np.fmin(found.residual_smallest, scale),
        residual_largest=np.fmax(found.residual_largest, scale),
    )


def train_stack(
    runs: Sequence[PreparedRun],
    recorders: Sequence[Recorder],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> list[Trained]:
    """Train runs of equal shapes, device, dtype and engine together; `exact` weights need none of it."""
    starts = torch.cat([run.start() for run in runs])
    if runs[0].train.weights == "exact":
        done = {"outcome": Outcome.CONVERGED, "loss": 0.0, "steps": 0, "evaluations": 0, "flow_time": 0.0}
        return [Trained(y=y, learning_rate=math.nan, **done) for y in starts.split(1)]
    networks = _joined([run.networks() for run in runs])
    return train_together(networks, starts, [run.course for run in runs], recorders, progress=progress)


def _joined(each: Sequence[Networks | BalancedNetworks]) -> Networks | BalancedNetworks:
    balanced = [networks for networks in each if isinstance(networks, BalancedNetworks)]
    if not balanced:
        return Networks.join_batch([networks for networks in each if isinstance(networks, Networks)])
    assert len(balanced) == len(each)  # runs of equal shapes are of one kind
    return BalancedNetworks.join_batch(balanced)


def _with_origin(
    measured: LayerCurve,
    problem: Problem,
    network: NetworkSpec,
    train: SimulationSpec,
    trained: Trained,
    projection: np.ndarray | None,
    *,
    device: torch.device,
) -> LayerCurve:
    """The curve with where it comes from; its noise floor is the rounding of training carried through the layers."""
    allowance = rounding_allowance(problem, network, residual_projection=projection)
    allowance = allowance * torch.finfo(getattr(torch, train.dtype)).eps / np.finfo(np.float64).eps
    floors = [
        # where nothing was measured rounding has made nothing of it
        max(note.noise_floor or 0.0, share * c) if c > 0 else note.noise_floor
        for note, share, c in zip(measured.notes, allowance.tolist(), measured.compression.tolist(), strict=True)
    ]
    return replace(
        measured,
        notes=[
            replace(note, dtype=train.dtype, noise_floor=floor)
            for note, floor in zip(measured.notes, floors, strict=True)
        ],
        origin=replace(
            measured.origin,
            kind="simulation",
            source="trained deep linear network",
            device=str(device),
            converged=trained.outcome.converged,
            further={
                "problem": problem.name,
                "data": problem.provenance,
                "network": network.to_dict(),
                "train": train.to_dict(),
            },
        ),
    )

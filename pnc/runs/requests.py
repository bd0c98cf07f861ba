"""What a command is asked for: frozen, plain values, one class a workflow. Importing them loads no torch.

A group of fields keeps the names of the function that it is given to, so that `load_splits(**vars(source))` works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pnc.spec import LowRankSpec, NetworkSpec, SimulationSpec, VariantSpec
from pnc.spec.training import TrainSpec

__all__ = [
    "AttackRequest",
    "CompressRequest",
    "DataSource",
    "MeasureRequest",
    "MeasurementSpec",
    "NetworkShape",
    "NetworkSource",
    "ProblemSource",
    "SimulateRequest",
    "TrainRequest",
    "request_record",
]

Sizes = int | Sequence[int] | None
"""One number for every class, or one for each; `None`: all, or the default."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Labelled data in two splits: the arguments of `pnc.data.load_splits`; without `data`, what a workflow takes."""

    data: str | Path | None = None
    test_data: str | Path | None = None
    data_dir: str | Path | None = None
    download: bool = False
    samples_per_class: Sizes = None
    test_samples_per_class: Sizes = None
    text_column: str | None = None
    label_column: str | None = None
    vocabulary: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class ProblemSource:
    """Data of a deep linear network, drawn or read: the arguments of `pnc.data.resolve_data`."""

    data: str | Path | None = None
    classes: int | None = None
    samples_per_class: Sizes = None
    dimension: int | None = None
    theta: float | None = None
    seed: int = 0
    data_dir: str | Path | None = None
    components: int | None = None
    whiten: bool = False
    scale: Literal["orthonormal", "unit-norm", "unit-variance"] | None = None
    download: bool = False
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """Options of a network that is built by its name."""

    width: int | None = None
    depth: int | None = None
    nonlinear: int | None = None
    activation: str | None = None
    batch_norm: bool | None = None
    bias: bool | None = None
    projection: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class NetworkSource(NetworkShape):
    """A network by its name: the arguments of `pnc.nets.build` that do not follow from the data."""

    name: str
    initial: str = "default"


@dataclass(frozen=True, kw_only=True)
class MeasurementSpec:
    """What is measured of every layer.

    Args:
        layers: patterns of module names; `None`: the network's blocks without its classifier.
        fuzziness: tr(Σ_W Σ_B⁺).
        spectra: singular values and ranks.
        probes: nearest centre and linear probe.
        collapse: NC1–NC4 at the classifier.
        uncertainty: standard errors of C and D.
        batch_size: samples at a time.
    """

    layers: tuple[str, ...] | None = None
    fuzziness: bool = True
    spectra: bool = True
    probes: bool = True
    collapse: bool = True
    uncertainty: bool = True
    batch_size: int = 512


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """A network to train on labelled data, and to measure on both splits.

    Args:
        network: by name.
        training: how.
        data: on what; fashion-mnist where it names none.
        low_rank: virtual low-rank layers.
        measurement: of the trained network, and on the way.
        start_from: a file of weights to begin with.
        accuracy_limit: training accuracy from which on it counts as converged.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
    """

    network: NetworkSource
    training: TrainSpec
    data: DataSource = field(default_factory=DataSource)
    low_rank: LowRankSpec | None = None
    measurement: MeasurementSpec = field(default_factory=MeasurementSpec)
    start_from: str | Path | None = None
    accuracy_limit: float = 0.95
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class SimulateRequest:
    """A deep linear network to train and to hold against the theory."""

    network: NetworkSpec
    problem: ProblemSource = field(default_factory=ProblemSource)
    simulation: SimulationSpec = field(default_factory=SimulationSpec)
    variant: VariantSpec = field(default_factory=VariantSpec)
    compression_limit: float = 0.10
    discrimination_limit: float = 0.10


@dataclass(frozen=True, kw_only=True)
class MeasureRequest:
    """A model to measure: a run folder, a network by name, the hidden states of texts, or a file of features.

    Args:
        model: as above.
        weights: file of a network's weights.
        shape: of a network by name.
        data: what to measure on; a run has its own.
        measurement: what.
        classes: K of a file of features, where it is to be checked.
        pixel_mean, pixel_scale: of pixels in [0, 1], one number or one a channel; `None`: of the data.
        split: `train`, `test` or `both`; `None`: what there is.
        longest: tokens of a text.
        device: where.
        trust_code: whether code that a run folder names may be run.
    """

    model: str
    weights: str | Path | None = None
    shape: NetworkShape = field(default_factory=NetworkShape)
    data: DataSource = field(default_factory=DataSource)
    measurement: MeasurementSpec = field(default_factory=MeasurementSpec)
    classes: int | None = None
    pixel_mean: tuple[float, ...] | None = None
    pixel_scale: tuple[float, ...] | None = None
    split: Literal["train", "test", "both"] | None = None
    longest: int = 256
    device: str = "auto"
    trust_code: bool = False


@dataclass(frozen=True, kw_only=True)
class AttackRequest:
    """A network to attack, and to check for gradients that are only hidden.

    Args:
        network: a run folder, or the name of a network with `weights`.
        weights, width, depth: of a network by name.
        source: run folder of the plain network, to attack from.
        data: what to attack; a run has its own, fashion-mnist for a network by name.
        samples_per_class: attack the first n of every class of the test split.
        attacks: of `fgsm`, `bim`, `pgd`, `deepfool`, `auto`.
        radii: of pixels in [0, 1].
        steps: of the iterated attacks.
        norm: `linf` or `l2`.
        targeted: towards a random other class.
        restarts: of attacks that start at random.
        noise: probabilities of a random pixel.
        checks: of gradient masking.
        batch_size: samples at a time.
        device: where.
        seed: of every draw.
        trust_code: whether code that a run folder names may be run.
    """

    network: str
    weights: str | Path | None = None
    width: int | None = None
    depth: int | None = None
    source: str | Path | None = None
    data: DataSource = field(default_factory=DataSource)
    samples_per_class: Sizes = None
    attacks: tuple[str, ...] = ("fgsm", "bim", "pgd", "deepfool")
    radii: tuple[float, ...] = (8 / 255, 16 / 255)
    steps: tuple[int, ...] = (7, 20)
    norm: Literal["linf", "l2"] = "linf"
    targeted: bool = False
    restarts: int = 1
    noise: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    checks: bool = True
    batch_size: int = 256
    device: str = "auto"
    seed: int = 0
    trust_code: bool = False


@dataclass(frozen=True, kw_only=True)
class CompressRequest:
    """A layer of a trained network whose activations are kept in few dimensions.

    Args:
        run: folder of the run.
        site: name of a layer, or the end of it.
        dimensions: numbers of principal components to keep.
        samples_per_class, test_samples_per_class: only the first n of every class.
        svm: whether linear SVMs are fitted.
        strength: of the SVM, scikit-learn's C.
        device: where.
        trust_code: whether code that a run folder names may be run.
    """

    run: str | Path
    site: str
    dimensions: tuple[int, ...] = (2, 5, 10, 20)
    samples_per_class: int | None = None
    test_samples_per_class: int | None = None
    svm: bool = True
    strength: float = 1.0
    device: str = "auto"
    trust_code: bool = False


def request_record(request: Any) -> dict[str, Any]:
    """A request as run.json holds it: nested as the classes are, paths absolute, so that it holds from any folder.

    >>> request_record(CompressRequest(run="/runs/a", site="stage4"))["dimensions"]
    [2, 5, 10, 20]
    """

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value.absolute()) if isinstance(value, Path) else value

    return plain(asdict(request))

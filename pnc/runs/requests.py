"""What a command is asked for: frozen, plain values, one class a workflow. Importing them loads no torch.

A group of fields keeps the names of the function that it is given to, so that `load_splits(**vars(source))` works.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pnc.errors import InvalidInputError
from pnc.fields import Group, Number, Option, Whole, check_fields
from pnc.spec import LowRankSpec, NetworkSpec, SimulationSpec, VariantSpec
from pnc.spec.shared import (
    DATA,
    FRACTIONS,
    MOST_DEPTH,
    MOST_WIDTH,
    NETWORK,
    NUMBERS,
    OUTPUT,
    PROBABILITIES,
    PROBLEM_DATA,
    SIZES,
    TRAINING,
    WHOLE_NUMBERS,
    WORDS,
    Components,
    DataDir,
    Scale,
    Seed,
    Whiten,
)
from pnc.spec.training import TrainSpec

__all__ = [
    "AttackRequest",
    "ChooseRequest",
    "CompressRequest",
    "DataSource",
    "InitialSource",
    "MeasureRequest",
    "MeasurementSpec",
    "NetworkShape",
    "NetworkSource",
    "ProblemSource",
    "SimulateRequest",
    "TailRequest",
    "TrainRequest",
    "request_record",
]

ATTACK = "Attack"

LABELLED = Option(
    "fashion-mnist, mnist, cifar-10, cifar-100; a folder of images; a problem file (X, y); a .csv, .tsv or .jsonl of "
    "texts.",
    panel=DATA,
    metavar="NAME|FOLDER|FILE",
)
SIZE = Option(
    "Height and width that images of several sizes are brought to.", panel=DATA, metavar="H,W", text=WHOLE_NUMBERS
)
TRUST_CODE = Option("Run the code that a run folder names as its network.", panel=NETWORK)

Sizes = int | tuple[int, ...] | None
"""One number for every class, or one for each; `None`: all, or the default."""


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Labelled data in two splits: the arguments of `pnc.data.load_splits`; without `data`, what a workflow takes."""

    data: Annotated[str | Path | None, LABELLED] = None
    data_dir: DataDir = None
    download: Annotated[bool, Option("Fetch a named data set that is not there.", panel=DATA)] = False
    samples_per_class: Annotated[
        Sizes,
        Option(
            "The first n of every class, or one size a class; default all.", panel=DATA, metavar="N|N,N,…", text=SIZES
        ),
    ] = None
    test_samples_per_class: Annotated[
        Sizes, Option("Likewise, of the test split.", panel=DATA, metavar="N|N,N,…", text=SIZES)
    ] = None
    test_data: Annotated[
        str | Path | None, Option("Test split of a problem file or of texts.", panel=DATA, metavar="FILE")
    ] = None
    text_column: Annotated[str | None, Option("Column or key of the texts; default text.", panel=DATA)] = None
    label_column: Annotated[str | None, Option("Column or key of the labels; default label.", panel=DATA)] = None
    vocabulary: Annotated[
        int | None, Whole(1), Option("Words of the tf-idf features of texts; default 2000.", panel=DATA)
    ] = None
    size: Annotated[tuple[int, int] | None, Whole(1), SIZE] = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class ProblemSource:
    """Data of a deep linear network, drawn or read: the arguments of `pnc.data.resolve_data`."""

    classes: Annotated[int | None, Option("K; default 3, or what the file holds.", panel=DATA)] = None
    samples_per_class: Annotated[
        Sizes,
        Option(
            "n, or one size a class; default 10, fewer beyond 20 classes.", panel=DATA, metavar="N|N,N,…", text=SIZES
        ),
    ] = None
    dimension: Annotated[int | None, Option("Input dimension d; default ⌈5N/3⌉.", panel=DATA)] = None
    theta: Annotated[float | None, Option("θ of nearly orthonormal data, below 1; default 0.2.", panel=DATA)] = None
    data: Annotated[str | Path | None, PROBLEM_DATA] = None
    data_dir: DataDir = None
    components: Components = None
    whiten: Whiten = False
    scale: Scale = None
    seed: Seed = 0
    download: bool = False
    size: Annotated[tuple[int, int] | None, Whole(1), SIZE] = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class NetworkShape:
    """Options of a network that is built by its name."""

    width: Annotated[int | None, Whole(1, MOST_WIDTH), Option("Hidden width.", panel=NETWORK)] = None
    depth: Annotated[int | None, Whole(2, MOST_DEPTH), Option("L, weight matrices of an MLP.", panel=NETWORK)] = None
    nonlinear: Annotated[int | None, Whole(1, MOST_DEPTH), Option("Nonlinear layers of a hybrid.", panel=NETWORK)] = (
        None
    )
    activation: Annotated[str | None, Option("relu, gelu, tanh, …", panel=NETWORK)] = None
    batch_norm: Annotated[bool | None, Option("Of an MLP.", panel=NETWORK, switch=True)] = None
    bias: bool | None = None
    projection: Annotated[int, Whole(0), Option("Layers of a projection head.", panel=NETWORK)] = 0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class NetworkSource(NetworkShape):
    """A network by its name: the arguments of `pnc.nets.build` that do not follow from the data."""

    name: Annotated[
        str,
        Option(
            "mlp, hybrid, linear, vgg-19-bn, resnet-18, …, or module:function.",
            name="network",
            metavar="NET",
            argument=True,
        ),
    ]
    initial: Annotated[str, Option("default, he, orthogonal(0.1).", panel=NETWORK)] = "default"


@dataclass(frozen=True, kw_only=True)
class InitialSource:
    """A nonlinear network that is predicted before its training: what it has beside `NetworkSpec`'s depth and width.

    Args:
        name: one of `pnc.nets.NETWORKS`; `None`: a deep linear network, trained.
        nonlinear, activation, batch_norm, projection, initial: as of `NetworkSource`.
        draws: of the weights, for the intervals.
    """

    name: Annotated[
        str | None,
        Option(
            "A network as it is before training (N1): mlp, hybrid, vgg-11-bn, resnet-18, …, on labelled data; "
            "without one, a deep linear network after it.",
            name="net",
            metavar="NET",
            argument=True,
        ),
    ] = None
    nonlinear: Annotated[int | None, Whole(1, MOST_DEPTH), Option("Nonlinear layers of a hybrid.", panel=NETWORK)] = (
        None
    )
    activation: Annotated[str | None, Option("relu, gelu, tanh, …; with NET.", panel=NETWORK)] = None
    batch_norm: Annotated[bool | None, Option("Of an MLP; with NET.", panel=NETWORK, switch=True)] = None
    projection: Annotated[int, Whole(0), Option("Layers of a projection head; with NET.", panel=NETWORK)] = 0
    initial: Annotated[str, Option("default, he, orthogonal(0.1); with NET.", panel=NETWORK)] = "default"
    draws: Annotated[int, Whole(3), Option("Draws of the weights, for intervals; with NET.", panel=OUTPUT)] = 10

    def __post_init__(self) -> None:
        check_fields(self)

    def network(self, *, width: int | None, depth: int | None, seed: int) -> NetworkSource:
        """The network by its name.

        Raises:
            InvalidInputError: no name.
        """
        if self.name is None:
            raise InvalidInputError(
                got="no name of a network", expected="one of the built-in networks", next_step="pass `name`"
            )
        return NetworkSource(
            name=self.name, width=width, depth=depth, nonlinear=self.nonlinear, activation=self.activation,
            batch_norm=self.batch_norm, projection=self.projection, initial=self.initial, seed=seed,
        )  # fmt: skip


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
        per_class: of each class its spread, nearest class, angle and margin.
        attribute: where C changes, module by module (U5).
        pool: what becomes of positions of images and tokens of texts (see `pnc.measure.measure_model`).
        batch_size: samples at a time.
    """

    layers: Annotated[tuple[str, ...] | None, Option("Patterns of module names; default its blocks.", panel=OUTPUT)] = (
        None
    )
    fuzziness: Annotated[bool, Option("A second pass for tr(Σ_W Σ_B⁺).", panel=OUTPUT, switch=True)] = True
    spectra: Annotated[bool, Option("Singular values and ranks.", panel=OUTPUT, switch=True)] = True
    probes: Annotated[bool, Option("Nearest centre, linear probe; second pass.", panel=OUTPUT, switch=True)] = True
    collapse: Annotated[bool, Option("NC1–NC4 at the classifier; two passes.", panel=OUTPUT, switch=True)] = True
    uncertainty: Annotated[bool, Option("Standard errors of C and D.", panel=OUTPUT, switch=True)] = True
    per_class: Annotated[bool, Option("Spread, nearest class, angle and margin of each class.", panel=OUTPUT)] = False
    attribute: Annotated[bool, Option("Where C changes, module by module; a pass more.", panel=OUTPUT)] = False
    pool: Annotated[
        Literal["masked-mean", "mean", "cls", "last", "flatten"] | None,
        Option("mean: wide layers averaged over positions; cls, last: of tokens.", name="reduce", panel=OUTPUT),
    ] = None
    batch_size: Annotated[int, Whole(1), Option("Samples at a time.", least=1)] = 512

    def __post_init__(self) -> None:
        check_fields(self)


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
    data: Annotated[DataSource, Group(defaults={"data": "fashion-mnist"})] = field(default_factory=DataSource)
    low_rank: LowRankSpec | None = None
    measurement: Annotated[
        MeasurementSpec,
        Group(
            only=("layers", "spectra"),
            options={"spectra": Option("Ranks and linear probes.", panel=OUTPUT, switch=True)},
        ),
    ] = field(default_factory=MeasurementSpec)
    start_from: Annotated[Path | str | None, Option("Weights to begin with.", panel=NETWORK)] = None
    accuracy_limit: Annotated[float, Number(), Option("Training accuracy that counts as converged.", panel=OUTPUT)] = (
        0.95
    )
    device: Annotated[str, Option("auto, cpu, cuda.", panel=TRAINING)] = "auto"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class SimulateRequest:
    """A deep linear network to train and to hold against the theory."""

    problem: ProblemSource = field(default_factory=ProblemSource)
    network: Annotated[NetworkSpec, Group(defaults={"depth": 6})]
    simulation: SimulationSpec = field(default_factory=SimulationSpec)
    variant: VariantSpec = field(default_factory=VariantSpec)
    compression_limit: Annotated[float, Option("Largest relative error of C_l that agrees.", panel=OUTPUT)] = 0.10
    discrimination_limit: Annotated[float, Option("Largest relative error of 1 - D_l that agrees.", panel=OUTPUT)] = (
        0.10
    )


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
        workers: processes that share the files of saved features.
        scheduler: of a Dask cluster that does, in their place.
        resume: folder where sums of finished files are kept, to go on from.
        longest: tokens of a text.
        device: where.
        trust_code: whether code that a run folder names may be run.
    """

    model: Annotated[
        str,
        Option(
            "A run folder of `pnc train`; a network: resnet-18, …, module:function, timm:NAME, torchvision:NAME; "
            "transformers:FOLDER, for texts; or saved features, y (N,) and layer_0, layer_1, … (N, …) each: a file "
            "(.npz, .safetensors, .npy, .zarr, .parquet, .arrow), a folder of them, or a quoted pattern.",
            metavar="MODEL",
            argument=True,
        ),
    ]
    weights: Annotated[
        Path | str | None, Option("Weights of a network: .safetensors, or a state_dict.", panel=NETWORK)
    ] = None
    shape: NetworkShape = field(default_factory=NetworkShape)
    data: Annotated[
        DataSource,
        Group(
            options={
                "data": replace(LABELLED, help=f"{LABELLED.help} Default, of a run folder: what it was trained on.")
            }
        ),
    ] = field(default_factory=DataSource)
    pixel_mean: Annotated[
        tuple[float, ...] | None,
        Option("Of pixels in [0, 1]; default of the data.", panel=DATA, metavar="M,…", text=NUMBERS),
    ] = None
    pixel_scale: Annotated[
        tuple[float, ...] | None,
        Number(above=0),
        Option("Likewise; one, or one a channel.", panel=DATA, metavar="S,…", text=NUMBERS),
    ] = None
    classes: Annotated[int | None, Option("K; default 3, or what the file holds.", panel=DATA)] = None
    split: Annotated[
        Literal["train", "test", "both"] | None, Option("train, test or both; default what there is.", panel=DATA)
    ] = None
    measurement: MeasurementSpec = field(default_factory=MeasurementSpec)
    workers: Annotated[
        int | None, Whole(1), Option("Processes that share the files of saved features.", panel=OUTPUT)
    ] = None
    scheduler: Annotated[
        str | None, Option("Dask scheduler whose workers share them.", panel=OUTPUT, metavar="tcp://…")
    ] = None
    resume: Annotated[
        Path | str | None,
        Option("Keep sums of finished files here; go on from them.", panel=OUTPUT, metavar="FOLDER"),
    ] = None
    longest: Annotated[int, Whole(1), Option("Tokens of a text for transformers.", panel=DATA, least=1)] = 256
    device: Annotated[str, Option("auto, cpu, cuda or cuda:1.")] = "auto"
    trust_code: Annotated[bool, TRUST_CODE] = False

    def __post_init__(self) -> None:
        check_fields(self)


_READOUT = Group(only=("layers", "batch_size"))  # of what is measured, what a decision needs


@dataclass(frozen=True, kw_only=True)
class ChooseRequest(MeasureRequest):
    """A model, or saved features, whose layers are to be ranked for a linear readout.

    Args:
        most_samples: that readouts are fitted to.
        most_dimensions: in which wider features are projected at random.
        foreign: data that the network does not know; which layer tells them is then said, too.
    """

    measurement: Annotated[MeasurementSpec, _READOUT] = field(default_factory=MeasurementSpec)
    most_samples: Annotated[
        int, Whole(2), Option("Samples that readouts are fitted to, drawn at random.", panel=DATA)
    ] = 4096
    most_dimensions: Annotated[
        int, Whole(1), Option("Wider features are projected at random into so many.", panel=DATA)
    ] = 512
    foreign: Annotated[
        str | Path | None,
        Option(
            "Data that the network does not know: which layer tells them, by AUROC.",
            panel=DATA,
            metavar="NAME|FOLDER|FILE",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class TailRequest(MeasureRequest):
    """A network whose end is to be replaced by one linear map, after every layer in turn.

    Args:
        limit: the loss of accuracy that is allowed, a share.
        most_samples: of the training split that maps are fitted to.
        most_dimensions: in which wider features are projected at random before the fit.
    """

    measurement: Annotated[MeasurementSpec, _READOUT] = field(default_factory=MeasurementSpec)
    limit: Annotated[float, Number(least=0, below=1), Option("Loss of accuracy that is allowed.", panel=OUTPUT)] = 0.01
    most_samples: Annotated[int, Whole(2), Option("Training samples that maps are fitted to.", panel=DATA)] = 4096
    most_dimensions: Annotated[
        int, Whole(1), Option("Wider features are projected at random into so many.", panel=DATA)
    ] = 1024


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

    network: Annotated[
        str,
        Option(
            "A run folder of pnc train --out; or a network's name or module:function, with --weights.",
            metavar="RUN|NET",
            argument=True,
        ),
    ]
    weights: Annotated[Path | str | None, Option("Of a network that is no run folder.", panel=NETWORK)] = None
    width: Annotated[int | None, Whole(1, MOST_WIDTH), Option("Of such a network.", panel=NETWORK)] = None
    depth: Annotated[int | None, Whole(2, MOST_DEPTH), Option("Of such a network.", panel=NETWORK)] = None
    source: Annotated[Path | str | None, Option("Run folder of the plain network, to attack from.", panel=NETWORK)] = (
        None
    )
    data: Annotated[
        DataSource,
        Group(
            only=("data", "test_data", "data_dir", "download"),
            options={
                "data": replace(
                    LABELLED,
                    help="Default: the run's own; fashion-mnist for a network. Pixels, or numbers in [0, 1].",
                )
            },
        ),
    ] = field(default_factory=DataSource)
    samples_per_class: Annotated[
        Sizes,
        Option(
            "Attack the first n of every class of the test split; default all.",
            panel=DATA,
            metavar="N|N,N,…",
            text=SIZES,
        ),
    ] = None
    attacks: Annotated[
        tuple[str, ...], Option("fgsm, bim, pgd, deepfool, auto.", name="attack", panel=ATTACK, text=WORDS)
    ] = ("fgsm", "bim", "pgd", "deepfool")
    radii: Annotated[
        tuple[float, ...],
        Number(above=0, advice="pass for instance `radius=8/255`"),
        Option("Of pixels in [0, 1]: 0.03,0.06 or 8/255.", name="radius", panel=ATTACK, text=FRACTIONS),
    ] = (8 / 255, 16 / 255)
    steps: Annotated[
        tuple[int, ...],
        Whole(1, expected="whole numbers, 1 or more", advice="pass for instance `steps=7,20`"),
        Option("Of the iterated attacks; two or more for checks.", panel=ATTACK, text=WHOLE_NUMBERS),
    ] = (7, 20)
    norm: Annotated[Literal["linf", "l2"], Option("linf, l2.", panel=ATTACK)] = "linf"
    targeted: Annotated[bool, Option("Towards a random other class.", panel=ATTACK)] = False
    restarts: Annotated[int, Whole(1), Option("Of attacks that start at random.", panel=ATTACK)] = 1
    noise: Annotated[
        tuple[float, ...], Option("Probabilities of a random pixel, or none.", panel=ATTACK, text=PROBABILITIES)
    ] = (0.4, 0.6, 0.8, 1.0)
    checks: Annotated[bool, Option("Of gradient masking.", panel=ATTACK, switch=True)] = True
    batch_size: Annotated[int, Whole(1), Option(panel=ATTACK, least=1)] = 256
    device: Annotated[str, Option("auto, cpu, cuda.", panel=ATTACK)] = "auto"
    seed: Seed = 0
    trust_code: Annotated[bool, TRUST_CODE] = False

    def __post_init__(self) -> None:
        check_fields(self)


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

    run: Annotated[Path | str, Option("A folder that `pnc train --out` wrote.", argument=True)]
    site: Annotated[str, Option("Name of a layer, or the end of it: stage4.")]
    dimensions: Annotated[
        tuple[int, ...], Option("Numbers of principal components to keep.", metavar="M,M,…", text=WHOLE_NUMBERS)
    ] = (2, 5, 10, 20)
    samples_per_class: Annotated[
        int | None, Whole(1), Option("Only the first n of every class of the training.", least=1)
    ] = None
    test_samples_per_class: Annotated[int | None, Whole(1), Option("Likewise, of the test split.", least=1)] = None
    svm: Annotated[bool, Option("Linear SVMs, which need scikit-learn.", switch=True)] = True
    strength: Annotated[float, Option("Of the SVM: scikit-learn's C.")] = 1.0
    device: Annotated[str, Option("auto, cpu, cuda or cuda:1.")] = "auto"
    trust_code: Annotated[bool, TRUST_CODE] = False

    def __post_init__(self) -> None:
        check_fields(self)


def request_record(request: Any) -> dict[str, Any]:
    """A request as run.json holds it: nested as the classes are, paths absolute, so that it holds from any folder.

    >>> request_record(CompressRequest(run="/runs/a", site="stage4"))["dimensions"]
    [2, 5, 10, 20]
    """

    def plain(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: plain(item, key) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, Path) or (name in _PLACES and isinstance(value, str) and _is_place(value)):
            return str(Path(value).absolute())
        return value

    return plain(asdict(request))


_PLACES = ("data", "test_data", "data_dir", "model", "network", "run", "source", "resume", "start_from", "weights")
"""Fields that may name a file or a folder."""


def _is_place(text: str) -> bool:
    """Whether a text names what lies in the file system; a name such as `mnist` is a name, whatever lies there."""
    return (os.sep in text or bool(Path(text).suffix)) and Path(text).exists()

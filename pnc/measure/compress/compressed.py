"""A layer's activations in m dimensions: what they still hold, and what classifiers still read out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import nn

from pnc.curves import json_ready
from pnc.errors import InvalidInputError
from pnc.measure.accumulate.moments import ClassMoments
from pnc.measure.accumulate.same_samples import SameSamples, other_samples
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.compress.activations import SiteReader, site_of, tail_parameters
from pnc.measure.compress.replaced_output import substituted_accuracy
from pnc.measure.model.batches import BatchSource
from pnc.measure.model.hooks import keeps_randomness
from pnc.measure.readout.least_squares import fit_linear_map
from pnc.measure.readout.principal_components import PrincipalComponents, principal_components
from pnc.measure.readout.probe import nearest_centre_probe
from pnc.measure.readout.svm import linear_svm_accuracy

__all__ = ["CompressedSite", "KeptDimensions", "measure_compressed"]


@dataclass(frozen=True, kw_only=True)
class KeptDimensions:
    """What m dimensions of a layer's activations are worth; accuracies are of the test split.

    Args:
        dimensions: m.
        factor: d/m, by how much the activations are compressed.
        variance: share of the training activations' variance in these dimensions (centred).
        svm_accuracy: of a linear SVM on the m scores; `None` where it was not asked for.
        own_accuracy: of the network itself, its activations projected to the m dimensions and reconstructed there.
        linear_accuracy: of one linear map from the m scores to the classes (see `fit_linear_map`).
        centre_accuracy: of the nearest class centre in the m dimensions.
        centre_error: share of the *training* samples nearer to another class's centre there: what U3 and U4 bound.
    """

    dimensions: int
    factor: float
    variance: float
    svm_accuracy: float | None
    own_accuracy: float
    linear_accuracy: float | None
    centre_accuracy: float
    centre_error: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CompressedSite:
    """Accuracy against the number of dimensions that one layer's activations are compressed to.

    Args:
        site: name of the layer.
        shape: of one sample's activations.
        dimension: d, its entries.
        classes: K.
        samples: of the training split, on which components and classifiers are fitted.
        test_samples: of the split whose accuracy is given.
        kept: one entry an m, in the order asked for.
        whole: the same for all d dimensions.
        exact: whether the components are exact; otherwise they come from a sketch (see `StreamingSpectrum`).
        network_parameters: of the network.
        tail_parameters: of what the network computes after the site.
        linear_parameters: of the linear map that takes its place, K (d + 1); the components are merged into it.
        moments: class moments of the training activations, for U1–U4.
        notes: what a reader of the numbers should know.
    """

    site: str
    shape: tuple[int, ...]
    dimension: int
    classes: int
    samples: int
    test_samples: int
    kept: tuple[KeptDimensions, ...]
    whole: KeptDimensions
    exact: bool
    network_parameters: int
    tail_parameters: int
    linear_parameters: int
    moments: ClassMoments = field(repr=False)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything but the class means; C and both scatters in their place."""
        plain = {name: value for name, value in vars(self).items() if name not in ("moments", "kept", "whole")}
        return json_ready(
            {
                **plain,
                "kept": [vars(one) for one in self.kept],
                "whole": vars(self.whole),
                "compression": self.moments.compression(),
                "within_scatter": self.moments.within_scatter(),
                "between_scatter": self.moments.between_scatter(),
            }
        )


@keeps_randomness
def measure_compressed(
    model: nn.Module,
    train: Iterable[Any],
    test: Iterable[Any],
    *,
    classes: int,
    site: str,
    dimensions: Sequence[int],
    svm: bool = True,
    strength: float = 1.0,
    width: int = 1024,
    sketch: int = 128,
    progress: Callable[[str, float], None] | None = None,
) -> CompressedSite:
    """Compress a layer's activations to m dimensions and see what is lost, for several m.

    The m principal components of the centred training activations are applied to both splits. Read out of the m scores
    are: a linear SVM, one linear map, the nearest class centre; and the network itself goes on from the reconstruction
    z̄ + VᵀV(z - z̄). All are compared with what they make of the activations as they are.

    The components are found in one pass and O(rows · d) memory, the rows being d up to `width` and those of a sketch
    above it, at least 2 m. Classifiers see the activations divided by the root of their variance, all d of them held at
    once for the last row.

    Args:
        model: torch module, run in evaluation mode.
        train: a DataLoader or list of (inputs, labels), read more than once.
        test: likewise; the same as `train` where there is no test split.
        classes: K; every class must have a training sample.
        site: name of one layer, see `list_layers`.
        dimensions: m, each from 1 to d - 1 and below the number of training samples.
        svm: fit linear SVMs, which needs scikit-learn.
        strength: of the SVM, see `linear_svm_accuracy`.
        width: the largest d whose components are exact.
        sketch: rows above it, at least.
        progress: called with what is about to be done, and the share of the steps that is.

    Raises:
        InvalidInputError: a site that is not there or not one, an m out of range, batches that can be read once only,
            and what `measure_model` refuses.

    >>> x, y = torch.tensor([[0.0, 1.0], [2.0, 1.0], [6.0, 0.0], [9.0, 0.0]]), torch.tensor([0, 0, 1, 1])
    >>> net = nn.Sequential(nn.Identity(), nn.Linear(2, 2))
    >>> found = measure_compressed(net, [(x, y)], [(x, y)], classes=2, site="0", dimensions=[1])
    >>> found.kept[0].factor, found.kept[0].svm_accuracy, found.tail_parameters, found.linear_parameters
    (2.0, 1.0, 6, 6)
    """
    say = progress or (lambda words, done: None)
    source, tested = BatchSource(train, model, again=True), BatchSource(test, model, again=True)
    first = source.first()
    if first is None or tested.first() is None:
        raise InvalidInputError(
            got="no batches", expected="at least one batch of each split", next_step="check the data and the split"
        )
    layer = site_of(model, first, site)
    reader = SiteReader(model, layer)
    wanted = _checked(dimensions, reader.dimension, layer.name)

    steps = len(wanted) + 2
    say("principal components", 0)
    rows = max(sketch, 2 * max(wanted))
    device = torch.device("cpu") if source.device.type == "mps" else source.device  # it has no float64
    spectrum = StreamingSpectrum(dimension=reader.dimension, width=width, sketch=rows, device=device)
    moments = ClassMoments(classes=classes, dimension=reader.dimension, device=device)

    def add(z: torch.Tensor, y: torch.Tensor, first_sample: int) -> None:
        moments.update(z, y, name=f"layer {layer.name}", first_sample=first_sample)
        spectrum.update(z)

    z, y = reader.read(source, add)
    components = _components(spectrum, wanted, layer.name)
    test_z, test_y = reader.read(tested)
    # in another pass a loader may shuffle otherwise: labels always come with what they are the labels of
    if z is None:
        scores, y = reader.map(source, components.scores)
        _check_same(scores, y, moments, components, layer.name)
    else:
        scores = components.scores(z.to(device)).cpu()
    test_scores, test_y = (
        reader.map(tested, components.scores)
        if test_z is None
        else (components.scores(test_z.to(device)).cpu(), test_y)
    )

    unit = components.total**0.5
    classifiers = _Classifiers(y, test_y, classes, strength if svm else None)
    kept = []
    for step, m in enumerate(wanted, 1):
        say(f"{m} dimensions", step / steps)
        some = components.first(m)
        own = substituted_accuracy(
            model, layer, tested, lambda z, some=some: some.reconstruct(some.scores(z)).reshape(z.shape)
        )
        kept.append(
            KeptDimensions(
                dimensions=m,
                factor=reader.dimension / m,
                variance=float(scores[:, :m].square().sum()) / moments.samples / components.total,
                own_accuracy=own,
                **classifiers.read(scores[:, :m] / unit, test_scores[:, :m] / unit),
            )
        )

    say("all dimensions", (steps - 1) / steps)
    notes = list(dict.fromkeys(reader.notes))
    if z is None or test_z is None:
        notes.append(
            f"{moments.samples} × {reader.dimension} activations are too many to hold at once: no SVM and no linear "
            "map of all of them"
        )
        read = _centres(moments, reader, source, tested)
    else:
        read = classifiers.read(*(part / unit for part in _span(z, test_z, components.mean.cpu())))
    whole = KeptDimensions(
        dimensions=reader.dimension,
        factor=1.0,
        variance=1.0,
        own_accuracy=substituted_accuracy(model, layer, tested, lambda z: z),
        **read,
    )
    if spectrum.missing:
        share = spectrum.missing / moments.samples / components.total
        notes.append(f"components from a sketch of {rows} rows, which left out {share:.2%} of the variance")
    return CompressedSite(
        site=layer.name,
        shape=layer.shape,
        dimension=reader.dimension,
        classes=classes,
        samples=moments.samples,
        test_samples=len(test_y),
        kept=tuple(kept),
        whole=whole,
        exact=spectrum.missing == 0.0,
        network_parameters=sum(p.numel() for p in model.parameters()),
        tail_parameters=tail_parameters(model, first, layer),
        linear_parameters=classes * (reader.dimension + 1),
        moments=moments,
        notes=tuple(notes),
    )


def _check_same(
    scores: torch.Tensor, y: torch.Tensor, moments: ClassMoments, components: PrincipalComponents, name: str
) -> None:
    """Refuse scores of a second pass that are not of the samples of the first."""
    along = ClassMoments(classes=moments.classes, dimension=scores.shape[1])
    along.counts, along.squares = moments.counts.cpu(), moments.squares.cpu()
    along.means = components.scores(moments.means).cpu()
    unit = torch.finfo(torch.float32).eps  # of what the pass may have been computed in
    if SameSamples(along, rounding=unit).update(scores, y).differs():
        raise other_samples(name)


def _checked(dimensions: Sequence[int], dimension: int, site: str) -> list[int]:
    wanted = list(dict.fromkeys(int(m) for m in dimensions))
    bad = [m for m in wanted if not 1 <= m < dimension]
    if bad or not wanted:
        raise InvalidInputError(
            got=f"{bad[0]} dimensions of {site}, which has {dimension}" if bad else "no number of dimensions",
            expected=f"1 to {dimension - 1}" if dimension > 1 else "a layer of more than one dimension",
            next_step="ask for fewer, for instance 10" if dimension > 10 else "choose a wider site",
        )
    return wanted


def _components(spectrum: StreamingSpectrum, wanted: Sequence[int], site: str) -> PrincipalComponents:
    if max(wanted) >= spectrum.samples:
        raise InvalidInputError(
            got=f"{max(wanted)} dimensions of {spectrum.samples} training samples",
            expected=f"at most {spectrum.samples - 1}, the directions in which so many samples differ",
            next_step="give more samples or ask for fewer dimensions",
        )
    components = principal_components(spectrum, max(wanted))
    if not components.total > 0:
        raise InvalidInputError(
            got=f"activations of {site} that are the same for all samples",
            expected="activations that differ",
            next_step="choose another site",
        )
    return components


class _Accuracies(TypedDict):
    """By the name of their field in `KeptDimensions`."""

    svm_accuracy: float | None
    linear_accuracy: float | None
    centre_accuracy: float
    centre_error: float


class _Classifiers:
    """What is fitted to one split's features and read out of the other's."""

    def __init__(self, y: torch.Tensor, test_y: torch.Tensor, classes: int, strength: float | None) -> None:
        self.y, self.test_y, self.classes, self.strength = y.long(), test_y.long(), classes, strength
        self.targets = torch.nn.functional.one_hot(self.y, classes).to(torch.float64)

    def read(self, z: torch.Tensor, test_z: torch.Tensor) -> _Accuracies:
        centres = nearest_centre_probe(ClassMoments(classes=self.classes, dimension=z.shape[1]).update(z, self.y))
        outputs = fit_linear_map(z, self.targets)(test_z)
        return {
            "svm_accuracy": None
            if self.strength is None
            else linear_svm_accuracy(z, self.y, test_z, self.test_y, strength=self.strength),
            "linear_accuracy": float((outputs.argmax(1) == self.test_y).double().mean()),
            "centre_accuracy": centres.accuracy(test_z, self.test_y),
            "centre_error": 1 - centres.accuracy(z, self.y),
        }


def _centres(moments: ClassMoments, reader: SiteReader, source: BatchSource, tested: BatchSource) -> _Accuracies:
    """The nearest class centre alone, on activations that are never held together."""
    probe = nearest_centre_probe(moments)
    right = []
    for some in (source, tested):
        hits: list[torch.Tensor] = []
        reader.each(some, lambda z, y, first, hits=hits: hits.append(probe.predict(z).cpu() == y.cpu()))
        right.append(float(torch.cat(hits).double().mean()))
    return {
        "svm_accuracy": None,
        "linear_accuracy": None,
        "centre_accuracy": right[1],
        "centre_error": 1 - right[0],
    }


def _span(z: torch.Tensor, test_z: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centred features as float64; where d > N, in coordinates of the span of the training samples.

    What is fitted with an ℓ2 penalty, or to nearest centres, has its weights in that span: the rest of a test sample,
    orthogonal to it, changes no score (and all distances to centres alike).
    """
    n, d = z.shape
    if d <= n:
        return z.to(torch.float64) - mean, test_z.to(torch.float64) - mean
    gram, cross = torch.zeros(n, n, dtype=torch.float64), torch.zeros(len(test_z), n, dtype=torch.float64)
    columns = max(1, 2**24 // n)
    for start in range(0, d, columns):
        some = slice(start, start + columns)
        part = z[:, some].to(torch.float64) - mean[some]
        gram.addmm_(part, part.mT)
        cross.addmm_(test_z[:, some].to(torch.float64) - mean[some], part.mT)
    values, vectors = torch.linalg.eigh(gram)
    kept = values > n * torch.finfo(torch.float64).eps * values[-1]
    basis = vectors[:, kept] / values[kept].sqrt()
    return gram @ basis, cross @ basis

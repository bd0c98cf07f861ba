"""`attack_network`: what is left of a network's accuracy under attack, and whether that number means anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pnc.compare import Verdict
from pnc.data import first_of_each_class, load_splits
from pnc.errors import InvalidInputError
from pnc.fields import nearest
from pnc.nets import build
from pnc.records import RunRecord, check_folder, claimed, found_folder
from pnc.report.pages.decisions import robustness_page
from pnc.report.style import SCREEN, Style
from pnc.report.writing import again, shown_record, write_result
from pnc.robust import ATTACKS, AttackSpec, PixelModel, Robustness, attack_named, evaluate_robustness
from pnc.runs.requests import AttackRequest, DataSource, request_record
from pnc.simulate.device import resolve_device
from pnc.train import Samples, as_samples, as_split_samples, load_run, load_weights

__all__ = ["AttackResult", "attack_network"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackResult:
    """A network under attack.

    Args:
        request: what was asked for.
        name: of the network.
        parameters: how many numbers it has.
        data: name of the data.
        split: that was attacked.
        notes: what a reader of the numbers should know.
        robustness: accuracies, and the checks of gradient masking.
        labels: (N,) of the samples.
        folder: where it was written.
    """

    request: AttackRequest
    name: str
    parameters: int
    data: str
    split: str
    notes: tuple[str, ...]
    robustness: Robustness
    labels: np.ndarray
    folder: Path | None = None

    @property
    def verdict(self) -> Verdict | None:
        """MASKED, where a defence only hides gradients."""
        return Verdict.MASKED if self.robustness.masked else None

    @property
    def exit_status(self) -> int:
        """0, or 3 where gradients are masked."""
        return 0 if self.verdict is None else self.verdict.exit_status

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        request = self.request
        return {
            "network": request.network,
            "weights": None if request.weights is None else str(request.weights),
            "source": None if request.source is None else str(request.source),
            "name": self.name,
            "parameters": self.parameters,
            "data": self.data,
            "split": self.split,
            **self.robustness.to_dict(),
            "notes": [*self.notes, *self.robustness.notes],
            "verdict": None if self.verdict is None else self.verdict.name,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What became of every sample, as samples.npz holds it."""
        result = self.robustness
        arrays = {"y": self.labels, "clean": result.clean.correct}
        for i, one in enumerate(result.attacks):
            arrays |= {f"attack_{i}_correct": one.correct, f"attack_{i}_success": one.success}
            arrays[f"attack_{i}_distance"] = one.distance
            if one.targets is not None:
                arrays[f"attack_{i}_target"] = one.targets
        for i, noisy in enumerate(result.noise):
            arrays[f"noise_{i}_correct"] = noisy.correct
        if result.deepfool is not None:
            arrays |= {"deepfool_relative": result.deepfool.relative, "deepfool_found": result.deepfool.found}
        return arrays


def attack_network(
    request: AttackRequest,
    *,
    out: str | Path | None = None,
    style: Style = SCREEN,
    force: bool = False,
    progress: Callable[[str, float], None] | None = None,
) -> AttackResult:
    """Attack a network, and check whether its defence only hides gradients: what `pnc robustness` does.

    Args:
        request: the network, its data, attacks and checks.
        out: folder for the numbers, figures, page, and what became of every sample.
        style: of the figures.
        force: replace the results in the folder.
        progress: called with a word and the share that is done, now and then.

    Raises:
        InvalidInputError: whatever is wrong with the network, its data, the attacks or the folder.
    """
    within = _check(request)
    folder = None if out is None else check_folder(found_folder(out), force=force)
    device = resolve_device(request.device)
    with nullcontext() if folder is None else claimed(folder, force=force):
        loaded = _run(request) if Path(request.network).is_dir() else _by_name(request)
        samples = loaded.chosen(request)
        source = None if request.source is None else _source(request, samples).to(device)
        found = evaluate_robustness(
            loaded.model.to(device), samples.x, samples.y, attacks=within, radii=request.radii, steps=request.steps,
            norm=request.norm, targeted=request.targeted, restarts=request.restarts, noise=request.noise,
            with_deepfool="deepfool" in request.attacks, checks=request.checks, source=source, seed=request.seed,
            batch_size=request.batch_size, progress=progress,
        )  # fmt: skip
        result = AttackResult(
            request=request, name=loaded.name, parameters=loaded.parameters, data=loaded.data,
            split="train" if loaded.test is None else "test", notes=loaded.notes, robustness=found,
            labels=samples.y.numpy(), folder=folder,
        )  # fmt: skip
        if folder is not None:
            _write(folder, result, style=style, force=force)
    return result


def _write(folder: Path, result: AttackResult, *, style: Style, force: bool) -> None:
    """run.json, the page, and samples.npz with what became of every sample."""
    told = result.to_dict()
    record = RunRecord(
        command="robustness", verdict=told["verdict"], request=request_record(result.request), details=told
    )
    page = robustness_page(
        result.robustness, title=f"{result.name} under attack, on {result.data}",
        masked=None if result.verdict is None else result.verdict.value, notes=result.notes,
        record=shown_record(record.to_dict()), again=again("robustness"),
    )  # fmt: skip

    def samples(new: Path) -> None:
        arrays: dict[str, Any] = result.arrays()
        np.savez_compressed(new / "samples.npz", **arrays)

    write_result(folder, record, page, more=samples, style=style, force=force)


def _check(request: AttackRequest) -> list[str]:
    """The attacks within a ball, each of them checked with its budget before any data are read."""
    from pnc.robust.attacks.libraries import load_art, load_foolbox
    from pnc.robust.masking.checks import check_compared
    from pnc.robust.noise import check_probability

    known = (*ATTACKS, "deepfool")
    for name in request.attacks:
        if name not in known:
            raise nearest("attack", name, known)
    for r in request.radii:
        for name in request.attacks:
            if name == "deepfool":
                continue
            again = request.restarts if attack_named(name).random_start else 1
            AttackSpec(
                attack=name, radius=r, norm=request.norm, steps=request.steps[0], targeted=request.targeted,
                restarts=again,
            )  # fmt: skip
        AttackSpec(radius=r, norm=request.norm, restarts=request.restarts)
    load_foolbox()
    if "auto" in request.attacks:
        load_art()
    for probability in request.noise:
        check_probability(probability)
    if request.checks:
        check_compared(request.radii, request.steps)
    return [name for name in request.attacks if name != "deepfool"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Loaded:
    """A network with the standardisation of its training split in it, and the samples."""

    model: PixelModel
    name: str
    data: str
    train: Samples
    test: Samples | None
    notes: tuple[str, ...]

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def chosen(self, request: AttackRequest) -> Samples:
        """Those to attack: the first of every class where a size is given."""
        samples = self.train if self.test is None else self.test
        if request.samples_per_class is None:
            return samples
        kept = first_of_each_class(samples.y.numpy(), request.samples_per_class)
        return replace(samples, x=samples.x[kept], y=samples.y[kept])


def _loaded(model: Any, name: str, source: dict[str, Any], train: Samples, test: Samples | None) -> _Loaded:
    notes = list(source["notes"])
    if test is None:
        notes.append("there is no test split: the training samples are attacked")
    return _Loaded(
        model=_pixels(model.eval(), train), name=name, data=source["name"], train=train, test=test, notes=tuple(notes)
    )


def _run(request: AttackRequest) -> _Loaded:
    _refuse("a run folder, which has its own", weights=request.weights, width=request.width, depth=request.depth)
    run = load_run(request.network, trust_code=request.trust_code)
    # standardised as the network was trained, whatever it is shown
    train = run.split("train")
    if request.data.data is not None:
        splits = run.load_other(**vars(request.data))
        shown = splits.train if splits.test is None else splits.test
        test = as_samples(shown, like=train, name=f"the data {request.data.data}")
        return _loaded(run.model, run.name, splits.describe(), train, test)
    given = {name: value or None for name, value in vars(request.data).items()}
    _refuse("the data of the run", **given)
    return _loaded(run.model, run.name, run.data.to_dict(), train, run.load_split("test"))


def _by_name(request: AttackRequest) -> _Loaded:
    if request.weights is None:
        raise InvalidInputError(
            got=f"{request.network}, which is no folder, without `weights`",
            expected="a run folder of pnc train --out, or a network with its weights",
            next_step="train one with: pnc train mlp --out run",
        )
    data: DataSource = request.data
    splits = load_splits(**vars(data if data.data is not None else replace(data, data="fashion-mnist")))
    train, test = as_split_samples(splits)
    model = build(
        request.network, input_shape=train.input_shape, classes=train.classes, width=request.width, depth=request.depth
    )
    load_weights(model, request.weights)
    return _loaded(model, request.network, splits.describe(), train, test)


def _refuse(what: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InvalidInputError(got=f"`{name}` with {what}", expected="none", next_step=f"leave out `{name}`")


def _pixels(model: torch.nn.Module, train: Samples) -> PixelModel:
    """The standardisation of the training split moves into the network."""
    if train.mean is None or train.scale is None:
        return PixelModel(model)
    return PixelModel(model, train.mean.tolist(), train.scale.tolist())


def _source(request: AttackRequest, samples: Samples) -> PixelModel:
    folder = str(request.source)
    run = load_run(folder, trust_code=request.trust_code)
    if (run.input_shape, run.classes) != (samples.input_shape, samples.classes):
        raise InvalidInputError(
            got=f"`source={folder}` for inputs {run.input_shape} and {run.classes} classes",
            expected=f"{samples.input_shape} and {samples.classes}, as the network that is attacked",
            next_step="train the plain network on the same data",
        )
    return _pixels(run.model, run.split("train"))

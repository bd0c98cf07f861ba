"""`pnc.measure(model, loader)`, several splits, and standard errors of a model's layers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import pnc
from pnc.curves import LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import capture, count_classes, measure_features, measure_model, measure_splits
from pnc.measure.readout.logistic import fit_logistic_probe
from tests.measure.nets import mlp
from tests.measure.processes import run_processes
from tests.measure.test_model import assert_close, data, in_batches

ERRORS = ("compression_error", "discrimination_error")


class Counting(nn.Module):
    """How many samples went through it."""

    def __init__(self, model):
        super().__init__()
        self.model, self.samples, self.largest = model, 0, 0

    def forward(self, x):
        self.samples += len(x)
        self.largest = max(self.largest, len(x))
        return self.model(x)


def errors_of(curve):
    return np.array([curve.provenance[name] for name in ERRORS], dtype=float)


def features_of(model, x):
    return {0: x, **dict(enumerate(capture(model, x).values(), 1))}


def test_the_package_is_a_function_of_model_and_loader():
    x, y = data()
    model = mlp()
    loader = DataLoader(TensorDataset(x, y), batch_size=20)
    curve = pnc.measure(model, loader)
    assert curve.provenance["classes"] == 3
    assert_close(curve, measure_model(model, loader, classes=3), 0)
    wanted = measure_features(features_of(model, x), y, uncertainty=True)
    np.testing.assert_allclose(errors_of(curve), errors_of(wanted), rtol=1e-10)  # 60 samples: all were looked at
    again = pnc.measure(model, loader, classes=3, layers=["5"], fuzziness=True, uncertainty=False)
    assert again.provenance["names"] == ["input", "5"]
    assert "compression_error" not in again.provenance
    assert pnc.measure.measure_model is measure_model  # and still a package


def test_classes_are_counted_by_their_labels():
    x, y = data(classes=4)
    assert count_classes(in_batches(x, y, 7)) == 4
    assert count_classes([{"pixels": x, "labels": y}]) == 4
    assert count_classes([(x.numpy(), y.tolist())]) == 4
    named = TensorDataset(x, y)
    named.classes = list("abcdef")
    assert count_classes(DataLoader(named)) == 6
    for wrong, match in (
        (iter([(x, y)]), "no number of classes"),
        (3, "of type int"),
        ([(x, y.double())], "dtype float64"),
        ([(x, torch.eye(4))], r"shape \(4, 4\)"),
        ([x], "a batch of type Tensor"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            count_classes(wrong)
    with pytest.raises(InvalidInputError, match="classes = 0"):
        pnc.measure(mlp(), [])


def test_a_full_second_pass_gives_the_standard_errors_of_the_features():
    x, y = data(90)
    model = mlp()
    curve = measure_model(model, in_batches(x, y, 17), classes=3, fuzziness=True, uncertainty=True)
    wanted = measure_features(features_of(model, x), y, uncertainty=True)
    np.testing.assert_allclose(errors_of(curve), errors_of(wanted), rtol=1e-10)
    assert curve.provenance["error_samples"] == 90
    assert curve.at([1]).provenance["compression_error"] == curve.provenance["compression_error"][1:2]
    assert curve.at([1]).provenance["names"] == ["2"]


@pytest.mark.parametrize("ordered", [False, True])
def test_a_second_look_takes_a_few_samples_of_every_class(ordered):
    x, y = data(6000)
    if ordered:  # as in a folder of images
        x, y = x[y.argsort(stable=True)], y.sort().values
    model = Counting(mlp())
    measure_model(model, in_batches(x, y, 500), classes=3)
    once, model.samples, model.largest = model.samples, 0, 0
    curve = measure_model(model, in_batches(x, y, 500), classes=3, uncertainty=True)
    assert curve.provenance["error_samples"] == 513  # 171 of each class
    assert model.samples == once + 513
    whole = measure_model(model, in_batches(x, y, 500), classes=3, uncertainty=True, fuzziness=True)
    # variances of 171 samples: to sqrt((κ - 1)/171) with κ ≤ 6, twice that, half that for their roots
    np.testing.assert_allclose(errors_of(curve), errors_of(whole), rtol=np.sqrt(5 / 171))


def test_batches_without_a_sample_change_nothing():
    x, y = data()
    empty = (x[:0], y[:0])
    batches = [empty, *in_batches(x, y, 20), empty]
    assert_close(pnc.measure(mlp(), batches), pnc.measure(mlp(), batches[1:-1]), 0)
    assert_close(measure_model(mlp(), iter(batches), classes=3), pnc.measure(mlp(), batches[1:-1]), 0)
    with pytest.raises(InvalidInputError, match="no batches"):
        measure_model(mlp(), [empty], classes=3)


def test_what_can_be_read_once_has_no_standard_errors_and_says_so():
    x, y = data()
    curve = measure_model(mlp(), iter(in_batches(x, y, 20)), classes=3, uncertainty=True)
    assert "compression_error" not in curve.provenance
    assert any("read once" in note for note in curve.provenance["notes"])


def test_probes_are_fitted_to_the_first_split_and_tried_on_all():
    x, y = data(120)
    train, test = (x[:90], y[:90]), (x[90:] + 0.3, y[90:])
    model = mlp()
    splits = {"train": in_batches(*train, 17), "test": in_batches(*test, 9)}
    curves = measure_splits(model, splits, classes=3, probes=True, spectra=True, fuzziness=True)
    assert list(curves) == ["train", "test"]
    for name, (some, labels) in (("train", train), ("test", test)):
        alone = measure_model(model, in_batches(some, labels, 10), classes=3, fuzziness=True)
        assert_close(curves[name], alone, 1e-12)
        assert curves[name].provenance["split"] == name
        found = curves[name].provenance
        held_out = "" if name == "train" else "held_out_"
        assert ("nearest_centre_accuracy" in found) == (name == "train")  # U3 and U4 are about the samples seen
        fitted = features_of(model, train[0]).values()
        for i, (a, b) in enumerate(zip(fitted, features_of(model, some).values(), strict=True)):
            means = torch.stack([a[train[1] == k].mean(0) for k in range(3)])
            nearest = (torch.cdist(b, means).argmin(1) == labels).double().mean()
            assert found[f"{held_out}nearest_centre_accuracy"][i] == pytest.approx(float(nearest))
            probe = fit_logistic_probe(a, train[1], classes=3).probe
            # rows reach the fit in another order: a sample on the border may change sides
            right = probe.accuracy(b, labels)
            assert found[f"{held_out}linear_probe_accuracy"][i] == pytest.approx(right, abs=1.5 / len(labels))


def _share(rank, world, queue):
    torch.set_num_threads(1)
    x, y = data(50)
    share = (slice(0, 37), slice(37, 37), slice(37, 50))[rank]
    mine = in_batches(x[share], y[share], 9) if rank != 1 else []
    queue.put((rank, pnc.measure(mlp(), mine).to_json()))


def test_processes_count_and_estimate_together():
    x, y = data(50)
    one = measure_model(mlp(), in_batches(x, y, 50), classes=3, uncertainty=True)
    for _, text in run_processes(_share, 3):
        curve = LayerCurve.from_json(text)
        assert_close(curve, one, 1e-12)
        np.testing.assert_allclose(errors_of(curve), errors_of(one), rtol=1e-10)

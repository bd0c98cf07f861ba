"""Measuring a model: streamed numbers against those of its features, memory, halving, bad input."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pnc.curves import FIELDS, LayerCurve
from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments, measure_features, measure_model
from pnc.measure.accumulate.running import BatchLabels, RunningMoments
from pnc.measure.model.layers import capture
from pnc.measure.readout.logistic import fit_logistic_probe
from tests.measure import slow
from tests.measure.cases import UNIT, between_tolerance, cases, within_tolerance
from tests.measure.nets import Chain, Residual, Returning, mlp
from tests.measure.processes import run_processes

SINGLE = float(np.finfo(np.float32).eps)


def data(samples=60, shape=(5,), classes=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(samples) % classes
    centres = torch.randn(classes, *shape, generator=generator, dtype=dtype)
    x = centres[y] + torch.randn(samples, *shape, generator=generator, dtype=dtype) + 1
    order = torch.randperm(samples, generator=generator)
    return x[order], y[order]


def in_batches(x, y, size):
    return list(zip(x.split(size), y.split(size), strict=True))


def expected(model, x, y, **options):
    features = {0: x, **dict(enumerate(capture(model, x).values(), 1))}
    return measure_features(features, y, **options)


def assert_close(curve, other, tolerance):
    assert curve.layers.tolist() == other.layers.tolist()
    for name in FIELDS:
        np.testing.assert_allclose(getattr(curve, name), getattr(other, name), rtol=tolerance, err_msg=name)


@pytest.mark.parametrize("size", [1, 7, 60])
def test_any_batch_size_gives_what_the_features_give(size):
    x, y = data()
    model = mlp()
    curve = measure_model(model, in_batches(x, y, size), classes=3, fuzziness=True)
    # batches of another size are other matrix products: features differ by their own rounding
    assert_close(curve, expected(model, x, y), 1e-12)
    assert curve.provenance["names"] == ["input", "2", "5", "6"]
    assert curve.provenance["mode"] == "evaluation"
    assert curve.provenance["skipped"] == {}


def test_labels_may_be_every_other_of_many():
    (x, _), (_, y) = data(60), data(120)
    model = mlp()
    assert measure_model(model, [(x, y[::2])], classes=3) == measure_model(model, [(x, y[::2].clone())], classes=3)


def test_convolutional_features_are_flattened():
    torch.manual_seed(1)
    model = Residual().double()
    x, y = data(shape=(1, 5, 5))
    curve = measure_model(model, in_batches(x, y, 13), classes=3, fuzziness=True)
    assert_close(curve, expected(model, x, y), 1e-11)
    assert curve.provenance["dimensions"] == [25, 100, 100, 100, 3]
    assert curve.provenance["shapes"][1:] == [[4, 5, 5]] * 3 + [[3]]


def test_train_and_test_modes_differ_and_evaluation_is_measured():
    x, y = data()
    model = mlp().train()
    curve = measure_model(model, in_batches(x, y, 20), classes=3)
    assert model.training
    assert_close(curve, measure_model(model.eval(), in_batches(x, y, 20), classes=3), 0)
    features = {}
    model.train()
    handle = model[2].register_forward_hook(lambda m, a, z: features.update({0: z.detach()}))
    model(x)
    handle.remove()
    assert measure_features(features, y).compression[0] != pytest.approx(curve.compression[1], rel=1e-3)


@settings(max_examples=40)
@given(
    cases(),
    st.sampled_from([torch.float64, torch.float32]),
    st.sampled_from(["rows", "chunks", "batches", "columns"]),
    st.sampled_from([1, 3, 10**6]),
)
def test_running_moments_are_the_exact_answer(case, dtype, way, flush):
    x = torch.from_numpy(case.x).to(dtype)
    exact = slow.measure(x.to(torch.float64).numpy(), case.y, fuzziness=False)
    with pytest.MonkeyPatch.context() as patch:
        place = "pnc.measure.accumulate.running"
        patch.setattr(f"{place}._FLUSH_SAMPLES", flush)
        patch.setattr(f"{place}._ROW_ENTRIES", 1 if way == "rows" else 10**9)
        patch.setattr(f"{place}.FEW_CLASSES", 0 if way in ("batches", "columns") else 1024)
        if way == "columns":
            patch.setattr(f"{place}._BLOCK_ENTRIES", 1)
        running = RunningMoments(classes=case.classes, dimension=case.dimension)
        for part in case.batches:
            rows = x[part]
            y = BatchLabels.of(case.y[part], samples=len(rows), classes=case.classes, device="cpu")
            running.update(rows, y)
    moments = running.moments()
    assert moments.counts.tolist() == np.bincount(case.y).tolist()
    unit = UNIT if dtype == torch.float64 else SINGLE
    # relative to the deviations from the shift, the class's first sample: N of them at most, each at most
    # twice the diameter squared, on top of what float64 leaves
    rows = x.to(torch.float64).numpy()
    spread = np.sqrt((np.array([rows[i] - exact.means[k] for i, k in enumerate(case.y)], dtype=float) ** 2).sum(1))
    scale = 8 * unit * len(case.y) * (case.dimension + len(case.y)) * (spread.max() ** 2)
    within = within_tolerance(case, exact) * float(exact.within)
    assert abs(moments.within_scatter() - float(exact.within)) <= scale + 4 * within + 1e-300
    norms = np.sqrt(float(exact.between)) + np.abs(rows).max() * UNIT * 8 * len(case.y)
    between = between_tolerance(case, exact) * float(exact.between)
    error = 8 * unit * len(case.y) * spread.max()
    assert abs(moments.between_scatter() - float(exact.between)) <= 4 * between + 4 * error * (norms + error)


@pytest.mark.parametrize("few", [0, 1024])  # whether each batch is merged at once
@pytest.mark.parametrize("dimension", [50, 9000])  # on either side of where rows are taken one by one
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_single_precision_features_keep_six_digits_whatever_their_means(dimension, offset, few, monkeypatch):
    monkeypatch.setattr("pnc.measure.accumulate.running.FEW_CLASSES", few)
    generator = torch.Generator().manual_seed(dimension)
    y = torch.arange(400) % 4
    x = torch.randn(400, dimension, generator=generator) + offset
    x += torch.randn(4, dimension, generator=generator)[y]
    truth = ClassMoments(classes=4, dimension=dimension).update(x, y)
    running = RunningMoments(classes=4, dimension=dimension)
    for part in torch.arange(400).split(32):
        labels = BatchLabels.of(y[part], samples=len(part), classes=4, device="cpu")
        running.update(x[part], labels)
    moments = running.moments()
    assert moments.compression() == pytest.approx(truth.compression(), rel=1e-6)
    assert moments.discrimination() == pytest.approx(truth.discrimination(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("few", [0, 1024])
def test_values_whose_squares_overflow_single_precision_are_measured(few, monkeypatch):
    monkeypatch.setattr("pnc.measure.accumulate.running.FEW_CLASSES", few)
    x = torch.tensor([[1e30], [3e30], [5e30], [7e30]])
    labels = BatchLabels.of([0, 0, 1, 1], samples=4, classes=2, device="cpu")
    running = RunningMoments(classes=2, dimension=1).update(x, labels).update(x, labels)
    assert running.moments().compression() == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize("few", [0, 1024])
def test_a_refused_batch_leaves_nothing_behind(few, monkeypatch):
    monkeypatch.setattr("pnc.measure.accumulate.running.FEW_CLASSES", few)
    x, y = data(40, dtype=torch.float32)
    broken = x.clone()
    broken[0] = torch.nan
    labels = BatchLabels.of(y, samples=40, classes=3, device="cpu")
    running = RunningMoments(classes=3, dimension=5)
    for _ in range(2):
        with pytest.raises(InvalidInputError, match=r"layer a: sample 100, entry 0 is nan"):
            running.update(broken, labels, name="layer a", first_sample=100)
        assert running.moments().samples == 0
        assert not running.moments().means.any()
    truth = ClassMoments(classes=3, dimension=5).update(x, y)
    assert running.update(x, labels).moments().compression() == pytest.approx(truth.compression(), rel=1e-6)


def test_a_batch_of_many_classes_touches_only_those_that_it_holds():
    running = RunningMoments(classes=2000, dimension=6)
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    y = torch.arange(40) // 2 * 7 + 3
    running.update(x, BatchLabels.of(y, samples=40, classes=2000, device="cpu"))
    moments = running.moments()
    moments.means[y[0]] = torch.nan  # what is not touched keeps whatever it holds
    running.update(x[2:], BatchLabels.of(y[2:], samples=38, classes=2000, device="cpu"))
    assert moments.means[y[0]].isnan().all()
    assert not moments.means[torch.arange(2000) % 7 != 3].any()
    np.testing.assert_allclose(moments.means[y[2]], x[2:4].mean(0), rtol=1e-6)


def test_running_moments_of_many_classes_hold_little_more_than_the_means():
    classes, dimension = 4000, 256
    running = RunningMoments(classes=classes, dimension=dimension)
    y = torch.arange(4000)
    running.update(torch.randn(4000, dimension), BatchLabels.of(y, samples=4000, classes=classes, device="cpu"))
    running.moments()
    tensors = [each for owner in (running, running._total) for each in vars(owner).values() if torch.is_tensor(each)]
    assert sum(each.numel() * each.element_size() for each in tensors) < 1.05 * 8 * classes * dimension


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_three_ways_to_sum_a_batch_agree(dtype):
    x, y = data(40, dtype=dtype)
    labels = BatchLabels.of(y, samples=40, classes=3, device="cpu")
    running = RunningMoments(classes=3, dimension=5).update(x + 1, labels)  # shifts away from the means of these rows
    shifts = running._total.means.to(torch.float32)
    sums, squares = running._accelerated(x, labels, shifts)
    for other in (running._row_by_row, running._in_chunks):
        for a, b in zip(other(x, labels, shifts), (sums, squares), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == torch.float32 else 1e-13)


def test_no_features_are_kept():
    x, y = data(40)
    alive = []

    def watch(z):
        assert sum(r() is not None for r in alive) == 0, "features of an earlier batch are alive"
        out = z + 1
        alive.append(weakref.ref(out))
        return out

    model = Chain(a=nn.Linear(5, 4).double(), b=Returning(watch), c=nn.Linear(4, 3).double())
    alive.clear()
    measure_model(model, in_batches(x, y, 10), classes=3, layers=["*"])
    gc.collect()
    assert sum(r() is not None for r in alive) == 0


class Limited(nn.Module):
    """Fails as an accelerator does where a batch is larger than its memory."""

    def __init__(self, most, model):
        super().__init__()
        self.most, self.model, self.sizes = most, model, []

    def forward(self, x):
        for i, part in enumerate(self.model):
            if i == 4 and x.shape[0] > self.most:  # after the first layers were measured
                raise torch.OutOfMemoryError("out of memory")
            x = part(x)
        self.sizes.append(x.shape[0])
        return x


@pytest.mark.parametrize(("most", "largest"), [(16, 15), (7, 4), (2, 2)])
def test_a_batch_out_of_memory_is_halved_and_no_sample_counted_twice(most, largest):
    x, y = data()
    model = Limited(10**9, mlp())
    whole = measure_model(model, in_batches(x, y, 30), classes=3, fuzziness=True, probes=True)
    model.most, model.sizes = most, []
    halved = measure_model(model, in_batches(x, y, 30), classes=3, fuzziness=True, probes=True)
    assert_close(halved, whole, 1e-12)
    assert max(model.sizes[1:]) == largest
    assert [note for note in halved.provenance["notes"] if "out of memory" in note] != []
    assert halved.provenance["nearest_centre_accuracy"] == whole.provenance["nearest_centre_accuracy"]
    assert halved.provenance["samples"] == 60


def test_a_bad_sample_of_a_halved_batch_is_named_by_its_place_in_the_data():
    x, y = data()
    x[57] = 1e9
    bad = Returning(lambda z: torch.where(z.abs() > 1e4, torch.nan, z))
    model = Limited(8, nn.Sequential(*mlp(), bad))
    with pytest.raises(InvalidInputError, match=r"layer model\.7: sample 57, entry . is nan"):
        measure_model(model, in_batches(x, y, 30), classes=3, layers=["model.7"])


def test_out_of_memory_with_one_sample_is_said():
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.calls = nn.Linear(5, 2).double(), 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 3:  # the layers are found in three passes over a few samples
                raise torch.OutOfMemoryError("out of memory. Tried to allocate")
            return self.part(x)

    x, y = data()
    with pytest.raises(InvalidInputError, match="single sample"):
        measure_model(Greedy(), in_batches(x, y, 8), classes=3)


def test_other_failures_of_the_model_are_told_in_one_line():
    def fail(x):
        if x.shape[0] > 2:
            raise RuntimeError("shapes")
        return x

    x, y = data()
    model = nn.Sequential(nn.Linear(5, 2).double(), Returning(fail))
    with pytest.raises(InvalidInputError, match="RuntimeError: shapes") as caught:
        measure_model(model, in_batches(x, y, 8), classes=3)
    assert isinstance(caught.value.__cause__, RuntimeError)


def means_without(z, y, left_out):
    """Class means of all samples but one."""
    rest = np.delete(np.arange(len(y)), left_out)
    return np.stack([z[rest][y[rest] == k].mean(0) for k in range(3)])


def test_spectra_ranks_and_probes_and_the_universal_inequalities():
    x, y = data(90)
    model = mlp(width=8)
    curve = measure_model(model, in_batches(x, y, 17), classes=3, spectra=True, probes=True)
    features = [x, *capture(model, x).values()]
    provenance = curve.provenance
    for i, z in enumerate(features):
        z = z.numpy()
        singular = np.linalg.svd(z, compute_uv=False)
        np.testing.assert_allclose(provenance["singular_values"][i], singular, atol=1e-12 * singular[0])
        assert provenance["spectrum_error"][i] == {"exact": True, "squared_error": 0.0, "missing": 0.0, "rounding": 0.0}
        C = curve.compression[i]
        centred = provenance["ranks"][i]["centred"]
        variance = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
        assert variance[:2].sum() / variance.sum() >= 1 / (1 + C) - 1e-12  # U1
        assert centred["stable_rank"] <= (1 + C) * 2 + 1e-12  # U2
        means = np.stack([z[y.numpy() == k].mean(0) for k in range(3)])
        gaps = np.linalg.norm(means[:, None] - means[None], axis=2)[~np.eye(3, dtype=bool)]
        error = 1 - provenance["nearest_centre_accuracy"][i]
        assert error <= 4 * curve.within_scatter[i] / gaps.min() ** 2 + 1e-12  # U3
        nearest = ((z[:, None] - means[None]) ** 2).sum(2).argmin(1)
        assert provenance["nearest_centre_accuracy"][i] == pytest.approx((nearest == y.numpy()).mean())
        alone = [((z[:, None] - means_without(z, y.numpy(), i)) ** 2).sum(2)[i].argmin() for i in range(90)]
        assert provenance["held_out_nearest_centre_accuracy"][i] == pytest.approx((alone == y.numpy()).mean())
        fitted = fit_logistic_probe(torch.from_numpy(z), y, classes=3)
        assert provenance["linear_probe_accuracy"][i] == pytest.approx(fitted.accuracy)
        assert provenance["held_out_linear_probe_accuracy"][i] == pytest.approx(fitted.held_out_accuracy, abs=0.02)


def test_loaders_mappings_tuples_arrays_and_narrower_inputs():
    x, y = data()
    model = mlp()
    usual = measure_model(model, in_batches(x, y, 20), classes=3)
    dataset = torch.utils.data.TensorDataset(x, y)
    loader = torch.utils.data.DataLoader(dataset, batch_size=20, shuffle=True)
    assert_close(measure_model(model, loader, classes=3, fuzziness=False), usual, 1e-12)
    arrays = [(a.numpy(), b.tolist()) for a, b in in_batches(x, y, 20)]
    assert_close(measure_model(model, arrays, classes=3), usual, 1e-12)
    assert_close(measure_model(model, iter(arrays), classes=3), usual, 1e-12)
    wrapped = Keywords(model)
    mappings = [{"pixels": a, "labels": b} for a, b in in_batches(x, y, 20)]
    assert_close(measure_model(wrapped, mappings, classes=3), usual, 1e-12)
    assert_close(measure_model(wrapped, [((a,), b) for a, b in in_batches(x, y, 20)], classes=3), usual, 1e-12)
    cast = measure_model(mlp(dtype=torch.float32), in_batches(x, y, 20), classes=3)
    assert "inputs were cast from float64 to float32, the model's" in cast.provenance["notes"]
    assert cast.provenance["dtype"] == ["float32"] * 4


class Keywords(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixels)


def test_words_are_no_features_and_positions_can_be_averaged():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 4), nn.ReLU()).double()
    words, y = torch.randint(0, 10, (30, 7)), torch.arange(30) % 3
    curve = measure_model(model, in_batches(words, y, 8), classes=3, reduce=lambda z: z.mean(1) if z.ndim == 3 else z)
    assert curve.provenance["names"] == ["0", "2"]
    assert curve.layers.tolist() == [1, 2]
    assert "whole numbers" in curve.provenance["skipped"]["input"]
    assert curve.provenance["dimensions"] == [4, 4]
    lengths = [(words[:8], y[:8]), (words[8:, :5], y[8:])]
    with pytest.raises(InvalidInputError, match="dimension 28 in one batch, 20 in another"):
        measure_model(model, lengths, classes=3)


def test_a_layer_that_some_batches_pass_by_is_skipped_with_the_reason():
    class Sometimes(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.extra, self.calls = nn.Linear(5, 4), nn.Linear(4, 4), 0

        def forward(self, x):
            self.calls += 1
            x = self.first(x)
            return self.extra(x) if self.calls < 5 else x

    x, y = data(dtype=torch.float32)
    curve = measure_model(Sometimes(), in_batches(x, y, 20), classes=3)
    assert curve.provenance["names"] == ["input", "first"]
    assert curve.provenance["skipped"] == {"extra": "called for 20 of 60 samples"}


def test_bad_input_is_one_clear_line():
    x, y = data()
    model = mlp()
    batches = in_batches(x, y, 20)
    broken = x.clone()
    broken[33, 2] = torch.nan

    def refused(pattern, batches=batches, model=model, **options):
        with pytest.raises(InvalidInputError, match=pattern):
            measure_model(model, batches, **{"classes": 3, **options})
        assert not any(module._forward_hooks for module in model.modules())

    refused("layer input: sample 33, entry 2 is nan", in_batches(broken, y, 20))
    refused("no sample in class 3", classes=4)
    refused("label 2", classes=2)
    wrong = y.clone()
    wrong[47] = 5
    refused("label 5 at sample 47", in_batches(x, wrong, 20))
    refused("classes = 1", classes=1)
    refused("no batches", [])
    refused("type int", 3)
    refused("3 entries", [(x, y, y)])
    refused("shape \\(59,\\) for a batch of 60", [(x, y[:59])])
    refused("read once", iter(batches), fuzziness=True)
    refused("'nothing'", layers=["nothing"])
    diverged = nn.Sequential(nn.Linear(5, 4).double(), Returning(lambda z: z / 0), nn.Linear(4, 3).double())
    refused("layer 1: sample 0, entry 0 is", model=diverged, layers=["1"])
    changing = Changing(batches)
    refused("40 samples in the second pass and 60 in the first", changing, fuzziness=True)


class Changing:
    def __init__(self, batches):
        self.batches, self.reads = batches, 0

    def __iter__(self):
        self.reads += 1
        return iter(self.batches if self.reads < 3 else self.batches[:2])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_accelerator_measures_what_the_cpu_does(dtype):
    x, y = data(200, shape=(1, 9, 9), dtype=dtype)
    torch.manual_seed(0)
    model = Residual().to(dtype)
    options = {"classes": 3, "fuzziness": True, "spectra": True, "probes": True}
    here = measure_model(model, in_batches(x, y, 64), **options)
    there = measure_model(model, in_batches(x, y, 64), device="cuda", **options)
    assert next(model.parameters()).device.type == "cpu"
    assert there.provenance["device"].startswith("cuda")
    # convolutions may round to 10 bits there (TF32)
    assert_close(there, here, 1e-10 if dtype == torch.float64 else 1e-2)


def _share(rank, world, queue):
    torch.set_num_threads(1)
    x, y = data(50)
    share = (slice(0, 37), slice(37, 37), slice(37, 50))[rank]
    mine = in_batches(x[share], y[share], 9) if rank != 1 else []
    curve = measure_model(mlp(), mine, classes=3, fuzziness=True, probes=True, spectra=True)
    broken = [(batch_x * (torch.nan if rank else 1), batch_y) for batch_x, batch_y in mine]
    try:
        measure_model(mlp(), broken, classes=3)
    except InvalidInputError as error:
        queue.put((rank, curve.to_json(), str(error)))


def test_several_processes_one_of_them_empty_measure_what_one_does():
    x, y = data(50)
    one = measure_model(mlp(), in_batches(x, y, 50), classes=3, fuzziness=True, probes=True, spectra=True)
    for _, text, failure in run_processes(_share, 3):
        curve = LayerCurve.from_json(text)
        assert_close(curve, one, 1e-12)
        assert curve.provenance["samples"] == 50
        assert curve.provenance["processes"] == 3
        for kind in ("nearest_centre_accuracy", "linear_probe_accuracy"):
            assert curve.provenance[kind] == pytest.approx(one.provenance[kind])
        for got, want in zip(curve.provenance["singular_values"], one.provenance["singular_values"], strict=True):
            np.testing.assert_allclose(got, want, atol=1e-12 * want[0])
        assert "is nan" in failure  # no process waits for ever for the one that failed

"""Loaders as people have them: samplers that draw or repeat, augmentation, labels of every kind, odd inputs."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset, WeightedRandomSampler

import pnc
from pnc.errors import InvalidInputError
from pnc.measure import count_classes, measure_compressed, measure_features, measure_model, measure_neural_collapse
from pnc.measure.model.samples import batch_size
from tests.measure.nets import mlp
from tests.measure.processes import run_processes
from tests.measure.test_model import assert_close, data, in_batches


class Augmented(Dataset):
    """Every sample is given a little differently each time."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i] + 0.1 * torch.randn(self.x[i].shape, dtype=self.x.dtype), self.y[i]


def loaders(x, y):
    weights = torch.linspace(0.1, 1, len(y))
    return {
        "drawn by weight": DataLoader(TensorDataset(x, y), 20, sampler=WeightedRandomSampler(weights, len(y))),
        "drop_last and shuffle": DataLoader(TensorDataset(x, y), 7, shuffle=True, drop_last=True),
        "augmented": DataLoader(Augmented(x, y), 20),
    }


@pytest.mark.parametrize("kind", ["drawn by weight", "drop_last and shuffle", "augmented"])
def test_two_passes_over_different_samples_are_refused(kind):
    x, y = data()
    model, loader = mlp(), loaders(x, y)[kind]
    for options in ({"fuzziness": True}, {"probes": True}):
        with pytest.raises(InvalidInputError, match=r"other samples in the second pass.*leave out what needs"):
            measure_model(model, loader, classes=3, **options)
    with pytest.raises(InvalidInputError, match="other samples"):
        measure_neural_collapse(model, loader, classes=3)
    torch.manual_seed(0)
    curve = measure_model(model, loader, classes=3, uncertainty=True)  # one pass is right by itself
    torch.manual_seed(0)
    first = next(iter([list(loader)]))  # `list_layers` looked at a batch of its own first
    assert curve.origin.samples == sum(len(labels) for _, labels in first)
    said = " ".join(curve.origin.remarks)
    assert ("with replacement" in said) == (kind == "drawn by weight")
    assert ("drops the last 4 samples" in said) == (kind == "drop_last and shuffle")


def test_one_other_sample_among_many_is_noticed_and_another_order_is_not():
    x, y = data(900, dtype=torch.float32)
    model = mlp(dtype=torch.float32)
    shuffled = DataLoader(TensorDataset(x, y), 64, shuffle=True)
    curve = measure_model(model, shuffled, classes=3, fuzziness=True, probes=True)
    assert_close(curve, measure_model(model, in_batches(x, y, 900), classes=3, fuzziness=True), 1e-4)

    class Exchanged:
        reads = 0

        def __iter__(self):
            self.reads += 1
            z = x.clone()
            if self.reads > 2:  # the first batch is read for the layers, then comes the first pass
                z[17] = x[(y == y[17]).nonzero()[100, 0]]
            return iter(in_batches(z, y, 90))

    with pytest.raises(InvalidInputError, match="other samples"):
        measure_model(model, Exchanged(), classes=3, fuzziness=True)


def test_a_network_that_is_random_is_named_and_not_measured_in_two_passes():
    x, y = data()
    model = nn.Sequential(nn.Linear(5, 4).double(), Noise(), nn.Linear(4, 3).double())
    curve = measure_model(model, in_batches(x, y, 20), classes=3, uncertainty=True)
    assert any("random in evaluation mode" in note for note in curve.origin.remarks)
    with pytest.raises(InvalidInputError, match="no randomness in the model"):
        measure_model(model, in_batches(x, y, 20), classes=3, fuzziness=True)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def test_compressing_reads_the_same_samples_again(monkeypatch):
    x, y = data()
    monkeypatch.setattr("pnc.measure.compress.activations.MOST_ENTRIES", 100)  # too many to hold at once
    options = {"classes": 3, "site": "2", "dimensions": [2], "svm": False}
    test = in_batches(x, y, 20)
    assert measure_compressed(mlp(), test, test, **options).samples == 60
    with pytest.raises(InvalidInputError, match="other samples"):
        measure_compressed(mlp(), DataLoader(Augmented(x, y), 20), test, **options)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("samples", [10, 3])
def test_what_a_distributed_sampler_repeats_is_not_counted(samples, shuffle):
    x, y = data(samples)
    whole = measure_features({0: x}, y)
    moments = None
    for rank in range(4):
        sampler = DistributedSampler(TensorDataset(x, y), num_replicas=4, rank=rank, shuffle=shuffle, seed=3)
        loader = DataLoader(TensorDataset(x, y), batch_size=2, sampler=sampler)
        from pnc.measure.model.batches import BatchSource

        source = BatchSource(loader, mlp(), again=True)
        assert any("repeats" in note for note in source.notes)
        part = pnc.measure.ClassMoments(classes=3, dimension=5)
        for inputs, labels in source:
            if len(labels):
                part.update(inputs, labels)
        moments = part if moments is None else moments.merge(part)
    assert moments.samples == samples
    assert moments.compression() == pytest.approx(whole.compression[0], rel=1e-12)


def _share(rank, world, queue):
    torch.set_num_threads(1)
    x, y = data(10)
    loader = DataLoader(TensorDataset(x, y), batch_size=2, sampler=DistributedSampler(TensorDataset(x, y)))
    curve = pnc.measure(mlp(), loader, fuzziness=True)
    alone = measure_model(mlp(), in_batches(x, y, 3), classes=3, alone=True) if rank == 0 else None
    queue.put((rank, curve.origin.samples, curve.compression[0], None if alone is None else alone.compression[0]))


def test_processes_measure_what_one_does_also_one_of_them_alone():
    x, y = data(10)
    one = measure_model(mlp(), in_batches(x, y, 10), classes=3)
    for rank, samples, value, alone in run_processes(_share, 4):
        assert samples == 10
        assert value == pytest.approx(one.compression[0], rel=1e-12)
        assert alone is None or alone == pytest.approx(one.compression[0], rel=1e-12)
        assert (alone is None) == (rank != 0)


X = torch.tensor([[0.0], [2.0], [4.0], [6.0]])
NET = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat", "cat", "dog", "dog"], "the labels cat, dog are classes 0…1"),
        (np.array(["cat", "cat", "dog", "dog"]), "the labels cat, dog"),
        (np.array([7, 7, 9, 9], np.uint16), "the labels 7, 9"),
        (np.array([7, 7, 9, 9], np.uint32), "the labels 7, 9"),
        (np.array([7, 7, 9, 9], np.uint64), "the labels 7, 9"),
        (np.array([1, 1, 2, 2], ">i4"), "the labels 1, 2"),
        (torch.tensor([1, 1, 2, 2]), "the labels 1, 2"),
        (torch.tensor([0, 0, 1, 1], dtype=torch.uint8), None),
        (torch.tensor([0, 0, 1, 1], dtype=torch.uint16), None),
        (torch.tensor([False, False, True, True]), None),
        (np.array([False, False, True, True]), None),
        ([0, 0, 1, 1], None),
    ],
)
def test_labels_of_every_kind(labels, said):
    curve = pnc.measure(NET, [(X, labels)])
    assert curve.compression[0] == 0.25
    assert curve.origin.classes == 2
    notes = [note for note in curve.origin.remarks if "are classes" in note]
    assert len(notes) == (said is not None)
    assert said is None or notes[0].startswith(said)


def test_labels_in_an_order_of_the_callers():
    curve = measure_model(NET, [(X, ["b", "b", "a", "a"])], classes=["b", "a"], fuzziness=True)
    assert curve.compression[0] == 0.25
    with pytest.raises(InvalidInputError, match=r"label 'c'; expected one of 'b', 'a'"):
        measure_model(NET, [(X, ["b", "b", "a", "c"])], classes=["b", "a"])
    with pytest.raises(InvalidInputError, match=r"labels that are text.*leave `classes` out"):
        measure_model(NET, [(X, ["b", "b", "a", "a"])], classes=2)
    with pytest.raises(InvalidInputError, match=r"labels.argmax\(1\)"):
        pnc.measure(NET, [(X, torch.eye(2).repeat_interleave(2, 0))])
    with pytest.raises(InvalidInputError, match="numbers in one batch and text in another"):
        pnc.measure(NET, [(X, [0, 0, 1, 1]), (X, ["a", "a", "b", "b"])])
    assert count_classes([(X, ["a", "a", "b", "c"])]) == 3


@pytest.mark.parametrize(
    "x",
    [
        X.numpy().astype(">f4"),
        X.to_sparse(),
        None,
        X.numpy()[::-1][::-1],
        X.double(),
    ],
    ids=["big-endian", "sparse", "CSR", "reversed", "float64"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_inputs_of_every_kind(x):
    x = X.to_sparse_csr() if x is None else x
    curve = pnc.measure(NET, [(x, [0, 0, 1, 1])], fuzziness=True)
    assert curve.compression[0] == 0.25
    assert curve.separation_fuzziness[0] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: torch.jit.script(NET), "TorchScript"),
        (lambda: torch.export.export(NET, (X,)).module(), "exported graph"),
        (lambda: nn.Sequential(nn.LazyLinear(2), nn.ReLU()), "lazy modules"),
        (lambda: nn.Sequential(nn.Linear(1, 2, device="meta"), nn.ReLU()), "meta device"),
    ],
    ids=["jit", "export", "lazy", "meta"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_models_without_modules_or_weights_get_one_true_line(model, match):
    with pytest.raises(InvalidInputError, match=match):
        pnc.measure(model(), [(X, [0, 0, 1, 1])])


def test_batch_statistics_and_second_looks_at_single_samples():
    """A batch of one sample, as a second look may make it, has no statistics; ten seeds, ten orders."""
    for seed in range(10):
        x, y = data(600, seed=seed)
        model = nn.Sequential(
            nn.Linear(5, 4).double(), nn.BatchNorm1d(4, track_running_stats=False).double(), nn.ReLU(),
            nn.Linear(4, 3).double(),
        )  # fmt: skip
        curve = measure_model(model, in_batches(x, y, 129), classes=3, uncertainty=True)
        assert any("depends on the rest of its batch" in note for note in curve.origin.remarks)
        assert curve.origin.error_samples == 600


def test_a_last_batch_that_the_model_does_not_take_is_told():
    class Eight(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(5, 4).double()

        def forward(self, x):
            return self.one(x).reshape(8, 4)

    x, y = data(20)
    with pytest.raises(InvalidInputError, match="fails on a batch of 4 samples"):
        measure_model(Eight(), in_batches(x, y, 8), classes=3)
    curve = measure_model(Eight(), in_batches(x[:16], y[:16], 8), classes=3, uncertainty=True)
    assert any("batches of 8 samples only" in note for note in curve.origin.remarks)


def test_masked_encoders_keep_plain_tensors():
    torch.manual_seed(0)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
            self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(4, 2)

        def forward(self, x, src_key_padding_mask):
            return self.head(self.encoder(x, src_key_padding_mask=src_key_padding_mask)[:, 0])

    x, mask = torch.randn(8, 5, 4), torch.arange(5)[None] >= torch.tensor([5, 3, 2, 5, 4, 1, 5, 2])[:, None]
    y = torch.arange(8) % 2
    model = Encoder()
    curve = pnc.measure(model, [((x, mask), y)])
    assert [note.name for note in curve.notes] == ["input", "encoder.layers.0", "encoder.layers.1", "head"]
    model.eval()
    with torch.no_grad():
        state = model.encoder.layers[0](x, src_key_padding_mask=mask)
    keep = (~mask).float()[..., None]
    wanted = measure_features({0: (state * keep).sum(1) / keep.sum(1)}, y)
    assert curve.compression[1] == pytest.approx(wanted.compression[0], rel=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_packed_sequence_has_as_many_samples_as_it_packs():
    packed = nn.utils.rnn.pack_sequence([torch.ones(3, 2), torch.ones(2, 2), torch.ones(1, 2)])
    assert batch_size(packed) == batch_size((packed, torch.ones(7))) == 3

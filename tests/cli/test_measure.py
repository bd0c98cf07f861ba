"""`pnc measure` of run folders, networks, and texts: the numbers of the library, and one line for bad input."""

import json
import os
import pickle
import re
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pnc.curves import FIELDS
from pnc.data import load_splits
from pnc.data.fashion_mnist import FASHION_MNIST_FOLDER
from pnc.measure import measure_model
from pnc.nets import build
from pnc.train import as_split_samples, load_weights
from tests.cli.commands import run
from tests.cli.test_bad_input import refused, says_what_to_do
from tests.data.test_text import write_rows
from tests.measure.test_front import errors_of
from tests.train.cases import clusters

SHAPE = ("--width", 12, "--depth", 4)
TRAIN = ("--epochs", 8, "--batch-size", 20, "--learning-rate", 0.02, "--device", "cpu", "--accuracy-limit", 0)

MODULE = """
import torch
from torch import nn


class Odd(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, x):
        return self.answer(x)


def odd(input_shape, classes):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(input_shape[0], 6), Odd(lambda x: (x, None)), Odd(lambda pair: {"hidden": pair[0].relu()}),
        Odd(lambda table: table["hidden"]), nn.Linear(6, 5), Odd(lambda x: "text" if False else x),
        Words(), nn.Linear(5, classes),
    )


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = Odd(lambda x: "text")

    def forward(self, x):
        self.word(x)
        return x
"""


GREEDY = """
import torch
from torch import nn


class Greedy(nn.Linear):
    def forward(self, x):
        if len(x) > 20:
            raise torch.OutOfMemoryError("out of memory. Tried to allocate")
        return super().forward(x)


def greedy(input_shape, classes):
    return nn.Sequential(nn.Linear(input_shape[0], 6), nn.ReLU(), Greedy(6, classes))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained network and its data."""
    folder = tmp_path_factory.mktemp("measured")
    for name, seed in (("train", 0), ("test", 1)):
        x, y = clusters(60, seed=seed)
        np.savez(folder / f"{name}.npz", X=x, y=y)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    from pnc.cli.main import main

    options = (*data_of(folder), *SHAPE, *TRAIN, "--no-batch-norm", "--quiet", "--out", folder / "run")
    with pytest.raises(SystemExit) as end:
        main([str(option) for option in ("train", "mlp", *options)])
    assert end.value.code == 0
    return folder / "run"


def data_of(folder):
    return "--data", folder / "train.npz", "--test-data", folder / "test.npz"


def test_a_run_folder_is_measured_as_the_training_did(capsys, trained):
    ended = run(capsys, "measure", trained, "--json", "--device", "cpu")
    assert ended.status == 0
    result, record = ended.json(), json.loads((trained / "run.json").read_text())
    for split in ("train", "test"):
        measured, wanted = result["splits"][split], record["splits"][split]
        assert measured["layers"] == [0, 1, 2, 3]
        for name in FIELDS:
            np.testing.assert_allclose(measured[name], wanted[name], rtol=1e-12)
        held_out = "held_out_" if split == "test" else ""
        for name in (f"{held_out}linear_probe_accuracy", f"{held_out}nearest_centre_accuracy", "compression_error"):
            np.testing.assert_allclose(measured["provenance"][name], wanted["provenance"][name], rtol=1e-12)
        assert measured["neural_collapse"]["head"] == "head"
        assert measured["neural_collapse"]["accuracy"] == wanted["accuracy"]
        assert measured["provenance"]["skipped"] == {}
        assert {"geometric", "linear"} == measured["laws"].keys()
    assert [result[name] for name in FIELDS] == [result["splits"]["train"][name] for name in FIELDS]
    assert result["verdict"] is None


def test_what_is_known_of_convergence_goes_along(capsys, folder, tmp_path):
    out = tmp_path / "short"
    options = ("--data", folder / "train.npz", "--epochs", 1, "--batch-size", 20, "--learning-rate", 1e-6)
    assert run(capsys, "train", "mlp", *options, *SHAPE, "--device", "cpu", "--quiet", "--out", out).status == 4
    measured = tmp_path / "measured.json"
    measured.write_text(run(capsys, "measure", out, "--quick", "--json").out)
    for what in (out, measured):
        assert run(capsys, "compare", what, "--json").json()["verdict"] == "NOT_CONVERGED"


def test_a_network_and_its_weights_are_the_same(capsys, trained, folder):
    options = (*SHAPE, "--no-batch-norm", "--weights", trained / "weights.safetensors", "--device", "cpu", "--json")
    result = run(capsys, "measure", "mlp", *data_of(folder), *options, "--split", "test").json()
    whole = run(capsys, "measure", trained, "--json", "--device", "cpu").json()
    assert list(result["splits"]) == ["test"]
    assert result["compression"] == whole["splits"]["test"]["compression"]
    assert not any("probe_accuracy" in name for name in result["provenance"])  # what would they be fitted to?


def test_one_pass_gives_the_numbers_with_their_uncertainty(capsys, trained, folder):
    result = run(capsys, "measure", trained, "--quick", "--json", "--layers", "body.[02]", "--device", "cpu").json()
    model = build("mlp", input_shape=(8,), classes=3, width=12, depth=4, batch_norm=False)
    load_weights(model, trained / "weights.safetensors")
    samples, _ = as_split_samples(load_splits(folder / "train.npz"))
    curve = measure_model(model, samples.batches(60), classes=3, layers=["body.0", "body.2"], uncertainty=True)
    np.testing.assert_allclose(result["compression"], curve.compression, rtol=1e-12)
    found = [result["provenance"][name] for name in ("compression_error", "discrimination_error")]
    np.testing.assert_allclose(found, errors_of(curve), rtol=1e-12)
    assert result["separation_fuzziness"] == [None] * 3
    assert "neural_collapse" not in result["splits"]["train"]


def test_the_table_has_everything(capsys, trained):
    text = run(capsys, "measure", trained, "--device", "cpu").out
    for word in ("± C", "± D", "fuzziness", "CDNV", "rank", "centre", "probe", "neural collapse at head: NC1"):
        assert text.count(word) >= 2, word
    assert "\ntest: 60 samples, K = 3" in text
    assert "geometric law" in text


def test_where_the_compression_happens(capsys, trained):
    ended = run(capsys, "measure", trained, "--quick", "--attribute", "--json", "--device", "cpu")
    assert ended.status == 0
    result = ended.json()
    for split in ("train", "test"):
        found, curve = result["splits"][split]["attribution"], result["splits"][split]
        before, after = found["compression"]
        assert sum(found["log_compression"]) == pytest.approx(np.log(after / before), abs=1e-12)
        assert sum(found["by_kind"].values()) == pytest.approx(np.log(after / before), abs=1e-12)
        assert before == pytest.approx(curve["compression"][0], rel=1e-6)
        last = found["names"].index("body.2.1") + 1  # the last block ends there
        assert before * np.exp(sum(found["log_compression"][:last])) == pytest.approx(
            curve["compression"][-1], rel=1e-5
        )
        assert found["violations"] == []
        assert found["samples"] == 60
    assert result["attribution"] == result["splits"]["train"]["attribution"]
    text = run(capsys, "measure", trained, "--quick", "--attribute", "--device", "cpu").out
    assert text.count("where C changes (U5)") == 2
    assert "Δ log tr Σ_W" in text
    assert "attribution" not in run(capsys, "measure", trained, "--quick", "--json", "--device", "cpu").json()


def test_a_module_whose_features_have_no_rows_is_named(capsys, trained, folder, tmp_path):
    (tmp_path / "odd_rows.py").write_text(
        "import torch\nfrom torch import nn\n\n\ndef odd(input_shape, classes):\n"
        "    return nn.Sequential(nn.Linear(input_shape[0], 6), nn.Flatten(0), nn.Unflatten(0, (-1, 6)), "
        "nn.Linear(6, classes))\n"
    )
    network = f"{tmp_path / 'odd_rows.py'}:odd"
    line = refused(capsys, "measure", network, *data_of(folder), "--quick", "--attribute", "--layers", "3")
    assert "features of 1 of shape (360,) for 60 samples" in says_what_to_do(line)
    np.savez(tmp_path / "f.npz", y=[0, 0, 1, 1], layer_0=np.eye(4))
    assert "--attribute with" in says_what_to_do(refused(capsys, "measure", tmp_path / "f.npz", "--attribute"))


def test_other_data_than_the_runs_own(capsys, trained, folder):
    result = run(capsys, "measure", trained, "--data", folder / "test.npz", "--json", "--device", "cpu").json()
    whole = run(capsys, "measure", trained, "--json", "--device", "cpu").json()
    assert result["compression"] == whole["splits"]["test"]["compression"]


def test_somebody_elses_network_with_odd_outputs(capsys, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "odd_networks.py").write_text(MODULE)
    options = ("--data", folder / "train.npz", "--layers", "*", "--quick", "--device", "cpu")
    ended = run(capsys, "measure", "odd_networks.py:odd", *options)
    assert ended.status == 0, ended
    assert "skipped 6.word: its output is of type str, not a tensor" in ended.out
    assert "note: 2: its output is not one tensor; entry 'hidden' of it is measured" in ended.out
    assert "no --weights" in ended.out
    batches = run(capsys, "measure", "odd_networks.py:odd", *options, "--batch-size", 7, "--json").json()
    names = ["input", "0", "1", "2", "3", "4", "5", "6", "7"]
    assert batches["provenance"]["names"] == names


def test_features_have_standard_errors_too(capsys, folder):
    x, y = clusters(60)
    np.savez(folder / "features.npz", y=y, layer_0=x, layer_3=np.tanh(x))
    result = run(capsys, "measure", folder / "features.npz", "--json").json()
    assert result["layers"] == [0, 3]
    assert all(0 < error < c for error, c in zip(result["provenance"]["compression_error"], result["compression"]))
    assert "± C" in run(capsys, "measure", folder / "features.npz").out


@pytest.mark.skipif(not FASHION_MNIST_FOLDER.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_pixels_as_the_weights_had_them(capsys):
    options = ("--data", "fashion-mnist", "--samples-per-class", 4, "--split", "train", "--device", "cpu", "--quick")
    shape = ("mlp", *SHAPE, "--no-batch-norm")
    found = [
        run(capsys, "measure", *shape, *options, "--json", *more).json()["between_scatter"][0]
        for more in ((), ("--pixel-mean", 0, "--pixel-scale", 0.5), ("--pixel-scale", 0.25))
    ]
    # layer 0 is the images: a scatter goes with the inverse square of the scale, and does not know the mean
    assert found[2] == pytest.approx(4 * found[1], rel=1e-5)
    assert found[0] != pytest.approx(found[1], rel=0.1)
    for wrong in (("--pixel-scale", 0), ("--pixel-mean", "a"), ("--pixel-mean", "1,2"), ("--pixel-scale", "nan")):
        assert wrong[0] in says_what_to_do(refused(capsys, "measure", *shape, *options, *wrong))


TEXTS = [(f"{word} {filler}", word) for word in ("wheat", "ship", "trade") for filler in ("one", "two", "six", "ten")]


def test_texts_are_trained_on_and_measured(capsys, tmp_path):
    names = ("body", "topic")
    train, test = write_rows(tmp_path / "a.tsv", TEXTS, names), write_rows(tmp_path / "b.tsv", TEXTS[::-1], names)
    columns = ("--text-column", "body", "--label-column", "topic")
    out = tmp_path / "run"
    options = ("--data", train, "--test-data", test, *columns, "--vocabulary", 5, *SHAPE, *TRAIN, "--out", out)
    assert run(capsys, "train", "mlp", *options).status == 0
    result = run(capsys, "measure", out, "--json", "--device", "cpu").json()
    assert result["provenance"]["dimensions"][0] == 5
    # the same texts in another order, weighted by the training split
    np.testing.assert_allclose(result["splits"]["test"]["compression"], result["compression"], rtol=1e-5)
    # other texts are given in the words of the run: these in those of their own would be of another dimension
    more = write_rows(tmp_path / "c.tsv", [*TEXTS, *[(f"new words {word}", word) for _, word in TEXTS]], names)
    other = run(capsys, "measure", out, "--data", more, *columns, "--json", "--device", "cpu").json()
    assert other["provenance"]["dimensions"][0] == 5
    again = run(capsys, "measure", out, "--data", test, *columns, "--json", "--device", "cpu").json()
    np.testing.assert_allclose(again["compression"], result["splits"]["test"]["compression"], rtol=1e-5)
    wrong = write_rows(tmp_path / "d.tsv", [(text, word.upper()) for text, word in TEXTS], names)
    assert "the classes 'SHIP'" in says_what_to_do(refused(capsys, "measure", out, "--data", wrong, *columns))


class Tokens(dict):
    def to(self, device):
        return self


class Encoder(nn.Module):
    """Hidden states of a text: word counts, and a random image of them."""

    config = types.SimpleNamespace(max_position_embeddings=8)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.layer = nn.Embedding(64, 6), nn.Linear(6, 6)

    def forward(self, input_ids, attention_mask, output_hidden_states):
        first = self.embedding(input_ids)
        return types.SimpleNamespace(hidden_states=(first, torch.tanh(self.layer(first)), -first))


def tokenizer(texts, *, max_length, **options):
    assert max_length == 8
    words = [[1 + sum(map(ord, word)) % 63 for word in text.split()][:max_length] for text in texts]
    longest = max(map(len, words))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in words])
    return Tokens(input_ids=ids, attention_mask=(ids > 0).long())


@pytest.fixture
def library(monkeypatch):
    """What `transformers` is asked for."""
    tokenizer.model_max_length, tokenizer.pad_token = 10**9, "."
    fake = types.ModuleType("transformers")
    fake.utils = types.SimpleNamespace(logging=types.SimpleNamespace(disable_progress_bar=lambda: None))
    fake.AutoTokenizer = types.SimpleNamespace(from_pretrained=lambda name, **options: tokenizer)
    fake.AutoModel = types.SimpleNamespace(from_pretrained=lambda name, **options: Encoder())
    monkeypatch.setitem(sys.modules, "transformers", fake)


def test_hidden_states_of_texts_layer_by_layer(capsys, tmp_path, library):
    train, test = write_rows(tmp_path / "a.csv", TEXTS), write_rows(tmp_path / "b.csv", TEXTS[::-1])
    options = ("--data", train, "--test-data", test, "--json", "--device", "cpu", "--batch-size", 5)
    ended = run(capsys, "measure", "transformers:folder", *options)
    assert ended.status == 0, ended
    result = ended.json()
    assert result["layers"] == [0, 1, 2]
    means = Encoder().embedding(tokenizer([text for text, _ in TEXTS], max_length=8)["input_ids"]).mean(1)
    x, y = means.detach().double(), np.arange(12) // 4
    centres = np.stack([x[y == k].mean(0) for k in range(3)])
    within = ((x.numpy() - centres[y]) ** 2).sum() / 12
    between = ((centres - centres.mean(0)) ** 2).sum() / 3
    assert result["compression"][0] == pytest.approx(within / between, rel=1e-5)
    assert result["compression"][2] == pytest.approx(within / between, rel=1e-5)
    np.testing.assert_allclose(result["splits"]["test"]["compression"], result["compression"], rtol=1e-5)
    assert result["splits"]["test"]["provenance"]["held_out_linear_probe_accuracy"][0] == 1


class Code:
    def __reduce__(self):
        return os.system, ("touch executed",)


BAD = {
    "no data": (("mlp",), "without --data"),
    "typing error": (("mpl", "--data"), "did you mean mlp?"),
    "split": (("RUN", "--split", "valid"), "split = 'valid'"),
    "no such split": (("mlp", "--split", "both", "--data"), "which has no test split"),
    "shape of a run": (("RUN", "--depth", 3), "--depth with"),
    "data option of a run": (("RUN", "--samples-per-class", 3), "--samples-per-class with"),
    "pattern": (("RUN", "--layers", "body.9"), "did you mean 'body.2' or 'body.1'"),
    "features with layers": (("f.npz", "--layers", "a"), "--layers with f.npz"),
    "features with data": (("f.npz", "--data"), "--data with f.npz"),
    "no features": (("f.npz",), "f.npz, which is not there"),
    "an empty folder": ((".",), "run.json, which cannot be read"),
    "classes": (("mlp", "--classes", 3, "--data"), "--classes with mlp"),
    "vocabulary": (("mlp", "--vocabulary", 3, "--data"), "--vocabulary"),
    "tokens": (("mlp", "--longest", 3, "--data"), "--longest with mlp"),
    "device": (("mlp", "--device", "toaster", "--data"), "toaster"),
    "code": (("mlp", "--weights", "code.pt", "--data"), "more than tensors (it asks for posix.system)"),
    "bare pickle": (("mlp", "--weights", "code.pkl", "--data"), "more than tensors"),
    "encoder of numbers": (("transformers:x", "--data"), "expected a .csv"),
    "pixels of numbers": (("mlp", "--pixel-mean", 0.5, "--data"), "data that are no pixels"),
    "weights of an encoder": (("transformers:x", "--weights", "w.pt", "--data"), "--weights with transformers:x"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(capsys, tmp_path, monkeypatch, folder, trained, case):
    monkeypatch.chdir(tmp_path)
    torch.save({"head.weight": Code()}, "code.pt")
    (tmp_path / "code.pkl").write_bytes(pickle.dumps(Code()))
    arguments, words = BAD[case]
    if arguments[-1] == "--data":
        arguments = (*arguments, folder / "train.npz")
    arguments = [str(argument).replace("RUN", str(trained)) for argument in arguments]
    assert words in says_what_to_do(refused(capsys, "measure", *arguments, folder=tmp_path))


def test_a_run_does_not_take_other_kinds_of_data(capsys, tmp_path, trained):
    x, y = clusters(30, dimension=5)
    np.savez(tmp_path / "narrow.npz", X=x, y=y)
    assert "shape (5,)" in says_what_to_do(refused(capsys, "measure", trained, "--data", tmp_path / "narrow.npz"))
    np.savez(tmp_path / "few.npz", X=clusters(30)[0], y=y % 2)
    line = refused(capsys, "measure", trained, "--data", tmp_path / "few.npz")
    assert "no sample of the class '2'" in says_what_to_do(line)


@pytest.mark.parametrize("command", ["train", "measure"])
def test_a_network_larger_than_any_memory_is_refused_before_it_is_built(capsys, tmp_path, command):
    x, y = clusters(12, dimension=1)
    np.savez(tmp_path / "line.npz", X=x, y=y)
    options = ("--data", tmp_path / "line.npz", "--width", 10**7)  # 400 TB are more than any machine can address
    assert "1000000 or less" in says_what_to_do(refused(capsys, command, "mlp", *options))


def test_a_batch_larger_than_the_memory_is_halved(capsys, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "greedy_networks.py").write_text(GREEDY)
    ended = run(capsys, "measure", "greedy_networks.py:greedy", "--data", folder / "train.npz", "--device", "cpu")
    assert ended.status == 0, ended
    assert "note: out of memory: batches were halved to at most 15 samples" in ended.out
    assert "train: 60 samples" in ended.out


def test_weights_of_another_shape_are_listed(capsys, trained, folder):
    options = ("--width", 5, "--depth", 4, "--no-batch-norm", "--data", folder / "train.npz")
    line = refused(capsys, "measure", "mlp", *options, "--weights", trained / "weights.safetensors")
    assert "body.0.0.weight is (12, 8) instead of (5, 8), body.1.0.weight is" in line


def test_a_layer_pattern_is_refused_before_the_training(capsys, folder, tmp_path):
    options = (*data_of(folder), *SHAPE, *TRAIN, "--layers", "body.9", "--out", tmp_path / "run")
    assert "'body.9'" in says_what_to_do(refused(capsys, "train", "mlp", *options, folder=tmp_path))


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("net.pt", "pass this file as --weights"),
        ("net.ckpt", "pass this file as --weights"),
        ("mymodel.py", "FILE.py:FUNCTION"),
        ("t.csv", "pass the file as --data"),
        ("run.json", "the folder of a run"),
    ],
)
@pytest.mark.parametrize("data", [(), ("--data", "fashion-mnist")])
def test_files_that_people_give_for_a_network(capsys, tmp_path, name, match, data):
    (tmp_path / name).write_bytes(b"")
    assert match in says_what_to_do(refused(capsys, "measure", tmp_path / name, *data))


def test_endings_in_capital_letters(capsys, tmp_path):
    np.savez(tmp_path / "f.npz", y=[0, 0, 1, 1], layer_0=[[0.0], [2.0], [4.0], [6.0]])
    (tmp_path / "f.npz").rename(tmp_path / "F.NPZ")
    assert run(capsys, "measure", tmp_path / "F.NPZ", "--json").json()["compression"] == [0.25]


def test_pixels_in_effect_are_said_and_a_head_at_chance_is_explained(capsys, tmp_path):
    """Classes that differ in brightness alone, and a head trained on pixels less 0.9 instead of their own mean."""
    rng = np.random.default_rng(0)
    for k, grey in enumerate((20, 60, 100)):
        (tmp_path / "images" / f"c{k}").mkdir(parents=True)
        for i in range(40):
            pixels = rng.normal(grey, 4, (3, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / f"c{k}" / f"{i}.png")
    out = tmp_path / "run"
    options = ("--data", tmp_path / "images", "--depth", 2, "--width", 8, "--device", "cpu", "--quiet")
    run(capsys, "train", "mlp", *options, "--epochs", 60, "--learning-rate", 0.02, "--out", out)
    weights = ("mlp", *options[:6], "--weights", out / "weights.safetensors", "--device", "cpu")
    right = run(capsys, "measure", *weights)
    assert re.search(r"pixels / 255 less 0\.23\d*, divided by 0\.1\d+: those of this training split", right.out)
    assert "where chance is" not in right.out
    wrong = run(capsys, "measure", *weights, "--pixel-mean", 5, "--pixel-scale", 0.1)
    assert "pixels / 255 less 5, divided by 0.1: as given" in wrong.out
    assert re.search(r"the classifier has \d\d\.\d% of the training samples right, where chance is 33\.3%", wrong.out)
    one = run(capsys, "measure", *weights, "--pixel-mean", 0.2)
    assert "`pixel_mean` as given" in one.out or "--pixel-mean as given" in one.out


def test_per_class_names_the_pair_that_D_is_made_of(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.repeat(range(4), 20)
    centres = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0], [3.9, 1.0, 0.0]])
    np.savez(tmp_path / "f.npz", y=y, layer_0=centres[y] + 0.1 * rng.standard_normal((80, 3)))
    text = run(capsys, "measure", tmp_path / "f.npz", "--per-class").out
    assert "of classes" in text
    assert "0, 3" in text
    rows = [line.split() for line in text.split("class by class")[1].splitlines()[2:6]]
    assert (rows[0][-4], rows[3][-4]) == ("3", "0")
    assert rows[0][-1] == rows[3][-1] == "100%"
    assert "100%" not in rows[2]
    found = run(capsys, "measure", tmp_path / "f.npz", "--per-class", "--json").json()["provenance"]
    assert found["closest_classes"] == [[0, 3]]
    assert found["class_table"][0]["nearest"][0] == 3


def test_wide_layers_are_averaged_over_positions(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2, 4, 4)).astype(np.float32)
    y = np.arange(40) % 2
    np.savez(tmp_path / "p.npz", X=x.reshape(40, -1), y=y)
    (tmp_path / "wide_networks.py").write_text(
        "from torch import nn\n"
        "def wide(*, input_shape, classes, **_):\n"
        "    return nn.Sequential(nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), "
        "nn.Linear(48, classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    options = ("measure", "wide_networks.py:wide", "--data", "p.npz", "--device", "cpu", "--layers", "2", "--json")
    flat, pooled = (run(capsys, *options, *more).json() for more in ((), ("--reduce", "mean")))
    assert flat["provenance"]["dimensions"][1] == 48
    assert pooled["provenance"]["dimensions"][1] == 3
    assert "--reduce" in refused(capsys, *options[:3], "p.npz", "--reduce", "sum", folder=tmp_path)

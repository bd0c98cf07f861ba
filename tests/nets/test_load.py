"""Networks from modules, files and libraries; and what can be wrong with them."""

import importlib.util
import json
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from pnc.errors import InvalidInputError
from pnc.nets import build, encode_texts, load_network

SHAPE = {"input_shape": (6,), "classes": 3}

SOURCE = """
import torch
from torch import nn

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
    def forward(self, x):
        return self.layer(x)

def both(classes, input_shape):
    return nn.Linear(input_shape[0], classes)

def one(classes, width=7):
    return nn.Sequential(nn.Linear(6, width), nn.Linear(width, classes))

def neither():
    return nn.Linear(6, 3)

def more(depth):
    return nn.Linear(6, depth)

def fails():
    raise KeyError("gone\\naway")

def nothing():
    pass

ready = nn.Linear(6, 3)
number = 3

class Space:
    inner = staticmethod(neither)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_networks.py").write_text(SOURCE)
    (tmp_path / "broken_networks.py").write_text("def f(:\n")
    (tmp_path / "failing_networks.py").write_text("raise RuntimeError('no\\nGPU')\n")
    (tmp_path / "needy_networks.py").write_text("import not_installed_anywhere.part\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.endswith("_networks")]:
        del sys.modules[name]


@pytest.mark.parametrize("place", ["my_networks", "my_networks.py", "./my_networks.py"])
@pytest.mark.parametrize("function", ["Plain", "both", "one", "neither", "ready", "Space.inner"])
def test_what_is_taken(here, place, function):
    path = list(sys.path)
    network = load_network(f"{place}:{function}", **SHAPE)
    assert isinstance(network, nn.Module)
    assert network(torch.zeros(2, 6)).shape == (2, 3)
    assert sys.path == path


def test_built_with_a_seed_and_an_initial_law(here):
    options = {**SHAPE, "initial": "orthogonal(0.5)"}
    first, again, other = (build("my_networks:one", **options, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(first["0.weight"], again["0.weight"])
    assert not torch.equal(first["0.weight"], other["0.weight"])
    assert torch.linalg.svdvals(first["0.weight"]) == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(InvalidInputError, match="`width` with my_networks:one; expected no option but"):
        build("my_networks:one", **SHAPE, width=5)
    with pytest.raises(InvalidInputError, match="`projection` with my_networks:one"):
        build("my_networks:one", **SHAPE, projection=1)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("my_networks", "network = 'my_networks'; expected package.module:function"),
        ("my_networks:", "expected package.module:function"),
        (":both", "expected package.module:function"),
        ("no_such_module:f", "no module no_such_module;"),
        ("torch.no_such_part:f", "no module torch.no_such_part;"),
        ("no_such_file.py:f", "no file no_such_file.py"),
        ("needy_networks:f", "no module not_installed_anywhere, which needy_networks imports"),
        ("broken_networks:f", r"broken_networks, which fails when it is imported \(SyntaxError"),
        ("failing_networks:f", r"fails when it is imported \(RuntimeError: no GPU\)"),
        ("failing_networks.py:f", r"fails when it is imported \(RuntimeError: no GPU\)"),
        ("my_networks:bothh", "no bothh in my_networks; .*did you mean both[?]"),
        ("my_networks:Space.iner", "no iner in my_networks; .*did you mean inner[?]"),
        ("my_networks:number", "my_networks:number, which is int"),
        ("my_networks:nothing", "my_networks:nothing, which gives builtins.NoneType; expected a torch.nn.Module"),
        ("my_networks:fails", r"my_networks:fails\(\), which fails \(KeyError: 'gone\\naway'\)"),
        ("my_networks:more", r"which fails \(TypeError: more\(\) missing .*give its other arguments defaults"),
        ("..:f", "got"),
    ],
)
def test_what_is_refused(here, name, match):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_network(name, **SHAPE)
    assert "\n" not in str(caught.value)


def test_a_file_that_fails_leaves_no_module_behind(here):
    with pytest.raises(InvalidInputError):
        load_network("failing_networks.py:f", **SHAPE)
    assert "failing_networks" not in sys.modules


# --- libraries


@pytest.mark.parametrize(
    ("library", "words"), [("timm", "timm"), ("torchvision", "torchvision"), ("transformers", "transformers")]
)
def test_a_library_that_is_not_installed(monkeypatch, library, words):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidInputError, match=f"pip install {words}"):
        load_network(f"{library}:something", input_shape=(3, 32, 32), classes=10)


def test_a_library_that_does_not_go_with_torch(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInputError, match=r"operator torchvision::nms does not exist.*goes with"):
        load_network("timm:resnet18", input_shape=(3, 32, 32), classes=10)


def test_timm_is_asked_for_channels_and_classes(monkeypatch):
    """A stand-in with timm's published signatures; the real one below, where it is installed."""

    def create_model(name, pretrained=True, num_classes=1000, in_chans=3):
        assert not pretrained
        if name == "stubborn":
            raise RuntimeError("expected 3\nchannels")
        return nn.Conv2d(in_chans, num_classes, 1)

    fake = types.ModuleType("timm")
    fake.create_model, fake.is_model = create_model, lambda name: name in ("tiny", "stubborn")
    fake.list_models = lambda: ["tiny", "stubborn"]
    monkeypatch.setitem(sys.modules, "timm", fake)
    network = load_network("timm:tiny", input_shape=(1, 8, 8), classes=4)
    assert network.weight.shape == (4, 1, 1, 1)
    with pytest.raises(InvalidInputError, match=r"timm network = 'tinny'; .*did you mean tiny"):
        load_network("timm:tinny", input_shape=(1, 8, 8), classes=4)
    with pytest.raises(InvalidInputError, match=r"timm:stubborn, which cannot be made \(expected 3 channels\)"):
        load_network("timm:stubborn", input_shape=(1, 8, 8), classes=4)


def test_the_real_timm():
    pytest.importorskip("timm", reason="needs timm", exc_type=Exception)
    network = load_network("timm:resnet18", input_shape=(1, 32, 32), classes=4).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 4)


def test_the_real_torchvision():
    pytest.importorskip("torchvision.models", reason="needs torchvision", exc_type=Exception)
    network = load_network("torchvision:resnet18", input_shape=(3, 32, 32), classes=4).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    with pytest.raises(InvalidInputError, match="did you mean resnet18"):
        load_network("torchvision:resnet-18", input_shape=(3, 32, 32), classes=4)
    with pytest.raises(InvalidInputError, match="1 channels"):
        load_network("torchvision:resnet18", input_shape=(1, 32, 32), classes=4)


# --- texts


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="needs transformers", exc_type=Exception)
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "wheat", "ship", "price"]
    (folder / "vocab.txt").write_text("\n".join(words))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        initializer_range=0.5,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_hidden_states_are_means_over_the_words(tiny_bert):
    texts = ["wheat price", "ship", "wheat wheat ship price ship", "price"]
    layers = encode_texts(texts, str(tiny_bert), batch_size=3)
    assert [layer.shape for layer in layers] == [(4, 8)] * 4
    assert all(layer.dtype == np.float32 for layer in layers)
    # one text at a time needs no padding: padding must have had no part in the means
    alone = [encode_texts([text], str(tiny_bert)) for text in texts]
    for l, layer in enumerate(layers):
        assert np.abs(layer - np.concatenate([states[l] for states in alone])).max() <= 1e-5
    assert np.abs(layers[3] - layers[0]).max() > 0.1


def test_longer_texts_than_the_model_takes_are_cut(tiny_bert):
    whole, cut = (encode_texts(["wheat ship " * n], str(tiny_bert), longest=500)[3] for n in (40, 7))
    assert np.abs(whole - cut).max() <= 1e-5  # 16 positions, two of them for the ends


def test_a_classifier_of_transformers(tiny_bert):
    network = load_network(f"transformers:{tiny_bert}", input_shape=(16,), classes=5).eval()
    with torch.no_grad():
        assert network(torch.tensor([[2, 5, 3]])).logits.shape == (1, 5)


def test_texts_that_cannot_be_encoded(tmp_path, monkeypatch):
    with pytest.raises(InvalidInputError, match="got no text"):
        encode_texts([], "model")
    if importlib.util.find_spec("transformers"):
        with pytest.raises(InvalidInputError, match="cannot be loaded"):
            encode_texts(["a"], str(tmp_path))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InvalidInputError, match="pip install transformers"):
        encode_texts(["a"], "model")

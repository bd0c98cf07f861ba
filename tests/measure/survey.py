"""A table of kinds of module: what is measured of each, and of what is not measured, the reason."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils import rnn as packed

from tests.measure.nets import Residual, Returning


@dataclass(frozen=True)
class Kind:
    """One row: how the model is made, its inputs, and the layers that are expected.

    `values` maps the name of a layer to a function of (model, inputs) that says its (N, …) features by hand.
    """

    name: str
    make: Callable[[], nn.Module]
    layers: tuple[str, ...]
    inputs: Any = None
    values: Mapping[str, Callable[[nn.Module, Any], torch.Tensor]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def flat(samples: int = 7, width: int = 4) -> torch.Tensor:
    return torch.randn(samples, width, generator=torch.Generator().manual_seed(1))


def tokens(samples: int = 7, length: int = 5, width: int = 4) -> torch.Tensor:
    return torch.randn(samples, length, width, generator=torch.Generator().manual_seed(2))


def images(samples: int = 7) -> torch.Tensor:
    return torch.randn(samples, 3, 6, 6, generator=torch.Generator().manual_seed(3))


def words(samples: int = 7, length: int = 5) -> torch.Tensor:
    return torch.randint(0, 9, (samples, length), generator=torch.Generator().manual_seed(4))


class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


class Clip(nn.Module):
    def forward(self, x):
        return x.clamp(-3, 3)


class Standardise(nn.Module):
    def forward(self, x):
        return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)


class Scale(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.gain = nn.Parameter(torch.linspace(0.5, 2, width))

    def forward(self, x):
        return x * self.gain


class OwnLinear(nn.Module):
    """A linear map of nobody's known class."""

    def __init__(self, inputs=4, outputs=4):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, x):
        return x @ self.matrix.T


class Adapted(nn.Module):
    """A linear module with a low-rank adapter beside it, as fine-tuning libraries wrap one."""

    def __init__(self, inputs=4, outputs=4):
        super().__init__()
        self.base_layer = nn.Linear(inputs, outputs)
        self.lora_dropout = nn.Dropout(0.5)
        self.lora_A, self.lora_B = nn.Linear(inputs, 2, bias=False), nn.Linear(2, outputs, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.lora_B(self.lora_A(self.lora_dropout(x)))


class Merging(nn.Linear):
    """A linear module whose adapter is merged into its weight in evaluation mode, as loralib does."""

    def __init__(self, inputs=4, outputs=4):
        super().__init__(inputs, outputs)
        self.lora_A, self.lora_B = (nn.Parameter(torch.randn(2, inputs)), nn.Parameter(torch.randn(outputs, 2)))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += (-1.0 if mode else 1.0) * (self.lora_B @ self.lora_A)
            self.merged = not mode
        return self

    def forward(self, x):
        extra = 0 if self.merged else x @ self.lora_A.T @ self.lora_B.T
        return functional.linear(x, self.weight, self.bias) + extra


class WithPart(nn.Linear):
    """A subclass of Linear that has parts."""

    def __init__(self):
        super().__init__(4, 4)
        self.drop = nn.Dropout()

    def forward(self, x):
        return super().forward(self.drop(x))


class Unit(nn.Module):
    """Linear and batch norm, without an activation."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.norm.running_mean.uniform_(-1, 1)

    def forward(self, x):
        return self.norm(self.linear(x))


class Embeddings(nn.Module):
    """Words, positions and a norm, as language models begin."""

    def __init__(self):
        super().__init__()
        self.word, self.position = nn.Embedding(9, 4), nn.Embedding(5, 4)
        self.kind, self.norm = nn.Embedding(2, 4), nn.LayerNorm(4)

    def forward(self, ids):
        places = torch.arange(ids.shape[1], device=ids.device)
        return self.norm(self.word(ids) + self.position(places) + self.kind(torch.zeros_like(ids)))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(torch.relu(self.one(x)))


class Attention(nn.Module):
    """Torch's attention on (T, N, d)."""

    def __init__(self):
        super().__init__()
        self.attend, self.head = nn.MultiheadAttention(4, 2), nn.Linear(4, 2)

    def forward(self, x):
        x = x.transpose(0, 1)
        return self.head(self.attend(x, x, x)[0].mean(0))


class Recurrent(nn.Module):
    def __init__(self, kind, *, batch_first, layers=2, packs=False):
        super().__init__()
        self.rnn, self.head = kind(4, 3, layers, batch_first=batch_first), nn.Linear(3, 2)
        self.first, self.packs = batch_first, packs

    def forward(self, x):
        if self.packs:
            lengths = torch.arange(len(x)) % 3 + 2
            x = packed.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            hidden = self.rnn(x)[1]
            return self.head(hidden[-1] if torch.is_tensor(hidden) else hidden[0][-1])
        x = x if self.first else x.transpose(0, 1)
        out = self.rnn(x)[0]
        return self.head(out[:, -1] if self.first else out[-1])


class Position(nn.Module):
    """A table of positions beside the words: its output has no samples."""

    def __init__(self):
        super().__init__()
        self.word, self.place, self.head = nn.Embedding(9, 4), nn.Embedding(5, 4), nn.Linear(4, 2)

    def forward(self, ids):
        return self.head((self.word(ids) + self.place(torch.arange(5))[None]).mean(1))


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.act = nn.Linear(4, 4), nn.Tanh()

    def forward(self, x):
        return self.act(self.linear(self.act(self.linear(x))))


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.spare = nn.Linear(4, 2), OwnLinear()

    def forward(self, x):
        return self.used(x)


class Pair(NamedTuple):
    hidden: torch.Tensor
    other: torch.Tensor


@dataclass
class Output:
    loss: Any
    hidden: torch.Tensor


class Two(nn.Module):
    """Two inputs side by side."""

    def __init__(self):
        super().__init__()
        self.join, self.act, self.head = nn.Bilinear(4, 4, 3), nn.ReLU(), nn.Linear(3, 2)

    def forward(self, x, z):
        return self.head(self.act(self.join(x, z)))


class Gram(nn.Module):
    """An output whose size depends on the batch."""

    def __init__(self):
        super().__init__()
        self.one, self.cross, self.head = nn.Linear(4, 4), Crossing(), nn.Linear(4, 2)

    def forward(self, x):
        x = self.one(x)
        return self.head(self.cross(x) @ x)


class Crossing(nn.Module):
    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(4))

    def forward(self, x):
        return torch.softmax(x @ self.matrix @ x.T, -1)


class Tokens(nn.Module):
    """(N T, d): rows of all tokens together."""

    def __init__(self):
        super().__init__()
        self.each, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.each(x.flatten(0, 1)).reshape(len(x), -1, 4).mean(1))


class Feed(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.act, self.down = nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4)

    def forward(self, x):
        return x + self.down(self.act(self.up(x)))


class Coupled(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(self.norm(self.one(x)))


class Fixed(nn.Module):
    """A batch size that is written into the model."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(self.one(x).reshape(7, 4))


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.two(functional.dropout(self.one(x), 0.5, training=True))


def quantised():
    from torch.ao.quantization import quantize_dynamic

    return quantize_dynamic(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), {nn.Linear})


def chain(module, *, inputs=4, outputs=4):
    return nn.Sequential(nn.Linear(4, inputs), module, nn.Linear(outputs, 2))


def by_running(*names):
    """What a chain of modules makes of the inputs up to one of them."""

    def run(model, x):
        for name, part in model.named_children():
            x = part(x)
            if name == names[0]:
                return x
        raise AssertionError(names)

    return run


ACTIVATIONS = {
    "ReLU": nn.ReLU, "ReLU in place": lambda: nn.ReLU(inplace=True), "ReLU6": nn.ReLU6, "LeakyReLU": nn.LeakyReLU,
    "PReLU": nn.PReLU, "ELU": nn.ELU, "CELU": nn.CELU, "SELU": nn.SELU, "GELU": nn.GELU, "SiLU": nn.SiLU,
    "Mish": nn.Mish, "Softplus": nn.Softplus, "Softsign": nn.Softsign, "Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid,
    "Hardtanh": nn.Hardtanh, "Hardswish": nn.Hardswish, "LogSigmoid": nn.LogSigmoid, "Softmax": lambda: nn.Softmax(1),
    "an own Swish": Swish, "an own clip": Clip,
}  # fmt: skip
WEIGHTS = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(4, 4)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(4, 4)),
    "an own linear map": OwnLinear,
    "an adapter beside a linear module": Adapted,
    "an adapter that merges": Merging,
    "a subclass of Linear with parts": WithPart,
    "Linear and BatchNorm as one": Unit,
}
NORMS = {
    "BatchNorm1d": lambda: nn.BatchNorm1d(4), "LayerNorm": lambda: nn.LayerNorm(4), "RMSNorm": lambda: nn.RMSNorm(4),
    "GroupNorm": lambda: nn.GroupNorm(2, 4), "an own norm": Standardise, "Dropout": nn.Dropout, "Identity": nn.Identity,
}  # fmt: skip

KINDS = [
    *(
        Kind(f"activation: {name}", lambda make=make: chain(make()), ("1", "2"), values={"1": by_running("1")})
        for name, make in ACTIVATIONS.items()
    ),
    *(
        Kind(
            f"weights: {name}, then ReLU",
            lambda make=make: nn.Sequential(make(), nn.ReLU(), nn.Linear(4, 2)),
            ("1", "2"),
            values={"1": by_running("1")},
        )
        for name, make in WEIGHTS.items()
    ),
    *(
        Kind(
            f"weights, twice: {name}, then ReLU",
            lambda make=make: nn.Sequential(make(), nn.ReLU(), make(), nn.ReLU(), nn.Linear(4, 2)),
            ("1", "3", "4"),
            values={"1": by_running("1"), "3": by_running("3")},
        )
        for name, make in WEIGHTS.items()
    ),
    *(
        Kind(f"between weights: {name}", lambda make=make: chain(make()), ("0", "2"), values={"0": by_running("0")})
        for name, make in NORMS.items()
    ),
    Kind("a scale of an own class", lambda: chain(Scale()), ("0", "2"), skipped={"1": "mix none"}),
    Kind("convolutions", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
         nn.ConvTranspose2d(4, 2, 3), nn.Flatten(), nn.Linear(32, 2)), ("2", "4", "6"), images()),
    Kind("Conv1d", lambda: nn.Sequential(nn.Conv1d(5, 3, 2), nn.Flatten(), nn.Linear(9, 2)), ("0", "2"), tokens()),
    Kind("a residual network", Residual, ("stem.2", "layer1.0", "layer1.1", "fc"), images()[:, :1]),
    Kind("blocks that end in a sum", lambda: nn.Sequential(Feed(), Feed(), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2)),
         ("0", "1", "4")),
    Kind("Embedding and mean", lambda: nn.Sequential(nn.Embedding(9, 4), Returning(lambda x: x.mean(1)),
         nn.Linear(4, 2)), ("0", "2"), words()),
    Kind("EmbeddingBag", lambda: nn.Sequential(nn.EmbeddingBag(9, 4), nn.Linear(4, 2)), ("0", "1"), words()),
    Kind("a sum of embeddings", lambda: nn.Sequential(OrderedDict(emb=Embeddings(), mean=Returning(lambda x: x.mean(1)),
         head=nn.Linear(4, 2))), ("emb", "head"), words(), values={"emb": lambda model, x: model.emb(x)}),
    Kind("a table of positions", Position, ("word", "head"), words(), skipped={"place": "no row a sample"}),
    Kind("TransformerEncoderLayer", lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
         nn.Flatten(), nn.Linear(20, 2)), ("0", "2"), tokens(), values={"0": by_running("0")}),
    Kind("TransformerEncoder", lambda: nn.Sequential(nn.TransformerEncoder(nn.TransformerEncoderLayer(
         4, 2, 8, batch_first=True), 2), nn.Flatten(), nn.Linear(20, 2)), ("0.layers.0", "0.layers.1", "2"), tokens(),
         values={"0.layers.1": lambda model, x: model[0](x)}),
    Kind("MultiheadAttention of (T, N, d)", Attention, ("attend", "head"), tokens(),
         values={"attend": lambda model, x: model.attend(*(x.transpose(0, 1),) * 3)[0].transpose(0, 1)},
         notes=("attend: its output is not one tensor; entry 0", "attend: axis 1 counts the samples")),
    *(
        Kind(f"{kind.__name__}, batch_first={first}", lambda kind=kind, first=first: Recurrent(kind, batch_first=first),
             ("rnn", "head"), tokens(),
             values={"rnn": lambda m, x, f=first: m.rnn(x)[0] if f else m.rnn(x.transpose(0, 1))[0].transpose(0, 1)},
             notes=("rnn: its output is not one tensor; entry 0", *(() if first else ("rnn: axis 1 counts",))))
        for kind in (nn.RNN, nn.GRU, nn.LSTM)
        for first in (True, False)
    ),
    *(
        Kind(f"{kind.__name__} of packed sequences", lambda kind=kind: Recurrent(kind, batch_first=True, packs=True),
             ("rnn", "head"), tokens(), notes=("rnn: its output is not one tensor; entry",))
        for kind in (nn.GRU, nn.LSTM)
    ),
    Kind("GRUCell", lambda: nn.Sequential(nn.GRUCell(4, 3), nn.Linear(3, 2)), ("0", "1")),
    Kind("dynamic quantisation", quantised, ("1", "2"), values={"1": by_running("1")},
         notes=("what 0 makes of a sample depends on the rest",)),
    Kind("an activation called as a function", Functional, ("one", "two"), notes=("one: what comes next",)),
    Kind("a module used twice", Reused, ("act", "act#2")),
    Kind("a module that is never called", Idle, ("used",), skipped={"spare": "never called"}),
    Kind("two inputs", Two, ("act", "head"), (flat(), flat(7, 4) + 1)),
    Kind("a tuple", lambda: chain(nn.Sequential(OwnReturn(lambda x: (None, x + 1)), Returning(lambda p: p[1]))),
         ("0", "1.0", "2"), values={"1.0": lambda model, x: model[0](x) @ model[1][0].matrix.T + 1},
         notes=("1.0: its output is not one tensor; entry 1",)),
    Kind("a named tuple", lambda: chain(nn.Sequential(OwnReturn(lambda x: Pair(x, x + 1)),
         Returning(lambda p: p.hidden))), ("0", "1.0", "2"), notes=("entry 0 of it is measured (1 has a row",)),
    Kind("a mapping", lambda: chain(nn.Sequential(OwnReturn(lambda x: {"h": x}), Returning(lambda p: p["h"]))),
         ("0", "1.0", "2"), notes=("1.0: its output is not one tensor; entry 'h'",)),
    Kind("a nested output", lambda: chain(nn.Sequential(OwnReturn(lambda x: {"h": [None, (x,)]}),
         Returning(lambda p: p["h"][1][0]))), ("0", "1.0", "2"), notes=("its output is not one tensor; entry ('h'",)),
    Kind("a dataclass", lambda: chain(nn.Sequential(OwnReturn(lambda x: Output(None, x)),
         Returning(lambda p: p.hidden))), ("0", "1.0", "2"), notes=("its output is not one tensor; entry 'hidden'",)),
    Kind("indices before features", lambda: chain(nn.Sequential(OwnReturn(lambda x: (x.argsort(1), x)),
         Returning(lambda p: p[1]))), ("0", "1.0", "2"), notes=("1.0: its output is not one tensor; entry 1",)),
    Kind("text", lambda: chain(nn.Sequential(OwnReturn(lambda x: "text"), Returning(lambda p: torch.ones(1, 4)))),
         ("0",), skipped={"1.0": "of type str", "2": "no row a sample"}),
    Kind("complex numbers", lambda: chain(nn.Sequential(OwnReturn(lambda x: x + 0j), Returning(lambda p: p.real))),
         ("0", "2"), skipped={"1.0": "complex64"}),
    Kind("a matrix of all pairs", Gram, ("one", "head"), skipped={"cross": "as long as the batch"},
         notes=("what head makes of a sample depends on the rest",)),
    Kind("rows of all tokens", Tokens, ("head",), tokens(), skipped={"each": "changes with the batch"}),
    Kind("statistics of the batch", Coupled, ("one", "two"), notes=("depends on the rest of its batch",)),
    Kind("a batch size in the model", Fixed, ("one", "two"), notes=("batches of 7 samples only",)),
    Kind("random in evaluation mode", Random, ("one", "two"), notes=("the model is random in evaluation mode: two",)),
    Kind("names with #", lambda: nn.Sequential(OrderedDict({"a": nn.Linear(4, 4), "a#2": nn.ReLU(),
         "b#": nn.Linear(4, 2)})), ("a#2", "b#"), values={"a#2": by_running("a#2")}),
]  # fmt: skip


class OwnReturn(OwnLinear):
    """A linear map that returns what a function makes of its result."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(super().forward(x))

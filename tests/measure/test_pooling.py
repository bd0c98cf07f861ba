"""States of tokens: what `pool` makes of them, by hand and for models of transformers, padded in both ways."""

import numpy as np
import pytest
import torch
from torch import nn

import pnc
from pnc.errors import InvalidInputError
from pnc.measure import measure_features, measure_model
from tests.measure.nets import Returning

LENGTHS = torch.tensor([5, 3, 2, 5, 4, 1, 5, 2])


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.act, self.head = nn.Embedding(9, 4, padding_idx=0), nn.Tanh(), nn.Linear(4, 2)

    def forward(self, input_ids, attention_mask):
        x = self.act(self.embed(input_ids))
        weight = attention_mask[..., None].to(x.dtype)
        return self.head((x * weight).sum(1) / weight.sum(1))


def batch(length=5):
    torch.manual_seed(0)
    mask = (torch.arange(length)[None] < LENGTHS[:, None]).long()
    ids = torch.randint(1, 9, (8, 5))[:, :length] * mask
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.arange(8) % 2}


def by_hand(model, pool):
    x = torch.tanh(model.embed(batch()["input_ids"])).detach()
    mask = batch()["attention_mask"]
    rows = {
        "masked-mean": lambda i: x[i][mask[i] == 1].mean(0),
        "mean": lambda i: x[i].mean(0),
        "cls": lambda i: x[i][0],
        "last": lambda i: x[i][LENGTHS[i] - 1],
        "flatten": lambda i: x[i].flatten(),
    }[pool]
    return torch.stack([rows(i) for i in range(8)])


@pytest.mark.parametrize("pool", ["masked-mean", "mean", "cls", "last", "flatten"])
def test_each_way_to_pool_is_its_definition(pool):
    model = Words()
    wanted = measure_features({1: by_hand(model, pool)}, batch()["labels"])
    curve = measure_model(model, [batch()], classes=2, pool=pool, fuzziness=True, uncertainty=True)
    assert curve.notes[0].name == "act"
    assert curve.compression[0] == pytest.approx(wanted.compression[0], rel=1e-5)
    assert curve.discrimination[0] == pytest.approx(wanted.discrimination[0], rel=1e-4)
    assert curve.notes[0].dimension == by_hand(model, pool).shape[1]


def test_the_mask_of_the_batch_is_used_where_nothing_is_said_and_this_is_said():
    model = Words()
    curve = pnc.measure(model, [batch()])
    assert any("tokens of the mask" in note for note in curve.origin.remarks)
    assert curve.compression[0] == pnc.measure(model, [batch()], pool="masked-mean").compression[0]
    as_tuple = [((batch()["input_ids"], batch()["attention_mask"]), batch()["labels"])]  # known by the signature
    assert pnc.measure(model, as_tuple).compression[0] == curve.compression[0]


def test_a_function_of_output_and_inputs():
    model = Words()
    curve = pnc.measure(
        model, [batch()], pool=lambda x, given: x[:, 0] * given["attention_mask"][:, :1] if x.ndim > 2 else x
    )
    wanted = measure_features({1: by_hand(model, "cls")}, batch()["labels"])
    assert curve.compression[0] == pytest.approx(wanted.compression[0], rel=1e-5)


def test_batches_of_different_lengths():
    model = Words()
    whole = batch()
    order = LENGTHS.argsort()
    parts = []
    for rows in order.split(3):
        longest = int(LENGTHS[rows].max())
        parts.append({"input_ids": whole["input_ids"][rows, :longest], "attention_mask":
                      whole["attention_mask"][rows, :longest], "labels": whole["labels"][rows]})  # fmt: skip
    curve, one = (pnc.measure(model, batches, fuzziness=True) for batches in (parts, [whole]))
    np.testing.assert_allclose(curve.compression, one.compression, rtol=1e-5)
    flat = measure_model(model, parts, classes=2, pool="flatten")
    assert [note.name for note in flat.notes] == ["head"]
    assert any("1 of 2 layers are not measured: act" in n and "`pool`" in n for n in flat.origin.remarks)


def test_images_are_averaged_over_positions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    x, y = torch.randn(8, 1, 5, 5), torch.arange(8) % 2
    curve = measure_model(model, [(x, y)], classes=2, pool="mean")
    wanted = measure_features({0: torch.relu(model[0](x)).detach().mean((2, 3))}, y)
    assert curve.notes[0].dimension == 25  # the input is as it is
    assert curve.compression[1] == pytest.approx(wanted.compression[0], rel=1e-5)


def test_bad_input():
    with pytest.raises(InvalidInputError, match=r"pool = 'max'"):
        measure_model(Words(), [batch()], classes=2, pool="max")
    net = nn.Sequential(nn.Linear(4, 4), Returning(lambda x: x))
    with pytest.raises(InvalidInputError, match="no mask of tokens"):
        measure_model(net, [(torch.randn(8, 4), torch.arange(8) % 2)], classes=2, pool="masked-mean")


@pytest.mark.parametrize("padding", ["longest", "fixed"])
def test_a_model_of_transformers(padding):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=16, num_labels=2,
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, 40, rng.integers(2, 12)) for _ in range(24)]
    y = np.arange(24) % 2
    batches, features = [], []
    for start in range(0, 24, 5):
        some = texts[start : start + 5]
        width = 12 if padding == "fixed" else max(map(len, some))
        ids = torch.tensor(np.stack([np.pad(text, (0, width - len(text))) for text in some]))
        mask = torch.tensor(np.stack([np.arange(width) < len(text) for text in some]), dtype=torch.int64)
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": torch.tensor(y[start : start + 5])})
    model.eval()
    for text in texts:  # one at a time, without any padding
        with torch.no_grad():
            states = model.bert(torch.tensor(text)[None], output_hidden_states=True).hidden_states
        features.append([state[0].mean(0) for state in states])
    wanted = measure_features({l: torch.stack([row[l] for row in features]) for l in range(4)}, y)
    curve = pnc.measure(model.train(), batches, fuzziness=True)
    found = [note.name for note in curve.notes]
    assert found[:4] == ["bert.embeddings", *(f"bert.encoder.layer.{i}" for i in range(3))]
    np.testing.assert_allclose(curve.compression[:4], wanted.compression, rtol=1e-4)
    np.testing.assert_allclose(curve.separation_fuzziness[:4], wanted.separation_fuzziness, rtol=1e-4)
    assert model.training

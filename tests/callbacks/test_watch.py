"""Curves along training: of the network as it is, which is left as it was; classes that merge are said."""

from __future__ import annotations

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from pnc.callbacks import Watch, lightning_callback, trainer_callback
from pnc.errors import InvalidInputError
from pnc.measure import measure_model


def data(classes=3, each=40, d=8):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(classes).repeat_interleave(each)[torch.randperm(classes * each, generator=generator)]
    return torch.eye(classes, d)[y] + 0.2 * torch.randn(classes * each, d, generator=generator), y


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))


def test_what_is_measured_is_the_subsample():
    x, y = data()
    watch = Watch(samples=[(x[:60], y[:60]), (x[60:], y[60:])], most_samples=30)
    found = watch(net(), 1)
    rows = torch.cat([torch.nonzero(y == k)[:10, 0] for k in range(3)]).sort().values
    direct = measure_model(net(), [(x[rows], y[rows])], classes=3)
    assert found.curve.origin.samples == 30
    np.testing.assert_allclose(found.curve.compression, direct.compression, rtol=1e-6)


def test_the_network_is_as_it_was():
    x, y = data()
    model = net().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    Watch(samples=[(x, y)])(model, 1)
    assert model.training
    assert model[3].training
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_only_every_nth_epoch():
    watch = Watch(samples=[data()], every=3)
    done = [epoch for epoch in range(1, 10) if watch(net(), epoch) is not None]
    assert done == [3, 6, 9]
    assert [one.epoch for one in watch.history] == done


def test_a_class_that_merges_with_another_is_said():
    x, y = data()
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh())
    watch = Watch(samples=[(x, y)], layers=["0", "1"])
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(8))
        assert watch(model, 1).alarms == ()
        model[0].weight[1] = model[0].weight[0] = torch.tensor([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    found = watch(model, 2)
    assert {alarm.class_ for alarm in found.alarms} == {0, 1}
    assert {alarm.nearest for alarm in found.alarms} == {0, 1}
    assert "class 0 collapses onto class 1" in str(found.alarms[0])
    assert watch.alarms == found.alarms
    assert found.scalars()["pnc/collapsing classes"] == 2


def test_scalars_reach_a_writer():
    class Writer:
        def __init__(self):
            self.seen = []

        def add_scalar(self, tag, value, step):
            self.seen.append((tag, value, step))

    writer = Writer()
    found = Watch(samples=[data()])(net(), 1, writer=writer)
    assert [(tag, value) for tag, value, _ in writer.seen] == list(found.scalars().items())
    assert {step for *_, step in writer.seen} == {1}


@pytest.mark.parametrize(
    ("arguments", "word"), [({"every": 0}, "every"), ({"alarm": 2.0}, "alarm"), ({"samples": []}, "0 classes")]
)
def test_what_makes_no_sense_is_refused(arguments, word):
    with pytest.raises(InvalidInputError, match=word):
        Watch(**{"samples": [data()]} | arguments)


def test_neither_framework_is_imported_before_it_is_asked_for():
    code = "import sys, pnc.callbacks; assert not {'lightning', 'transformers', 'tensorboard'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_calls_it(tmp_path):
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    x, y = data()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=30)
    watch = Watch(samples=loader, every=2)
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[lightning_callback(watch)], default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Module(), loader)
    assert [one.epoch for one in watch.history] == [2, 4]
    assert watch.history[0].curve.compression[-1] != watch.history[1].curve.compression[-1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_transformers_trainer_calls_it(tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x, labels=None):
            logits = self.net(x)
            if labels is None:
                return {"logits": logits}
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    x, y = data()
    rows = [{"x": x[i], "labels": y[i]} for i in range(len(y))]
    watch = Watch(samples=[{"x": x, "labels": y}])
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=2, per_device_train_batch_size=30, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(
        model=Model(), args=arguments, train_dataset=rows, callbacks=[trainer_callback(watch)]
    )
    trainer.train()
    assert [one.epoch for one in watch.history] == [1, 2]
    assert sum("pnc/collapsing classes" in line for line in trainer.state.log_history) == 2

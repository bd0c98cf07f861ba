"""What cannot be trained on or loaded is refused in one line; what goes wrong midway keeps the last good checkpoint."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pnc.errors import InvalidInputError
from pnc.train import DivergedError, as_samples, fit_weights, load_weights, read_checkpoint, read_weights, train
from tests.train.cases import clusters, images, network, same_weights, spec


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(writer: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "weights.pt", tmp_path / "it ran"
    content = {"weight": torch.zeros(1), "extra": Payload(trace)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(InvalidInputError, match="pickle") as caught:
        read_weights(path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    torch.load(path, weights_only=False) if writer == "torch" else pickle.loads(path.read_bytes())
    assert trace.exists()  # it would have


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("content", [None, b"", b"nothing of the kind", b"PK\x03\x04 broken"])
def test_a_file_of_another_kind_is_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("wrapped", [None, "state_dict", "module"])
@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights_come_back(wrapped: str | None, kind: str, tmp_path: Path) -> None:
    model, other = network(norm=True), network(norm=True, seed=1)
    weights = model.state_dict()
    if wrapped == "module":
        weights = {f"module.{name}": value for name, value in weights.items()}
    path = tmp_path / f"weights.{kind}"
    if kind == "pt":
        torch.save({"state_dict": weights} if wrapped == "state_dict" else weights, path)
    else:
        save_file(weights, path)
    load_weights(other, path)
    assert same_weights(model, other)


@pytest.mark.parametrize("child", ["module", "_orig_mod"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_child_with_the_name_of_a_wrapper_keeps_it(child: str, wrapped: bool) -> None:
    model, other = (torch.nn.Module() for _ in range(2))
    for seed, net in enumerate((model, other)):
        net.add_module(child, network(seed=seed))
    fit_weights(other, {f"{child}." * wrapped + name: value for name, value in model.state_dict().items()})
    assert same_weights(model, other)


def test_weights_that_do_not_fit_are_named_and_nothing_is_changed(tmp_path: Path) -> None:
    model, before = network(), network()
    weights = network().state_dict() | {"1.weight": torch.zeros(16, 9), "9.bias": torch.zeros(1)}
    del weights["5.bias"]
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(InvalidInputError) as caught:
        load_weights(model, tmp_path / "w.safetensors")
    for part in ("missing", "not in the network: 9.bias", "1.weight is (16, 9) instead of (16, 8)"):
        assert part in str(caught.value)
    assert same_weights(model, before)


def test_a_dictionary_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(InvalidInputError, match="holds dict"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 3, 3], "no sample of class 2 in the training split"),
        ([0, 1, 2, -1], "label -1"),
        ([0, 1, 2, 1.5], "label 1.5"),
        ([0, 1, 2], "labels of shape"),
        ([1, 1, 1, 1], "1 class"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        as_samples((np.zeros((4, 2)), labels))


def test_labels_out_of_range_and_missing_classes_of_the_test_split() -> None:
    x, y = clusters(12)
    samples = as_samples((x, y))
    with pytest.raises(InvalidInputError, match="label 3 with 3 classes"):
        as_samples((x, y + 1), like=samples)
    with pytest.raises(InvalidInputError, match="no sample in class 2"):
        as_samples((x, y % 2), like=samples)
    with pytest.raises(InvalidInputError, match="in the test split"):
        train(network(), (x, y), spec(), test=(x[:, :4], y))


def test_entries_that_are_not_finite_are_named() -> None:
    x, y = clusters(12)
    x[7, 3] = np.nan
    with pytest.raises(InvalidInputError, match="sample 7 of the training split"):
        as_samples((x, y))


def test_pixels_are_standardised_by_the_training_split() -> None:
    x, y = images(24)
    samples = as_samples((x, y))
    assert samples.x.dtype == torch.uint8
    out = samples.prepare(samples.x, dtype=torch.float64)
    assert out.shape == (24, 1, 6, 6)
    scaled = (x / 255 - (x / 255).mean()) / (x / 255).std()
    np.testing.assert_allclose(out[:, 0], scaled, rtol=1e-12, atol=1e-13)
    other = as_samples(images(12, seed=3), like=samples)
    assert other.mean is samples.mean
    flat = as_samples((np.full((4, 3, 2, 2), 7, np.uint8), [0, 1, 0, 1]))
    assert flat.prepare(flat.x, dtype=torch.float32).abs().max() < 1e-6


def test_outputs_of_another_size_are_refused() -> None:
    x, y = clusters()
    with pytest.raises(InvalidInputError, match=r"shape \(15, 3\).*\(15, 2\)"):
        train(network(), (x, y % 2), spec())
    with pytest.raises(InvalidInputError, match="without parameters"):
        train(torch.nn.Identity(), (x, y), spec())


def test_a_loss_that_explodes_stops_the_training_and_says_where(tmp_path: Path) -> None:
    """The loss of a step is of the weights before it: the checkpoint of the step before it is good, and is kept."""
    model = network()

    def spoil(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        spoil.calls += 1
        return output * float("nan") if spoil.calls == 7 else output

    spoil.calls = 0
    model.register_forward_hook(spoil)
    with pytest.raises(DivergedError, match=r"step 7 \(epoch 2\).*step-000000006.*`learning_rate`") as caught:
        train(model, clusters(), spec(), checkpoints=tmp_path, checkpoint_seconds=0)
    assert caught.value.step == 7
    kept = read_checkpoint(caught.value.checkpoint)
    assert all(torch.isfinite(value).all() for value in kept.tensors.values())
    assert kept.step == 6


def test_a_short_training_that_explodes_has_a_checkpoint_of_its_first_epoch(tmp_path: Path) -> None:
    model = network()
    calls = []

    def spoil(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return output * float("nan") if len(calls) == 7 else output

    model.register_forward_hook(spoil)
    with pytest.raises(DivergedError, match=r"step 7 \(epoch 2\).*step-000000004") as caught:
        train(model, clusters(), spec(), checkpoints=tmp_path)  # four batches an epoch, less than a minute
    kept = read_checkpoint(caught.value.checkpoint)
    assert kept.step == 4
    assert len(kept.state["history"]) == 1


def test_weights_that_explode_are_not_written(tmp_path: Path) -> None:
    """The loss of the first step is finite; its gradient times the learning rate is beyond float32."""
    chosen = spec(optimiser="sgd", learning_rate=1e38, label_scale=100.0, schedule="constant")
    with pytest.raises(DivergedError, match=r"weights .* is NaN or infinite; no checkpoint had been written") as caught:
        train(network(), clusters(), chosen, checkpoints=tmp_path, checkpoint_seconds=0)
    assert caught.value.step == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")],
    ids=["device", "cpu"],
)
def test_a_batch_too_large_for_the_memory_is_worked_on_in_pieces(error: Exception, tmp_path: Path) -> None:
    plain, tight, resumed = network(), network(), network()
    chosen = spec(precision="float64")

    def small(module: torch.nn.Module, inputs: tuple) -> None:
        if module.training and len(inputs[0]) > 4:
            raise error

    train(plain, clusters(), chosen)
    tight.register_forward_pre_hook(small)
    run = train(tight, clusters(), chosen, checkpoints=tmp_path)
    assert any("4 pieces" in note and "same gradients" in note for note in run.notes)
    torch.testing.assert_close(tight[1].weight, plain[1].weight, rtol=1e-10, atol=1e-12)
    assert train(resumed, clusters(), chosen, checkpoints=tmp_path, resume=True).notes == run.notes

    none = network()
    none.register_forward_pre_hook(lambda module, inputs: (_ for _ in ()).throw(error))
    with pytest.raises(InvalidInputError, match="too little memory"):
        train(none, clusters(), chosen)


def test_another_error_of_a_step_is_not_taken_for_too_little_memory() -> None:
    model = network()
    model.register_forward_pre_hook(lambda module, inputs: (_ for _ in ()).throw(RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        train(model, clusters(), spec())


def test_half_precision_needs_a_gpu_and_resume_a_folder() -> None:
    with pytest.raises(InvalidInputError, match="float16"):
        train(network(), clusters(), spec(precision="float16"))
    with pytest.raises(InvalidInputError, match="resume without"):
        train(network(), clusters(), spec(), resume=True)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="checkpoint folder"):
        train(network(), clusters(), spec(), checkpoints=tmp_path / "file")

"""Many files as one data set: against NumPy on all of it, whoever looked at which file, killed and taken up again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import pnc
from pnc.data import open_features, save_features
from pnc.errors import InvalidInputError
from pnc.measure import ClassMoments, measure_features
from pnc.measure.accumulate.spectrum import StreamingSpectrum
from pnc.measure.features.looks import PartTask, first_look
from pnc.parallel import crew

KINDS = ("npz", "safetensors", "npy", "zarr", "parquet", "arrow")


def draw(samples=240, classes=4, dimension=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(samples) % classes)
    means = 4 * rng.standard_normal((classes, dimension)) + 1
    first = (means[y] + rng.standard_normal((samples, dimension))).astype(np.float32)
    return {1: first, 2: first @ rng.standard_normal((dimension, 3)).astype(np.float32)}, y


def write(folder, kind, features, y, cuts):
    folder.mkdir()
    for i, rows in enumerate(np.split(np.arange(len(y)), cuts)):
        layers, labels = {f"layer_{l}": x[rows] for l, x in features.items()}, y[rows]
        if kind in ("npz", "safetensors"):
            save_features(folder / f"{i}.{kind}", {l: x[rows] for l, x in features.items()}, labels)
        elif kind == "npy":
            for name, array in {**layers, "y": labels}.items():
                np.save(folder / f"{i}.{name}.npy", array)
        elif kind == "zarr":
            zarr = pytest.importorskip("zarr", reason="needs Zarr (pnc[shards])")
            group = zarr.open_group(folder / f"{i}.zarr", mode="w")
            for name, array in {**layers, "labels": labels}.items():
                group.create_array(name, data=array, chunks=(7, *array.shape[1:]))
        else:
            import pyarrow
            from pyarrow import parquet

            columns = {
                name: pyarrow.FixedSizeListArray.from_arrays(array.reshape(-1), array.shape[1])
                for name, array in layers.items()
            }
            if i % 2:  # lists that do not say their length
                columns = {name: pyarrow.array(list(map(list, array)), pyarrow.list_(pyarrow.float32()))
                           for name, array in layers.items()}  # fmt: skip
            table = pyarrow.table({**columns, "label": labels, "file": [f"{j}.png" for j in rows]})
            if kind == "parquet":
                parquet.write_table(table, folder / f"{i}.parquet", row_group_size=11)
            else:
                with pyarrow.ipc.new_file(folder / f"{i}.arrow", table.schema) as file:
                    file.write_table(table, max_chunksize=13)
    return folder


def truth(x, y):
    """C, D, tr(Σ_W Σ_B⁺) and the spectrum by the definitions, in one piece."""
    x = x.astype(np.float64)
    means = np.stack([x[y == k].mean(0) for k in np.unique(y)])
    p = np.bincount(y) / len(y)
    mean = p @ means
    t, b = x - means[y], np.sqrt(p)[:, None] * (means - mean)
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosines = (units @ units.T)[~np.eye(len(means), dtype=bool)]
    within, between = t.T @ t / len(y), b.T @ b
    return {
        "compression": np.trace(within) / np.trace(between),
        "discrimination": 1 - cosines.max(),
        "within_scatter": np.trace(within),
        "between_scatter": np.trace(between),
        "separation_fuzziness": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)),
    }


def assert_true(curve, features, y, rel=1e-12):
    for i, x in enumerate(features.values()):
        for name, value in truth(x, y).items():
            # of float32 features rounding alone decides which directions between means count
            assert getattr(curve, name)[i] == pytest.approx(value, rel=1e-9 if "fuzz" in name else rel), name


@pytest.mark.parametrize("kind", KINDS)
def test_shards_of_every_kind_are_the_whole_array(tmp_path, kind):
    if kind in ("parquet", "arrow"):
        pytest.importorskip("pyarrow", reason="needs pyarrow (pnc[shards])")
    features, y = draw()
    folder = write(tmp_path / kind, kind, features, y, [50, 51, 200])
    curve = measure_features(folder, batch=17, uncertainty=True)
    assert_true(curve, features, y)
    assert curve.origin.samples == 240
    assert curve.origin.class_counts == (60, 60, 60, 60)
    assert "4 files, 240 samples" in curve.origin.remarks
    whole = measure_features(features, y, uncertainty=True)
    for mine, other in zip(curve.notes, whole.notes, strict=True):
        assert mine.compression_error == pytest.approx(other.compression_error, rel=1e-12)
        assert mine.discrimination_error == pytest.approx(other.discrimination_error, rel=1e-9)
        assert mine.dtype == "float32"


def test_everything_that_needs_no_model_is_that_of_the_whole(tmp_path):
    features, y = draw()
    options = {"spectra": True, "probes": True, "uncertainty": True, "collapse": True}
    parts = measure_features(write(tmp_path / "s", "npz", features, y, [90, 130]), **options)
    whole = measure_features(features, y, **options)
    for x, mine, other in zip(features.values(), parts.notes, whole.notes, strict=True):
        np.testing.assert_allclose(mine.singular_values, np.linalg.svd(x.astype(float), compute_uv=False), rtol=1e-6)
        assert mine.ranks.to_dict()["uncentred"]["threshold_rank"] == x.shape[1]
        for name in ("nearest_centre_accuracy", "held_out_nearest_centre_accuracy", "linear_probe_accuracy"):
            assert getattr(mine, name) == getattr(other, name) is not None
        means = np.stack([x[y == k].astype(float).mean(0) for k in range(4)])
        found = np.linalg.norm(x[:, None].astype(float) - means, axis=2).argmin(1)
        assert mine.nearest_centre_accuracy == np.mean(found == y)
        assert mine.smallest_separation == pytest.approx(
            min(((means[i] - means[j]) ** 2).sum() for i in range(4) for j in range(i)), rel=1e-10
        )
    collapse = parts.origin.further["neural_collapse"]
    m = means - means.mean(0)
    assert collapse["equinorm"] == pytest.approx(np.linalg.norm(m, axis=1).std() / np.linalg.norm(m, axis=1).mean())
    assert collapse["variability"] == pytest.approx(parts.separation_fuzziness[-1] / 4)
    assert collapse["self_duality"] is None


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_packed_moments_merge_in_any_order(tmp_path, order):
    features, y = draw(classes=7)
    keep = np.argsort(y, kind="stable")  # parts that lack most of the classes
    features, y = {1: features[1][keep]}, y[keep]
    shards = open_features(write(tmp_path / "s", "safetensors", features, y, [30, 31, 180]))
    from pnc.measure.features.looks import Layer, Seen

    layer = Layer(layer=1, values=shards.label_counts[0], dimension=6, itemsize=4, device="cpu", spectra=(64, 8))
    seen, none = Seen.nothing(layer), torch.zeros(7, dtype=torch.int64)
    for i in order:
        packed = first_look(layer, PartTask(part=shards.parts[i], seen=none))
        assert len(packed["moments"][0]) == len(np.unique(shards.parts[i].labels()))  # no more travels
        seen.merge(packed)
    expected = truth(features[1], y)
    assert seen.moments.compression() == pytest.approx(expected["compression"], rel=1e-12)
    assert seen.moments.discrimination() == pytest.approx(expected["discrimination"], rel=1e-11)
    values = np.linalg.svd(features[1].astype(float), compute_uv=False)
    np.testing.assert_allclose(seen.spectrum.value().values, values, rtol=1e-6)


def test_classes_and_gaps_are_those_of_all_files(tmp_path):
    features, y = draw(classes=3)
    labels = np.array([0, 5, 9])[y]
    folder = write(tmp_path / "s", "npz", features, np.sort(labels), [80, 160])  # one class a file
    curve = measure_features(folder)
    assert curve.origin.classes == 3
    assert "labels [0, 5, 9] were renumbered 0…2" in curve.origin.remarks
    assert_true(curve, features, np.searchsorted([0, 5, 9], np.sort(labels)))
    with pytest.raises(InvalidInputError, match="label 5 with 3 classes stated"):
        measure_features(folder, classes=3)


def test_one_pass_takes_standard_errors_from_some_samples(tmp_path):
    features, y = draw(samples=4000, classes=2)
    folder = write(tmp_path / "s", "npz", features, y, [100, 2000])
    reads = []
    from pnc.data.feature_shards import FeatureShard

    with pytest.MonkeyPatch.context() as patch:
        blocks = FeatureShard.blocks
        patch.setattr(FeatureShard, "blocks", lambda self, *a: reads.append(self.name) or blocks(self, *a))
        quick = measure_features(folder, fuzziness=False, uncertainty=True)
    assert len(reads) == 3 * 2  # every layer of every file once
    assert quick.origin.error_samples == 512
    first = np.sort(np.concatenate([np.flatnonzero(y == k)[:256] for k in range(2)]))
    passed = ClassMoments(classes=2, dimension=6).update(features[1], y)
    from pnc.measure import SamplingErrorPass

    expected = SamplingErrorPass(passed).update(features[1][first], y[first])
    assert quick.notes[0].compression_error == pytest.approx(expected.compression(), rel=1e-9)


def test_pnc_measure_takes_a_pattern(tmp_path):
    features, y = draw()
    write(tmp_path / "s", "npz", features, y, [90])
    assert_true(pnc.measure(f"{tmp_path}/s/*.npz"), features, y)


def test_workers_and_the_interrupted_folder_give_the_same_numbers(tmp_path):
    features, y = draw()
    folder = write(tmp_path / "s", "npz", features, y, [50, 51, 200])
    options = {"spectra": True, "probes": True, "uncertainty": True}
    alone = measure_features(folder, **options)
    shared = measure_features(folder, workers=2, resume=tmp_path / "kept", **options)
    again = measure_features(folder, resume=tmp_path / "kept", **options)
    assert_true(shared, features, y)
    for one in (shared, again):
        np.testing.assert_allclose(one.compression, alone.compression, rtol=1e-13)
        assert [n.linear_probe_accuracy for n in one.notes] == [n.linear_probe_accuracy for n in alone.notes]
        np.testing.assert_allclose(
            [n.compression_error for n in one.notes], [n.compression_error for n in alone.notes], rtol=1e-10
        )


class Stop(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 3, 5, 7, 9, 12, 15])
def test_an_interrupted_measurement_goes_on_where_it_was(tmp_path, after):
    features, y = draw()
    folder = write(tmp_path / "s", "npz", features, y, [50, 51, 200])
    from pnc.data.feature_shards import FeatureShard

    reads, blocks = [], FeatureShard.blocks

    def read(self, *arguments):
        if len(reads) == after:
            raise Stop
        reads.append(self.name)
        return blocks(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pnc.measure.features.kept._SHARE", 1e9)  # every file's sums are written
        patch.setattr(FeatureShard, "blocks", read)
        with pytest.raises(Stop):
            measure_features(folder, resume=tmp_path / "kept", uncertainty=True)
        after = 10**9
        curve = measure_features(folder, resume=tmp_path / "kept", uncertainty=True)
    assert len(reads) == 4 * 2 * 2  # four files, two layers, two passes: none was read twice
    assert_true(curve, features, y)
    np.testing.assert_allclose(curve.compression, measure_features(folder).compression, rtol=1e-14)


def test_the_folder_of_another_measurement_is_refused(tmp_path):
    features, y = draw()
    folder = write(tmp_path / "s", "npz", features, y, [50])
    measure_features(folder, resume=tmp_path / "kept")
    with pytest.raises(InvalidInputError, match="holds a measurement with other spectra"):
        measure_features(folder, resume=tmp_path / "kept", spectra=True)
    save_features(folder / "0.npz", {l: x[:49] for l, x in features.items()}, y[:49])
    with pytest.raises(InvalidInputError, match="holds a measurement with other files"):
        measure_features(folder, resume=tmp_path / "kept")
    with pytest.raises(InvalidInputError, match="a folder with other files in it"):
        measure_features(folder, resume=folder)
    place = tmp_path / "new" / "layer_1.first.pt"
    measure_features(folder, resume=tmp_path / "new")
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(InvalidInputError, match=r"layer_1\.first\.pt, which is damaged"):
        measure_features(folder, resume=tmp_path / "new")


def kill_once(marker, task):
    """Its own process, the first time that task 2 is done."""
    if task == 2 and not Path(marker).exists():
        Path(marker).write_text("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return task**2


def always_killed(marker, task):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path):
    with crew(workers=2) as workers:
        assert list(workers.map(kill_once, str(tmp_path / "marker"), range(7))) == [i**2 for i in range(7)]
        assert (tmp_path / "marker").exists()
        with pytest.raises(pnc.errors.PncError, match="worker processes died one after another"):
            list(workers.map(always_killed, "", range(2)))


@pytest.mark.slow
def test_workers_of_a_dask_scheduler(tmp_path):
    distributed = pytest.importorskip("distributed")
    features, y = draw()
    folder = write(tmp_path / "s", "npz", features, y, [50, 51, 200])
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
    ) as cluster:
        killed = {"done": False}

        def kill(share):
            if not killed["done"]:
                killed["done"] = True
                os.kill(next(iter(cluster.workers.values())).process.process.pid, signal.SIGKILL)

        curve = measure_features(
            folder, scheduler=cluster.scheduler_address, uncertainty=True, probes=True, spectra=True, progress=kill
        )
    assert_true(curve, features, y)
    assert killed["done"]


def test_no_scheduler_answers(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("pnc.parallel._SCHEDULER_TIMEOUT", 1)
    features, y = draw()
    folder = write(tmp_path / "s", "npz", features, y, [50])
    with pytest.raises(InvalidInputError, match=r"`scheduler=tcp://127\.0\.0\.1:9`, which does not answer"):
        measure_features(folder, scheduler="tcp://127.0.0.1:9")


WRONG = {
    "layers": ({1: np.ones((3, 6), np.float32)}, "b.npz with the layers 1; expected the layers 1, 2, as in .*a.npz"),
    "widths": (
        {1: np.ones((3, 5), np.float32), 2: np.ones((3, 3), np.float32)},
        r"b.npz with layer 1 of shape \(3, 5\); expected shape \(N, 6\), as in .*a.npz",
    ),
    "dtype": (
        {1: np.ones((3, 6)), 2: np.ones((3, 3), np.float32)},
        "b.npz with layer 1 of dtype float64; expected dtype float32, as in .*a.npz",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_shards_that_disagree(tmp_path, what):
    features, y = draw()
    save_features(tmp_path / "a.npz", features, y)
    save_features(tmp_path / "b.npz", WRONG[what][0], [0, 1, 1])
    with pytest.raises(InvalidInputError, match=WRONG[what][1]):
        measure_features(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_shard_is_named_before_the_start(tmp_path, kind):
    if kind in ("parquet", "arrow"):
        pytest.importorskip("pyarrow", reason="needs pyarrow (pnc[shards])")
    features, y = draw()
    folder = write(tmp_path / "s", kind, features, y, [90])
    broken = folder / ("1.layer_2.npy" if kind == "npy" else f"1.{kind}")
    if kind == "zarr":
        chunks = [path for path in (broken / "layer_2" / "c").rglob("*") if path.is_file()]
        chunks[3].unlink()
    else:
        broken.write_bytes(broken.read_bytes()[:-50])
    with pytest.raises(InvalidInputError, match=f"{broken.name}, which is empty, truncated or damaged"):
        open_features(folder)


def test_labels_that_are_none_name_their_shard(tmp_path):
    features, y = draw()
    save_features(tmp_path / "a.npz", features, y)
    save_features(tmp_path / "b.npz", features, np.where(np.arange(240) == 7, -1, y))
    with pytest.raises(InvalidInputError, match=r"label -1 at sample 7 of .*b\.npz"):
        measure_features(tmp_path)


def test_a_nan_names_its_shard(tmp_path):
    features, y = draw()
    save_features(tmp_path / "a.npz", features, y)
    features[2][5, 1] = np.nan
    save_features(tmp_path / "b.npz", features, y)
    with pytest.raises(InvalidInputError, match=r"layer 2 of .*b\.npz: sample 5, entry 1 is nan"):
        measure_features(tmp_path)


def test_folders_and_patterns_that_hold_no_data_set(tmp_path):
    features, y = draw()
    with pytest.raises(InvalidInputError, match="which fits no file"):
        open_features(f"{tmp_path}/*.npz")
    save_features(tmp_path / "a.npz", features, y)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "_SUCCESS").touch()
    assert open_features(tmp_path).samples == 240
    (tmp_path / "notes.txt").touch()
    with pytest.raises(
        InvalidInputError, match=r"notes\.txt in it .*name the shards by a quoted pattern: '.*/\*\.npz'"
    ):
        open_features(tmp_path)
    (tmp_path / "notes.txt").unlink()
    save_features(tmp_path / "b.safetensors", features, y)
    with pytest.raises(InvalidInputError, match=r"files of several kinds \(\.npz, \.safetensors\)"):
        open_features(tmp_path)
    np.save(tmp_path / "c.npy", features[1])
    with pytest.raises(InvalidInputError, match=r"c\.npy without labels beside it"):
        open_features(tmp_path / "c.npy")
    np.save(tmp_path / "c_y.npy", y)
    assert open_features(tmp_path / "c.npy").shapes == {1: (6,)}
    with pytest.raises(InvalidInputError, match="labels beside"):
        measure_features(tmp_path / "a.npz", y)
    with pytest.raises(InvalidInputError, match="`workers` with features in memory"):
        measure_features(features, y, workers=2)


def test_what_needs_more_memory_than_there_is_is_said_before_the_start(tmp_path, monkeypatch):
    features, y = draw(dimension=60)
    save_features(tmp_path / "a.npz", features, y)
    monkeypatch.setattr("pnc.memory.available_memory", lambda: 5000)
    with pytest.raises(
        InvalidInputError, match=r"layer 1: the means of 4 classes × 60, .* leave out `probes`, `fuzziness`"
    ):
        measure_features(tmp_path / "a.npz", probes=True)


def test_a_state_of_a_spectrum_is_all_of_it():
    x = torch.randn(50, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one = StreamingSpectrum(dimension=9, width=4, sketch=3).update(x[:30])
    two = StreamingSpectrum(dimension=9, width=4, sketch=3).with_state(one.state())
    for spectrum in (one, two):
        spectrum.update(x[30:])
    assert (one.value().values == two.value().values).all()
    assert one.missing == two.missing > 0


@pytest.mark.slow
def test_killed_at_any_moment_the_command_ends_with_the_same_numbers(tmp_path):
    features, y = draw(samples=30000, dimension=40)
    folder = write(tmp_path / "s", "npz", {1: features[1]}, y, np.arange(500, 30000, 500))
    pnc_itself = [sys.executable, "-c", "from pnc.cli.main import main; main()"]
    options = ["--resume", str(tmp_path / "kept"), "--json", "--quiet", "--device", "cpu"]
    command = [*pnc_itself, "measure", str(folder), *options]
    expected = measure_features(folder)
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (tmp_path / "kept" / "layer_1.first.pt").exists():
            time.sleep(0.02)
        time.sleep(0.05)
        assert (tmp_path / "kept" / "layer_1.first.pt").exists()
        process.kill()
        process.wait()
    curve = measure_features(folder, resume=tmp_path / "kept", spectra=True, probes=True, uncertainty=True)
    np.testing.assert_allclose(curve.compression, expected.compression, rtol=1e-12)

"""Folders of PNG and JPEG files, written here."""

import sys

import numpy as np
import pytest

from pnc.data.image_folder import load_image_folder
from pnc.data.sources import resolve_data
from pnc.errors import InvalidInputError

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def write(folder, classes=("cat", "dog"), samples=3, *, shape=(6, 5, 3), ending=".png", seed=0):
    rng = np.random.default_rng(seed)
    written = []
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(samples):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels.squeeze()).save(folder / name / f"{i}{ending}")
            written.append(pixels)
    return np.stack(written)


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        load_image_folder(*args, **options)
    assert "\n" not in str(caught.value)


def test_colours(tmp_path):
    written = write(tmp_path)
    data = load_image_folder(tmp_path)
    assert np.array_equal(data.images, written.transpose(0, 3, 1, 2))
    assert data.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.class_names == ("cat", "dog")


def test_grey(tmp_path):
    written = write(tmp_path, shape=(6, 5, 1))
    assert np.array_equal(load_image_folder(tmp_path).images, written.transpose(0, 3, 1, 2))


def test_grey_and_colour_together_are_colour(tmp_path):
    grey = write(tmp_path, ("cat",), shape=(6, 5, 1))
    write(tmp_path, ("dog",))
    data = load_image_folder(tmp_path)
    assert data.shape == (3, 6, 5)
    assert np.array_equal(data.images[:3], np.repeat(grey.transpose(0, 3, 1, 2), 3, axis=1))
    assert load_image_folder(tmp_path, grey=True).shape == (1, 6, 5)


@pytest.mark.parametrize("ending", [".jpg", ".JPEG"])
def test_jpeg(tmp_path, ending):
    for name, value in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (value,) * 3).save(tmp_path / name / f"a{ending}", format="JPEG")
    images = load_image_folder(tmp_path).images
    assert abs(images[0].astype(int) - 10).max() <= 2  # JPEG is lossy
    assert abs(images[1].astype(int) - 240).max() <= 2


def test_resized(tmp_path):
    write(tmp_path, ("cat",))
    write(tmp_path, ("dog",), shape=(9, 9, 3))
    refused(r"dog/0.png of 9 × 9 pixels, .*cat/0.png of 6 × 5", tmp_path)
    assert load_image_folder(tmp_path, size=(4, 7)).shape == (3, 4, 7)


def test_splits(tmp_path):
    write(tmp_path / "train", samples=3)
    write(tmp_path / "test", samples=2)
    assert load_image_folder(tmp_path).samples == 6
    assert load_image_folder(tmp_path, split="test").samples == 4
    assert load_image_folder(tmp_path / "test").samples == 4
    assert load_image_folder(tmp_path).name == tmp_path.name
    refused("no folder .*val", tmp_path, split="val")


def test_classes_called_train_and_bus(tmp_path):
    write(tmp_path, ("bus", "train"))
    assert load_image_folder(tmp_path).class_names == ("bus", "train")


def test_other_files_are_left_out_with_a_note(tmp_path):
    write(tmp_path)
    (tmp_path / "cat" / "readme.txt").write_text("hello")
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"")
    (tmp_path / ".git").mkdir()
    data = load_image_folder(tmp_path)
    assert data.samples == 6
    assert data.notes == ("1 files that are not PNG or JPEG were left out",)


def test_a_damaged_image(tmp_path):
    write(tmp_path)
    whole = (tmp_path / "dog" / "1.png").read_bytes()
    for content in (b"", b"not an image", whole[:-30], whole[:20]):
        (tmp_path / "dog" / "1.png").write_bytes(content)
        refused("dog/1.png, which is not a whole PNG or JPEG", tmp_path)


def test_folders_that_are_refused(tmp_path):
    refused("nowhere, which is not a folder", tmp_path / "nowhere")
    refused("0 sub-folders", tmp_path)
    write(tmp_path, ("cat",))
    refused("1 sub-folder in", tmp_path)
    (tmp_path / "dog").mkdir()
    refused("no .png, .jpg, .jpeg file in .*dog", tmp_path)


def test_without_pillow(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    refused("without Pillow.*pip install pillow", tmp_path)


def test_from_the_command_line(tmp_path):
    written = write(tmp_path)
    problem = resolve_data(tmp_path, scale="unit-norm", samples_per_class=2)
    assert problem.X.shape == (4, 90)
    flat = written.transpose(0, 3, 1, 2).reshape(6, -1)[[0, 1, 3, 4]].astype(float)
    flat -= flat.mean(axis=0)
    assert problem.X == pytest.approx(flat * 2 / np.linalg.norm(flat))
    with pytest.raises(InvalidInputError, match="data_dir"):
        resolve_data(tmp_path, data_dir=tmp_path)
    with pytest.raises(InvalidInputError, match="no folder"):
        resolve_data(tmp_path, split="test")

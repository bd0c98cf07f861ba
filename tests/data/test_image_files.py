"""Images as people have them: 16 bits, transparent, turned by a tag, of many sizes; right values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pnc.data import load_image_folder, load_images, load_splits, resolve_data
from pnc.errors import InvalidInputError


def classes(folder, *images, **options):
    """The first image in class a, the others in class b."""
    for i, image in enumerate(images):
        place = folder / ("a" if i == 0 else "b")
        place.mkdir(exist_ok=True)
        image.save(place / f"{i}.png", **options)
    return folder


def test_grey_of_sixteen_bits_is_scaled(tmp_path):
    values = np.array([[0, 128, 257], [32768, 65278, 65535]], np.uint16)
    data = load_image_folder(classes(tmp_path, *[Image.fromarray(values)] * 2))
    assert data.images.shape == (2, 1, 2, 3)
    assert data.images[0, 0].tolist() == [[0, 0, 1], [128, 254, 255]]  # v/257 to the nearest
    assert data.notes == ("2 images of 16 bits a pixel were scaled to 8",)


def test_transparent_pixels_lie_over_white(tmp_path):
    # black with an opacity of 0, 1/5 and 1
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 51, 255]
    data = load_image_folder(classes(tmp_path, *[Image.fromarray(pixels, "RGBA")] * 2))
    assert data.images.shape == (2, 3, 1, 3)
    assert data.images[0, 0, 0].tolist() == [255, 204, 0]
    assert data.notes == ("2 images have transparent pixels, which were laid over white",)


def test_an_opaque_alpha_channel_needs_no_note(tmp_path):
    pixels = np.full((2, 2, 4), 255, np.uint8)
    pixels[..., 0] = 7
    data = load_image_folder(classes(tmp_path, *[Image.fromarray(pixels, "RGBA")] * 2))
    assert (data.images[0, 0] == 7).all()
    assert data.notes == ()


@pytest.mark.parametrize(
    ("tag", "turn"),
    [(2, np.fliplr), (3, lambda x: x[::-1, ::-1]), (4, np.flipud), (5, np.transpose),
     (6, lambda x: np.rot90(x, -1)), (7, lambda x: np.rot90(x, 2).T), (8, np.rot90)],
)  # fmt: skip
@pytest.mark.parametrize("bits", [8, 16])
def test_images_are_turned_as_their_tag_says(tmp_path, tag, turn, bits):
    stored = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
    image = Image.fromarray(stored if bits == 8 else stored.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = tag
    data = load_image_folder(classes(tmp_path, image, image, exif=exif))
    assert data.images[0, 0].tolist() == turn(stored).tolist()
    assert "2 images were turned as their EXIF tag says" in data.notes


def test_what_is_left_out_is_counted(tmp_path):
    grey = Image.fromarray(np.zeros((2, 2), np.uint8))
    classes(tmp_path, grey, grey)
    (tmp_path / "a" / "more").mkdir()
    grey.save(tmp_path / "a" / "more" / "deep.png")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "c").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b" / "notes.txt").write_text("")
    data = load_image_folder(tmp_path)
    assert len(data.images) == 2
    assert set(data.notes) == {
        "1 folders within a class folder were left out",
        "2 dangling links were left out",
        "1 files that are not PNG or JPEG were left out",
    }


def test_sizes_that_differ_are_resized_when_asked_to(tmp_path):
    classes(tmp_path, Image.new("L", (4, 2), 9), Image.new("L", (3, 5), 200))
    with pytest.raises(InvalidInputError, match=r"1.png of 5 × 3 pixels, .* of 2 × 4; .* pass `size=\(2, 4\)`"):
        load_images(tmp_path)
    for data in (load_images(tmp_path, size=(6, 2)), load_splits(tmp_path, size=[6, 2]).train):
        assert data.images.shape == (2, 1, 6, 2)
        assert [set(image.ravel().tolist()) for image in data.images] == [{9}, {200}]
    assert resolve_data(tmp_path, size=(1, 2)).X.shape == (2, 2)
    assert load_splits(**load_splits(tmp_path, size=(6, 2)).options).train.shape == (1, 6, 2)
    for wrong in ((0, 2), (2,), (1 << 20, 3)):
        with pytest.raises(InvalidInputError, match="a height and a width"):
            load_images(tmp_path, size=wrong)
    with pytest.raises(InvalidInputError, match=r"`size` .* only with a folder of images"):
        load_splits("fashion-mnist", size=(2, 2))

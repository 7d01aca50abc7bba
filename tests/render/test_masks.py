"""A mask that leaves nothing or everything is said before a run, with what to do."""

import warnings

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image, ImageOps

from sdlab import Request, preview
from sdlab.errors import FieldError
from sdlab.pictures import name_picture
from sdlab.render.masks import measure_mask

PHOTO = np.random.default_rng(0).integers(60, 220, (64, 64, 3), dtype=np.uint8)
HOLE = np.full((64, 64), 255, np.uint8)
HOLE[16:48, 16:48] = 0
FACTOR = 4  # of tiny-v1's VAE


def notes(mask, **fields):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return preview(Request(prompt="a cat", image=PHOTO, mask_image=mask, **fields), "s").notes


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "mask, says",
    [
        (np.zeros((64, 64), np.uint8), "black everywhere: nothing .* is painted anew"),
        ((HOLE < 1).astype("uint8"), "nowhere lighter than 1 of 255: nothing .*255 \\* array"),
        (HOLE // 3, "nowhere lighter than 85 of 255: nothing"),
        (np.full((64, 64), 255, np.uint8), "nowhere darker than 255 of 255: all of"),
        (HOLE // 2 + 128, "nowhere darker than 128 of 255: all of"),
        (np.zeros((64, 64), bool), "black everywhere"),
        (Image.new("1", (64, 64)), "black everywhere.*ImageOps.invert"),
    ],
)
def test_a_mask_without_effect_is_said_with_what_it_holds(mask, says):
    assert list(notes(mask)) == ["mask_image"]
    with pytest.warns(UserWarning, match=f"mask_image is {says}"):
        preview(Request(prompt="a cat", image=PHOTO, mask_image=mask), "s")


@pytest.mark.parametrize(
    "mask", [HOLE, 255 - HOLE, HOLE < 1, ImageOps.invert(Image.fromarray(HOLE))]
)
def test_a_mask_with_an_effect_is_not_spoken_of(mask):
    assert notes(mask) == {}


def test_spots_that_fall_between_the_latents_are_said():
    spots = np.zeros((64, 64), np.uint8)
    spots[2::8, 2::8] = 255
    assert f"white only in spots of less than the {FACTOR}" in notes(spots)["mask_image"]
    assert f"black only in spots of less than the {FACTOR}" in notes(255 - spots)["mask_image"]


@pytest.mark.parametrize("size", [(64, 64), (96, 48), (640, 512)])
def test_what_counts_as_white_is_what_diffusers_makes_of_it(size):
    grey = np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8)
    mask = Image.fromarray(np.where(HOLE == 0, grey, grey // 3).astype(np.uint8))
    name = name_picture("mask_image", mask)
    stock = VaeImageProcessor(
        vae_scale_factor=8, do_normalize=False, do_binarize=True, do_convert_grayscale=True
    ).preprocess(mask, *reversed(size))
    latents = torch.nn.functional.interpolate(stock, (size[1] // 8, size[0] // 8))
    assert measure_mask(str(name), size, 8)[2] == pytest.approx(latents.mean().item())


def test_a_photo_that_is_partly_erased_is_no_mask_without_a_word():
    erased = Image.fromarray(PHOTO)
    erased.putalpha(Image.fromarray(HOLE))
    with pytest.warns(UserWarning, match="partly transparent: .*getchannel"):
        Request(image=PHOTO, mask_image=erased)
    drawn = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    drawn.paste("white", (16, 16, 48, 48))  # white on nothing is a mask
    assert notes(drawn) == {} == notes(erased.getchannel("A").point(lambda a: 255 - a))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Request(mask_image=drawn)


def test_a_depth_map_of_one_level_is_said():
    flat = Request(model="tiny-depth", prompt="a cat", image=PHOTO, depth_map=HOLE // 255 * 0 + 7)
    with pytest.warns(UserWarning, match="7 of 255 everywhere"):
        assert list(preview(flat, "s").notes) == ["depth_map"]


@pytest.mark.parametrize(
    "mask, says",
    [
        (HOLE / 255, r"\(255 \* array\)"),
        ((HOLE // 255).astype("int64"), r"\(255 \* array\)"),
        (HOLE.astype("int64"), r"such as array.astype\('uint8'\) of numbers from 0 to 255"),
        (HOLE.astype("uint16") * 257, r"\(array // 256\)"),
        (Image.fromarray(HOLE.astype("uint16") // 255), r"\(255 \* numpy.asarray\(picture\)"),
        (Image.fromarray(HOLE.astype("uint16")), r"such as numpy.asarray\(picture\).astype"),
        (Image.fromarray(HOLE.astype("uint16") * 257), r"\(numpy.asarray\(picture\) // 256\)"),
        (Image.fromarray((HOLE / 255).astype("float32")), r"\(255 \* numpy.asarray\(picture\)"),
    ],
)
def test_the_advice_for_other_numbers_follows_from_their_range(mask, says):
    with pytest.raises(FieldError, match=f"mask_image .*{says}"):
        Request(mask_image=mask)

"""The maps of a mark: where it is they are dark, where it is not they show it, also without colour."""

import numpy as np
import pytest
from PIL import Image, ImageColor
from test_watermark_scores import textured

from sdlab.watermark import detect_watermark, embed_watermark
from sdlab.watermark.maps import draw_evidence, draw_residues, list_colours
from sdlab.watermark.places import Geometry

SIDE = 512


def shares(image):
    """How much of the map has each of the legend's colours, from dark to light."""
    pixels = np.asarray(image)
    return [
        (pixels == ImageColor.getrgb(colour)).all(-1).mean()
        for colour, _ in list_colours("residue")
    ]


def darkness(image):
    """How far each pixel is on the way from the middle colour to the dark one, below 0 on the way to the light one."""
    dark, middle, _ = (
        Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        for colour, _ in list_colours("evidence")
    )
    return (middle - np.asarray(image.convert("L"), float)) / (middle - dark)


@pytest.mark.parametrize("name", ["sd-v1", "sdxl"])
def test_most_blocks_of_a_marked_picture_agree(name):
    agree, _, wrong = shares(draw_residues(embed_watermark(textured(), name), name))
    assert agree > 0.6 and wrong < 0.3


def test_about_half_of_an_unmarked_picture_is_wrong():
    agree, leans, wrong = shares(draw_residues(textured(), "sd-v1"))
    assert 0.45 < wrong < 0.55 and agree + leans + wrong == pytest.approx(1)


def test_another_payload_than_the_one_embedded_looks_like_none():
    assert 0.4 < shares(draw_residues(embed_watermark(textured(), "sd-v1"), "sdxl"))[2] < 0.6


def test_a_square_is_the_block_that_it_stands_over():
    image = embed_watermark(textured(), "sd-v1")
    image[80:88, 160:168] = 255 - image[80:88, 160:168]
    changed = np.asarray(draw_residues(image, "sd-v1")) != np.asarray(
        draw_residues(embed_watermark(textured(), "sd-v1"), "sd-v1")
    )
    assert set(np.unique(np.argwhere(changed)[:, 0])) <= set(range(80, 88))
    assert set(np.unique(np.argwhere(changed)[:, 1])) <= set(range(160, 168))


@pytest.mark.parametrize("name", ["sd-v2", "flux-1"])
def test_evidence_is_everywhere_in_a_marked_picture_and_nowhere_in_another(name):
    dark = darkness(draw_evidence(embed_watermark(textured(), name), name))
    assert dark.min() > 0.4 and np.median(dark) > 0.9
    assert abs(np.median(darkness(draw_evidence(textured(), name)))) < 0.1


def test_a_half_that_was_painted_over_is_a_hole():
    image = embed_watermark(textured(), "sd-v1")
    image[:, : SIDE // 2] = textured()[:, : SIDE // 2]
    dark = darkness(draw_evidence(image, "sd-v1"))
    assert np.median(dark[:, SIDE // 2 :]) > 0.9 and abs(np.median(dark[:, : SIDE // 2])) < 0.2


def holed():
    """A marked picture whose upper left corner is not."""
    image = embed_watermark(textured(), "sd-v1")
    image[:200, :200] = textured()[:200, :200]
    return image


def enlarged(image):
    return np.asarray(Image.fromarray(image).resize((640, 640), Image.Resampling.LANCZOS))


@pytest.mark.parametrize(
    ("change", "geometry", "hole"),
    [
        (lambda image: image[:, ::-1], Geometry(mirrored=True), (70, 440)),
        (lambda image: image[..., ::-1], Geometry(swapped=True), (70, 70)),
        (lambda image: image[21:-3, 37:-2], Geometry(cut=(37, 21), row=SIDE), (60, 50)),
        (enlarged, Geometry(size=(SIDE, SIDE)), (90, 90)),
    ],
)
def test_a_change_is_undone_and_the_hole_is_shown_where_it_is_now(change, geometry, hole):
    image = np.ascontiguousarray(change(holed()))
    dark, (y, x) = darkness(draw_evidence(image, "sd-v1", geometry)), hole
    assert dark.shape == image.shape[:2] and np.median(dark) > 0.9
    assert np.median(dark[y - 40 : y + 40, x - 40 : x + 40]) < 0.4
    assert np.median(darkness(draw_evidence(image, "sd-v1"))) < 0.3  # as if nothing had been done


def test_a_cut_moves_the_squares_with_the_blocks():
    image = embed_watermark(textured(), "sd-v1")[21:, 37:]
    dark = darkness(draw_evidence(image, "sd-v1", Geometry(cut=(37, 21), row=SIDE)))
    assert (dark[:3] == 0).all() and (dark[:, :3] == 0).all() and dark[3:67, 3:67].min() > 0.4


def test_what_the_detector_found_can_be_drawn():
    image = np.ascontiguousarray(holed()[13:, 10:])
    finding = detect_watermark(image, "sd-v1", search="crop").best
    assert np.median(darkness(draw_evidence(image, "sd-v1", finding.geometry))) > 0.9


@pytest.mark.parametrize("draw", [draw_residues, draw_evidence])
def test_a_map_has_the_size_of_the_picture_whatever_that_is(draw):
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (301, 263, 3), dtype=np.uint8)
    )
    assert draw(image, b"any text").size == image.size


def test_a_large_picture_is_drawn_in_parts_without_a_shift(monkeypatch):
    image = embed_watermark(textured(), "sd-v1")
    whole = draw_residues(image, "sd-v1")
    monkeypatch.setattr("sdlab.watermark.dwtdct.PART", SIDE * SIDE // 3)
    assert draw_residues(image, "sd-v1") == whole
    assert darkness(draw_evidence(image, "sd-v1")).min() > 0.4


@pytest.mark.parametrize("kind", ["residue", "evidence"])
def test_the_colours_go_from_dark_to_light_in_clear_steps(kind):
    colours = [
        Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
        for colour, _ in list_colours(kind)
    ]
    assert np.diff(colours).min() > 50
    assert all(words for _, words in list_colours(kind))


def test_wrong_arguments_are_explained():
    with pytest.raises(ValueError, match="'residues' is not one of residue, evidence"):
        list_colours("residues")
    with pytest.raises(ValueError, match=r"256x255 are .* a mark needs"):
        draw_residues(textured()[:255, :256], "sd-v1")
    with pytest.raises(ValueError, match="4x40 has no whole block"):
        draw_evidence(textured()[:40, :4], "sd-v1")

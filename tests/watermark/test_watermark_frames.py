"""Marks in pictures of a palette, and in files of several frames: which one is looked at, and that the answer says so."""

import io

import numpy as np
import pytest
from PIL import Image
from test_watermark_detector import found, picture

from sdlab import detect_watermark
from sdlab.results.attacks import ATTACKS
from sdlab.watermark import embed_watermark, scan

PLAIN = picture(1, 256, 256)
MARKED = embed_watermark(PLAIN, "sd-v1")
HOW = {".gif": {}, ".png": {}, ".webp": {"lossless": True}, ".tif": {}}


def save_frames(path, *frames, **how):
    first, *rest = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=rest, **how)
    return path


@pytest.mark.parametrize("name, dithered", [("sd-v1", False), ("sd-v1", True), ("sdxl", True)])
def test_a_mark_is_found_in_a_frame_of_a_gif(tmp_path, name, dithered):
    marked = Image.fromarray(embed_watermark(PLAIN, name))
    if dithered:
        marked = marked.quantize(palette=marked.quantize(), dither=Image.Dither.FLOYDSTEINBERG)
    marked.save(tmp_path / "a.gif")
    inspection = detect_watermark(tmp_path / "a.gif")
    assert found(inspection) == [name] and inspection.best.log10_p < -8
    assert "frame" not in repr(inspection)  # there is but one


@pytest.mark.parametrize("suffix", HOW)
def test_of_several_frames_the_first_is_looked_at_and_the_answer_says_so(tmp_path, suffix):
    what = "pages" if suffix == ".tif" else "frames"
    for frames, is_found in (((MARKED, PLAIN), True), ((PLAIN, MARKED), False)):
        path = save_frames(tmp_path / f"a{suffix}", *frames, PLAIN[::-1], **HOW[suffix])
        inspection = detect_watermark(path)
        assert inspection.detected is is_found
        assert f"marks in any of its 3 {what} but number 1" in inspection.words.splitlines()[1]


def test_a_scan_says_for_each_animation_which_frame_was_looked_at(tmp_path):
    save_frames(tmp_path / "a.gif", MARKED, PLAIN)
    save_frames(tmp_path / "b.gif", PLAIN, MARKED)
    Image.fromarray(MARKED).save(tmp_path / "c.gif")
    frame = scan(tmp_path, progress=False)
    assert frame["detected"].tolist() == [True, False, True]
    told = frame["not_looked_for"].str.contains("any of its 2 frames but number 1")
    assert told.tolist() == [True, True, False]


def test_of_a_pil_image_the_current_frame_is_looked_at(tmp_path):
    with Image.open(save_frames(tmp_path / "a.gif", PLAIN, MARKED)) as image:
        image.seek(1)
        inspection = detect_watermark(image)
        assert image.tell() == 1
    assert inspection.detected and "any of its 2 frames but number 2" in inspection.words


def test_what_its_owner_has_drawn_on_a_frame_stays(tmp_path):
    """To count frames Pillow goes through them, and decodes the first one anew."""
    with Image.open(save_frames(tmp_path / "a.gif", PLAIN, MARKED)) as image:
        image.load()
        image.paste(image.getpixel((0, 0)), (0, 0, 256, 256))
        detect_watermark(image)
        assert len(np.unique(np.asarray(image))) == 1


def test_frames_of_a_damaged_animation_are_read_as_far_as_they_go(tmp_path):
    whole = save_frames(tmp_path / "a.gif", MARKED, PLAIN).read_bytes()
    (tmp_path / "b.gif").write_bytes(whole[: len(whole) * 3 // 4])
    assert detect_watermark(tmp_path / "b.gif").detected


@pytest.mark.parametrize("colours", [256, 64])
def test_the_attack_reduces_to_a_dithered_palette_as_a_gif_has_it(colours):
    after = ATTACKS[f"GIF {colours}"](PLAIN)
    assert len(np.unique(after.reshape(-1, 3), axis=0)) <= colours
    file = io.BytesIO()
    Image.fromarray(after).save(file, "GIF")  # a GIF loses nothing more
    np.testing.assert_array_equal(np.asarray(Image.open(file).convert("RGB")), after)
    plain = np.asarray(Image.fromarray(PLAIN).quantize(colours).convert("RGB")).astype(float)
    means = [each.reshape(16, 16, 16, 16, 3).mean((1, 3)) for each in (PLAIN, plain, after)]
    assert np.abs(means[2] - means[0]).mean() < np.abs(means[1] - means[0]).mean()  # dithered

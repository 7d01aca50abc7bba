"""The verdict, the searches for cuts and sizes, and the reading of unknown payloads."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab.watermark.chances import Cuts, weigh_cuts, weigh_sides, weigh_sizes
from sdlab.watermark.detector import SHARES, detect_watermark
from sdlab.watermark.dwtdct import decode_watermark, embed_watermark
from sdlab.watermark.inspection import describe_hit, format_probability
from sdlab.watermark.payloads import EVERYDAY, PAYLOADS, Payload, encode_text
from sdlab.watermark.places import Geometry
from sdlab.watermark.reading import read_unknown
from sdlab.watermark.scanning import scan
from sdlab.watermark.scores import subtract_local_mean
from sdlab.watermark.search import (
    find_best_cut,
    list_all_ways,
    place_as_is,
    score_as_is,
    take_middle,
    take_middle_rows,
)
from sdlab.watermark.statistics import fold_grids


def picture(seed, height=512, width=512):
    """Smooth colours with fine grain, as photographs have them: uint8 RGB."""
    rng = np.random.default_rng(seed)
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    falling = 1 / np.maximum(np.hypot(down, across), 1 / max(height, width)) ** 1.2
    planes = [
        np.fft.irfft2(np.fft.rfft2(rng.normal(size=(height, width))) * falling, (height, width))
        for _ in range(3)
    ]
    planes = [128 + 40 * plane / plane.std() + rng.normal(0, 2, plane.shape) for plane in planes]
    grey = planes[0]
    return (
        np.stack([0.7 * grey + 0.3 * plane for plane in planes], -1).clip(0, 255).astype(np.uint8)
    )


def resized(image, width, height):
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def geometry(inspection, name):
    return next(str(f.geometry) for f in inspection.findings if f.payload.name == name)


def found(inspection):
    return [f.payload.name for f in inspection.findings if f.detected]


# As it is


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_known_mark_is_found_and_no_other(name):
    inspection = detect_watermark(embed_watermark(picture(1), name))
    assert found(inspection) == [name]
    assert inspection.best.payload is PAYLOADS[name] and inspection.best.log10_p < -12
    assert inspection.best.agreement > 0.95 and str(inspection.best.geometry) == "as is"


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_in_a_picture_without_a_mark(seed):
    inspection = detect_watermark(picture(seed), search="none")
    assert not inspection.detected and inspection.best.log10_p > -4


@pytest.mark.parametrize("name", ["sd-v1", "sdxl"])
def test_the_official_decoder_is_quoted(name):
    payload, marked = PAYLOADS[name], embed_watermark(picture(1), name)
    [finding] = detect_watermark(marked, name).findings
    read = decode_watermark(
        marked, len(payload)
    )  # in uint8, as the official tools read all payloads
    assert (finding.official.bits == read).all()
    assert bool(finding.official) == finding.official.exact == (read == payload.bits).all()


def test_a_path_an_image_and_an_array_give_the_same_answer(tmp_path):
    marked = embed_watermark(picture(3), "sd-v2")
    Image.fromarray(marked).save(tmp_path / "marked.png")
    one, two, three = (
        detect_watermark(image).frame
        for image in (marked, Image.fromarray(marked), tmp_path / "marked.png")
    )
    assert one.equals(two) and one.equals(three)


def test_payloads_can_be_named_given_as_text_or_as_a_mapping():
    marked = embed_watermark(picture(4), b"Hello, world")
    assert found(detect_watermark(marked, b"Hello, world")) == ["b'Hello, world'"]
    assert found(detect_watermark(marked, ["sd-v1", "Hello, world"])) == ["Hello, world"]
    assert found(detect_watermark(marked, {"mine": "Hello, world", "theirs": "sd-v1"})) == ["mine"]


def test_the_rate_is_shared_by_the_payloads():
    marked = embed_watermark(picture(5), "sd-v2")
    rate = 10 ** (detect_watermark(marked, "sd-v2").best.log10_p + 0.1)
    assert detect_watermark(marked, "sd-v2", false_positive_rate=rate).detected
    assert not detect_watermark(marked, ["sd-v2", "sdxl"], false_positive_rate=rate).detected
    assert detect_watermark(marked, ["sd-v2", "sdxl"], false_positive_rate=2 * rate).detected


@pytest.mark.parametrize("search", SHARES)
def test_a_picture_as_it_is_pays_for_the_search_with_its_share(search):
    marked = embed_watermark(picture(5, 256, 256), "sd-v2")
    [plain], [finding] = (
        detect_watermark(marked, "sd-v2", search=s).findings for s in ("none", search)
    )
    assert finding.log10_p == pytest.approx(plain.log10_p - math.log10(SHARES[search]["as is"]))


def test_a_large_picture_is_judged_by_its_middle_rows_at_the_right_phase(monkeypatch):
    monkeypatch.setattr("sdlab.watermark.search.MOST_AS_IS", 200_000)
    marked = embed_watermark(picture(6, 512, 504), "sdxl")  # 63 blocks a row
    top, band = take_middle_rows(marked)
    assert top == 56 and band.shape == (396, 504, 3)
    assert detect_watermark(marked, "sdxl").best.log10_p < -12


# Searches


@pytest.mark.parametrize("name", ["sd-v1", "sdxl", "sd-v2"])
@pytest.mark.parametrize(
    ("left", "top", "right", "bottom"), [(1, 0, 0, 1), (10, 10, 10, 10), (33, 19, 40, 2)]
)
def test_a_cut_is_found_where_it_is(name, left, top, right, bottom):
    marked = embed_watermark(picture(7), name)[top : 512 - bottom, left : 512 - right]
    inspection = detect_watermark(marked, name, search="crop")
    assert inspection.detected and not detect_watermark(marked, name).detected
    cut, row = inspection.best.geometry.cut, inspection.best.geometry.row
    assert row == 512 and abs(cut[0] - left) <= 2
    assert (cut[1] - top + 2) % 8 <= 4  # other rows of blocks are like these


@pytest.mark.parametrize(("left", "top", "right", "below"), [(20, 40, 44, 34), (22, 22, 22, 22)])
@pytest.mark.parametrize("around", ["white", "picture"])
def test_a_whole_picture_on_a_page_is_not_said_to_be_cut(around, left, top, right, below):
    size = 256 + top + below, 256 + left + right
    page = picture(13, *size) if around == "picture" else np.full((*size, 3), 255, np.uint8)
    page[top : top + 256, left : left + 256] = embed_watermark(picture(7, 256, 256), "sd-v1")
    best = detect_watermark(page, "sd-v1", search="crop").best
    assert best.detected and best.geometry.page == (left, top, 256)
    assert f"256 wide at {left}, {top} of a page, or as if cut by" in str(best.geometry)
    assert f"begins about {left} pixels from the left and {top} from" in describe_hit(best)


@pytest.mark.parametrize(
    ("name", "side", "left", "top", "width", "height"),
    [("sd-v1", 256, 13, 7, 243, 249), ("sdxl", 1024, 94, 102, 765, 700)],
)
def test_a_cut_picture_is_not_said_to_stand_on_a_page(name, side, left, top, width, height):
    marked = embed_watermark(picture(7, side, side), name)[top : top + height, left : left + width]
    best = detect_watermark(marked, name, search="crop").best
    assert best.detected and best.geometry.page is None
    assert best.geometry.row == side and abs(best.geometry.cut[0] - left) <= 2
    assert f"about {best.geometry.cut[0]} pixels were cut off at the left" in describe_hit(best)


@pytest.mark.parametrize("size", [(256, 256), (461, 461), (563, 563), (1024, 1024)])
def test_a_size_is_found(size):
    marked = resized(embed_watermark(picture(8), "sdxl"), *size)
    inspection = detect_watermark(marked, ["sd-v2", "sdxl"], search="size")
    assert found(inspection) == ["sdxl"] and geometry(inspection, "sdxl") == "resized from 512x512"


def test_all_searches_find_mirrored_and_swapped_pictures_too():
    marked = embed_watermark(picture(9, 256, 256), "sd-v1")
    assert geometry(detect_watermark(marked[:, ::-1], "sd-v1", search="all"), "sd-v1") == "mirrored"
    assert (
        geometry(detect_watermark(marked[..., ::-1], "sd-v1", search="all"), "sd-v1")
        == "red and blue swapped"
    )
    assert geometry(detect_watermark(marked, "sd-v1", search="all"), "sd-v1") == "as is"


@pytest.mark.parametrize("degrees", [90, 270])
def test_a_picture_that_was_turned_is_found(degrees):
    marked = embed_watermark(picture(9, 256, 256), "sd-v1")
    inspection = detect_watermark(np.rot90(marked, degrees // 90), ["sd-v1"], search="all")
    assert geometry(inspection, "sd-v1") == f"turned by {degrees} degrees"
    assert f"a picture turned by {degrees} degrees to the left" in repr(inspection)


def test_a_negative_is_found():
    marked = embed_watermark(picture(9, 256, 256), "sd-v1")
    inspection = detect_watermark(255 - marked, ["sd-v1"], search="all")
    assert geometry(inspection, "sd-v1") == "inverted" and inspection.detected


def test_a_picture_that_was_cut_and_then_resized_is_found():
    piece = embed_watermark(picture(8), "sdxl")[10:-10, 10:-10]
    inspection = detect_watermark(resized(piece, 541, 541), ["sdxl"], search="all")
    where = inspection.best.geometry
    assert inspection.detected and where.cut and where.row == 512
    assert abs(where.size[0] - len(piece)) <= 1 and where.size[0] == where.size[1]


def test_what_was_moved_is_put_back():
    image = picture(0, 16, 24)
    for turns in (1, 2, 3):
        moved = np.rot90(image, turns)
        assert np.array_equal(Geometry(turned=90 * turns).undo_moves(moved), image)
    assert np.array_equal(
        Geometry(inverted=True, mirrored=True).undo_moves(255 - image[:, ::-1]), image
    )


def test_a_search_finds_nothing_in_a_picture_without_a_mark():
    steps = []
    inspection = detect_watermark(
        picture(10, 256, 256),
        ["sd-v1", "invokeai"],
        search="all",
        progress=lambda what, done: steps.append((what, done)),
    )
    assert not inspection.detected and inspection.best.log10_p > -4
    assert ("both", 1.0) in steps and steps[-1] == ("cut", 1.0) and ("size", 1.0) in steps
    assert all(f.tests > 10_000 for f in inspection.findings)
    assert list(dict.fromkeys(what for what, _ in steps)) == list(SHARES["all"])
    for way in SHARES["all"]:  # told of within each, and never backwards
        shares = [done for what, done in steps if what == way]
        assert len(shares) >= 3 - (way == "swapped") and shares == sorted(shares), way


def test_a_search_ends_where_its_progress_says_so():
    def stop(what, done):
        raise InterruptedError(what)

    for search in SHARES:
        with pytest.raises(InterruptedError, match="as is"):
            detect_watermark(picture(10, 256, 256), search=search, progress=stop)


def test_a_searched_place_must_be_a_hundred_times_less_likely():
    marked = embed_watermark(picture(11), "sd-v2")[10:, 10:]
    [finding] = detect_watermark(marked, "sd-v2", search="crop").findings
    rate = 10 ** (finding.log10_p + 1.99)
    assert not detect_watermark(marked, "sd-v2", search="crop", false_positive_rate=rate).detected
    assert detect_watermark(marked, "sd-v2", search="crop", false_positive_rate=rate * 1.1).detected


# Shares of the error


@pytest.mark.parametrize("search", SHARES)
def test_the_shares_of_a_search_sum_to_one(search):
    assert sum(SHARES[search].values()) == pytest.approx(1)


@pytest.mark.parametrize("n_bits", [32, 46, 136])
@pytest.mark.parametrize(
    "cuts", [Cuts(512, 512), Cuts(502, 490), Cuts(1531, 999, 200, 100), Cuts(5000, 300)]
)
def test_the_shares_of_all_cuts_sum_to_one(n_bits, cuts):
    strides = cuts.list_strides(n_bits)
    shares = cuts.compute_shares(n_bits, strides)
    assert shares.shape == (64, len(strides), n_bits) and shares.min() > 0
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize("side", [256, 500, 512, 513, 4100])
def test_the_probabilities_of_sides_and_ways_sum_to_one(side):
    assert sum(share for _, share in weigh_sides(side)) == pytest.approx(1)
    assert all(before >= side and before % 8 == 0 for before, _ in weigh_sides(side))
    assert [weigh_cuts(cut).sum() for cut in (0, 1, 2, 51)] == pytest.approx([1] * 4)


@pytest.mark.parametrize("size", [(256, 256), (461, 461), (640, 360), (2048, 2048), (1000, 333)])
def test_the_shares_of_sizes_sum_to_one_and_keep_the_proportions(size):
    sizes = weigh_sizes(*size)
    assert not sizes or sum(share for _, share in sizes) == pytest.approx(1)
    assert all(
        w / h == pytest.approx(size[0] / size[1], rel=0.03) and (w, h) != size
        for (w, h), _ in sizes
    )


@pytest.mark.parametrize(("left", "top"), [(0, 0), (10, 3), (52, 17)])
@pytest.mark.parametrize("window", [(0, 0), (13, 30)])
def test_every_cut_has_its_share_where_its_blocks_lie(left, top, window):
    """The offset and the phase of a cut by arithmetic, without the convolution."""
    n_bits, cuts = 136, Cuts(512 - 60, 512 - 40, *window)
    x, y = left + window[0], top + window[1]
    offset, stride = (-y % 8, -x % 8), 64
    phase = -(stride * math.ceil(y / 8) + math.ceil(x / 8)) % n_bits
    strides = cuts.list_strides(n_bits)
    share = cuts.compute_shares(n_bits, strides)[
        8 * offset[0] + offset[1], strides.index(stride), phase
    ]
    assert share >= 0.9 * 0.99 * cuts.weigh_tops(512)[top] * dict(cuts.weigh_lefts())[512][left]
    explained = cuts.explain(offset, stride, phase, n_bits)
    assert explained.cut[0] % 8 == left % 8 and explained.cut[1] % 8 == top % 8 and explained.row


def test_a_picture_that_is_too_large_is_searched_in_its_middle_at_the_right_phase(monkeypatch):
    monkeypatch.setattr("sdlab.watermark.search.MOST", 260_000)
    marked = embed_watermark(picture(12, 768, 768), "sd-v2")[5:, 3:]
    cuts, window = take_middle(marked)
    assert window.shape == (510, 511, 3) and (cuts.left, cuts.top) == (127, 126)
    inspection = detect_watermark(marked, "sd-v2", search="crop")
    assert (
        inspection.detected
        and abs(inspection.best.geometry.cut[0] - 3) <= 2
        and inspection.best.geometry.row % 256 == 0
    )


def test_the_best_cut_is_the_least_p_of_all_places_with_their_shares():
    grids, payload, cuts = (
        np.random.default_rng(0).normal(size=(64, 60, 62)),
        PAYLOADS["flux-1"],
        Cuts(500, 488),
    )
    number = 18 * np.arange(60)[:, None] + np.arange(62)
    grids[0] = subtract_local_mean(
        0.14 * payload.bits[number % 46] + grids[0]
    )  # not cut at the left and the top
    strides = cuts.list_strides(46)
    folds = fold_grids(grids, 46, strides, False)
    every = folds.compute_log10_p(folds.compute_agreements(payload.bits)) - np.log10(
        cuts.compute_shares(46, strides)
    )
    place = find_best_cut(grids, payload, cuts)
    assert place.log10_p == pytest.approx(every.min(), abs=1e-6) and every.min() < -1
    assert place.tests == every.size == 64 * 46 * len(strides)


# The answer


def test_a_small_picture_is_not_tested_and_the_words_say_why():
    inspection = detect_watermark(picture(13)[:255, :256])
    assert inspection.small and not inspection.detected and inspection.best is None
    assert all(math.isnan(f.log10_p) and f.official is None for f in inspection.findings)
    assert "so few pixels (256x255, less than 65,536)" in repr(inspection)
    assert list(inspection.frame.payload) == list(EVERYDAY)


def test_a_small_piece_of_a_marked_picture_is_found_by_a_search():
    piece = embed_watermark(picture(13), "sdxl")[100:340, 60:300]
    inspection = detect_watermark(piece, "sdxl", search="crop")
    assert inspection.small and inspection.detected and inspection.findings[0].official is None


@pytest.mark.parametrize("search", SHARES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (7, 7), (1, 70_000), (70_000, 7), (9, 8000), (219, 300), (16, 16)]
)
def test_no_shape_is_too_odd(shape, search):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    inspection = detect_watermark(image, ["sd-v1", "sdxl"], search=search)
    assert not inspection.detected and len(inspection.frame) == 2 and "No" in repr(inspection)


def test_the_answer_says_what_a_hit_and_a_miss_mean():
    hit, miss = (
        detect_watermark(embed_watermark(picture(14), "sdxl")),
        detect_watermark(picture(14)),
    )
    assert repr(hit).startswith(
        "Hidden in the pixels: the mark sdxl, which is written by"
    ) and "claim, not a proof" in repr(hit)
    assert "A miss proves nothing" in repr(miss)
    assert (
        hit._repr_html_().count("<tr") == 1 + len(EVERYDAY)
        and "claim, not a proof" in hit._repr_html_()
    )


def test_names_are_escaped_in_html():
    assert "<i>" not in detect_watermark(picture(15), {"<i>": "sd-v1"})._repr_html_()
    marked = embed_watermark(picture(15), "sd-v1")
    assert "the mark &lt;i&gt;" in detect_watermark(marked, {"<i>": "sd-v1"})._repr_html_()


def test_the_frame_has_a_row_a_payload():
    inspection = detect_watermark(embed_watermark(picture(16), "sd-v1"))
    frame = inspection.frame.set_index("payload")
    assert list(frame.index) == list(EVERYDAY) and frame.detected.sum() == 1
    assert (
        frame.log10_p["sd-v1"] == inspection.best.log10_p
        and inspection.best.p == 10**inspection.best.log10_p
    )


def test_answers_cannot_be_changed():
    inspection = detect_watermark(picture(17), "sd-v1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        inspection.small = True
    with pytest.raises(dataclasses.FrozenInstanceError):
        inspection.findings[0].detected = True


@pytest.mark.parametrize(
    ("log10_p", "words"), [(0, "1"), (-1.5, "0.032"), (-6.2, "1e-6"), (-400.5, "1e-400")]
)
def test_probabilities_are_rounded_upwards(log10_p, words):
    assert format_probability(log10_p) == words


@pytest.mark.parametrize(
    ("geometry", "words"),
    [
        (Geometry(), "as is"),
        (Geometry(mirrored=True), "mirrored"),
        (Geometry(swapped=True), "red and blue swapped"),
        (Geometry(cut=(10, 10), row=512), "as if cut by 10, 10 from rows of 512"),
        (Geometry(size=(512, 768)), "resized from 512x768"),
        (Geometry(turned=90), "turned by 90 degrees"),
        (Geometry(inverted=True), "inverted"),
    ],
)
def test_a_geometry_reads_as_words(geometry, words):
    assert str(geometry) == words


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"search": "rotate"}, ValueError, "search='rotate' is not one of none, crop, size, all"),
        ({"false_positive_rate": 0}, ValueError, "not above 0 and at most 0.1"),
        ({"false_positive_rate": 0.5}, ValueError, "not above 0 and at most 0.1"),
        ({"false_positive_rate": float("nan")}, ValueError, "not above 0"),
        ({"false_positive_rate": "1e-6"}, TypeError, "is no number"),
        ({"payloads": []}, ValueError, "no payloads to test for"),
        ({"payloads": 7}, TypeError, "a payload is a name"),
        ({"payloads": "SD V1"}, ValueError, "did you mean the known 'sd-v1'"),
        ({"payloads": "A"}, ValueError, "too few to tell from noise"),
    ],
)
def test_impossible_arguments_are_named(arguments, error, words):
    with pytest.raises(error, match=words):
        detect_watermark(picture(18)[:256, :256], **{"payloads": "sd-v1", **arguments})


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(OSError, match=r"text\.png"):
        detect_watermark(tmp_path / "text.png")


def test_a_blank_picture_is_no_evidence():
    assert detect_watermark(np.full((512, 512, 3), 200, np.uint8)).best.log10_p == 0


def test_as_is_gives_the_place_of_each_payload():
    known = {"invokeai": PAYLOADS["invokeai"]}
    marked = embed_watermark(picture(19), "invokeai")
    places = place_as_is(score_as_is(marked, list_all_ways(known)), known)
    assert places["invokeai"].tests == 1 and places["invokeai"].log10_p < -12


# Unknown payloads


@pytest.mark.parametrize("text", ["SDV2", "InvokeAI", "Somebody's own mark"])
def test_an_unknown_text_is_read(text):
    reading = read_unknown(embed_watermark(picture(20), text.encode()))
    assert reading.text == text and reading.convincing and reading.bic < -1000
    assert (reading.bits == encode_text(text)).all() and repr(text) in repr(reading)


def test_nothing_convincing_is_read_where_there_is_no_mark():
    for seed in range(3):
        reading = read_unknown(picture(seed))
        assert (
            not reading.convincing and reading.bic > -1000 and "Nothing convincing" in repr(reading)
        )


def test_letters_that_are_read_by_chance_are_not_convincing():
    readings = [read_unknown(picture(seed, 256, 256), [16]) for seed in range(40)]
    assert any(reading.text.isalnum() for reading in readings)
    assert not any(reading.convincing for reading in readings)


def test_the_middle_rows_of_a_large_picture_are_read_at_the_right_phase(monkeypatch):
    monkeypatch.setattr("sdlab.watermark.search.MOST_AS_IS", 200_000)
    assert read_unknown(embed_watermark(picture(20, 512, 504), b"Somebody")).text == "Somebody"


def test_bits_that_spell_nothing_are_shown():
    reading = read_unknown(embed_watermark(picture(21), "sdxl"))
    assert not reading.convincing and "101100111110110010010000011110111011000110011110" in repr(
        reading
    )


@pytest.mark.parametrize(
    ("image", "lengths", "words"),
    [
        (np.zeros((255, 256, 3), np.uint8), [32], "a mark needs 65,536"),
        (np.zeros((256, 256, 3), np.uint8), [4], "not whole numbers from 8 to 1000"),
        (np.zeros((256, 256, 3), np.uint8), [], "not whole numbers from 8 to 1000"),
    ],
)
def test_reading_says_what_it_cannot_read(image, lengths, words):
    with pytest.raises(ValueError, match=words):
        read_unknown(image, lengths)


def stripes(shift=0, wide=8, side=512):
    """Blue and yellow stripes from top to bottom."""
    blue = (np.arange(side) + shift) // wide % 2 == 0
    return np.broadcast_to(
        np.where(blue[None, :, None], (0, 0, 255), (255, 255, 0)), (side, side, 3)
    ).astype(np.uint8)


@pytest.mark.parametrize("wide", [8, 16, 32])
def test_stripes_are_no_mark_and_spell_no_text(wide):
    for shift in range(0, 2 * wide, 4):
        image = stripes(shift, wide)
        assert not detect_watermark(image) and not read_unknown(image).convincing


@pytest.mark.parametrize(
    "payload",
    [
        b"\xaa\xaa\xaa\xaa",
        "aaaa",
        Payload("all alike", [0] * 48),
        Payload("alternating", [0, 1] * 8),
    ],
)
def test_a_payload_that_looks_like_stripes_is_refused(payload):
    with pytest.raises(ValueError, match="repeat so regularly"):
        detect_watermark(stripes(), payload)


def test_a_narrow_strip_is_searched_in_bounded_time_and_memory():
    cuts = Cuts(8, 8192)
    assert max(len(cuts.weigh_tops(side)) for side, _ in cuts.weigh_lefts()) <= 8192 + 1
    assert take_middle(np.empty((65000, 8, 3), np.uint8))[1].shape == (4096, 8, 3)
    assert not detect_watermark(picture(3, 2048, 16), ["sd-v1"], search="crop")


def test_a_cut_from_a_very_long_picture_is_found_in_its_middle():
    marked = embed_watermark(picture(1, 4800, 256), "sd-v1")
    assert (
        geometry(detect_watermark(marked[13:, 5:], ["sd-v1"], search="crop"), "sd-v1")
        == "as if cut by 5, 13 from rows of 256"
    )


def test_a_verdict_is_true_if_a_mark_is_detected():
    image = picture(4)
    assert detect_watermark(embed_watermark(image, "sd-v1")) and not detect_watermark(image)


def test_nothing_says_how_a_picture_without_a_mark_was_changed(tmp_path):
    rows = (picture(n) for n in range(9))
    looked = ((row, detect_watermark(row, ["sd-v1"], search="all")) for row in rows)
    image, unmarked = next(both for both in looked if str(both[1].best.geometry) != "as is")
    words = str(unmarked.best.geometry)  # the best of the guesses that failed
    assert not unmarked and unmarked.frame["geometry"].isna().all()
    assert words not in repr(unmarked) and words not in unmarked._repr_html_()
    Image.fromarray(image).save(tmp_path / "unmarked.png")
    row = scan(tmp_path, ["sd-v1"], search="all", progress=False).loc[0]
    assert row["log10_p"] is not pd.NA and row["geometry"] is pd.NA


def test_what_was_not_tested_is_missing_and_not_a_no():
    small = detect_watermark(picture(5, 64, 64), ["sd-v1"])
    assert (
        small.frame[["detected", "log10_p", "geometry"]].isna().all(axis=None)
        and "sd-v1" in repr(small)
        and " no " not in repr(small).splitlines()[-1]
    )


@pytest.mark.parametrize(
    ("payloads", "words"),
    [
        ("flux", "did you mean the known 'flux-1'"),
        ("sd-v1.5", "known 'sd-v1'"),
        ("none", "is the text itself"),
        ("b.png", "scan"),
        (
            [Payload("one", [0, 1, 1, 0, 1, 0, 0]), Payload("one", [1, 1, 1, 0, 1, 0, 0])],
            "named 'one'",
        ),
    ],
)
def test_a_payload_that_is_probably_a_slip_is_refused(payloads, words):
    with pytest.raises(ValueError, match=words):
        detect_watermark(picture(6, 256, 256), payloads)


def test_long_payloads_stay_in_one_line_of_the_table():
    text = "first line\nsecond line " + "abcdefghij" * 20
    assert max(map(len, repr(detect_watermark(picture(7), text)).splitlines()[-2:])) < 120


def test_a_blank_picture_has_no_reading():
    assert not read_unknown(np.full((256, 256, 3), 9, np.uint8)).convincing

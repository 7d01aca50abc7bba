"""Payloads of many programs: each in its own way, texts much like them, texts that nobody knows, and what is said of each."""

import math

import numpy as np
import pytest
from test_watermark_detector import found, picture

from sdlab.results.changes import save_jpeg
from sdlab.watermark import PAYLOADS, Payload, detect_watermark, embed_watermark, read_unknown
from sdlab.watermark.detector import UNKNOWN, settle_likenesses
from sdlab.watermark.dwtdct import read_residues
from sdlab.watermark.payloads import EVERYDAY, SETS, Way, encode_text, find_payload
from sdlab.watermark.places import Blocks
from sdlab.watermark.reading import weigh_halves
from sdlab.watermark.scores import find_largest_values, score_way
from sdlab.watermark.search import score_as_is

RARE = [name for name in PAYLOADS if name not in EVERYDAY]


def known_of(image, **how):
    return detect_watermark(image, **how).words.splitlines()[0]


# Each in its own way


@pytest.mark.parametrize("name", RARE)
def test_rare_marks_are_tested_where_all_are_asked_for(name):
    inspection = detect_watermark(embed_watermark(picture(1), name), "all")
    assert found(inspection) == [name] and inspection.best.log10_p < -12
    assert list(inspection.frame.payload) == list(PAYLOADS)


@pytest.mark.parametrize("name", RARE)
def test_rare_marks_are_read_as_texts_where_they_are_not_tested(name):
    inspection = detect_watermark(embed_watermark(picture(1), name))
    assert found(inspection) == [name] and inspection.best.was_read
    assert PAYLOADS[name].written_by in inspection.words


def test_the_default_and_each_set_are_what_they_say():
    image = picture(2, 256, 256)
    default, everyday, all_of_them = (
        detect_watermark(image, *given).frame.payload.tolist()
        for given in ((), ("everyday",), ("all",))
    )
    assert default == everyday == list(EVERYDAY) and all_of_them == list(PAYLOADS)
    assert len(EVERYDAY) >= 12 and SETS["all"] is PAYLOADS


def test_a_mark_in_the_order_rgb_is_read_in_that_order():
    """Synthica's own program hands over RGB in float32."""
    payload, image = PAYLOADS["synthica"], picture(3)
    marked = embed_watermark(image, payload)
    swapped = embed_watermark(image[..., ::-1], payload, order="BGR")[..., ::-1]
    assert payload.way == Way("float32", "RGB") and np.array_equal(marked, swapped)
    assert str(detect_watermark(marked, "synthica").best.geometry) == "as is"
    assert not detect_watermark(marked[..., ::-1], "synthica")


def test_sdxls_mark_is_found_in_both_orders_and_not_called_altered():
    old = embed_watermark(picture(4), "sdxl", order="RGB")
    inspection = detect_watermark(old)
    assert found(inspection) == ["sdxl"] and inspection.best.log10_p < -12
    assert "in the channel order of diffusers before February 2024" in repr(inspection)
    assert "swapped" not in repr(inspection)
    assert found(detect_watermark(old, ["sdxl", "sd-v2"], search="size")) == ["sdxl"]


def test_the_two_orders_share_the_error():
    one, both = PAYLOADS["flux-1"].ways, PAYLOADS["sdxl"].ways
    assert list(one.values()) == [1] and sum(both.values()) == pytest.approx(1) and len(both) == 2
    marked = embed_watermark(picture(4), "sdxl", order="RGB")
    alone = Payload("alone", PAYLOADS["sdxl"].bits, "float32", order="RGB")
    p, p_alone = (detect_watermark(marked, what).best.log10_p for what in ("sdxl", alone))
    assert p == pytest.approx(p_alone - math.log10(both[alone.way]))


def test_sdxls_old_order_is_found_in_a_cut_picture():
    old = embed_watermark(picture(4), "sdxl", order="RGB")[10:, 10:]
    inspection = detect_watermark(old, "sdxl", search="crop")
    assert inspection.detected and inspection.best.geometry.swapped_by


# dwtDctSvd


def test_the_largest_singular_value_is_lapacks():
    cells = picture(5, 64, 64)[..., :1].reshape(-1, 4, 4).astype(np.float32)
    expected = np.linalg.svd(cells, compute_uv=False)[:, 0]
    found_here = find_largest_values(np.ascontiguousarray(cells.transpose(1, 2, 0)))
    np.testing.assert_allclose(found_here, expected, rtol=1e-3)


def test_a_singular_value_is_scored_by_its_residue():
    way = Way("uint8", "RGB", "dwtDctSvd")
    marked = embed_watermark(picture(5), b"My 4", way.method, order=way.order)
    residues = read_residues(marked, *way).reshape(64, 64)
    scores = score_way(marked, way)
    sure = np.abs(scores) > 0.5  # of the others the local mean took too much
    assert sure.mean() > 0.5 and ((scores > 0) == (residues > 18))[sure].mean() > 0.99


@pytest.mark.parametrize("text", ["My 4", "SDXL", "a.b!"])
def test_four_letters_of_sd_nexts_user_are_read(text):
    marked = embed_watermark(picture(6), text.encode(), "dwtDctSvd", order="RGB")
    inspection = detect_watermark(marked)
    assert inspection.best.payload.text == text and inspection.best.payload.method == "dwtDctSvd"
    assert f"the text {text!r}" in known_of(marked) and "SD.Next" in known_of(marked)
    assert inspection.best.log10_p < -6


@pytest.mark.parametrize("arithmetic", ["uint8", "float32"])
@pytest.mark.parametrize("order", ["BGR", "RGB"])
def test_a_payload_of_ones_own_has_its_own_method_and_order(arithmetic, order):
    own = Payload(
        "own", encode_text("Somebody"), arithmetic, "Somebody", order=order, method="dwtDctSvd"
    )
    marked = embed_watermark(picture(7), own)
    [finding] = detect_watermark(marked, own).findings
    assert finding.detected and finding.log10_p < -20


@pytest.mark.parametrize(
    "how, says",
    [
        ({"method": "rivaGan"}, "method='rivaGan'.*dwtDct, dwtDctSvd"),
        ({"order": "GBR"}, "order='GBR'"),
    ],
)
def test_a_payload_that_nobody_can_read_is_refused(how, says):
    with pytest.raises(ValueError, match=says):
        Payload("own", [1, 0] * 8, **how)


# Texts much like a known one


@pytest.mark.parametrize(
    "text, like",
    [
        ("StableDiffusionV3", "sd-v1"),
        ("StableDiffusionV2", "sd-v1"),
        ("StableDiffusionXL", "sd-v1"),
        ("SDV1", "sd-v2"),
        ("SDV3", "sd-v2"),
    ],
)
def test_a_text_like_a_known_one_is_read_and_named(text, like):
    marked = embed_watermark(picture(8), text.encode())
    inspection = detect_watermark(marked)
    assert found(inspection) == [text]
    assert (inspection.best.like or PAYLOADS[like]).name == like
    words = known_of(marked)
    assert repr(text) in words and PAYLOADS[like].written_by not in words
    assert inspection.frame.set_index("payload").loc[text, "detected"]


@pytest.mark.parametrize("quality", [95, 90, 80])
def test_bits_that_a_jpeg_file_lost_do_not_make_another_text(quality):
    for seed in range(4):
        for name in ("sd-v1", "sd-v2", "invokeai"):
            inspection = detect_watermark(save_jpeg(embed_watermark(picture(seed), name), quality))
            assert found(inspection) in ([], [name])


def test_a_mark_that_is_not_read_letter_by_letter_may_be_another_text():
    inspection = detect_watermark(save_jpeg(embed_watermark(picture(1), "sd-v1"), 80))
    assert found(inspection) == ["sd-v1"] and inspection.best.agreement < 1
    assert "a text that differs in few letters reads alike" in repr(inspection)


def test_of_two_marks_of_a_length_the_likelier_is_there():
    inspection = detect_watermark(embed_watermark(picture(9), PAYLOADS["sdxl-text"]))
    assert found(inspection) == ["sdxl-text"]
    findings = {f.payload.name: f for f in inspection.findings}
    both = {n: findings[n] for n in ("sd-v2", "sdxl-text")}
    both = {n: type(f)(**{**vars(f), "detected": True}) for n, f in both.items()}
    settled = settle_likenesses(both, {n: blocks_of(picture(9)) for n in both})
    assert [n for n, f in settled.items() if f.detected] == ["sdxl-text"]


def test_a_long_mark_is_not_taken_for_a_shorter_one_that_fits_into_it():
    """56 and 32 bits divide the 224 of the inpainting script's text."""
    for seed in range(4):
        marked = embed_watermark(picture(seed), "sd-v1-inpainting")
        assert found(detect_watermark(marked, "all")) == ["sd-v1-inpainting"]


def test_what_a_mark_explains_of_the_scores_is_taken_off():
    """At a width of 512 the beginning of the longer text looks like the shorter one."""
    blocks = next(
        iter(score_as_is(embed_watermark(picture(1), "sd-v1-inpainting"), [Way()]).values())
    )
    rest = blocks.without(blocks, 224)
    assert rest.weigh(PAYLOADS["sd-v1-inpainting"]) > -2 and rest.weigh(PAYLOADS["sd-v1"]) > -2
    assert blocks.without(blocks, 46).weigh(PAYLOADS["sd-v1-inpainting"]) < -50


def blocks_of(image):
    class Somewhere:
        blocks = next(iter(score_as_is(image, [Way()]).values()))

    return Somewhere


# Texts that nobody knows


@pytest.mark.parametrize("text", ["a text nobody knows", "Picture by Jane", "XYZ-9000"])
def test_a_text_that_nobody_knows_is_read_where_no_mark_is_found(text):
    inspection = detect_watermark(embed_watermark(picture(10), text.encode()))
    assert found(inspection) == [text] and inspection.best.was_read
    assert inspection.words.startswith(f"Hidden in the pixels: the text {text!r}")
    assert "whose writer is not known" in inspection.words
    assert inspection.frame.payload.tolist() == [*EVERYDAY, text]


def test_a_text_that_is_signed_with_a_number_is_named():
    words = known_of(embed_watermark(picture(10), b"ESD_0a1B2c3D"))
    assert "'ESD_0a1B2c3D'" in words and "a small service that signs as ESD" in words


@pytest.mark.parametrize("name", ["sd-v1", "sd-v2"])
def test_a_common_slip_of_private_scripts_is_found_and_named(name):
    inspection = detect_watermark(embed_watermark(picture(11), name, order="RGB"))
    assert found(inspection) == [name] and inspection.best.geometry.swapped
    assert "private scripts that forget to swap red and blue" in repr(inspection)


def test_a_rare_text_in_the_wrong_order_is_read_too():
    inspection = detect_watermark(embed_watermark(picture(12), "Scrollrack", order="RGB"))
    assert found(inspection) == ["Scrollrack"]
    assert "marked by a program that swaps them" in repr(inspection)


def test_no_text_is_looked_for_where_a_payload_is_named():
    marked = embed_watermark(picture(10), b"a text nobody knows")
    inspection = detect_watermark(marked, ["sd-v1", "sdxl"])
    assert not inspection.detected and inspection.reading is None and len(inspection.findings) == 2


def test_a_miss_says_that_no_text_was_read_either():
    inspection = detect_watermark(picture(12))
    assert "Nor could any other text be read, one that is not in the list." in repr(inspection)
    assert inspection.reading is not None and not inspection.reading.convincing


def test_a_text_has_to_be_likely_enough_for_its_share_of_the_rate():
    image = picture(10)
    marked = embed_watermark(image, b"a text nobody knows")
    log10_p = read_unknown(marked).log10_p
    share = UNKNOWN / (UNKNOWN + sum(payload.weight for payload in EVERYDAY.values()))
    rate = 10 ** max(log10_p + 0.1, -290) / share
    assert detect_watermark(marked, false_positive_rate=rate).detected
    inspection = detect_watermark(marked, false_positive_rate=rate / 2)
    assert not inspection.detected and "which is not certain enough" in repr(inspection)


def test_the_p_of_a_text_is_what_one_half_says_of_the_other():
    scores = score_way(embed_watermark(picture(13), b"Somebody"), Way())
    noise = np.random.default_rng(0).normal(size=scores.shape).astype(np.float32)
    half = np.concatenate([scores[:32], noise[32:]])  # the lower half has no mark
    assert (
        weigh_halves(Blocks(scores, 64, 0), 64, "x")
        < -12
        < weigh_halves(Blocks(half, 64, 0), 64, "x")
    )


# The error and its shares


def test_common_payloads_have_a_larger_share_of_the_error():
    marked = embed_watermark(picture(14, 320, 320), "Cremage")
    [rare] = detect_watermark(marked, "Cremage").findings
    limit = rare.log10_p + math.log10(11) - 0.02  # 1 of 11 beside a common payload
    two = ["Cremage", "sd-v1"]
    assert not detect_watermark(marked, two, false_positive_rate=10**limit).detected
    assert detect_watermark(marked, two, false_positive_rate=10 ** (limit + 0.04)).detected


def test_weights_are_positive_and_of_texts_alone_may_be_read():
    assert all(payload.weight > 0 for payload in PAYLOADS.values())
    assert all(
        p.name == p.text or p.name in ("sdxl-text", "synthica") for p in list(PAYLOADS.values())[6:]
    )


# Who writes it


@pytest.mark.parametrize("name", PAYLOADS)
def test_an_answer_says_who_writes_the_mark(name):
    inspection = detect_watermark(embed_watermark(picture(15), name), "all")
    assert PAYLOADS[name].written_by in inspection.words.splitlines()[0]


@pytest.mark.parametrize("name, program", [("sd-v2", "ArtShield and NoAI"), ("sd-v1", "NoAI")])
def test_people_who_protect_their_own_pictures_are_named(name, program):
    words = known_of(embed_watermark(picture(15), name))
    assert f"people put on their own pictures, too, with {program}" in words.replace(
        "one version of ", ""
    )


def test_a_text_of_ones_own_keeps_its_name_and_its_bits():
    """A recipe with such a text has the same key as before the text was known."""
    for text in ("Cremage", "test", "qingquan", "StableDiffusion", "Scrollrack"):
        payload = find_payload(text)
        assert (
            payload.name == text
            and payload.way == Way()
            and (payload.bits == encode_text(text)).all()
        )
    assert find_payload("testing 1").name == "testing 1"

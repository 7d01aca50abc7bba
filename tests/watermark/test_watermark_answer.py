"""The answer as a whole: two lines that sum it up, four parts, the same wherever it is shown; and labels without a signature."""

import dataclasses
import gzip
import html
import json

import numpy as np
import pytest
from foreign import make_recipe
from PIL import Image, PngImagePlugin
from test_watermark_files import noise
from test_watermark_provenance import exif_of, read_claims, texts_of

from sdlab import detect_watermark
from sdlab.store.png import embed_record
from sdlab.watermark import embed_watermark
from sdlab.watermark.answer import TITLES, list_stories
from sdlab.watermark.inspection import describe_mark
from sdlab.watermark.labels import CAMERA, Claim
from sdlab.watermark.stealth import read_stealth

NOTE = "A note in the file says: "
RECIPE = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: m"
AIGC = json.dumps({"Label": "1", "ContentProducer": "Doubao", "ProduceID": "x<1"})


def picture(side=256):
    """Soft noise, in which a mark holds."""
    coarse = Image.fromarray(
        np.random.default_rng(0).integers(40, 216, (side // 8, side // 8, 3), np.uint8)
    )
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def hide_text(pixels, signature, text):
    """The pixels with a text in their lowest bits, bit by bit as the extension of A1111 does it."""
    data = gzip.compress(text.encode()) if signature.endswith("comp") else text.encode()
    whole = signature.encode() + (8 * len(data)).to_bytes(4, "big") + data
    bits, hidden = [byte >> n & 1 for byte in whole for n in range(7, -1, -1)], pixels.copy()
    channels = (3,) if "png" in signature else (0, 1, 2)
    places = (
        (y, x, c) for x in range(pixels.shape[1]) for y in range(pixels.shape[0]) for c in channels
    )
    for place, bit in zip(places, bits):
        hidden[place] = hidden[place] & 0xFE | bit
    return hidden


def words_of(path):
    return detect_watermark(path).words


# Labels


@pytest.mark.parametrize(
    "signature", ["stealth_pnginfo", "stealth_pngcomp", "stealth_rgbinfo", "stealth_rgbcomp"]
)
@pytest.mark.parametrize("height", [16, 40])
def test_a_text_in_the_lowest_bits_is_read(tmp_path, signature, height):
    rgba = np.dstack([noise(0, height, 120), np.full((height, 120), 255, np.uint8)])
    hidden = hide_text(rgba, signature, RECIPE)
    if "rgb" in signature:
        hidden = hidden[:, :, :3]
    Image.fromarray(hidden).save(tmp_path / "a.png")
    where = "alpha" if "png" in signature else "RGB"
    words = words_of(tmp_path / "a.png")
    assert words.startswith(f"A text stands in the lowest bits of {where}: the recipe of A1111's")
    assert detect_watermark(hidden).words.splitlines()[0] == words.splitlines()[0]
    assert "Steps: 20" in detect_watermark(tmp_path / "a.png").answer.parts[2].lines[0]


def test_no_text_is_read_where_none_is_hidden_or_it_is_cut_off(tmp_path):
    rgba = np.dstack([noise(0, 40, 50), np.full((40, 50), 255, np.uint8)])
    cut = hide_text(rgba, "stealth_pngcomp", RECIPE)[:, :20]
    for pixels in (
        rgba,
        cut,
        rgba[:1, :1],
        rgba[:, :0],
        hide_text(rgba[:, :, :3], "stealth_rgbcomp", ""),
    ):
        assert read_stealth(pixels) is None or read_stealth(pixels).detail in " ".join(
            RECIPE.split()
        )


@pytest.mark.parametrize(
    "form",
    [
        "<TC260:AIGC>{}</TC260:AIGC>",
        '<rdf:Description TC260:AIGC="{}"/>',
        "<rdf:Description TC260:AIGC='{}'/>",
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_label_of_chinas_law_is_read(tmp_path, form, suffix):
    xmp = f"<x:xmpmeta><rdf:RDF>{form.format(html.escape(AIGC))}</rdf:RDF></x:xmpmeta>"
    how = (
        {"pnginfo": texts_of(**{"XML:com.adobe.xmp": xmp})}
        if suffix == ".png"
        else {"xmp": xmp.encode()}
    )
    picture(64).save(tmp_path / f"a{suffix}", **how)
    assert words_of(tmp_path / f"a{suffix}").startswith(
        "A note in the file says: made by an AI model (Doubao)."
    )


@pytest.mark.parametrize(
    "label, says",
    [
        ("1", "made by"),
        ("2", "perhaps made by"),
        ("3", "suspected"),
        ("9", "under the AIGC label '9'"),
    ],
)
def test_each_label_of_chinas_law_says_what_it_says(tmp_path, label, says):
    text = json.dumps({"AIGC": {"Label": label}})
    comment = exif_of({}, b"ASCII\0\0\0" + text.encode())
    picture(64).save(tmp_path / "a.jpg", exif=comment)
    picture(64).save(tmp_path / "a.png", pnginfo=texts_of(AIGC=text))
    for name in ("a.jpg", "a.png"):
        assert words_of(tmp_path / name).startswith(NOTE + says)


@pytest.mark.parametrize(
    "tags, says",
    [
        (
            {0x010E: "Signature: bm90aGluZw==", 0x013B: "5c3f9d1e-1111-2222-3333-444455556666"},
            "made with an image generator (Grok)",
        ),
        (
            {0x010F: "Apple", 0x0110: "iPhone 12", 0x0131: "18.6.2"},
            "captured by a camera or scanner (Apple iPhone 12)",
        ),
        (
            {0x010F: "FUJIFILM", 0x0131: "Digital Camera X-T3 Ver1.10"},
            "captured by a camera or scanner (FUJIFILM)",
        ),
        ({0x010F: "Black Forest Labs", 0x0131: "AI generated;txt2img;flux"}, "made by an AI model"),
        (
            {0x0131: "Adobe Photoshop 25.0"},
            "The file names Adobe Photoshop 25.0, and not how the picture came",
        ),
        ({0x0131: "18.6.2"}, "Nothing was found that tells"),
        ({0x010E: "Signature: a view of the sea", 0x013B: "Jane"}, "Nothing was found that tells"),
    ],
)
def test_a_camera_is_no_program_and_a_generator_no_camera(tmp_path, tags, says):
    picture(64).save(tmp_path / "a.jpg", exif=exif_of(tags))
    words = words_of(tmp_path / "a.jpg")
    assert words.startswith((says, NOTE + says))
    assert "18.6.2" not in words and "Ver1" not in words


@pytest.mark.parametrize(
    "xmp, says",
    [
        ('photoshop:Credit="Made with Google AI"', "made by an AI model (Made with Google AI)"),
        ('photoshop:Credit="Edited with Google AI"', "edited with an AI model (Edited"),
        ('xmp:CreatorTool="18.6.2"', "Nothing was found"),
        (
            'p:DigitalSourceType=" http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia "',
            "edited with an AI model.",
        ),
        (
            "><ns:digitalSourceType><rdf:Bag><rdf:li>http://x/digitalCapture</rdf:li></rdf:Bag></ns:digitalSourceType",
            "captured by a camera.",
        ),
        (
            "><dc:description><rdf:Alt><rdf:li>a cat --v 6.1 Job ID: 5c3f9d1e-1111-2222-3333-444455556666</rdf:li></rdf:Alt></dc:description",
            "made with an image generator (Midjourney)",
        ),
    ],
)
def test_xmp_is_told_in_plain_words(tmp_path, xmp, says):
    packet = f"<x:xmpmeta><rdf:RDF><rdf:Description {xmp}></rdf:Description></rdf:RDF></x:xmpmeta>"
    picture(64).save(tmp_path / "a.jpg", xmp=packet.encode())
    assert words_of(tmp_path / "a.jpg").startswith((says, NOTE + says))


def test_a_source_type_is_read_from_xmp_that_pillow_hands_out_nowhere(tmp_path):
    """A second packet, as in a GIF or behind the picture."""
    picture(64).save(tmp_path / "a.gif")
    packet = '<rdf:RDF></rdf:RDF><rdf:RDF p:DigitalSourceType="http://x/trainedAlgorithmicMedia"></rdf:RDF>'
    (tmp_path / "a.gif").write_bytes((tmp_path / "a.gif").read_bytes() + packet.encode())
    assert words_of(tmp_path / "a.gif").startswith("A note in the file says: made by an AI model.")


def test_what_a_reader_must_not_miss_comes_first(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt(
        "XML:com.adobe.xmp", '<x p:DigitalSourceType="http://x/trainedAlgorithmicMedia"/>'
    )
    picture(64).save(tmp_path / "a.png", pnginfo=info, exif=exif_of({0x010F: "Canon"}))
    words = words_of(tmp_path / "a.png")
    assert words.startswith(
        "A note in the file says: made by an AI model and captured by a camera or scanner (Canon)."
    )
    assert "it is easily written, changed or removed" in words.splitlines()[1]


def test_a_camera_and_a_mark_are_both_told_and_neither_is_called_right(tmp_path):
    """A photograph that its owner protects, or a picture with a copied note: nobody can tell."""
    how = {"exif": exif_of({0x010F: "Canon"}), "quality": 98}
    embed_watermark(picture(512), "sd-v2").save(tmp_path / "a.jpg", **how)
    known, unknown = words_of(tmp_path / "a.jpg").splitlines()
    assert "captured by a camera or scanner (Canon). Hidden in the pixels: the mark sd-v2" in known
    assert "how a camera in its notes and what is hidden in its pixels go together" in unknown
    picture().save(tmp_path / "b.jpg", **how)
    assert "go together" not in words_of(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    "log10_p, says",
    [(-8, "hardly there by accident, the chance is 1 in 10^8"), (-12, "(not there by accident")],
)
def test_no_mark_that_was_found_is_called_an_accident(marked, log10_p, says):
    hit = next(f for f in detect_watermark(marked).findings if f.detected)
    words = describe_mark(dataclasses.replace(hit, log10_p=log10_p))
    assert says in words and "does not show what made the picture" in words


def test_what_is_said_of_the_whole_is_not_lost_beside_a_part_or_a_doubt():
    made = Claim("C2PA", "Firefly", "", "made by an AI model", "made by an AI model (Firefly)")
    part = Claim("C2PA", "Firefly", "", "x", "a part of it: made by an AI model (Firefly)")
    doubt = Claim("text", "X", "", "perhaps made by an AI model")
    assert "made by an AI model (Firefly)" in list(list_stories([made, part]))
    assert "made by an AI model (Firefly)" in list(list_stories([made, doubt]))
    plain, longer = (Claim("XMP", "", "", CAMERA), Claim("C2PA", "L", "", CAMERA, f"{CAMERA} (L)"))
    assert list(list_stories([plain, longer])) == [f"{CAMERA} (L)"]


def test_a_recipe_in_the_lowest_bits_beside_a_camera_is_no_mark(tmp_path):
    rgba = np.dstack([noise(0, 256, 256), np.full((256, 256), 255, np.uint8)])
    hidden = Image.fromarray(hide_text(rgba, "stealth_pnginfo", RECIPE))
    hidden.save(tmp_path / "a.png", exif=exif_of({0x010F: "Canon"}))
    known, unknown = words_of(tmp_path / "a.png").splitlines()
    assert "No mark found." in known and "mark in its pixels" not in unknown
    assert "who put that text there" in unknown and "what is hidden in its pixels" in unknown


@pytest.mark.parametrize(
    "make, model, name",
    [
        ("Canon", "Canon EOS 6D", "Canon EOS 6D"),
        ("NIKON CORPORATION", "NIKON D850", "NIKON D850"),
        ("SONY", "ILCE-7M3", "SONY ILCE-7M3"),
        ("", "EOS", "EOS"),
        ("Epson", "", "Epson"),
    ],
)
def test_a_camera_is_named_by_its_maker_once(tmp_path, make, model, name):
    tags = {tag: text for tag, text in ((0x010F, make), (0x0110, model)) if text}
    picture(64).save(tmp_path / "a.jpg", exif=exif_of(tags))
    assert f"camera or scanner ({name})" in words_of(tmp_path / "a.jpg")


def test_an_editing_follows_the_capture(tmp_path):
    xmp = '<x p:DigitalSourceType="http://x/compositeWithTrainedAlgorithmicMedia"/>'
    picture(64).save(tmp_path / "a.jpg", xmp=xmp.encode(), exif=exif_of({0x010F: "Canon"}))
    known, unknown = words_of(tmp_path / "a.jpg").splitlines()
    assert known == NOTE + "captured by a camera or scanner (Canon) and edited with an AI model."
    assert "how much of it was edited" in unknown and "who wrote it" in unknown


# The whole


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A picture with a mark that also says which program wrote it."""
    path = tmp_path_factory.mktemp("marked") / "a.png"
    embed_watermark(picture(), "sd-v2").save(path, pnginfo=texts_of(parameters=RECIPE))
    return path


def test_the_answer_has_two_lines_and_four_parts(marked):
    inspection = detect_watermark(marked)
    lines = repr(inspection).splitlines()
    assert lines[0] == inspection.answer.known and lines[1] == inspection.answer.unknown
    assert [line.split(":")[0] for line in lines[3:7]] == list(TITLES.values())
    assert (
        lines[0].startswith(f"{NOTE}made with an image generator (A1111")
        and "the mark sd-v2" in lines[0]
    )
    assert inspection.words.splitlines() == lines[:2]
    headline, *rest = inspection.answer.sentences
    assert rest == lines[:2] and len(headline) < 0.6 * len(lines[0])
    assert headline.startswith(NOTE) and headline.endswith("Anyone can add such a mark.")


def test_html_holds_the_same_words_as_text(marked):
    inspection = detect_watermark(marked)
    page = html.unescape(inspection._repr_html_())
    for part in inspection.answer.parts:
        assert part.title in page and all(line in page for line in part.lines)
    assert inspection.answer.known in page and inspection.answer.unknown in page


def test_a_hit_says_that_people_mark_their_own_photographs(marked):
    words = words_of(marked)
    assert "anyone can add it, even to a photograph" in words.splitlines()[1]
    assert "the mark of Stable Diffusion" not in repr(detect_watermark(marked))


@pytest.mark.parametrize("mark", ["sd-v1", "sdxl", None])
def test_a_mark_that_the_recipe_in_the_file_states_is_explained_by_it(tmp_path, mark):
    pixels = np.random.default_rng(0).integers(40, 216, (32, 32, 3), dtype=np.uint8)
    image = embed_watermark(Image.fromarray(pixels).resize((256, 256)), "sd-v1")
    data = embed_record(make_recipe(watermark=mark), image, {})
    (tmp_path / "own.png").write_bytes(data)
    answer = detect_watermark(tmp_path / "own.png").answer
    explained = "The recipe in the file explains that mark: by it, sdlab has put sd-v1 there."
    assert (explained in answer.known) == (mark == "sd-v1")
    assert ("put there by sdlab, as the recipe in the file says" in answer.headline) == (
        mark == "sd-v1"
    )
    assert ("whether sdlab put the mark there" in answer.unknown) == (mark == "sd-v1")
    assert "anyone can add it" in answer.unknown and "Anyone can add" in answer.headline


def test_no_mark_is_not_called_no_model(tmp_path):
    picture().save(tmp_path / "a.png")
    known, unknown = words_of(tmp_path / "a.png").splitlines()
    assert (
        known.startswith("Nothing was found")
        and "a camera, a hand or an AI model may have made it" in known
    )
    assert all(
        name in unknown
        for name in ("SynthID", "TrustMark", "Stable Signature", "Tree-Ring", "visible logos")
    )
    assert "many programs write none" in unknown and "search='all'" in unknown


def test_an_array_has_no_file_that_could_say_anything():
    answer = detect_watermark(np.asarray(picture())).answer
    assert answer.parts[0].text == "There is no file." and not answer.parts[0].known


def test_nothing_in_a_file_becomes_html(tmp_path):
    picture(64).save(tmp_path / "a.png", pnginfo=texts_of(parameters="<script>alert(1)</script>"))
    assert "<script" not in detect_watermark(tmp_path / "a.png")._repr_html_()
    assert read_claims(tmp_path / "a.png")[0].detail.endswith("</script>")

"""What a file's metadata claims about its origin."""

import re
import struct
import zlib

import pytest
from foreign import make_recipe
from PIL import Image, PngImagePlugin
from test_watermark_files import chunk, noise, png_of

from sdlab.store.png import embed_record
from sdlab.watermark.labels import find_writer
from sdlab.watermark.provenance import read_provenance

INFOTEXT = "a cat, läuft 猫\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Model: m"
GRAPH = '{"3": {"class_type": "KSampler", "inputs": {"seed": 5}}}'


def exif_of(tags, user_comment=None):
    exif = Image.Exif()
    exif.update(tags)
    if user_comment is not None:
        exif.get_ifd(0x8769)[0x9286] = user_comment
    return exif.tobytes()


def texts_of(**texts):
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    return info


def read_claims(what):
    return read_provenance(what).claims


def said_by(path):
    return {(claim.kind, claim.program) for claim in read_claims(path)}


# Text, EXIF and XMP


@pytest.mark.parametrize(
    "name, text, program",
    [
        ("parameters", INFOTEXT, "A1111's web UI or a program that writes such notes, too"),
        ("parameters", INFOTEXT + ", Version: f2.0.1v1.10.1", "Forge"),
        ("parameters", INFOTEXT + ", App: SD.Next, Version: 1a2b3c", "SD.Next"),
        ("parameters", "a cat", ""),
        ("parameters", '{"sui_image_params": {"prompt": "a cat"}}', "SwarmUI"),
        ("prompt", GRAPH, "ComfyUI"),
        ("parameters", '{"prompt": "a cat", "metadata_scheme": "fooocus"}', "Fooocus"),
        ("workflow", '{"last_node_id": 9}', "ComfyUI"),
        ("invokeai_metadata", '{"positive_prompt": "a cat"}', "InvokeAI"),
        ("sd-metadata", "{}", "InvokeAI"),
        ("Dream", '"a cat" -s 50', "InvokeAI"),
        ("Software", "NovelAI", "NovelAI"),
        ("Comment", '{"prompt": "a cat", "signed_hash": "x"}', "NovelAI"),
        ("generation_data", '{"app": "Cremage"}', "Cremage"),
        (
            "Description",
            "a cat --ar 3:2 --v 6.1 Job ID: 5c3f9d1e-1111-2222-3333-444455556666",
            "Midjourney",
        ),
        ("DgenerateConfig", "#! dgenerate", "dgenerate"),
        ("use_stable_diffusion_model", "sd-v1-4", "Easy Diffusion"),
    ],
)
def test_a_text_in_a_png_names_its_program(tmp_path, name, text, program):
    Image.fromarray(noise()).save(tmp_path / "a.png", pnginfo=texts_of(**{name: text}))
    (claim,) = read_claims(tmp_path / "a.png")
    assert (claim.kind, claim.program, claim.origin) == (
        "text",
        program,
        "made with an image generator" if program else "",
    )
    words = (
        re.findall(r"\w+", text)[-1]
        if text[0] == "{" and len(text) > 2
        else " ".join(text.split())[:20]
    )
    assert words in claim.detail and "\n" not in claim.detail and '{"' not in claim.detail


def test_sdlabs_own_record_is_one_mark_and_survives_a_changed_picture(tmp_path):
    recipe = make_recipe(seed=7)
    data = embed_record(recipe, Image.fromarray(noise()), {"sdlab_version": "1"})
    (tmp_path / "a.png").write_bytes(data)
    (claim,) = read_claims(tmp_path / "a.png")
    assert claim.program == "sdlab" and "; seed 7;" in claim.detail
    (tmp_path / "b.png").write_bytes(data.replace(b'{"format"', b'["format"'))
    assert all("damaged" in claim.detail for claim in read_claims_unchecked(tmp_path / "b.png"))


def read_claims_unchecked(path):
    """The marks of a PNG whose texts were changed without a new checksum."""
    data = path.read_bytes()
    at = data.index(b"iTXt")
    length = struct.unpack(">I", data[at - 4 : at])[0]
    path.write_bytes(
        data[: at - 4] + chunk(b"iTXt", data[at + 4 : at + 4 + length]) + data[at + 8 + length :]
    )
    return [claim for claim in read_claims(path) if claim.detail.startswith("sdlab")]


def test_a_text_after_the_pixels_is_found(tmp_path):
    (tmp_path / "a.png").write_bytes(
        png_of(1, 1, 8, 0, b"\0\0", chunk(b"tEXt", b"parameters\0" + b"cat\nSteps: 9, Seed: 1"))
    )
    assert said_by(tmp_path / "a.png") == {
        ("text", "A1111's web UI or a program that writes such notes, too")
    }


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".png", ".tif"])
@pytest.mark.parametrize(
    "code, encoding",
    [
        (b"UNICODE\0", "utf-16-be"),
        (b"UNICODE\0", "utf-16-le"),
        (b"UNICODE\0", "utf-16"),
        (b"UNICODE\0", "utf-8"),
        (b"ASCII\0\0\0", "utf-8"),
        (b"\0" * 8, "utf-8"),
        (b"JIS\0\0\0\0\0", "iso2022_jp"),
        (b"", "utf-8"),
    ],
)
def test_a_user_comment_is_read_in_every_encoding(tmp_path, suffix, code, encoding):
    text = INFOTEXT.replace("ä", "a")
    Image.fromarray(noise()).save(
        tmp_path / f"a{suffix}", exif=exif_of({}, code + text.encode(encoding))
    )
    (claim,) = read_claims(tmp_path / f"a{suffix}")
    assert (
        claim.kind == "EXIF"
        and claim.program.startswith("A1111")
        and claim.detail.startswith("UserComment: a cat, lauft 猫 Neg")
    )


@pytest.mark.parametrize(
    "tags, program",
    [
        ({0x010F: "Black Forest Labs"}, "Black Forest Labs"),
        ({0x0131: "AI generated;txt2img;flux"}, "AI generated;txt2img;flux"),
        ({0x0110: f"prompt:{GRAPH}", 0x010F: 'workflow:{"nodes": []}'}, "ComfyUI"),
        ({0x010E: INFOTEXT}, "A1111's web UI or a program that writes such notes, too"),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif", ".avif"])
def test_exif_names_its_program(tmp_path, suffix, tags, program):
    Image.fromarray(noise()).save(
        tmp_path / f"a{suffix}",
        exif=exif_of({tag: text.replace("猫", "") for tag, text in tags.items()}),
    )
    assert said_by(tmp_path / f"a{suffix}") == {("EXIF", program)}


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif", ".avif"])
@pytest.mark.parametrize(
    "form",
    [
        'x:DigitalSourceType="{}"',
        ">< x:DigitalSourceType>{}</x:DigitalSourceType",
        "><x:DigitalSourceType rdf:resource='{}'/",
    ],
)
def test_xmp_names_the_source_type(tmp_path, suffix, form):
    xmp = f"<x:xmpmeta {form.format('http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia')}></x:xmpmeta>"
    how = (
        {"pnginfo": texts_of(**{"XML:com.adobe.xmp": xmp})}
        if suffix == ".png"
        else {"tiffinfo": {700: xmp.encode()}}
        if suffix == ".tif"
        else {"xmp": xmp.encode()}
    )
    Image.fromarray(noise()).save(tmp_path / f"a{suffix}", **how)
    (claim,) = read_claims(tmp_path / f"a{suffix}")
    assert (claim.kind, claim.origin) == ("XMP", "made by an AI model")
    assert claim.detail == "DigitalSourceType: trainedAlgorithmicMedia"


def test_a_picture_without_marks_has_none(tmp_path):
    Image.fromarray(noise()).save(
        tmp_path / "a.jpg", comment=b"hello", exif=exif_of({}, b"ASCII\0\0\0 holiday")
    )
    assert (
        read_claims(tmp_path / "a.jpg")
        == read_claims(noise())
        == read_claims(Image.fromarray(noise()))
        == ()
    )


def test_damage_in_pixels_or_metadata_leaves_the_other_marks(tmp_path):
    Image.fromarray(noise(0, 200, 200)).save(
        tmp_path / "a.png", pnginfo=texts_of(parameters=INFOTEXT)
    )
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    Image.fromarray(noise()).save(
        tmp_path / "b.webp",
        exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x01",
        xmp=b'photoshop:Credit="Made with Google AI"',
    )
    assert said_by(tmp_path / "a.png") == {
        ("text", "A1111's web UI or a program that writes such notes, too")
    }
    assert ("XMP", "Made with Google AI") in said_by(tmp_path / "b.webp")


def test_a_text_that_unpacks_without_end_is_an_error_that_names_the_file(tmp_path):
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * 50_000_000))
    whole = png_of(1, 1, 8, 0, b"\0\0")
    (tmp_path / "bomb.png").write_bytes(whole[:33] + bomb + whole[33:])
    with pytest.raises(OSError, match=r"bomb\.png.*too large"):
        read_claims(tmp_path / "bomb.png")


@pytest.mark.parametrize("text", ["Version: sdlab 1", "App: SD.Next", "Steps: 20, ", "Version: f2"])
def test_a_writer_is_told_by_whole_words(text):
    assert find_writer(f"a cat, {text}") and not find_writer(f"a cat, My{text}")

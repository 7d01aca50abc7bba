"""What a file's metadata claims about its origin."""

import io
import json
import struct
import sys
import zlib

import pytest
from PIL import Image, PngImagePlugin
from test_watermark_files import chunk, noise, png_of

from sdlab.recipe.request import Recipe
from sdlab.store.png import embed_record
from sdlab.watermark.provenance import read_marks

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


def said_by(path):
    return {(mark.kind, mark.program) for mark in read_marks(path)}


# Text, EXIF and XMP


@pytest.mark.parametrize(
    "name, text, program",
    [
        ("parameters", INFOTEXT, "A1111 or a program that writes as it does"),
        ("parameters", INFOTEXT + ", Version: f2.0.1v1.10.1", "Forge"),
        ("parameters", INFOTEXT + ", App: SD.Next, Version: 1a2b3c", "SD.Next"),
        ("parameters", "a cat", "unknown"),
        ("parameters", '{"sui_image_params": {"prompt": "a cat"}}', "SwarmUI"),
        ("prompt", GRAPH, "ComfyUI"),
        ("parameters", '{"prompt": "a cat", "metadata_scheme": "fooocus"}', "Fooocus"),
        ("workflow", '{"last_node_id": 9}', "ComfyUI"),
        ("invokeai_metadata", '{"positive_prompt": "a cat"}', "InvokeAI"),
        ("sd-metadata", "{}", "InvokeAI"),
        ("Dream", '"a cat" -s 50', "InvokeAI"),
        ("Software", "NovelAI", "NovelAI"),
        ("Comment", '{"prompt": "a cat", "signed_hash": "x"}', "NovelAI"),
        ("DgenerateConfig", "#! dgenerate", "dgenerate"),
        ("use_stable_diffusion_model", "sd-v1-4", "Easy Diffusion"),
    ],
)
def test_a_text_in_a_png_names_its_program(tmp_path, name, text, program):
    Image.fromarray(noise()).save(tmp_path / "a.png", pnginfo=texts_of(**{name: text}))
    (mark,) = read_marks(tmp_path / "a.png")
    assert (mark.kind, mark.program, mark.trust) == ("text", program, "unsigned")
    assert " ".join(text.split())[:20] in mark.detail and "\n" not in mark.detail


def test_sdlabs_own_record_is_one_mark_and_survives_a_changed_picture(tmp_path):
    data = embed_record(
        Recipe(prompt="a cat", seed=7), Image.fromarray(noise()), {"sdlab_version": "1"}
    )
    (tmp_path / "a.png").write_bytes(data)
    (mark,) = read_marks(tmp_path / "a.png")
    assert mark.program == "sdlab" and '"seed": 7' in mark.detail
    (tmp_path / "b.png").write_bytes(data.replace(b'{"format"', b'["format"'))
    assert all("damaged" in mark.detail for mark in read_marks_unchecked(tmp_path / "b.png"))


def read_marks_unchecked(path):
    """The marks of a PNG whose texts were changed without a new checksum."""
    data = path.read_bytes()
    at = data.index(b"iTXt")
    length = struct.unpack(">I", data[at - 4 : at])[0]
    path.write_bytes(
        data[: at - 4] + chunk(b"iTXt", data[at + 4 : at + 4 + length]) + data[at + 8 + length :]
    )
    return [mark for mark in read_marks(path) if mark.detail.startswith("sdlab")]


def test_a_text_after_the_pixels_is_found(tmp_path):
    (tmp_path / "a.png").write_bytes(
        png_of(1, 1, 8, 0, b"\0\0", chunk(b"tEXt", b"parameters\0" + b"cat\nSteps: 9, Seed: 1"))
    )
    assert said_by(tmp_path / "a.png") == {("text", "A1111 or a program that writes as it does")}


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
    (mark,) = read_marks(tmp_path / f"a{suffix}")
    assert (
        mark.kind == "EXIF"
        and mark.program.startswith("A1111")
        and mark.detail.startswith("UserComment: a cat, lauft 猫 Neg")
    )


@pytest.mark.parametrize(
    "tags, program",
    [
        ({0x010F: "Black Forest Labs"}, "Black Forest Labs"),
        ({0x0131: "AI generated;txt2img;flux"}, "AI generated;txt2img;flux"),
        ({0x0110: f"prompt:{GRAPH}", 0x010F: 'workflow:{"nodes": []}'}, "ComfyUI"),
        ({0x010E: INFOTEXT}, "A1111 or a program that writes as it does"),
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
    (mark,) = read_marks(tmp_path / f"a{suffix}")
    assert (mark.kind, mark.detail) == (
        "XMP",
        "DigitalSourceType: trainedAlgorithmicMedia (made by a trained model)",
    )


def test_a_picture_without_marks_has_none(tmp_path):
    Image.fromarray(noise()).save(
        tmp_path / "a.jpg", comment=b"hello", exif=exif_of({}, b"ASCII\0\0\0 holiday")
    )
    assert (
        read_marks(tmp_path / "a.jpg")
        == read_marks(noise())
        == read_marks(Image.fromarray(noise()))
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
    assert said_by(tmp_path / "a.png") == {("text", "A1111 or a program that writes as it does")}
    assert ("XMP", "Made with Google AI") in said_by(tmp_path / "b.webp")


def test_a_text_that_unpacks_without_end_is_an_error_that_names_the_file(tmp_path):
    bomb = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * 50_000_000))
    whole = png_of(1, 1, 8, 0, b"\0\0")
    (tmp_path / "bomb.png").write_bytes(whole[:33] + bomb + whole[33:])
    with pytest.raises(OSError, match=r"bomb\.png.*too large"):
        read_marks(tmp_path / "bomb.png")


# C2PA

BOX = b"\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\x008\x9bq\x03c2pa\0"


def test_a_manifest_is_seen_without_the_package_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.png").write_bytes(
        png_of(1, 1, 8, 0, b"\0\0", chunk(b"caBX", b"\0\0\0\x26jumb" + BOX))
    )
    (mark,) = read_marks(tmp_path / "a.png")
    assert (mark.kind, mark.trust) == ("C2PA", "not read") and "sdlab[c2pa]" in mark.detail


@pytest.mark.parametrize(
    "at", [100, 2**20 - 28, 2**20 - 27, 2**20 - 15, 2**20 - 5, 2**20 - 4, 2**21 - 9, 3 * 2**20]
)
def test_a_manifest_is_found_wherever_it_stands(tmp_path, monkeypatch, at):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.png").write_bytes(png_of(1, 1, 8, 0, b"\0\0").ljust(at, b"\0") + BOX)
    assert [mark.kind for mark in read_marks(tmp_path / "a.png")] == ["C2PA"]


def test_a_damaged_manifest_is_a_mark_and_no_error(tmp_path):
    pytest.importorskip("c2pa")
    (tmp_path / "a.png").write_bytes(
        png_of(1, 1, 8, 0, b"\0\0", chunk(b"caBX", b"\0\0\0\x26jumb" + BOX))
    )
    assert [mark.trust for mark in read_marks(tmp_path / "a.png")] == ["damaged"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_a_signed_picture_says_apart_whether_it_is_intact_and_who_signed(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(signed(Image.fromarray(noise(0, 99, 99)), suffix))
    (mark,) = read_marks(path)
    assert (mark.program, mark.trust) == (
        "Test Generator",
        "intact; signer not trusted: signingCredential.untrusted",
    )
    assert "signed by Test Studio" in mark.detail and "trainedAlgorithmicMedia" in mark.detail


def test_a_changed_pixel_breaks_the_signature_and_says_so(tmp_path):
    data = bytearray(signed(Image.fromarray(noise(0, 99, 99)), ".jpg"))
    data[-300] ^= 1
    (tmp_path / "a.jpg").write_bytes(data)
    (mark,) = read_marks(tmp_path / "a.jpg")
    assert (
        mark.trust
        == "altered since it was signed: assertion.dataHash.mismatch; signer not trusted: signingCredential.untrusted"
    )


def signed(image, suffix):
    """The picture with a C2PA manifest of a signer that nobody knows."""
    c2pa = pytest.importorskip("c2pa")
    chain, key = certificate()
    kind = Image.registered_extensions()[suffix]
    plain, result = io.BytesIO(), io.BytesIO()
    image.save(plain, kind)
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
    }
    manifest = {
        "claim_generator_info": [{"name": "Test Generator"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    with c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, key, None)) as signer:
        c2pa.Builder(json.dumps(manifest)).sign(signer, Image.MIME[kind], plain, result)
    return result.getvalue()


def certificate():
    """(certificate chain, private key) in PEM, made now."""
    x509 = pytest.importorskip("cryptography.x509")
    import datetime

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "signer")}
    now, chain = datetime.datetime.now(datetime.UTC), b""
    for name, root in (("signer", False), ("root", True)):
        called = [
            x509.Name(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, who),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Studio"),
                ]
            )
            for who in (name, "root")
        ]
        builder = x509.CertificateBuilder(
            *called[::-1],
            keys[name].public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(1),
            now + datetime.timedelta(9),
        )
        builder = (
            builder.add_extension(x509.BasicConstraints(root, None), True)
            .add_extension(
                x509.KeyUsage(not root, False, False, False, False, root, root, False, False), True
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["root"].public_key()), False
            )
        )
        if not root:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False
            )
        chain += builder.sign(keys["root"], hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM
        )
    return chain, keys["signer"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

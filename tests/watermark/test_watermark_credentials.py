"""Signed pictures (C2PA): what the answer says of each kind, and what it can no longer say."""

import sys
import time

import pytest
from PIL import Image
from signing import (
    SOURCE,
    UNKNOWN_AUTHOR,
    certificate,
    mime_of,
    picture_bytes,
    sign,
    with_changed_byte,
)
from test_watermark_files import chunk, noise, png_of

from sdlab import detect_watermark
from sdlab.watermark.credentials import Report, read_anchors
from sdlab.watermark.provenance import read_provenance

BOX = b"\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9bq\x03c2pa\0"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"></svg>'
MADE = "made by an AI model (ChatGPT)"


@pytest.fixture
def tell(tmp_path):
    """The two lines that sum up the answer to a file of these bytes."""

    def told(data, name="a.png", **how):
        (tmp_path / name).write_bytes(data)
        return detect_watermark(tmp_path / name, **how).words

    return told


def read_own(path, **how):
    """The file's own credentials."""
    (credential,) = read_provenance(path, **how).credentials
    return credential


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "SVG"])
def test_a_signed_picture_says_who_made_it_who_signed_it_and_that_nobody_looked_the_signer_up(
    tell, kind
):
    data = sign(
        SVG if kind == "SVG" else picture_bytes(kind),
        kind,
        "trainedAlgorithmicMedia",
        program="ChatGPT",
    )
    words = tell(data, f"a.{kind.lower()}")
    assert words.startswith(
        f"A signed note in the file says: {MADE}. Signed in the name of Test Studio (which nobody"
        " checked, and anyone can use); the file is unaltered since it was signed."
    )
    assert "not trusted" not in words and "SynthID" in words.splitlines()[1]


# Alteration


def test_a_changed_pixel_is_an_alteration(tell):
    words = tell(with_changed_byte(sign(picture_bytes("JPEG"), "JPEG", "digitalCapture")), "a.jpg")
    assert words.startswith(
        "Altered since it was signed, by whom is not known: its picture, or its"
    )
    assert "what was altered, and by whom" in words.splitlines()[1]
    assert "unaltered" not in words


def recode(data, old, new):
    """A PNG with a word of its credentials replaced, and a checksum that fits."""
    assert data.count(old) == 1 and len(old) == len(new)
    data = data.replace(old, new)
    at = data.index(b"caBX")
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    return data[: at - 4] + chunk(b"caBX", data[at + 4 : end]) + data[end + 4 :]


def test_a_changed_statement_is_an_alteration(tell):
    data = sign(picture_bytes(), source="digitalCapture")
    words = tell(recode(data, b"type/digitalCapture", b"type/digitalCreatio"))
    assert "Altered since" in words and "a statement of its origin is not the one" in words


def test_of_a_claim_that_was_changed_nobody_is_the_signer(tell):
    words = tell(
        recode(sign(picture_bytes(), source="print"), b"Test Generator", b"Best Generator")
    )
    assert "Said to be signed in the name of Test Studio, but the signature does not fit" in words
    assert "unaltered" not in words


@pytest.mark.parametrize("source", ["digitalCapture", "trainedAlgorithmicMedia"])
def test_an_author_who_cannot_be_checked_is_no_alteration(tell, source):
    words = tell(sign(picture_bytes(), source=source, more=[UNKNOWN_AUTHOR]))
    assert "unaltered since" in words and "Altered" not in words
    assert "could not be checked, either: the author's identity." in words and "cawg" not in words


def test_the_codes_of_what_was_not_checked_stand_among_the_details(tell, tmp_path):
    tell(sign(picture_bytes(), source="digitalCapture", more=[UNKNOWN_AUTHOR]))
    told = repr(detect_watermark(tmp_path / "a.png"))
    assert "Not checked: the author's identity (cawg." in told


def test_an_expired_certificate_leaves_the_time_open_and_the_picture_intact(tell):
    signer = certificate("Short Studio", 2)
    data = sign(picture_bytes(), source="digitalCapture", signer=signer)
    time.sleep(3.1)
    words = tell(data)
    assert (
        "Signed in the name of Short Studio (" in words and "the file is unaltered since" in words
    )
    assert "the time of signing: the certificate has expired, and there is no time stamp." in words


@pytest.mark.parametrize(
    "code, says",
    [
        ("cawg.ica.did_unavailable", "the author's identity, which is kept on the network"),
        ("signingCredential.invalid", "the signer's certificate"),
        ("signingCredential.ocsp.revoked", "the certificate was revoked"),
        ("timeStamp.mismatch", "the time of signing"),
        ("algorithm.unsupported", "whose algorithm is not known here"),
        ("assertion.missing", "a statement, which is missing"),
        ("general.error", "something that this version does not know"),
        ("brand.new.code", "something that this version does not know"),
    ],
)
def test_every_other_code_is_a_doubt_in_words_and_no_alteration(code, says):
    good = [{"code": "claimSignature.validated"}, {"code": "assertion.dataHash.match"}]
    found = {"success": good, "failure": [{"code": code}]}
    report = {"manifests": {"m": {}}, "validation_results": {"activeManifest": found}}
    credential = Report(report, False).read("m")
    assert credential.state == "intact" and credential.notes == ()
    assert (
        len(credential.doubts) == 1
        and says in credential.doubts[0]
        and f"({code})" in credential.doubts[0]
    )


def test_nothing_is_intact_that_no_signature_is_tied_to():
    good = [{"code": "claimSignature.validated"}, {"code": "assertion.dataHash.match"}]
    found = {"success": good, "failure": [{"code": "claim.hardBindings.missing"}]}
    report = {"manifests": {"m": {}}, "validation_results": {"activeManifest": found}}
    credential = Report(report, False).read("m")
    assert credential.state == "unsure" and "nothing ties the signature" in credential.doubts[0]


def test_sources_that_name_one_another_in_circles_come_to_an_end():
    source = {"active_manifest": "m", "relationship": "parentOf", "label": "c2pa.ingredient"}
    report = {"manifests": {"m": {"ingredients": [source, source]}}, "validation_results": {}}
    assert len(Report(report, False).read("m").parents) < 200


@pytest.mark.parametrize("missing", ["claimSignature.validated", "assertion.dataHash.match"])
def test_nothing_is_called_intact_of_which_that_was_not_found(missing):
    good = [c for c in ("claimSignature.validated", "assertion.dataHash.match") if c != missing]
    found = {"success": [{"code": code} for code in good], "failure": []}
    report = {"manifests": {"m": {}}, "validation_results": {"activeManifest": found}}
    assert Report(report, False).read("m").state == "unsure"


# The signer


def test_a_signer_is_looked_up_in_a_trust_list(tell, tmp_path):
    data = sign(picture_bytes(), source="print")
    (tmp_path / "list.pem").write_bytes(certificate()[2])
    for anchors in (tmp_path / "list.pem", str(tmp_path / "list.pem"), certificate()[2]):
        assert "who is on the list of trusted signers" in tell(data, trust_anchors=anchors)
    other = tell(data, trust_anchors=certificate("Other Studio")[2])
    assert "not on the list of trusted signers" in other


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_trust_list_without_a_certificate_is_refused_before_anything_is_read(tmp_path, text):
    (tmp_path / "list.pem").write_text(text)
    with pytest.raises(ValueError, match="BEGIN CERTIFICATE"):
        read_anchors(tmp_path / "list.pem")
    with pytest.raises(FileNotFoundError):
        detect_watermark(noise(), trust_anchors=tmp_path / "none.pem")


# Where it comes from


def test_what_a_parent_says_is_told_with_what_was_done_since(tell, tmp_path):
    parent = sign(picture_bytes(), source="trainedAlgorithmicMedia", program="ChatGPT")
    child = sign(
        picture_bytes("JPEG"), "JPEG", program="Converter", sources=[("parentOf", "PNG", parent)]
    )
    grandchild = sign(
        picture_bytes("WEBP"), "WEBP", program="Editor", sources=[("parentOf", "JPEG", child)]
    )
    assert tell(child, "a.jpg").startswith(
        f"A signed note in the file says: {MADE}, then saved in another format (Converter)."
    )
    words = tell(grandchild, "b.webp")
    assert f"{MADE}, then saved in another format (Converter), then saved in another" in words
    details = " ".join(detect_watermark(tmp_path / "b.webp").answer.parts[1].details)
    assert (
        details.count("signed in the name of Test Studio") == 3 and details.count("Its source") == 2
    )


def test_a_photograph_edited_with_a_model_is_not_called_a_photograph_alone(tell):
    photo = sign(picture_bytes(), source="digitalCapture", program="Leica")
    source = "compositeWithTrainedAlgorithmicMedia"
    words = tell(
        sign(
            picture_bytes(),
            "PNG",
            source,
            program="Photoshop",
            sources=[("parentOf", "PNG", photo)],
        )
    )
    assert (
        "captured by a camera (Leica), then edited with an AI model, saved in another format"
        in words
    )


def test_a_part_made_by_a_model_is_told(tell):
    part = sign(picture_bytes(), source="trainedAlgorithmicMedia", program="ChatGPT")
    words = tell(sign(picture_bytes(seed=1), sources=[("componentOf", "PNG", part)]))
    assert "a part of it: made by an AI model (ChatGPT)" in words.splitlines()[0]


@pytest.mark.parametrize("deep", [False, True])
def test_a_source_that_was_altered_before_is_told_though_all_is_signed_anew(tell, deep):
    parent = with_changed_byte(sign(picture_bytes("JPEG"), "JPEG", "digitalCapture"))
    data = sign(picture_bytes("JPEG"), "JPEG", sources=[("parentOf", "JPEG", parent)])
    if deep:
        data = sign(picture_bytes("JPEG", 2), "JPEG", sources=[("parentOf", "JPEG", data)])
    words = tell(data, "a.jpg")
    assert "unaltered since" in words and "its source was altered before this was signed" in words


def test_credentials_on_the_network_are_named_and_not_fetched(tell):
    words = tell(
        sign(picture_bytes("JPEG"), "JPEG", "print", address="https://c2pa.example/x"), "a.jpg"
    )
    assert words.startswith(
        "The file points to a record of its origin (C2PA) at https://c2pa.example/x, which was not opened"
    )
    assert "what that record says" in words.splitlines()[1]


# What cannot be read


def test_credentials_are_seen_without_the_package_that_reads_them(tell, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    words = tell(png_of(1, 1, 8, 0, b"\0\0", chunk(b"caBX", b"\0\0\0\x26jumb" + BOX)))
    assert words.startswith(
        "The file holds a signed record of its origin (C2PA), which was not read: install"
    )
    assert "what that record says" in words


@pytest.mark.parametrize("at", [100, 2**20 - 28, 2**20 - 4, 3 * 2**20])
def test_credentials_are_found_wherever_they_stand(tmp_path, monkeypatch, at):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.png").write_bytes(png_of(1, 1, 8, 0, b"\0\0").ljust(at, b"\0") + BOX)
    assert read_own(tmp_path / "a.png").state == "unread"


def test_damaged_credentials_are_told_and_no_error(tell, tmp_path):
    pytest.importorskip("c2pa")
    words = tell(png_of(1, 1, 8, 0, b"\0\0", chunk(b"caBX", b"\0\0\0\x26jumb" + BOX)))
    assert words.startswith("The file holds a signed record of its origin (C2PA) that is damaged")
    assert read_own(tmp_path / "a.png").state == "damaged"


def test_an_array_and_a_copy_of_a_signed_picture_are_not_signed(tmp_path):
    (tmp_path / "a.png").write_bytes(sign(picture_bytes(), source="print"))
    with Image.open(tmp_path / "a.png") as image:
        assert read_own(image).state == "intact"
        assert read_provenance(image.copy()).credentials == ()


def test_a_source_type_that_nobody_knows_is_quoted(tell):
    assert "of the source type 'somethingNew'" in tell(sign(picture_bytes(), source="somethingNew"))
    assert SOURCE and mime_of("JPEG") == "image/jpeg"

"""Reads what a file says about its origin beside the pixels: parameters, EXIF, XMP and C2PA."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .opening import open_picture, shorten_error

UNSIGNED = "unsigned"
LONGEST = 1_000_000  # characters of a text that are looked at
SHOWN = 200  # characters of it that are quoted

KEYS = {  # the name of a text in a PNG: who writes it
    "sdlab": "sdlab",
    "invokeai_metadata": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "Dream": "InvokeAI",
    "invokeai_graph": "InvokeAI",
    "invokeai_workflow": "InvokeAI",
    "fooocus_scheme": "Fooocus",
    "DgenerateConfig": "dgenerate",
    "use_stable_diffusion_model": "Easy Diffusion",
}
# many write these; the text says who
TEXTS = ("parameters", "prompt", "workflow", "Comment", "comment", "Description")
WRITERS = tuple(
    (re.compile(pattern), program)
    for pattern, program in (
        (r'"sui_image_params"', "SwarmUI"),
        (r'"(?:metadata_scheme|version)": ?"[Ff]ooocus|\bVersion: Fooocus', "Fooocus"),
        (r'"class_type"|"last_node_id"|\bVersion: ComfyUI', "ComfyUI"),
        (r'"use_stable_diffusion_model"', "Easy Diffusion"),
        (r'"generation_mode": ?"|"app_version": ?"', "InvokeAI"),
        (r'"signed_hash"|"request_type": ?"\w*GenerateRequest"', "NovelAI"),
        (r"\bApp: SD\.Next|\bVersion: SD\.Next", "SD.Next"),
        (r"\bVersion: f\d", "Forge"),
        (r"\bVersion: sdlab", "sdlab"),
        (r"\bSteps: \d+, ", "A1111 or a program that writes as it does"),
    )
)

DESCRIPTION, MAKE, MODEL, SOFTWARE = 0x010E, 0x010F, 0x0110, 0x0131
USER_COMMENT, EXIF_IFD = 0x9286, 0x8769
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
XMP_VALUE = (
    r'(?:\s*=\s*["\']|\s+(?:\w+:)?resource\s*=\s*["\']'
    r"|\s*>\s*(?:<rdf:\w+>\s*<rdf:li[^>]{0,80}>\s*)?)"
    r'([^"\'<>]{1,300})'
)
SOURCE_TYPE = re.compile("DigitalSourceType" + XMP_VALUE)
XMP_PROGRAM = re.compile("(?:CreatorTool|photoshop:Credit)" + XMP_VALUE)
SOURCE_TYPES = {  # of the IPTC: in plain words
    "trainedAlgorithmicMedia": "made by a trained model",
    "compositeWithTrainedAlgorithmicMedia": "made in part by a trained model",
    "algorithmicMedia": "made by a program, not by a trained model",
    "digitalCapture": "taken by a camera",
}

C2PA_BOX = (  # how a store of manifests begins, in every format
    b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
)
C2PA_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


@dataclass(frozen=True)
class Mark:
    """One claim that a file makes about its origin.

    Parameters
    ----------
    kind : str
        Where it stands: "text" (of a PNG, or a comment), "EXIF", "XMP" or "C2PA".
    program : str
        Who is said to have written the picture, or "unknown".
    detail : str
        The beginning of what it says.
    trust : str
        "unsigned", or for C2PA whether the picture is intact and, apart from that, whether the
        signer is trusted.
    """

    kind: str
    program: str
    detail: str
    trust: str = UNSIGNED

    def __str__(self) -> str:
        return f"{self.program} ({self.kind}{'' if self.trust == UNSIGNED else f', {self.trust}'})"


def read_marks(what: str | os.PathLike[str] | Image.Image | np.ndarray) -> tuple[Mark, ...]:
    """Read all that the file claims about its origin; () if it says nothing, as an array does.

    Every mark is a claim and no proof: anyone can write, change or remove these texts without
    touching the pixels. Only C2PA is signed, and then too the signature shows that the file is as
    it was signed, not that what it says is true; a certificate that no trust list knows can be made
    by anyone. A file without marks may still come from a model.

    Raises
    ------
    OSError, ValueError, TypeError
        If it cannot be opened, as in `read_pixels`. Damaged pixels and damaged metadata are no
        errors here.
    """
    if isinstance(what, np.ndarray):
        return ()
    with open_picture(what) as image:
        # Pillow raises whatever it runs into; what stands before the damage still counts
        with suppress(Exception):
            image.load()  # a PNG's texts may follow the pixels
        texts, xmp = _read_texts(image.info), _read_xmp(image.info)
        # ComfyUI and others write several texts; the first of a kind is enough
        first: dict[tuple[str, str], Mark] = {}
        for mark in (*texts, *_read_exif(image), *xmp, *_read_c2pa(image)):
            first.setdefault((mark.kind, mark.program), mark)
        return tuple(first.values())


# Text


def _read_texts(info: Mapping[Any, Any]) -> Iterator[Mark]:
    """Read the texts that stand in the file by name."""
    texts = {
        name: _decode_text(value)
        for name, value in info.items()
        if isinstance(name, str) and isinstance(value, (str, bytes))
    }
    for name in filter(texts.get, KEYS):
        quote = _quote_recipe(texts[name]) if name == "sdlab" else _quote(f"{name}: {texts[name]}")
        yield Mark("text", KEYS[name], quote)
    for name in filter(texts.get, TEXTS):
        program = _find_writer(texts[name])
        if program or name == "parameters":
            yield Mark("text", program or "unknown", _quote(f"{name}: {texts[name]}"))
    if texts.get("Software"):
        yield Mark("text", _quote(texts["Software"]), _quote(f"Software: {texts['Software']}"))


def _find_writer(text: str) -> str | None:  # whose habits the text shows
    return next((program for pattern, program in WRITERS if pattern.search(text)), None)


def _quote_recipe(text: str) -> str:
    """Quote the request that sdlab wrote."""
    try:
        return _quote(f"sdlab: {json.dumps(json.loads(text)['request'], ensure_ascii=False)}")
    except (ValueError, KeyError, TypeError, RecursionError):
        return "sdlab: the record is damaged"


def _decode_text(value: str | bytes) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))[
        :LONGEST
    ].strip("\0 \r\n\t")


def _quote(text: str) -> str:
    """Quote the beginning on one line, in characters that can be printed."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * SHOWN]).split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


# EXIF


def _read_exif(image: Image.Image) -> Iterator[Mark]:
    """Read the maker, the software and the texts in EXIF."""
    try:
        # a PNG's own would first decode the pixels, which may be damaged
        exif = Image.Image.getexif(image)
        tags = {**exif, **exif.get_ifd(EXIF_IFD)}
        texts = {
            tag: _decode_text(value)
            for tag, value in tags.items()
            if isinstance(value, (str, bytes)) and tag != USER_COMMENT
        }
        comment = _decode_comment(tags.get(USER_COMMENT, ""))
    except Exception as error:  # Pillow raises whatever its reader runs into
        yield Mark("EXIF", "unknown", _quote(f"damaged: {shorten_error(error)}"))
        return
    if program := _find_writer(comment):
        yield Mark("EXIF", program, _quote(f"UserComment: {comment}"))
    for tag, text in texts.items():
        if tag <= MODEL and re.match(r"(?:prompt|workflow): ?\{", text, re.IGNORECASE):
            yield Mark("EXIF", "ComfyUI", _quote(text))
        elif (
            tag in (DESCRIPTION, MAKE, SOFTWARE)
            and text
            and (tag != DESCRIPTION or _find_writer(text))
        ):
            name = {DESCRIPTION: "ImageDescription", MAKE: "Make", SOFTWARE: "Software"}[tag]
            yield Mark("EXIF", _find_writer(text) or _quote(text), _quote(f"{name}: {text}"))


def _decode_comment(value: Any) -> str:
    """Decode EXIF's UserComment, whose first 8 bytes name the encoding.

    They do not tell the order of UTF-16, and some programs write UTF-8 then too.
    """
    if not isinstance(value, bytes):
        return _decode_text(value) if isinstance(value, str) else ""
    code, text = value[:8], value[8:LONGEST]
    if code == b"UNICODE\0" and b"\0" in text:
        little = text[1::2].count(0) > text[::2].count(0)  # Latin letters: the high byte is 0
        return text.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\ufeff\0 \r\n")
    if code.startswith(b"JIS"):
        return text.decode("iso2022_jp", "replace")
    return _decode_text(text if code[-1:] == b"\0" else value)


# XMP


def _read_xmp(info: Mapping[Any, Any]) -> Iterator[Mark]:
    """Search XMP for the source type and the program; it is not parsed, so no XML can do harm."""
    for value in map(info.get, XMP_KEYS):
        if isinstance(value, bytes) and b"\0" in value[:200]:
            value = value.decode("utf-16", "replace")
        text = _decode_text(value) if isinstance(value, (str, bytes)) else ""
        program = next(
            (_quote(found) for found in XMP_PROGRAM.findall(text) if found.strip()), "unknown"
        )
        sources = dict.fromkeys(found for found in SOURCE_TYPE.findall(text) if found.strip())
        if sources or program != "unknown":
            told = "; ".join(map(_describe_source, sources))
            yield Mark("XMP", program, _quote(told or f"CreatorTool or Credit: {program}"))


def _describe_source(source: str) -> str:
    """Describe a DigitalSourceType of the IPTC, whose address ends with its name."""
    name = _quote(source.strip().rsplit("/", 1)[-1])
    return f"DigitalSourceType: {name}" + (
        f" ({SOURCE_TYPES[name]})" if name in SOURCE_TYPES else ""
    )


# C2PA


def _read_c2pa(image: Any) -> Iterator[Mark]:
    """Read the C2PA manifest of the file that the picture was opened from."""
    path = getattr(image, "filename", "")
    if (
        not isinstance(path, (str, os.PathLike))
        or not os.path.isfile(path)
        or not _has_manifest(Path(path))
    ):
        return
    try:
        import c2pa
    except ImportError:
        yield Mark(
            "C2PA", "unknown", "C2PA manifest present; install sdlab[c2pa] to read it", "not read"
        )
        return
    kind = {"MPO": "image/jpeg"}.get(image.format or "", image.get_format_mimetype())
    try:
        with (
            open(path, "rb") as file,
            c2pa.Context.from_dict(C2PA_OFFLINE) as context,
            c2pa.Reader(kind, file, context=context) as reader,
        ):
            yield _read_manifest(json.loads(reader.json()))
    except Exception as error:  # the package's own kinds, and of looking into a damaged report
        detail = _quote(f"C2PA manifest present, but damaged: {shorten_error(error)}")
        yield Mark("C2PA", "unknown", detail, "damaged")


def _has_manifest(path: Path) -> bool:
    """Search the file for the 24 bytes that begin a store of manifests; faster than decoding."""
    with path.open("rb") as file:
        parts = itertools.chain([b""], iter(lambda: file.read(1 << 20), b""))
        return any(C2PA_BOX in before + part for before, part in itertools.pairwise(parts))


def _read_manifest(report: Mapping[str, Any]) -> Mark:
    """Read who signed the active manifest, with what program, and whether all is intact."""
    manifest = report["manifests"][report["active_manifest"]]
    generators = manifest.get("claim_generator_info") or [
        {"name": manifest.get("claim_generator") or "unknown"}
    ]
    sources = dict.fromkeys(
        re.findall(
            r'"digitalSourceType": ?"([^"]{1,300})"', json.dumps(manifest.get("assertions", []))
        )
    )
    signature = manifest.get("signature_info") or {}
    detail = "; ".join(
        [f"signed by {signature.get('issuer') or 'nobody named'}", *map(_describe_source, sources)]
    )
    return Mark(
        "C2PA", _quote(str(generators[0].get("name"))), _quote(detail), _describe_trust(report)
    )


def _describe_trust(report: Mapping[str, Any]) -> str:
    """Describe integrity (does all match the signature?) and trust (is the signer listed?)."""
    codes = sorted({str(status.get("code")) for status in report.get("validation_status") or []})
    doubts = [code for code in codes if code.startswith("signingCredential.")]
    wrong = [code for code in codes if code not in doubts]
    integrity = f"altered since it was signed: {', '.join(wrong)}" if wrong else "intact"
    if report.get("validation_state") == "Trusted":
        return f"{integrity}; signer trusted"
    return f"{integrity}; signer not trusted: {', '.join(doubts) or 'no trust list'}"

"""Reads what a file says of its own origin, unsigned: in texts, in EXIF and in XMP."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import shorten_text

if TYPE_CHECKING:
    from PIL import Image

LONGEST = 1_000_000  # characters of a text that are looked at
SHOWN = 200  # characters of it that are quoted
DEEPEST = 8  # levels of JSON that are looked at

MADE, EDITED = "made by an AI model", "edited with an AI model"
RECIPE, CAMERA = "made with an image generator", "captured by a camera"
DEVICE = "captured by a camera or scanner"  # which EXIF does not tell apart
SOURCE_TYPES = {  # IPTC's and C2PA's names of how a picture came about: in plain words
    "trainedAlgorithmicMedia": MADE,
    "trainedAlgorithmicData": MADE,
    "compositeWithTrainedAlgorithmicMedia": EDITED,
    "algorithmicMedia": "made by a program, not by an AI model",
    "digitalCapture": CAMERA,
    "computationalCapture": "captured by a camera that computes it from several shots",
    "negativeFilm": "scanned from a negative",
    "positiveFilm": "scanned from a slide",
    "print": "scanned from a print",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "touched up by a person",
    "algorithmicallyEnhanced": "enhanced by a program",
    "softwareImage": "made by a program",
    "digitalArt": "drawn by a person with a program",
    "digitalCreation": "drawn by a person with a program",
    "dataDrivenMedia": "drawn from data by a program",
    "screenCapture": "captured from a screen",
    "virtualRecording": "recorded from a virtual scene",
    "composite": "put together from several pictures",
    "compositeCapture": "put together from several photographs",
    "compositeSynthetic": "put together from parts, one or more of them made by a program",
    "empty": "begun as an empty page",
}

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
    "generation_data": "Cremage",
}
# many write these; the text says who
TEXTS = ("parameters", "prompt", "workflow", "Comment", "comment", "Description")
WRITERS = tuple(
    (re.compile(pattern), program)
    for pattern, program in (
        # each begins with plain characters, which are searched ten times as fast as others;
        # that these begin a word is looked at behind them
        (r'"sui_image_params"', "SwarmUI"),
        (r'"metadata_scheme": ?"[Ff]ooocus', "Fooocus"),
        (r'"version": ?"[Ff]ooocus', "Fooocus"),
        (r"Version:(?<=\bVersion:) Fooocus", "Fooocus"),
        (r'"class_type"', "ComfyUI"),
        (r'"last_node_id"', "ComfyUI"),
        (r"Version:(?<=\bVersion:) ComfyUI", "ComfyUI"),
        (r'"use_stable_diffusion_model"', "Easy Diffusion"),
        (r'"generation_mode": ?"', "InvokeAI"),
        (r'"app_version": ?"', "InvokeAI"),
        (r'"signed_hash"', "NovelAI"),
        (r'"request_type": ?"\w*GenerateRequest"', "NovelAI"),
        (r"App:(?<=\bApp:) SD\.Next", "SD.Next"),
        (r"Version:(?<=\bVersion:) SD\.Next", "SD.Next"),
        (r"Version:(?<=\bVersion:) f\d", "Forge"),
        (r"Version:(?<=\bVersion:) sdlab", "sdlab"),
        (r"Steps:(?<=\bSteps:) \d+, ", "A1111's web UI or a program that writes such notes, too"),
        (r"Job ID:(?<=\bJob ID:) [0-9a-f]{8}-[0-9a-f]{4}-", "Midjourney"),
    )
)
GENERATORS = re.compile(
    r"\b(?:novelai|midjourney|dall-?e|stable diffusion|black forest labs|adobe firefly|txt2img)\b",
    re.I,
)
BY_AI = re.compile(r"\b(?:made|created|generated) (?:with|by) .*\bAI\b|\bAI[ -]generated\b", re.I)
WITH_AI = re.compile(r"\bedited with .*\bAI\b", re.IGNORECASE)
VERSION = re.compile(r"(?:ver(?:sion)?\.? ?)?[\d.]+", re.IGNORECASE)  # of a phone, and no program

DESCRIPTION, MAKE, MODEL, SOFTWARE, ARTIST = 0x010E, 0x010F, 0x0110, 0x0131, 0x013B
USER_COMMENT, EXIF_IFD = 0x9286, 0x8769
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
XMP_VALUE = (
    r'(?:\s*=\s*["\']|\s+(?:\w+:)?resource\s*=\s*["\']'
    r"|\s*>\s*(?:<rdf:\w+>\s*<rdf:li[^>]{0,80}>\s*)?)"
    r'([^"\'<>]{1,300})'
)
SOURCE_TYPE = re.compile("[dD]igitalSourceType" + XMP_VALUE)
XMP_PROGRAM = re.compile("(?:CreatorTool|photoshop:Credit)" + XMP_VALUE)
CLOUD = re.compile("dcterms:provenance" + XMP_VALUE)
AIGC = re.compile(
    r"""\bAIGC(?:\s*=\s*"([^"]+)"|\s*=\s*'([^']+)'|>\s*([^<]+)<|"?:\s*(\{[^{}]+\}))"""
)
AIGC_LABELS = {"1": MADE, "2": "perhaps made by an AI model", "3": "suspected to be AI-made"}


@dataclass(frozen=True)
class Claim:
    """One thing that a file says of its origin.

    Parameters
    ----------
    kind : str
        Where it stands: "text" (of a PNG, or a comment), "EXIF", "XMP", "C2PA", or "lowest bits"
        of the pixels.
    program : str
        Who is said to have written the picture; "" if nobody is named.
    detail : str
        The beginning of what it says.
    origin : str
        How the picture came about, in plain words; "" if it does not say.
    story : str
        The same with what was done afterwards, if that is told.
    mark : str
        The payload that the recipe has hidden in the pixels, by its own account; "" if none.
    """

    kind: str
    program: str
    detail: str
    origin: str = ""
    story: str = ""
    mark: str = ""

    def __str__(self) -> str:
        who = f"{self.program} ({self.kind})" if self.program else self.kind
        return f"{self.origin}: {who}" if self.origin else who


# Text


def read_texts(info: Mapping[Any, Any]) -> Iterator[Claim]:
    """Read the texts that stand in the file by name."""
    texts = {
        name: decode_text(value)
        for name, value in info.items()
        if isinstance(name, str) and isinstance(value, (str, bytes))
    }
    for name in filter(texts.get, KEYS):
        quoted = quote_recipe(texts[name]) if name == "sdlab" else quote_text(name, texts[name])
        mark = read_mark(texts[name]) if name == "sdlab" else ""
        yield Claim("text", KEYS[name], quoted, RECIPE, mark=mark)
    for name in filter(texts.get, TEXTS):
        program = find_writer(texts[name])
        if program or name == "parameters":
            quoted = quote_text(name, texts[name])
            yield Claim("text", program or "", quoted, RECIPE if program else "")
    yield from read_aigc(f"AIGC>{texts.get('AIGC', '')}<", "text")
    yield from tell_program(texts.get("Software", ""), "text", "Software")


def find_writer(text: str) -> str | None:
    """Find the generator whose habits the text shows."""
    return next((program for pattern, program in WRITERS if pattern.search(text)), None)


def tell_program(text: str, kind: str, name: str) -> Iterator[Claim]:
    """Tell which program a field names; the bare version of a phone names none."""
    if not text or VERSION.fullmatch(text):
        return
    made = MADE if BY_AI.search(text) else EDITED if WITH_AI.search(text) else ""
    generator = RECIPE if find_writer(text) or GENERATORS.search(text) else ""
    yield Claim(kind, find_writer(text) or quote(text), quote(f"{name}: {text}"), made or generator)


def quote_recipe(text: str) -> str:
    """Quote the request that sdlab wrote."""
    try:
        return f"sdlab: {put_in_words(json.loads(text)['request'])}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "sdlab: the record is damaged"


def read_mark(text: str) -> str:
    """Read which payload the request that sdlab wrote has hidden in the pixels."""
    try:
        return str(json.loads(text)["request"].get("watermark") or "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def quote_text(name: str, text: str) -> str:
    """Quote a text by its name: JSON in words, as a part of it says nothing."""
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        value = None
    return f"{name}: {put_in_words(value)}" if value else quote(f"{name}: {text}")


def put_in_words(value: Any) -> str:
    """Put JSON into words, prompts first: as many whole statements as are quoted."""
    leaves = sorted(list_leaves(value), key=lambda leaf: "prompt" not in leaf[0].lower())
    told: list[str] = []
    room = SHOWN
    for name, leaf in leaves:
        words = quote(f"{name} {leaf}")
        room -= len(words) + 2
        if room < 0 and told:
            break
        told.append(words)
    more = len(leaves) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")


def list_leaves(value: Any, name: str = "", depth: int = 0) -> list[tuple[str, Any]]:
    """List the texts, numbers and truths in JSON, each under the name next to it."""
    if depth > DEEPEST:
        return []
    if isinstance(value, dict):
        inner = [list_leaves(v, str(k), depth + 1) for k, v in value.items()]
    elif isinstance(value, list):
        inner = [list_leaves(v, name, depth + 1) for v in value]
    else:
        return [(name, value)] if value not in (None, "") and name else []
    return [leaf for leaves in inner for leaf in leaves]


def decode_text(value: str | bytes) -> str:
    """Decode what stands in a file as text, at most `LONGEST` characters."""
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))[
        :LONGEST
    ].strip("\0 \r\n\t")


def quote(text: str) -> str:
    """Quote the beginning on one line, in characters that can be printed."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 2 * SHOWN]).split())
    return shorten_text(line, SHOWN)


# EXIF


def read_exif(exif: Image.Exif) -> Iterator[Claim]:
    """Read the maker, the software and the texts in EXIF."""
    try:
        tags = {**exif, **exif.get_ifd(EXIF_IFD)}
        texts = {
            tag: decode_text(value)
            for tag, value in tags.items()
            if isinstance(value, (str, bytes)) and tag != USER_COMMENT
        }
        comment = decode_comment(tags.get(USER_COMMENT, ""))
    except Exception as error:  # Pillow raises whatever its reader runs into
        from .opening import shorten_error  # here alone: NumPy is not needed for texts

        yield Claim("EXIF", "", quote(f"damaged: {shorten_error(error)}"))
        return
    if program := find_writer(comment):
        yield Claim("EXIF", program, quote(f"UserComment: {comment}"), RECIPE)
    if comment == "Screenshot":  # of a phone
        yield Claim("EXIF", "", "UserComment: Screenshot", SOURCE_TYPES["screenCapture"])
    yield from read_aigc(comment, "EXIF")
    yield from _read_tags(texts)


def _read_tags(texts: Mapping[int, str]) -> Iterator[Claim]:
    """Tell a generator by its habits, else the camera, and else the program that is named."""
    described = texts.get(DESCRIPTION, "")
    for tag in (DESCRIPTION, MAKE, MODEL):
        if re.match(r"(?:prompt|workflow): ?\{", texts.get(tag, ""), re.IGNORECASE):
            yield Claim("EXIF", "ComfyUI", quote(texts[tag]), RECIPE)
            return
    if described.startswith("Signature: ") and UUID.fullmatch(texts.get(ARTIST, "")):
        yield Claim("EXIF", "Grok", quote(f"ImageDescription: {described}"), RECIPE)
    elif program := find_writer(described):
        yield Claim("EXIF", program, quote(f"ImageDescription: {described}"), RECIPE)
    yield from read_aigc(described, "EXIF")
    make, model, software = (texts.get(tag, "") for tag in (MAKE, MODEL, SOFTWARE))
    named = [*tell_program(make, "EXIF", "Make"), *tell_program(software, "EXIF", "Software")]
    generators = [claim for claim in named if claim.origin]
    if (make or model) and not generators:
        told = {"Make": make, "Model": model, "Software": software}
        detail = "; ".join(f"{name}: {text}" for name, text in told.items() if text)
        yield Claim("EXIF", quote(name_camera(make, model)), quote(detail), DEVICE)
    else:
        yield from generators or named


def name_camera(make: str, model: str) -> str:
    """Name a camera; many models begin with their maker's name, as "NIKON D850" does."""
    first = make.casefold().split()[:1]
    return model if model.casefold().split()[:1] == first else f"{make} {model}".strip()


def decode_comment(value: Any) -> str:
    """Decode EXIF's UserComment, whose first 8 bytes name the encoding.

    They do not tell the order of UTF-16, and some programs write UTF-8 then too.
    """
    if not isinstance(value, bytes):
        return decode_text(value) if isinstance(value, str) else ""
    code, text = value[:8], value[8:LONGEST]
    if code == b"UNICODE\0" and b"\0" in text:
        little = text[1::2].count(0) > text[::2].count(0)  # Latin letters: the high byte is 0
        return text.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\ufeff\0 \r\n")
    if code.startswith(b"JIS"):
        return text.decode("iso2022_jp", "replace")
    return decode_text(text if code[-1:] == b"\0" else value)


# XMP


def decode_xmp(info: Mapping[Any, Any]) -> list[str]:
    """Decode the XMP that Pillow hands out."""
    values = [
        value.decode("utf-16", "replace")
        if isinstance(value, bytes) and b"\0" in value[:200]
        else value
        for value in map(info.get, XMP_KEYS)
    ]
    return [decode_text(value) for value in values if isinstance(value, (str, bytes))]


def read_xmp(text: str) -> Iterator[Claim]:
    """Search XMP for the source type and the program; it is not parsed, so no XML can do harm."""
    programs = [quote(found) for found in XMP_PROGRAM.findall(text) if found.strip()]
    named = [claim for found in programs[:1] for claim in tell_program(found, "XMP", "CreatorTool")]
    program = named[0].program if named else ""
    sources = dict.fromkeys(filter(str.strip, SOURCE_TYPE.findall(text)))
    yield from (Claim("XMP", program, *describe_source(source)) for source in sources)
    if writer := find_writer(text):
        yield Claim("XMP", writer, quote(re.sub(r"<[^>]*>", " ", text).strip()), RECIPE)
    yield from read_aigc(text, "XMP")
    yield from (claim for claim in named if claim.origin or not sources)


def describe_source(source: str) -> tuple[str, str]:
    """Describe a DigitalSourceType, whose address ends with its name, and put it into words."""
    name = quote(source.strip().rsplit("/", 1)[-1])
    return f"DigitalSourceType: {name}", SOURCE_TYPES.get(name, f"of the source type {name!r}")


def find_cloud(texts: list[str]) -> str | None:
    """Find the address at which XMP says that the credentials are kept."""
    found = (address.strip() for text in texts for address in CLOUD.findall(text))
    return next((quote(address) for address in found if address.startswith("http")), None)


def read_aigc(text: str, kind: str) -> Iterator[Claim]:
    """Read the label of China's standard GB 45438 (TC260), a JSON text under the name AIGC."""
    for groups in AIGC.findall(text):
        written = html.unescape(next(filter(None, groups)))
        with suppress(ValueError, RecursionError, AttributeError):
            told = json.loads(written)
            told = told.get("AIGC", told)
            label = str(told.get("Label"))
            who = quote(str(told.get("ContentProducer") or ""))
            origin = AIGC_LABELS.get(label, f"under the AIGC label {quote(label)!r}")
            yield Claim(kind, who, quote(f"AIGC label of TC260: {written}"), origin)
            return

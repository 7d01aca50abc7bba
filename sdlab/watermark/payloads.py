"""The payloads that known programs hide in their pictures, and payloads of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

ARITHMETICS = ("uint8", "float32")
METHODS = ("dwtDct", "dwtDctSvd")
# which channel of an RGB picture the program hands over as blue, green, red
ORDERS = {"BGR": (2, 1, 0), "RGB": (0, 1, 2)}
OTHER_ORDER = {"BGR": "RGB", "RGB": "BGR"}
SWAPPED = 0.2  # share of the error for the other order of channels, where a program wrote both
NO_TEXTS = (
    "all",
    "none",
    "auto",
    "true",
    "false",
)  # what people may mean by these words is no payload
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif")


class Way(NamedTuple):
    """How a mark is written, and has to be read: the same pixels are scored once for each."""

    arithmetic: str = "uint8"
    order: str = "BGR"
    method: str = "dwtDct"


@dataclass(frozen=True, eq=False)
class Payload:
    """What a program hides in a picture, and how it does it.

    Parameters
    ----------
    name : str
        A short name, the key in `PAYLOADS` for those that are known.
    bits : array of 0 and 1, shape (n_bits,)
        Most significant bit of each byte first. Kept as a read-only uint8 array.
    arithmetic : {"uint8", "float32"}
        The array that the program hands to the encoder. The two give different pixels, and each is
        read best in its own.
    text : str, optional
        The payload as text, None for bits that spell nothing.
    written_by : str
        The programs that embed it.
    source : str
        Where that can be read.
    cut : bool
        Whether that program saves a float32 picture by cutting off the fraction; else it rounds.
        Says nothing for uint8.
    method : {"dwtDct", "dwtDctSvd"}
    order : {"BGR", "RGB"}
        Of the channels that the program hands to the encoder, which takes them for BGR.
    swapped_by : str
        Who writes it in the other order, which is then tested, too.
    protects : str
        Programs with which people put it on pictures of their own, so that collectors of training
        data pass over them.
    weight : float
        How common it is beside the others: its share of the error. What somebody asks for by their
        own text counts like a common one.
    everyday : bool
        Whether it is among those that are tested by default.
    """

    name: str
    bits: np.ndarray = field(repr=False)
    arithmetic: str = "uint8"
    text: str | None = None
    written_by: str = field(default="", repr=False)
    source: str = field(default="", repr=False)
    cut: bool = field(default=False, repr=False)
    method: str = "dwtDct"
    order: str = "BGR"
    swapped_by: str = field(default="", repr=False)
    protects: str = field(default="", repr=False)
    weight: float = field(default=10.0, repr=False)
    everyday: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        require_known("arithmetic", self.arithmetic, ARITHMETICS)
        require_known("method", self.method, METHODS)
        require_known("order", self.order, ORDERS)
        bits = np.asarray(self.bits)
        if bits.ndim != 1 or not bits.size or not np.isin(bits, (0, 1)).all():
            raise ValueError(
                f"payload {self.name!r}: bits are a list of 0 and 1, at least one of them; got"
                f" {self.bits!r}"
            )
        bits = bits.astype(np.uint8)
        bits.flags.writeable = False
        object.__setattr__(self, "bits", bits)

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def way(self) -> Way:
        """How its program writes it."""
        return Way(self.arithmetic, self.order, self.method)

    @property
    def ways(self) -> dict[Way, float]:
        """All ways in which it is written, and the share of the error of each."""
        if not self.swapped_by:
            return {self.way: 1.0}
        # scored for SDXL all the same, and of uint8 it sees nearly as much
        other = Way("float32", OTHER_ORDER[self.order], self.method)
        return {self.way: 1 - SWAPPED, other: SWAPPED}


def encode_text(text: str | bytes) -> np.ndarray:
    """Turn a text in UTF-8, or bytes, into bits, uint8 (8 * n_bytes,), highest bit first."""
    raw = text.encode() if isinstance(text, str) else bytes(text)
    return np.unpackbits(np.frombuffer(raw, np.uint8))


def pack_bits(bits: Any) -> bytes:
    """Turn bits into the bytes they spell; a last incomplete byte is filled with zeros."""
    return np.packbits(np.asarray(bits, bool)).tobytes()


def require_known(kind: str, given: Any, allowed: Iterable[str]) -> None:
    """Refuse what is not one of the allowed words."""
    if not isinstance(given, str) or given not in allowed:
        raise ValueError(f"{kind}={given!r} is not one of {', '.join(allowed)}")


def _make_known(name: str, text: str, written_by: str, source: str, **how: Any) -> Payload:
    return Payload(name, encode_text(text), text=text, written_by=written_by, source=source, **how)


def _list_digits(number: int) -> np.ndarray:  # without leading zeros, as `bin` writes them
    return np.array(list(f"{number:b}"), np.uint8)


ON_PHOTOGRAPHS = "ArtShield and NoAI"
SCRIPTS = "private scripts that forget to swap red and blue"
# The weights were set before anything was measured with them. Names that are no text of the mark
# are of programs; the later ones are the texts themselves, so that a recipe with such a text of its
# own keeps its name.
PAYLOADS: dict[str, Payload] = {
    payload.name: payload
    for payload in (
        _make_known(
            "sd-v1",
            "StableDiffusionV1",
            "the image generator Stable Diffusion 1.1 to 1.5 (official txt2img script)",
            "CompVis/stable-diffusion, scripts/txt2img.py",
            swapped_by=SCRIPTS,
            protects="one version of NoAI",
            everyday=True,
        ),
        _make_known(
            "sd-v1-inpainting",
            "StableDiffusionV1-Inpainting",
            "the image generator Stable Diffusion 1.5 inpainting (Runway's script)",
            "runwayml/stable-diffusion, scripts/inpaint_st.py",
            weight=5.0,
            everyday=True,
        ),
        _make_known(
            "sd-v2",
            "SDV2",
            "the image generator Stable Diffusion 2.0 and 2.1 (official scripts)",
            "Stability-AI/stablediffusion, scripts/txt2img.py",
            swapped_by=SCRIPTS,
            protects=ON_PHOTOGRAPHS,
            everyday=True,
        ),
        _make_known(
            "invokeai",
            "InvokeAI",
            "the image generator InvokeAI, where its user has switched it on",
            "invoke-ai/InvokeAI, invokeai/backend/image_util/invisible_watermark.py",
            weight=5.0,
            everyday=True,
        ),
        Payload(
            "sdxl",
            _list_digits(0xB3EC907BB19E),
            "float32",
            None,
            "the image generators Stable Diffusion XL (diffusers' too) and Stable Video Diffusion",
            "Stability-AI/generative-models, sgm/inference/helpers.py; "
            "huggingface/diffusers, pipelines/stable_diffusion_xl/watermark.py",
            swapped_by="diffusers before February 2024",
            everyday=True,
        ),
        # The source writes this constant with 48 digits, but `bin` drops the two leading zeros: 46
        # bits are embedded.
        Payload(
            "flux-1",
            _list_digits(0x2AFE879CF52E),
            "float32",
            None,
            "the image generator FLUX.1 (official scripts)",
            "black-forest-labs/flux, src/flux/util.py",
            cut=True,
            everyday=True,
        ),
        _make_known(
            "Paint-by-Example",
            "Paint-by-Example",
            "Paint-by-Example and its forks",
            "Fantasy-Studio/Paint-by-Example, scripts/inference.py",
            weight=2.0,
            everyday=True,
        ),
        _make_known(
            "StableDiffusion",
            "StableDiffusion",
            "mindone, Stable Diffusion for MindSpore",
            "mindspore-lab/mindone, seen in an excerpt",
            weight=1.0,
            everyday=True,
        ),
        _make_known(
            "Cremage",
            "Cremage",
            "Cremage, with SDXL, FLUX, Kandinsky or PixArt",
            "HowToSD/cremage, modules/*/txt2img.py",
            weight=1.0,
            everyday=True,
        ),
        _make_known(
            "HumanSD",
            "HumanSD",
            "HumanSD",
            "IDEA-Research/HumanSD, scripts/pose2img.py",
            weight=1.0,
            everyday=True,
        ),
        _make_known(
            "sdxl-text",
            "SDXL",
            "SIGE for SDXL",
            "lwag212/sdxl-sige, sdxl/runners/base_runner.py",
            weight=1.0,
            everyday=True,
        ),
        _make_known(
            "test",
            "test",
            "the examples of the library invisible-watermark, much copied",
            "ShieldMnt/invisible-watermark, README.md",
            weight=1.0,
            everyday=True,
        ),
        _make_known(
            "synthica",
            "synthica.ai",
            "synthica.ai, a hosted service",
            "Synthica-ai/sc-worker, patches/watermark.py",
            arithmetic="float32",
            order="RGB",
            weight=1.0,
        ),
        _make_known(
            "SynthicaV1",
            "SynthicaV1",
            "synthica.ai, a hosted service",
            "Synthica-ai/sc-worker, upload/worker.py",
            weight=1.0,
        ),
        _make_known(
            "Scrollrack",
            "Scrollrack",
            "ScrollRack, a hosted service",
            "ScrollRack/stable-diffusion, server/txt2img.py",
            weight=1.0,
        ),
        *(
            _make_known(text, text, written_by, "seen in excerpts only", weight=1.0)
            for text, written_by in (
                ("WebtoonToday", "WebtoonToday, a hosted service"),
                ("Gpt4Art", "Gpt4Art, a hosted service"),
                ("stable_diffusion_gui", "a desktop program, stable_diffusion_gui"),
                ("ESD_ANON", "a small service that signs as ESD"),
            )
        ),
        _make_known(
            "qingquan",
            "qingquan",
            "the examples of the library invisible-watermark",
            "ShieldMnt/invisible-watermark, README.md",
            weight=1.0,
        ),
    )
}
EVERYDAY = {name: payload for name, payload in PAYLOADS.items() if payload.everyday}
SETS = {"everyday": EVERYDAY, "all": PAYLOADS}
# texts that are no payload of their own: part of them is always the same
SIGNED_TEXTS = {
    r"ESD_[0-9A-Fa-f]{8}": "a small service that signs as ESD, with a number of the user or picture"
}
OWN_LETTERS = "SD.Next, with four letters of its user's own"  # dwtDctSvd, in the order RGB


def find_writer(text: str, way: Way) -> str:
    """Find who writes a text that is no known payload; "" if that is not known."""
    for pattern, written_by in SIGNED_TEXTS.items():
        if re.fullmatch(pattern, text):
            return written_by
    own = way == Way("uint8", "RGB", "dwtDctSvd") and len(text) <= 4
    return OWN_LETTERS if own else ""


def find_payload(what: Payload | str | bytes) -> Payload:
    """Find the payload that is meant by a name, a text, bytes, or a `Payload` itself.

    Names and texts of `PAYLOADS` give the known payload. Any other text, and bytes, give a uint8
    `dwtDct` payload of their bytes.

    Raises
    ------
    TypeError, ValueError
        For anything else, for nothing, and for a text that is a known name written differently.
    """
    if isinstance(what, Payload):
        return what
    if not isinstance(what, (str, bytes, bytearray)):
        raise TypeError(
            f"a payload is a name ({', '.join(PAYLOADS)}), a text, bytes or a Payload, not"
            f" {type(what).__name__}"
        )
    if not what:
        raise ValueError(
            f"the payload is empty; give a name ({', '.join(PAYLOADS)}), a text or bytes"
        )
    if isinstance(what, str):
        named = [p for p in PAYLOADS.values() if what == p.name]
        # what reads like another's name may be a slip: "SDXL" is a text, and not that of sdxl
        spelled = [p for p in PAYLOADS.values() if what == p.text and _list_near(what) <= {p.name}]
        return (named or spelled or [_make_text(what)])[0]
    raw = bytes(what)
    text = raw.decode(errors="surrogateescape")  # what is not UTF-8 comes out as not printable
    return Payload(repr(raw), encode_text(raw), "uint8", text if text.isprintable() else None)


def _make_text(text: str) -> Payload:
    if near := _list_near(text):
        raise ValueError(
            f"payload {text!r}: did you mean the known {min(near)!r}? detect_watermark and"
            f" embed_watermark take the text itself as bytes, b{text!r}"
        )
    if text.lower() in NO_TEXTS or text.lower().endswith(SUFFIXES):
        raise ValueError(
            f"payload {text!r}: a payload is a name ({', '.join(PAYLOADS)}) or a hidden text;"
            f" several pictures go to scan(), and b{text!r} is the text itself"
        )
    return Payload(text, encode_text(text), "uint8", text)


def _list_near(text: str) -> set[str]:  # a name that is a text itself may begin another text
    return {p.name for p in PAYLOADS.values() if p.name != p.text and _is_near(p.name, text)}


def _is_near(name: str, text: str) -> bool:  # one begins with the other: "flux", "sd-v1.5"
    a, b = (re.sub(r"[^a-z0-9]", "", word.lower()) for word in (name, text))
    return min(len(a), len(b)) >= 4 and (a.startswith(b) or b.startswith(a))

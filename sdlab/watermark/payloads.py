"""The payloads that known programs hide in their pictures, and payloads of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

ARITHMETICS = ("uint8", "float32")
NO_TEXTS = (
    "all",
    "none",
    "auto",
    "true",
    "false",
)  # what people may mean by these words is no payload
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif")


@dataclass(frozen=True, eq=False)
class Payload:
    """What a program hides in a picture, and the arithmetic it does it in.

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
    """

    name: str
    bits: np.ndarray = field(repr=False)
    arithmetic: str = "uint8"
    text: str | None = None
    written_by: str = field(default="", repr=False)
    source: str = field(default="", repr=False)
    cut: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        require_known("arithmetic", self.arithmetic, ARITHMETICS)
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


def _make_known(name: str, text: str, written_by: str, source: str) -> Payload:
    return Payload(name, encode_text(text), "uint8", text, written_by, source)


def _list_digits(number: int) -> np.ndarray:  # without leading zeros, as `bin` writes them
    return np.array(list(f"{number:b}"), np.uint8)


PAYLOADS: dict[str, Payload] = {
    payload.name: payload
    for payload in (
        _make_known(
            "sd-v1",
            "StableDiffusionV1",
            "Stable Diffusion 1.1 to 1.5, the official txt2img script",
            "CompVis/stable-diffusion, scripts/txt2img.py",
        ),
        _make_known(
            "sd-v1-inpainting",
            "StableDiffusionV1-Inpainting",
            "Stable Diffusion 1.5 inpainting, Runway's script",
            "runwayml/stable-diffusion, scripts/inpaint_st.py",
        ),
        _make_known(
            "sd-v2",
            "SDV2",
            "Stable Diffusion 2.0 and 2.1, the official scripts",
            "Stability-AI/stablediffusion, scripts/txt2img.py",
        ),
        _make_known(
            "invokeai",
            "InvokeAI",
            "InvokeAI, where its user has switched it on",
            "invoke-ai/InvokeAI, invokeai/backend/image_util/invisible_watermark.py",
        ),
        Payload(
            "sdxl",
            _list_digits(0xB3EC907BB19E),
            "float32",
            None,
            "Stable Diffusion XL and Stable Video Diffusion; diffusers' SDXL pipelines",
            "Stability-AI/generative-models, sgm/inference/helpers.py; "
            "huggingface/diffusers, pipelines/stable_diffusion_xl/watermark.py",
        ),
        # The source writes this constant with 48 digits, but `bin` drops the two leading zeros: 46
        # bits are embedded.
        Payload(
            "flux-1",
            _list_digits(0x2AFE879CF52E),
            "float32",
            None,
            "FLUX.1, the official scripts",
            "black-forest-labs/flux, src/flux/util.py",
            cut=True,
        ),
    )
}


def find_payload(what: Payload | str | bytes) -> Payload:
    """Find the payload that is meant by a name, a text, bytes, or a `Payload` itself.

    Names and texts of `PAYLOADS` give the known payload. Any other text, and bytes, give a uint8
    payload of their bytes.

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
        known = [p for p in PAYLOADS.values() if what in (p.name, p.text)]
        return known[0] if known else _make_text(what)
    raw = bytes(what)
    text = raw.decode(errors="surrogateescape")  # what is not UTF-8 comes out as not printable
    return Payload(repr(raw), encode_text(raw), "uint8", text if text.isprintable() else None)


def _make_text(text: str) -> Payload:
    if near := [name for name in PAYLOADS if _is_near(name, text)]:
        raise ValueError(
            f"payload {text!r}: did you mean the known {near[0]!r}? detect_watermark and"
            f" embed_watermark take the text itself as bytes, b{text!r}"
        )
    if text.lower() in NO_TEXTS or text.lower().endswith(SUFFIXES):
        raise ValueError(
            f"payload {text!r}: a payload is a name ({', '.join(PAYLOADS)}) or a hidden text;"
            f" several pictures go to scan(), and b{text!r} is the text itself"
        )
    return Payload(text, encode_text(text), "uint8", text)


def _is_near(name: str, text: str) -> bool:  # one begins with the other: "flux", "sd-v1.5"
    a, b = (re.sub(r"[^a-z0-9]", "", word.lower()) for word in (name, text))
    return min(len(a), len(b)) >= 4 and (a.startswith(b) or b.startswith(a))

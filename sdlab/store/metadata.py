"""Recipe to text and back: what a finished picture's PNG says about how it was made."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..recipe.request import Request
from ..recipe.schedulers import SAMPLING, in_a1111, of_a1111
from .inputs import HASH

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = 1
SIGNATURE = b"\x89PNG\r\n\x1a\n"
ENDING = b"\0\0\0\0IEND\xaeB`\x82"  # the last 12 bytes of every whole PNG
ITXT_HEADER = b"sdlab\0\0\0\0\0"  # keyword, not compressed, no language, no translated keyword
THUMBNAIL = (  # a private chunk with a WebP; the capital H lets editors that change the pixels drop it
    b"sdTH"
)
LATENTS = b"sdLA"  # and one with what was decoded: see `latents`
SMALL = 128  # pixels; larger pictures carry a thumbnail of this size
COMPRESS_LEVEL = 1  # 512x512: 37 ms and 515 kB; level 6, Pillow's own choice: 84 ms and 456 kB
SURROGATE = re.compile("[\ud800-\udfff]")

PAIR = re.compile(r'(?P<name>\w[-\w /]+):\s*(?P<value>"(?:[^"\\]|\\.)+"|[^,]*)(?:,|$)')
NUMBERS = {
    "Steps": ("num_inference_steps", int),
    "CFG scale": ("guidance_scale", float),
    "Seed": ("seed", int),
    "Clip skip": (
        "clip_skip",
        lambda text: max(int(text) - 1, 0),
    ),  # A1111 counts the layers from 1
    "Denoising strength": ("strength", float),
    "Noise level": ("noise_level", int),
    "Eta": ("eta", float),
    "Eta DDIM": ("eta", float),
    "Guidance rescale": ("guidance_rescale", float),
}
NAMES = {
    "Model": "model",
    "VAE": "vae",
    "Watermark": "watermark",
    "Prompt syntax": "prompt_syntax",
    "LoRA": "lora",
    "Textual inversion": "textual_inversion",
}  # all but the first two are sdlab's own
INPUTS = {
    "Input image": "image",
    "Input mask": "mask_image",
    "Input depth": "depth_map",
}  # sdlab's own, hashes
SECOND_PASS = (
    "Hires upscale",
    "Hires resize",
)  # where A1111 wrote these, its strength is that of another pass


def png_bytes(
    image: Image, request: Request, key: str, facts: Mapping[str, Any], latents: bytes | None = None
) -> bytes:
    """The picture as a PNG that carries its recipe, for sdlab and for A1111, before the pixels.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    request : Request
        Resolved.
    facts : mapping
        What JSON can hold; other values enter as text, and those that are None or NaN are left out.
    latents : bytes, optional
        As `latents.packed` gives them.
    """
    from PIL.PngImagePlugin import PngInfo

    if getattr(image, "mode", None) != "RGB":
        given = (
            f"a picture of mode {image.mode!r}"
            if hasattr(image, "mode")
            else f"a {type(image).__name__}"
        )
        raise TypeError(
            f"a finished picture is a PIL image of mode 'RGB', not {given}; use"
            " image.convert('RGB') or PIL.Image.fromarray(array)"
        )
    recipe = request.to_dict()
    known = {name: value for name, value in facts.items() if value is not None and value == value}
    record = {"format": FORMAT, "key": key, "request": recipe, "facts": known}
    info = PngInfo()
    info.add(b"iTXt", ITXT_HEADER + json_bytes(record))
    info.add_text(
        "parameters",
        printable(infotext(recipe, str(known.get("sdlab_version", "")), hashes_of_parts(recipe))),
    )
    if max(image.size) > SMALL:
        info.add(THUMBNAIL, thumbnail_bytes(image))
    if latents is not None:
        info.add(LATENTS, latents)
    file = io.BytesIO()
    image.save(file, "PNG", pnginfo=info, compress_level=COMPRESS_LEVEL)
    return file.getvalue()


def thumbnail_bytes(image: Image) -> bytes:
    """A WebP of a few kilobytes: decoding a large PNG takes ten times as long, and a grid shows hundreds."""
    small, file = image.copy(), io.BytesIO()
    small.thumbnail((SMALL, SMALL), reducing_gap=2.0)
    small.save(file, "WEBP", quality=80, method=2)
    return file.getvalue()


def read_thumbnail(path: str | os.PathLike[str]) -> bytes | None:
    """The WebP that a larger PNG of sdlab carries for grids, at most 128 pixels wide and high; None in other files."""
    return private_chunk(path, THUMBNAIL)


def private_chunk(path: str | os.PathLike[str], wanted: bytes) -> bytes | None:
    """The content of a chunk of that kind before a PNG's pixels; None in other files."""
    with open(path, "rb") as file:
        if file.read(8) != SIGNATURE:
            return None
        while len(header := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", header)
            if kind == wanted:
                return file.read(size)
            if kind == b"IDAT":
                return None
            file.seek(size + 4, os.SEEK_CUR)
    return None


def json_bytes(record: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8; a lone surrogate, which UTF-8 has no bytes for, stays as JSON's own escape."""
    text = json.dumps(
        record, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain
    )
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> Any:
    """What JSON takes in place of a NumPy number, or of anything else."""
    return value.item() if hasattr(value, "item") else str(value)


def printable(text: str) -> str:
    """The text without the two things that a PNG's text or a database cannot hold: NUL and lone surrogates."""
    return SURROGATE.sub("\ufffd", text).replace("\0", "\ufffd")


def read_record(source: str | os.PathLike[str] | bytes) -> dict[str, Any] | None:
    """What sdlab wrote into a PNG: {"format", "key", "request", "facts"}; None if the PNG is not sdlab's.

    The pixels are neither read nor decoded, only stepped over.

    Raises
    ------
    ValueError
        If it is not a PNG, if it is torn (cut off before its end), or if its record is damaged.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _record(io.BytesIO(source), f"the {len(source)} bytes given")
    with open(source, "rb") as file:
        return _record(file, os.fspath(source))


def _record(file: BinaryIO, name: str) -> dict[str, Any] | None:
    if file.read(8) != SIGNATURE:
        raise ValueError(f"{name}: not a PNG, or one that is torn within its first 8 bytes")
    record = None
    for data, checksum in texts(file, name):
        if data.startswith(b"sdlab\0"):
            try:
                record = json.loads(data.removeprefix(ITXT_HEADER))
                whole = zlib.crc32(b"iTXt" + data) == checksum and isinstance(record["key"], str)
                whole = (
                    whole
                    and isinstance(record["request"], dict)
                    and isinstance(record["facts"], dict)
                )
            except (ValueError, KeyError, TypeError):
                whole = False
            if not whole:
                raise ValueError(f"{name}: the recipe that sdlab wrote into this PNG is damaged")
    return record


def texts(file: BinaryIO, name: str) -> Iterator[tuple[bytes, int]]:
    """The content and checksum of each iTXt chunk, having made sure that the PNG has its end."""
    header = file.read(8)
    while len(header) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"iTXt":
            data, checksum = file.read(length), file.read(4)
            if len(checksum) == 4:
                yield data, int.from_bytes(checksum, "big")
        elif kind == b"IEND":
            if header + file.read(4) == ENDING:
                return
            break
        else:
            file.seek(length + 4, os.SEEK_CUR)
        header = file.read(8)
    raise ValueError(f"{name}: this PNG is torn, it stops before its end")


def infotext(
    request: Mapping[str, Any], version: str, hashes: Mapping[str, str] | None = None
) -> str:
    """The recipe as A1111 writes it, for other tools to read.

    A1111's form cannot hold everything: a line of the prompt that begins with "Negative prompt:"
    reads as the negative prompt. The record of `read_record` is exact.

    Parameters
    ----------
    request : mapping
        The fields of a resolved request.
    version : str
        Of sdlab.
    hashes : mapping, optional
        As `hashes_of_parts` gives them; only while a picture is made it is sure that the files are
        still the same.
    """
    lines = [request.get("prompt", "")]
    if request.get("negative_prompt"):
        lines.append(f"Negative prompt: {request['negative_prompt']}")
    pairs = parameters(request, version, hashes or {})
    return "\n".join(
        [
            *lines,
            ", ".join(
                f"{name}: {quoted(value)}" for name, value in pairs.items() if value is not None
            ),
        ]
    )


def hashes_of_parts(request: Mapping[str, Any]) -> dict[str, str]:
    """ "Lora hashes" and "TI hashes" as A1111 writes them, "ink: 0123456789ab, ..."; files that are not here are left out."""
    from ..models.additions import digits_of_lora, digits_of_words
    from ..recipe.parts import embeddings, loras

    out = {}
    for name, parts, digits in (
        ("Lora hashes", loras(request.get("lora")), digits_of_lora),
        ("TI hashes", embeddings(request.get("textual_inversion")), digits_of_words),
    ):
        files = [Path(each.path).expanduser().resolve() for each in parts]
        if found := [f"{file.stem}: {digits(file)}" for file in files if file.is_file()]:
            out[name] = ", ".join(found)
    return out


def parameters(
    request: Mapping[str, Any], version: str, hashes: Mapping[str, str]
) -> dict[str, Any]:
    """A1111's names and values in A1111's order; None where there is nothing to say."""
    guidance, sampling = request.get("guidance_scale"), in_a1111(request.get("scheduler"))
    sized = "height" in request and "width" in request
    swapped = any(
        request.get(name) for name in ("vae", "lora", "textual_inversion")
    )  # `weights` are those of all together
    return {
        "Steps": request.get("num_inference_steps"),
        "Sampler": sampling.pop("Sampler", None),
        "Schedule type": sampling.pop("Schedule type", None),
        "CFG scale": None if guidance is None else repr(guidance).removesuffix(".0"),
        "Seed": request.get("seed"),
        "Size": f"{request['width']}x{request['height']}" if sized else None,
        "Model hash": (
            request["weights"][:10] if request.get("weights") and not swapped else None
        ),  # A1111: 10 digits
        "Model": request.get("model"),
        "VAE": request.get("vae"),
        "Denoising strength": request.get("strength"),
        "Noise level": request.get("noise_level"),
        "Clip skip": request["clip_skip"] + 1 if request.get("clip_skip") else None,
        "Lora hashes": hashes.get("Lora hashes"),
        "TI hashes": hashes.get("TI hashes"),
        "RNG": "CPU",
        "Eta DDIM": request.get("eta") or None,
        **sampling,
        "Guidance rescale": request.get("guidance_rescale") or None,
        "Prompt syntax": request.get("prompt_syntax"),
        **{name: request.get(field) for name, field in INPUTS.items()},
        "LoRA": request.get("lora"),
        "Textual inversion": request.get("textual_inversion"),
        "Watermark": request.get("watermark"),
        "Version": f"sdlab {version}".strip(),
    }


def quoted(value: Any) -> str:
    """The value as it stands, or as a JSON string where it would be read as something else."""
    text = str(value)
    return (
        json.dumps(text, ensure_ascii=False) if re.search(r'[,:\n\r]|^[\s"]|\s$|^$', text) else text
    )


def read_infotext(text: str) -> dict[str, Any]:
    """The fields that A1111's text states, in diffusers' words, and the rest under A1111's names as text.

    Whatever is not stated is missing; to A1111 a missing "RNG" means noise made on the GPU. Nothing
    is refused: a number that cannot be read stays text under A1111's name, and text without
    parameters is a prompt.
    """
    *lines, last = text.rstrip().split("\n")
    pairs = [(match["name"], unquoted(match["value"])) for match in PAIR.finditer(last)]
    if len(pairs) < 3:
        lines, pairs = [*lines, last], []
    start = next(
        (i for i, line in enumerate(lines) if line.startswith("Negative prompt:")), len(lines)
    )
    negative = "\n".join(lines[start:]).removeprefix("Negative prompt:").removeprefix(" ")
    fields = {"prompt": "\n".join(lines[:start]), "negative_prompt": negative}
    twice = any(name in SECOND_PASS for name, _ in pairs)
    for name, value in pairs:
        if name not in SAMPLING:
            other = twice and name == "Denoising strength"
            fields.update({name: value} if other else translated(name, value))
    return fields | of_a1111({name: value for name, value in pairs if name in SAMPLING})


def unquoted(value: str) -> str:
    if value.startswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            pass  # another tool's quotation marks
    return value.strip()


def translated(name: str, value: str) -> dict[str, Any]:
    """One of A1111's pairs in diffusers' words, or as it is where there is no word for it."""
    if name in NUMBERS:
        field, kind = NUMBERS[name]
        try:
            return {field: kind(value)}
        except ValueError:
            return {name: value}
    if name == "Size" and (match := re.fullmatch(r"(\d+)x(\d+)", value)):
        return {"width": int(match[1]), "height": int(match[2])}
    if name in INPUTS and HASH.fullmatch(value):
        return {INPUTS[name]: value}
    return {NAMES[name]: value} if name in NAMES else {name: value}

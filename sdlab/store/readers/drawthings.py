"""Draw Things: JSON in the comment of XMP."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from .draft import Draft, load_object

NAME = "Draw Things"
COMMENT = re.compile(
    r"<exif:UserComment[^>]*>\s*(?:<rdf:Alt>\s*<rdf:li[^>]*>)?(.*?)(?:</rdf:li>|</exif:UserComment>)"
    r"""|exif:UserComment\s*=\s*"([^"]*)"|exif:UserComment\s*=\s*'([^']*)'""",
    re.DOTALL,
)
FIELDS = {
    "c": "prompt",
    "uc": "negative_prompt",
    "steps": "num_inference_steps",
    "scale": "guidance_scale",
}
WITHOUT_EFFECT = ("seed", "size", "model", "sampler", "lora", "v2", "strength", "profile")
BESIDE = ("controls", "upscaler", "refinerModel", "hiresFix", "faceRestoration", "tiledDiffusion")
NEUTRAL = {"mask_blur": (0, 1.5, 5), "shift": (1,), "seed_mode": ("Legacy",)}
TEXT_COMMENT = "drawthings"  # under which `sorting` puts it


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells the comment."""
    return TEXT_COMMENT in named


def find_comment(xmp: str) -> str:
    """Finds the comment in XMP, which is not parsed; "" if it is another program's."""
    found = COMMENT.search(xmp)
    text = html.unescape(next((group for group in found.groups() if group), "")) if found else ""
    return text.strip() if is_own(text) else ""


def is_own(text: str) -> bool:
    """Tells whether JSON looks like that of Draw Things."""
    return text.lstrip().startswith("{") and '"c"' in text and '"uc"' in text


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the comment."""
    draft.source = NAME
    said = load_object(named[TEXT_COMMENT])
    more = found if isinstance(found := said.get("v2"), dict) else {}
    for theirs, ours in FIELDS.items():
        draft.put(ours, said.get(theirs), theirs)
    draft.put_seed(said.get("seed"))
    draft.put_size(said.get("size"), "size")
    draft.put_model(strip_precision(said.get("model")))
    draft.put_sampler(said.get("sampler"))
    if said.get("strength") not in (None, 1):
        draft.put("strength", said["strength"])
    skip = more.get("clipSkip")
    if isinstance(skip, int):
        draft.put("clip_skip", max(skip - 1, 0))
    loras = said.get("lora") or more.get("loras")
    for each in loras if isinstance(loras, list) else ():
        if isinstance(each, dict):
            name = each.get("model", each.get("file"))
            draft.put_lora(strip_precision(name), each.get("weight"))
    draft.leave("noise made as by Draw Things")
    others = {name: value for name, value in said.items() if value not in NEUTRAL.get(name, ())}
    draft.leave_all(others, *FIELDS, *WITHOUT_EFFECT)
    draft.leave_all({name: more.get(name) for name in BESIDE})
    draft.read_syntax()


def strip_precision(name: Any) -> Any:
    """Takes what Draw Things adds to its own copies of a model out of the name."""
    return (
        re.sub(r"_(?:f16|q\dp|q\d+p?_q\dp)(?=\.ckpt$)", "", name) if isinstance(name, str) else name
    )

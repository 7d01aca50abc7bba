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
NEUTRAL = {"mask_blur": (0, 1.5, 5), "shift": (1,), "seed_mode": ("Legacy",)}
REPEATED = (  # what v2 says again, and what acts on videos, or with another model or option alone
    *("steps", "seed", "seedMode", "width", "height", "model", "sampler", "guidanceScale"),
    *("strength", "loras", "clipSkip", "id", "name", "batchCount", "fps", "numFrames"),
    *("motionScale", "guidingFrameNoise", "startFrameGuidance", "stage2Guidance", "stage2Steps"),
    *("stage2Shift", "imagePriorSteps", "negativePromptForImagePrior", "clipWeight"),
    *("imageGuidanceScale", "stochasticSamplingGamma", "refinerStart", "upscalerScaleFactor"),
    *("hiresFixWidth", "hiresFixHeight", "hiresFixStrength", "decodingTileWidth"),
    *("decodingTileHeight", "decodingTileOverlap", "diffusionTileWidth", "diffusionTileHeight"),
    *("diffusionTileOverlap", "preserveOriginalAfterInpaint", "cfgZeroInitSteps", "teaCacheStart"),
    *("teaCacheEnd", "teaCacheThreshold", "teaCacheMaxSkipSteps", "causalInference"),
    *("causalInferencePad", "t5TextEncoder", "guidanceEmbed", "speedUpWithGuidanceEmbed"),
    *("resolutionDependentShift", "compressionArtifactsQuality"),
)
OF_SIZE = re.compile("(?:original|target|negativeOriginal)Image(Width|Height)")
AS_USUAL = {  # the other names of v2
    **dict.fromkeys(("sharpness", "maskBlurOutset", "cropTop", "cropLeft"), (0,)),
    **dict.fromkeys(("shift", "batchSize"), (1,)),
    **{
        "maskBlur": NEUTRAL["mask_blur"],
        "aestheticScore": (6,),
        "negativeAestheticScore": (2, 2.5),
    },
    "compressionArtifacts": ("disabled",),
}
TEXT_COMMENT = "drawthings"  # under which `programs.sort_texts` puts it


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
    draft.put_fields(said, FIELDS)
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
    draft.leave_all(select_unusual(more))
    draft.read_syntax()


def select_unusual(more: Mapping[str, Any]) -> dict[str, Any]:
    """Selects what v2 says besides; the sizes that SDXL is told are usual if they are the own."""
    found: dict[str, Any] = {}
    for name, value in more.items():
        side = OF_SIZE.fullmatch(name)
        usual = (0, more.get(side[1].lower())) if side else AS_USUAL.get(name, ())
        if name not in REPEATED and value not in usual:
            found[name] = value
    return found


def strip_precision(name: Any) -> Any:
    """Takes what Draw Things adds to its own copies of a model out of the name."""
    return (
        re.sub(r"_(?:f16|q\dp|q\d+p?_q\dp)(?=\.ckpt$)", "", name) if isinstance(name, str) else name
    )

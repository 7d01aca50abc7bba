"""What each field of a request can hold, and the one form in which it holds it."""

from __future__ import annotations

import operator
from typing import Any

from ..store.inputs import PICTURES, content
from .parts import embedding_text, lora_text, vae_text
from .prompts import syntax_name

SEED_LIMIT = 2**63  # an SQLite integer; torch would take twice as many
WHOLE = {  # field: (least, greatest)
    "seed": (0, SEED_LIMIT - 1),
    "num_inference_steps": (1, 1000),
    "height": (8, 8192),
    "width": (8, 8192),
    "clip_skip": (0, 50),
    "noise_level": (0, 1000),
}
REAL = {
    "guidance_scale": (0.0, 1000.0),
    "guidance_rescale": (0.0, 1.0),
    "eta": (0.0, 1.0),
    "strength": (0.0, 1.0),
}
TEXT = (
    "model",
    "prompt",
    "negative_prompt",
    "prompt_syntax",
    "scheduler",
    "watermark",
    "vae",
    "lora",
    "textual_inversion",
    "weights",
)


def checked(name: str, value: Any) -> Any:
    """The value as the field's own type, or an error that names the field and what it takes."""
    if name in PICTURES:
        return content(name, value)
    if name in TEXT:
        if not isinstance(value, str):
            raise TypeError(f"{name}={value!r} is not text")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError(
                f"{name}={value!r} holds half a character (a lone surrogate); remove it"
            )
        return NORMAL[name](value) if name in NORMAL else value
    least, greatest = WHOLE[name] if name in WHOLE else REAL[name]
    kind = "a whole number" if name in WHOLE else "a number"
    try:
        if isinstance(value, (bool, str)):
            raise TypeError
        number = operator.index(value) if name in WHOLE else float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}={value!r} is not {kind}") from None
    if not least <= number <= greatest:  # NaN too
        hint = (
            "; for random seeds, draw them and keep them in the notebook"
            if name == "seed" and number == -1
            else ""
        )
        raise ValueError(f"{name}={value!r} is outside {least} to {greatest}{hint}")
    return number + 0  # -0.0 and 0.0 are one value


def name_of_mark(watermark: str) -> str:
    """The one name of a mark, so that two spellings of it ("StableDiffusionV1", "sd-v1") are one recipe."""
    from ..watermark.payloads import find_payload  # here alone: NumPy is not needed without a mark

    try:
        return find_payload(watermark).name
    except ValueError as error:
        raise ValueError(f"watermark={watermark!r:.80}: {error}; None is for no mark") from None


NORMAL = {
    "watermark": name_of_mark,
    "prompt_syntax": syntax_name,
    "vae": vae_text,
    "lora": lora_text,
    "textual_inversion": embedding_text,
}  # what makes one spelling of several

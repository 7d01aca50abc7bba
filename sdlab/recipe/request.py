"""A `Request` is one image's complete recipe; a sweep is a list of requests."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..store.inputs import PICTURES
from .axes import choices, numbered, numbers, words
from .values import REAL, WHOLE, checked

MAX_CELLS = 1_000_000
NEUTRAL = {"guidance_rescale": 0.0}  # says no more than None, so it does not count in the key
KNOWN_AS = {
    "steps": "num_inference_steps",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "scale": "guidance_scale",
    "sampler": "scheduler",
    "checkpoint": "model",
    "negative": "negative_prompt",
    "size": "height",
}  # elsewhere
WEIGHTY = ("model", "vae", "lora", "textual_inversion")  # names of what is in `weights` by content


@dataclass(frozen=True, kw_only=True)
class Request:
    """One image's recipe, in diffusers' own words; `None` means the model's native value.

    Parameters
    ----------
    prompt, negative_prompt : str
        At most 77 tokens each, which is checked before anything runs. Brackets are plain
        characters.
    model : str
        A name in `sdlab.MODELS`, or the path of a folder in diffusers' layout.
    seed : int
        0 to 2**63 - 1. The starting noise is drawn on the CPU in float32 from this seed alone.
    guidance_scale : float, optional
        0 to 1000: unconditional + guidance_scale * (conditional - unconditional). 1 ignores the
        negative prompt; 0 ignores the prompt (diffusers' own pipelines take everything below 1 as
        1, and so does the x2 upscaler, which runs in one; there 0 ignores both prompts).
    num_inference_steps : int, optional
        1 to 1000.
    scheduler : str, optional
        A diffusers class such as "DDIMScheduler", with options in brackets where they differ from
        the checkpoint's own: "EulerDiscreteScheduler(use_karras_sigmas=True)". A1111's names are
        understood, "Euler a" and "DPM++ 2M Karras" (`sdlab.recipe.schedulers` lists them); a
        resolved request has the class.
    height, width : int, optional
        In pixels, multiples of 8.
    eta : float
        0 to 1, the noise that DDIM adds in each step; the other schedulers refuse it.
    clip_skip : int
        How many of the text encoder's last layers to leave out, for prompt and negative prompt
        alike.
    guidance_rescale : float, optional
        0 to 1: how far to give the guided prediction back the spread of the one with the prompt,
        against overexposure (arXiv 2305.08891, section 3.4); 0, like None, is not at all.
    prompt_syntax : str, optional
        How prompt and negative prompt are read. "weights": `(word:1.2)`, `(word)` = 1.1, `[word]` =
        1/1.1, and `\\(` for a plain bracket. "chunks": more than 77 tokens are read as several
        texts of 75, each with its own ends, and the shorter prompt is filled up with empty ones.
        "weights+chunks": both.
    image, mask_image, depth_map : str, path, PIL image or array, optional
        Pictures to begin with: `image` for img2img, inpainting, models guided by depth and
        upscalers; `mask_image` for inpainting, white where it is to be painted anew (the rest is
        put back in the latents, as in diffusers, so its pixels come out close to the input's, not
        equal; A1111 pastes them back); `depth_map`, light where it is near, else the model
        estimates it. Paths, PIL images, uint8 arrays (height, width, 3) or (height, width). What is
        transparent becomes white, in a mask and a depth map black. The request has 32 hexadecimal
        digits in their place, which name the content. A request that states no height and width
        gets those of `image`, rounded down to multiples of 8, and one that states one of them the
        other in proportion; pictures of other sizes are stretched.
    strength : float, optional
        0 to 1: the share of the steps that is computed, and so how much of the input picture may
        change. Natively 0.8, and 1 for inpainting.
    noise_level : int, optional
        How much noise an upscaler puts into the input picture first, natively 20; more invents
        more. At most what the model has learned, 350 for the x4 upscaler, which makes a picture of
        four times the input's height and width. The x2 upscaler of latents has none; it makes twice
        the height and width of pictures whose sides are multiples of 32, from 64.
    vae : str, optional
        Another VAE than the model's own, which reads and writes the latents: "sd-vae-ft-mse" or
        another name in `sdlab.models.vaes.VAES`, a name in `MODELS` (for its VAE), a folder, or a
        single file.
    lora : str, optional
        One or several LoRA files, each with the scale at which it acts, else 1:
        "ink.safetensors@0.8, b.safetensors". A1111's `<lora:...>` in a prompt is refused.
    textual_inversion : str, optional
        One or several files of learned words (.safetensors, .bin, A1111's .pt). A prompt uses one
        by its token, which the file states or which stands before its path: "<ink>=ink.pt".
    watermark : str, optional
        The invisible mark to put into the finished picture: a name in `sdlab.watermark.PAYLOADS`,
        such as "sd-v1", or any other text. The picture must have at least 65,536 pixels.
    weights : str, optional
        The fingerprint of the model's weights, and of the parts in their place (vae, lora with
        scales, textual_inversion with tokens). `resolve` fills it in; if it is given, other weights
        are refused.
    labels : mapping, optional
        Names of the choices that led here, one column each in the frame of `run`. Not part of the
        recipe.
    """

    model: str = "tiny-v1"
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    guidance_scale: float | None = None
    num_inference_steps: int | None = None
    scheduler: str | None = None
    height: int | None = None
    width: int | None = None
    eta: float = 0.0
    clip_skip: int = 0
    guidance_rescale: float | None = None
    prompt_syntax: str | None = None
    image: Any = None  # what is given here is a str afterwards
    mask_image: Any = None
    depth_map: Any = None
    strength: float | None = None
    noise_level: int | None = None
    vae: str | None = None
    lora: str | None = None
    textual_inversion: str | None = None
    watermark: str | None = None
    weights: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in FIELDS:
            value = getattr(self, name)
            if value is not None or name not in OPTIONAL:
                object.__setattr__(self, name, checked(name, value))
        if not isinstance(self.labels, Mapping) or not all(
            isinstance(name, str) for name in self.labels
        ):
            raise TypeError(
                f"labels={self.labels!r} is not a mapping from names to values, such as {{'colour':"
                " 'red'}"
            )
        for name in ("height", "width"):
            if (getattr(self, name) or 0) % 8:
                raise ValueError(
                    f"{name}={getattr(self, name)} is not a multiple of 8, as the model needs"
                )

    def but(self, **changes: Any) -> Request:
        """The same request with some fields changed."""
        for name in changes:
            if name not in FIELDS and name != "labels":
                raise TypeError(unknown("field", name))
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The stated fields, ready for JSON; `Request(**request.to_dict())` is the same request."""
        return {name: getattr(self, name) for name in FIELDS if getattr(self, name) is not None}

    @property
    def key(self) -> str:
        """32 hexadecimal digits that name the resolved recipe: two spellings of one recipe have one key."""
        from ..models.resolve import (
            resolve,
        )  # the one look upwards: a key needs the model's native values and fingerprint

        return key_of(resolve(self).to_dict())


FIELDS = tuple(f.name for f in dataclasses.fields(Request) if f.name != "labels")
OPTIONAL = frozenset(f.name for f in dataclasses.fields(Request) if f.default is None)


def key_of(recipe: Mapping[str, Any]) -> str:
    """The key of a resolved request's fields; model, VAE, LoRA and so on count by their weights, not by their names."""
    named = {
        name: value
        for name, value in recipe.items()
        if name not in WEIGHTY and (name, value) not in NEUTRAL.items()
    }
    text = json.dumps(named, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def unknown(kind: str, name: str) -> str:
    """The message for a name that no request has."""
    near = (
        [KNOWN_AS[name.lower()]]
        if name.lower() in KNOWN_AS
        else difflib.get_close_matches(name, FIELDS, 1, 0.6)
    )
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"unknown {kind} {name!r}{hint} a request has {', '.join(FIELDS)}"


def sweep(base: Request, **axes: Any) -> list[Request]:
    """Every combination of the axes' values, as a list of requests: the first axis slowest, choices in braces fastest.

    Parameters
    ----------
    base : Request
        What all cells share.
    **axes
        A field of a request and its values: any iterable (`range(4)`, a list, an array), one value,
        or text:

        - number fields: comma-separated numbers and ranges, `"1-10 (+2)"`, `"10-1 (-3)"`, `"0-1 [5]"`; ends are included
          and never overshot;
        - `model`, `vae`, `scheduler`, `watermark`, `prompt_syntax`: comma-separated names;
        - `image`, `mask_image`, `depth_map`: one picture or path, or a list of them;
        - `prompt`, `negative_prompt`, `lora`, `textual_inversion`: one value (commas belong to it), or a list of them.

        `replace="hamster, cat, dog"` searches the first text in prompt and negative prompt and puts
        each in its place; a mapping `{"hamster": ["cat", "dog"], "red": ["blue"]}` does so for
        several.

    `{red|blue}` in a prompt, the base's too, stands for each choice in turn; `{colour=red|blue}`
    names it, and `{2$$a|b|c}` takes two of them at a time. The choice made is in the request's
    `labels`. `\\{`, `\\|` and `\\}` are plain characters.

    Raises
    ------
    TypeError, ValueError
        For an unknown axis, an impossible value, a search text that no prompt has, or more than a
        million cells.

    Examples
    --------
    >>> cells = sweep(Request(prompt="a {red|blue} circle"), guidance_scale="1-7 (+3)", seed=range(2))
    >>> len(cells)
    12
    """
    if not isinstance(base, Request):
        raise TypeError(
            f"sweep starts from a Request, not {type(base).__name__}: sweep(Request(prompt=...),"
            " seed=range(4))"
        )
    for name in axes:
        if name not in FIELDS and name != "replace":
            raise TypeError(unknown("axis", name))
    searches = replacements(axes.pop("replace", None))
    values = {name: axis_values(name, given) for name, given in axes.items()}
    count = math.prod(
        [len(v) for v in values.values()] + [len(texts) for texts in searches.values()]
    )
    if count > MAX_CELLS:
        raise ValueError(
            f"{count:,} cells are more than {MAX_CELLS:,}; take fewer values, or several sweeps"
        )
    cells = [
        base.but(**dict(zip(values, combination)))
        for combination in itertools.product(*values.values())
    ]
    for search, texts in searches.items():
        cells = [cell for before in cells for cell in substituted(before, search, texts)]
    return list(itertools.chain.from_iterable(chosen(cells)))


def axis_values(name: str, given: Any) -> list[Any]:
    """The values of one axis, each checked, in the given order; a value given twice counts once."""
    if name in PICTURES and (isinstance(given, str) or is_picture(given)):
        given = [given]
    elif isinstance(given, str):
        if name in WHOLE or name in REAL:
            given = numbers(given, whole=name in WHOLE, name=name)
        else:
            given = (
                [given]
                if name in ("prompt", "negative_prompt", "lora", "textual_inversion")
                else words(given)
            )
            given = called(given) if name == "scheduler" else given
    elif not isinstance(given, Iterable):
        given = [given]
    elif isinstance(given, Mapping):
        raise TypeError(f"axis {name}: give a list of values, not a mapping")
    given = list(itertools.islice(given, MAX_CELLS + 1))
    if len(given) > MAX_CELLS:
        raise ValueError(f"axis {name} has more than {MAX_CELLS:,} values (an endless one?)")
    values = [None if v is None and name in OPTIONAL else checked(name, v) for v in given]
    if not values:
        raise ValueError(f"axis {name} has no values; leave it out, or give at least one")
    return list(dict.fromkeys(values))


def is_picture(given: Any) -> bool:
    """Whether that is one array of numbers; columns of paths and stacks of arrays hold several pictures."""
    return getattr(getattr(given, "dtype", None), "kind", "O") in "biuf" and given.ndim in (2, 3)


def called(items: list[str]) -> list[str]:
    """The items, those put together again that a comma within brackets has parted: "DDIM(a=1", "b=2)".

    The last one stays open if its bracket has no partner.
    """
    out: list[str] = []
    for item in items:
        if out and out[-1].count("(") > out[-1].count(")"):
            out[-1] += f", {item}"
        else:
            out.append(item)
    return out


def replacements(given: Any) -> dict[str, list[str]]:
    """{search text: [the search text itself, then its replacements]}"""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        texts = words(given) if isinstance(given, str) else list(given)
        given = {texts[0]: texts[1:]} if texts else {"": []}
    out = {}
    for search, texts in given.items():
        texts = words(texts) if isinstance(texts, str) else list(texts)
        out[search] = list(dict.fromkeys([search, *texts]))
        if not search or len(out[search]) < 2 or not all(isinstance(t, str) for t in out[search]):
            raise ValueError(
                f"replace={given!r}: give the text to search and at least one text to put in its"
                " place"
            )
    return out


def substituted(request: Request, search: str, texts: list[str]) -> list[Request]:
    """The request once for each text in place of `search`."""
    if search not in request.prompt and search not in request.negative_prompt:
        raise ValueError(
            f"replace: neither the prompt {request.prompt!r} nor the negative prompt contains"
            f" {search!r}"
        )
    return [
        request.but(
            prompt=request.prompt.replace(search, text),
            labels=numbered(request.labels, [(search, text)]),
            negative_prompt=request.negative_prompt.replace(search, text),
        )
        for text in texts
    ]


def chosen(cells: list[Request]) -> Iterable[list[Request]]:
    """Each cell's list of cells, one for every combination of the choices in its prompts."""
    for cell in cells:
        pairs = itertools.product(choices(cell.prompt), choices(cell.negative_prompt))
        yield [
            cell.but(
                prompt=p,
                negative_prompt=n,
                labels=numbered(cell.labels, [*p_labels.items(), *n_labels.items()]),
            )
            for (p, p_labels), (n, n_labels) in pairs
        ]

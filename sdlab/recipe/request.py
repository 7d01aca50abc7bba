"""A `Request` is one image's recipe as it was asked for; a `Recipe` leaves nothing open."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from ..errors import suggest
from ..pictures import PICTURES
from .options import normalize_options, spell_options
from .parts import normalize_embeddings, normalize_loras, normalize_vae
from .prompts import normalize_syntax
from .sizes import MULTIPLE, normalize_aspect, normalize_tiling
from .spec import SEEDS, Spec, check_value, declare, round_number

T = TypeVar("T", bound="Request")
INPUTS, MORE = "Input pictures", "More settings"  # folds of a form
REFINER = "SDXL's refiner, such as 'sdxl-refiner-1-0'"
XL = "a model of SDXL, such as 'sdxl-1-0'"
SIDE = dict(
    least=8,
    greatest=8192,
    multiple=MULTIPLE,
    hint="In pixels, multiples of 8. Empty: the model's native value.",
)


def refuse_unknown_fields(kind: type[T]) -> type[T]:
    """Makes a class say which field is meant, and what to do instead of assigning to one."""
    init: Any = kind.__init__

    @functools.wraps(init)
    def check_names(self: T, *args: Any, **given: Any) -> None:
        for name in given:
            require_field("field", name)
        init(self, *args, **given)

    def refuse_change(self: T, name: str, value: Any) -> None:
        said = f"a request stays as it is; make another one with request.but({name}=...)"
        raise dataclasses.FrozenInstanceError(said)

    setattr(kind, "__init__", check_names)  # noqa: B010, as mypy knows no other way
    setattr(kind, "__setattr__", refuse_change)  # noqa: B010
    return kind


@refuse_unknown_fields
@dataclass(frozen=True, kw_only=True, eq=False, slots=True)  # a dictionary takes six times as much
class Request:
    """One image's recipe, in diffusers' own words; `None` means the model's native value.

    Parameters
    ----------
    prompt, negative_prompt : str
        At most 77 tokens each, which is checked before anything runs. Brackets are plain
        characters.
    model : str
        A name in `sdlab.MODELS`, the path of a folder in diffusers' layout or of a single file, or
        a repository in the Hugging Face hub's cache, "owner/name". Models of v1, v2 and SDXL run
        in sdlab's own loop, and what follows is of them; any other pipeline that diffusers has for
        pictures of texts runs in its own call, where a field has the meaning that the call gives
        it, and one that it does not take is refused.
    seed : int
        0 to 2**32 - 1, as torch tells no more seeds apart. The starting noise is drawn on the CPU
        in float32 from this seed alone.
    guidance_scale : float, optional
        0 to 1000: unconditional + guidance_scale * (conditional - unconditional). 1 ignores the
        negative prompt; 0 ignores the prompt (diffusers' own pipelines take everything below 1 as
        1, and so does the x2 upscaler, which runs in one; there 0 ignores both prompts).
    num_inference_steps : int, optional
        1 to 1000.
    scheduler : str, optional
        A diffusers class such as "DDIMScheduler", with options in brackets:
        "EulerDiscreteScheduler(use_karras_sigmas=True)". A1111's names are understood, "Euler a"
        and "DPM++ 2M Karras" (`sdlab.recipe.schedulers` lists them); a `Recipe` has the class. What
        a name does not say is off, also where the checkpoint's own scheduler has it (and diffusers
        would inherit it); inherited are betas, prediction type, timestep spacing and the like:
        `sdlab.recipe.schedulers.INHERITED`. None is the checkpoint's own, with all its options.
    height, width : int, optional
        In pixels, multiples of 8.
    aspect : str, optional
        Proportions, width to height, such as "3:2": they give height and width at the model's
        native area, rounded to what the model takes, or the side that is left open. A `Recipe`
        has these in its place.
    eta : float
        0 to 1, the noise that DDIM or TCD adds in each step, by default none, as in diffusers'
        pipelines (TCD's own step would take 0.3); the other schedulers refuse it.
    clip_skip : int
        How many of the text encoder's last layers to leave out, for prompt and negative prompt
        alike (diffusers' own pipelines leave the negative one as it is). Of SDXL's two encoders, as
        many beyond the one that it leaves out natively.
    guidance_rescale : float, optional
        0 to 1: how far to give the guided prediction back the spread of the one with the prompt,
        against overexposure (arXiv 2305.08891, section 3.4); 0, like None, is not at all.
    tiling : str, optional
        A picture whose edges fit together: "x" goes on from its right edge to its left one, "y"
        from bottom to top, "both". The convolutions of UNet and VAE then see the opposite edge
        where they otherwise see nothing; the VAE takes no tiles then, however little memory.
    original_size, crops_coords_top_left, target_size : tuple of two int, optional
        What SDXL has learned to be told of a picture (arXiv 2307.01952, section 2.2): the (height,
        width) that it had, the (top, left) of its crop, and the (height, width) that was asked for.
        None, as in diffusers: the picture's own size, and (0, 0). Held as text, "(768, 1024)"; of
        the negative prompt the same is told, but by the refiner no crop.
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
        transparent becomes white, in a mask and a depth map black; a colour profile is applied
        (ICC, to sRGB). The request has 32 hexadecimal digits in their place, which name the
        content. A request that states no height and width gets those of `image`, rounded down to
        multiples of 8, and one that states one of them the other in proportion; pictures of other
        sizes are stretched. `sdlab.pictures.fit_picture` cuts and scales one to a model's size.
    strength : float, optional
        0 to 1: the share of the steps that is computed, and so how much of the input picture may
        change. Natively 0.8, and 1 for inpainting. Rounded down to whole steps, as in diffusers.
        From a picture PNDM and LMS begin anew, where diffusers' own calls go on with steps that
        were never taken; and for KDPM2 and DPMSolverSDE inpainting puts the rest of the picture
        back with all of its noise. With these four, pictures differ from diffusers' there.
    noise_level : int, optional
        How much noise an upscaler puts into the input picture first, natively 20; more invents
        more. At most what the model has learned, 350 for the x4 upscaler, which makes a picture of
        four times the input's height and width. The x2 upscaler of latents has none; it makes twice
        the height and width of pictures whose sides are multiples of 32, from 64.
    image_guidance_scale : float, optional
        0 to 1000, natively 1.5: how close an edit by instruction stays to `image`. The prompt is
        the instruction, and `guidance_scale` how strictly it is followed (arXiv 2211.09800). Below
        1, where diffusers would drop both guidances, sdlab follows the formula.
    aesthetic_score, negative_aesthetic_score : float, optional
        0 to 10, natively 6 and 2.5: how beautiful the picture is that SDXL's refiner is told of
        with the prompt, and with the negative prompt.
    vae : str, optional
        Another VAE than the model's own, which reads and writes the latents: "sd-vae-ft-mse" or
        another name in `sdlab.models.parts.VAES`, a name in `MODELS` (for its VAE), a folder, a
        single file, or a repository in the hub's cache, "owner/name". AutoencoderKL, and
        AutoencoderTiny (TAESD), in a folder.
    lora : str, optional
        One or several LoRA files, each with the scale at which it acts, else 1:
        "ink.safetensors@0.8, b.safetensors". A1111's `<lora:...>` in a prompt is refused. LoRA,
        LoCon, LoHa and LoKr are read, in the layouts of kohya's scripts, diffusers and PEFT (whose
        adapter_config.json beside the file states its scale). Their order is part of the recipe: it
        decides the last bits.
    textual_inversion : str, optional
        One or several files of learned words (.safetensors, .bin, A1111's .pt). A prompt uses one
        by its token, which the file states or which stands before its path: "<ink>=ink.pt". It acts
        as a whole word alone, in any case: "ink" is not in "pink" or "ink_2", and it is in "p-ink".
    watermark : str, optional
        The invisible mark to put into the finished picture: a name in `sdlab.watermark.PAYLOADS`,
        such as "sd-v1", or any other text. The picture must have at least 65,536 pixels. As the
        official program does, it turns detail in blue and yellow of one pixel's size by a quarter,
        which changes more than the mark does: compare models without.
    options : mapping or str, optional
        Of a model that runs in a pipeline of diffusers' own: further arguments of its call, by
        their names, {"max_sequence_length": 256, "prompt_2": "a dog"}. The request has them as
        text, written as in Python, "max_sequence_length=256, prompt_2='a dog'"; 4.0 as 4, which is
        the same recipe.
    weights : str, optional
        The fingerprint of the model's weights, and of the parts in their place (vae, lora with
        scales, textual_inversion with tokens). `resolve` fills it in; if it is given, other weights
        are refused.
    labels : mapping, optional
        Names of the choices that led here, one column each in the frame of `run`. Not part of the
        recipe.
    """

    model: str = declare(
        "tiny-v1",
        "names",
        in_weights=True,
        a1111=("Model",),
        aliases=("checkpoint",),
        placeholder="",
        hint="One or several, with Ctrl or Shift.",
        rows=4,
        pace=0,
        by_row=True,
    )
    prompt: str = declare(
        "",
        "prompt",
        independent=True,
        placeholder="a {red|blue} circle left of a cat",
        hint="One prompt a line. {red|blue} stands for each choice in turn; {colour=red|blue} names"
        ' it. A line "" is the empty prompt.',
        rows=4,
        pace=1,
        by_row=True,
    )
    negative_prompt: str = declare(
        "",
        "prompt",
        neutral="",
        assumed=True,
        aliases=("negative",),
        placeholder="none",
        hint='One a line, each with each prompt. Empty, or a line "": the empty prompt.',
        rows=4,
        pace=1,
        by_row=True,
    )
    seed: int = declare(
        0,
        "whole",
        greatest=SEEDS - 1,
        independent=True,
        a1111=("Seed",),
        placeholder="0",
        hint="Empty: 0.",
        pace=4,
        by_row=True,
    )
    guidance_scale: float | None = declare(
        None,
        "real",
        greatest=1000.0,
        a1111=("CFG scale",),
        aliases=("cfg", "cfg_scale", "scale"),
        hint="Empty: the model's native value.",
        by_row=True,
    )
    num_inference_steps: int | None = declare(
        None,
        "whole",
        least=1,
        greatest=1000,
        a1111=("Steps",),
        aliases=("steps",),
        hint="Empty: the model's native value.",
    )
    scheduler: str | None = declare(
        None,
        "names",
        aliases=("sampler",),
        placeholder="",
        hint="One or several, with Ctrl or Shift. None chosen: the model's native one.",
        rows=4,
    )
    height: int | None = declare(None, "whole", aliases=("size",), **SIDE)
    width: int | None = declare(None, "whole", **SIDE)
    aspect: str | None = declare(
        None,
        "names",
        normal=normalize_aspect,
        aliases=("aspect_ratio",),
        hint="Width to height, such as 3:2, in place of height and width, or of one of them.",
        by_row=True,
    )
    eta: float = declare(
        0.0,
        "real",
        greatest=1.0,
        neutral=0.0,
        a1111=("Eta DDIM", "Eta"),
        placeholder="0",
        hint="0 to 1, the noise that DDIM or TCD adds in each step.",
        fold=MORE,
    )
    clip_skip: int = declare(
        0,
        "whole",
        greatest=50,
        neutral=0,
        a1111=("Clip skip",),
        a1111_offset=1,
        placeholder="0",
        hint="How many of the text encoder's last layers to leave out.",
        fold=MORE,
        by_row=True,
    )
    guidance_rescale: float | None = declare(
        None,
        "real",
        greatest=1.0,
        neutral=0.0,
        a1111=("Guidance rescale",),
        placeholder="none",
        nothing="none",
        hint="0 to 1: how much of the guided contrast to take back.",
        fold=MORE,
        by_row=True,
    )
    tiling: str | None = declare(
        None,
        "names",
        normal=normalize_tiling,
        a1111=("Tiling",),
        aliases=("seamless",),
        placeholder="none",
        nothing="none",
        hint="Edges that fit together: x (right and left), y (bottom and top), or both.",
        fold=MORE,
    )
    original_size: Any = declare(  # what is given here is a str afterwards
        None,
        "pair",
        a1111=("SDXL original size",),
        hint="SDXL: the (height, width) that the picture is said to have had. One a line.",
        rows=2,
        goes_with=XL,
        fold=MORE,
        by_row=True,
    )
    crops_coords_top_left: Any = declare(
        None,
        "pair",
        neutral="(0, 0)",
        a1111=("SDXL crop",),
        hint="SDXL: the (top, left) of the crop that the picture is said to be. One a line.",
        rows=2,
        goes_with=XL,
        fold=MORE,
        by_row=True,
    )
    target_size: Any = declare(
        None,
        "pair",
        a1111=("SDXL target size",),
        hint="SDXL: the (height, width) that was asked for, it is said. One a line.",
        rows=2,
        goes_with=XL,
        fold=MORE,
        by_row=True,
    )
    prompt_syntax: str | None = declare(
        None,
        "names",
        normal=normalize_syntax,
        a1111=("Prompt syntax",),
        placeholder="none",
        nothing="none",
        hint="weights: (word:1.2) in prompts counts more; chunks: prompts may be longer than 75"
        ' tokens; or weights+chunks. "none" among them: as diffusers reads them.',
        fold=MORE,
        by_row=True,
    )
    image: Any = declare(  # what is given here is a str afterwards
        None,
        "picture",
        a1111=("Input image",),
        placeholder="cat.png",
        nothing="none",
        hint="The picture to begin with: for changing it, inpainting, depth and upscaling.",
        shows="the picture to begin with",
        fold=INPUTS,
        pace=2,
        by_row=True,
    )
    mask_image: Any = declare(
        None,
        "picture",
        a1111=("Input mask",),
        placeholder="mask.png",
        nothing="none",
        hint="For inpainting: white where the image is to be painted anew.",
        shows="white where the picture is to be painted anew",
        goes_with="image= on a model of texts or of inpainting, such as 'tiny-v1' or"
        " 'sd-v1-5-inpainting'",
        fold=INPUTS,
        pace=2,
        by_row=True,
    )
    depth_map: Any = declare(
        None,
        "picture",
        a1111=("Input depth",),
        placeholder="estimated",
        nothing="none",
        hint="For models guided by depth: light where it is near. Empty: the model estimates it.",
        goes_with="a model guided by depth, such as 'tiny-depth' or 'sd-v2-depth'",
        fold=INPUTS,
        pace=2,
        by_row=True,
    )
    strength: float | None = declare(
        None,
        "real",
        greatest=1.0,
        a1111=("Denoising strength",),
        hint="0 to 1: how much of the image may change. Empty: 0.8, and 1 for inpainting.",
        goes_with="image= on any model but an upscaler",
        fold=INPUTS,
        pace=2,
    )
    noise_level: int | None = declare(
        None,
        "whole",
        greatest=1000,
        a1111=("Noise level",),
        hint="How much noise an upscaler puts into the image first. Empty: 20.",
        goes_with="a x4 upscaler, such as 'sd-x4-upscaler'",
        fold=INPUTS,
        pace=2,
        by_row=True,
    )
    image_guidance_scale: float | None = declare(
        None,
        "real",
        greatest=1000.0,
        a1111=("Image CFG scale",),
        goes_with="a model that follows instructions, such as 'instruct-pix2pix'",
        hint="How close an edit by instruction stays to the image. Empty: 1.5.",
        fold=INPUTS,
        by_row=True,
    )
    aesthetic_score: float | None = declare(
        None,
        "real",
        greatest=10.0,
        a1111=("Aesthetic score",),
        hint="0 to 10: how beautiful the refiner is told that the picture is. Empty: 6.",
        goes_with=REFINER,
        fold=INPUTS,
        by_row=True,
    )
    negative_aesthetic_score: float | None = declare(
        None,
        "real",
        greatest=10.0,
        a1111=("Negative aesthetic score",),
        hint="The same, of the negative prompt. Empty: 2.5.",
        goes_with=REFINER,
        fold=INPUTS,
        by_row=True,
    )
    vae: str | None = declare(
        None,
        "names",
        normal=normalize_vae,
        in_weights=True,
        a1111=("VAE",),
        hint='Names or folders of other VAEs, apart by commas; "native" among them is the model\'s'
        " own.",
        fold=MORE,
        pace=0,
    )
    lora: str | None = declare(
        None,
        "parts",
        normal=normalize_loras,
        in_weights=True,
        a1111=("LoRA",),
        placeholder="ink.safetensors@0.8",
        nothing="none",
        hint="In each line one or several LoRA files with scales, apart by commas.",
        fold=MORE,
        rows=2,
        pace=0,
    )
    textual_inversion: str | None = declare(
        None,
        "parts",
        normal=normalize_embeddings,
        in_weights=True,
        a1111=("Textual inversion",),
        placeholder="<ink>=ink.pt",
        nothing="none",
        hint="In each line one or several files of learned words, apart by commas.",
        fold=MORE,
        rows=2,
        pace=0,
    )
    watermark: str | None = declare(
        None,
        "names",
        a1111=("Watermark",),
        placeholder="none",
        nothing="none",
        hint='Names of invisible marks, such as sd-v1; "none" among them is a picture without.',
        fold=MORE,
        by_row=True,
    )
    options: Any = declare(  # what is given here is a str afterwards
        None,
        "parts",
        normal=normalize_options,
        write=spell_options,
        neutral="",
        a1111=("Pipeline options",),
        placeholder="max_sequence_length=256",
        nothing="none",
        hint="In each line further arguments of the call of a pipeline of diffusers' own, apart by"
        " commas.",
        goes_with="a model that runs in a pipeline of diffusers' own, such as FLUX.1",
        fold=MORE,
        rows=2,
    )
    weights: str | None = declare(None, "names")
    labels: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._check(SPECS)

    def _check(self, names: Iterable[str]) -> None:
        """Brings these fields and the labels into their one form, or refuses what they hold."""
        for name in names:
            value = getattr(self, name)
            if value is not None or name not in OPTIONAL:
                object.__setattr__(self, name, check_value(name, SPECS[name], value))
        if not isinstance(self.labels, Mapping) or not all(isinstance(n, str) for n in self.labels):
            raise TypeError(
                f"labels={self.labels!r} is not a mapping from names to values, such as"
                " {'colour': 'red'}"
            )
        if noisy := {n: round_number(v) for n, v in self.labels.items() if isinstance(v, float)}:
            object.__setattr__(self, "labels", {**self.labels, **noisy})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in FIELDS)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in FIELDS))

    def but(self, **changes: Any) -> Request:
        """Makes the same request with some fields changed; of a `Recipe` too it makes a request."""
        for name in changes:
            require_field("field", name)
        return copy_fields(Request, self, changes)

    def to_dict(self) -> dict[str, Any]:
        """Lists the stated fields, ready for JSON; `Request(**request.to_dict())` is the same."""
        both = zip(FIELDS, read_fields(self))
        return {name: value for name, value in both if value is not None}


SPECS: dict[str, Spec] = {
    f.name: f.metadata["spec"] for f in dataclasses.fields(Request) if f.name != "labels"
}
FIELDS = tuple(SPECS)
OPTIONAL = frozenset(f.name for f in dataclasses.fields(Request) if f.default is None)
PROMPTS = tuple(name for name, spec in SPECS.items() if spec.kind == "prompt")
assert tuple(name for name, spec in SPECS.items() if spec.kind == "picture") == PICTURES
ALL = (*FIELDS, "labels")
ALIASES = {alias: name for name, spec in SPECS.items() for alias in spec.aliases}
SHARED = tuple(name for name, spec in SPECS.items() if not spec.by_row)  # by a whole batch
IN_WEIGHTS = frozenset(name for name, spec in SPECS.items() if spec.in_weights)
NEUTRAL = {name: spec.neutral for name, spec in SPECS.items() if name in OPTIONAL}
encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
read_all, read_fields = operator.attrgetter(*ALL), operator.attrgetter(*FIELDS)
PUTS = {name: getattr(Request, name).__set__ for name in ALL}  # into slots, also of frozen ones
read_inputs = operator.attrgetter(*PICTURES)
read_all_but_seed = operator.attrgetter(*(name for name in FIELDS if name != "seed"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe(Request):
    """A resolved request: nothing is left open that a model decides, and `.key` names the picture.

    Only `sdlab.models.resolve.resolve` makes one. Its fields are those of `Request`.
    """

    guidance_scale: float
    num_inference_steps: int
    scheduler: str
    height: int
    width: int
    weights: str

    def reseed(self, request: Request) -> Recipe:
        """Makes the recipe of a request that differs from this one's in its seed and labels."""
        made = copy_fields(Recipe, self, {}, seed=request.seed, labels=request.labels)
        before, after = self._around_seed
        vars(made)["key"] = hash_text(f"{before}{made.seed}{after}")
        return made

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits: two spellings of one recipe have one key."""
        return key_of(self.to_dict())

    @cached_property
    def _around_seed(self) -> tuple[str, str]:
        """What counts in the key, as it is written before and behind the seed."""
        before, after = write_counted(self.to_dict() | {"seed": 0}).split('"seed":0')
        return f'{before}"seed":', after  # in a text, its second quotation mark has a backslash


def copy_fields(kind: type[T], source: Request, changes: Mapping[str, Any], **fitting: Any) -> T:
    """Copies a request with some fields changed; what it holds already was checked then.

    Parameters
    ----------
    kind : type
        `Request` or `Recipe`, of what is made.
    changes : mapping
        Values that are to be checked.
    **fitting
        Values that another request holds.
    """
    made = object.__new__(kind)
    for put, value in zip(PUTS.values(), read_all(source)):
        put(made, value)
    for name, value in {**changes, **fitting}.items():
        PUTS[name](made, value)
    shown = [name for name in PICTURES if getattr(made, name) is not None]  # they are looked up
    if changes or shown:
        made._check([name for name in (*changes, *shown) if name != "labels"])
    return made


def list_inputs(requests: Iterable[Request]) -> list[str]:
    """Lists the names of the requests' input pictures, each once."""
    both = dict.fromkeys(map(read_inputs, requests))
    return list(dict.fromkeys(name for names in both for name in names if name is not None))


def key_of(fields: Mapping[str, Any]) -> str:
    """Computes the key of a recipe's fields; models and parts count by their weights alone.

    A field of another version of sdlab, which a picture may carry, counts as it stands.
    """
    return hash_text(write_counted(fields))


def hash_text(text: str) -> str:
    """Computes 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def write_counted(fields: Mapping[str, Any]) -> str:
    """Writes those fields that count in a key, as JSON in the one order."""
    return encode(
        {
            name: value
            for name, value in fields.items()
            if name not in IN_WEIGHTS and (name not in NEUTRAL or value != NEUTRAL[name])
        }
    )


def require_field(kind: str, name: str) -> None:
    """Refuses a name that no request has, given as a `kind`, and says which is meant."""
    if name in SPECS or (name == "labels" and kind == "field"):
        return
    meant = ALIASES.get(name.lower())
    hint = f"; did you mean {meant!r}?" if meant else suggest(name, FIELDS)
    raise TypeError(f"unknown {kind} {name!r}{hint} a request has {', '.join(FIELDS)}")

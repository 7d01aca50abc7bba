"""What is to be said before a run: what will not do what its recipe seems to ask for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import attrgetter

from ..errors import FieldError, shorten_text
from ..models.loras import Effect
from ..models.parts import describe_doubt
from ..models.resolve import Native, native, read_effects, swap_parts, tell_native_size, tell_origin
from ..models.tasks import choose_task, count_steps
from ..pictures import PICTURES, require_picture
from ..recipe.collector import pause_collector
from ..recipe.prompts import find_mended, split_at_words
from ..recipe.request import FIELDS, PROMPTS, Recipe, Request
from ..recipe.schedulers import SIGMAS
from ..tiny.signs import WRITERS, find_unwritten_words
from ..tiny.world import WORLDS, list_shown_words
from .masks import describe_flat_depth, describe_idle_mask

STRETCHED = 0.02  # of a picture's proportions; less is not seen
ROUNDED = 8  # pixels; less is due to sides that are multiples of that
WORD = re.compile(r"[^\W\d_]+")
MOST = 8  # words that are named
FEW, MOST_TOLD = 4, 60  # cells that are named, and how many characters each of their values has


def collect_notes(cells: list[Recipe], natives: dict[str, Native]) -> dict[str, str]:
    """Collects what is to be said before a run, {field: text}; no two differ in seed alone."""
    unlike = list_unprompted(cells)
    notes = [(c, describe(c, natives[c.model])) for c in unlike for describe in NOTES]
    for describe in (describe_idle_words, describe_unmended):
        notes += [(cell, describe(cell, natives[cell.model])) for cell in cells]
    return add_ranges(join_notes(notes), unlike, natives)


def list_unprompted(cells: Iterable[Recipe]) -> list[Recipe]:
    """Lists, of those that differ in seed and prompts alone, the first."""
    read = attrgetter(*(name for name in FIELDS if name not in ("seed", *PROMPTS)))
    unlike: dict[tuple, Recipe] = {}
    for cell in cells:
        unlike.setdefault(read(cell), cell)
    return list(unlike.values())


def collect_finished(cells: Iterable[Recipe], natives: dict[str, Native]) -> dict[str, str]:
    """Collects what is to be said of schedulers after a run, {field: text}.

    What cannot be tried here any more is left out: the pictures are there.
    """
    notes: list[tuple[Recipe, tuple[str, str] | None]] = []
    unlike = list_unprompted(cells)
    for cell in unlike:
        for describe in (describe_levels, describe_solver):
            with suppress(FieldError):
                notes.append((cell, describe(cell, natives[cell.model])))
    return add_ranges(join_notes(notes), unlike, natives)


def add_ranges(
    notes: dict[str, str], cells: Iterable[Recipe], natives: dict[str, Native]
) -> dict[str, str]:
    """Adds to the notes on schedulers what several of one model have of unlike noise."""
    of: dict[str, list[Recipe]] = {}
    for cell in cells:
        if any(name in cell.scheduler for name in SIGMAS):
            of.setdefault(cell.model, []).append(cell)
    for model, some in of.items():
        with pause_collector():
            from .rehearsal import describe_ranges
        if text := describe_ranges(some, natives[model].layout):
            notes["scheduler"] = "; ".join(filter(None, [notes.get("scheduler"), text]))
    return notes


def join_notes(notes: Iterable[tuple[Recipe, tuple[str, str] | None]]) -> dict[str, str]:
    """Joins notes on cells as {field: the first text, and which other cells have one}."""
    said: dict[str, dict[str, Recipe]] = {}
    for cell, note in notes:
        if note:
            said.setdefault(note[0], {}).setdefault(note[1], cell)
    return {
        field: next(iter(texts)) + name_more([*texts.values()]) for field, texts in said.items()
    }


def name_more(cells: Sequence[Recipe]) -> str:
    """Names by what they differ in the cells of which something alike is said; "" of one alone."""
    others = cells[1:]
    if not others:
        return ""
    odd = ("seed", "weights")
    names = [n for n in FIELDS if n not in odd and len({getattr(c, n) for c in cells}) > 1]
    told = [
        ", ".join(f"{name}={shorten_text(repr(getattr(cell, name)), MOST_TOLD)}" for name in names)
        for cell in others
    ]
    rest = f"; and {len(told) - FEW} others" if len(told) > FEW else ""
    which = f": {'; '.join(told[:FEW])}{rest}" if names else ""
    return f" (and {len(others)} more like this{which})"


def describe_strange_words(requests: Iterable[Request]) -> dict[str, str]:
    """Describes which words of the prompts, {field: text}, an embedded model was never shown."""
    notes: dict[str, dict[str, dict[str, None]]] = {}
    for model, learned, *prompts in dict.fromkeys(
        (r.model, r.textual_inversion, *(getattr(r, name) for name in PROMPTS)) for r in requests
    ):
        if model in (*WORLDS, *WRITERS):
            for name, prompt in zip(PROMPTS, prompts):
                found = notes.setdefault(name, {}).setdefault(model, {})
                found |= dict.fromkeys(find_strange_words(model, prompt, learned))
    told = {
        name: "; ".join(describe_words(model, list(found)) for model, found in of.items() if found)
        for name, of in notes.items()
    }
    return {name: text for name, text in told.items() if text}


def describe_words(model: str, words: Sequence[str]) -> str:
    """Names the words that a model was never shown."""
    more = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return f"{model} was never shown: {', '.join(words[:MOST])}{more}"


def find_strange_words(model: str, prompt: str, learned: str | None) -> list[str]:
    """Finds the words of which the captions of an embedded model's pictures told nothing."""
    texts = (plain for plain, _ in split_at_words(prompt, name_learned(native(model), learned)))
    words = [word for text in texts for word in WORD.findall(text.lower())]
    if model in WRITERS:
        return find_unwritten_words(words)
    known = list_shown_words(WORLDS[model])
    return [word for word in words if word not in known]


def name_learned(own: Native, learned: str | None) -> list[str]:
    """Names the words that textual inversions bring."""
    return [word for _, word, _ in learn_words(own, learned).swaps.embeddings] if learned else []


def describe_revision(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes what was found in the hub's cache that is not what main is; None if all is."""
    origin = tell_origin(swap_parts(own, Request(vae=request.vae)))
    for said in (origin or "").split("; "):
        if said and (" at main " not in said or "variant" in said):
            field = "vae" if said.startswith("vae: ") else "model"
            return field, (
                f"{field} {getattr(request, field)!r} is {said.removeprefix('vae: ')}: what is on"
                " this machine, where its branch main in full precision is not. The column `origin`"
                " records it; another is taken by its folder's path"
            )
    return None


def describe_latents(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a VAE that may be of another latent space than the model's; None if it is not."""
    vae = swap_parts(own, Request(vae=request.vae)).swaps.vae
    doubt = vae and describe_doubt(vae[0], own.layout.is_xl)
    return ("vae", f"vae={request.vae!r}: {doubt}") if doubt else None


def describe_stretching(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a picture, (field, text), whose proportions change; None if they hardly do."""
    for field in PICTURES:
        if name := getattr(request, field):
            width, height = require_picture(name).size
            change = (width / height) / (request.width / request.height)
            apart = min(
                abs(width * request.height / height - request.width),
                abs(height * request.width / width - request.height),
            )
            if max(change, 1 / change) > 1 + STRETCHED and apart >= ROUNDED:
                return field, (
                    f"{field} has {width}x{height} pixels and is stretched to"
                    f" {request.width}x{request.height}, which changes its proportions by"
                    f" {max(change, 1 / change) - 1:.0%}; crop it first, or state another height or"
                    " width"
                )
    return None


def describe_size(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes what to expect of a size far from the learned one; None if it is near."""
    height, width = tell_native_size(own)
    if choose_task(request, own.layout.tasks).enlarges or not height:
        return None
    expected = expect_at((request.width, request.height), (width, height))
    hint = (
        "; state another height and width, or cut and scale the picture first:"
        f" sdlab.pictures.fit_picture(image, ({width}, {height}))"
    )
    said = f"{request.model!r} has learned pictures of {width}x{height}; at"
    said += f" {request.width}x{request.height} expect {expected}{hint * bool(request.image)}"
    return ("height", said) if expected else None


def expect_at(size: tuple[int, int], learned: tuple[int, int]) -> str | None:
    """Says what to expect of a (width, height) far from the learned one; None if it is near."""
    share = math.prod(size) / math.prod(learned)
    if share > 2:
        return "the same thing several times in a picture, or things drawn out long"
    if share < 0.5 or any(2 * side < own for side, own in zip(size, learned)):
        return "parts of things, and little that is clear"
    return None


def describe_guidance(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a guidance of 0, which diffusers takes as 1, for a model that is used without."""
    usual = own.model.guidance_scale
    if own.layout.call or usual is None or usual > 1 or request.guidance_scale:
        return None
    return "guidance_scale", (
        f"guidance_scale=0 leaves the prompt out, as the formula says; what {request.model!r} makes"
        " in diffusers with 0, which stands for no guidance there, it makes here with 1"
    )


def describe_idle_words(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes textual inversions that no prompt asks for, and so do nothing; None if all act."""
    if request.textual_inversion is None:
        return None
    words = name_learned(own, request.textual_inversion)
    met = {word for name in PROMPTS for _, word in split_at_words(getattr(request, name), words)}
    if idle := [word for word in words if word not in met]:
        return "textual_inversion", (
            f"textual_inversion: {idle[0]!r} is not in the prompts ({request.prompt!r:.80}) as a"
            " whole word and does nothing"
        )
    return None


def describe_unmended(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes signs of the prompts that CLIP knows in another spelling; None if none are."""
    if own.layout.call:
        return None
    for name in PROMPTS:
        if found := find_mended(getattr(request, name)):
            signs = ", ".join(f"{sign} (for {other})" for sign, other in [*found.items()][:MOST])
            return name, (
                f"{name}: {signs} reaches the text encoder as tokens that it hardly ever saw, as"
                " its own tokenizer wrote the plain sign instead; type that, or another program"
                " makes another picture of this prompt"
            )
    return None


def describe_idle_layers(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes LoRAs of which something has no effect, or not a certain one; None if all acts."""
    if request.lora is None:
        return None
    for file, effect in read_effects(swap_parts(own, Request(lora=request.lora))).items():
        if said := describe_effect(effect):
            return "lora", f"lora: {file}: {said}"
    return None


def describe_effect(effect: Effect) -> str | None:
    """Says how many of a LoRA's layers do nothing, and why; None if all act as the file says."""
    said = []
    if effect.missing:
        said.append(
            f"{len(effect.missing)} of its {len(effect.missing) + len(effect.changed)} layers do"
            f" nothing, because this model lacks them ({', '.join(effect.missing[:2])})"
        )
    if effect.idle:
        said.append(
            f"{len(effect.idle)} of the {len(effect.changed)} layers that it changes stay as they"
            f" are, because its alpha or a matrix of them is 0 ({', '.join(effect.idle[:2])})"
        )
    if not effect.is_scaled:
        said.append(
            "no adapter_config.json is beside it to state its scale (lora_alpha), so it is taken to"
            " be 1; put that file there, or state the scale, as in lora='path@0.5'"
        )
    return "; ".join(said) or None


def describe_rounding(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a strength whose share of the steps is a whole number that rounding falls short of.

    diffusers computes so many too, so that pictures equal its own.
    """
    strength, steps = request.strength or 1, request.num_inference_steps
    meant, done = round(strength * steps, 9), count_steps(strength, steps)
    if meant <= done or meant % 1:
        return None
    return "strength", (
        f"strength={strength:g} of {steps} steps is computed as {done} steps, not {meant:g}, which"
        f" rounding falls just short of (as in diffusers); {strength + 0.001:g} is {meant:g}"
    )


def describe_levels(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a schedule that hands the network other noise than it says, or refuses it."""
    with pause_collector():
        from .rehearsal import describe_schedule  # which takes importing torch and diffusers

    text = describe_schedule(request, own.layout)
    return (text and ("num_inference_steps", text)) or None


def describe_solver(request: Recipe, own: Native) -> tuple[str, str] | None:
    """Describes a scheduler whose own steps do something amiss."""
    with pause_collector():
        from .rehearsal import describe_steps, tell_kind

    if tell_kind(request, own.layout) is None:
        return None
    stated = json.dumps(dict(own.layout.scheduler), sort_keys=True)
    text = describe_steps(request.scheduler, request.num_inference_steps, stated)
    return (text and ("scheduler", text)) or None


NOTES = (  # the first of a field is told
    *(describe_idle_mask, describe_flat_depth),
    *(describe_latents, describe_revision),
    *(describe_stretching, describe_size, describe_guidance),
    *(describe_rounding, describe_levels, describe_solver),
    describe_idle_layers,
)


def learn_words(own: Native, words: str | None) -> Native:
    """Gives the model with these textual inversions alone, as far as texts are concerned."""
    return swap_parts(own, Request(textual_inversion=words))

"""Finds a model by name or place, and makes of a request a recipe, where nothing is open."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FieldError, blame_field, suggest
from ..recipe.parts import read_embeddings, read_loras, require_no_network
from ..recipe.request import PROMPTS, Recipe, Request, copy_fields, key_of
from ..recipe.schedulers import normalize_scheduler, require_accepted
from ..recipe.sizes import MULTIPLE, fit_aspect, normalize_pair
from .calls import check_call
from .catalogue import AT_HAND, find_by_file, find_downloaded, find_row
from .configuration import Layout
from .fingerprint import fingerprint_files, fingerprint_model, list_former
from .locate import REPOSITORY, describe_origin, describe_unfinished, is_model, open_repository
from .loras import Effect, find_files, read_effect
from .model import Model
from .parts import Vae, find_embedding, find_lora, find_own_vae, find_vae
from .rows import MODELS
from .tasks import (
    SIZES,
    choose_task,
    fill_natives,
    require_none_lacking,
    require_scheduler,
    require_steps,
)


def find(name: str) -> Model:
    """Finds the model of that name, with the path where it is, or in that folder or file.

    Raises
    ------
    FileNotFoundError
        The model is known and not here; the text says where to get it.
    ValueError
        No such model, or one that cannot be run.
    """
    if name in MODELS:
        return find_row(name)
    place = open_repository(Path(name).expanduser(), is_model)
    if (place / "model_index.json").is_file() or place.is_file():
        return Model(path=place)
    if REPOSITORY.fullmatch(name) and (model := find_downloaded(name)):
        return model
    unfinished = describe_unfinished(name, (name,)) if REPOSITORY.fullmatch(name) else ""
    known = find_by_file(name)
    if known != name:
        require_here(name, known)
    near = suggest(name, MODELS).strip(";") or "."
    hint = near if known == name else f"; that is the file of {known!r}: take that."
    raise ValueError(
        f"{unfinished}unknown model {name!r}{hint} {AT_HAND}\n"
        f"sdlab.MODELS has {', '.join(MODELS)}. The path of a folder in diffusers' layout (one with"
        " a model_index.json), of a .safetensors or of a .ckpt file works too, and so does a"
        " repository on the hub, owner/name, that `hf download` has put into the cache; nothing is"
        " downloaded"
    )


def require_here(file: str, name: str) -> None:
    """Refuses the name of a checkpoint's file whose model is not here, and says how to get that."""
    try:
        find_row(name)
    except (OSError, ValueError) as error:
        told = f"unknown model {file!r}, the file of {name!r}: {error}"
        raise type(error)(told) from None


@dataclass(frozen=True)
class Swaps:
    """What stands in place of a model's own parts, each with the fingerprint of its content.

    Parameters
    ----------
    vae : (Vae, fingerprint), optional
    loras : of (file, scale, fingerprint)
    embeddings : of (file, token, fingerprint)
    tiling : str, optional
        The edges that fit together; it is no part, and does not count in the fingerprint.
    """

    vae: tuple[Vae, str] | None = None
    loras: tuple[tuple[Path, float, str], ...] = ()
    embeddings: tuple[tuple[Path, str, str], ...] = ()
    tiling: str | None = None

    def __bool__(self) -> bool:
        return dataclasses.replace(self, tiling=None) != OWN

    def over(self, weights: str) -> str:
        """Computes the fingerprint of a model of that fingerprint with these parts."""
        said = [
            weights,
            self.vae and self.vae[1],
            [part[1:] for part in self.loras],
            [part[1:] for part in self.embeddings],
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32] if self else weights


OWN = Swaps()  # nothing is in place of anything


@dataclass(frozen=True)
class Native:
    """All that a request can inherit from its model; `weights` is the model's own fingerprint."""

    model: Model
    layout: Layout
    weights: str
    swaps: Swaps = OWN


def native(name: str) -> Native:
    """Reads what the model of that name, in that folder or in that file, states about itself now.

    Raises
    ------
    FieldError
        It is unknown, not here, not whole, or cannot be run; `find` says more.
    """
    with blame_field("model"):
        model = find(name)
        return Native(model, model.layout, fingerprint_model(model))


def swap_parts(own: Native, request: Request) -> Native:
    """Puts the parts that a request names in place of the model's.

    Raises
    ------
    FieldError
        A file is missing, is something else, or was made for another kind of model.
    """
    if not (request.vae or request.lora or request.textual_inversion or request.tiling):
        return own
    require_none_lacking(request, choose_task(request, own.layout.tasks))
    with blame_field("vae"):
        vae = find_swap(request.vae, own) if request.vae else None
    with blame_field("lora"):
        loras = tuple(
            (
                file := find_lora(each.path, own.layout),
                each.scale,
                fingerprint_files(find_files(file)),
            )
            for each in read_loras(request.lora)
        )
        require_different(request.lora, [part[2] for part in loras])
    with blame_field("textual_inversion"):
        embeddings = find_embeddings(request.textual_inversion, own.layout)
    return dataclasses.replace(own, swaps=Swaps(vae, loras, embeddings, request.tiling))


def read_effects(own: Native) -> dict[Path, Effect]:
    """Tells what each LoRA in place changes in the model, which takes importing torch.

    Raises
    ------
    FieldError
        One changes nothing there, or does not fit.
    """
    folder, encoders = own.model.configuration, own.layout.encoders
    parts = ("unet", *(each.name for each in encoders))
    configs = tuple(folder / part / "config.json" for part in parts)
    with blame_field("lora"):
        return {
            file: read_effect(file, configs, f"{own.weights} {content}")
            for file, _, content in own.swaps.loras
        }


def require_different(text: str | None, prints: list[str]) -> None:
    """Refuses the same LoRA under two names."""
    if len(set(prints)) < len(prints):
        raise ValueError(
            f"lora={text!r:.200}: two of these files are the same; give one of them, with the sum"
            " of their scales"
        )


def find_embeddings(text: str | None, layout: Layout) -> tuple[tuple[Path, str, str], ...]:
    """Finds the textual inversions of a request, and refuses two of one token."""
    found = []
    for each in read_embeddings(text):
        file, token = find_embedding(each.path, layout)
        found.append((file, each.token or token, fingerprint_file(file)))
    tokens = [token for _, token, _ in found]
    if len({token.lower() for token in tokens}) < len(tokens):
        raise ValueError(
            f"textual_inversion={text!r:.200}: two of them have one token (their tokens are"
            f" {', '.join(tokens)}, and case does not count); say another for one, 'another=path'"
        )
    return tuple(found)


def find_swap(text: str, own: Native) -> tuple[Vae, str] | None:
    """Finds a VAE by its name or place, with its fingerprint; None if it is the model's own."""
    found, mine = find_vae(text, own.model.configuration), find_own_vae(own.model)
    prints = [fingerprint_files(each.files) for each in (found, mine)]
    return None if prints[0] == prints[1] else (found, prints[0])


def fingerprint_file(file: Path) -> str:
    """Computes the fingerprint of one file, wherever it lies and whatever it is called."""
    return fingerprint_files({"file": file})


def resolve(request: Request, own: Native | None = None) -> Recipe:
    """Fills every open field of a request from its model, and the fingerprint of the weights.

    Parameters
    ----------
    request : Request
    own : Native, optional
        `native(request.model)`, where many requests share a model.

    Returns
    -------
    Recipe
        Its `.key` names the picture.

    Raises
    ------
    FieldError
        Unknown model or scheduler, a value that this model cannot take, or weights other than the
        request names. It is a ValueError, and knows its `.field`.
    """
    own = swap_parts(own or native(request.model), request)
    model, facts = own.model, own.layout
    request = settle_aspect(request, own)
    weights = choose_weights(request, own)
    if "weights" not in (request.prompt_syntax or ""):  # which says it better
        for name in PROMPTS:
            with blame_field(name):
                require_no_network(name, getattr(request, name))
    values: dict[str, Any] = dict(zip(("height", "width"), tell_native_size(own)))
    for name in ("guidance_scale", "num_inference_steps"):
        values[name] = choose_first(getattr(model, name), getattr(facts, name))
    values |= fill_natives(request, facts)
    values = {name: value for name, value in values.items() if getattr(request, name) is None}
    size = tuple(values.get(name, getattr(request, name)) for name in ("height", "width"))
    require_size(request.model, size)
    said = normalize_pair(size)  # which None says, too
    values |= {n: None for n in SIZES[::2] if values.get(n, getattr(request, n)) == said}
    values["scheduler"] = choose_scheduler(request, facts)
    with blame_field("watermark"):
        values["watermark"] = name_mark(request.watermark, *size)
    recipe = copy_fields(Recipe, request, values | {"weights": weights})
    if facts.call:
        check_call(recipe, facts.call, tell_native_size(own))
    check_recipe(recipe, facts)
    return recipe


def settle_aspect(request: Request, own: Native) -> Request:
    """Puts height and width in the place of proportions.

    Raises
    ------
    FieldError
        Both are stated as well, or the size follows from the input picture.
    """
    if request.aspect is None:
        return request
    if request.height and request.width:
        said = f"height={request.height} and width={request.width} say it already; leave one out"
        raise FieldError(f"aspect={request.aspect!r}: {said}", "aspect")
    if choose_task(request, own.layout.tasks).enlarges:
        said = "the size of an upscaler's picture follows from that of the input picture"
        raise FieldError(f"aspect={request.aspect!r}: {said}; leave it out", "aspect")
    native = tell_native_size(own)
    if not all(native):
        said = "nobody says the native size of this model; give height and width"
        raise FieldError(f"aspect={request.aspect!r}: {said}", "aspect")
    multiple = own.layout.call.multiple if own.layout.call else MULTIPLE
    given = request.height, request.width
    height, width = fit_aspect(request.aspect, native, *given, multiple=multiple)
    with blame_field("aspect"):
        return request.but(aspect=None, height=height, width=width)


def choose_first(*values: Any) -> Any:
    """Gives the first value that is not None."""
    return next((value for value in values if value is not None), None)


def tell_native_size(own: Native) -> tuple[int, int]:
    """Finds a model's native (height, width), 0 where nobody says it.

    Of a model in a pipeline of diffusers' own, what its row says comes first.
    """
    side = own.model.native_size if own.layout.call else None
    return (side, side) if side else (own.layout.height, own.layout.width)


def require_size(model: str, size: Sequence[Any]) -> None:
    """Refuses a recipe whose height or width neither the request nor the model tells."""
    for name, side in zip(("height", "width"), size):
        if not side:
            raise FieldError(
                f"the files of {model!r} do not tell the {name} of its pictures; state {name}=, or"
                " native_size= in Model.from_path",
                name,
            )


def choose_scheduler(request: Request, facts: Layout) -> str:
    """Writes the scheduler of a request in its one spelling, or refuses it."""
    own = facts.scheduler.get("_class_name", "")
    with blame_field("scheduler"):
        if facts.call is None or facts.call.takes_scheduler(facts.scheduler):
            return normalize_scheduler(request.scheduler or None, facts.scheduler)
        if request.scheduler in (None, "", own):
            return own
        raise ValueError(
            f"scheduler={request.scheduler!r}: {facts.call.pipeline} runs with the scheduler of its"
            f" checkpoint alone, here {own}; leave it out"
        )


def check_recipe(recipe: Recipe, facts: Layout) -> None:
    """Refuses what the recipe's scheduler, steps or model cannot do."""
    require_accepted(recipe.scheduler, recipe.num_inference_steps, recipe.eta, facts.scheduler)
    if recipe.clip_skip > facts.most_skipped:
        layers = " and ".join(str(each.layers) for each in facts.encoders)
        raise FieldError(
            f"clip_skip={recipe.clip_skip}: the text encoder of {recipe.model!r} has {layers}"
            f" layers, so at most {facts.most_skipped} can be skipped",
            "clip_skip",
        )
    require_steps(recipe.strength, recipe.num_inference_steps)
    require_scheduler(recipe, choose_task(recipe, facts.tasks))


def tell_origin(own: Native) -> str | None:
    """Tells from which revision and variant a model is, and a VAE in the place of its own.

    It is None of what lies elsewhere than in the hub's cache, and has no variant.
    """
    places = {"": own.model.place} | ({"vae: ": own.swaps.vae[0].path} if own.swaps.vae else {})
    said = {what: describe_origin(place) for what, place in places.items()}
    return "; ".join(f"{what}{each}" for what, each in said.items() if each) or None


def choose_weights(request: Request, own: Native) -> str:
    """Computes the fingerprint of a model with its parts, or takes an earlier version's for it.

    Raises
    ------
    FieldError
        The request was made for other weights.
    """
    weights = own.swaps.over(own.weights)
    if request.weights in (None, weights):
        return weights
    if request.weights in list_former_weights(own):
        return request.weights
    parts = " with the parts in their place" if own.swaps else ""
    raise FieldError(
        f"the weights of model {request.model!r}{parts} are {weights}, but the request was made"
        f" for {request.weights}; find those, or leave `weights` out to use what is there",
        "model",
    )


def list_former_weights(own: Native) -> list[str]:
    """Lists the fingerprints that a model with its parts has in stores of earlier versions."""
    vae = own.swaps.vae
    vaes = [(vae[0], fingerprint_files(vae[0].files, as_saved=True))] if vae else []
    found = [
        dataclasses.replace(own.swaps, vae=each).over(weights)
        for weights in (own.weights, *list_former(own.model))
        for each in (vae, *vaes)
    ]
    return [each for each in dict.fromkeys(found) if each != own.swaps.over(own.weights)]


def name_mark(watermark: str | None, height: int, width: int) -> str | None:
    """Gives the one name of a mark ("StableDiffusionV1" is "sd-v1"), if it has room."""
    if watermark is None:
        return None
    from ..watermark.dwtdct import require_room  # here alone: NumPy is not needed without a mark
    from ..watermark.payloads import find_payload

    try:
        payload = find_payload(watermark)
    except ValueError as error:
        raise ValueError(f"watermark={watermark!r:.80}: {error}; None is for no mark") from None
    require_room(watermark, height, width)
    return payload.name


def reads_input(request: Request, own: Native) -> bool:
    """Tells whether a VAE reads the input picture before denoising."""
    return choose_task(request, own.layout.tasks).encodes


def key_of_latents(request: Request, own: Native) -> str | None:
    """Computes the key of a recipe without what comes after denoising: VAE and mark.

    It is None if a VAE reads a picture before that.

    Parameters
    ----------
    request : Request
        Resolved.
    own : Native
        The model without parts in place of its own.
    """
    if reads_input(request, own):
        return None
    swaps = dataclasses.replace(swap_parts(own, request).swaps, vae=None)
    return key_of(
        {name: value for name, value in request.to_dict().items() if name != "watermark"}
        | {"weights": swaps.over(own.weights)}
    )

"""A model by its name or place, the fingerprint of its weights, and `resolve`: a request with nothing left open."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import FieldError, blame_field
from ..recipe.parts import read_embeddings, read_loras, require_no_network
from ..recipe.request import FIELDS, PROMPTS, Recipe, Request, key_of
from ..recipe.schedulers import normalize_scheduler, require_accepted
from .additions import file_at, require_embedding, require_lora
from .catalogue import MODELS, Model, how_to_get, require_model
from .checkpoint import MERGES, packed_tokenizer
from .layout import Layout, configuration, layout_of, read_json
from .tasks import choose_task, fill_natives, require_scheduler, require_steps
from .vaes import Vae, vae_named

HASH_CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdlab" / "fingerprints.json"
)
LARGE = 100_000_000  # bytes; fingerprints of models above are remembered between sessions


def find(name: str) -> Model:
    """The model of that name, with the path where it is here, or the one whose folder or file that is.

    Raises
    ------
    FileNotFoundError
        The model is known and not here; the text says where to get it.
    ValueError
        No such model, or one that cannot be run.
    """
    if name in MODELS:
        return found(name, MODELS[name])
    place = Path(name).expanduser()
    if (place / "model_index.json").is_file() or place.is_file():
        return Model(path=place)
    near = difflib.get_close_matches(name, MODELS, 1)
    raise ValueError(
        f"unknown model {name!r}{f'; did you mean {near[0]!r}?' if near else ';'} sdlab.MODELS has"
        f" {', '.join(MODELS)}. The path of a folder in diffusers' layout (one with a"
        " model_index.json), of a .safetensors or of a .ckpt file works too; nothing is downloaded"
    )


def found(name: str, model: Model) -> Model:
    """The row with a path, which sdlab looks for where it has none."""
    require_model(name, model)
    if model.path is not None:
        return model
    if model.unsupported:
        raise ValueError(f"model {name!r} ({model.title}) cannot be run: {model.unsupported}")
    place = model.located(name)
    if place is None:
        raise FileNotFoundError(how_to_get(name, model))
    return dataclasses.replace(model, path=place)


def layout(model: Model) -> Layout:
    """The facts in the model's folder, or in its file's configuration; an error says what is missing or cannot be run."""
    return layout_of(model.path, model.config, model.prediction_type)


@dataclass(frozen=True)
class Swaps:
    """What stands in place of a model's own parts, each with the fingerprint of its content.

    Parameters
    ----------
    vae : (Vae, fingerprint), optional
    loras : of (file, scale, fingerprint)
    embeddings : of (file, token, fingerprint)
    """

    vae: tuple[Vae, str] | None = None
    loras: tuple[tuple[Path, float, str], ...] = ()
    embeddings: tuple[tuple[Path, str, str], ...] = ()

    def __bool__(self) -> bool:
        return self != OWN

    def over(self, weights: str) -> str:
        """The fingerprint of these parts in a model of that fingerprint; its own without any."""
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
    """All that a request can inherit from its model, read once for many requests; `weights` are the model's own."""

    model: Model
    layout: Layout
    weights: str
    swaps: Swaps = OWN


CONFIGURATIONS: dict[str, Path] = {}  # fingerprint: folder, of the models that were asked for


def native(name: str) -> Native:
    """What the model of that name, in that folder or in that file, states about itself now."""
    model = find(name)
    own = Native(model, layout(model), fingerprint(model))
    CONFIGURATIONS[own.weights] = configuration(model.path, model.config, model.prediction_type)
    return own


def swapped(own: Native, request: Request) -> Native:
    """The same with the parts that a request puts in place of the model's.

    Raises
    ------
    FileNotFoundError, ValueError
        A file is missing, is something else, or was made for another kind of model.
    """
    if not (request.vae or request.lora or request.textual_inversion):
        return own
    added = [(each, file_at("lora", each.path)) for each in read_loras(request.lora)]
    learned = [
        (each, file_at("textual_inversion", each.path))
        for each in read_embeddings(request.textual_inversion)
    ]
    for _, file in added:
        require_lora(file, own.layout)
    tokens = [
        each.token or token
        for each, file in learned
        for token in [require_embedding(file, own.layout)]
    ]
    if len(set(tokens)) < len(tokens):
        raise ValueError(
            f"textual_inversion={request.textual_inversion!r:.200}: two of them have one token"
            f" (their tokens are {', '.join(tokens)}); say another for one, 'another=path'"
        )
    swaps = Swaps(
        fingerprinted(request.vae, own),
        tuple((file, each.scale, content(file)) for each, file in added),
        tuple((file, token, content(file)) for token, (_, file) in zip(tokens, learned)),
    )
    return dataclasses.replace(own, swaps=swaps)


def fingerprinted(vae: str | None, own: Native) -> tuple[Vae, str] | None:
    """The VAE of that name or in that place, and the fingerprint of its files; None if it is the model's own."""
    if vae is None:
        return None
    config = configuration(own.model.path, own.model.config, own.model.prediction_type)
    place = Path(own.model.path).expanduser().resolve()
    found, mine = (
        vae_named(vae, config),
        Vae(place if place.is_file() else place / "vae", config / "vae/config.json"),
    )
    prints = [_fingerprint(stamps(dict(each.files))) for each in (found, mine)]
    return None if prints[0] == prints[1] else (found, prints[0])


def content(file: Path) -> str:
    """The fingerprint of a file, wherever it lies and whatever it is called."""
    return _fingerprint(stamps({"file": file}))


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
    if own is None:
        with blame_field("model"):
            own = native(request.model)
    own = swapped(own, request)
    model, facts, weights = own.model, own.layout, own.swaps.over(own.weights)
    require_weights(request, weights, bool(own.swaps))
    if "weights" not in (request.prompt_syntax or ""):  # which says it better
        for name in PROMPTS:
            with blame_field(name):
                require_no_network(name, getattr(request, name))
    values = dict(
        guidance_scale=model.guidance_scale,
        num_inference_steps=model.num_inference_steps,
        height=facts.height,
        width=facts.width,
    )
    values |= fill_natives(request, facts)
    stated = {name: value for name, value in vars(request).items() if value is not None}
    values |= {name: stated[name] for name in (*FIELDS, "labels") if name in stated}
    values |= {"weights": weights, "watermark": mark_name(request.watermark)}
    with blame_field("scheduler"):
        values["scheduler"] = normalize_scheduler(request.scheduler or facts.scheduler)
    recipe = Recipe(**values)
    require_accepted(recipe.scheduler, recipe.num_inference_steps, recipe.eta)
    require_layers(recipe, facts.text_layers)
    require_steps(recipe.strength, recipe.num_inference_steps)
    require_scheduler(recipe, choose_task(recipe, facts.tasks))
    if recipe.watermark is not None:
        with blame_field("watermark"):
            require_room(recipe)
    return recipe


def require_weights(request: Request, weights: str, swapped: bool) -> None:
    """Refuses a request that was made for other weights."""
    if request.weights not in (None, weights):
        parts = " with the parts in their place" if swapped else ""
        raise FieldError(
            f"the weights of model {request.model!r}{parts} are {weights}, but the request was made"
            f" for {request.weights}; find those, or leave `weights` out to use what is there",
            "model",
        )


def require_layers(recipe: Recipe, layers: int) -> None:
    """Refuses to skip more layers than the text encoder has."""
    if recipe.clip_skip >= layers:
        raise FieldError(
            f"clip_skip={recipe.clip_skip}: the text encoder of {recipe.model!r} has {layers}"
            f" layers, so at most {layers - 1} can be skipped",
            "clip_skip",
        )


def mark_name(watermark: str | None) -> str | None:
    """Gives the one name of a mark: "StableDiffusionV1" and "sd-v1" are one recipe."""
    if watermark is None:
        return None
    from ..watermark.payloads import payload_of  # here alone: NumPy is not needed without a mark

    try:
        return payload_of(watermark).name
    except ValueError as error:
        text = f"watermark={watermark!r:.80}: {error}; None is for no mark"
        raise FieldError(text, "watermark") from None


def reads_input(request: Request, own: Native) -> bool:
    """Whether a VAE reads the input picture before denoising; the x4 upscaler takes it as it is."""
    return choose_task(request, own.layout.tasks).encodes


def denoised_key(request: Request, own: Native) -> str | None:
    """The key of the recipe without what comes after denoising, VAE and mark; None if a VAE reads a picture before that.

    Parameters
    ----------
    request : Request
        Resolved.
    own : Native
        The model without parts in place of its own.
    """
    if reads_input(request, own):
        return None
    swaps = dataclasses.replace(swapped(own, request).swaps, vae=None)
    return key_of(
        {name: value for name, value in request.to_dict().items() if name != "watermark"}
        | {"weights": swaps.over(own.weights)}
    )


def require_room(request: Request) -> None:
    """Refuses a mark that a picture of the resolved request's size cannot carry."""
    from ..watermark.dwtdct import MIN_AREA
    from ..watermark.payloads import payload_of

    area, payload = request.height * request.width, payload_of(request.watermark)
    if area < MIN_AREA:
        raise ValueError(
            f"watermark={request.watermark!r:.80}: a picture of {request.width}x{request.height} is"
            f" too small for a mark, which needs {MIN_AREA:,} pixels; ask for height=256, width=256"
            " or more"
        )
    if len(payload) > area // 64:
        raise ValueError(
            f"watermark={request.watermark!r:.80} has {len(payload):,} bits, but a picture of "
            f"{request.width}x{request.height} has room for {area // 64:,}; take a shorter text"
        )


def fingerprint(model: Model) -> str:
    """32 hexadecimal digits over the weights, configurations and tokenizer files.

    A single file counts with its configuration. The same weights as a folder and as a file have
    different fingerprints, so they make different recipes: which bits of a large file are whose is
    known only after it has been converted.
    """
    path = Path(model.path).expanduser().resolve()
    config = configuration(path, model.config, model.prediction_type)
    files = {file.relative_to(config).as_posix(): file for file in parts(config)}
    if path.is_file():
        stated = {
            name: file
            for name, file in files.items()
            if file.suffix in {".json", ".txt"} or name.startswith("depth_estimator/")
        }  # which no single file has
        files = stated | {"checkpoint": path}
        files |= {"merges": MERGES} if packed_tokenizer(config) else {}
    return _fingerprint(stamps(files))


def stamps(files: dict[str, Path]) -> tuple[tuple[str, str, int, int], ...]:
    """(name, path, size, time of the last change) of each file, which change when its content does."""
    return tuple(
        (name, str(file), (found := file.stat()).st_size, found.st_mtime_ns)
        for name, file in files.items()
    )


def parts(folder: Path) -> list[Path]:
    """The files that make the pictures: those in the folders that model_index.json names."""
    index = read_json(folder / "model_index.json")
    names = [
        name for name, value in index.items() if isinstance(value, list) and value[0] is not None
    ]
    files = [
        f
        for name in names
        for f in (folder / name).rglob("*")
        if f.suffix in {".safetensors", ".bin", ".json", ".txt"}
    ]
    return sorted(files)


@functools.lru_cache(64)
def _fingerprint(files: tuple[tuple[str, str, int, int], ...]) -> str:
    if not files:
        raise FileNotFoundError(
            "the model's folder holds no weights; is it complete, and in diffusers' layout?"
        )
    large = sum(size for _, _, size, _ in files) > LARGE
    signature = hashlib.sha256(repr(files).encode()).hexdigest()
    known = remembered() if large else {}
    if signature not in known:
        total = hashlib.sha256()
        for name, path, size, _ in files:
            total.update(f"{name} {size}\n".encode())
            with open(path, "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        known[signature] = total.hexdigest()[:32]
        if large:
            remember(known)
    return known[signature]


def remembered() -> dict[str, str]:
    try:
        return json.loads(HASH_CACHE.read_text())
    except (OSError, ValueError):
        return {}


def remember(known: dict[str, str]) -> None:
    """Keeps fingerprints for the next session; where that cannot be done, they are computed again."""
    partial = HASH_CACHE.with_suffix(f".{os.getpid()}")
    try:
        HASH_CACHE.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known))
        partial.replace(HASH_CACHE)
    except OSError:
        pass

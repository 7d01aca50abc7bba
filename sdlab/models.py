"""The models sdlab knows, the facts a model's folder states, and `resolve`: a request with nothing left open."""
from __future__ import annotations

import difflib
import functools
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from .embedded import TINY_V1
from .request import Request

SCHEDULERS = (  # each runs from the configuration of v1 and of v2 checkpoints
    "DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler", "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler", "LCMScheduler", "TCDScheduler",
    "SASolverScheduler")
HASH_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sdlab" / "fingerprints.json"
POINTER = 1000  # bytes; weights are larger, a pointer of git-lfs is not
FEW_STEPS = {"LCMScheduler": 50, "TCDScheduler": 50}  # they know no more steps than these
LARGE = 100_000_000  # bytes; fingerprints of models above are remembered between sessions


@dataclass(frozen=True, kw_only=True)
class Model:
    """A row of facts about a checkpoint.

    Parameters
    ----------
    path : str or Path
        A folder in diffusers' `StableDiffusionPipeline` layout.
    title, licence, source : str
        For people.
    text_encoder, trained_on : str
        For comparisons: what reads the prompt, and which pictures the model has learned from, in a short phrase each; "" if
        that is not known.
    watermark : str, optional
        The payload that its official script wrote into every picture, a name in `sdlab.watermark.PAYLOADS`.
    guidance_scale, num_inference_steps : float, int
        The native values, which a request that leaves them open gets.
    seconds_per_step : float, optional
        A picture's share of one denoising step on two CPU cores, for the first estimate of all.
    """

    path: str | Path
    title: str = ""
    text_encoder: str = ""
    trained_on: str = ""
    guidance_scale: float = 7.5
    num_inference_steps: int = 50
    licence: str = ""
    source: str = ""
    watermark: str | None = None
    seconds_per_step: float | None = None


MODELS: dict[str, Model] = {
    "tiny-v1": Model(
        path=TINY_V1, title="the embedded model: 64x64 pictures of a small world",
        text_encoder="as CLIP's, but of 2 layers and width 128, trained together with the UNet",
        trained_on="rendered pictures of 84 emoji and six shapes in ten colours, one to four in a picture, with captions",
        guidance_scale=4.0, num_inference_steps=20, licence="Apache-2.0; trained on pictures of Noto Color Emoji (OFL 1.1)",
        source="python -m sdlab.embedded.train", seconds_per_step=0.0033),
}


@dataclass(frozen=True)
class Layout:
    """What the JSON files of a model's folder say."""

    height: int
    width: int
    factor: int  # pixels of a picture to a pixel of its latents
    channels: int  # of the UNet's first block
    scheduler: str
    prediction_type: str
    text_layers: int
    text_width: int
    max_tokens: int


def find(name: str) -> Model:
    """The model of that name, or the one whose folder that is."""
    if name in MODELS:
        if not isinstance(MODELS[name], Model):
            raise TypeError(f"MODELS[{name!r}] is {MODELS[name]!r:.80}; it should be a Model(path=...)")
        return MODELS[name]
    folder = Path(name).expanduser()
    if (folder / "model_index.json").is_file():
        return Model(path=folder)
    if folder.is_file():
        raise ValueError(f"{name!r} is a single file; make a folder of it once with diffusers' "
                         "StableDiffusionPipeline.from_single_file(file).save_pretrained(folder), and give that folder")
    near = difflib.get_close_matches(name, MODELS, 1)
    raise ValueError(
        f"unknown model {name!r}{f'; did you mean {near[0]!r}?' if near else ';'} sdlab.MODELS has {', '.join(MODELS)}. "
        "The path of a folder in diffusers' layout (one with a model_index.json) works too; nothing is downloaded")


def layout(model: Model) -> Layout:
    """The facts in the model's folder; an error says what is missing there or cannot be run."""
    folder = Path(model.path).resolve()
    stated = [folder / f"{name}/{file}.json" for name, file in
              [("unet", "config"), ("vae", "config"), ("text_encoder", "config"), ("scheduler", "scheduler_config")]]
    return _layout(folder, tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in stated))


@functools.lru_cache(64)
def _layout(folder: Path, changed: tuple[int, ...]) -> Layout:
    """The facts, read again when one of the files has changed."""
    index = read_json(folder / "model_index.json")
    unet, vae = read_json(folder / "unet/config.json"), read_json(folder / "vae/config.json")
    text, scheduler = read_json(folder / "text_encoder/config.json"), read_json(folder / "scheduler/scheduler_config.json")
    require_runnable(folder, index, unet)
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    size = unet.get("sample_size") or 64
    height, width = (size, size) if isinstance(size, int) else size
    return Layout(
        height=height * factor, width=width * factor, factor=factor, channels=unet["block_out_channels"][0],
        scheduler=scheduler["_class_name"], prediction_type=scheduler.get("prediction_type", "epsilon"),
        text_layers=text.get("num_hidden_layers", 12), text_width=text.get("hidden_size", 512),
        max_tokens=text.get("max_position_embeddings", 77))


def require_runnable(folder: Path, index: dict, unet: dict) -> None:
    """Refuses what is no text-to-image model of this layout, or not all there."""
    kind = index.get("_class_name")
    if "text_encoder_2" in index or unet.get("addition_embed_type") or unet.get("in_channels") != 4:
        raise ValueError(f"{folder} is a {kind} whose UNet takes {unet.get('in_channels')} channels; text-to-image needs a "
                         "StableDiffusionPipeline (v1 or v2) whose UNet takes 4")
    for part in ("unet", "vae", "text_encoder"):
        weights = [f for f in (folder / part).glob("*") if f.suffix in (".safetensors", ".bin") and f.name.count(".") == 1]
        if not any(f.stat().st_size > POINTER for f in weights):
            raise FileNotFoundError(f"{folder / part} holds no weights (a .safetensors file without a variant in its name, "
                                    "and not the small pointer that git leaves in place of a large file)")
    if not (folder / "tokenizer").is_dir():
        raise FileNotFoundError(f"{folder / 'tokenizer'} is missing: is the model's folder complete?")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: is the model's folder complete, and in diffusers' layout?") from None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON: {error}") from None


@dataclass(frozen=True)
class Native:
    """All that a request can inherit from its model, read once for many requests."""

    model: Model
    layout: Layout
    weights: str


def native(name: str) -> Native:
    """What the model of that name, or in that folder, states about itself now."""
    model = find(name)
    return Native(model, layout(model), fingerprint(model))


def resolve(request: Request, own: Native | None = None) -> Request:
    """The request with every open field filled in from its model, and the fingerprint of the weights.

    Parameters
    ----------
    own : Native, optional
        `native(request.model)`, where many requests share a model.

    Raises
    ------
    ValueError
        Unknown model or scheduler, a value that this model cannot take, or weights other than the request names.
    """
    own = own or native(request.model)
    model, facts, weights = own.model, own.layout, own.weights
    if request.weights not in (None, weights):
        raise ValueError(f"the weights of model {request.model!r} are {weights}, but the request was made for "
                         f"{request.weights}; find those, or leave `weights` out to use what is there")
    scheduler = scheduler_name(request.scheduler or facts.scheduler)
    if request.eta and scheduler != "DDIMScheduler":
        raise ValueError(f"eta={request.eta} has a meaning for DDIMScheduler only, not for {scheduler}; use eta=0")
    steps = request.num_inference_steps or model.num_inference_steps
    if steps > FEW_STEPS.get(scheduler, steps):
        raise ValueError(f"num_inference_steps={steps}: {scheduler} takes at most {FEW_STEPS[scheduler]}")
    if request.clip_skip >= facts.text_layers:
        raise ValueError(f"clip_skip={request.clip_skip}: the text encoder of {request.model!r} has {facts.text_layers} "
                         f"layers, so at most {facts.text_layers - 1} can be skipped")
    values = dict(guidance_scale=model.guidance_scale, num_inference_steps=model.num_inference_steps,
                  height=facts.height, width=facts.width)
    resolved = request.but(scheduler=scheduler, weights=weights,
                           **{name: value for name, value in values.items() if getattr(request, name) is None})
    if resolved.watermark is not None:
        require_room(resolved)
    return resolved


def require_room(request: Request) -> None:
    """Refuses a mark that a picture of the resolved request's size cannot carry."""
    from .watermark.dwtdct import MIN_AREA
    from .watermark.payloads import payload_of

    area, payload = request.height * request.width, payload_of(request.watermark)
    if area < MIN_AREA:
        raise ValueError(f"watermark={request.watermark!r:.80}: a picture of {request.width}x{request.height} is too small for "
                         f"a mark, which needs {MIN_AREA:,} pixels; ask for height=256, width=256 or more")
    if len(payload) > area // 64:
        raise ValueError(f"watermark={request.watermark!r:.80} has {len(payload):,} bits, but a picture of "
                         f"{request.width}x{request.height} has room for {area // 64:,}; take a shorter text")


def scheduler_name(name: str) -> str:
    """The diffusers class name for "DDIM" or "DDIMScheduler", upper or lower case."""
    full = {s.removesuffix("Scheduler").lower(): s for s in SCHEDULERS}
    short = name.lower().removesuffix("scheduler")
    if short not in full:
        near = [name for name in full if name.startswith(short)] or difflib.get_close_matches(short, full, 1)
        hint = f"did you mean {full[near[0]]!r}? " if near else ""
        raise ValueError(f"unknown scheduler {name!r}; {hint}these run: {', '.join(SCHEDULERS)}")
    return full[short]


def fingerprint(model: Model) -> str:
    """32 hexadecimal digits over the weights, configurations and tokenizer files of a model's folder."""
    files = parts(Path(model.path).resolve())
    return _fingerprint(tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files))


def parts(folder: Path) -> list[Path]:
    """The files that make the pictures: those in the folders that model_index.json names."""
    index = read_json(folder / "model_index.json")
    names = [name for name, value in index.items() if isinstance(value, list) and value[0] is not None]
    files = [f for name in names for f in (folder / name).rglob("*") if f.suffix in {".safetensors", ".bin", ".json", ".txt"}]
    return sorted(files)


@functools.lru_cache(64)
def _fingerprint(files: tuple[tuple[str, int, int], ...]) -> str:
    if not files:
        raise FileNotFoundError("the model's folder holds no weights; is it complete, and in diffusers' layout?")
    large = sum(size for _, size, _ in files) > LARGE
    signature = hashlib.sha256(repr(files).encode()).hexdigest()
    known = remembered() if large else {}
    if signature not in known:
        total = hashlib.sha256()
        top = os.path.commonpath([os.path.dirname(os.path.dirname(name)) for name, _, _ in files])
        for name, size, _ in files:
            total.update(f"{Path(name).relative_to(top).as_posix()} {size}\n".encode())
            with open(name, "rb") as file:
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

"""Single-file checkpoints: what their heads say, which packed configuration fits, and their way into diffusers.

The packs in `configs/` hold no weights: the networks' configurations and schedulers as the
originals have them, and once the merges of CLIP's tokenizer.
"""

from __future__ import annotations

import bz2
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from .heads import PICKLES, Shapes, read_shapes
from .locate import SUFFIXES
from .pickles import harmless
from .tasks import NOT_RUN, find_tasks, list_channels

CONFIGS = Path(__file__).with_name("configs")
MERGES = CONFIGS / "clip-merges.txt.bz2"
UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT = {"v1": "cond_stage_model.transformer.", "v2": "cond_stage_model.model."}
PREDICTION = {"v2-base": "epsilon", "v2-768": "v_prediction"}


def family(path: Path) -> str:
    """ "v1" or "v2", from the names and shapes of the tensors; an error says what else the file is."""
    require_suffix(path)
    found = read_shapes(path)
    missing = [
        prefix for prefix in (UNET, VAE) if not any(name.startswith(prefix) for name in found)
    ]
    known = [
        kind for kind, prefix in TEXT.items() if any(name.startswith(prefix) for name in found)
    ]
    if missing or not known:
        raise ValueError(
            f"{path} is {describe_other(found)}, not a whole checkpoint of Stable Diffusion v1 or v2 "
            "(UNet, VAE and text encoder in one file, with the names of the original release)"
        )
    channels = channels_in(path)
    if not find_tasks(channels):
        raise ValueError(
            f"{path} is {NOT_RUN.get(channels, 'damaged')}: its UNet takes {channels} channels,"
            f" where sdlab knows {list_channels()}"
        )
    return known[0]


def require_suffix(path: Path) -> None:
    """Refuses a file of another kind than single-file checkpoints are."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{path} is no checkpoint that sdlab reads; those end in {', '.join(SUFFIXES)}"
        )


def channels_in(path: Path) -> int:
    """How many channels the UNet takes; 0 if that cannot be seen."""
    return read_shapes(path).get(f"{UNET}input_blocks.0.0.weight", (0, 0))[1]


def describe_other(found: Shapes) -> str:
    """In a few words, what a file with such tensors is."""
    names = " ".join(found)
    if "lora" in names:
        return "a LoRA, which changes a model and is none"
    if "conditioner.embedders." in names:
        return "a checkpoint of SDXL, which has two text encoders"
    if "control_model." in names or "controlnet" in names:
        return "a ControlNet"
    if UNET in names:
        return "a checkpoint without its VAE or text encoder"
    if "decoder.conv_in.weight" in found or VAE in names:
        return "a VAE alone"
    if "down_blocks.0" in names:
        return "one part of a model in diffusers' layout; give the folder with model_index.json"
    if len(found) <= 4 and all(len(shape) in (1, 2) for shape in found.values()):
        return "a textual inversion, words for a model and none itself" if found else "empty"
    return f"something else (its tensors are {', '.join(sorted(found)[:3])}...)"


def pack(path: Path, prediction_type: str = "") -> Path:
    """The packed configuration that fits the file.

    v2-base and v2-768 have the same tensors and predict different things, so for v2 the file's name
    must tell (768, or 512 or base), or `prediction_type` ("v_prediction" or "epsilon").
    """
    kind, task = family(path), find_tasks(channels_in(path))[0]
    if task.pack is None:
        raise ValueError(
            f"{path} is {task.title}, and no configuration of such models comes with sdlab;"
            " give config=, the folder of one in diffusers' layout: MODELS['mine'] ="
            " Model.from_path(path, config='folder')"
        )
    if kind == "v1":
        if prediction_type not in ("", "epsilon"):
            raise ValueError(
                f"prediction_type={prediction_type!r}: {path} is of v1, which predicts 'epsilon';"
                " if it was trained otherwise, give config=, a folder with its model_index.json"
                " and configurations"
            )
        return CONFIGS / f"v1{task.pack}"
    if prediction_type not in ("", *PREDICTION.values()):
        raise ValueError(
            f"prediction_type={prediction_type!r} is not one of {', '.join(PREDICTION.values())}"
        )
    if task.pack and prediction_type == "v_prediction":
        raise ValueError(
            f"{path} is {task.title}, and the configuration for that in sdlab predicts"
            " 'epsilon'; give config=, a folder with the model_index.json and configurations of"
            " this model"
        )
    if task.pack:  # the one of its kind
        return CONFIGS / f"v2{task.pack}"
    named = [
        name
        for name, hint in (("v2-768", r"768|v[-_]?pred"), ("v2-base", r"512|base|eps"))
        if re.search(hint, path.stem.lower())
    ]
    named = [name for name, kind in PREDICTION.items() if kind == prediction_type] or named
    if len(named) != 1:
        raise ValueError(
            f"{path} is of v2, and nothing in the file tells which: 512x512, which predicts"
            " 'epsilon', or 768x768, which predicts 'v_prediction'. Say it: MODELS['mine'] ="
            " Model.from_path(path, prediction_type='v_prediction')"
        )
    return CONFIGS / named[0]


def require_fit(path: Path, config: Path) -> None:
    """Refuses a file whose sizes are not those of the configuration, without loading a library."""
    found, kind = read_shapes(path), family(path)
    unet, text = (
        json.loads((config / part / "config.json").read_text(encoding="utf-8"))
        for part in ("unet", "text_encoder")
    )
    if unet["in_channels"] != channels_in(path):
        raise ValueError(
            f"{path} is {find_tasks(channels_in(path))[0].title}: its UNet takes {channels_in(path)} channels,"
            f" and that of the configuration {config.name!r} {unet['in_channels']}; give config=,"
            " the folder of a model of this kind"
        )
    position = {
        "v1": "text_model.embeddings.position_embedding.weight",
        "v2": "positional_embedding",
    }[kind]
    for name, width in (
        (f"{UNET}input_blocks.0.0.weight", unet["block_out_channels"][0]),
        (TEXT[kind] + position, text["hidden_size"]),
    ):
        shape = found.get(name)
        if shape is None:
            raise ValueError(f"{path} lacks {name}: is it whole?")
        if width not in shape[:1] + shape[-1:]:
            raise ValueError(
                f"{path} does not fit the configuration {config.name!r}: {name} has the shape"
                f" {shape}, where {width} is expected; give config=, a folder with the"
                " model_index.json and configurations of this model"
            )


def require_complete(path: Path, config: Path) -> None:
    """Compares all names and shapes with those of the networks, before any weights are read."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders import single_file_utils as names
    from transformers import CLIPTextConfig, CLIPTextModel

    given = {name: torch.empty(shape, device="meta") for name, shape in read_shapes(path).items()}
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(config / "unet"))
        vae = AutoencoderKL.from_config(AutoencoderKL.load_config(config / "vae"))
        text = CLIPTextModel(CLIPTextConfig.from_pretrained(config / "text_encoder"))
    kind = family(path)
    for part, network, converted in (
        ("UNet", unet, lambda: names.convert_ldm_unet_checkpoint(dict(given), config=unet.config)),
        ("VAE", vae, lambda: names.convert_ldm_vae_checkpoint(dict(given), vae.config)),
        (
            "text encoder",
            text,
            lambda: (
                names.convert_ldm_clip_checkpoint(dict(given))
                if kind == "v1"
                else names.convert_open_clip_checkpoint(text, dict(given), prefix=TEXT["v2"])
            ),
        ),
    ):
        try:
            require_same(f"{path}: its {part}", network.state_dict(), converted())
        except KeyError as error:
            raise ValueError(
                f"{path}: its {part} lacks {error}; is the file whole, and of this kind?"
            ) from None


def require_same(whose: str, wanted: dict[str, Any], found: dict[str, Any]) -> None:
    """Refuses missing tensors and those of another shape; what is there besides is ignored, as diffusers does."""
    plain = {name.removeprefix("text_model."): tensor.shape for name, tensor in found.items()}
    shape = {name.removeprefix("text_model."): tensor.shape for name, tensor in wanted.items()}
    missing = [name for name in shape if name not in plain and not name.endswith("position_ids")]
    other = [name for name in shape if name in plain and plain[name] != shape[name]]
    if missing:
        raise ValueError(
            f"{whose} lacks {len(missing)} of {len(shape)} tensors ({', '.join(missing[:3])}); is"
            " the file whole?"
        )
    if other:
        raise ValueError(
            f"{whose} is another: {other[0]} has the shape {tuple(plain[other[0]])}, not"
            f" {tuple(shape[other[0]])}"
        )


def pipeline(path: Path, config: Path, dtype: Any) -> Any:
    """The diffusers pipeline of a single file, offline."""
    import diffusers

    require_complete(path, config)
    own = getattr(diffusers, find_tasks(channels_in(path))[0].pipeline)
    kind = own if hasattr(own, "from_single_file") else diffusers.StableDiffusionPipeline
    with harmless() if path.suffix.lower() in PICKLES else nullcontext():
        pipe = kind.from_single_file(
            str(path),
            config=str(config),
            tokenizer=tokenizer(config),
            dtype=dtype,
            local_files_only=True,
        )
    return pipe if kind is own else with_depth(pipe, config, dtype)


def with_depth(pipe: Any, config: Path, dtype: Any) -> Any:
    """The pipeline guided by depth, with the estimator that lies beside the configurations, or none."""
    from diffusers import StableDiffusionDepth2ImgPipeline
    from transformers import DPTForDepthEstimation

    parts = {
        name: getattr(pipe, name)
        for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")
    }
    estimator = processor = None
    if any(
        file.suffix in (".safetensors", ".bin") for file in (config / "depth_estimator").glob("*")
    ):
        estimator = DPTForDepthEstimation.from_pretrained(
            config / "depth_estimator", dtype=dtype, local_files_only=True
        )
        processor = read_depth_processor(config)
    return StableDiffusionDepth2ImgPipeline(
        **parts, depth_estimator=estimator, feature_extractor=processor
    )


def read_depth_processor(folder: Path) -> Any:
    """Reads what prepares pictures for a model's depth estimator."""
    from transformers import DPTImageProcessorPil

    return DPTImageProcessorPil.from_pretrained(folder / "feature_extractor", local_files_only=True)


def packed_tokenizer(config: Path) -> bool:
    """Whether the folder leaves out the vocabulary, which is CLIP's then."""
    return not any(
        (config / "tokenizer" / name).is_file() for name in ("merges.txt", "tokenizer.json")
    )


def tokenizer(config: Path) -> Any:
    """The tokenizer of a folder of configurations."""
    from transformers import CLIPTokenizer

    if not packed_tokenizer(config):
        return CLIPTokenizer.from_pretrained(config / "tokenizer", local_files_only=True)
    stated = json.loads((config / "tokenizer/tokenizer_config.json").read_text())
    merges = [
        tuple(line.split(" ")) for line in bz2.decompress(MERGES.read_bytes()).decode().split("\n")
    ]
    return CLIPTokenizer(vocab=vocabulary(merges), merges=merges, **stated)


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """CLIP's tokens in their order: 256 symbols for the bytes, these at the end of a word, each merge, two marks."""
    plain = [byte for byte in range(256) if chr(byte).isprintable() and byte != 32]
    symbols = [chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    whole = [a + b for a, b in merges]
    tokens = [
        *symbols,
        *(f"{symbol}</w>" for symbol in symbols),
        *whole,
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    return {token: number for number, token in enumerate(tokens)}

"""Single-file checkpoints: what their heads say, their configurations, their way into diffusers.

The packs in `configs/` hold no weights: the networks' configurations and schedulers as the
originals have them, and once the merges of CLIP's tokenizer.
"""

from __future__ import annotations

import bz2
import inspect
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .heads import PICKLES, Shapes, read_shapes, remember_file
from .locate import SUFFIXES, find_weights, list_encoders, name_tokenizer
from .pickles import read_tensors
from .tasks import NOT_RUN, find_tasks, list_channels

CONFIGS = Path(__file__).with_name("configs")
MERGES = CONFIGS / "clip-merges.txt.bz2"
UNET, VAE = "model.diffusion_model.", "first_stage_model."
TEXT = {  # {family: {text encoder: what the names of its tensors begin with}}
    "v1": {"text_encoder": "cond_stage_model.transformer."},
    "v2": {"text_encoder": "cond_stage_model.model."},
    "sdxl": {
        "text_encoder": "conditioner.embedders.0.transformer.",
        "text_encoder_2": "conditioner.embedders.1.model.",
    },
    "sdxl-refiner": {"text_encoder_2": "conditioner.embedders.0.model."},
}
CLASSES = {"sdxl": "StableDiffusionXLPipeline", "sdxl-refiner": "StableDiffusionXLImg2ImgPipeline"}
TITLES = {"unet": "UNet", "vae": "VAE", "text_encoder": "text encoder"}
TITLES |= {"text_encoder_2": "second text encoder"}
OTHERS = {  # what is in the names of tensors: what the file is
    "lora": "a LoRA, which changes a model and is none",
    r"conditioner\.embedders\.": "a part of a checkpoint of SDXL",
    r"control_model\.|controlnet": "a ControlNet",
    re.escape(UNET): "a checkpoint without its VAE or text encoder",
    rf"(^| )decoder\.conv_in\.weight( |$)|{re.escape(VAE)}": "a VAE alone",
    r"down_blocks\.0": (
        "one part of a model in diffusers' layout; give the folder with model_index.json"
    ),
}
WRAPPERS = re.compile(r"(?:^|(?<=\.))(module|_orig_mod)\.")  # of DataParallel, of torch.compile
OLDER_TEXT = re.compile(
    r"^(?:cond_stage_model|conditioner\.embedders\.0)\.transformer\."
    r"(?=(embeddings|encoder|final_layer_norm)\.)"
)
OLDER_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
V_MARK = "v_pred"  # a tensor by which some trainers of SDXL say what it predicts
PREDICTION = {"v2-base": "epsilon", "v2-768": "v_prediction"}


def name_originally(found: dict[str, Any]) -> dict[str, Any]:
    """Gives tensors the names of the original release.

    Training on several cards, and torch.compile, put a word of theirs into each name; transformers
    before 4 and from 5.6 on have no "text_model." in those of the text encoder.
    """
    bare = {WRAPPERS.sub("", name): value for name, value in found.items()}
    return {OLDER_TEXT.sub(r"\g<0>text_model.", name): bare[name] for name in bare}


@remember_file
def read_head(path: Path) -> Shapes:
    """Reads the shapes of a single file's tensors, by the names of the original release."""
    return name_originally(read_shapes(path))


def read_originals(path: Path) -> dict[str, Any]:
    """Reads the tensors of a single file, by the names of the original release."""
    from safetensors.torch import load_file

    safe = path.suffix.lower() not in PICKLES
    return name_originally(load_file(path) if safe else read_tensors(path))


def tell_family(path: Path) -> str:
    """Tells the family, as in `TEXT`, by the names of tensors; an error says what else it is."""
    require_suffix(path)
    found, channels = read_head(path), count_channels(path)
    known = [
        family
        for family, parts in TEXT.items()
        if all(any(name.startswith(prefix) for name in found) for prefix in parts.values())
    ]
    if not known or not all(any(n.startswith(part) for n in found) for part in (UNET, VAE)):
        raise ValueError(
            f"{path} is {describe_other(found)}, not a whole checkpoint of Stable Diffusion v1, v2"
            " or SDXL (UNet, VAE and text encoder in one file, with the names of the original"
            " release)"
        )
    if not find_tasks(channels, CLASSES.get(known[0], "")):
        raise ValueError(
            f"{path} is {NOT_RUN.get(channels, 'damaged')}: its UNet takes {channels} channels,"
            f" where sdlab knows {list_channels()}"
        )
    return known[0]


def require_suffix(path: Path, known: tuple[str, ...] = SUFFIXES) -> None:
    """Refuses a file of another kind than single-file checkpoints are."""
    if path.suffix.lower() not in known:
        raise ValueError(
            f"{path} is no checkpoint that sdlab reads; those end in {', '.join(known)}"
        )


def count_channels(path: Path) -> int:
    """Counts the channels that a single file's UNet takes; 0 if that cannot be seen."""
    return read_head(path).get(f"{UNET}input_blocks.0.0.weight", (0, 0))[1]


def describe_other(found: Shapes) -> str:
    """Says in a few words what a file with such tensors is."""
    names = " ".join(found)
    for sign, what in OTHERS.items():
        if re.search(sign, names):
            return what
    if len(found) <= 4 and all(len(shape) in (1, 2) for shape in found.values()):
        return "a textual inversion, words for a model and none itself" if found else "empty"
    return f"something else (its tensors are {', '.join(sorted(found)[:3])}...)"


def choose_pack(path: Path, prediction_type: str = "") -> Path:
    """Chooses the packed configuration that fits a single file.

    v2-base and v2-768 have the same tensors and predict different things, so for v2 the file's name
    must tell (768, or 512 or base), or `prediction_type` ("v_prediction" or "epsilon").
    """
    kind = tell_family(path)
    task = find_tasks(count_channels(path), CLASSES.get(kind, ""))[0]
    if task.pack is None:
        raise ValueError(
            f"{path} is {task.title}, and no configuration of such models comes with sdlab;"
            " give config=, the folder of one in diffusers' layout: MODELS['mine'] ="
            " Model.from_path(path, config='folder')"
        )
    said = "v_prediction" if V_MARK in read_head(path) else prediction_type
    if kind != "v2" and said not in ("", "epsilon"):
        raise ValueError(
            f"prediction_type={said!r}: {path} is of {kind}, which predicts 'epsilon'; if it"
            " was trained otherwise, give config=, a folder with its model_index.json and"
            " configurations"
        )
    if prediction_type not in ("", *PREDICTION.values()):
        raise ValueError(
            f"prediction_type={prediction_type!r} is not one of {', '.join(PREDICTION.values())}"
        )
    if task.pack and prediction_type == "v_prediction":
        raise ValueError(
            f"{path} is {task.title}, and the configuration for that in sdlab predicts 'epsilon';"
            " give config=, a folder with the model_index.json and configurations of this model"
        )
    if kind != "v2" or task.pack:
        return CONFIGS / f"{kind}{task.pack}"
    return CONFIGS / tell_v2(path, prediction_type)


def tell_v2(path: Path, prediction_type: str) -> str:
    """Tells which v2 a file is, by what it predicts, or else by its name."""
    hints = {"v2-768": r"768|v[-_]?pred", "v2-base": r"512|base|eps"}
    by_name = [name for name, hint in hints.items() if re.search(hint, path.stem.lower())]
    names = [name for name, kind in PREDICTION.items() if kind == prediction_type] or by_name
    if len(names) != 1:
        raise ValueError(
            f"{path} is of v2, and nothing in the file tells which: 512x512, which predicts"
            " 'epsilon', or 768x768, which predicts 'v_prediction'. Say it: MODELS['mine'] ="
            " Model.from_path(path, prediction_type='v_prediction')"
        )
    return names[0]


def require_fit(path: Path, config: Path) -> None:
    """Refuses a file whose sizes are not those of the configuration, without loading a library."""
    found, encoders = read_head(path), TEXT[family := tell_family(path)]
    unet, *texts = (read_config(config / part) for part in ("unet", *encoders))
    channels = count_channels(path)
    if unet["in_channels"] != channels:
        title = find_tasks(channels, CLASSES.get(family, ""))[0].title
        raise ValueError(
            f"{path} is {title}: its UNet takes {channels} channels, and"
            f" that of the configuration {config.name!r} {unet['in_channels']}; give config=, the"
            " folder of a model of this kind"
        )
    for name, width in (
        (f"{UNET}input_blocks.0.0.weight", unet["block_out_channels"][0]),
        *zip(map(name_positions, encoders.values()), (text["hidden_size"] for text in texts)),
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


def read_config(folder: Path) -> dict[str, Any]:
    """Reads a network's config.json."""
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{folder} has no config.json; is config= of a model of this kind?"
        ) from None


def name_positions(prefix: str) -> str:
    """Names the tensor of a text encoder's positions: OpenCLIP's, or transformers'."""
    own = "positional_embedding"
    return prefix + (
        own if is_openclip(prefix) else "text_model.embeddings.position_embedding.weight"
    )


def is_openclip(prefix: str) -> bool:
    """Tells whether what begins so is OpenCLIP's."""
    return prefix.endswith(".model.")


def require_complete(path: Path, config: Path) -> None:
    """Compares all names and shapes with those of the networks, before any weights are read."""
    import torch

    shapes = read_head(path).items()
    given = {name: torch.empty(shape, device="meta") for name, shape in shapes}
    for part, network in build_networks(config).items():
        require_same(
            f"{path}: its {TITLES[part]}", network, partial(convert_part, part, network, given)
        )


def build_networks(config: Path) -> dict[str, Any]:
    """Builds the networks that a folder of configurations describes, without weights."""
    from accelerate import init_empty_weights
    from diffusers import UNet2DConditionModel

    index = json.loads((config / "model_index.json").read_text(encoding="utf-8"))
    with init_empty_weights(include_buffers=False):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(config / "unet"))
        texts = {name: build_text_encoder(config / name) for name in list_encoders(index)}
    return {"unet": unet, "vae": build_vae(config / "vae"), **texts}


def build_text_encoder(folder: Path) -> Any:
    """Builds the text encoder that a folder describes; the second of SDXL has a projection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    kind = CLIPTextModelWithProjection if folder.name == "text_encoder_2" else CLIPTextModel
    return kind(CLIPTextConfig.from_pretrained(folder))


def build_vae(config: Path) -> Any:
    """Builds the VAE that a folder's or file's configuration describes, without weights."""
    from accelerate import init_empty_weights
    from diffusers import AutoencoderKL

    with init_empty_weights(include_buffers=False):
        return AutoencoderKL.from_config(AutoencoderKL.load_config(config))


def convert_part(part: str, network: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Converts the tensors of a single file that are a part's to the names of its network."""
    from diffusers.loaders import single_file_utils as names

    if part == "unet":
        return names.convert_ldm_unet_checkpoint(dict(given), config=network.config)
    if part == "vae":
        return convert_vae(network, given)
    begins = [parts[part] for parts in TEXT.values() if part in parts]
    prefix = next(each for each in begins if any(name.startswith(each) for name in given))
    if is_openclip(prefix):
        found = names.convert_open_clip_checkpoint(network, given, prefix=prefix)
    else:
        found = names.convert_ldm_clip_checkpoint(given)
    within = "" if hasattr(network, "text_projection") else "text_model."
    return {name.removeprefix(within): tensor for name, tensor in found.items()}


def convert_vae(network: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Converts the tensors of a VAE, alone or in a checkpoint, to the names of its network.

    They may have those names already, of today or, in its attention, of 2022.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    found = list_vae(given)
    if not any("up_blocks." in name for name in found):
        return convert_ldm_vae_checkpoint(found, network.config)
    old = re.compile(rf"(?<=attentions\.\d\.)({'|'.join(OLDER_ATTENTION)})(?=\.)")
    return {old.sub(lambda m: OLDER_ATTENTION[m[1]], name): found[name] for name in found}


def list_vae(given: dict[str, Any]) -> dict[str, Any]:
    """Lists what in a file belongs to a VAE, by names without what stands in front of them."""
    parts = ("encoder", "decoder", "quant_conv", "post_quant_conv")
    bare = {re.sub(rf"^({re.escape(VAE)}|vae\.)", "", name): each for name, each in given.items()}
    return {name: each for name, each in bare.items() if name.split(".")[0] in parts}


def require_same(whose: str, network: Any, convert: Callable[[], dict[str, Any]]) -> None:
    """Refuses tensors that do not fill a network, or are of other shapes.

    What is there besides is ignored, as diffusers does.
    """
    try:
        converted = convert()
    except KeyError as error:
        raise ValueError(f"{whose} lacks {error}; is the file whole, and of this kind?") from None
    found, wanted = (
        {name: tuple(tensor.shape) for name, tensor in each.items()}
        for each in (converted, network.state_dict())
    )
    missing = [name for name in wanted if name not in found and not name.endswith("position_ids")]
    if missing:
        others = [name for name in found if name not in wanted]
        besides = f", and has others ({', '.join(others[:2])})" if others else ""
        raise ValueError(
            f"{whose} lacks {len(missing)} of {len(wanted)} tensors ({', '.join(missing[:3])})"
            f"{besides}; is the file whole, and of this kind? Fetch it again, or give another"
        )
    for name, shape in wanted.items():
        if found.get(name, shape) != shape:
            raise ValueError(
                f"{whose} is another: {name} has the shape {found[name]}, not {shape}; give"
                " config=, a folder with the configurations of this model"
            )


def fill_network(network: Any, converted: dict[str, Any], dtype: Any) -> Any:
    """Fills a network that was built without weights; what is there besides is left out."""
    network.load_state_dict(converted, strict=False, assign=True)
    return network.to(dtype).eval()


def open_single_file(path: Path, config: Path, dtype: Any) -> Any:
    """Opens the diffusers pipeline of a single file, offline.

    A depth estimator is that beside the configurations, or none.
    """
    import diffusers

    index = json.loads((config / "model_index.json").read_text(encoding="utf-8"))
    tasks = find_tasks(count_channels(path), index.get("_class_name", ""))
    kind = getattr(diffusers, tasks[0].pipeline)
    given = read_originals(path)
    parts: dict[str, Any] = {
        part: fill_network(network, convert_part(part, network, given), dtype)
        for part, network in build_networks(config).items()
    }
    for name in map(name_tokenizer, list_encoders(index)):
        parts[name] = read_tokenizer(config, name)
    takes = inspect.signature(kind).parameters
    left = ("safety_checker", "feature_extractor", "depth_estimator")
    parts |= {name: None for name in left if name in takes}
    if find_weights(config / "depth_estimator"):  # without a variant
        parts["feature_extractor"] = read_depth_processor(config)
        del parts["depth_estimator"]
    return kind.from_pretrained(config, **parts, dtype=dtype, local_files_only=True)


def read_depth_processor(folder: Path) -> Any:
    """Reads what prepares pictures for a model's depth estimator."""
    from transformers import DPTImageProcessorPil

    return DPTImageProcessorPil.from_pretrained(folder / "feature_extractor", local_files_only=True)


def has_packed_tokenizer(config: Path, part: str = "tokenizer") -> bool:
    """Tells whether a folder leaves out the tokenizer's vocabulary, which is CLIP's then."""
    folder = config / part
    return not any((folder / name).is_file() for name in ("merges.txt", "tokenizer.json"))


def read_tokenizer(config: Path, part: str = "tokenizer") -> Any:
    """Reads a tokenizer of a folder of configurations."""
    from transformers import CLIPTokenizer

    if not has_packed_tokenizer(config, part):
        return CLIPTokenizer.from_pretrained(config / part, local_files_only=True)
    options = json.loads((config / part / "tokenizer_config.json").read_text())
    lines = bz2.decompress(MERGES.read_bytes()).decode().split("\n")
    merges: Any = [tuple(line.split(" ")) for line in lines]
    return CLIPTokenizer(vocab=number_tokens(merges), merges=merges, **options)


def number_tokens(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Numbers CLIP's tokens: 256 symbols, these at the end of a word, each merge, two marks."""
    plain = [byte for byte in range(256) if chr(byte).isprintable() and byte != 32]
    symbols = [chr(byte) for byte in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    ends, whole = [f"{symbol}</w>" for symbol in symbols], [a + b for a, b in merges]
    tokens = [*symbols, *ends, *whole, "<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}

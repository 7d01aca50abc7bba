"""Small models, and heads of real size, in files that name their tensors as the original release."""

import json
import re
import struct

import numpy as np
from conftest import NOISE, write_tokenizer

V1 = dict(
    unet=dict(cross_attention_dim=32, attention_head_dim=8, sample_size=8),
    text=dict(num_hidden_layers=3, hidden_act="quick_gelu"),
)


V2 = dict(
    unet=dict(
        cross_attention_dim=32,
        attention_head_dim=[2, 4, 8, 8],
        sample_size=12,
        use_linear_projection=True,
    ),
    text=dict(num_hidden_layers=2, hidden_act="gelu"),
)


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def write_folder(folder, kind):
    """A StableDiffusionPipeline of the real layout, two resnets a level as the originals have, with random weights."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        PNDMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    parts, words = {"v1": V1, "v2": V2}[kind], write_tokenizer(folder / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=32,
            intermediate_size=128,
            num_attention_heads=4,
            max_position_embeddings=77,
            projection_dim=32,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
            **parts["text"],
        )
    )
    vae = AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=2,
        norm_num_groups=4,
        sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
    )
    unet = UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(32, 64, 64, 64),
        norm_num_groups=8,
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        **parts["unet"],
    )
    scheduler = (
        PNDMScheduler(skip_prk_steps=True, **NOISE)
        if kind == "v1"
        else DDIMScheduler(prediction_type="v_prediction", clip_sample=False, **NOISE)
    )
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text,
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def original_unet(name):
    """The name that the original release has for a tensor of diffusers' UNet."""
    for theirs, ours in {
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_in": "input_blocks.0.0",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }.items():
        name = re.sub(f"^{re.escape(theirs)}\\b", ours, name)
    if found := re.match(
        r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.*)", name
    ):
        side, i, what, j, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
        if what == "downsamplers":
            return f"input_blocks.{3 * i + 3}.0.op.{rest.removeprefix('conv.')}"
        if what == "upsamplers":
            return f"output_blocks.{3 * i + 2}.{1 if i == 0 else 2}.{rest}"
        block = f"input_blocks.{3 * i + j + 1}" if side == "down" else f"output_blocks.{3 * i + j}"
        name = f"{block}.{0 if what == 'resnets' else 1}.{rest}"
    for theirs, ours in RESNET.items():
        name = (
            re.sub(rf"\b{theirs}\b(?=\.(weight|bias)$)", ours, name)
            if "transformer_blocks" not in name
            else name
        )
    return name


def original_vae(name):
    for pattern, ours in [
        (r"down_blocks\.(\d)\.resnets\.", r"down.\1.block."),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets\.", lambda m: f"up.{3 - int(m[1])}.block."),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
        (r"mid_block\.resnets\.0", "mid.block_1"),
        (r"mid_block\.resnets\.1", "mid.block_2"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0", "mid.attn_1"),
        ("to_q", "q"),
        ("to_k", "k"),
        ("to_v", "v"),
        (r"to_out\.0", "proj_out"),
        ("conv_shortcut", "nin_shortcut"),
        ("conv_norm_out", "norm_out"),
    ]:
        name = re.sub(pattern, ours, name)
    return name


def original_text(weights, kind):
    """{name in the original release: tensor}: CLIP's own names in v1, OpenCLIP's with q, k and v in one in v2."""
    import torch

    weights = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    if kind == "v1":
        return {f"transformer.text_model.{name}": tensor for name, tensor in weights.items()}
    found = {
        "model.token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "model.positional_embedding": weights["embeddings.position_embedding.weight"],
    }
    for name, tensor in weights.items():
        for theirs, ours in {
            "final_layer_norm": "ln_final",
            "layer_norm1": "ln_1",
            "layer_norm2": "ln_2",
            "mlp.fc1": "mlp.c_fc",
            "mlp.fc2": "mlp.c_proj",
            "self_attn.out_proj": "attn.out_proj",
            "encoder.layers": "transformer.resblocks",
        }.items():
            name = name.replace(theirs, ours)
        if "q_proj" in name:
            layer, end = re.match(r"(.*)\.self_attn\.q_proj\.(\w+)", name).groups()
            source = layer.replace("transformer.resblocks", "encoder.layers")
            found[f"model.{layer}.attn.in_proj_{end}"] = torch.cat(
                [weights[f"{source}.self_attn.{each}_proj.{end}"] for each in "qkv"]
            )
        elif "self_attn" not in name and "embeddings" not in name:
            found[f"model.{name}"] = tensor
    return found


def original(folder, kind):
    """All tensors of a diffusers folder, named and shaped as in the single file of the original release."""
    from safetensors.torch import load_file

    return legacy(
        *(
            load_file(next((folder / part).glob("*.safetensors")))
            for part in ("unet", "vae", "text_encoder")
        ),
        kind,
    )


def legacy(unet, vae, text, kind):
    import torch

    attention = re.compile(r"mid\.attn_1\.(q|k|v|proj_out)\.weight")
    weights = {
        f"model.diffusion_model.{original_unet(name)}": tensor for name, tensor in unet.items()
    }
    for name, tensor in vae.items():
        name = original_vae(name)
        weights[f"first_stage_model.{name}"] = (
            tensor[:, :, None, None] if attention.search(name) else tensor
        )
    weights |= {
        f"cond_stage_model.{name}": tensor for name, tensor in original_text(text, kind).items()
    }
    return weights | {"betas": torch.zeros(1000), "model_ema.decay": torch.zeros(())}


def original_xl(folder):
    """The same of an SDXL, or, with one text encoder, of its refiner."""
    from safetensors.torch import load_file

    def read(part):
        return load_file(next((folder / part).glob("*.safetensors")))

    unet, attends = read("unet"), {"up_blocks.0.attentions.0.norm.weight"}
    weights = legacy(unet, read("vae"), {}, "v1")
    named = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
    for theirs, ours in named.items():
        weights = {name.replace(theirs, ours): tensor for name, tensor in weights.items()}
    if attends <= {*unet}:  # an upsampler comes third, behind an attention
        weights = {
            name.replace("output_blocks.2.1.conv", "output_blocks.2.2.conv"): tensor
            for name, tensor in weights.items()
        }
    both = (folder / "text_encoder").is_dir()
    second = read("text_encoder_2")
    projection = second.pop("text_projection.weight")
    found = original_text(second, "v2") | {"model.text_projection": projection.T.contiguous()}
    weights |= {f"conditioner.embedders.{both:d}.{name}": each for name, each in found.items()}
    if both:
        found = original_text(read("text_encoder"), "v1")
        weights |= {f"conditioner.embedders.0.{name}": each for name, each in found.items()}
    return weights


def real_head(path, kind="v1", channels=4, more=()):
    """A .safetensors file with the head of a real checkpoint and a hole where the weights would be."""
    width, position = (
        (768, "transformer.text_model.embeddings.position_embedding.weight")
        if kind == "v1"
        else (1024, "model.positional_embedding")
    )
    shapes = {
        "model.diffusion_model.input_blocks.0.0.weight": (320, channels, 3, 3),
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
        f"cond_stage_model.{position}": (77, width),
        **dict(more),
    }
    return write_head(path, shapes)


def write_head(path, shapes, kind="F32"):
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        head[name] = {
            "dtype": kind,
            "shape": list(shape),
            "data_offsets": [end, end := end + int(kind[1:]) // 8 * int(np.prod(shape))],
        }
    text = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path

"""A model on this disk is one model: as a diffusers folder, as .safetensors and as .ckpt. Nothing in a pickle runs."""

import json
import os
import pickle
import re
import struct

import numpy as np
import pytest
from conftest import NOISE, write_tokenizer

from sdlab import MODELS, Model, Request, run
from sdlab.models.checkpoint import CONFIGS, tokenizer
from sdlab.models.pipeline import load, unload
from sdlab.models.resolve import fingerprint, layout, native

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


@pytest.fixture(scope="module", params=["v1", "v2"])
def forms(request, tmp_path_factory):
    """(a folder, the same as .safetensors, the same as a .ckpt like the published one) and all of it by kind"""
    import torch
    from safetensors.torch import save_file

    top = tmp_path_factory.mktemp("checkpoints") / request.param
    folder = write_folder(top / "folder", request.param)
    weights = original(folder, request.param)
    save_file(weights, top / "768.safetensors")
    with lightning() as note:
        torch.save(
            {
                "epoch": 3,
                "state_dict": weights,
                "loss": np.float64(0.5),
                "callbacks": {note: {"best": np.float32(1)}},
            },
            top / "768.ckpt",
        )
    return folder, top / "768.safetensors", top / "768.ckpt"


class lightning:
    """For the time of a `with`, a class of the name that Lightning's checkpoints mention; NumPy's old module name, too."""

    def __enter__(self):
        import sys
        from types import ModuleType

        self.name, self.modules = "pytorch_lightning.callbacks.model_checkpoint", sys.modules
        names = self.name.split(".")
        for i in range(len(names)):
            self.modules[".".join(names[: i + 1])] = ModuleType(".".join(names[: i + 1]))
        note = type("ModelCheckpoint", (), {"__module__": self.name})
        self.modules[self.name].ModelCheckpoint = note
        return note

    def __exit__(self, *_):
        for name in [name for name in self.modules if name.split(".")[0] == "pytorch_lightning"]:
            del self.modules[name]


def named(path, config):
    return Model(path=path, config=None if path == config else config)


# The same picture


def test_all_three_forms_make_the_pictures_of_the_stock_pipeline(forms, tmp_path, monkeypatch):
    import torch
    from diffusers import StableDiffusionPipeline

    for i, path in enumerate(forms):
        monkeypatch.setitem(MODELS, f"form-{i}", named(path, forms[0]))
    plan = [
        Request(
            model=f"form-{i}",
            prompt="a cat",
            negative_prompt="the dog",
            num_inference_steps=3,
            seed=5,
        )
        for i in range(3)
    ]
    frame = run(plan, tmp_path / "store", dtype="float32", batch_size=1, on_error="raise")
    assert frame.weights.nunique() == 3  # each form is a recipe of its own
    stock = StableDiffusionPipeline.from_pretrained(forms[0])
    expected = stock(
        "a cat",
        negative_prompt="the dog",
        num_inference_steps=3,
        generator=torch.Generator().manual_seed(5),
        output_type="np",
    ).images[0]
    from PIL import Image

    made = [np.asarray(Image.open(path), float) / 255 for path in frame.path]
    assert all(abs(each - expected).max() < 0.51 / 255 + 1e-5 for each in made)
    assert expected.std() > 0.01


def test_all_three_forms_have_the_same_weights_and_facts(forms):
    import torch

    loaded = []
    for path in forms:
        unload()
        loaded.append(load(native_of(path, forms[0]), "cpu", "float32").pipe)
    for other in loaded[1:]:
        for part in ("unet", "vae", "text_encoder"):
            ours, theirs = (getattr(pipe, part).state_dict() for pipe in (loaded[0], other))
            assert ours.keys() == theirs.keys() and all(
                torch.equal(ours[name], theirs[name]) for name in ours
            )
    assert len({layout(named(path, forms[0])) for path in forms}) == 1


def native_of(path, config):
    from sdlab.models.resolve import Native

    model = named(path, config)
    return Native(model, layout(model), fingerprint(model))


def test_a_file_counts_with_its_configuration(forms, tmp_path):
    import shutil

    config = shutil.copytree(
        forms[0], tmp_path / "config", ignore=shutil.ignore_patterns("*.safetensors")
    )
    before = fingerprint(Model(path=forms[1], config=config))
    assert before == fingerprint(
        Model(path=forms[1], config=shutil.copytree(config, tmp_path / "elsewhere"))
    )
    scheduler = config / "scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("scaled_linear", "linear"))
    assert fingerprint(Model(path=forms[1], config=config)) != before


def test_a_long_prompt_is_counted_with_the_tokenizer_of_the_file(forms, tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "mine", named(forms[1], forms[0]))
    with pytest.raises(ValueError, match="tokens"):
        run(Request(model="mine", prompt="the cat " * 60), tmp_path / "store", on_error="raise")


# Which of them it is


def test_the_packs_have_the_sizes_of_the_real_networks():
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    def size(network):
        return sum(tensor.numel() for name, tensor in network.named_parameters())

    known = {
        "v1": (859_520_964, 83_653_863, 123_060_480),
        "v2-base": (865_910_724, 83_653_863, 340_387_840),
    }
    for name, sizes in (known | {"v2-768": known["v2-base"]}).items():
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(
                UNet2DConditionModel.load_config(CONFIGS / name / "unet")
            )
            vae = AutoencoderKL.from_config(AutoencoderKL.load_config(CONFIGS / name / "vae"))
            text = CLIPTextModel(CLIPTextConfig.from_pretrained(CONFIGS / name / "text_encoder"))
        assert (size(unet), size(vae), size(text)) == sizes


def test_the_packs_fit_the_whole_heads_of_the_originals(tmp_path):
    """All names and shapes, with what the originals hold besides: the layer of OpenCLIP that is not used, its projection."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from sdlab.models.checkpoint import require_complete

    for pack, kind in [("v1", "v1"), ("v2-base", "v2"), ("v2-768", "v2")]:
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(
                UNet2DConditionModel.load_config(CONFIGS / pack / "unet")
            ).state_dict()
            vae = AutoencoderKL.from_config(
                AutoencoderKL.load_config(CONFIGS / pack / "vae")
            ).state_dict()
            text = CLIPTextModel(
                CLIPTextConfig.from_pretrained(CONFIGS / pack / "text_encoder")
            ).state_dict()
        found = {
            name: tuple(tensor.shape) for name, tensor in legacy(unet, vae, text, kind).items()
        }
        if kind == "v2":
            found |= {
                name.replace(".22.", ".23."): shape
                for name, shape in found.items()
                if "resblocks.22." in name
            }
            found |= {
                "cond_stage_model.model.text_projection": (1024, 1024),
                "cond_stage_model.model.logit_scale": (),
            }
        path = write_head(tmp_path / f"{pack}.safetensors", found)
        require_complete(path, CONFIGS / pack)


@pytest.mark.parametrize("pack, pad", [("v1", 49407), ("v2-base", 0), ("v2-768", 0)])
def test_the_packed_tokenizer_gives_the_known_ids_of_clip(pack, pad):
    ids = tokenizer(CONFIGS / pack)("a photo of a cat", padding="max_length")["input_ids"]
    assert ids == [49406, 320, 1125, 539, 320, 2368, 49407] + [pad] * 70
    assert tokenizer(CONFIGS / pack).model_max_length == 77


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


def write_head(path, shapes):
    head, end = {}, 0
    for name, shape in shapes.items():
        head[name] = {
            "dtype": "F32",
            "shape": list(shape),
            "data_offsets": [end, end := end + 4 * int(np.prod(shape))],
        }
    text = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.mark.parametrize(
    "name, kind, facts, size, predicts",
    [
        ("sd.safetensors", "v1", {}, 512, "epsilon"),
        ("768-v-ema.safetensors", "v2", {}, 768, "v_prediction"),
        ("v2-1_512-ema-pruned.safetensors", "v2", {}, 512, "epsilon"),
        ("mine.safetensors", "v2", {"prediction_type": "epsilon"}, 512, "epsilon"),
        ("mine.safetensors", "v2", {"prediction_type": "v_prediction"}, 768, "v_prediction"),
    ],
)
def test_the_head_of_a_file_and_its_name_tell_what_it_is(
    tmp_path, name, kind, facts, size, predicts
):
    stated = layout(Model.from_path(real_head(tmp_path / name, kind), **facts))
    assert (stated.height, stated.width, stated.prediction_type) == (size, size, predicts)


def test_a_file_of_v2_that_does_not_say_which_is_asked_about(tmp_path):
    path = real_head(tmp_path / "mine.safetensors", "v2")
    with pytest.raises(
        ValueError, match=r"768x768.*Model\.from_path\(path, prediction_type='v_prediction'\)"
    ):
        Model.from_path(path)
    with pytest.raises(ValueError, match="one of epsilon, v_prediction"):
        Model.from_path(path, prediction_type="v")
    with pytest.raises(ValueError, match="v1, which predicts 'epsilon'"):
        Model.from_path(real_head(tmp_path / "one.safetensors"), prediction_type="v_prediction")


def test_a_file_for_inpainting_has_a_configuration_of_its_own(tmp_path):
    assert (
        layout(Model.from_path(real_head(tmp_path / "one.safetensors", channels=9))).channels_in
        == 9
    )
    two = layout(Model.from_path(real_head(tmp_path / "two.safetensors", "v2", channels=9)))
    assert (two.channels_in, two.prediction_type, two.height) == (9, "epsilon", 512)
    with pytest.raises(ValueError, match="predicts 'epsilon'.*config="):
        Model.from_path(tmp_path / "two.safetensors", prediction_type="v_prediction")
    with pytest.raises(
        ValueError, match="made for inpainting: its UNet takes 9 channels, and that of .*'v1' 4"
    ):
        Model.from_path(tmp_path / "one.safetensors", config=CONFIGS / "v1")


# What is none


@pytest.mark.parametrize(
    "shapes, says",
    [
        ({"lora_unet_down_blocks_0.lora_down.weight": (4, 320)}, "a LoRA"),
        ({"decoder.conv_in.weight": (512, 4, 3, 3)}, "a VAE alone"),
        ({"emb_params": (2, 768)}, "a textual inversion"),
        ({"conditioner.embedders.1.model.positional_embedding": (77, 8)}, "SDXL"),
        ({"down_blocks.0.resnets.0.conv1.weight": (8, 8, 3, 3)}, "diffusers' layout"),
        ({"control_model.time_embed.0.weight": (8, 8)}, "ControlNet"),
        ({"model.diffusion_model.out.0.weight": (320,)}, "without its VAE"),
        ({}, "is empty"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, shapes, says):
    with pytest.raises(ValueError, match=f"{says}.*not a whole checkpoint"):
        Model.from_path(write_head(tmp_path / "x.safetensors", shapes))


@pytest.mark.parametrize(
    "channels, says",
    [(8, "an InstructPix2Pix model"), (7, "x4 upscaler.*config="), (5, "depth.*config=")],
)
def test_models_for_other_tasks_are_named(tmp_path, channels, says):
    with pytest.raises(ValueError, match=says):
        Model.from_path(real_head(tmp_path / "x.safetensors", channels=channels))


@pytest.mark.parametrize("name", ["768.safetensors", "768.ckpt"])
@pytest.mark.parametrize(
    "keep, says", [(0, "complete"), (5, "complete"), (3000, "complete"), (-1000, "complete")]
)
def test_a_truncated_file_is_called_incomplete(forms, tmp_path, name, keep, says):
    whole = next(path for path in forms if path.name == name)
    (tmp_path / name).write_bytes(whole.read_bytes()[:keep])
    with pytest.raises(ValueError, match=says):
        Model.from_path(tmp_path / name, config=forms[0])


@pytest.mark.parametrize(
    "name, content, says",
    [
        (
            "x.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
            "git lfs pull",
        ),
        ("x.ckpt", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("x.safetensors", b"<!DOCTYPE html><html>Not found", "not readable as safetensors"),
        ("x.ckpt", b"<!DOCTYPE html><html>Not found", "not readable as a checkpoint"),
        ("x.bin", b"abc", "those end in .safetensors, .ckpt"),
    ],
)
def test_what_lies_there_instead_of_a_model_is_told(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=says):
        Model.from_path(tmp_path / name)


def test_a_file_of_another_size_wants_its_configuration(forms, tmp_path):
    with pytest.raises(ValueError, match="does not fit.*config="):
        Model.from_path(forms[1])


@pytest.mark.parametrize(
    "name, change, says",
    [
        ("model.diffusion_model.middle_block.0.in_layers.2.weight", None, "UNet lacks"),
        ("first_stage_model.decoder.conv_in.bias", None, "VAE lacks"),
        ("first_stage_model.decoder.conv_out.bias", (5,), "VAE is another"),
        ("first_stage_model.encoder.mid.block_1.conv1.bias", None, "VAE lacks"),
    ],
)
def test_missing_and_misshapen_tensors_are_named_before_anything_is_read(
    forms, tmp_path, name, change, says, monkeypatch
):
    from diffusers import StableDiffusionPipeline

    from sdlab.models.checkpoint import shapes

    found = {key: shape for key, shape in shapes(forms[1]).items() if key != name or change}
    assert len(found) < len(shapes(forms[1])) or change
    path = write_head(tmp_path / "x.safetensors", found | ({name: change} if change else {}))
    monkeypatch.setattr(
        StableDiffusionPipeline, "from_single_file", lambda *_, **__: pytest.fail("read")
    )
    unload()
    with pytest.raises(ValueError, match=says):
        load(native_of(path, forms[0]), "cpu", "float32")


# Pickles


class Evil:
    """What a hostile file would hold: unpickling it makes a folder."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_does_not_run_and_would_have(tmp_path, zipped):
    import torch

    mark, path = tmp_path / "ran", tmp_path / "v1.ckpt"
    torch.save(
        {"state_dict": {"model.diffusion_model.x": torch.zeros(2)}, "extra": Evil(mark)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(ValueError, match=r"asks for \w+\.mkdir.*nothing of it was run"):
        Model.from_path(path)
    with pytest.raises(ValueError, match="mkdir"):
        native(str(path))
    assert not mark.exists()
    torch.load(path, weights_only=False)  # what it would have done
    assert mark.exists()


def test_a_plain_pickle_is_refused_as_well(tmp_path):
    mark, path = tmp_path / "ran", tmp_path / "v1.ckpt"
    path.write_bytes(pickle.dumps(Evil(mark)))
    with pytest.raises(ValueError, match="v1.ckpt"):
        Model.from_path(path)
    assert not mark.exists() and pickle.loads(path.read_bytes()) is None and mark.exists()

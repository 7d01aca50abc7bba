"""A model on this disk is one model: as a diffusers folder, as .safetensors and as .ckpt. Nothing in a pickle runs."""

import os
import pickle

import numpy as np
import pytest
from originals import legacy, original, real_head, write_folder, write_head

from sdlab import MODELS, Model, Request, preview, run
from sdlab.errors import FieldError
from sdlab.models.checkpoint import CONFIGS, read_tokenizer
from sdlab.models.exchange import read_vae
from sdlab.models.fingerprint import fingerprint_model
from sdlab.models.fit import require_vae
from sdlab.models.parts import find_vae
from sdlab.models.pipeline import load, read, unload
from sdlab.models.resolve import native
from sdlab.models.sizes import read_sizes


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
    assert len({named(path, forms[0]).layout for path in forms}) == 1


def native_of(path, config):
    from sdlab.models.resolve import Native

    model = named(path, config)
    return Native(model, model.layout, fingerprint_model(model))


def test_a_file_counts_with_its_configuration(forms, tmp_path):
    import shutil

    config = shutil.copytree(
        forms[0], tmp_path / "config", ignore=shutil.ignore_patterns("*.safetensors")
    )
    before = fingerprint_model(Model(path=forms[1], config=config))
    assert before == fingerprint_model(
        Model(path=forms[1], config=shutil.copytree(config, tmp_path / "elsewhere"))
    )
    scheduler = config / "scheduler/scheduler_config.json"
    scheduler.write_text(scheduler.read_text().replace("scaled_linear", "linear"))
    assert fingerprint_model(Model(path=forms[1], config=config)) != before


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
    ids = read_tokenizer(CONFIGS / pack)("a photo of a cat", padding="max_length")["input_ids"]
    assert ids == [49406, 320, 1125, 539, 320, 2368, 49407] + [pad] * 70
    assert read_tokenizer(CONFIGS / pack).model_max_length == 77


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
    stated = Model.from_path(real_head(tmp_path / name, kind), **facts).layout
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
    one = Model.from_path(real_head(tmp_path / "one.safetensors", channels=9)).layout
    two = Model.from_path(real_head(tmp_path / "two.safetensors", "v2", channels=9)).layout
    assert one.channels_in == 9
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
    [
        (8, r"following instructions \(InstructPix2Pix\)"),
        (7, "x4 upscaler.*config="),
        (5, "depth.*config="),
    ],
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
    import sdlab.models.checkpoint
    from sdlab.models.heads import read_shapes

    found = {key: shape for key, shape in read_shapes(forms[1]).items() if key != name or change}
    assert len(found) < len(read_shapes(forms[1])) or change
    path = write_head(tmp_path / "x.safetensors", found | ({name: change} if change else {}))
    monkeypatch.setattr(sdlab.models.checkpoint, "read_originals", lambda *_: pytest.fail("read"))
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


# Other names for the same tensors


RENAMED = {
    "the text encoder without text_model": lambda name: name.replace(
        "transformer.text_model.", "transformer."
    ),
    "from several cards": lambda name: f"module.{name}",
    "of one network from several cards": lambda name: name.replace(
        "diffusion_model.", "diffusion_model.module."
    ),
    "from torch.compile": lambda name: name.replace("stage_model.", "stage_model._orig_mod."),
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """A folder of v1's layout, and {name in the original release: tensor} of the same weights."""
    folder = write_folder(tmp_path_factory.mktemp("usual") / "folder", "v1")
    return folder, original(folder, "v1")


def same_networks(a, b):
    import torch

    found, expected = (
        [getattr(pipe, part).state_dict() for part in ("unet", "vae", "text_encoder")]
        for pipe in (a, b)
    )
    return all(
        set(x) == set(y) and all(torch.equal(x[name], y[name]) for name in y)
        for x, y in zip(found, expected)
    )


@pytest.mark.parametrize("how, suffix", [*zip(RENAMED, [".safetensors", ".ckpt"] * 2)])
def test_single_files_with_other_names_hold_the_same_networks(usual, tmp_path, how, suffix):
    import torch
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import save_file

    folder, weights = usual
    renamed = {RENAMED[how](name): tensor.contiguous() for name, tensor in weights.items()}
    assert set(renamed) != set(weights)
    path = tmp_path / f"x{suffix}"
    save_file(renamed, path) if suffix == ".safetensors" else torch.save(renamed, path)
    model = Model.from_path(path, config=folder)
    pipe = read(model, "cpu", "float32").pipe
    assert same_networks(pipe, StableDiffusionPipeline.from_pretrained(folder))
    assert read_sizes(model).weights == read_sizes(Model(path=folder)).weights


VAES = {
    "bare": lambda name: name,
    "of a checkpoint": lambda name: f"first_stage_model.{name}",
    "from several cards": lambda name: f"module.{name}",
    "vae.": lambda name: f"vae.{name}",
}


@pytest.mark.parametrize(
    "how, names, suffix",
    [
        ("bare", "diffusers", ".safetensors"),
        ("bare", "diffusers", ".bin"),
        ("from several cards", "of 2022", ".pt"),
        ("of a checkpoint", "of 2022", ".safetensors"),
        ("vae.", "original", ".pt"),
    ],
)
def test_vae_files_with_any_names_hold_the_same_vae(usual, tmp_path, how, names, suffix):
    import torch
    from diffusers import AutoencoderKL
    from safetensors.torch import load_file, save_file

    folder, weights = usual
    if names == "original":
        prefix = "first_stage_model."
        weights = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
    else:
        weights = load_file(folder / "vae/diffusion_pytorch_model.safetensors")
    if names == "of 2022":
        for today, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value")):
            weights = {n.replace(f".{today}.", f".{old}."): t for n, t in weights.items()}
        weights = {n.replace(".to_out.0.", ".proj_attn."): t for n, t in weights.items()}
    weights = {VAES[how](name): tensor.contiguous() for name, tensor in weights.items()}
    path = tmp_path / f"x.vae{suffix}"
    if suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save({"state_dict": weights, "epoch": 1}, path)
    vae, own = find_vae(str(path), folder), AutoencoderKL.from_pretrained(folder / "vae")
    require_vae(vae, "")
    found, expected = read_vae(vae, own).state_dict(), own.state_dict()
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_vae_file_that_lacks_a_tensor_is_refused_before_the_run(usual, tmp_path):
    from safetensors.torch import load_file, save_file

    folder, _ = usual
    weights = load_file(folder / "vae/diffusion_pytorch_model.safetensors")
    del weights["encoder.conv_out.bias"]
    save_file(weights, tmp_path / "x.safetensors")
    with pytest.raises(FieldError, match=r"its VAE lacks 1 of \d+ tensors") as caught:
        preview(Request(model=str(folder), vae=str(tmp_path / "x.safetensors")), tmp_path)
    assert caught.value.field == "vae"

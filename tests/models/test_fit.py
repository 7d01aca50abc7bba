"""Weights that do not fill their networks are refused before anything runs; what libraries convert is not."""

import json
import re
import shutil

import numpy as np
import pytest
from originals import write_head
from PIL import Image
from pipelines import write_depth
from safetensors.torch import load_file, save_file

from sdlab import Request, preview, run
from sdlab.errors import FieldError
from sdlab.models.fit import require_part, require_weights_fit
from sdlab.models.resolve import native

PARTS = ("unet", "vae", "text_encoder", "depth_estimator", "safety_checker")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model guided by depth, of small networks, with a safety checker, which is only compared."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    folder = write_depth(tmp_path_factory.mktemp("models") / "depth")
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    StableDiffusionSafetyChecker(
        CLIPConfig(vision_config=dict(image_size=32, patch_size=16, **small), projection_dim=8)
    ).save_pretrained(folder / "safety_checker")
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def change(whole, folder, part, edit):
    """A copy in which `edit` has changed {name: tensor} of a part."""
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns(f"{part}/*.safetensors"))
    (file,) = (folder / part).glob("*.safetensors")
    weights = load_file(file)
    first = next(name for name in sorted(weights) if weights[name].ndim > 1)
    save_file({name: each.contiguous() for name, each in edit(weights, first).items()}, file)
    return first


def drop(weights, first):
    return {name: each for name, each in weights.items() if name != first}


def rename(weights, first):
    return {f"transformer.{name}": each for name, each in weights.items()}


def reshape(weights, first):
    return weights | {first: weights[first][:-1]}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("edit", [drop, rename, reshape])
def test_a_part_that_does_not_fit_is_refused_by_its_first_tensors(whole, tmp_path, part, edit):
    first = change(whole, tmp_path / "model", part, edit)
    with pytest.raises(FieldError) as caught:
        preview(Request(model=str(tmp_path / "model"), image=np.zeros((64, 64, 3), "u1")), tmp_path)
    said = str(caught.value)
    assert caught.value.field == "model" and str(tmp_path / "model" / part) in said
    assert "take the part's config.json and weights from one download" in said
    assert "meta" not in said.replace(str(tmp_path), "")
    if edit is drop:
        assert f"it lacks {first}." in said
    elif edit is rename:
        assert "it lacks" in said and "what the network does not, transformer." in said
    else:
        assert re.search(rf"{re.escape(first)} has the shape \(.*\), not \(", said)


def test_names_that_the_libraries_convert_are_no_reason_to_refuse(random_v1, tmp_path):
    import torch

    folder = shutil.copytree(random_v1, tmp_path / "old")
    text, vae = (next((folder / part).glob("*.safetensors")) for part in ("text_encoder", "vae"))
    older = {f"text_model.{name}": each for name, each in load_file(text).items()}
    older["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(older | {"logit_scale": torch.ones(())}, text)
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    older = {
        re.sub(r"(?<=attentions\.0\.)(to_q|to_k|to_v|to_out\.0)", lambda m: names[m[1]], name): each
        for name, each in load_file(vae).items()
    }
    assert set(older) != set(load_file(vae))
    save_file(older, vae)
    cells = [
        Request(model=str(model), prompt="a cat", num_inference_steps=2, height=64, width=64)
        for model in (random_v1, folder)
    ]
    frame = run(cells, tmp_path / "store", batch_size=1, on_error="raise", progress=False)
    assert np.array_equal(*(np.asarray(Image.open(path)) for path in frame.path))


def test_weights_in_several_files_are_compared_together(random_v1, tmp_path):
    from diffusers import UNet2DConditionModel

    folder = shutil.copytree(random_v1, tmp_path / "shards")
    shutil.rmtree(folder / "unet")
    UNet2DConditionModel.from_pretrained(random_v1 / "unet").save_pretrained(
        folder / "unet", max_shard_size="500KB"
    )
    shards = sorted((folder / "unet").glob("*.safetensors"))
    assert len(shards) > 1
    require_weights_fit(native(str(folder)))
    save_file(drop(load_file(shards[0]), next(iter(load_file(shards[0])))), shards[0])
    with pytest.raises(ValueError, match=r"it lacks \S+\. "):
        require_weights_fit(native(str(folder)))


def test_what_was_compared_once_is_not_read_again(whole, tmp_path, monkeypatch):
    own = native(str(shutil.copytree(whole, tmp_path / "copy")))
    require_weights_fit(own)
    monkeypatch.setattr("sdlab.models.fit.require_part", lambda *_: pytest.fail("again"))
    require_weights_fit(own)


def test_a_safety_checker_that_was_deleted_is_missed_before_the_run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "model", ignore=shutil.ignore_patterns("safety_checker"))
    with pytest.raises(
        FieldError, match=r"safety_checker holds no weights .* write \[null, null\]"
    ):
        preview(Request(model=str(tmp_path / "model")), tmp_path)


def test_a_vae_with_more_layers_than_its_configuration_is_refused(random_v1, tmp_path):
    folder = shutil.copytree(random_v1, tmp_path / "model")
    (file,) = (folder / "vae").glob("*.safetensors")
    weights = load_file(file)
    more = {
        name.replace("resnets.1.", "resnets.2."): tensor.clone()
        for name, tensor in weights.items()
        if "up_blocks" in name
    }
    save_file(weights | more, file)
    with pytest.raises(ValueError, match=r"vae: .*what the network does not, decoder\.up_blocks"):
        require_weights_fit(native(str(folder)))


def test_a_truncated_part_is_refused_by_its_folder(random_v1, tmp_path):
    folder = shutil.copytree(random_v1, tmp_path / "model")
    (file,) = (folder / "unet").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FieldError, match=re.escape(f"{file} is not readable as")):
        preview(Request(model=str(folder)), tmp_path / "store")


@pytest.mark.parametrize(
    "part, changes, said",
    [
        ("text_encoder", {"hidden_size": 64}, "makes texts 64 wide, and its UNet reads 32"),
        ("vae", {"latent_channels": 16}, "makes latents of 4 channels, and its VAE reads 16"),
        ("text_encoder", {"vocab_size": 100}, "gives tokens up to 517, where .* vocab_size 100"),
    ],
)
def test_parts_of_two_models_are_told_apart(random_v1, tmp_path, part, changes, said):
    folder = shutil.copytree(random_v1, tmp_path / "model")
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    if "vocab_size" in changes:
        change_words(folder, 100)
    with pytest.raises(FieldError, match=said) as caught:
        preview(Request(model=str(folder)), tmp_path / "store")
    assert caught.value.field == "model"


def change_words(folder, count):
    (file,) = (folder / "text_encoder").glob("*.safetensors")
    weights = load_file(file)
    name = next(name for name in weights if "token_embedding" in name)
    save_file(weights | {name: weights[name][:count].contiguous()}, file)


@pytest.mark.parametrize("kind", ["F16", "F32"])
def test_weights_of_the_real_size_are_compared_by_their_heads_alone(tmp_path, kind):
    """A file with holes in place of 860 million numbers: to read those takes seconds and gigabytes."""
    import resource

    from diffusers import UNet2DConditionModel

    from sdlab.models.checkpoint import CONFIGS, build_networks

    network = build_networks(CONFIGS / "v1")["unet"]
    shutil.copytree(CONFIGS / "v1/unet", tmp_path / "unet")
    file = tmp_path / "unet/diffusion_pytorch_model.safetensors"
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    write_head(file, shapes, kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    require_part(tmp_path / "unet", UNet2DConditionModel)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes
    del shapes["conv_in.bias"]
    write_head(file, shapes, kind)
    with pytest.raises(ValueError, match="it lacks conv_in.bias"):
        require_part(tmp_path / "unet", UNet2DConditionModel)

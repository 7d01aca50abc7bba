"""SDXL in the loop of v1 and v2: two text encoders, sizes and crops, pictures to begin with, the refiner."""

import warnings
from unittest import mock

import numpy as np
import pytest
from originals import original_xl, write_head
from PIL import Image
from pipelines import write_xl

import sdlab.models.pipeline
from sdlab import MODELS, Model, Request, preview, resolve, run, sweep
from sdlab.errors import FieldError
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, swap_parts
from sdlab.render.renderer import Renderer
from sdlab.store.infotext import read_infotext
from sdlab.widgets import SweepForm


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("sdxl")
    yield {
        "base": str(write_xl(place / "base")),
        "inpainting": str(write_xl(place / "inpainting", channels_in=9)),
        "refiner": str(write_xl(place / "refiner", refiner=True)),
    }
    sdlab.models.pipeline.unload()


@pytest.fixture(scope="module")
def base(models):
    return Request(model=models["base"], prompt="the cat", seed=3, num_inference_steps=3)


def photo(seed=0, size=(64, 64)):
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def render(*requests, size=1):
    """Pictures (H, W, 3), 0 to 1, of one batch."""
    cells = [resolve(request) for request in requests]
    own = swap_parts(native(cells[0].model), cells[0])
    renderer = Renderer(load(own, "cpu", "float32"), size)
    with mock.patch("sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255):
        return [picture.image for picture in renderer.draw_pictures(cells)]


def stock(request, kind="StableDiffusionXLPipeline", **more):
    """What diffusers' own pipeline makes of the same parts."""
    import diffusers
    import torch

    cell = resolve(request)
    loaded = load(swap_parts(native(cell.model), cell), "cpu", "float32")
    options = {"add_watermarker": False}
    for name in ("force_zeros_for_empty_prompt", "requires_aesthetics_score"):
        if name in loaded.pipe.config:
            options[name] = loaded.pipe.config[name]
    pipe = getattr(diffusers, kind)(**loaded.pipe.components, **options)
    pipe.scheduler = loaded.scheduler(cell.scheduler)
    pipe.set_progress_bar_config(disable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipe(
            cell.prompt,
            negative_prompt=cell.negative_prompt or None,
            num_inference_steps=cell.num_inference_steps,
            generator=torch.Generator().manual_seed(cell.seed),
            output_type="np",
            **{"guidance_scale": cell.guidance_scale} | more,
        ).images[0]


def apart(one, other):
    return np.abs(one - other).max()


@pytest.mark.parametrize("scheduler", [None, "DDIM", "DPM++ 2M Karras", "Euler a"])
@pytest.mark.parametrize("negative", ["", "dog"])
def test_a_cell_equals_diffusers(base, scheduler, negative):
    request = base.but(scheduler=scheduler, negative_prompt=negative, guidance_scale=5)
    expected = stock(request)
    assert expected.std() > 0.005 and apart(render(request)[0], expected) < 1e-5


def test_cells_of_other_prompts_seeds_guidance_sizes_and_crops_share_a_batch(base):
    more = [
        {},
        dict(prompt="a dog", negative_prompt="cat", guidance_scale=1),
        dict(seed=8, original_size=(32, 48), guidance_scale=3),
        dict(crops_coords_top_left=(16, 8), target_size=(128, 64), guidance_rescale=0.5),
    ]
    requests = [base.but(**each) for each in more]
    together = render(*requests, size=4)
    for request, own in zip(requests, together):
        sizes = {
            name: eval(value)
            for name in ("original_size", "crops_coords_top_left", "target_size")
            if (value := getattr(request, name))
        }
        expected = stock(request, guidance_rescale=request.guidance_rescale or 0.0, **sizes)
        assert apart(own, expected) < 1e-5
    assert all(apart(one, together[0]) > 1e-4 for one in together[1:])
    assert np.array_equal(render(*requests[::-1], size=4)[-1], together[0])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_model_distilled_without_guidance_makes_with_1_what_diffusers_makes_with_0(base, steps):
    trailing = "EulerAncestralDiscreteScheduler(timestep_spacing='trailing')"
    turbo = base.but(guidance_scale=1, scheduler=trailing, num_inference_steps=steps)
    assert apart(render(turbo)[0], stock(turbo, guidance_scale=0.0)) < 1e-5


def test_clip_skip_leaves_out_layers_beyond_the_one_that_sdxl_leaves_out(base):
    request = base.but(clip_skip=1, guidance_scale=1)
    own = render(request)[0]
    assert apart(own, stock(request, clip_skip=1)) < 1e-5
    assert apart(own, render(request.but(clip_skip=0))[0]) > 1e-4
    with pytest.raises(FieldError, match="has 3 and 4 layers, so at most 1") as caught:
        resolve(base.but(clip_skip=2))
    assert caught.value.field == "clip_skip"


def test_img2img_and_inpainting_equal_diffusers(models, base):
    image, mask = photo(), Image.fromarray(np.tril(np.full((64, 64), 255, "uint8")))
    request = base.but(image=image, strength=0.7, num_inference_steps=4)
    kind = "StableDiffusionXLImg2ImgPipeline"
    expected = stock(request, kind, image=image, strength=0.7)
    assert apart(render(request)[0], expected) < 1e-5
    for model in ("base", "inpainting"):
        for strength in (0.7, 0.9999, 1.0):
            request = base.but(model=models[model], image=image, mask_image=mask, strength=strength)
            more = dict(image=image, mask_image=mask, strength=strength, height=64, width=64)
            expected = stock(request, "StableDiffusionXLInpaintPipeline", **more)
            assert apart(render(request)[0], expected) < 1e-5, (model, strength)
    long = base.but(image=image, num_inference_steps=10)
    assert resolve(long).strength == 0.3
    assert resolve(long.but(mask_image=mask)).strength == 0.9999


def test_the_refiner_equals_diffusers_and_is_told_of_beauty(models, base):
    image, kind = photo(), "StableDiffusionXLImg2ImgPipeline"
    request = base.but(model=models["refiner"], image=image, num_inference_steps=10)
    with pytest.raises(FieldError, match="for refine and needs image="):
        resolve(request.but(image=None))
    cell = resolve(request)
    assert (cell.strength, cell.aesthetic_score, cell.negative_aesthetic_score) == (0.3, 6, 2.5)
    plain, other = request, request.but(aesthetic_score=2, crops_coords_top_left=(8, 16))
    scored = other.but(negative_aesthetic_score=7, negative_prompt="dog")
    more = dict(image=image, strength=0.3)
    wanted = [
        stock(plain, kind, **more),
        stock(other, kind, aesthetic_score=2.0, crops_coords_top_left=(8, 16), **more),
        stock(
            scored,
            kind,
            aesthetic_score=2.0,
            negative_aesthetic_score=7.0,
            crops_coords_top_left=(8, 16),
            **more,
        ),
    ]
    for own, expected in zip(render(plain, other, scored, size=3), wanted):
        assert apart(own, expected) < 1e-5
    assert apart(wanted[0], wanted[1]) > 1e-5
    with pytest.raises(FieldError, match="goes with SDXL's refiner") as caught:
        resolve(base.but(aesthetic_score=5))
    assert caught.value.field == "aesthetic_score"


def test_what_becomes_of_an_empty_negative_prompt_counts_in_the_key(base, tmp_path):
    import json
    import shutil

    copies = {}
    for name, stated in (("same", {}), ("other", {"force_zeros_for_empty_prompt": False})):
        copy = shutil.copytree(base.model, tmp_path / name)
        index = json.loads((copy / "model_index.json").read_text())
        index |= {"_name_or_path": name} | stated
        (copy / "model_index.json").write_text(json.dumps(index))
        copies[name] = base.but(model=str(copy))
    assert resolve(copies["same"]).key == resolve(base).key != resolve(copies["other"]).key
    own, other = render(base)[0], render(copies["other"])[0]
    assert apart(own, other) > 1e-5 and apart(other, stock(copies["other"])) < 1e-5


# ---- what stands in the place of its parts


def test_a_lora_changes_both_text_encoders_and_the_unet_by_any_trainers_names(base, tmp_path):
    import torch
    from safetensors.torch import save_file

    unet = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
    places = {  # diffusers' names, and kohya's, of its scripts for SDXL
        f"unet.{unet}": "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k",
        "unet.up_blocks.0.resnets.1.conv1": "lora_unet_output_blocks_1_0_in_layers_2",
        "unet.up_blocks.1.upsamplers.0.conv": "lora_unet_output_blocks_5_2_conv",
        "unet.down_blocks.0.downsamplers.0.conv": "lora_unet_input_blocks_3_0_op",
        "unet.mid_block.attentions.0.proj_in": "lora_unet_middle_block_1_proj_in",
        "unet.add_embedding.linear_1": "lora_unet_label_emb_0_0",
        "text_encoder.encoder.layers.1.self_attn.q_proj": (
            "lora_te1_text_model_encoder_layers_1_self_attn_q_proj"
        ),
        "text_encoder_2.text_model.encoder.layers.1.self_attn.q_proj": (
            "lora_te2_text_model_encoder_layers_1_self_attn_q_proj"
        ),
    }
    pipe = load(native(base.model), "cpu", "float32").pipe
    torch.manual_seed(0)
    kohya, peft, added = {}, {}, {}
    for ours, theirs in places.items():
        part, _, name = ours.partition(".")
        weight = getattr(pipe, part).get_submodule(name).weight
        down = torch.randn(2, *weight.shape[1:])
        up = torch.randn(len(weight), 2, *[1] * (weight.ndim - 2)) / 8
        change = (up.flatten(1) @ down.flatten(1)).reshape(weight.shape)
        added[ours] = weight, change
        pair = {"lora_down": down, "lora_up": up}
        kohya |= {f"{theirs}.{key}.weight": each for key, each in pair.items()}
        peft |= {
            f"{ours}.{key}.weight": each for key, each in zip(("lora_A", "lora_B"), (down, up))
        }
    save_file(kohya, tmp_path / "kohya.safetensors")
    save_file(peft, tmp_path / "peft.safetensors")
    plain = render(base)[0]
    made = [render(base.but(lora=str(tmp_path / f"{n}.safetensors")))[0] for n in ("kohya", "peft")]
    assert np.array_equal(render(base)[0], plain)
    with torch.no_grad():
        for weight, change in added.values():
            weight += change
        changed = render(base)[0]
        for weight, change in added.values():
            weight -= change
    assert apart(plain, changed) > 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        notes = preview(
            base.but(lora=str(tmp_path / "kohya.safetensors")), tmp_path / "store"
        ).notes
    assert "lora" not in notes  # every layer is found, and acts
    assert all(apart(each, changed) < 1e-5 for each in made)


def test_each_part_of_a_lora_acts(base, tmp_path):
    import torch
    from safetensors.torch import save_file

    pictures = [render(base)[0]]
    for n, (part, width) in enumerate({"te1": 32, "te2": 64}.items()):
        layer = f"lora_{part}_text_model_encoder_layers_0_self_attn_v_proj"
        matrices = {"down": torch.randn(2, width), "up": torch.randn(width, 2)}
        names = {f"{layer}.lora_{key}.weight": each for key, each in matrices.items()}
        save_file(names, file := tmp_path / f"{n}.safetensors")
        pictures.append(render(base.but(lora=str(file)))[0])
    assert min(apart(a, b) for a, b in zip(pictures, pictures[1:] + pictures[:1])) > 1e-4


def test_a_learned_word_has_vectors_for_both_encoders_and_is_not_taken_for_the_end(base, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file(
        {"clip_l": torch.randn(2, 32), "clip_g": torch.randn(2, 64)}, tmp_path / "ink.safetensors"
    )
    words = str(tmp_path / "ink.safetensors")
    request = base.but(prompt="the ink cat", textual_inversion=words)
    own = render(request)[0]
    assert apart(own, render(request.but(textual_inversion=None))[0]) > 1e-4
    published = str(write_xl(tmp_path / "published", eos=2))  # states 2 for the mark, as SDXL does
    assert apart(render(request.but(model=published))[0], own) < 1e-5
    save_file({"ink": torch.randn(2, 32)}, tmp_path / "one.safetensors")
    with pytest.raises(FieldError, match="are for one text encoder.*32 and 64"):
        resolve(base.but(textual_inversion=str(tmp_path / "one.safetensors")))


# ---- single files


@pytest.mark.parametrize("kind", ["base", "refiner"])
def test_a_single_file_makes_the_picture_of_its_folder(models, base, kind, tmp_path, monkeypatch):
    from pathlib import Path

    from safetensors.torch import save_file

    folder = Path(models[kind])
    save_file(original_xl(folder), tmp_path / "xl.safetensors")
    monkeypatch.setitem(MODELS, "single", Model(path=tmp_path / "xl.safetensors", config=folder))
    more = dict(image=photo(), strength=1, aesthetic_score=3) if kind == "refiner" else {}
    request = base.but(model=models[kind], negative_prompt="dog", **more)
    assert apart(render(request)[0], render(request.but(model="single"))[0]) < 1e-5


@pytest.mark.parametrize("pack, pads", [("sdxl", (49407, 0)), ("sdxl-refiner", (0,))])
def test_the_packed_configuration_has_every_tensor_of_the_published_files(pack, pads, tmp_path):
    from sdlab.models.checkpoint import CONFIGS, build_networks, read_tokenizer, require_complete

    folder = tmp_path / "folder"
    for part, network in build_networks(CONFIGS / pack).items():
        shapes = {name: tuple(each.shape) for name, each in network.state_dict().items()}
        (folder / part).mkdir(parents=True)
        write_head(folder / part / "model.safetensors", shapes, "F16")
    with mock.patch.multiple("safetensors.torch", load_file=load_shapes):
        found = {name: tuple(each.shape) for name, each in original_xl(folder).items()}
    path = write_head(tmp_path / "xl.safetensors", found, "F16")
    layout = Model.from_path(path).layout
    require_complete(path, CONFIGS / pack)
    assert (layout.height, layout.width, layout.is_xl) == (1024, 1024, True)
    assert layout.tasks[0].name == {2: "txt2img", 1: "refine"}[len(pads)]
    for encoder, pad in zip(layout.encoders, pads):
        tokenizer = read_tokenizer(
            CONFIGS / pack, encoder.name.replace("text_encoder", "tokenizer")
        )
        ids = tokenizer("a photo of a cat", padding="max_length")["input_ids"]
        assert ids == [49406, 320, 1125, 539, 320, 2368, 49407] + [pad] * 70


def load_shapes(path):
    """Tensors of the shapes that a file's head tells, without numbers."""
    import torch

    from sdlab.models.heads import read_shapes

    return {name: torch.empty(shape, device="meta") for name, shape in read_shapes(path).items()}


def test_a_file_that_says_that_it_predicts_v_is_not_taken_for_one_that_does_not(tmp_path):
    heads = {
        "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
        "first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight": (
            77,
            768,
        ),
        "conditioner.embedders.1.model.positional_embedding": (77, 1280),
    }
    assert Model.from_path(write_head(tmp_path / "a.safetensors", heads)).layout.is_xl
    path = write_head(tmp_path / "b.safetensors", heads | {"v_pred": (1,)})
    with pytest.raises(
        ValueError, match="v_prediction.*of sdxl, which predicts 'epsilon'.*config="
    ):
        Model.from_path(path)


# ---- in a run


def test_a_run_of_sdxl_is_a_frame_a_form_and_a_text_like_any_other(base, tmp_path):
    plan = sweep(base, crops_coords_top_left=[(0, 0), (0, 32)], seed=[1, 2])
    frame = run(plan, tmp_path, progress=False, on_error="raise", dtype="float32")
    assert set(frame["task"]) == {"txt2img"} and frame["key"].nunique() == 4
    assert frame["crops_coords_top_left"].tolist() == ["(0, 0)", "(0, 0)", "(0, 32)", "(0, 32)"]
    again = resolve(base.but(seed=1, original_size=(64, 64), target_size=(64, 64)))
    assert again.key == frame["key"][0] == resolve(base.but(seed=1)).key
    with Image.open(frame["path"][2]) as image:
        said = read_infotext(image.info["parameters"])
    assert said["crops_coords_top_left"] == "(0, 32)"
    form = SweepForm(plan, tmp_path)
    assert form.fields["crops_coords_top_left"].value == "(0, 0)\n(0, 32)" and form.value == plan


def test_sizes_and_crops_are_refused_by_models_that_are_not_told_them(random_v1):
    with pytest.raises(FieldError, match="goes with a model of SDXL") as caught:
        resolve(Request(model=str(random_v1), original_size=(64, 64)))
    assert caught.value.field == "original_size"


@pytest.mark.parametrize("memory", ["lowest"])
def test_a_run_that_saves_memory_makes_the_same_pictures(base, tmp_path, memory):
    frames = [
        run(base, tmp_path / each, progress=False, on_error="raise", memory=each, dtype="float32")
        for each in ("auto", memory)
    ]
    one, other = (np.asarray(Image.open(frame["path"][0]), int) for frame in frames)
    assert np.abs(one - other).max() <= 1


def test_a_vae_that_overflows_in_half_precision_computes_in_float32(base):
    pipe = load(native(base.model), "cpu", "float16").pipe
    assert str(pipe.vae.dtype) == "torch.float32" and str(pipe.unet.dtype) == "torch.float16"
    sdlab.models.pipeline.unload()


def test_prompts_of_several_chunks_and_weights_are_read_by_both_encoders(base):
    long = base.but(prompt="the (cat:1.3) dog " * 30, prompt_syntax="weights+chunks")
    loaded = load(native(base.model), "cpu", "float32")
    renderer = Renderer(loaded, 2)
    cond, uncond = renderer.encode_texts([resolve(long), resolve(long.but(negative_prompt="dog"))])
    assert cond.words.shape == uncond.words.shape == (2, 154, 96)
    assert cond.pooled.shape == (2, 64) and not uncond.words[0].any() and uncond.words[1].any()
    assert apart(render(long)[0], render(long.but(prompt="the cat dog"))[0]) > 1e-4


def test_the_memory_of_both_encoders_is_counted(base):
    from sdlab.models.sizes import read_sizes

    own = native(base.model)
    sizes = read_sizes(own.model)
    pipe = load(own, "cpu", "float32").pipe
    texts = [p.numel() for e in (pipe.text_encoder, pipe.text_encoder_2) for p in e.parameters()]
    assert sizes.text == sum(texts)


# ---- inside


def test_the_way_between_two_cells_begins_and_ends_with_their_own_bits(base, tmp_path):
    from sdlab import inside

    one, other = base.but(num_inference_steps=2), base.but(prompt="a dog", num_inference_steps=2)
    options = dict(batch_size=1, dtype="float32")
    strip = inside(one, tmp_path, **options).between(other, 3)
    for cell, picture in ((one, strip.pictures[0]), (other, strip.pictures[-1])):
        frame = run(cell, tmp_path, progress=False, on_error="raise", **options)
        with Image.open(frame["path"][0]) as image:
            assert np.array_equal(np.asarray(image), np.asarray(picture))
    assert not np.array_equal(np.asarray(strip.pictures[1]), np.asarray(strip.pictures[0]))


def test_the_nearest_words_are_told_by_the_first_encoder(base, tmp_path):
    from sdlab import inside

    found = inside(base, tmp_path).nearest("cat", 2)
    assert found["word"][0] == "cat" and found["cosine"][0] > 0.99


# ---- elsewhere


@pytest.mark.parametrize("negative", ["", "dog"])
def test_a_script_for_diffusers_makes_the_picture_that_run_makes(
    base, tmp_path, monkeypatch, negative
):
    from sdlab.results.scripts import write_comfyui_graph, write_diffusers_script

    request = base.but(negative_prompt=negative, original_size=(32, 96), guidance_scale=4)
    monkeypatch.chdir(tmp_path)
    exec(compile(write_diffusers_script(request), "script.py", "exec"), {})
    frame = run(request, tmp_path / "store", dtype="float32", progress=False)
    ours, theirs = (np.asarray(Image.open(path), int) for path in (frame["path"][0], "picture.png"))
    assert np.abs(ours - theirs).max() <= 1
    with pytest.raises(FieldError) as caught:
        write_comfyui_graph(base.but(scheduler="Euler"))
    assert caught.value.field == "model"


def test_a1111s_clip_skip_2_is_what_sdxl_reads_natively(base, random_v1, tmp_path):
    from foreign import INFOTEXT, save_png

    from sdlab import read_pictures
    from sdlab.results.elsewhere import requests

    text = INFOTEXT.replace("CFG scale", "Clip skip: 2, CFG scale")
    rows = read_pictures([save_png(tmp_path / "a.png", parameters=text)], progress=False)
    assert rows["clip_skip"][0] == 1
    for model, skipped in ((base.model, 0), (str(random_v1), 1)):
        found = requests(rows, {rows["model"][0]: model})
        assert not found.reasons and found[0].clip_skip == skipped


def test_a_call_is_timed_with_what_sdxl_is_told(models, base):
    from sdlab.render import card

    for request in (base, base.but(model=models["refiner"], image=photo(), strength=1)):
        loaded = load(native(request.model), "cpu", "float32")
        assert card.time_call(loaded, resolve(request), 2) > 0


def test_a_guidance_of_0_is_told_of_where_a_model_is_used_without(base, tmp_path, monkeypatch):
    turbo = Model(path=base.model, guidance_scale=1.0)
    monkeypatch.setitem(MODELS, "turbo", turbo)
    with pytest.warns(UserWarning, match="it makes here with 1"):
        notes = preview(base.but(model="turbo", guidance_scale=0), tmp_path).notes
    assert "guidance_scale" in notes
    assert "guidance_scale" not in preview(base.but(model="turbo"), tmp_path).notes


def test_a_mark_is_put_in_as_the_official_program_does(base, tmp_path):
    from sdlab import detect_watermark
    from sdlab.watermark.dwtdct import embed_watermark
    from sdlab.watermark.payloads import find_payload

    request = base.but(height=256, width=256, num_inference_steps=1, watermark="sdxl")
    frame = run([request, request.but(watermark=None)], tmp_path, progress=False, dtype="float32")
    marked, _ = (np.asarray(Image.open(path)) for path in frame["path"])
    levels = render(request.but(watermark=None))[0] * 255
    expected = embed_watermark(levels, find_payload("sdxl")).clip(0, 255).round()
    assert np.abs(marked - expected).max() <= 1
    assert "sdxl" in str(detect_watermark(frame["path"][0]))

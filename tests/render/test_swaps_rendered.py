"""Swapped parts give the pictures of diffusers' own pipeline, and leave nothing behind when they are taken out."""

import copy
import re
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import write_pipeline
from originals import original_vae
from safetensors.torch import load_file, save_file
from swaps import write_embeddings, write_kohya_lora, write_peft_lora

import sdlab.models.pipeline
from sdlab import Request, run, sweep
from sdlab.models.pipeline import load
from sdlab.models.quiet import silence_libraries
from sdlab.models.resolve import native, resolve, swap_parts
from sdlab.render.renderer import Renderer

LAYOUTS = {"peft": write_peft_lora, "kohya": write_kohya_lora}


@pytest.fixture(scope="module")
def files(random_v1, tmp_path_factory):
    top = tmp_path_factory.mktemp("swaps")
    toy, hat, ink = write_embeddings(top)
    found = {"toy": toy, "hat": hat, "ink": ink, "other": write_pipeline(top / "other", seed=1)}
    config = re.sub(
        r'"scaling_factor": [\d.]+',
        '"scaling_factor": 0.183',
        (path := found["other"] / "vae/config.json").read_text(),
    )
    path.write_text(config)
    for kind, write in LAYOUTS.items():
        found[kind] = write(top / f"{kind}.safetensors", random_v1)
        found[f"{kind} unet"] = write(
            top / f"{kind}-unet.safetensors", random_v1, seed=1, parts=("unet",)
        )
    found["pickled"] = write_kohya_lora(top / "kohya.ckpt", random_v1)
    return found


@pytest.fixture(autouse=True)
def one_thread():
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(cores)


@pytest.fixture
def base(random_v1):
    return Request(
        model=str(random_v1),
        prompt="the cat <toy> inkish <hat> dog",
        negative_prompt="inkish",
        num_inference_steps=2,
        seed=1,
        guidance_scale=4,
        scheduler="DDIM",
    )


def made(request, dtype="float32"):
    """The picture (H, W, 3) in 0..1 before it is rounded."""
    own = swap_parts(native(request.model), request)
    with mock.patch("sdlab.render.renderer.finish_picture", lambda levels, watermark: levels / 255):
        return Renderer(load(own, "cpu", dtype), 1).draw_pictures([resolve(request)])[0].image


@pytest.fixture
def stock(random_v1):
    """A pipeline of diffusers, and a function that gives its picture of a request."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    with silence_libraries():
        pipe = StableDiffusionPipeline.from_pretrained(random_v1, local_files_only=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)

    def picture(request):
        return pipe(
            request.prompt,
            negative_prompt=request.negative_prompt,
            guidance_scale=4,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(1),
            output_type="np",
        ).images[0]

    return pipe, picture


def same(found, expected, plain):
    return np.abs(found - expected).max() < 1e-5 < 1e-4 < np.abs(found - plain).max()


# As diffusers has it


@pytest.mark.parametrize("form", ["folder", "file"])
def test_another_vae_equals_diffusers_with_it(base, files, stock, form, tmp_path):
    from diffusers import AutoencoderKL

    pipe, picture = stock
    plain = picture(base)
    pipe.vae = AutoencoderKL.from_pretrained(files["other"] / "vae")
    place = files["other"] / "vae"
    if form == "file":  # which says nothing of its scaling factor: the model's own holds
        pipe.vae.register_to_config(scaling_factor=0.18215)
        weights = load_file(place / "diffusion_pytorch_model.safetensors")
        attention = re.compile(r"mid\.attn_1\.(q|k|v|proj_out)\.weight")
        weights = {original_vae(name): tensor for name, tensor in weights.items()}
        place = tmp_path / "vae.safetensors"
        save_file(
            {
                name: tensor[:, :, None, None] if attention.search(name) else tensor
                for name, tensor in weights.items()
            },
            place,
        )
    assert same(made(base.but(vae=str(place))), picture(base), plain)


@pytest.mark.parametrize(
    ("kind", "scale"), [("peft", 1.0), ("kohya", 0.4), ("pickled", 1.0), ("kohya unet", -1.5)]
)
def test_a_lora_equals_diffusers_with_it(base, files, stock, kind, scale):
    pipe, picture = stock
    plain = picture(base)
    with silence_libraries():
        pipe.load_lora_weights(
            files[kind].parent,
            weight_name=files[kind.replace("pickled", "kohya")].name,
            adapter_name="a",
        )
    pipe.set_adapters(["a"], [scale])
    assert same(made(base.but(lora=f"{files[kind]}@{scale}")), picture(base), plain)


def test_two_loras_equal_diffusers_with_both(base, files, stock):
    pipe, picture = stock
    plain, names = picture(base), ["peft", "kohya unet"]
    with silence_libraries():
        for name in names:
            pipe.load_lora_weights(
                files[name].parent, weight_name=files[name].name, adapter_name=name.replace(" ", "")
            )
    pipe.set_adapters(["peft", "kohyaunet"], [0.7, -0.5])
    assert same(
        made(base.but(lora=f"{files['peft']}@0.7, {files['kohya unet']}@-0.5")),
        picture(base),
        plain,
    )


@pytest.mark.parametrize(
    ("name", "token"), [("toy", None), ("hat", None), ("ink", None), ("ink", "<toy>")]
)
def test_a_textual_inversion_equals_diffusers_with_it(base, files, stock, name, token):
    pipe, picture = stock
    plain = picture(base)
    pipe.load_textual_inversion(files[name].parent, weight_name=files[name].name, token=token)
    asked = base.but(textual_inversion=f"{token}={files[name]}" if token else str(files[name]))
    assert same(made(asked), picture(base), plain)


def test_a_learned_word_acts_as_a_whole_word_alone(base, files):
    toy, plain = f"ink={files['toy']}", base.but(prompt="a pink dog_ink inks", negative_prompt="")
    assert np.array_equal(made(plain), made(plain.but(textual_inversion=toy)))
    whole = plain.but(prompt="the p-ink, (Ink) dog", textual_inversion=toy)
    usual = whole.but(prompt="the p-<toy>, (<toy>) dog", textual_inversion=str(files["toy"]))
    assert np.array_equal(made(whole), made(usual))


def test_a_word_called_as_another_words_second_vector_would_be_is_itself(base, files, stock):
    pipe, picture = stock
    asked = base.but(prompt="the inkish inkish_1 dog", negative_prompt="")
    renamed = asked.but(prompt="the <toy> <hat> dog")
    for name in ("toy", "hat"):
        pipe.load_textual_inversion(files[name].parent, weight_name=files[name].name)
    words = f"inkish={files['toy']}, inkish_1={files['hat']}"
    found = made(asked.but(textual_inversion=words))
    assert same(found, picture(renamed), made(asked))


def test_all_at_once_equal_diffusers_with_all(base, files, stock):
    from diffusers import AutoencoderKL

    pipe, picture = stock
    plain = picture(base)
    pipe.vae = AutoencoderKL.from_pretrained(files["other"] / "vae")
    for name in ("ink", "toy"):
        pipe.load_textual_inversion(files[name].parent, weight_name=files[name].name)
    with silence_libraries():
        pipe.load_lora_weights(files["peft"].parent, weight_name="peft.safetensors")
    asked = base.but(
        vae=str(files["other"]),
        textual_inversion=f"{files['ink']}, {files['toy']}",
        lora=str(files["peft"]),
    )
    assert same(made(asked), picture(base), plain)


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler")
def test_img2img_reads_and_writes_with_the_other_vae(base, files, stock):
    from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline
    from PIL import Image

    pipe, scheduler = stock[0], copy.deepcopy(stock[0].scheduler)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    pipe = StableDiffusionImg2ImgPipeline(
        **pipe.components | {"vae": AutoencoderKL.from_pretrained(files["other"] / "vae")},
        requires_safety_checker=False,
    )
    pipe.scheduler = scheduler  # only now: the class would change its configuration
    pipe.set_progress_bar_config(disable=True)
    expected = pipe(
        base.prompt,
        photo,
        strength=0.5,
        negative_prompt=base.negative_prompt,
        guidance_scale=4,
        num_inference_steps=4,
        generator=torch.Generator().manual_seed(1),
        output_type="np",
    ).images[0]
    asked = base.but(image=photo, strength=0.5, num_inference_steps=4)
    assert same(made(asked.but(vae=str(files["other"]))), expected, made(asked))


# What is in and what is out


def test_a_sweep_over_parts_reads_the_unet_once_and_leaves_plain_cells_as_they_are(
    base, files, tmp_path, monkeypatch
):
    plain = run(base, tmp_path / "plain", dtype="float32", progress=False)
    sdlab.models.pipeline.unload()
    reads, read = [], sdlab.models.pipeline.read
    monkeypatch.setattr(
        sdlab.models.pipeline, "read", lambda *given: reads.append(given) or read(*given)
    )
    cells = [
        *sweep(
            base,
            lora=[str(files["peft"]), None, f"{files['peft']}@0.5"],
            vae=[str(files["other"]), None],
        ),
        *sweep(
            base,
            textual_inversion=[str(files["ink"]), str(files["toy"])],
            lora=[None, str(files["kohya unet"])],
        ),
    ]
    frame = run(cells, tmp_path / "swept", dtype="float32", on_error="raise", progress=False)
    assert len(reads) == 1 and frame["pixels"].nunique() == len(cells) == 10
    none = frame[["lora", "vae", "textual_inversion"]].isna().all(axis=1)
    assert frame["pixels"][none].tolist() == plain["pixels"].tolist()
    backwards = run(
        cells[::-3], tmp_path / "backwards", dtype="float32", on_error="raise", progress=False
    )
    assert backwards["pixels"].tolist() == frame["pixels"].tolist()[::-3]


def test_every_tensor_is_the_models_own_again_after_a_swap(base, files):
    def tensors(pipe):
        return {
            f"{part} {name}": tensor
            for part in ("unet", "vae", "text_encoder")
            for name, tensor in getattr(pipe, part).state_dict().items()
        }

    loaded = load(native(base.model), "cpu", "float32")
    before, tokenizer = (
        {name: tensor.clone() for name, tensor in tensors(loaded.pipe).items()},
        loaded.pipe.tokenizer,
    )
    made(
        base.but(
            vae=str(files["other"]),
            textual_inversion=str(files["ink"]),
            lora=f"{files['peft']}, {files['kohya unet']}",
        )
    )
    assert len(tensors(loaded.pipe)) > len(before) and loaded.pipe.tokenizer.learned_words
    after = tensors(load(native(base.model), "cpu", "float32").pipe)
    assert list(after) == list(before) and all(
        torch.equal(after[name], before[name]) for name in before
    )
    assert loaded.pipe.tokenizer is tokenizer and not hasattr(tokenizer, "learned_words")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_holds_for_all_parts(base, files, dtype):
    asked = base.but(
        vae=str(files["other"]), textual_inversion=str(files["ink"]), lora=str(files["peft"])
    )
    found, exact, plain = made(asked, dtype), made(asked), made(base)
    assert np.abs(found - exact).max() < 0.2 * np.abs(exact - plain).max()
    pipe = load(swap_parts(native(base.model), asked), "cpu", dtype).pipe
    assert {
        tensor.dtype
        for part in (pipe.unet, pipe.vae, pipe.text_encoder)
        for tensor in part.parameters()
    } == {getattr(torch, dtype)}


def test_a_lora_that_fits_only_in_part_is_counted_and_leaves_nothing_behind(base, files, tmp_path):
    before, whole = made(base), made(base.but(lora=str(files["peft"])))
    weights = load_file(files["peft"])
    nowhere = {f"unet.mid_block.nowhere.lora_{each}.weight": torch.ones(2, 2) for each in "AB"}
    save_file(weights | nowhere, tmp_path / "part.safetensors")
    cells = [base.but(lora=str(path)) for path in (tmp_path / "part.safetensors", files["peft"])]
    with pytest.warns(UserWarning, match="1 of its 49 layers do nothing"):
        frame = run([*cells, base], tmp_path / "store", dtype="float32", progress=False)
    assert frame["lora_layers"].fillna("").tolist() == ["48 of 49", "48 of 48", ""]
    assert frame["pixels"][0] == frame["pixels"][1] != frame["pixels"][2]
    assert np.array_equal(made(cells[0]), whole) and np.array_equal(made(base), before)


def test_a_lora_that_does_not_fit_is_refused_before_the_run_and_leaves_nothing_behind(
    base, files, tmp_path
):
    before = made(base)
    weights = load_file(files["peft"])
    name = next(name for name in weights if name.endswith("lora_B.weight"))
    save_file(weights | {name: torch.ones(7, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="made for another model: its matrices of"):
        run(base.but(lora=str(tmp_path / "other.safetensors")), tmp_path / "store", progress=False)
    with pytest.raises(ValueError, match="does not fit the model"):  # whoever asks nobody before
        made(base.but(lora=str(tmp_path / "other.safetensors")))
    assert np.array_equal(made(base), before)

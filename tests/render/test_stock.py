"""Models without a loop of sdlab's: diffusers' own call makes the picture, as it does elsewhere."""

import dataclasses
import json
import shutil
import threading
import warnings
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from stock_pipelines import LAYOUTS, write_stock

import sdlab.models.pipeline
from sdlab import Job, Model, Request, Store, estimate, inside, preview, run, verify
from sdlab.errors import FieldError
from sdlab.models.calls import check_call
from sdlab.models.catalogue import explain_absence
from sdlab.models.pipeline import load
from sdlab.models.resolve import native, resolve
from sdlab.recipe.request import FIELDS
from sdlab.render import stock
from sdlab.results.scripts import write_comfyui_graph, write_diffusers_script
from sdlab.store.infotext import read_infotext
from sdlab.watermark.dwtdct import decode_watermark
from sdlab.watermark.payloads import find_payload

FEW = dict(num_inference_steps=2, height=32, width=32)
FAST = {  # options, for less work
    "flux2": {"text_encoder_out_layers": (1, 2)},
    "kandinsky-2-2": {"prior_num_inference_steps": 2},
    "pixart-sigma": {"use_resolution_binning": False},
    "sana": {"use_resolution_binning": False},
}
PADDED = "a cat and a dog and the other dog, far away"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Writes a layout's folder, once."""
    top, folders = tmp_path_factory.mktemp("stock"), {}

    def write(layout):
        if layout not in folders:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                folders[layout] = str(write_stock(top, layout))
        return folders[layout]

    yield write
    sdlab.models.pipeline.unload()


@pytest.fixture(autouse=True)
def quiet():
    """Libraries of our day say much of models so small."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rendered(requests, folder, **options):
    made = run(requests, folder, progress=False, **{"dtype": "float32", **options})
    assert not made.error.notna().any(), made.error.tolist()
    return made


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def call(folder, seeds, prompt="a cat", change=lambda pipe: None, **given):
    """What diffusers makes of a folder, (B, H, W, 3)."""
    import diffusers
    import torch

    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.watermark = None
    change(pipe)
    own = [torch.Generator().manual_seed(seed) for seed in seeds]
    found = pipe(prompt=prompt, generator=own if len(own) > 1 else own[0], **FEW | given).images
    return np.stack([np.asarray(image) for image in found])


# The same pictures as diffusers


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_is_that_of_the_call(made, layout, tmp_path):
    folder, options = made(layout), FAST.get(layout)
    request = Request(model=folder, prompt="a cat", seed=5, options=options, **FEW)
    more = (
        {}
        if "negative_prompt" in native(folder).layout.call.task.lacks
        else {"negative_prompt": "dog"}
    )
    plan = [request, request.but(seed=6, **more)]
    frame = rendered(plan, tmp_path)
    expected = call(folder, [5], **options or {}), call(folder, [6], **more, **options or {})
    assert np.array_equal([pixels(path) for path in frame.path], np.concatenate(expected))
    assert not np.array_equal(*expected) and expected[0].std() > 5


def test_a_batch_is_that_of_the_call_and_names_who_was_in_it(made, tmp_path):
    folder, prompts = made("qwen-image"), ["a cat", PADDED, "dog"]
    plan = [
        Request(model=folder, prompt=prompt, seed=seed, **FEW)
        for seed, prompt in enumerate(prompts)
    ]
    together = rendered(plan, tmp_path / "three", batch_size=3)
    expected = call(folder, range(3), prompts)
    assert np.array_equal([pixels(path) for path in together.path], expected)
    assert set(together.neighbours) == {", ".join(together.key)}
    assert rendered(plan, tmp_path / "alone").neighbours.isna().all()


def test_a_batch_shares_what_the_call_takes_once(made, tmp_path):
    folder, calls = made("sd3"), []
    base = Request(model=folder, prompt="a cat", **FEW)
    unlike = [{"guidance_scale": 1}, {"negative_prompt": "dog"}, {"options": {"mu": 1.0}}]
    draw = stock.StockRenderer.draw_pictures

    def count(self, requests, *given):
        calls.append(len(requests))
        return draw(self, requests, *given)

    with mock.patch.object(stock.StockRenderer, "draw_pictures", count):
        plan = [base.but(seed=seed, **fields) for fields in ({}, *unlike) for seed in range(2)]
        rendered(plan, tmp_path, batch_size=2)
    assert calls == [2] * 4


def test_another_scheduler_runs_where_the_class_says_that_any_does(made, tmp_path):
    from diffusers import DDIMScheduler

    folder, options = made("pixart-sigma"), FAST["pixart-sigma"]
    cell = Request(model=folder, prompt="a cat", seed=5, options=options, **FEW)
    frame = rendered([cell.but(scheduler="DDIM"), cell], tmp_path)

    def change(pipe):
        pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

    expected = call(folder, [5], change=change, **options), call(folder, [5], **options)
    assert np.array_equal([pixels(path) for path in frame.path], np.concatenate(expected))
    assert list(frame.scheduler) == ["DDIMScheduler", "DPMSolverMultistepScheduler"]


def test_a_mark_is_there_if_a_request_says_so_and_never_by_itself(made):
    folder, grey = made("sdxl"), np.full((256, 256, 3), 0.5, np.float32)
    assert load(native(folder), dtype="float32").pipe.watermark is None
    cell = resolve(Request(model=folder, watermark="sdxl", height=256, width=256))
    marked = stock.look_at(cell, grey, None, {}).image
    plain = stock.look_at(cell.but(watermark=None), grey, None, {}).image
    mark = find_payload("sdxl")
    how = len(mark.bits), mark.method
    read = [decode_watermark(image, *how, arithmetic="float32") for image in (marked, plain)]
    assert [np.mean(bits == mark.bits) > 0.95 for bits in read] == [True, False]


# What a call takes


@pytest.mark.parametrize(
    ("layout", "fields"),
    [
        ("flux", {"guidance_rescale": 0.5}),
        ("flux", {"scheduler": "DDIM"}),
        ("flux", {"image": Image.new("RGB", (8, 8))}),
        ("flux", {"vae": "sd-vae-ft-mse"}),
        ("flux", {"lora": "ink.safetensors"}),
        ("flux", {"textual_inversion": "ink.pt"}),
        ("flux", {"prompt_syntax": "weights"}),
        ("flux", {"strength": 0.5}),
        ("flux", {"eta": 0.5}),
        ("flux", {"height": 30 * 8 + 2}),
        ("flux", {"options": {"max_sequence": 5}}),
        ("flux", {"options": {"seed": 5}}),
        ("flux", {"options": {"generator": 5}}),
        ("lcm", {"negative_prompt": "dog"}),
        ("tiny-v1", {"options": {"max_sequence_length": 5}}),
    ],
)
def test_what_a_call_does_not_take_is_refused_by_name(made, layout, fields):
    model = layout if layout == "tiny-v1" else made(layout)
    with pytest.raises(FieldError) as caught:
        resolve(Request(model=model, **fields))
    assert caught.value.field == next(iter(fields))


def test_a_known_argument_is_proposed_for_one_that_is_not(made):
    with pytest.raises(FieldError, match="did you mean 'max_sequence_length'"):
        resolve(Request(model=made("flux"), options={"max_sequence": 5}))


def test_options_reach_the_call_and_count_in_the_key(made, tmp_path):
    folder = made("qwen-image")
    cell = Request(model=folder, prompt="a cat", negative_prompt="dog", seed=5, **FEW)
    plan = [cell, cell.but(options={"true_cfg_scale": 1.5})]
    frame = rendered(plan, tmp_path)
    expected = [call(folder, [5], negative_prompt="dog", true_cfg_scale=s) for s in (4.0, 1.5)]
    assert np.array_equal([pixels(path) for path in frame.path], np.concatenate(expected))
    assert frame.key.nunique() == 2 and not np.array_equal(*expected)


def test_a_call_is_given_real_numbers_where_it_takes_them(made):
    given = {"true_cfg_scale": 4, "sigmas": [1.0, 0.5], "max_sequence_length": 16.0}
    recipe = resolve(Request(model=made("flux"), options=given))
    said = stock.list_arguments([recipe], native(recipe.model).layout.call)
    kinds = [type(said["true_cfg_scale"]), *map(type, said["sigmas"])]
    assert kinds == [float] * 3 and type(said["max_sequence_length"]) is int
    again = Request(model=made("flux"), options=given | {"true_cfg_scale": 4.0})
    assert resolve(again).key == recipe.key


def test_further_prompts_reach_the_other_text_encoders_and_count_in_the_key(made, tmp_path):
    folder = made("sd3")
    cell = Request(model=folder, prompt="a cat", seed=5, **FEW)
    more = {"prompt_2": "a dog", "negative_prompt_3": "far away"}
    frame = rendered([cell, cell.but(options=more)], tmp_path)
    expected = call(folder, [5]), call(folder, [5], **more)
    assert np.array_equal([pixels(path) for path in frame.path], np.concatenate(expected))
    assert frame.key.nunique() == 2 and not np.array_equal(*expected)
    pair = [cell.but(options=more), cell.but(options=more, prompt="the dog")]
    both = rendered(pair, tmp_path / "two", batch_size=2)
    generators = call(folder, [5, 5], ["a cat", "the dog"], **{n: [t] * 2 for n, t in more.items()})
    assert np.array_equal([pixels(path) for path in both.path], generators)


def test_half_a_denoising_is_refused_with_what_to_do_instead(made):
    for layout in ("sd3", "tiny-v1"):
        model = layout if layout == "tiny-v1" else made(layout)
        with pytest.raises(FieldError, match="denoising_end: .*image=.*strength="):
            resolve(Request(model=model, options={"denoising_end": 0.8}))


def test_kandinsky_is_asked_for_sides_that_it_makes(made, tmp_path):
    """A decoder that halves twice rounds sides up to what it makes: 64 of the real one's."""
    folder = made("kandinsky-2-2")
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = copy / "movq" / "config.json"
    stated = json.loads(config.read_text())
    for levels in (2, 3, 4):
        stated["block_out_channels"] = [32] * levels
        config.write_text(json.dumps(stated))
        layout = Model.from_path(copy).layout
        assert layout.call.multiple == (2 ** (levels - 1)) ** 2
    sdlab.MODELS["kandinsky copy"] = Model.from_path(copy)
    try:
        with pytest.raises(FieldError, match="multiples of 64"):
            resolve(Request(model="kandinsky copy", height=520, width=512))
        assert resolve(Request(model="kandinsky copy", height=576, width=512)).height == 576
    finally:
        del sdlab.MODELS["kandinsky copy"]


def test_kandinskys_halves_are_put_together_as_the_advice_says(made, tmp_path, monkeypatch):
    import diffusers

    whole = diffusers.DiffusionPipeline.from_pretrained(made("kandinsky-2-2"))
    row, prior = sdlab.MODELS["kandinsky-2-2"], tmp_path / "prior"
    whole.prior_pipe.save_pretrained(prior)
    whole.decoder_pipe.save_pretrained(tmp_path / "decoder")
    said = explain_absence("kandinsky-2-2", row)
    assert all(f"`hf download {hub} --include" in said for hub in row.halves)
    code = said.partition("once:\n")[2].partition("\n\n")[0]
    for hub, half in zip(row.halves, ("prior", "decoder")):
        code = code.replace(repr(hub), repr(str(tmp_path / half)))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    expected = resolve(Request(model=made("kandinsky-2-2"), **FEW))
    assert (
        resolve(Request(model=str(tmp_path / "kandinsky-2-2"), **FEW)).weights == expected.weights
    )


@pytest.mark.parametrize(
    ("layout", "guidance_scale", "steps", "side"),
    [
        ("flux", 3.5, 28, 256),
        ("sdxl", 5.0, 50, 32),
        ("z-image", 5.0, 50, 1024),
        ("lcm", 8.5, 4, 32),
    ],
)
def test_what_is_left_open_is_what_the_call_takes(made, layout, guidance_scale, steps, side):
    recipe = resolve(Request(model=made(layout)))
    found = recipe.guidance_scale, recipe.num_inference_steps, recipe.height, recipe.width
    assert found == (guidance_scale, steps, side, side)


def test_a_row_says_more_than_the_call(made):
    facts = dict(guidance_scale=0.0, num_inference_steps=1, native_size=512)
    with mock.patch.dict("sdlab.MODELS", turbo=Model.from_path(made("sdxl-turbo"), **facts)):
        recipe = resolve(Request(model="turbo"))
    assert (recipe.guidance_scale, recipe.num_inference_steps, recipe.width) == (0.0, 1, 512)


def test_a_size_that_nobody_tells_is_asked_for(made):
    untold = mock.patch("sdlab.models.configuration.read_call", lambda *given: (call_of, 8, None))
    call_of = native(made("flux")).layout.call
    with untold, pytest.raises(FieldError, match="native_size=") as caught:
        resolve(Request(model=str(shutil.copytree(made("flux"), made("flux") + "-untold"))))
    assert caught.value.field == "height"


def test_a_guidance_that_is_left_to_the_call_is_no_number(made, tmp_path):
    frame = rendered([Request(model=made("qwen-image"), **FEW)], tmp_path)
    assert frame.guidance_scale.isna().all()


# Folders


def rewrite(folder, copy, **stated):
    """A copy of a folder whose model_index.json states something else."""
    copy = shutil.copytree(folder, copy)
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps(index | stated))
    return copy


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("KandinskyV22Pipeline", "takes no prompt.*KandinskyV22CombinedPipeline"),
        ("WanPipeline", "makes videos"),
        ("QwenImageEditPipeline", "begins with a picture"),
        ("StableCascadePriorPipeline", "makes half of a picture"),
        ("StableDiffusionXLImg2ImgPipeline", "begins with a picture"),
        (["own", "Pipeline"], "no program that comes with a model"),
    ],
)
def test_a_class_that_makes_no_picture_of_a_text_is_refused(made, tmp_path, stated, said):
    with pytest.raises(ValueError, match=said):
        Model.from_path(rewrite(made("lcm"), tmp_path / "copy", _class_name=stated))


def test_a_folder_without_a_part_is_refused(made, tmp_path):
    copy = rewrite(made("flux"), tmp_path / "copy")
    next((copy / "transformer").glob("*.safetensors")).unlink()
    with pytest.raises(FileNotFoundError, match="transformer holds no weights"):
        Model.from_path(copy)


def test_weights_that_do_not_fit_are_refused_before_anything_runs(made, tmp_path):
    copy = rewrite(made("sd3"), tmp_path / "copy")
    config = copy / "transformer/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_layers": 2}))
    with pytest.raises(FieldError, match="does not fit SD3Transformer2DModel"):
        preview(Request(model=str(copy), **FEW), tmp_path / "store")


def test_a_setting_of_the_index_makes_another_recipe(made, tmp_path):
    folder = made("flux2")
    copies = [
        rewrite(folder, tmp_path / "same"),
        rewrite(folder, tmp_path / "b", is_distilled=True),
    ]
    same, other = (resolve(Request(model=str(copy))).weights for copy in copies)
    assert resolve(Request(model=folder)).weights == same != other


# A run


def test_a_run_stops_within_a_step_whatever_the_class(made, tmp_path):
    folder, calls = made("flux"), []
    network = load(native(folder), dtype="float32").pipe.transformer
    job = None

    def stop(*_):
        calls.append(1)
        if len(calls) == 2:
            ready.wait()
            job.stop()

    ready = threading.Event()
    hook = network.register_forward_pre_hook(stop)
    steps = dict(num_inference_steps=30, height=32, width=32)
    try:
        cell = Request(model=folder, **steps)
        job = Job([cell], tmp_path, dtype="float32", progress=False)
        ready.set()
        job.wait()
    finally:
        hook.remove()
    assert job.state == "stopped" and len(calls) <= 3 and not len(Store(tmp_path).frame())


def test_steps_are_told_and_a_class_without_a_callback_stops_too(made):
    cell, told = resolve(Request(model=made("flux"), **FEW | {"num_inference_steps": 3})), []
    renderer = stock.StockRenderer(load(native(cell.model), dtype="float32"))
    renderer.draw_pictures([cell], lambda done, total, clean: told.append((done, total)))
    assert told[0] == (0, 3) and told[-1] == (2, 3) and {1, 2} < {done for done, _ in told}
    silent = [n for n in renderer.call.takes if "callback" not in n]
    renderer.call = dataclasses.replace(renderer.call, takes=tuple(silent))
    with pytest.raises(KeyboardInterrupt):
        renderer.draw_pictures([cell], mock.Mock(side_effect=[None, None, KeyboardInterrupt]))


def test_a_picture_that_half_precision_spoils_is_made_again_in_float32(made, tmp_path):
    read, factors = stock.read_pixels, iter([np.nan, 0, 1, 1])
    with (
        mock.patch("sdlab.render.stock.read_pixels", lambda *given: read(*given) * next(factors)),
        mock.patch("sdlab.models.pipeline.dtype_for", lambda *_: "bfloat16"),
    ):
        plan = [Request(model=made("sd3"), seed=seed, **FEW) for seed in range(2)]
        frame = run(plan, tmp_path, progress=False)
    assert set(frame.dtype) == {"float32"} and not next(factors, 0)
    assert list(frame.rerun) == ["not a number in bfloat16", "black in bfloat16"]


def test_what_diffusers_warns_of_is_recorded(made, tmp_path):
    cell = Request(model=made("lcm"), prompt="cat " * 80, **FEW)
    frame = rendered([cell, cell.but(prompt="cat")], tmp_path)
    assert "truncated" in frame.warned[0] and frame.warned.isna()[1]


def test_a_picture_of_another_size_than_asked_is_an_error(made):
    cell = resolve(Request(model=made("flux"), **FEW))
    with pytest.raises(ValueError, match="40x32x3 where 32x32x3 was asked"):
        stock.read_pixels(mock.Mock(images=np.zeros((1, 40, 32, 3))), cell)


def test_sides_are_multiples_of_what_the_class_works_in(made, tmp_path):
    copy = rewrite(made("sd3"), tmp_path / "copy")
    config = copy / "transformer/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"patch_size": 8}))
    found = [native(str(each)).layout.call.multiple for each in (made("sd3"), made("flux"), copy)]
    assert found == [2, 4, 16]
    own = native(made("flux"))
    cell = resolve(Request(model=made("flux"), **FEW | {"height": 40}))
    with pytest.raises(FieldError, match="multiples of 16") as caught:
        check_call(cell, dataclasses.replace(own.layout.call, multiple=16), (32, 32))
    assert caught.value.field == "height"


@pytest.mark.parametrize("memory", ["low", "lowest"])
def test_levels_of_memory_take_tiles_where_the_vae_has_them(made, tmp_path, memory):
    folder = made("sd3")
    frame = rendered([Request(model=folder, **FEW)], tmp_path, memory=memory)
    assert frame.memory[0] == memory
    assert load(native(folder), "cpu", "float32", memory).pipe.vae.use_tiling


def test_a_store_has_it_and_a_check_finds_it_the_same(made, tmp_path):
    plan = [Request(model=made("flux"), prompt="a cat", seed=seed, **FEW) for seed in range(2)]
    frame = rendered(plan, tmp_path)
    assert preview(plan, tmp_path).todo == 0
    assert "2 of 2 identical" in repr(verify(frame))
    assert frame.task[0] == "txt2img" and frame.unet_calls.isna().all()


def test_the_text_in_a_picture_says_what_was_asked(made, tmp_path):
    cell = Request(model=made("flux"), prompt="a cat", options={"sigmas": [1.0, 0.5]}, **FEW)
    frame = rendered([cell], tmp_path)
    said = read_infotext(Image.open(frame.path[0]).info["parameters"])
    fields = {name: said[name] for name in FIELDS if name in said}
    assert {"options", "scheduler", "guidance_scale"} < set(fields)
    assert resolve(Request(**fields)).key == frame.key[0]


def test_an_estimate_knows_the_weights(made):
    folder = made("kandinsky-2-2")
    found = estimate(Request(model=folder, **FEW | dict(height=64, width=64)), dtype="float32")
    parts = load(native(folder), dtype="float32").pipe.components.values()
    weights = sum(
        p.numel() for part in parts if hasattr(part, "parameters") for p in part.parameters()
    )
    assert abs(found.frame.weights[0] / (4 * weights) - 1) < 0.01
    assert set(found.frame.batch_size) == {1} and set(found.frame.lanes) == {1}


def test_what_is_not_there_is_said(made):
    cell = Request(model=made("flux"), prompt="a cat", **FEW)
    for ask in (inside, write_comfyui_graph):
        with pytest.raises(FieldError) as caught:
            ask(cell)
        assert caught.value.field == "model"


def test_a_script_makes_the_same_picture(made, tmp_path, monkeypatch):
    cell = Request(
        model=made("flux"), prompt="a cat", seed=5, options={"sigmas": [1.0, 0.5]}, **FEW
    )
    (path,) = rendered([cell], tmp_path).path
    monkeypatch.chdir(tmp_path)
    exec(write_diffusers_script(cell), {})
    assert np.array_equal(pixels("picture.png"), pixels(path))


def test_a_row_is_found_by_its_name_in_the_folder_of_models(made, tmp_path, monkeypatch):
    monkeypatch.setenv("SDLAB_MODELS", str(tmp_path))
    copy = shutil.copytree(made("flux"), tmp_path / "black-forest-labs/FLUX.1-schnell")
    recipe = resolve(Request(model="flux-1-schnell"))
    assert (recipe.guidance_scale, recipe.num_inference_steps, recipe.width) == (0.0, 4, 1024)
    next((copy / "transformer").glob("*.safetensors")).unlink()  # an interrupted download
    with pytest.raises(FileNotFoundError, match="is not on this machine"):
        resolve(Request(model="flux-1-schnell"))


def test_a_tokenizer_file_that_the_call_reads_counts_in_the_key(made, tmp_path):
    copy = rewrite(made("z-image"), tmp_path / "copy")
    before = resolve(Request(model=str(copy))).weights
    template = copy / "tokenizer/chat_template.jinja"
    template.write_text(template.read_text().replace("assistant", "painter"))
    assert resolve(Request(model=str(copy))).weights != before


def test_the_scheduler_that_is_told_is_that_of_what_makes_the_picture(made):
    recipe = resolve(Request(model=str(made("kandinsky-2-2")), prompt="a cat"))
    assert recipe.scheduler.startswith("DDPMScheduler")


def test_proportions_become_sides_that_the_call_makes(made):
    recipe = resolve(Request(model=str(made("flux")), prompt="a cat", aspect="3:2"))
    multiple = native(recipe.model).layout.call.multiple
    assert recipe.height % multiple == recipe.width % multiple == 0
    assert recipe.width > recipe.height

"""What files of other programs say, program by program, on files built by each format's rules."""

import json

import pytest
from foreign import (
    INFOTEXT,
    add_chunk,
    draw_picture,
    hide_text,
    make_recipe,
    save_comment,
    save_png,
    save_tags,
)

from sdlab.store.png import embed_record
from sdlab.store.readers.folder import read_pictures

A1111 = "A1111's web UI or a program that writes such notes, too"
OF_INFOTEXT = {
    "model": "v1-5-pruned-emaonly",
    "prompt": "a cat on a mat",
    "negative_prompt": "a dog",
    "seed": 5,
    "guidance_scale": 7.0,
    "num_inference_steps": 20,
    "scheduler": "DPMSolverMultistepScheduler(use_karras_sigmas=True)",
    "width": 64,
    "height": 96,
    "clip_skip": 0,
}


@pytest.fixture
def read():
    """Reads one file into what its row says: the columns that are not missing."""

    def row(path):
        frame = read_pictures([path], progress=False)
        return frame.iloc[0].dropna().to_dict()

    return row


@pytest.fixture
def png(tmp_path):
    return lambda **texts: save_png(tmp_path / "a.png", **texts)


def has(row, **wanted):
    return {name: row.get(name) for name in wanted} == wanted


# A1111 and its kin


def test_a1111_is_read_and_its_missing_noise_source_is_the_gpu(read, png):
    row = read(png(parameters=INFOTEXT))
    assert has(row, **OF_INFOTEXT, source=A1111)
    assert row["not_translated"] == "noise made on the GPU" and "key" not in row


@pytest.mark.parametrize(
    ("noise", "left"),
    [("RNG: CPU, ", None), ("RNG: NV, ", "noise made as by NV"), ("", "noise made on the GPU")],
)
def test_where_the_noise_was_made_is_told(read, png, noise, left):
    assert (
        read(png(parameters=INFOTEXT.replace("Version", f"{noise}Version"))).get("not_translated")
        == left
    )


@pytest.mark.parametrize(
    ("version", "source"), [("f2.0.1v1.10.1", "Forge"), ("v1.10.1, App: SD.Next", "SD.Next")]
)
def test_forks_are_told_by_their_version(read, png, version, source):
    row = read(png(parameters=INFOTEXT.replace("v1.10.1", version)))
    assert has(row, **OF_INFOTEXT, source=source)


@pytest.mark.parametrize(
    "words", ["a poster, Version: sdlab 1", "Version: Fooocus v2", "App: SD.Next"]
)
def test_a_prompt_that_names_a_program_does_not_change_who_wrote_it(read, png, words):
    row = read(png(parameters=INFOTEXT.replace("a cat on a mat", words)))
    assert has(row, prompt=words, source=A1111, not_translated="noise made on the GPU")
    text = INFOTEXT.replace("Version: v1", f'Hires prompt: "{words}", Version: v1')
    assert read(png(parameters=text))["source"] == A1111


def test_a_node_of_comfyui_that_writes_as_a1111_names_schedules_as_comfyui_does(read, png):
    text = INFOTEXT.replace(
        "Sampler: DPM++ 2M, Schedule type: Karras", "Sampler: dpmpp_2m, Schedule type: karras"
    )
    row = read(png(parameters=text.replace("v1.10.1", "ComfyUI")))
    assert has(row, **OF_INFOTEXT, source="ComfyUI") and "not_translated" not in row


def test_what_was_done_to_a_picture_afterwards_is_said(read, png):
    row = read(png(parameters=INFOTEXT, postprocessing="Postprocess upscale by: 2"))
    assert "postprocessing: Postprocess upscale by: 2" in row["not_translated"]


def test_flux_in_forge_has_its_guidance_as_diffusers_names_it(read, png):
    text = INFOTEXT.replace("CFG scale: 7", "CFG scale: 1, Distilled CFG Scale: 3.5")
    row = read(png(parameters=text.replace("v1.10.1", "f2.0.1")))
    assert has(row, guidance_scale=3.5, not_translated="noise made on the GPU")


def test_what_has_no_counterpart_is_left_and_what_says_nothing_is_not(read, png):
    more = (
        'Hires upscale: 2, Denoising strength: 0.4, ControlNet 0: "Module: canny, Weight: 1", '
        'Lora hashes: "ink: 0123", Clip skip: 2, Version'
    )
    row = read(png(parameters=INFOTEXT.replace("Version", more)))
    assert row["clip_skip"] == 1 and "strength" not in row
    assert row["not_translated"].split("; ") == [
        "noise made on the GPU",
        "Hires upscale: 2",
        "Denoising strength: 0.4",
        "ControlNet 0: Module: canny, Weight: 1",
        "Lora hashes: ink: 0123",
    ]
    tagged = INFOTEXT.replace("Version", more).replace("a cat", "<lora:ink:1>a cat")
    assert "Lora hashes" not in read(png(parameters=tagged))["not_translated"]


@pytest.mark.parametrize("twice", ["", '"seed": 4, '])
def test_json_of_an_unknown_program_is_no_prompt(read, png, twice):
    row = read(png(parameters="{" + twice + '"Prompt": "a cat", "seed": 4, "software": "Other"}'))
    assert "prompt" not in row and "seed" not in row and "source" not in row
    assert row["not_translated"].startswith("parameters, JSON of an unknown program: {")
    choice = read(png(parameters="{a|b} cat\n" + INFOTEXT.split("\n", 1)[1]))
    assert has(choice, prompt="{a|b} cat", seed=5)


def test_json_of_an_unknown_program_leaves_another_text_to_be_read(read, png):
    row = read(png(parameters={"software": "Other"}, **NOVEL))
    assert has(row, prompt="1girl, rain", source="NovelAI")


def test_loras_leave_the_prompt_as_they_do_before_it_is_encoded(read, png):
    text = INFOTEXT.replace("a cat", "<lora:folder/ink:0.8>a (cat:1.2) <lora:b:1:0.5>")
    row = read(png(parameters=text))
    assert row["prompt"] == "a (cat:1.2)  on a mat" and row["lora"] == "ink@0.8, b"
    assert row["prompt_syntax"] == "weights"
    assert "LoRA: b:1:0.5" in row["not_translated"] and "cat" not in row["not_translated"]


RESOURCES = [
    {"type": "checkpoint", "modelVersionId": 1, "modelName": "Ponies, V6"},
    {"type": "lora", "weight": 0.8, "modelVersionId": 2, "modelName": "Fur"},
    {"type": "lora", "modelVersionId": 3},
    {"type": "embed", "modelVersionId": 4, "modelName": "bad hands"},
    7,
]


def test_civitais_generator_names_checkpoint_and_loras_among_its_resources(read, png):
    head = INFOTEXT.partition(", Model hash")[0] + ", RNG: CPU, Civitai resources: "
    row = read(png(parameters=head + json.dumps(RESOURCES) + ", Civitai metadata: {}"))
    assert has(row, model="Ponies, V6", lora="Fur@0.8", seed=5)
    assert row["not_translated"].split("; ") == [
        "Civitai resources: lora 3",
        "Civitai resources: embed bad hands",
    ]
    assert "Civitai resources: [7" in read(png(parameters=head + "[7"))["not_translated"]


def test_resources_that_a1111_lists_are_not_taken_twice(read, png):
    more = f"Civitai resources: {json.dumps(RESOURCES[:2])}, RNG: CPU, Version"
    text = INFOTEXT.replace("a cat", "<lora:fur:0.8>a cat").replace("Version", more)
    row = read(png(parameters=text))
    assert has(row, model="v1-5-pruned-emaonly", lora="fur@0.8") and "not_translated" not in row


@pytest.mark.parametrize(
    "prompt", ["[a cat:a dog:0.5]", "a cat AND a dog", "a [cat|dog]", "a (cat"]
)
def test_a_prompt_that_asks_for_more_than_weights_is_said(read, png, prompt):
    row = read(png(parameters=INFOTEXT.replace("a cat on a mat", prompt)))
    assert row["prompt"] == prompt and "prompt: " in row["not_translated"]


def test_a_prompt_of_more_than_75_words_is_read_in_chunks(read, png):
    assert "prompt_syntax" not in read(png(parameters=INFOTEXT.replace("a cat", "a " * 60)))
    assert read(png(parameters=INFOTEXT.replace("a cat", "a " * 80)))["prompt_syntax"] == "chunks"


def test_a_picture_of_another_size_than_its_text_states_is_said(read, tmp_path):
    row = read(save_png(tmp_path / "a.png", (128, 192), parameters=INFOTEXT))
    assert has(row, width=64, height=96) and "the picture is 128x192" in row["not_translated"]


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + INFOTEXT.encode("utf-16-be"),
        b"UNICODE\0" + INFOTEXT.encode("utf-16-le"),
        b"ASCII\0\0\0" + INFOTEXT.encode(),
        INFOTEXT.encode(),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".png", ".tiff"])
def test_the_comment_in_exif_is_read_in_any_format_and_encoding(read, tmp_path, suffix, comment):
    row = read(save_comment(tmp_path / f"a{suffix}", comment))
    assert has(row, **OF_INFOTEXT, source=A1111)


def test_texts_in_all_kinds_of_chunks_are_read_also_behind_the_pixels(read, tmp_path):
    import zlib

    packed, plain = zlib.compress(INFOTEXT.encode()), INFOTEXT.encode()
    chunks = {
        b"tEXt": b"parameters\0" + plain,
        b"zTXt": b"parameters\0\0" + packed,
        b"iTXt": b"parameters\0\1\0\0\0" + packed,
    }
    for kind, data in chunks.items():
        for last in (False, True):
            path = add_chunk(save_png(tmp_path / "a.png"), kind, data, last=last)
            assert has(read(path), **OF_INFOTEXT)


def test_utf8_in_a_latin1_chunk_is_read_as_what_it_is(read, tmp_path):
    text = INFOTEXT.replace("a cat", "Katze mit Hütchen 猫")
    path = add_chunk(save_png(tmp_path / "a.png"), b"tEXt", b"parameters\0" + text.encode())
    assert read(path)["prompt"] == "Katze mit Hütchen 猫 on a mat"
    latin = add_chunk(
        save_png(tmp_path / "b.png"),
        b"tEXt",
        b"parameters\0" + INFOTEXT.replace("a cat", "Hütchen").encode("latin-1"),
    )
    assert read(latin)["prompt"] == "Hütchen on a mat"


def test_a_text_of_the_same_name_beside_the_picture_is_read_if_it_is_a_recipe(read, tmp_path):
    path = save_png(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a caption for training\nwith two lines")
    assert "prompt" not in read(path) and "source" not in read(path)
    (tmp_path / "a.txt").write_text(INFOTEXT)
    assert has(read(path), **OF_INFOTEXT)


def test_the_lowest_bits_are_read_where_the_file_says_nothing(read, tmp_path):
    row = read(hide_text(tmp_path / "a.png", INFOTEXT))
    assert has(row, **OF_INFOTEXT, source=A1111)


# sdlab


def test_pictures_of_sdlab_alone_have_a_key(read, tmp_path):
    recipe = make_recipe()
    path = tmp_path / "a.png"
    path.write_bytes(embed_record(recipe, draw_picture(), {"device": "cpu", "seconds": 0.5}))
    row = read(path)
    assert has(row, key=recipe.key, prompt="a cat", device="cpu", seconds=0.5, source="sdlab")
    whole = path.read_bytes().replace(b'"seed":3', b'"seed":4')
    path.write_bytes(whole)
    changed = read(path)
    assert "key" not in changed and "key: not that of this recipe" in changed["not_translated"]


# InvokeAI


METADATA = {
    "app_version": "6.9.0",
    "generation_mode": "txt2img",
    "positive_prompt": "an owl",
    "negative_prompt": "text",
    "width": 64,
    "height": 96,
    "seed": 7,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0.0,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "clip_skip": 1,
    "model": {
        "key": "1",
        "hash": "blake3:a",
        "name": "dreamshaper",
        "base": "sd-1",
        "type": "main",
    },
}


def test_invokeai_of_the_third_generation_and_later(read, png):
    row = read(
        png(
            invokeai_metadata=METADATA
            | {
                "loras": [
                    {"model": {"name": "new"}, "weight": 0.5},
                    {"lora": {"model_name": "old"}, "weight": 0.75},
                ]
            }
        )
    )
    assert has(
        row, prompt="an owl", negative_prompt="text", seed=7, guidance_scale=7.5, clip_skip=1
    )
    assert has(row, model="dreamshaper", lora="new@0.5, old@0.75", source="InvokeAI")
    assert row["scheduler"] == "DPMSolverMultistepScheduler(use_karras_sigmas=True)"
    assert "not_translated" not in row


def test_invokeai_says_what_it_did_besides(read, png):
    said = METADATA | {
        "rand_device": "cuda",
        "generation_mode": "sdxl_img2img",
        "init_image": "x.png",
        "controlnets": [{"control_model": {"model_name": "canny"}}],
        "model": {"model_name": "old name", "base_model": "sd-1"},
        "positive_prompt": "a cat++ and (a dog)1.2",
    }
    row = read(png(invokeai_metadata=said))
    assert row["model"] == "old name"
    left = row["not_translated"]
    for part in (
        "noise made on the GPU",
        "sdxl_img2img",
        "x.png",
        "canny",
        "as compel writes them",
    ):
        assert part in left


def test_layers_of_invokeais_canvas_are_said_whatever_it_calls_the_mode(read, png):
    """Version 5 writes "flux_txt2img" for each picture of its canvas; that begins with an empty mask."""
    mask = {"type": "inpaint_mask", "isEnabled": True, "objects": []}
    image = {"type": "raster_layer", "isEnabled": True, "objects": [{"type": "image"}]}
    canvas = {
        "controlLayers": [],
        "inpaintMasks": [mask],
        "rasterLayers": [image],
        "regionalGuidance": [{"isEnabled": True, "objects": [], "positivePrompt": "a sun"}],
    }
    row = read(png(invokeai_metadata=METADATA | {"canvas_v2_metadata": canvas}))
    assert row["not_translated"] == "layers of the canvas: rasterLayers, regionalGuidance"
    canvas |= {"rasterLayers": [image | {"isEnabled": False}], "regionalGuidance": 3}
    row = read(png(invokeai_metadata=METADATA | {"canvas_v2_metadata": canvas}))
    assert "not_translated" not in row


def test_flux_in_invokeai_has_its_guidance_as_diffusers_names_it(read, png):
    flux = {name: METADATA[name] for name in ("positive_prompt", "seed", "steps", "model")}
    flux |= {"generation_mode": "flux_txt2img", "guidance": 4, "width": 64, "height": 96}
    assert has(read(png(invokeai_metadata=flux)), guidance_scale=4.0, seed=7)
    assert "not_translated" not in read(png(invokeai_metadata=flux))
    both = read(png(invokeai_metadata=flux | {"cfg_scale": 3.0}))
    assert has(both, guidance_scale=3.0, not_translated="guidance: 4")


def test_invokeai_of_the_second_generation(read, png):
    said = {
        "model_weights": "stable-diffusion-1.5",
        "app_version": "2.3.0",
        "image": {
            "prompt": [{"prompt": "an owl [text]", "weight": 1}],
            "seed": 7,
            "steps": 30,
            "cfg_scale": 7.5,
            "sampler": "k_lms",
            "width": 64,
            "height": 96,
            "type": "txt2img",
            "seamless": False,
            "hires_fix": True,
        },
    }
    row = read(png(**{"sd-metadata": said, "Dream": "ignored"}))
    assert has(row, prompt="an owl", negative_prompt="text", seed=7, model="stable-diffusion-1.5")
    assert has(row, scheduler="LMSDiscreteScheduler", not_translated="hires_fix: True")


@pytest.mark.parametrize(
    "command",
    [
        '"a red fox [blurry, text]" -s 50 -S 3357757885 -W 64 -H 96 -C 7.5 -A k_euler_a',
        '"a red fox [blurry, text]" -s50 -S3357757885 -W64 -H96 -C7.5 -Ak_euler_a',
    ],
)
def test_invokeai_of_the_first_generation(read, png, command):
    row = read(png(Dream=command))
    assert has(row, prompt="a red fox", negative_prompt="blurry, text", seed=3357757885)
    assert has(row, num_inference_steps=50, guidance_scale=7.5, width=64, height=96)
    assert row["scheduler"] == "EulerAncestralDiscreteScheduler" and "not_translated" not in row


def test_a_graph_of_invokeai_alone_is_no_recipe(read, png):
    row = read(png(invokeai_graph={"nodes": {}}))
    assert row["source"] == "InvokeAI" and "prompt" not in row and "graph" in row["not_translated"]


# NovelAI


COMMENT = {
    "prompt": "1girl, rain",
    "steps": 28,
    "height": 96,
    "width": 64,
    "scale": 5.0,
    "uncond_scale": 0.0,
    "cfg_rescale": 0.0,
    "seed": 3071474384,
    "n_samples": 1,
    "noise_schedule": "karras",
    "sampler": "k_euler_ancestral",
    "sm": False,
    "uc": "lowres, bad anatomy",
    "request_type": "PromptGenerateRequest",
    "signed_hash": "abc",
    "v4_prompt": {
        "caption": {
            "base_caption": "1girl, rain",
            "char_captions": [
                {"char_caption": "girl, umbrella", "centers": [{"x": 0.5, "y": 0.5}]}
            ],
        }
    },
}
NOVEL = {
    "Title": "NovelAI generated image",
    "Description": "1girl, rain",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5 4BB8B1D7",
    "Comment": json.dumps(COMMENT),
}


def test_novelai(read, png):
    row = read(png(**NOVEL))
    assert has(row, prompt="1girl, rain", negative_prompt="lowres, bad anatomy", seed=3071474384)
    assert has(row, guidance_scale=5.0, num_inference_steps=28, model="NovelAI Diffusion V4.5")
    assert row["scheduler"] == "EulerAncestralDiscreteScheduler"  # which has no Karras in diffusers
    assert "Schedule type: Karras" in row["not_translated"]
    assert "girl, umbrella" in row["not_translated"] and row["source"] == "NovelAI"
    assert "clip_skip" not in row  # which the service does not say


def test_a_request_of_novelai_that_begins_with_a_picture_is_said(read, png):
    assert "request_type" not in read(png(**NOVEL))["not_translated"]
    comment = json.dumps(COMMENT | {"request_type": "NativeInfillingRequest"})
    row = read(png(**NOVEL | {"Comment": comment}))
    assert "request_type: NativeInfillingRequest" in row["not_translated"]


def test_novelai_in_the_lowest_bits(read, tmp_path):
    row = read(hide_text(tmp_path / "a.png", json.dumps(NOVEL), size=(128, 128)))
    assert has(row, prompt="1girl, rain", seed=3071474384, source="NovelAI")


def test_novelai_of_the_first_version_has_its_prompt_beside_the_comment(read, png):
    old = {"steps": 28, "sampler": "k_euler_ancestral", "seed": 1, "scale": 11.0, "uc": "lowres"}
    texts = {"Software": "NovelAI", "Description": "{{a cat}}", "Comment": json.dumps(old)}
    row = read(png(**texts))
    assert row["prompt"] == "{{a cat}}" and "as NovelAI writes them" in row["not_translated"]


@pytest.mark.parametrize(
    ("kind", "strength", "left"),
    [
        (None, None, "strength: 0.69, if it began with a picture"),
        ("PromptGenerateRequest", None, ""),
        ("Img2ImgRequest", 0.69, "request_type: Img2ImgRequest"),
    ],
)
def test_the_strength_that_novelai_always_writes_acts_on_a_picture_alone(
    read, png, kind, strength, left
):
    said = COMMENT | {"strength": 0.69, "request_type": kind}
    row = read(png(**NOVEL | {"Comment": json.dumps({k: v for k, v in said.items() if v})}))
    assert row.get("strength") == strength and left in row["not_translated"]
    assert ("strength" in row["not_translated"]) == (kind is None)


# Fooocus


FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "clip_skip": 2,
    "full_negative_prompt": ["lowres"],
    "full_prompt": ["a cat", "a cat, sharp focus"],
    "guidance_scale": 4,
    "lora_combined_1": "sd_xl_offset_example-lora_1.0 : 0.1",
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "metadata_scheme": "fooocus",
    "negative_prompt": "",
    "performance": "Speed",
    "prompt": "a cat",
    "refiner_model": "None",
    "resolution": "(64, 96)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "7825",
    "sharpness": 2,
    "steps": 30,
    "styles": "['Fooocus V2']",
    "vae": "Default (model)",
    "version": "Fooocus v2.5.0",
}


def require_fooocus(row):
    assert has(row, prompt="a cat, a cat, sharp focus", negative_prompt="lowres", seed=7825)
    assert has(row, guidance_scale=4.0, num_inference_steps=30, width=64, height=96, clip_skip=0)
    assert has(row, model="juggernautXL_v8Rundiffusion", source="Fooocus")
    assert row["lora"] == "sd_xl_offset_example-lora_1.0@0.1" and "vae" not in row
    assert "algorithm_type='sde-dpmsolver++'" in row["scheduler"]
    for part in (
        "prompt as written: a cat",
        "sharpness: 2",
        "Fooocus V2",
        "noise within the steps",
    ):
        assert part in row["not_translated"]


def test_fooocus_in_its_own_scheme(read, png):
    require_fooocus(read(png(parameters=FOOOCUS, fooocus_scheme="fooocus")))


def test_fooocus_in_exif_as_it_writes_jpeg_and_webp(read, tmp_path):
    text = json.dumps(FOOOCUS)
    tags = {0x9286: text, 0x0131: "Fooocus v2.5.0", 0x927C: "fooocus"}
    for suffix in (".jpg", ".webp"):
        require_fooocus(read(save_tags(tmp_path / f"a{suffix}", tags)))


def test_fooocus_in_a1111s_scheme(read, png):
    text = INFOTEXT.replace("v1.10.1", "Fooocus v2.5.0").replace(
        ", Schedule type: Karras", " Karras"
    )
    row = read(
        png(
            parameters=text.replace("Version", "Scheduler: karras, Sharpness: 2, Version"),
            fooocus_scheme="a1111",
        )
    )
    assert has(row, **OF_INFOTEXT, source="Fooocus", not_translated="Sharpness: 2")


@pytest.mark.parametrize("skip", [1, 2, 3])
def test_fooocus_counts_layers_alike_in_both_schemes(read, png, skip):
    text = INFOTEXT.replace("Version: v1.10.1", f"Clip skip: {skip}, Version: Fooocus v2.5.0")
    own = read(png(parameters=FOOOCUS | {"clip_skip": skip}))["clip_skip"]
    assert read(png(parameters=text))["clip_skip"] == own == max(skip - 2, 0)


def test_fooocus_in_a1111s_scheme_names_the_schedule_apart(read, png):
    text = INFOTEXT.replace("v1.10.1", "Fooocus v2.5.0").replace("Schedule type: K", "Scheduler: k")
    assert "Scheduler: karras" in text
    assert has(read(png(parameters=text)), **OF_INFOTEXT, source="Fooocus")


# SwarmUI


SWARM = {
    "sui_image_params": {
        "prompt": "a cat <lora:fur:0.4>",
        "negativeprompt": "",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 2042464333,
        "steps": 25,
        "cfgscale": 6.5,
        "aspectratio": "Custom",
        "width": 64,
        "height": 96,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "loras": ["ink"],
        "loraweights": ["0.8"],
        "clipstopatlayer": -2,
        "swarm_version": "0.9.3.1",
        "refinermethod": "PostApply",
    },
    "sui_extra_data": {"date": "2025-01-25"},
}


def test_swarmui_in_png_and_jpeg(read, png, tmp_path):
    comment = b"UNICODE\0" + json.dumps(SWARM).encode("utf-16-be")
    for path in (png(parameters=SWARM), save_comment(tmp_path / "a.jpg", comment)):
        row = read(path)
        assert has(row, prompt="a cat ", negative_prompt="", seed=2042464333, guidance_scale=6.5)
        assert has(row, model="sd_xl_base_1.0", lora="ink@0.8, fur@0.4", clip_skip=1)
        assert has(row, source="SwarmUI", not_translated="refinermethod: PostApply")
        assert row["scheduler"] == "DPMSolverMultistepScheduler(use_karras_sigmas=True)"


def swarm(**more):
    return {"sui_image_params": SWARM["sui_image_params"] | {"prompt": "a cat"} | more}


def test_a_side_of_swarmui_decides_the_size_unless_the_ratio_is_its_own(read, tmp_path):
    """Width and height stay in its parameters, and do not act."""
    said = swarm(aspectratio="1:1", sidelength=128, width=64, height=96)
    row = read(save_png(tmp_path / "a.png", (128, 128), parameters=said))
    assert has(row, width=128, height=128) and "sidelength: 128" in row["not_translated"]
    assert "the picture is" not in row["not_translated"]


def test_what_swarmui_tells_the_text_encoders_loras_and_flux(read, png):
    alike = read(png(parameters=swarm(loratencweights=["0.8"])))
    assert alike["not_translated"] == "refinermethod: PostApply"
    said = swarm(loratencweights=["0.5"], cfgscale=1, fluxguidancescale=3.5)
    row = read(png(parameters=said))
    assert row["guidance_scale"] == 3.5 and "loratencweights: ['0.5']" in row["not_translated"]


def test_tags_in_a_prompt_of_swarmui_are_said(read, png):
    more = {
        "prompt": "a <3 cat <segment:face,0.6,0.5> a smile <break>",
        "negativeprompt": "<lora:x>",
    }
    row = read(png(parameters={"sui_image_params": SWARM["sui_image_params"] | more}))
    for part in (
        "in prompt: <segment:face,0.6,0.5>",
        "in prompt: <break>",
        "in negative_prompt: <lora:x>",
    ):
        assert part in row["not_translated"].split("; ")


# Easy Diffusion


EASY = {
    "prompt": "a cat",
    "negative_prompt": "a dog",
    "seed": "42",
    "use_stable_diffusion_model": "models/sd-v1-4",
    "clip_skip": "True",
    "use_vae_model": "vae-ft-mse",
    "sampler_name": "euler_a",
    "width": "64",
    "height": "96",
    "num_inference_steps": "25",
    "guidance_scale": "7.5",
    "use_lora_model": "['ink', 'pen']",
    "lora_alpha": "[0.5, 0.25]",
    "tiling": "None",
    "use_face_correction": "None",
    "use_upscale": "RealESRGAN_x4plus",
}


def require_easy(row):
    assert has(row, prompt="a cat", negative_prompt="a dog", seed=42, model="sd-v1-4")
    assert has(row, vae="vae-ft-mse", scheduler="EulerAncestralDiscreteScheduler", clip_skip=1)
    assert has(row, num_inference_steps=25, guidance_scale=7.5, lora="ink@0.5, pen@0.25")
    assert has(row, source="Easy Diffusion", not_translated="use_upscale: RealESRGAN_x4plus")


def test_seamless_edges_of_easy_diffusion_are_ours(read, png):
    assert has(read(png(**EASY | {"tiling": "xy"})), tiling="both")


def test_easy_diffusion_in_texts_in_json_and_beside_the_picture(read, png, tmp_path):
    require_easy(read(png(**EASY)))
    code = b"UNICODE\0"
    require_easy(
        read(save_comment(tmp_path / "b.jpg", code + json.dumps(EASY).encode("utf-16-be")))
    )
    save_png(tmp_path / "c.png")
    (tmp_path / "c.json").write_text(json.dumps(EASY | {"tiling": None}))
    require_easy(read(tmp_path / "c.png"))
    save_png(tmp_path / "d.png")
    labels = {
        "Prompt": "a cat",
        "Negative Prompt": "a dog",
        "Seed": 42,
        "Stable Diffusion model": "sd-v1-4",
        "Clip Skip": True,
        "VAE model": "vae-ft-mse",
        "Sampler": "euler_a",
        "Width": 64,
        "Height": 96,
        "Steps": 25,
        "Guidance Scale": 7.5,
        "LoRA model": "ink, pen",
        "LoRA Strength": "0.5, 0.25",
        "Use Upscaling": "RealESRGAN_x4plus",
    }
    (tmp_path / "d.txt").write_text("\n".join(f"{name}: {value}" for name, value in labels.items()))
    require_easy(read(tmp_path / "d.png"))


# Draw Things, dgenerate, Midjourney


def test_draw_things_in_xmp(read, tmp_path):
    said = {
        "c": 'a "cat"',
        "uc": "a dog",
        "seed": 99,
        "steps": 20,
        "scale": 7.5,
        "sampler": "DPM++ 2M Karras",
        "model": "sd_v1.5_f16.ckpt",
        "size": "64x96",
        "strength": 1,
        "lora": [{"model": "ink_f16.ckpt", "weight": 0.5}],
        "seed_mode": "Scale Alike",
        "v2": {"clipSkip": 2, "controls": [{"file": "canny"}]},
    }
    text = json.dumps(said).replace("&", "&amp;").replace('"', "&quot;")
    xmp = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:CreatorTool="Draw Things">'
        f'<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></exif:UserComment>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    path = add_chunk(
        save_png(tmp_path / "a.png"), b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp.encode()
    )
    row = read(path)
    assert has(row, prompt='a "cat"', negative_prompt="a dog", seed=99, guidance_scale=7.5)
    assert has(row, model="sd_v1.5", lora="ink@0.5", clip_skip=1, source="Draw Things")
    assert row["scheduler"] == "DPMSolverMultistepScheduler(use_karras_sigmas=True)"
    assert "seed_mode: Scale Alike" in row["not_translated"] and "canny" in row["not_translated"]
    assert "strength" not in row


DRAW = {"c": "a cat", "uc": "", "seed": 9, "model": "m_f16.ckpt", "seed_mode": "Legacy"}


def read_draw(read, png, **more):
    left = read(png(comment=DRAW | {"v2": more}))["not_translated"].split("; ")
    assert left.pop(0) == "noise made as by Draw Things"
    return left


def test_what_draw_things_does_besides_is_said_unless_it_does_nothing(read, png):
    usual = dict(sharpness=0, zeroNegativePrompt=False, batchSize=1, shift=1, hiresFix=False)
    usual |= dict(width=64, height=96, originalImageWidth=64, targetImageHeight=96, cropTop=0)
    usual |= dict(
        steps=20, guidanceScale=7, maskBlur=1.5, controls=[], upscaler="", refinerModel=None
    )
    assert read_draw(read, png, **usual) == []
    unusual = dict(sharpness=5, zeroNegativePrompt=True, batchSize=4, shift=3, hiresFix=True)
    unusual |= dict(cfgZeroStar=True, teaCache=True, separateClipL=True, originalImageWidth=512)
    wanted = [f"{name}: {value}" for name, value in unusual.items()]
    assert set(read_draw(read, png, **usual | unusual)) == set(wanted)


DGENERATE = """#! /usr/bin/env dgenerate --file
#! dgenerate 5.0.0

runwayml/stable-diffusion-v1-5 \\
--model-type sd \\
--dtype float16 \\
--inference-steps 30 \\
--guidance-scales 5 \\
--seeds 83456 \\
--output-size 64x96 \\
--clip-skips 1 \\
--schedulers "EulerDiscreteScheduler;use-karras-sigmas=True" \\
--loras "nerijs/pixel-art-xl;scale=0.5" \\
--control-nets "canny;scale=0.5" \\
--prompts "a cat, on a mat; a dog"
"""


def test_dgenerate(read, png, tmp_path):
    comment = b"UNICODE\0" + DGENERATE.encode("utf-16-be")
    for path in (png(DgenerateConfig=DGENERATE), save_comment(tmp_path / "a.jpg", comment)):
        row = read(path)
        assert has(row, prompt="a cat, on a mat", negative_prompt="a dog", seed=83456, clip_skip=1)
        assert has(row, model="stable-diffusion-v1-5", lora="pixel-art-xl@0.5", source="dgenerate")
        assert row["scheduler"] == "EulerDiscreteScheduler(use_karras_sigmas=True)"
        assert row["not_translated"] == "--control-nets: canny;scale=0.5"


def test_dgenerates_prompt_ends_at_the_first_semicolon(read, png):
    row = read(png(DgenerateConfig=DGENERATE.replace("a cat, on a mat; a dog", "a cat;bad; worse")))
    assert has(row, prompt="a cat", negative_prompt="bad; worse")


def test_arguments_in_a_prompt_of_dgenerate_are_no_part_of_it(read, png):
    told = "<weighter: compel;syntax=sdwui> a cat <clip-skips: 2>; a dog"
    row = read(png(DgenerateConfig=DGENERATE.replace("a cat, on a mat; a dog", told)))
    assert has(row, prompt="a cat", negative_prompt="a dog")
    for part in ("weighter in the prompt: compel;syntax=sdwui", "clip-skips in the prompt: 2"):
        assert part in row["not_translated"]


def test_dgenerate_of_several_values_does_not_say_which(read, png):
    row = read(png(DgenerateConfig=DGENERATE.replace("83456", "1 2")))
    assert "seed" not in row and "--seeds: 1 2" in row["not_translated"]


def test_midjourney(read, png):
    text = "a cat on a mat --ar 3:2 --v 6 Job ID: 01234567-89ab-cdef-0123-456789abcdef"
    row = read(png(Description=text))
    assert has(row, prompt="a cat on a mat", model="Midjourney", source="Midjourney")
    assert row["not_translated"] == "options: --ar 3:2 --v 6" and "seed" not in row

"""ComfyUI's graphs, read back from the picture to the sampler."""

import json

import pytest
from foreign import add_chunk, change, graph_of, node, save_comment, save_png, save_tags

from sdlab.store.readers.folder import read_pictures

SEED = 156680208700286


@pytest.fixture
def read(tmp_path):
    """Reads a graph that stands in a picture, or of a file, as what the row says."""

    def row(graph=None, path=None, **texts):
        texts |= {"prompt": graph} if graph else {}
        path = path or save_png(tmp_path / "ComfyUI_00001_.png", **texts)
        return read_pictures([path], progress=False).iloc[0].dropna().to_dict()

    return row


def has(row, **wanted):
    return {name: row.get(name) for name in wanted} == wanted


OF_GRAPH = dict(
    prompt="a glass bottle",
    negative_prompt="text, watermark",
    num_inference_steps=20,
    guidance_scale=8.0,
    scheduler="EulerDiscreteScheduler",
    model="v1-5-pruned-emaonly",
    width=64,
    height=96,
    clip_skip=0,
    seed=SEED % 2**32,
    source="ComfyUI",
)


def test_the_first_example(read):
    row = read(graph_of())
    assert has(row, **OF_GRAPH) and "strength" not in row
    assert row["not_translated"] == f"seed: {SEED}, of which torch keeps the low 32 bits"
    assert "not_translated" not in read(change(graph_of(), "3", seed=7))


def test_webp_and_jpeg_as_comfyui_and_its_nodes_write_them(read, tmp_path):
    text = json.dumps(graph_of())
    assert has(
        read(
            path=save_tags(tmp_path / "a.webp", {0x0110: f"prompt:{text}", 0x010F: "workflow:{}"})
        ),
        **OF_GRAPH,
    )
    both = json.dumps({"prompt": graph_of(), "workflow": {}}).encode("utf-16-be")
    assert has(read(path=save_comment(tmp_path / "a.jpg", b"UNICODE\0" + both)), **OF_GRAPH)


def test_loras_act_in_the_order_from_the_checkpoint_to_the_sampler(read):
    graph = graph_of(
        n10=node(
            "LoraLoader",
            lora_name="first.safetensors",
            strength_model=0.5,
            strength_clip=0.5,
            model=["4", 0],
            clip=["4", 1],
        ),
        n11=node(
            "LoraLoaderModelOnly", lora_name="folder/second.pt", strength_model=1, model=["10", 0]
        ),
    )
    change(graph, "3", model=["11", 0])
    row = read(change(graph, "6", clip=["10", 1]))
    assert has(row, lora="first@0.5, second", model="v1-5-pruned-emaonly", prompt="a glass bottle")
    change(graph, "10", strength_clip=0.25)
    assert "first.safetensors acts on the text encoder by 0.25" in read(graph)["not_translated"]


def test_stacks_of_loras(read):
    efficient = node(
        *["LoRA Stacker"],
        input_mode="simple",
        lora_count=2,
        lora_name_1="a.safetensors",
        lora_wt_1=0.5,
        model_str_1=9,
        lora_name_2="None",
        lora_wt_2=1,
        lora_name_3="beyond.safetensors",
    )
    loader = node(
        "Efficient Loader",
        ckpt_name="m.ckpt",
        vae_name="Baked VAE",
        clip_skip=-2,
        lora_name="own.safetensors",
        lora_model_strength=0.25,
        lora_clip_strength=0.25,
        positive="a cat",
        negative="a dog",
        empty_latent_width=64,
        empty_latent_height=96,
        batch_size=1,
        lora_stack=["10", 0],
    )
    sampler = node(
        "KSampler (Efficient)",
        seed=3,
        steps=12,
        cfg=5.5,
        sampler_name="dpmpp_2m",
        scheduler="karras",
        denoise=1,
        preview_method="auto",
        vae_decode="true",
        **{
            name: ["4", slot]
            for slot, name in enumerate(
                ("model", "positive", "negative", "latent_image", "optional_vae")
            )
        },
    )
    graph = {
        "10": efficient,
        "4": loader,
        "3": sampler,
        "9": node("SaveImage", images=["3", 5], filename_prefix="x"),
    }
    row = read(graph)
    assert has(row, prompt="a cat", negative_prompt="a dog", model="m", clip_skip=1, seed=3)
    assert has(row, lora="a@0.5, own@0.25", width=64, height=96, guidance_scale=5.5)
    assert row["scheduler"] == "DPMSolverMultistepScheduler(use_karras_sigmas=True)"
    assert "not_translated" not in row


def test_stacks_of_rgthree_and_of_comfyroll(read):
    power = node(
        "Power Lora Loader (rgthree)",
        lora_1={"on": True, "lora": "a.safetensors", "strength": 0.5},
        lora_2={"on": False, "lora": "b.safetensors", "strength": 1},
        model=["4", 0],
        clip=["4", 1],
    )
    stack = node(
        "CR LoRA Stack",
        switch_1="On",
        lora_name_1="c.safetensors",
        model_weight_1=0.25,
        clip_weight_1=1,
        switch_2="Off",
        lora_name_2="d.safetensors",
        model_weight_2=1,
    )
    apply = node("CR Apply LoRA Stack", model=["10", 0], clip=["10", 1], lora_stack=["11", 0])
    graph = graph_of(n10=power, n11=stack, n12=apply)
    assert read(change(graph, "3", model=["12", 0]))["lora"] == "a@0.5, c@0.25"


def test_a_sampler_in_parts(read):
    graph = graph_of(
        n3=node(
            "SamplerCustomAdvanced",
            noise=["20", 0],
            guider=["21", 0],
            sampler=["22", 0],
            sigmas=["23", 0],
            latent_image=["5", 0],
        ),
        n20=node("RandomNoise", noise_seed=9),
        n21=node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=4.5),
        n22=node("KSamplerSelect", sampler_name="dpmpp_2m"),
        n23=node("BasicScheduler", model=["4", 0], scheduler="karras", steps=15, denoise=1.0),
    )
    row = read(graph)
    assert has(
        row, prompt="a glass bottle", negative_prompt="text, watermark", seed=9, guidance_scale=4.5
    )
    assert has(row, num_inference_steps=15, model="v1-5-pruned-emaonly", width=64)
    assert row["scheduler"] == "DPMSolverMultistepScheduler(use_karras_sigmas=True)"
    assert "not_translated" not in row


def test_flux_has_its_guidance_as_diffusers_names_it(read):
    graph = graph_of(
        n3=node(
            "SamplerCustomAdvanced",
            noise=["20", 0],
            guider=["21", 0],
            sampler=["22", 0],
            sigmas=["23", 0],
            latent_image=["5", 0],
        ),
        n20=node("RandomNoise", noise_seed=9),
        n21=node("BasicGuider", model=["4", 0], conditioning=["24", 0]),
        n22=node("KSamplerSelect", sampler_name="euler"),
        n23=node("BasicScheduler", model=["4", 0], scheduler="simple", steps=20, denoise=1.0),
        n24=node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
        n4=node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        n5=node("EmptySD3LatentImage", width=64, height=96, batch_size=1),
    )
    row = read(graph)
    assert has(row, prompt="a glass bottle", model="flux1-dev", guidance_scale=3.5, seed=9)
    assert row["not_translated"] == "Schedule type: simple"


def test_sampler_custom(read):
    graph = graph_of(
        n3=node(
            "SamplerCustom",
            model=["4", 0],
            add_noise=True,
            noise_seed=9,
            cfg=6,
            positive=["6", 0],
            negative=["7", 0],
            sampler=["22", 0],
            sigmas=["23", 0],
            latent_image=["5", 0],
        ),
        n22=node("KSamplerSelect", sampler_name="euler"),
        n23=node("KarrasScheduler", steps=15, sigma_max=14.614642, sigma_min=0.0291675, rho=7),
    )
    row = read(graph)
    assert "not_translated" not in row
    assert has(row, seed=9, guidance_scale=6.0, num_inference_steps=15)
    assert row["scheduler"] == "EulerDiscreteScheduler(use_karras_sigmas=True)"


def test_noise_levels_of_ones_own_are_said(read):
    sigmas = node("KarrasScheduler", steps=15, sigma_max=3.0, sigma_min=0.5, rho=2)
    graph = graph_of(n22=node("KSamplerSelect", sampler_name="euler"), n23=sigmas)
    change(graph, "3", seed=9, sampler=["22", 0], sigmas=["23", 0], scheduler=None)
    graph["3"]["class_type"] = "SamplerCustom"
    assert read(graph)["not_translated"] == "sigma_max: 3.0; sigma_min: 0.5; rho: 2"


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        (node("SplitSigmas", step=10), "SplitSigmas step 10"),
        (
            node("ExtendIntermediateSigmas", steps=2, start_at_sigma=-1.0, end_at_sigma=12.0),
            "ExtendIntermediateSigmas steps 2 start_at_sigma -1.0 end_at_sigma 12.0",
        ),
    ],
)
def test_what_changes_the_noise_levels_is_said_and_their_maker_is_read(read, changes, left):
    changes["inputs"]["sigmas"] = ["23", 0]
    graph = graph_of(
        n22=node("KSamplerSelect", sampler_name="euler"),
        n23=node("BasicScheduler", model=["4", 0], scheduler="karras", steps=15, denoise=1.0),
        n24=changes,
    )
    change(graph, "3", seed=9, sampler=["22", 0], sigmas=["24", 0], scheduler=None, steps=None)
    graph["3"]["class_type"] = "SamplerCustom"
    row = read(graph)
    assert has(row, num_inference_steps=15, not_translated=f"sigmas: {left}")
    assert row["scheduler"] == "EulerDiscreteScheduler(use_karras_sigmas=True)"
    change(graph, "24", sigmas=["24", 0])
    assert "sigmas" in read(graph)["not_translated"]  # a circle


def test_a_picture_that_the_text_encoder_reads_is_said(read):
    graph = change(graph_of(n40=node("LoadImage", image="found.png")), "3", seed=7)
    graph["6"] = node("TextEncodeQwenImageEdit", prompt="make it red", clip=["4", 1])
    assert has(read(graph), prompt="make it red") and "not_translated" not in read(graph)
    change(graph, "6", image=["40", 0])
    assert read(graph)["not_translated"] == "conditioning: a picture in TextEncodeQwenImageEdit"


def test_weights_in_another_format_of_numbers_are_said(read):
    loader = node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="fp8_e4m3fn")
    graph = change(graph_of(n4=loader), "3", seed=7)
    assert read(graph)["not_translated"] == "weight_dtype: fp8_e4m3fn"


def test_an_animation_carries_its_graph_in_a_chunk_of_comfyuis_own(read, tmp_path):
    graph = json.dumps(change(graph_of(), "3", seed=7)).encode()
    path = add_chunk(save_png(tmp_path / "a.png"), b"comf", b"prompt\0" + graph, last=True)
    assert has(read(path=path), **OF_GRAPH | {"seed": 7})


def test_the_first_pass_is_the_recipe_and_the_others_are_said(read):
    graph = graph_of(
        n30=node("LatentUpscaleBy", upscale_method="nearest-exact", scale_by=2, samples=["3", 0]),
        n31=node(
            "KSampler",
            seed=1,
            steps=10,
            cfg=8,
            sampler_name="euler",
            scheduler="normal",
            denoise=0.5,
            model=["4", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["30", 0],
        ),
        n8=node("VAEDecode", samples=["31", 0], vae=["4", 2]),
    )
    row = read(change(graph, "3", seed=7))
    assert has(row, **OF_GRAPH | {"seed": 7}) and "strength" not in row
    left = row["not_translated"]
    assert (
        "a further pass: KSampler steps 10 denoise 0.5" in left and "then: LatentUpscaleBy" in left
    )


def test_two_samplers_of_one_picture_with_steps_of_one_schedule(read):
    both = dict(
        steps=20,
        cfg=8,
        sampler_name="euler",
        scheduler="normal",
        model=["4", 0],
        positive=["6", 0],
        negative=["7", 0],
    )
    graph = graph_of(
        n3=node(
            "KSamplerAdvanced",
            add_noise="enable",
            noise_seed=7,
            start_at_step=0,
            end_at_step=15,
            return_with_leftover_noise="enable",
            latent_image=["5", 0],
            **both,
        ),
        n31=node(
            "KSamplerAdvanced",
            add_noise="disable",
            noise_seed=7,
            start_at_step=15,
            end_at_step=10000,
            return_with_leftover_noise="disable",
            latent_image=["3", 0],
            **both,
        ),
        n8=node("VAEDecode", samples=["31", 0], vae=["4", 2]),
    )
    row = read(graph)
    assert has(row, **OF_GRAPH | {"seed": 7})
    assert "end_at_step: 15" in row["not_translated"] and "a further pass" in row["not_translated"]


def test_the_name_of_the_file_tells_which_of_several_pictures_it_is(read, tmp_path):
    other = node(
        "KSampler",
        seed=1,
        steps=99,
        cfg=1,
        sampler_name="euler",
        scheduler="normal",
        denoise=1,
        model=["4", 0],
        positive=["7", 0],
        negative=["6", 0],
        latent_image=["5", 0],
    )
    graph = graph_of(
        n31=other,
        n38=node("VAEDecode", samples=["31", 0], vae=["4", 2]),
        n39=node("SaveImage", filename_prefix="folder/other", images=["38", 0]),
    )
    for name, steps in (("ComfyUI_00001_.png", 20), ("other_00001_.png", 99)):
        assert read(path=save_png(tmp_path / name, prompt=graph))["num_inference_steps"] == steps
    row = read(path=save_png(tmp_path / "renamed.png", prompt=graph))
    assert "seed" not in row and "2 samplers" in row["not_translated"]


def branch(graph, before, seed, vae=("4", 2)):
    """The graph with another pass behind a sampler, which saves a picture of its own."""
    again = dict(graph["3"]["inputs"], seed=seed, denoise=0.5, latent_image=[before, 0])
    name = f"{seed}1"
    return graph | {
        name: node("KSampler", **again),
        f"{seed}2": node("VAEDecode", samples=[name, 0], vae=list(vae)),
        f"{seed}3": node("SaveImage", filename_prefix="ComfyUI", images=[f"{seed}2", 0]),
    }


def test_a_second_pass_that_saves_apart_is_said_and_that_nothing_tells_which(read):
    graph = change(graph_of(), "3", seed=5)
    assert "not_translated" not in read(graph)
    row = read(branch(graph, "3", 9))
    assert row["seed"] == 5 and "strength" not in row
    assert row["not_translated"] == (
        "a further pass: KSampler steps 20 denoise 0.5; "
        "2 outputs, and nothing tells which saved this picture"
    )
    twice = graph | {"90": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0])}
    assert "not_translated" not in read(twice)


def test_two_second_passes_that_differ_by_their_seed_are_two_ways(read):
    both = branch(branch(change(graph_of(n9=None), "3", seed=5), "3", 8), "3", 9)
    assert "2 outputs, and nothing tells" in read(both)["not_translated"]


def test_a_picture_saved_without_the_sampler_may_be_this_one(read):
    extra = {
        "60": node("LoadImage", image="a.png"),
        "61": node("SaveImage", filename_prefix="ComfyUI", images=["60", 0]),
    }
    left = read(change(graph_of(), "3", seed=5) | extra)["not_translated"]
    assert left == (
        "an output without the sampler; 2 outputs, and nothing tells which saved this picture"
    )


def test_of_two_vaes_nothing_tells_which_decoded_the_picture(read):
    other = {"70": node("VAELoader", vae_name="other.safetensors")}
    graph = branch(change(graph_of(), "3", seed=5), "3", 9, vae=("70", 0)) | other
    row = read(graph)
    assert "vae" not in row and "vae: of several" in row["not_translated"]
    assert read(change(graph, "8", vae=["70", 0]))["vae"] == "other"


def test_texts_that_nodes_join_and_hold(read):
    graph = graph_of(
        n40=node("PrimitiveStringMultiline", value="a glass"),
        n41=node("StringConcatenate", string_a=["40", 0], string_b="bottle", delimiter=" "),
        n42=node("PrimitiveInt", value=11),
        n43=node("ShowText|pysssys", text=["41", 0]),
        n44=node(
            "Text Concatenate",
            delimiter=", ",
            clean_whitespace="true",
            text_a=["40", 0],
            text_b=" x ",
            text_c="",
        ),
        n45=node("Reroute", **{"": ["4", 0]}),
    )
    change(change(graph, "6", text=["43", 0]), "7", text=["44", 0])
    row = read(change(graph, "3", seed=["42", 0], model=["45", 0]))
    assert has(row, prompt="a glass bottle", negative_prompt="a glass, x", seed=11)
    assert row["model"] == "v1-5-pruned-emaonly" and "not_translated" not in row


def test_a_text_that_a_node_makes_is_not_guessed(read):
    graph = graph_of(n40=node("DPRandomGenerator", text="{a|b}", seed=5, autorefresh="No"))
    row = read(change(graph, "6", text=["40", 0]))
    assert "prompt" not in row and "DPRandomGenerator" in row["not_translated"]
    wild = graph_of(
        n40=node(
            "ImpactWildcardProcessor", wildcard_text="{a|b}", populated_text="b", mode=True, seed=5
        )
    )
    assert read(change(wild, "6", text=["40", 0]))["prompt"] == "b"


def test_conditionings_that_are_put_together_are_said(read):
    graph = graph_of(
        n50=node("CLIPTextEncode", text="on a mat", clip=["4", 1]),
        n51=node("ConditioningConcat", conditioning_to=["6", 0], conditioning_from=["50", 0]),
        n52=node(
            "ControlNetApplyAdvanced",
            positive=["51", 0],
            negative=["7", 0],
            control_net=["53", 0],
            image=["54", 0],
            strength=1,
        ),
        n53=node("ControlNetLoader", control_net_name="canny.safetensors"),
        n54=node("LoadImage", image="edges.png"),
    )
    row = read(change(graph, "3", positive=["52", 0], negative=["52", 1]))
    assert has(row, prompt="a glass bottle, on a mat", negative_prompt="text, watermark")
    for part in ("ConditioningConcat", "ControlNetApplyAdvanced", "2 texts that are encoded apart"):
        assert part in row["not_translated"]


def test_a_model_that_is_patched_is_said_and_a_rescaled_guidance_is_a_field(read):
    graph = graph_of(
        n60=node("RescaleCFG", multiplier=0.7, model=["4", 0]),
        n61=node("FreeU_V2", b1=1.3, model=["60", 0]),
        n62=node("CLIPSetLastLayer", stop_at_clip_layer=-2, clip=["4", 1]),
        n63=node("VAELoader", vae_name="ft-mse.safetensors"),
    )
    change(change(graph, "6", clip=["62", 0]), "8", vae=["63", 0])
    row = read(change(graph, "3", model=["61", 0], seed=7))
    assert has(
        row, guidance_rescale=0.7, clip_skip=1, vae="ft-mse", not_translated="model: FreeU_V2"
    )


def test_a_picture_that_it_begins_with_is_said(read):
    graph = graph_of(
        n5=node("VAEEncode", pixels=["70", 0], vae=["4", 2]), n70=node("LoadImage", image="cat.png")
    )
    row = read(change(graph, "3", denoise=0.6))
    assert row["strength"] == 0.6 and "begins with the picture: cat.png" in row["not_translated"]
    assert "denoise: 0.6" in row["not_translated"]


def test_what_is_done_to_the_latent_before_the_sampler_is_said(read):
    repeat = node("RepeatLatentBatch", samples=["5", 0], amount=4)
    graph = change(graph_of(n50=repeat), "3", seed=7, latent_image=["50", 0])
    row = read(graph)
    assert has(row, width=64, height=96, not_translated="before: RepeatLatentBatch")


def test_which_of_a_batch_a_picture_is_nobody_knows(read):
    row = read(change(graph_of(), "5", batch_size=4))
    assert "batch_size: 4" in row["not_translated"]


# What the editor saves


def editor(*nodes, links=()):
    return {
        "last_node_id": 9,
        "nodes": list(nodes),
        "links": [list(link) for link in links],
        "version": 0.4,
    }


def drawn(number, kind, inputs=(), values=(), outputs=(), **more):
    slots = [{"name": name, "link": link, "type": type_} for name, link, type_ in inputs]
    return {
        "id": number,
        "type": kind,
        "inputs": slots,
        "widgets_values": list(values),
        "outputs": [{"type": t} for t in outputs],
        "mode": 0,
    } | more


def draw_example(**lora):
    nodes = [
        drawn(
            3,
            "KSampler",
            [
                ("model", 1, "MODEL"),
                ("positive", 4, "C"),
                ("negative", 6, "C"),
                ("latent_image", 2, "LATENT"),
            ],
            [7, "randomize", 20, 8, "euler", "normal", 1],
        ),
        drawn(4, "CheckpointLoaderSimple", values=["v1-5-pruned-emaonly.ckpt"]),
        drawn(5, "EmptyLatentImage", values=[64, 96, 1]),
        drawn(6, "CLIPTextEncode", [("clip", 3, "CLIP")], ["a glass bottle"]),
        drawn(7, "CLIPTextEncode", [("clip", 5, "CLIP"), ("text", 11, "STRING")], ["stale"]),
        drawn(8, "VAEDecode", [("samples", 7, "LATENT"), ("vae", 8, "VAE")]),
        drawn(9, "SaveImage", [("images", 9, "IMAGE")], ["ComfyUI"]),
        drawn(
            10,
            "LoraLoader",
            [("model", 10, "MODEL"), ("clip", 12, "CLIP")],
            ["ink.safetensors", 0.5, 0.5],
            ["MODEL", "CLIP"],
            **lora,
        ),
        drawn(11, "PrimitiveNode", values=["text, watermark", "fixed"], outputs=["STRING"]),
    ]
    links = [
        (1, 10, 0, 3, 0, "MODEL"),
        (2, 5, 0, 3, 3, "LATENT"),
        (3, 10, 1, 6, 0, "CLIP"),
        (4, 6, 0, 3, 1, "C"),
        (5, 4, 1, 7, 0, "CLIP"),
        (6, 7, 0, 3, 2, "C"),
        (7, 3, 0, 8, 0, "LATENT"),
        (8, 4, 2, 8, 1, "VAE"),
        (9, 8, 0, 9, 0, "IMAGE"),
        (10, 4, 0, 10, 0, "MODEL"),
        (11, 11, 0, 7, 1, "STRING"),
        (12, 4, 1, 10, 1, "CLIP"),
    ]
    return editor(*nodes, links=links)


def test_a_workflow_without_its_prompt_is_read_with_its_primitive_nodes(read):
    row = read(workflow=draw_example())
    assert has(row, **OF_GRAPH | {"seed": 7}, lora="ink@0.5") and "not_translated" not in row


def test_a_bypassed_node_of_a_workflow_hands_on_and_does_nothing(read):
    row = read(workflow=draw_example(mode=4))
    assert has(row, **OF_GRAPH | {"seed": 7}) and "lora" not in row


def test_links_as_objects_and_values_by_name_are_read_too(read):
    drawing = draw_example()
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    drawing["links"] = [dict(zip(names, link)) for link in drawing["links"]]
    drawing["nodes"][2]["widgets_values"] = {"width": 64, "height": 96, "batch_size": 1}
    assert has(read(workflow=drawing), **OF_GRAPH | {"seed": 7})


def test_a_graph_with_not_a_number_in_it_is_read(read):
    text = json.dumps(change(graph_of(), "3", seed=7, denoise=float("nan")))
    assert "NaN" in text and has(read(text), **OF_GRAPH | {"seed": 7})


# Graphs that would do harm


@pytest.mark.parametrize(
    "kind",
    [
        "LoraLoader",
        "Reroute",
        "StringConcatenate",
        "ControlNetApply",
        "KSampler",
        "CLIPSetLastLayer",
    ],
)
def test_circles_end(read, kind):
    inputs = {
        name: ["90", 0]
        for name in (
            "model",
            "clip",
            "text",
            "string_a",
            "string_b",
            "conditioning",
            "latent_image",
            "samples",
            "lora_stack",
        )
    }
    graph = graph_of(n90=node(kind, seed=1, lora_name="a", **inputs))
    change(
        change(graph, "6", text=["90", 0], clip=["90", 0]), "8", samples=["90", 0], vae=["90", 0]
    )
    row = read(change(graph, "3", model=["90", 0], positive=["90", 0], latent_image=["90", 0]))
    assert row["source"] == "ComfyUI" and row["not_translated"]


def test_texts_that_double_are_not_joined_without_end(read):
    graph = graph_of()
    for n in range(100, 180):
        graph[str(n)] = node(
            "StringConcatenate", string_a=[str(n + 1), 0], string_b=[str(n + 1), 0], delimiter=""
        )
    graph["180"] = node("PrimitiveString", value="a")
    row = read(change(graph, "6", text=["100", 0]))
    assert "prompt" not in row and "StringConcatenate" in row["not_translated"]


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        [],
        {"seed": [[]], "steps": {}, "cfg": "x", "model": ["4", 10**30], "positive": ["6", -1]},
    ],
)
def test_nodes_of_a_strange_shape_are_no_error(read, inputs):
    graph = graph_of()
    graph["3"]["inputs"] = inputs
    graph["12"], graph["13"] = 7, {"class_type": None}
    assert read(graph)["source"] == "ComfyUI"


def test_nodes_of_a_subgraph_are_read_as_a_prompt_has_them(read):
    """In what was run, those of subgraphs are named "12:3": the way in stands before the colon."""

    def inside(value):
        return [f"12:{value[0]}", value[1]] if isinstance(value, list) else value

    graph = {
        f"12:{name}": node
        | {"inputs": {key: inside(value) for key, value in node["inputs"].items()}}
        for name, node in graph_of().items()
    }
    assert has(read(prompt=graph), **OF_GRAPH)


# Subgraphs of what the editor saves: in it -10 stands for its inputs, -20 for its outputs


def pack(drawing, ids, number):
    """The graph with these nodes in a subgraph, for which the node of that number stands, as the editor packs them."""
    kind = f"5e1f9c1e-0001-4000-8000-{number:012}"
    begins, ends, within, around = [], [], [], []
    for link in drawing["links"]:
        n, whose, slot, target, place, type_ = link
        first, last = whose in ids, target in ids
        if first and last:
            within.append(link)
        elif last:
            if (whose, slot) not in begins:
                begins.append((whose, slot))
                around.append((n, whose, slot, number, len(begins) - 1, type_))
            within.append((n, -10, begins.index((whose, slot)), target, place, type_))
        elif first:
            if (whose, slot) not in ends:
                ends.append((whose, slot))
                within.append((n + 1000, whose, slot, -20, len(ends) - 1, type_))
            around.append((n, number, ends.index((whose, slot)), target, place, type_))
        else:
            around.append(link)
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    inner = {"id": kind, "name": "part", "inputNode": {"id": -10}, "outputNode": {"id": -20}}
    inner["nodes"] = [node for node in drawing["nodes"] if node["id"] in ids]
    inner["links"] = [dict(zip(names, link)) for link in within]
    inner["inputs"] = [{"name": f"in{n}", "type": "*"} for n in range(len(begins))]
    inner["outputs"] = [{"name": f"out{n}", "type": "*"} for n in range(len(ends))]
    given = [link for link in around if link[3] == number]
    node = drawn(number, kind, [(f"in{link[4]}", link[0], link[5]) for link in given])
    others = [each for each in drawing["nodes"] if each["id"] not in ids]
    known = drawing.get("definitions", {"subgraphs": []})["subgraphs"]
    return editor(*others, node, links=around) | {"definitions": {"subgraphs": [*known, inner]}}


def part(drawing):
    return drawing["definitions"]["subgraphs"][-1]


@pytest.mark.parametrize(
    "ids", [[3], [6], [4, 10], [3, 5, 6, 7, 11], [3, 8, 9], [5, 4, 8], list(range(3, 12))], ids=str
)
def test_what_is_in_a_subgraph_is_read_as_if_it_stood_outside(read, ids):
    assert read(workflow=pack(draw_example(), ids, 20)) == read(workflow=draw_example())


@pytest.mark.parametrize(
    ("first", "second"), [([6], [20, 7, 11]), ([3, 5], [20, 6, 8]), ([4, 10], [20, 3, 6, 7])]
)
def test_subgraphs_in_subgraphs_are_read(read, first, second):
    nested = pack(pack(draw_example(), first, 20), second, 21)
    assert [node["id"] for node in part(nested)["nodes"] if node["id"] >= 20] == [20]
    assert read(workflow=nested) == read(workflow=draw_example())


def test_a_bypassed_node_in_a_subgraph_does_nothing_there_either(read):
    row = read(workflow=pack(draw_example(mode=4), [10, 6], 20))
    assert has(row, **OF_GRAPH | {"seed": 7}) and "lora" not in row


def show(drawing, values, pairs=None, names=()):
    """The subgraph's node shows these values: by pairs, or as inputs of its own."""
    node = drawing["nodes"][-1]
    node["widgets_values"] = values
    node["inputs"] += [{"name": name, "widget": {"name": name}, "link": None} for name in names]
    if pairs is not None:
        node["properties"] = {"proxyWidgets": pairs}
    return drawing


@pytest.mark.parametrize("written", [list, json.dumps])
def test_values_that_a_subgraphs_node_shows_are_those_that_act(read, written):
    pairs = [["6", "text"], ["3", "seed"], ["3", "control_after_generate"]]
    packed = pack(draw_example(), [3, 6, 7, 5], 20)
    row = read(workflow=show(packed, ["an owl", 99, "fixed"], written(pairs)))
    assert has(row, **OF_GRAPH | {"prompt": "an owl", "seed": 99})
    nested = pack(pack(draw_example(), [6], 20), [20, 3], 21)
    show({"nodes": part(nested)["nodes"]}, ["a cat"], [["6", "text"]])
    assert read(workflow=nested)["prompt"] == "a cat"
    assert read(workflow=show(nested, ["an owl"], [["20", "text"]]))["prompt"] == "an owl"


def test_values_of_a_subgraphs_own_inputs_act_on_what_they_lead_to(read):
    packed = pack(draw_example(), [6], 20)
    inner = part(packed)
    inner["inputs"].append({"name": "words", "type": "STRING"})
    inner["nodes"][0]["inputs"].append(
        {"name": "text", "widget": {"name": "text"}, "type": "STRING", "link": 77}
    )
    inner["links"].append([77, -10, 1, 6, 1, "STRING"])
    assert read(workflow=packed)["prompt"] == "a glass bottle"  # its own, where none is given
    assert read(workflow=show(packed, ["an owl"], None, ["words"]))["prompt"] == "an owl"
    packed["nodes"][-1]["properties"] = {"proxyWidgets": [["-1", "words"]]}
    assert read(workflow=packed)["prompt"] == "an owl"


def test_shown_values_of_nobody_are_said(read):
    row = read(workflow=show(pack(draw_example(), [6], 20), ["a", "b"], [["6", "text"]]))
    assert row["prompt"] == "a glass bottle"
    assert "a subgraph that shows values of others" in row["not_translated"]


def test_one_subgraph_may_stand_for_several_nodes(read):
    packed = pack(draw_example(), [6], 20)
    second = drawn(21, part(packed)["id"], [("in0", 90, "CLIP")])
    second |= {"widgets_values": ["fog"], "properties": {"proxyWidgets": [["6", "text"]]}}
    packed["nodes"].append(second)
    packed["links"] = [link for link in packed["links"] if link[0] != 6]
    packed["links"] += [(90, 4, 1, 21, 0, "CLIP"), (6, 21, 0, 3, 2, "C")]
    assert has(read(workflow=packed), prompt="a glass bottle", negative_prompt="fog")


def test_subgraphs_that_harm_are_read_to_an_end(read):
    endless = pack(draw_example(), [6], 20)
    part(endless)["nodes"].append(drawn(30, part(endless)["id"]))  # it stands in itself
    assert read(workflow=endless) == read(workflow=draw_example())
    many = [
        {"id": f"k{n}", "nodes": [drawn(i, f"k{n + 1}") for i in range(9)], "links": []}
        for n in range(30)
    ]
    wide = editor(*draw_example()["nodes"], drawn(40, "k0"), links=draw_example()["links"])
    assert read(workflow=wide | {"definitions": {"subgraphs": many}})["seed"] == 7
    for broken in (3, [3], [{}], [{"id": "k0", "nodes": 3, "links": [[1]], "inputs": [3]}]):
        row = read(workflow=wide | {"definitions": {"subgraphs": broken}})
        assert has(row, **OF_GRAPH | {"seed": 7})


def hand_on(drawing, *, through=None):
    """The negative prompt's text comes from a subgraph that hands its plain input on, or through a node."""
    kind = "5e1f9c1e-0002-4000-8000-000000000030"
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    edges = [(501, -10, 0, -20, 0, "STRING")]
    if through:
        edges = [(501, -10, 0, 31, 0, "STRING"), (502, 31, 0, -20, 0, "STRING")]
    inner = {"id": kind, "name": "words", "links": [dict(zip(names, edge)) for edge in edges]}
    inner["nodes"] = [drawn(31, through, [("", 501, "STRING")])] if through else []
    inner["inputs"] = [{"name": "words", "type": "STRING"}]
    nodes = [node for node in drawing["nodes"] if node["id"] != 11] + [drawn(30, kind)]
    links = [link if link[0] != 11 else (11, 30, 0, 7, 1, "STRING") for link in drawing["links"]]
    return editor(*nodes, links=links) | {"definitions": {"subgraphs": [inner]}}


@pytest.mark.parametrize("through", [None, "Reroute"])
def test_a_subgraph_that_hands_a_plain_input_on_is_read_through(read, through):
    row = read(workflow=show(hand_on(draw_example(), through=through), ["fog"], None, ["words"]))
    assert has(row, **OF_GRAPH | {"seed": 7, "negative_prompt": "fog"})
    assert "not_translated" not in row


def test_a_subgraph_that_hands_on_nothing_is_said(read):
    row = read(workflow=hand_on(draw_example()))
    assert "negative_prompt" not in row or row["negative_prompt"] == ""
    assert "a subgraph that hands on nothing" in row["not_translated"]

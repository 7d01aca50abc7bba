"""Small pipelines of the layouts that take pictures, with random weights."""

import shutil

from conftest import NOISE, write_tokenizer

V_PREDICTION = dict(prediction_type="v_prediction", clip_sample=False)
XL_NOISE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
XL_NOISE |= dict(steps_offset=1, timestep_spacing="leading")


def parts(folder, channels_in, levels=4, text_width=32, scaling=0.18215, layers=1, **of_unet):
    """(VAE, text encoder, tokenizer, UNet): the VAE has so many levels, the UNet four."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    words = write_tokenizer(folder / "tokenizer")
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=text_width,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            projection_dim=32,
            bos_token_id=words - 2,
            eos_token_id=words - 1,
            pad_token_id=words - 1,
        )
    )
    vae = AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16)[:levels],
        layers_per_block=layers,
        norm_num_groups=4,
        sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        scaling_factor=scaling,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=channels_in,
        out_channels=4,
        layers_per_block=layers,
        block_out_channels=(16, 32, 32, 32),
        norm_num_groups=8,
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        cross_attention_dim=text_width,
        attention_head_dim=8,
        **of_unet,
    )
    with torch.no_grad():
        for each in vae.encoder.conv_out.parameters():
            each.mul_(8)  # else random encoders make the same of every picture
    return vae.eval(), text.eval(), CLIPTokenizer.from_pretrained(folder / "tokenizer"), unet.eval()


def write_inpainting(folder, **more):
    """A StableDiffusionInpaintPipeline whose UNet takes 9 channels."""
    from diffusers import PNDMScheduler, StableDiffusionInpaintPipeline

    StableDiffusionInpaintPipeline(
        *parts(folder, 9, **more),
        scheduler=PNDMScheduler(skip_prk_steps=True, **NOISE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def write_depth(folder, **more):
    """A StableDiffusionDepth2ImgPipeline with a depth estimator of its own."""
    from diffusers import DDIMScheduler, StableDiffusionDepth2ImgPipeline
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessorPil

    own = parts(folder, 5, **more)
    estimator = DPTForDepthEstimation(
        DPTConfig(
            image_size=32,
            patch_size=16,
            hidden_size=32,
            num_hidden_layers=4,
            backbone_out_indices=(0, 1, 2, 3),
            num_attention_heads=4,
            intermediate_size=37,
            is_hybrid=False,
            neck_hidden_sizes=(16, 16, 16, 16),
            fusion_hidden_size=16,
        )
    ).eval()
    StableDiffusionDepth2ImgPipeline(
        *own,
        scheduler=DDIMScheduler(**V_PREDICTION, **NOISE),
        depth_estimator=estimator,
        feature_extractor=DPTImageProcessorPil(size={"height": 32, "width": 32}),
    ).save_pretrained(folder)
    return folder


def write_upscaler(folder, **more):
    """A StableDiffusionUpscalePipeline: a VAE of factor 4, and the noise level as the UNet's class."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline

    vae, text, tokenizer, unet = parts(
        folder,
        7,
        levels=3,
        scaling=0.08333,
        num_class_embeds=1000,
        only_cross_attention=[True, True, True, False],
        **more,
    )
    low = DDPMScheduler(beta_schedule="scaled_linear", beta_start=1e-4, beta_end=0.02)
    StableDiffusionUpscalePipeline(
        vae, text, tokenizer, unet, low, DDIMScheduler(**V_PREDICTION, **NOISE)
    ).save_pretrained(folder)
    return folder


def write_single(folder, file):
    """The same weights in one .safetensors file, named as in the original release; the folder has two layers a level."""
    from originals import legacy
    from safetensors.torch import load_file, save_file

    unet, vae, text = (
        load_file(next((folder / part).glob("*.safetensors")))
        for part in ("unet", "vae", "text_encoder")
    )
    levels = 1 + max(
        int(name.split(".")[2]) for name in vae if name.startswith("encoder.down_blocks")
    )

    def renamed(name):
        if name.startswith("first_stage_model.decoder.up."):
            number, rest = name.removeprefix("first_stage_model.decoder.up.").split(".", 1)
            return f"first_stage_model.decoder.up.{int(number) - 4 + levels}.{rest}"
        return name.replace("class_embedding", "label_emb")

    save_file(
        {
            renamed(name): tensor.contiguous()
            for name, tensor in legacy(unet, vae, text, "v1").items()
        },
        file,
    )
    return file


def write_latent_upscaler(folder):
    """A StableDiffusionLatentUpscalePipeline, whose UNet has K-diffusion's blocks and reads the pooled text, too."""
    from diffusers import (
        EulerDiscreteScheduler,
        StableDiffusionLatentUpscalePipeline,
        UNet2DConditionModel,
    )

    vae, text, tokenizer, _ = parts(folder, 4)
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=5,
        layers_per_block=1,
        block_out_channels=(32, 32, 64, 64),
        act_fn="gelu",
        attention_head_dim=8,
        norm_num_groups=None,
        cross_attention_dim=32,
        time_cond_proj_dim=128 + 32,
        time_embedding_type="fourier",
        timestep_post_act="gelu",
        resnet_time_scale_shift="scale_shift",
        conv_in_kernel=1,
        conv_out_kernel=1,
        mid_block_type=None,
        down_block_types=["KDownBlock2D"] + ["KCrossAttnDownBlock2D"] * 3,
        up_block_types=["KCrossAttnUpBlock2D"] * 3 + ["KUpBlock2D"],
    )
    StableDiffusionLatentUpscalePipeline(
        vae,
        text,
        tokenizer,
        unet.eval(),
        EulerDiscreteScheduler(
            prediction_type="sample",
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
        ),
    ).save_pretrained(folder)
    return folder


def write_edit(folder, **more):
    """A StableDiffusionInstructPix2PixPipeline, whose UNet sees the latents of a picture, too."""
    from diffusers import PNDMScheduler, StableDiffusionInstructPix2PixPipeline

    StableDiffusionInstructPix2PixPipeline(
        *parts(folder, 8, **more),
        scheduler=PNDMScheduler(skip_prk_steps=True, **NOISE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def write_xl(folder, *, refiner=False, channels_in=4, levels=3, seed=0, eos=None, scheduler=None):
    """A StableDiffusionXLPipeline of the real layout, two resnets a level; the refiner has one text encoder."""
    import diffusers
    import torch
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    torch.manual_seed(seed)
    words = write_tokenizer(folder / "tokenizer")
    shutil.copytree(folder / "tokenizer", folder / "tokenizer_2")
    config = folder / "tokenizer_2/tokenizer_config.json"
    config.write_text(
        config.read_text().replace('"pad_token": "<|endoftext|>"', '"pad_token": "!"')
    )
    first = CLIPTextModel(text_config(words, 32, layers=3, act="quick_gelu", eos=eos))
    second = CLIPTextModelWithProjection(text_config(words, 64, layers=4, act="gelu", eos=eos))
    told, width = (5, 64) if refiner else (6, 32 + 64)
    attends = [False, True, True, False][: levels + refiner]
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        in_channels=channels_in,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=(16, 32, 32, 32)[: len(attends)],
        norm_num_groups=8,
        down_block_types=["CrossAttn" * each + "DownBlock2D" for each in attends],
        up_block_types=["CrossAttn" * each + "UpBlock2D" for each in attends[::-1]],
        transformer_layers_per_block=[1, 1, 2, 1][: len(attends)],
        attention_head_dim=[2, 4, 4, 4][: len(attends)],
        use_linear_projection=True,
        cross_attention_dim=width,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=64 + told * 8,
    )
    vae = diffusers.AutoencoderKL(
        latent_channels=4,
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=2,
        norm_num_groups=4,
        sample_size=64,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        scaling_factor=0.13025,
    )
    with torch.no_grad():
        for each in vae.encoder.conv_out.parameters():
            each.mul_(8)  # else random encoders make the same of every picture
    kinds = {9: "StableDiffusionXLInpaintPipeline", 4: "StableDiffusionXLPipeline"}
    kind = "StableDiffusionXLImg2ImgPipeline" if refiner else kinds[channels_in]
    tokenizers = (
        CLIPTokenizer.from_pretrained(folder / name) for name in ("tokenizer", "tokenizer_2")
    )
    parts = dict(zip(("tokenizer", "tokenizer_2"), tokenizers), text_encoder=first.eval())
    parts |= {"text_encoder": None, "tokenizer": None} if refiner else {}
    if refiner:
        shutil.rmtree(folder / "tokenizer")
    getattr(diffusers, kind)(
        vae=vae.eval(),
        unet=unet.eval(),
        text_encoder_2=second.eval(),
        scheduler=scheduler or diffusers.EulerDiscreteScheduler(**XL_NOISE),
        add_watermarker=False,
        force_zeros_for_empty_prompt=not refiner,
        **{"requires_aesthetics_score": True} if refiner else {},
        **parts,
    ).save_pretrained(folder)
    return folder


def text_config(words, width, *, layers, act, eos):
    """The configuration of a text encoder; as published, SDXL's state 2 for the mark of the end."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        hidden_act=act,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=words - 2,
        eos_token_id=eos or words - 1,
        pad_token_id=words - 1,
    )

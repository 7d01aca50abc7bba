"""Small pipelines of the layouts that take pictures, with random weights."""

from conftest import NOISE, write_tokenizer

V_PREDICTION = dict(prediction_type="v_prediction", clip_sample=False)


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

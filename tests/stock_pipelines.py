"""Small pipelines of the layouts that run in diffusers' own call, with random weights; pictures of 32x32 or 64x64."""

import string

from conftest import NOISE, write_tokenizer

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n"
)
GEMMA = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.printable[:95]]


def build(kind, **config):
    """A network of that class, with the same random weights each time."""
    import torch

    torch.manual_seed(0)
    made = kind(config.pop("config")) if "config" in config else kind(**config)
    return made.eval()


def clip(folder, *, projected=False, **more):
    """(CLIP's tokenizer, a text encoder of width 32), with pooled texts if `projected`."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    words = write_tokenizer(folder)
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=32,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
        **more,
    )
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return CLIPTokenizer.from_pretrained(folder), build(kind, config=config)


def t5():
    """(T5's tokenizer over small letters, a text encoder of width 32)."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    letters = [(letter, -2.0) for letter in "▁" + string.ascii_lowercase]
    words = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters]
    tokenizer = T5Tokenizer(vocab=words, extra_ids=0)
    size = dict(d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, vocab_size=len(words))
    return tokenizer, build(T5EncoderModel, config=T5Config(**size))


def qwen_tokenizer():
    """Qwen's tokenizer over the 256 byte symbols, with a chat's marks."""
    from transformers import Qwen2Tokenizer

    plain = [b for b in range(256) if chr(b).isprintable() and b != 32]
    symbols = [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]
    words = {symbol: i for i, symbol in enumerate([*symbols, "<|endoftext|>"])}
    tokenizer = Qwen2Tokenizer(vocab=words, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHAT
    return tokenizer


def qwen3(layers=2):
    """(Qwen's tokenizer, a Qwen3 of width 32)."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = qwen_tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    return tokenizer, build(Qwen3ForCausalLM, config=config)


def vae(channels=4, widths=(8, 16), **more):
    """An AutoencoderKL, of factor 2 with two widths."""
    from diffusers import AutoencoderKL

    return build(
        AutoencoderKL,
        latent_channels=channels,
        block_out_channels=widths,
        norm_num_groups=4,
        sample_size=32,
        down_block_types=["DownEncoderBlock2D"] * len(widths),
        up_block_types=["UpDecoderBlock2D"] * len(widths),
        **more,
    )


def flow(**more):
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**more)


# The layouts


def sdxl(folder, scheduler=None):
    """SDXL with guidance as an embedding, as LCM's has it: others run in sdlab's own loop."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    tokenizer, text = clip(folder / "1", hidden_act="quick_gelu")
    tokenizer_2, text_2 = clip(folder / "2", projected=True, hidden_act="gelu")
    unet = build(
        UNet2DConditionModel,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=6 * 8 + 32,
        time_cond_proj_dim=8,
        cross_attention_dim=64,
    )
    noise = {n: v for n, v in NOISE.items() if n != "set_alpha_to_one"}
    return StableDiffusionXLPipeline(
        vae(),
        text,
        text_2,
        tokenizer,
        tokenizer_2,
        unet,
        scheduler or EulerDiscreteScheduler(timestep_spacing="leading", **noise),
        add_watermarker=False,
    )


def sdxl_turbo(folder):
    from diffusers import EulerAncestralDiscreteScheduler

    noise = {n: v for n, v in NOISE.items() if n != "set_alpha_to_one"}
    return sdxl(folder, EulerAncestralDiscreteScheduler(timestep_spacing="trailing", **noise))


def sd3(folder):
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline

    tokenizer, text = clip(folder / "1", projected=True)
    tokenizer_2, text_2 = clip(folder / "2", projected=True)
    tokenizer_3, text_3 = t5()
    transformer = build(
        SD3Transformer2DModel,
        sample_size=16,
        patch_size=1,
        in_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=64,
        out_channels=4,
        pos_embed_max_size=32,
    )
    return StableDiffusion3Pipeline(
        transformer,
        flow(shift=3.0),
        vae(shift_factor=0.06, scaling_factor=1.5),
        text,
        tokenizer,
        text_2,
        tokenizer_2,
        text_3,
        tokenizer_3,
    )


def flux(folder):
    from diffusers import FluxPipeline, FluxTransformer2DModel

    tokenizer, text = clip(folder / "1")
    tokenizer_2, text_2 = t5()
    transformer = build(
        FluxTransformer2DModel,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=True,
    )
    return FluxPipeline(
        flow(use_dynamic_shifting=True, shift=3.0),
        vae(shift_factor=0.1, scaling_factor=0.4),
        text,
        tokenizer,
        text_2,
        tokenizer_2,
        transformer,
    )


def flux2(folder):
    """A text encoder of three layers; the call reads others unless `text_encoder_out_layers` says (1, 2)."""
    from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel

    tokenizer, text = qwen3(3)
    transformer = build(
        Flux2Transformer2DModel,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=64,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    small = build(
        AutoencoderKLFlux2,
        block_out_channels=(8, 16),
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=32,
    )
    return Flux2KleinPipeline(
        flow(use_dynamic_shifting=True, shift=3.0), small, text, tokenizer, transformer
    )


def pixart(folder):
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    tokenizer, text = t5()
    transformer = build(
        PixArtTransformer2DModel,
        sample_size=32,
        num_layers=1,
        patch_size=2,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=32,
        in_channels=4,
        cross_attention_dim=32,
        out_channels=8,
        num_embeds_ada_norm=1000,
        use_additional_conditions=False,
    )
    return PixArtSigmaPipeline(tokenizer, text, vae(), transformer, DPMSolverMultistepScheduler())


def sana(folder):
    from diffusers import (
        AutoencoderDC,
        DPMSolverMultistepScheduler,
        SanaPipeline,
        SanaTransformer2DModel,
    )
    from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

    config = Gemma2Config(
        vocab_size=len(GEMMA),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    transformer = build(
        SanaTransformer2DModel,
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=32,
        sample_size=16,
        patch_size=1,
    )
    small = build(
        AutoencoderDC,
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=[1, 1],
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        decoder_norm_types="rms_norm",
        decoder_act_fns="silu",
        scaling_factor=0.41407,
    )
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    tokenizer = GemmaTokenizer(vocab={word: i for i, word in enumerate(GEMMA)}, merges=[])
    return SanaPipeline(tokenizer, build(Gemma2Model, config=config), small, transformer, scheduler)


def kandinsky(folder):
    """Prior and decoder in one folder, as their combined class saves them."""
    from diffusers import (
        DDPMScheduler,
        KandinskyV22CombinedPipeline,
        PriorTransformer,
        UnCLIPScheduler,
        UNet2DConditionModel,
        VQModel,
    )
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModelWithProjection

    unet = build(
        UNet2DConditionModel,
        sample_size=16,
        in_channels=4,
        out_channels=8,
        addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        block_out_channels=(32, 64),
        layers_per_block=1,
        encoder_hid_dim=32,
        encoder_hid_dim_type="image_proj",
        cross_attention_dim=32,
        attention_head_dim=4,
        resnet_time_scale_shift="scale_shift",
    )
    movq = build(
        VQModel,
        block_out_channels=[32, 64],
        down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=8,
        norm_type="spatial",
        num_vq_embeddings=12,
        up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        vq_embed_dim=4,
    )
    prior = build(
        PriorTransformer,
        num_attention_heads=2,
        attention_head_dim=12,
        embedding_dim=32,
        num_layers=1,
    )
    vision = CLIPVisionConfig(
        hidden_size=32,
        image_size=224,
        projection_dim=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        patch_size=14,
    )
    tokenizer, text = clip(folder / "1", projected=True)
    return KandinskyV22CombinedPipeline(
        unet,
        DDPMScheduler(
            beta_schedule="linear",
            beta_start=0.00085,
            beta_end=0.012,
            clip_sample=False,
            prediction_type="epsilon",
            thresholding=False,
        ),
        movq,
        prior,
        build(CLIPVisionModelWithProjection, config=vision),
        text,
        tokenizer,
        UnCLIPScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            clip_sample=True,
            clip_sample_range=5.0,
        ),
        CLIPImageProcessorPil(),
    )


def qwen_image(folder):
    from diffusers import AutoencoderKLQwenImage, QwenImagePipeline, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = qwen_tokenizer()
    config = Qwen2_5_VLConfig(
        text_config=dict(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            rope_scaling=dict(mrope_section=[2, 3, 3], rope_type="default", type="default"),
        ),
        vision_config=dict(
            depth=1, hidden_size=16, intermediate_size=16, num_heads=2, out_hidden_size=32
        ),
    )
    transformer = build(
        QwenImageTransformer2DModel,
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    small = build(
        AutoencoderKLQwenImage,
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    text = build(Qwen2_5_VLForConditionalGeneration, config=config)
    return QwenImagePipeline(flow(use_dynamic_shifting=True), small, text, tokenizer, transformer)


def z_image(folder):
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    tokenizer, text = qwen3()
    transformer = build(
        ZImageTransformer2DModel,
        all_patch_size=(2,),
        all_f_patch_size=(1,),
        in_channels=4,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 4, 4],
        axes_lens=[256, 32, 32],
    )
    return ZImagePipeline(
        flow(shift=3.0), vae(shift_factor=0.1), text.model, tokenizer, transformer
    )


def lcm(folder):
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler, UNet2DConditionModel

    tokenizer, text = clip(folder / "1")
    unet = build(
        UNet2DConditionModel,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        time_cond_proj_dim=32,
    )
    return LatentConsistencyModelPipeline(
        vae(),
        text,
        tokenizer,
        unet,
        LCMScheduler(**NOISE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def amused(folder):
    """No diffusion at all: a masked transformer that guesses codes; one generator, an old callback."""
    from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel

    tokenizer, text = clip(folder / "1", projected=True)
    transformer = build(
        UVit2DModel,
        hidden_size=8,
        use_bias=False,
        hidden_dropout=0.0,
        cond_embed_dim=32,
        micro_cond_encode_dim=2,
        micro_cond_embed_dim=10,
        encoder_hidden_size=32,
        vocab_size=32,
        codebook_size=8,
        in_channels=8,
        block_out_channels=8,
        num_res_blocks=1,
        downsample=True,
        upsample=True,
        block_num_heads=1,
        num_hidden_layers=1,
        num_attention_heads=1,
        attention_dropout=0.0,
        intermediate_size=8,
        layer_norm_eps=1e-06,
        ln_elementwise_affine=True,
        sample_size=16,
    )
    vqvae = build(
        VQModel,
        act_fn="silu",
        block_out_channels=[8, 8],
        down_block_types=["DownEncoderBlock2D"] * 2,
        in_channels=3,
        latent_channels=8,
        layers_per_block=1,
        norm_num_groups=8,
        num_vq_embeddings=8,
        out_channels=3,
        sample_size=8,
        up_block_types=["UpDecoderBlock2D"] * 2,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    return AmusedPipeline(vqvae, tokenizer, text, transformer, AmusedScheduler(mask_token_id=31))


LAYOUTS = {
    "sdxl": sdxl,
    "sdxl-turbo": sdxl_turbo,
    "sd3": sd3,
    "flux": flux,
    "flux2": flux2,
    "pixart-sigma": pixart,
    "sana": sana,
    "kandinsky-2-2": kandinsky,
    "qwen-image": qwen_image,
    "z-image": z_image,
    "lcm": lcm,
    "amused": amused,
}


def write_stock(folder, layout):
    """Writes the small pipeline of a layout as a folder, as its users have it."""
    made = folder / layout
    LAYOUTS[layout](folder / "texts" / layout).save_pretrained(made)
    return made

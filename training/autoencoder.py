"""The autoencoder: 64x64 RGB to 16x16x4 latents and back, started as plain resampling.

It begins as "average 4x4 pixels" and "smooth upsampling".

Channels 0-2 carry the colours, 5-7 their negatives (silu(x) - silu(-x) = x keeps the path linear),
3 and 4 the anchors +8 and -8, which keep each single-group GroupNorm almost constant. Default
initialisation with small groups normalises absolute colour away and learns it back very slowly.
"""

import math

import torch
from diffusers import AutoencoderKL

SCALING = 0.18215  # of Stable Diffusion; the latents are normalised to fit it
ANCHOR = 8.0
COLOURS, ANCHORS, RESERVED = range(3), (3, 4), 8
POOL = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]]) / 4
SMOOTH = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def damp_resnet(block: torch.nn.Module) -> None:
    """Damp the residual branch; a shortcut passes the reserved channels through."""
    block.conv2.weight.mul_(0.2)
    block.conv2.bias.zero_()
    if block.conv_shortcut is not None:
        weight = block.conv_shortcut.weight
        weight[:RESERVED] = 0
        block.conv_shortcut.bias[:RESERVED] = 0
        weight[:, :RESERVED] = 0
        for i in range(RESERVED):
            weight[i, i].fill_(1.0)
    block.conv2.weight[:RESERVED].mul_(0.1)


def set_first(conv: torch.nn.Conv2d) -> None:
    """The first convolution: colours, negatives and anchors from three channels."""
    conv.weight[:RESERVED] = 0
    conv.bias[:RESERVED] = 0
    for c in COLOURS:
        conv.weight[c, c, 1, 1] = 1
        conv.weight[5 + c, c, 1, 1] = -1
    conv.bias[3], conv.bias[4] = ANCHOR, -ANCHOR


def set_resampling(conv: torch.nn.Conv2d, kernel: torch.Tensor) -> None:
    """A down- or upsampling convolution: the kernel on the colours, fresh anchors."""
    conv.weight[:RESERVED] = 0
    conv.bias[:RESERVED] = 0
    conv.weight[:, 3:5] *= 0.05
    for i in range(RESERVED):
        if i not in ANCHORS:
            conv.weight[i, i] = kernel
    conv.bias[3], conv.bias[4] = ANCHOR, -ANCHOR


def set_last(conv: torch.nn.Conv2d) -> None:
    """The last convolution: colour = silu(x) - silu(-x)."""
    conv.weight[:3] = 0
    conv.bias.zero_()
    for c in COLOURS:
        conv.weight[c, c, 1, 1] = 1
        conv.weight[c, 5 + c, 1, 1] = -1
    conv.weight[:, 3:5] = 0


def set_norm(norm: torch.nn.GroupNorm, channels: int) -> None:
    norm.weight.fill_(ANCHOR * math.sqrt(2 / channels) * 1.05)
    norm.bias.zero_()


def set_identity(conv: torch.nn.Conv2d, channels: int) -> None:
    conv.weight.copy_(torch.eye(channels)[:, :, None, None])
    conv.bias.zero_()


@torch.no_grad()
def set_half(half: torch.nn.Module, kernel: torch.Tensor, channels: int) -> None:
    """Set an encoder or a decoder to the plain resampling by `kernel`."""
    set_first(half.conv_in)
    for block in [
        half.mid_block,
        *(half.down_blocks if hasattr(half, "down_blocks") else half.up_blocks),
    ]:
        for resnet in block.resnets:
            damp_resnet(resnet)
        samplers = getattr(block, "downsamplers", None) or getattr(block, "upsamplers", None) or []
        for sampler in samplers:
            set_resampling(sampler.conv, kernel)
    set_norm(half.conv_norm_out, channels)
    set_last(half.conv_out)


@torch.no_grad()
def make_vae(channels: tuple[int, ...] = (16, 32, 64), latent_channels: int = 4) -> AutoencoderKL:
    """Make an autoencoder of about 23 dB before any training.

    (B, 3, 64, 64) in -1..1 to (B, 4, 16, 16) and back.
    """
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=latent_channels,
        down_block_types=["DownEncoderBlock2D"] * len(channels),
        up_block_types=["UpDecoderBlock2D"] * len(channels),
        norm_num_groups=1,
        sample_size=64,
        mid_block_add_attention=False,
        scaling_factor=SCALING,
    )
    set_half(vae.encoder, POOL, channels[-1])
    set_half(vae.decoder, SMOOTH, channels[0])
    vae.encoder.conv_out.weight[latent_channels:] = 0
    vae.encoder.conv_out.bias[latent_channels:] = -6.0  # log-variance
    set_identity(vae.quant_conv, 2 * latent_channels)
    set_identity(vae.post_quant_conv, latent_channels)
    return vae


@torch.no_grad()
def normalise_latents(vae: AutoencoderKL, means: torch.Tensor) -> None:
    """Fold each channel's mean and spread into the 1x1 convolutions.

    latents * SCALING then have mean 0 and std 1.

    `means` are (N, 4, 16, 16) latent means of typical pictures.
    """
    mean, factor = means.mean((0, 2, 3)), 1 / (means.std((0, 2, 3)) * SCALING)
    quant, post, n = vae.quant_conv, vae.post_quant_conv, means.shape[1]
    quant.weight[:n] *= factor[:, None, None, None]
    quant.bias[:n] = (quant.bias[:n] - mean) * factor
    quant.bias[n:] += 2 * torch.log(factor)
    weight = post.weight.clone()
    post.weight.copy_(weight / factor[None, :, None, None])
    post.bias.add_(weight[:, :, 0, 0] @ mean)


@torch.no_grad()
def change_scaling_factor(vae: AutoencoderKL, factor: float) -> AutoencoderKL:
    """Change `scaling_factor` and keep latents times the factor what they were.

    diffusers' upscaler corrects a factor of 0.18215 to its own 0.08333 by itself, so that is what
    its VAE must have.
    """
    ratio, n = vae.config.scaling_factor / factor, vae.config.latent_channels
    for parameter in (vae.quant_conv.weight, vae.quant_conv.bias):
        parameter[:n] *= ratio
    vae.quant_conv.bias[n:] += 2 * math.log(ratio)
    vae.post_quant_conv.weight /= ratio
    vae.register_to_config(scaling_factor=factor)
    return vae

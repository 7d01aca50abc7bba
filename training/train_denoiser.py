"""The later stages of training: text encoder and UNet together, on encoded pictures.

v-prediction with min-SNR weights and one caption in ten empty. For the first part of the time the
captions are padded to 24 tokens instead of 77, which saves a third of the work; the pictures of the
world need no longer captions. A model that starts from another one takes over every weight whose
shape fits; the channels that are new begin at zero.
"""

import json
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.encoded import MAX_LENGTH, SHORT_LENGTH, SHORT_PART, Pictures
from training.parallel import Clock, Replica, State, average, count_ranks, find_device
from training.recipes import Recipe

NOISE = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
)
SAVE_SECONDS = 240


# ---- networks


def make_text_encoder(tokenizer: CLIPTokenizer, recipe: Recipe, layers: int) -> CLIPTextModel:
    """A new text encoder. Plain attention: the backward pass of the fused one is slow on a CPU."""
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.text_width,
            intermediate_size=3 * recipe.text_width,
            num_hidden_layers=layers,
            num_attention_heads=4,
            max_position_embeddings=MAX_LENGTH,
            hidden_act=recipe.text_act,
            projection_dim=recipe.text_width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    text.set_attn_implementation("eager")
    return text


def make_unet(recipe: Recipe) -> UNet2DConditionModel:
    """A new UNet, with what fits of the one that the recipe starts from."""
    enlarging = recipe.extra == "small"
    unet = UNet2DConditionModel(
        sample_size=recipe.latent_side,
        in_channels=recipe.channels,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=recipe.widths,
        layers_per_block=1,
        cross_attention_dim=recipe.text_width,
        attention_head_dim=4,
        norm_num_groups=16,
        num_class_embeds=1000 if enlarging else None,
        only_cross_attention=enlarging,
    )
    if recipe.start:
        take_over(unet, UNet2DConditionModel.from_pretrained(recipe.part("unet")).state_dict())
    unet.set_attn_processor(AttnProcessor())
    return unet


@torch.no_grad()
def take_over(unet: UNet2DConditionModel, weights: State) -> None:
    """Copy weights of the same shape, and a first convolution that only has more channels."""
    for name, parameter in unet.named_parameters():
        found = weights.get(name)
        if found is not None and found.shape == parameter.shape:
            parameter.copy_(found)
        elif found is not None and name == "conv_in.weight" and len(found) == len(parameter):
            parameter.zero_()
            parameter[:, : found.shape[1]] = found


def make_networks(tokenizer: CLIPTokenizer, recipe: Recipe, parts: Path) -> torch.nn.ModuleDict:
    """Make the UNet, and take the text encoder that the text stage made, or a new one."""
    if (parts / "text_encoder").exists():
        text = CLIPTextModel.from_pretrained(
            parts / "text_encoder", dtype=torch.float32, attn_implementation="eager"
        )
        text.requires_grad_(recipe.own_text)
    else:
        text = make_text_encoder(tokenizer, recipe, recipe.text_layers)
    return torch.nn.ModuleDict(dict(unet=make_unet(recipe), text=text))


@torch.no_grad()
def lengthen(weights: State) -> None:
    """Give the positions behind the short captions the last one that was trained."""
    for name in weights:
        if "position_embedding" in name:
            weights[name][SHORT_LENGTH:] = weights[name][SHORT_LENGTH - 1]


class Diffusion:
    """The noise schedule and the v-prediction loss, by min-SNR weights or in favour of noise."""

    def __init__(self, recipe: Recipe):
        self.alphas = DDIMScheduler(**NOISE).alphas_cumprod.to(find_device())
        snr = self.alphas / (1 - self.alphas)
        weights = snr.clamp(max=5.0) / (snr + 1)  # min-SNR-5 for v, arXiv 2303.09556
        self.weights = torch.ones_like(snr) if recipe.focus else weights
        self.focus = make_focus(recipe)

    def levels(self, count: int) -> torch.Tensor:
        """Draw levels of noise, high ones more often where what is written has to be learned."""
        part = torch.rand(count, device=find_device())
        return (1000 * (part.sqrt() if self.focus is not None else part)).long()

    def losses(self, net, latents, ids, t, noise, *, extra=None, level=None) -> torch.Tensor:
        """(B,): the weighted error of v = sqrt(alpha) noise - sqrt(1 - alpha) latent."""
        signal, spread = (
            part[t][:, None, None, None].sqrt() for part in (self.alphas, 1 - self.alphas)
        )
        noisy = signal * latents + spread * noise
        noisy = (noisy if extra is None else torch.cat([noisy, extra], 1)).to(torch.bfloat16)
        predicted = net["unet"](noisy, t, net["text"](ids)[0], class_labels=level).sample.float()
        errors = (predicted - (signal * noise - spread * latents)) ** 2
        return self.weights[t] * (errors if self.focus is None else errors * self.focus).mean(
            (1, 2, 3)
        )


def make_focus(recipe: Recipe) -> torch.Tensor | None:
    """Make how much each latent counts, (side, side) of mean 1: those with letters more."""
    if not recipe.focus:
        return None
    side = recipe.latent_side
    out = torch.ones(side, side, device=find_device())
    out[side // 4 : -side // 4, side // 8 : -side // 8] = recipe.focus
    return out / out.mean()


@torch.no_grad()
def compute_validation_loss(
    replica: Replica, diffusion: Diffusion, pictures: Pictures, length: int
) -> float:
    """Compute the averaged weights' loss on held-out pictures, always with the same noise."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        latents, ids, besides = pictures.held_out()
        t = torch.randint(0, 1000, (len(latents),)).to(find_device())
        noise = torch.randn(latents.shape).to(find_device())
    replica.use(replica.ema)
    rows = torch.arange(len(latents)).split(64)
    total = sum(
        diffusion.losses(
            replica.net,
            latents[r],
            ids[r, :length],
            t[r],
            noise[r],
            **{name: part[r] for name, part in besides.items()},
        )
        .sum()
        .item()
        for r in rows
    )
    replica.use(replica.master)
    return total / len(latents)


# ---- training


@torch.no_grad()
def save_parts(replica: Replica, folder: Path, is_long: bool) -> None:
    """Write the averaged UNet, and the text encoder if it is trained, in half precision."""
    weights = {name: weight.clone() for name, weight in replica.ema.items()}
    if not is_long:
        lengthen(weights)
    unet = UNet2DConditionModel.from_config(replica.net["unet"].config)
    text = CLIPTextModel(replica.net["text"].config)
    trained = torch.nn.ModuleDict(dict(unet=unet, text=text))
    for name, parameter in trained.named_parameters():
        if name in weights:
            parameter.copy_(weights[name])
    unet.half().save_pretrained(folder / "unet")
    if any(name.startswith("text.") for name in weights):
        text.half().save_pretrained(folder / "text_encoder")


def train_denoiser(
    rank: int,
    workdir: Path,
    recipe: Recipe,
    minutes: float,
    batch: int,
    rate: float,
    seed: int,
    resume: bool,
) -> None:
    """One rank's part; writes `workdir`/denoiser.pt and the parts of the model as it goes."""
    torch.manual_seed(seed)
    parts, checkpoint = workdir / "parts", workdir / "denoiser.pt"
    tokenizer = CLIPTokenizer.from_pretrained(parts / "tokenizer")
    net = make_networks(tokenizer, recipe, parts).to(find_device())
    replica = Replica(net, betas=(0.9, 0.99), weight_decay=1e-2, ema=0.9985, exempt="embedding")
    saved = (
        replica.load(checkpoint)
        if resume and checkpoint.exists()
        else dict(seconds=0.0, long=not recipe.own_text)
    )
    torch.manual_seed(seed + 1000 * replica.steps + 99 + rank)
    empty = torch.tensor(
        tokenizer([""], padding="max_length", max_length=MAX_LENGTH)["input_ids"][0]
    )
    pictures, diffusion, is_long = (
        Pictures(workdir, recipe, empty),
        Diffusion(recipe),
        bool(saved["long"]),
    )
    clock = Clock(minutes, rate=rate, warmup=150, constant=0.5, floor=0.02, spent=saved["seconds"])
    recent, kept, record = [], clock.elapsed(), workdir / "denoiser.json"
    history = json.loads(record.read_text()) if saved["seconds"] and record.exists() else []

    def keep() -> None:
        loss = compute_validation_loss(
            replica, diffusion, pictures, MAX_LENGTH if is_long else SHORT_LENGTH
        )
        print(
            f"denoiser: validation loss {loss:.4f} after {clock.elapsed() / 60:.1f} minutes",
            flush=True,
        )
        history.append(
            dict(
                steps=replica.steps,
                samples=replica.steps * batch * count_ranks(),
                seconds=round(clock.elapsed()),
                pictures=len(pictures),
                validation_loss=round(loss, 4),
            )
        )
        save_parts(replica, parts, is_long)
        replica.save(checkpoint, seconds=clock.elapsed(), long=is_long)
        record.write_text(json.dumps(history, indent=1))

    while (progress := clock.progress()) < 1:
        if progress >= SHORT_PART and not is_long:
            is_long = True
            lengthen(replica.master)
            lengthen(replica.ema)
            replica.use(replica.master)
        latents, ids, besides = pictures.batch(batch, progress)
        t = diffusion.levels(batch)
        loss = diffusion.losses(net, latents, ids, t, torch.randn_like(latents), **besides).mean()
        replica.update(loss, clock.rate_at(progress, replica.steps))
        recent = [*recent[-49:], loss.item()]
        if rank == 0 and replica.steps % 50 == 0:
            print(
                f"denoiser: step {replica.steps}, {clock.elapsed():.0f} of {60 * minutes:.0f} s, "
                f"loss {average(recent):.4f}",
                flush=True,
            )
        if rank == 0 and clock.elapsed() - kept > SAVE_SECONDS:
            kept = clock.elapsed()
            keep()
    if rank == 0:
        keep()

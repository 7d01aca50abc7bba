"""The later stages of training: encode rendered pictures once, then train the text encoder and the UNet together.

v-prediction with min-SNR weights and one caption in ten empty. For the first part of the time the captions are padded
to 24 tokens instead of 77, which saves a third of the work; the pictures of the world need no longer captions.
"""
import json
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .parallel import Clock, Replica, State, device, mean_of, ranks
from .tokenizer import MAX_LENGTH
from .train_autoencoder import to_pixels
from .world import KINDS, training_sample

NOISE = dict(num_train_timesteps=1000, beta_start=.00085, beta_end=.012, beta_schedule="scaled_linear")
SHORT_LENGTH, SHORT_PART = 24, .65  # tokens, and for which part of the time captions are padded to so few
HELD_OUT = 256  # last rows of the last shard
KIND_SHARES = ((.45, .38, .17), (.30, .54, .16))  # of "one", "pair" and "count": at the start and at the end
SAVE_SECONDS = 240


# ---- data

@torch.no_grad()
def encode_pictures(rank: int, workdir: Path, pictures: int, seed: int) -> None:
    """Render and encode one rank's share of the pictures into `workdir`/latents_<rank>.pt."""
    rng = random.Random(seed + 500 + rank)
    vae = AutoencoderKL.from_pretrained(workdir / "parts" / "vae").to(device(), torch.bfloat16)
    tokenizer = CLIPTokenizer.from_pretrained(workdir / "parts" / "tokenizer")
    latents, captions, kinds = [], [], []
    for _ in range(-(-pictures // ranks() // 64)):
        images, texts, forms = zip(*(training_sample(rng) for _ in range(64)))
        moments = vae.quant_conv(vae.encoder(to_pixels(np.stack(images)).to(vae.device, vae.dtype)))
        latents.append((moments[:, :4].float() * vae.config.scaling_factor).half().cpu())
        captions += texts
        kinds += [KINDS.index(form) for form in forms]
    ids = tokenizer(captions, padding="max_length", truncation=True, max_length=MAX_LENGTH)["input_ids"]
    shard = dict(latents=torch.cat(latents), ids=torch.tensor(ids, dtype=torch.int16), kinds=torch.tensor(kinds))
    torch.save(shard, workdir / f"latents_{rank}.pt")


class Pictures:
    """The encoded pictures, drawn at random with a share for each kind that moves with training time."""

    def __init__(self, workdir: Path, empty: torch.Tensor):
        shards = [torch.load(workdir / f"latents_{rank}.pt", weights_only=True) for rank in range(ranks())]
        self.latents, self.ids, kinds = (torch.cat([shard[part] for shard in shards]).to(device())
                                         for part in ("latents", "ids", "kinds"))
        kinds[-HELD_OUT:] = -1
        self.rows = [(kinds == kind).nonzero()[:, 0] for kind in range(len(KINDS))]
        self.empty = empty.to(device())

    def batch(self, size: int, progress: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (B, 4, 16, 16) and token ids (B, length); one caption in ten is empty, for guidance."""
        shares = torch.lerp(*(torch.tensor(s) for s in KIND_SHARES), progress)
        kinds = torch.multinomial(shares, size, replacement=True).tolist()
        chosen = torch.stack([self.rows[k][torch.randint(len(self.rows[k]), ())] for k in kinds])
        ids = self.ids[chosen].long()
        ids[torch.rand(size, device=ids.device) < .1] = self.empty
        return self.latents[chosen].float(), ids[:, :SHORT_LENGTH] if progress < SHORT_PART else ids

    def held_out(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.latents[-HELD_OUT:].float(), self.ids[-HELD_OUT:].long()


# ---- networks

def make_networks(tokenizer: CLIPTokenizer) -> torch.nn.ModuleDict:
    """The UNet and the text encoder. Plain attention: the backward pass of the fused one is slow on a CPU."""
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), block_out_channels=(64, 96), layers_per_block=1,
        cross_attention_dim=128, attention_head_dim=4, norm_num_groups=16)
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH, hidden_act="quick_gelu", projection_dim=128,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))
    unet.set_attn_processor(AttnProcessor())
    text.set_attn_implementation("eager")
    return torch.nn.ModuleDict(dict(unet=unet, text=text))


@torch.no_grad()
def lengthen(weights: State) -> None:
    """Give the positions behind the short captions the last one that was trained."""
    name = next(n for n in weights if "position_embedding" in n)
    weights[name][SHORT_LENGTH:] = weights[name][SHORT_LENGTH - 1]


class Diffusion:
    """The noise schedule and the weighted v-prediction loss."""

    def __init__(self):
        self.alphas = DDIMScheduler(**NOISE).alphas_cumprod.to(device())
        snr = self.alphas / (1 - self.alphas)
        self.weights = snr.clamp(max=5.0) / (snr + 1)  # min-SNR-5 for v, arXiv 2303.09556

    def losses(self, net, latents, ids, t, noise) -> torch.Tensor:
        """(B,): the weighted error of v = sqrt(alpha) noise - sqrt(1 - alpha) latent."""
        signal, spread = (part[t][:, None, None, None].sqrt() for part in (self.alphas, 1 - self.alphas))
        noisy = (signal * latents + spread * noise).to(torch.bfloat16)
        predicted = net["unet"](noisy, t, net["text"](ids)[0]).sample.float()
        return self.weights[t] * ((predicted - (signal * noise - spread * latents)) ** 2).mean((1, 2, 3))


@torch.no_grad()
def validation_loss(replica: Replica, diffusion: Diffusion, pictures: Pictures, length: int) -> float:
    """The averaged weights' loss on held-out pictures, with the same timesteps and noise each time."""
    latents, ids = pictures.held_out()
    generator = torch.Generator().manual_seed(5)
    t = torch.randint(0, 1000, (len(latents),), generator=generator).to(device())
    noise = torch.randn(latents.shape, generator=generator).to(device())
    replica.use(replica.ema)
    rows = torch.arange(len(latents)).split(64)
    total = sum(diffusion.losses(replica.net, latents[r], ids[r, :length], t[r], noise[r]).sum().item() for r in rows)
    replica.use(replica.master)
    return total / len(latents)


# ---- training

@torch.no_grad()
def save_parts(replica: Replica, folder: Path, is_long: bool) -> None:
    """Write the averaged weights of the UNet and the text encoder in half precision."""
    weights = {name: weight.clone() for name, weight in replica.ema.items()}
    if not is_long:
        lengthen(weights)
    unet = UNet2DConditionModel.from_config(replica.net["unet"].config)
    text = CLIPTextModel(replica.net["text"].config)
    for name, parameter in torch.nn.ModuleDict(dict(unet=unet, text=text)).named_parameters():
        parameter.copy_(weights[name])
    unet.half().save_pretrained(folder / "unet")
    text.half().save_pretrained(folder / "text_encoder")


def train_denoiser(rank: int, workdir: Path, minutes: float, batch: int, rate: float, seed: int, resume: bool) -> None:
    """One rank's part; writes `workdir`/denoiser.pt and the parts of the model as it goes."""
    torch.manual_seed(seed)
    parts, checkpoint = workdir / "parts", workdir / "denoiser.pt"
    tokenizer = CLIPTokenizer.from_pretrained(parts / "tokenizer")
    net = make_networks(tokenizer).to(device())
    replica = Replica(net, betas=(.9, .99), weight_decay=1e-2, ema=.9985, exempt="embedding")
    saved = replica.load(checkpoint) if resume and checkpoint.exists() else dict(seconds=0.0, long=False)
    torch.manual_seed(seed + 1000 * replica.steps + 99 + rank)
    empty = torch.tensor(tokenizer([""], padding="max_length", max_length=MAX_LENGTH)["input_ids"][0])
    pictures, diffusion, is_long = Pictures(workdir, empty), Diffusion(), bool(saved["long"])
    clock = Clock(minutes, rate=rate, warmup=150, constant=.5, floor=.02, spent=saved["seconds"])
    recent, kept, record = [], clock.elapsed(), workdir / "denoiser.json"
    history = json.loads(record.read_text()) if saved["seconds"] and record.exists() else []

    def keep() -> None:
        loss = validation_loss(replica, diffusion, pictures, MAX_LENGTH if is_long else SHORT_LENGTH)
        print(f"denoiser: validation loss {loss:.4f} after {clock.elapsed() / 60:.1f} minutes", flush=True)
        history.append(dict(steps=replica.steps, samples=replica.steps * batch * ranks(), seconds=round(clock.elapsed()),
                            pictures=len(pictures.latents), validation_loss=round(loss, 4)))
        save_parts(replica, parts, is_long)
        replica.save(checkpoint, seconds=clock.elapsed(), long=is_long)
        record.write_text(json.dumps(history, indent=1))

    while (progress := clock.progress()) < 1:
        if progress >= SHORT_PART and not is_long:
            is_long = True
            lengthen(replica.master)
            lengthen(replica.ema)
            replica.use(replica.master)
        latents, ids = pictures.batch(batch, progress)
        t = torch.randint(0, 1000, (batch,), device=device())
        loss = diffusion.losses(net, latents, ids, t, torch.randn_like(latents)).mean()
        replica.update(loss, clock.rate_at(progress, replica.steps))
        recent = [*recent[-49:], loss.item()]
        if rank == 0 and replica.steps % 50 == 0:
            print(f"denoiser: step {replica.steps}, {clock.elapsed():.0f} of {60 * minutes:.0f} s, "
                  f"loss {mean_of(recent):.4f}", flush=True)
        if rank == 0 and clock.elapsed() - kept > SAVE_SECONDS:
            kept = clock.elapsed()
            keep()
    if rank == 0:
        keep()

"""How fast `run` is: against a plain loop over diffusers' pipeline in its default settings, and where its time goes.

    python tests/benchmarks/rendering.py [--without-real-size]

Everything is measured in one run, alone on the machine; compare the ratios, not the seconds. The pipeline of Stable
Diffusion v1's size has random weights (about 8 GB of memory, 4 GB in the temporary folder).
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

import sdlab.models.pipeline
from sdlab import MODELS, Request, run, sweep
from sdlab.models.resolve import native

EMBEDDED = sweep(
    Request(prompt="a {cat|rocket|red heart|tree} on a {blue|white} background"),
    guidance_scale=[1, 3, 5, 7.5],
    seed=[0, 1],
)
COLD = """
import resource, tempfile, time
used = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
marks = [used()]
from sdlab import *
marks.append(used())
from sdlab.recipe.collector import pause_collector
from sdlab.models.quiet import silence_libraries
with silence_libraries(), pause_collector():
    import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion
marks.append(used())
from sdlab.models.pipeline import load
from sdlab.models.resolve import native
load(native("tiny-v1"))
marks.append(used())
run(Request(prompt="a red circle", num_inference_steps=4), tempfile.mkdtemp(), progress=False)
marks.append(used())
names = "sdlab", "the libraries", "the model", "the first batch"
print(*(f"{name} {b - a:.2f} s" for name, a, b in zip(names, marks, marks[1:])), sep=", ", end=" of processor; ")
"""


def timed(work):
    """Seconds that work() takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def plain_loop(folder, cells):
    """One pipe(...) for each cell, as diffusers' documentation does it; loading not counted."""
    from diffusers import StableDiffusionPipeline

    with sdlab.models.quiet.silence_libraries():
        pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)

    def loop(cells):
        for c in cells:
            pipe(
                c.prompt,
                guidance_scale=c.guidance_scale,
                num_inference_steps=c.num_inference_steps or 20,
                height=c.height,
                width=c.width,
                generator=torch.Generator().manual_seed(c.seed),
            ).images[0].save(Path(tempfile.mkdtemp()) / "x.png")

    loop(cells[:1])
    return timed(lambda: loop(cells))


def through_run(cells):
    """The same cells through `run` into an empty store, the model being loaded; and the share of UNet and VAE in it."""
    run(cells[0].but(seed=99), tempfile.mkdtemp(), progress=False)
    (loaded,) = sdlab.models.pipeline._loaded.values()
    inside, begun = [0.0], {}
    hooks = []
    for part in (loaded.pipe.unet, loaded.pipe.vae.decoder):
        hooks.append(
            part.register_forward_pre_hook(
                lambda *_: begun.__setitem__(threading.get_ident(), time.perf_counter())
            )
        )
        hooks.append(
            part.register_forward_hook(
                lambda *_: inside.__setitem__(
                    0, inside[0] + time.perf_counter() - begun[threading.get_ident()]
                )
            )
        )
    seconds = timed(lambda: run(cells, tempfile.mkdtemp(), progress=False))
    for hook in hooks:
        hook.remove()
    return seconds, inside[0] / seconds / loaded.lanes, loaded


def compare(title, folder, cells):
    mine, share, loaded = through_run(cells)
    sdlab.models.pipeline.unload()
    plain = plain_loop(folder, cells)
    print(
        f"{title}, {len(cells)} cells ({loaded.dtype}, {loaded.lanes} lanes of {loaded.threads} threads)"
    )
    print(f"  plain loop over pipe(...)   {len(cells) / plain:8.3f} cells/s   ({plain:.1f} s)")
    print(
        f"  run                         {len(cells) / mine:8.3f} cells/s   ({mine:.1f} s)   {plain / mine:.2f} times as fast"
    )
    print(f"  of run's time, {share:.1%} is spent in forwards of UNet and VAE", flush=True)


def write_real_size(folder, half=False):
    """Stable Diffusion v1's own sizes with random weights, in float32 or float16, and the embedded model's tokenizer."""
    from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    for kind in (torch.nn.Linear, torch.nn.Conv2d):
        kind.reset_parameters = lambda self: None  # slow, and overwritten below
    with sdlab.models.quiet.silence_libraries():
        tiny = StableDiffusionPipeline.from_pretrained(MODELS["tiny-v1"].path)
        parts = dict(
            unet=UNet2DConditionModel(
                sample_size=64,
                in_channels=4,
                out_channels=4,
                layers_per_block=2,
                block_out_channels=(320, 640, 1280, 1280),
                cross_attention_dim=768,
                attention_head_dim=8,
                down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
                up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
            ),
            vae=AutoencoderKL(
                latent_channels=4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                sample_size=512,
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=49408,
                    hidden_size=768,
                    intermediate_size=3072,
                    num_hidden_layers=12,
                    num_attention_heads=12,
                    bos_token_id=tiny.tokenizer.bos_token_id,
                    eos_token_id=tiny.tokenizer.eos_token_id,
                    projection_dim=768,
                )
            ),
        )
        torch.manual_seed(0)
        for part in parts.values():
            for parameter in part.parameters():
                torch.nn.init.normal_(
                    parameter.data, 0, 0.02
                ) if parameter.ndim > 1 else torch.nn.init.zeros_(parameter.data)
            for module in part.modules():
                if isinstance(module, (torch.nn.GroupNorm, torch.nn.LayerNorm)):
                    torch.nn.init.ones_(module.weight)
        for part in parts.values():
            part.to(torch.float16 if half else torch.float32)
        StableDiffusionPipeline(
            **{**tiny.components, **parts}, requires_safety_checker=False
        ).save_pretrained(folder)
    # transformers 5 saves one file, which programs with an older one do not read
    shutil.copytree(MODELS["tiny-v1"].path / "tokenizer", f"{folder}/tokenizer", dirs_exist_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--without-real-size", action="store_true")
    arguments = parser.parse_args()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"half precision here: {sdlab.models.machine.dtype_here('cpu')}"
    )
    for name in ("the first picture from a cold start of Python", "the same once more"):
        print(
            f"{name}: {timed(lambda: subprocess.run([sys.executable, '-c', COLD], check=True)):.1f} s",
            flush=True,
        )
    cold = timed(lambda: run(EMBEDDED, tempfile.mkdtemp(), progress=False))
    print(f"64 cells of the embedded model, libraries and model not loaded before: {cold:.1f} s")
    compare("embedded model, 64x64, 20 steps", native("tiny-v1").model.path, EMBEDDED)
    if not arguments.without_real_size:
        with tempfile.TemporaryDirectory() as folder:
            write_real_size(folder)
            compare(
                "random weights of v1's size, 256x256, 4 steps",
                folder,
                sweep(
                    Request(
                        model=folder,
                        num_inference_steps=4,
                        height=256,
                        width=256,
                        prompt="a {cat|dog}",
                    ),
                    guidance_scale=[3, 7.5],
                    seed=[0, 1],
                ),
            )


if __name__ == "__main__":
    main()

"""Trains an embedded model from nothing: ``python -m training.train --model tiny-v1``.

The stages of each model stand in `recipes.py`. The trainings stop by the clock, so a slower machine
gives a worse model, not a longer wait. With ``--resume`` a stage that was cut off goes on from its
last checkpoint, and a finished one is not run again. The first model takes two hours on two CPU
cores; where torch finds a CUDA device the same program uses that.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

TRAININGS = {  # stage: (minutes, samples a rank and step, learning rate or that of the recipe)
    "autoencoder": (9, 4, 0.0015),
    "text": (8, 96, 0.001),
    "denoiser": (100, 24, None),
    "decoder": (8, 4, 0.001),
    "estimator": (8, 16, 0.0005),
}


def run_stage(stage: str, options: argparse.Namespace) -> None:
    """Run one stage on all ranks and wait for it."""
    from training.parallel import launch  # loads torch, which `--help` should not
    from training.recipes import RECIPES

    workdir, recipe = options.workdir, RECIPES[options.model]
    if stage == "tokenizer":
        from training.tokenizer import save_tokenizer

        save_tokenizer(workdir / "parts" / "tokenizer", recipe.world, recipe.pad)
    elif stage == "encode":
        from training.encoded import encode_pictures

        launch(encode_pictures, workdir, recipe, options.pictures, options.seed)
    elif stage == "export":
        from training.export import export

        print(f"{options.target}: {export(workdir / 'parts', options.target, recipe):.2f} MB")
    else:
        from training.train_autoencoder import train_autoencoder
        from training.train_denoiser import train_denoiser
        from training.train_estimator import train_estimator
        from training.train_text import train_text

        work = dict(
            autoencoder=train_autoencoder,
            decoder=train_autoencoder,
            text=train_text,
            denoiser=train_denoiser,
            estimator=train_estimator,
        )[stage]
        minutes, batch, rate = TRAININGS[stage]
        minutes, batch = (
            getattr(options, f"{stage}_minutes") or minutes,
            getattr(options, f"{stage}_batch") or batch,
        )
        decoder_only = [True] if stage == "decoder" else []
        launch(
            work,
            workdir,
            recipe,
            minutes,
            batch,
            rate or recipe.rate,
            options.seed,
            options.resume,
            *decoder_only,
        )


def prepare(options: argparse.Namespace) -> None:
    """Lay the parts that the model takes over into the working folder."""
    from training.recipes import RECIPES

    recipe, parts = RECIPES[options.model], options.workdir / "parts"
    parts.mkdir(parents=True, exist_ok=True)
    for name in () if recipe.own_text else ("tokenizer", "text_encoder"):
        if not (parts / name).exists():
            shutil.copytree(recipe.part(name), parts / name)
    if recipe.start and not (parts / "vae").exists():
        from diffusers import AutoencoderKL

        from training.autoencoder import change_scaling_factor

        vae = change_scaling_factor(
            AutoencoderKL.from_pretrained(recipe.part("vae")), recipe.scaling_factor
        )
        vae.save_pretrained(parts / "vae")


def list_finished(workdir: Path) -> list[str]:
    """The stages that an earlier run brought to their end."""
    path = workdir / "finished.json"
    return json.loads(path.read_text()) if path.exists() else []


def train(options: argparse.Namespace) -> None:
    """Run the chosen stages, noting each one's end in `workdir`/finished.json."""
    from training.recipes import RECIPES

    prepare(options)
    for stage in [options.stage] if options.stage else RECIPES[options.model].stages:
        done = list_finished(options.workdir) if options.resume else []
        if stage in done and stage != "export":
            print(f"{stage}: done before", flush=True)
            continue
        start = time.monotonic()
        run_stage(stage, options)
        done = [*dict.fromkeys([*list_finished(options.workdir), stage])]
        (options.workdir / "finished.json").write_text(json.dumps(done))
        print(f"{stage}: {time.monotonic() - start:.0f} s", flush=True)


def make_parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--model", default="tiny-v1", help="a name in recipes.py (%(default)s)")
    out.add_argument("--workdir", type=Path, help="checkpoints and parts (build/MODEL)")
    out.add_argument("--target", type=Path, help="the finished model (WORKDIR/model)")
    out.add_argument("--stage", help="run this stage only")
    for stage, (minutes, batch, _) in TRAININGS.items():
        out.add_argument(f"--{stage}-minutes", type=float, help=f"({minutes})")
        out.add_argument(f"--{stage}-batch", type=int, help=f"samples a rank and step ({batch})")
    out.add_argument(
        "--pictures",
        type=int,
        default=120_000,
        help="encoded pictures for the denoiser (%(default)s)",
    )
    out.add_argument("--seed", type=int, default=0)
    out.add_argument("--resume", action="store_true", help="go on from the checkpoints in WORKDIR")
    return out


def main(arguments: list[str] | None = None) -> None:
    options = make_parser().parse_args(arguments)
    options.workdir = options.workdir or Path("build") / options.model
    options.target = options.target or options.workdir / "model"
    train(options)


if __name__ == "__main__":
    main()

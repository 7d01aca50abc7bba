"""Trains the embedded model from nothing: ``python -m sdlab.embedded.train``.

The stages, in order: `tokenizer`, `autoencoder`, `encode`, `denoiser`, `decoder`, `export`. The trainings stop by the
clock, so a slower machine gives a worse model, not a longer wait. With ``--resume`` a stage that was cut off goes on
from its last checkpoint, and a finished one is not run again. It takes two hours on two CPU cores; where torch finds a
CUDA device the same program uses that.
"""
import argparse
import json
import time
from pathlib import Path

STAGES = ("tokenizer", "autoencoder", "encode", "denoiser", "decoder", "export")


def run_stage(stage: str, options: argparse.Namespace) -> None:
    """Run one stage on all ranks and wait for it."""
    from .parallel import launch  # loads torch, which `--help` should not

    workdir = options.workdir
    if stage == "tokenizer":
        from .tokenizer import save_tokenizer
        save_tokenizer(workdir / "parts" / "tokenizer")
    elif stage == "autoencoder":
        from .train_autoencoder import train_autoencoder
        launch(train_autoencoder, workdir, options.autoencoder_minutes, options.autoencoder_batch, .0015, options.seed,
               options.resume)
    elif stage == "decoder":
        from .train_autoencoder import train_autoencoder
        launch(train_autoencoder, workdir, options.decoder_minutes, options.autoencoder_batch, .001, options.seed,
               options.resume, True)
    elif stage == "encode":
        from .train_denoiser import encode_pictures
        launch(encode_pictures, workdir, options.pictures, options.seed)
    elif stage == "denoiser":
        from .train_denoiser import train_denoiser
        launch(train_denoiser, workdir, options.minutes, options.batch, .0012, options.seed, options.resume)
    else:
        from .export import export
        print(f"{options.target}: {export(workdir / 'parts', options.target):.2f} MB")


def finished(workdir: Path) -> list[str]:
    """The stages that an earlier run brought to their end."""
    path = workdir / "finished.json"
    return json.loads(path.read_text()) if path.exists() else []


def train(options: argparse.Namespace) -> None:
    """Run the chosen stages, noting each one's end in `workdir`/finished.json."""
    options.workdir.mkdir(parents=True, exist_ok=True)
    for stage in [options.stage] if options.stage else STAGES:
        done = finished(options.workdir) if options.resume else []
        if stage in done and stage != "export":
            print(f"{stage}: done before", flush=True)
            continue
        start = time.monotonic()
        run_stage(stage, options)
        done = [*dict.fromkeys([*finished(options.workdir), stage])]
        (options.workdir / "finished.json").write_text(json.dumps(done))
        print(f"{stage}: {time.monotonic() - start:.0f} s", flush=True)


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--workdir", type=Path, default=Path("build/tiny-v1"), help="checkpoints and parts (%(default)s)")
    out.add_argument("--target", type=Path, help="the finished model (WORKDIR/model)")
    out.add_argument("--stage", choices=STAGES, help="run this stage only")
    out.add_argument("--minutes", type=float, default=100, help="time for the denoiser (%(default)s)")
    out.add_argument("--autoencoder-minutes", type=float, default=9, help="(%(default)s)")
    out.add_argument("--decoder-minutes", type=float, default=8, help="for the decoder alone, at the end (%(default)s)")
    out.add_argument("--batch", type=int, default=24, help="samples a rank and step of the denoiser (%(default)s)")
    out.add_argument("--autoencoder-batch", type=int, default=4, help="pictures a rank and step (%(default)s)")
    out.add_argument("--pictures", type=int, default=120_000, help="encoded pictures for the denoiser (%(default)s)")
    out.add_argument("--seed", type=int, default=0)
    out.add_argument("--resume", action="store_true", help="go on from the checkpoints in WORKDIR")
    return out


def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    options.target = options.target or options.workdir / "model"
    train(options)


if __name__ == "__main__":
    main()

"""Makes the weights of the block scores: ``python -m training.train_watermark FOLDER``.

Pictures of the folder are marked with random bits, changed as pictures are changed on the way
(compressed, blurred, resized, ...), and a small network learns to make the scores of a picture's
blocks correlate with its bits. Nothing about a real payload can be learned, because each block has
a bit of its own. A sixth of the sources is set aside to validate.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import time
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from sdlab.results.changes import blur, round_levels, save_lossy
from sdlab.watermark.dwtdct import embed_watermark
from sdlab.watermark.payloads import Payload
from sdlab.watermark.scores import (
    BOUND,
    N_FEATURES,
    WEIGHTS,
    WINDOW,
    average_cells,
    compute_features,
    make_planes,
)

TILE = 512  # pixels
HIDDEN = (48, 16)
BATCH = 8  # pictures
Example = tuple[
    np.ndarray, np.ndarray, str
]  # features (features, blocks) in float16, bits (blocks,), the change


# Changes


def resize_and_back(image: np.ndarray, factor: float, filters: tuple[int, int]) -> np.ndarray:
    """Reduced or enlarged, and brought back to its size."""
    size = image.shape[1], image.shape[0]
    small = Image.fromarray(image).resize(
        [max(8, round(side * factor)) for side in size], filters[0]
    )
    return np.asarray(small.resize(size, filters[1]))


def save_again(
    image: np.ndarray, form: str, subsampling: str, rng: np.random.Generator
) -> np.ndarray:
    """Through a lossy format, now and then as part of a picture with another origin."""
    quality = rng.integers(60, 96) if form == "WebP" else rng.integers(40, 99)
    top, left = rng.integers(16, size=2) * (rng.random() < 0.3)
    options = {} if form == "WebP" else {"subsampling": subsampling}
    image = image.copy()
    image[top:, left:] = save_lossy(image[top:, left:], quality, form, **options)
    return image


def change_picture(image: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A random change of one kind; of several kinds, "blur+JPEG", one after the other."""
    for one in kind.split("+"):
        if one in ("JPEG", "JPEG 4:4:4", "WebP"):
            image = save_again(image, one.split()[0], "4:4:4" if "4:4:4" in one else "4:2:0", rng)
        elif one == "blur":
            image = blur(image, rng.uniform(0.4, 1.4))
        elif one == "noise":
            image = round_levels(
                image + rng.uniform(1, 12) * rng.standard_normal(image.shape, np.float32)
            )
        elif one == "light":
            image = round_levels(
                (image - np.float32(128)) * rng.uniform(0.8, 1.2) + 128 + rng.uniform(-25, 25)
            )
        elif one == "size":
            image = resize_and_back(
                image, rng.choice([0.5, rng.uniform(0.5, 2)]), tuple(rng.integers(1, 4, size=2))
            )
    return image


CHANGES = {  # kind: how often
    "none": 8,
    "JPEG": 30,
    "JPEG 4:4:4": 7,
    "WebP": 16,
    "blur": 6,
    "noise": 5,
    "light": 3,
    "size": 6,
    "JPEG+JPEG": 5,
    "blur+noise": 4,
    "blur+JPEG": 4,
    "light+JPEG": 2,
    "size+JPEG": 2,
    "noise+WebP": 2,
}


# Examples


def read_content(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Read TILE x TILE pixels, turned, mirrored, coloured at random, some flat or overexposed."""
    image = Image.open(path).convert("RGB")
    scale = max(rng.choice([1, 1, rng.uniform(0.5, 1)]), TILE / min(image.size))
    image = image.resize(
        [max(TILE, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS
    )
    left, top = (rng.integers(side - TILE + 1) for side in image.size)
    pixels = np.asarray(image, np.float32)[top : top + TILE, left : left + TILE]
    pixels = np.rot90(pixels, rng.integers(4))[:, :: rng.choice([1, -1])]
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.7, 1.3, 3) + rng.uniform(-30, 30)
    if rng.random() < 0.1:
        grey = pixels.mean(-1, keepdims=True)
        pixels = grey + (pixels - grey) * rng.uniform(0, 2)
    return round_levels(pixels)


def make_example(
    seed: int, paths: list[Path], kind: str | None = None, arithmetic: str | None = None
) -> Example:
    """Features and bits of one picture, marked and changed."""
    rng = np.random.default_rng(seed)
    kinds, weights = list(CHANGES), np.array(list(CHANGES.values()), float)
    kind = kind or str(rng.choice(kinds, p=weights / weights.sum()))
    arithmetic = arithmetic or str(rng.choice(["uint8", "float32"]))
    bits = rng.integers(2, size=(TILE // 8) ** 2, dtype=np.uint8)
    image = read_content(paths[rng.integers(len(paths))], rng)
    marked = embed_watermark(image, Payload("random", bits, arithmetic, cut=bool(rng.integers(2))))
    planes = make_planes(change_picture(marked, kind, rng), arithmetic)
    features = compute_features(average_cells(planes), arithmetic)
    return features.astype(np.float16), bits, f"{kind}, {arithmetic}"


def make_examples(paths: list[Path], seeds: Iterable[int]) -> Iterator[Example]:
    """One example a seed, made by two processes."""
    with multiprocessing.Pool(2) as pool:
        yield from pool.imap(partial(make_example, paths=paths), seeds, chunksize=4)


def split_sources(folder: Path) -> tuple[list[Path], list[Path]]:
    """Split pictures to train and to validate; a source's tiles (``SOURCE_TILE``) stay together."""
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")
    )
    aside = [zlib.crc32(path.stem.rsplit("_", 1)[0].encode()) % 6 == 0 for path in paths]
    return [p for p, a in zip(paths, aside) if not a], [p for p, a in zip(paths, aside) if a]


def gather_examples(
    paths: list[Path], seeds: range, label: str
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Gather features (n, features, blocks) in float16, bits (n, blocks), and changes."""
    features = np.empty((len(seeds), N_FEATURES, (TILE // 8) ** 2), np.float16)
    bits, changes, start = np.empty((len(seeds), features.shape[2]), np.uint8), [], time.monotonic()
    for i, (features[i], bits[i], kind) in enumerate(make_examples(paths, seeds)):
        changes.append(kind)
        if (i + 1) % 200 == 0:
            print(
                f"{label}: {i + 1} of {len(seeds)} pictures, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return features, bits, changes


# Learning


def make_network(hidden: tuple[int, ...]):
    """Make the network that `scores.run_network` evaluates, in torch.

    It takes (pictures, blocks, features).
    """
    import torch

    sizes = (N_FEATURES, *hidden, 1)
    layers = [
        layer
        for pair in itertools.pairwise(sizes)
        for layer in (torch.nn.Linear(*pair), torch.nn.ReLU())
    ]
    return torch.nn.Sequential(*layers[:-1])


def compute_correlation(network, features: np.ndarray, bits: np.ndarray):
    """Correlate scores and bits of each picture, the local mean taken off, (pictures,)."""
    import torch
    from torch.nn.functional import avg_pool2d, pad

    inputs, side = torch.from_numpy(features).float().transpose(1, 2), TILE // 8
    scores = (BOUND * torch.tanh(network(inputs)[..., 0] / BOUND)).reshape(-1, 1, side, side)
    margin = [WINDOW // 2] * 4
    scores = (scores - avg_pool2d(pad(scores, margin, mode="reflect"), WINDOW, 1)).flatten(1)
    bits = torch.from_numpy(bits).float() - 0.5
    scores, bits = scores - scores.mean(1, keepdim=True), bits - bits.mean(1, keepdim=True)
    return (scores * bits).sum(1) / ((scores**2).sum(1) * (bits**2).sum(1) + 1e-9).sqrt()


def compute_loss(r):
    """Take minus the log of the correlations: a hard picture counts as much as an easy one."""
    import torch

    return -torch.log(0.05 + torch.nn.functional.softplus(r * 100) / 100).mean()


def fit_network(
    network, features: np.ndarray, bits: np.ndarray, epochs: int, seed: int
) -> Iterator[tuple[int, float]]:
    """Train in place; after each epoch give its number and its mean loss."""
    import torch

    random, per_epoch = np.random.default_rng(seed), len(features) // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=epochs * per_epoch, pct_start=0.1
    )
    for epoch in range(epochs):
        total = 0.0
        for batch in np.sort(
            random.permutation(len(features))[: per_epoch * BATCH].reshape(-1, BATCH)
        ):
            loss = compute_loss(compute_correlation(network, features[batch], bits[batch]))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += loss.item()
        yield epoch + 1, total / per_epoch


def validate(
    network, features: np.ndarray, bits: np.ndarray, changes: list[str]
) -> dict[str, tuple[int, float]]:
    """Number of pictures and mean correlation of each change, and of all."""
    import torch

    with torch.no_grad():
        r = np.concatenate(
            [
                compute_correlation(network, features[i : i + 1], bits[i : i + 1]).numpy()
                for i in range(len(bits))
            ]
        )
    kinds = {
        kind: np.array([kind in (change, "all") for change in changes])
        for kind in ("all", *sorted(set(changes)))
    }
    return {kind: (int(chosen.sum()), float(r[chosen].mean())) for kind, chosen in kinds.items()}


def save_weights(network, path: Path, made: str) -> None:
    """Write the layers and how they were made; no reader needs pickle."""
    layers = [layer for layer in network if hasattr(layer, "weight")]
    arrays = {f"matrix{i}": layer.weight.detach().numpy() for i, layer in enumerate(layers)}
    arrays |= {f"offset{i}": layer.bias.detach().numpy() for i, layer in enumerate(layers)}
    np.savez(path, made=np.array(made), **arrays)


def main() -> None:
    """Train on a folder of pictures and write the weights after each epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, help="pictures; tiles of one source are named SOURCE_TILE.png"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument(
        "--examples", type=int, default=2400, help="marked and changed pictures to learn from"
    )
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    import torch  # which `--help` should not load

    torch.manual_seed(given.seed)
    learn, check = split_sources(given.folder)
    first = given.seed * 10**6
    aside = gather_examples(
        check, range(first + 500_000, first + 500_000 + given.examples // 8), "to validate"
    )
    features, bits, _ = gather_examples(learn, range(first, first + given.examples), "to learn")
    network, start = make_network(HIDDEN), time.monotonic()
    for epoch, loss in fit_network(network, features, bits, given.epochs, given.seed):
        _, r = validate(network, *aside)["all"]
        print(
            f"epoch {epoch}: loss {loss:.4f}, validation correlation {r:.4f},"
            f" {time.monotonic() - start:.0f} s",
            flush=True,
        )
        save_weights(
            network,
            given.out,
            f"{len(learn)} pictures of {given.folder.name}, {given.examples} examples, seed "
            f"{given.seed}, epoch {epoch} of {given.epochs}; validation correlation {r:.4f}",
        )
    for kind, (count, r) in validate(network, *aside).items():
        print(f"{kind:24s} {count:4d} pictures, correlation {r:.3f}")


if __name__ == "__main__":
    main()

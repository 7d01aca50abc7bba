"""How well marks are found, how often what is none is called one, and what that costs, beside the package's own decoder.

    python tests/benchmarks/pictures.py build/pictures      # once: fetches the pictures, which are not shipped
    python tests/benchmarks/watermarks.py build/pictures [detection] [second_hand] [oracle] [calibration] [verdicts] [texts] [searches] [speed] [--few]

Detection is measured on the folder `bench`, which the scores were not made with; calibration on `null`, none of whose
pictures is in `tune`. The files' names begin with their source's number; intervals of false positives draw whole sources
anew, since tiles of one picture are alike. `--few` takes a tenth of everything, to see that it runs.
"""

import argparse
import math
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one process a core instead

import numpy as np
import pandas as pd
from PIL import Image

from sdlab import robustness
from sdlab.results.attacks import ATTACKS
from sdlab.results.stats import share_interval
from sdlab.watermark import PAYLOADS, detect_watermark, embed_watermark
from sdlab.watermark.chances import Cuts, weigh_sizes
from sdlab.watermark.detector import UNKNOWN, name_payloads, read_official
from sdlab.watermark.opening import read_pixels
from sdlab.watermark.payloads import EVERYDAY, Payload, Way
from sdlab.watermark.places import Blocks
from sdlab.watermark.reading import weigh_halves
from sdlab.watermark.scores import (
    average_cells,
    make_planes,
    score_way,
    stack_coefficients,
    subtract_local_mean,
)
from sdlab.watermark.search import list_all_ways, make_plane_images, score_resized, score_shifts
from sdlab.watermark.statistics import Folds, fold_grids, is_text, whiten_payload

CHANGES = [
    "none",
    "mirrored",
    "crop px 1",
    "crop px 10",
    "crop % 10",
    "resize 0.5",
    "resize 0.9",
    "resize 1.1",
    "resize 2",
    "JPEG 95",
    "JPEG 90",
    "JPEG 75",
    "JPEG 50",
    "JPEG 4:4:4 95",
    "WebP 90",
    "WebP 80",
    "blur 1",
    "noise 10",
    "brightness 1.1",
    "crop 10 px + JPEG 90",
    "screenshot",
]
SECOND_HAND = [
    "messenger",
    "screenshot",
    "page",
    "turned 90",
    "inverted",
    "second-hand",
    "thumbnail",
    "JPEG twice 75",
    "GIF 256",
]
NOMINAL = (-3, -4, -5, -6)
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
KEYS = {
    "sd-v1": 100,
    "sd-v1-inpainting": 20,
    "sd-v2": 1000,
    "invokeai": 500,
    "sdxl": 1000,
    "flux-1": 200,
}  # in searches, which take payloads of the same length alike
# a user's own four letters, as SD.Next hides them: no known payload, and another method
LETTERS_OF_ONES_OWN = Payload("svd", [0, 1, 1, 0] * 8, text="????", order="RGB", method="dwtDctSvd")
TESTED = {**PAYLOADS, "svd": LETTERS_OF_ONES_OWN}
TILES = 1000  # in searches, about
WIDTHS = (
    512,
    456,
)  # of the tiles in the calibration: 64 blocks a row, and 57, which has no factor in common with any length


def pictures(folder, few):
    found = sorted(folder.glob("*.png"))
    return found[::10] if few else found


def source(path):
    return path.name.split("_")[0]


def spread(work, items, *given):
    """work(item, *given) for all items on all cores, with a word on how far it is."""
    begun, results = time.perf_counter(), []
    with ProcessPoolExecutor() as pool:
        for result in pool.map(
            work, items, *([value] * len(items) for value in given), chunksize=4
        ):
            results.append(result)
            if len(results) % 50 == 0 and sys.stdout.isatty():
                left = (time.perf_counter() - begun) * (len(items) / len(results) - 1)
                print(
                    f"  {len(results)} of {len(items)}, {left / 60:.0f} min left",
                    end="\r",
                    flush=True,
                )
    return results


def rate_of(name, rate=1e-6):
    """A payload's share of the rate: beside the everyday ones and texts that nobody knows, or beside all for a rare one."""
    beside = EVERYDAY if name in EVERYDAY else PAYLOADS
    total = sum(payload.weight for payload in beside.values()) + UNKNOWN
    return rate * PAYLOADS[name].weight / total


# Detection


def found_after(path, kinds):
    """Rows: payload, change, found at 1e-6 among all that is looked for (1e-8 after a search), read exactly by the package."""
    from imwatermark import WatermarkDecoder

    image, rows = read_pixels(path), []
    for name, payload in PAYLOADS.items():
        marked = embed_watermark(image, payload)
        for change in kinds if payload.everyday else kinds[:1]:
            changed = ATTACKS[change](marked, seed=len(rows))
            (finding,) = detect_watermark(
                changed, name, search=ATTACKS[change].search, false_positive_rate=rate_of(name)
            ).findings
            bits = WatermarkDecoder("bits", len(payload)).decode(
                np.ascontiguousarray(changed[..., ::-1] if payload.order == "BGR" else changed),
                payload.method,
            )
            rows.append(
                (
                    name,
                    change,
                    finding.detected,
                    bool((np.asarray(bits, bool) == payload.bits).all()),
                )
            )
    return rows


def detection(folder, few):
    paths = list(
        {source(path): path for path in pictures(folder / "bench", few)}.values()
    )  # one of each source
    rows = [row for rows in spread(found_after, paths, CHANGES) for row in rows]
    frame = pd.DataFrame(rows, columns=["payload", "change", "found", "exact"])
    print(
        f"\nDetection: {len(paths)} pictures, marked, changed, searched as the change calls for; share found / read exactly by "
        "the package's decoder"
    )
    shares = (
        frame.groupby(["change", "payload"], sort=False)[["found", "exact"]]
        .mean()
        .map("{:.2f}".format)
        .agg("/".join, axis=1)
    )
    print(shares.unstack().loc[CHANGES, list(PAYLOADS)].to_string())
    least = share_interval(len(paths), len(paths))[0]
    print(f"95 % interval of 1.00: {least:.3f} to 1")


# Second-hand pictures


def found_second_hand(path):
    """The frame of `robustness` for one picture, with the share of the rate that the payload has among all."""
    return robustness(
        path,
        "sd-v1",
        SECOND_HAND,
        search="all",
        false_positive_rate=rate_of("sd-v1"),
        progress=False,
    )


def second_hand(folder, few):
    paths = list({source(path): path for path in pictures(folder / "bench", few)}.values())[:20]
    frame = pd.concat(spread(found_second_hand, paths))
    print(
        f"\nSecond-hand: {len(paths)} pictures marked with StableDiffusionV1, search='all'; found of them, at 1e-6 among all that "
        "is looked for (1e-8 for a searched place)"
    )
    table = frame.groupby("attack", sort=False).agg({"detected": "sum", "log10_p": "median"})
    print(table.round(1).to_string())


# What a detector could find that knows the unmarked picture


def pad_back(down, along):
    """Put a picture back that lost so many pixels at the top and at the left."""
    return lambda image: np.pad(image, ((down, 8), (along, 8), (0, 0)), "edge")[:512, :512]


LOSSES = {  # change, and how to put the blocks back where they were
    "JPEG 75": (ATTACKS["JPEG 75"], [lambda image: image]),
    "thumbnail": (
        ATTACKS["thumbnail"],
        [
            lambda image: np.asarray(
                Image.fromarray(image).resize((512, 512), Image.Resampling.LANCZOS)
            )
        ],
    ),
    # a pixel beside, too, where the colour of the second JPEG lies, at half the resolution
    "JPEG twice 75": (
        ATTACKS["JPEG twice 75"],
        [pad_back(down, along) for down in (2, 3, 4) for along in (2, 3, 4)],
    ),
}


def cells_of(image, arithmetic):
    return stack_coefficients(average_cells(make_planes(image, arithmetic))[1])


def weigh_by_oracle(payload, marked, image, wanted):
    """log10 p of a matched filter on what the mark changed, in blocks that are where they were."""
    left = cells_of(marked, payload.arithmetic) - cells_of(image, payload.arithmetic)
    scores = (left * wanted).sum(0) / np.sqrt((wanted**2).sum(0) + 1)
    scores /= 1.5 * np.median(np.abs(scores)) + 1e-6  # JPEG leaves many blocks as they were
    grid = subtract_local_mean(np.clip(scores, -4, 4).astype(np.float32))
    return Blocks(grid, grid.shape[1], 0).weigh(payload)


def oracle_after(path):
    """Rows: payload, change, log10 p of the oracle and of the detector, each told the place (the best of several near it)."""
    image, rows = read_pixels(path), []
    for name in ("sd-v1", "sd-v2", "sdxl"):
        payload = PAYLOADS[name]
        a, marked = payload.arithmetic, embed_watermark(image, payload)
        ones, zeros = (
            cells_of(embed_watermark(image, Payload("all", [bit] * 4096, a, cut=payload.cut)), a)
            for bit in (1, 0)
        )
        wanted = ones - zeros
        for change, (lose, places) in LOSSES.items():
            after, without = lose(marked), lose(image)
            there = [(put_back(after), put_back(without)) for put_back in places]
            known = min(weigh_by_oracle(payload, *both, wanted) for both in there)
            grids = [score_way(one, payload.way) for one, _ in there]
            told = min(Blocks(grid, grid.shape[1], 0).weigh(payload) for grid in grids)
            rows.append((name, change, known, told))
    return rows


def oracle(folder, few):
    paths = list({source(path): path for path in pictures(folder / "bench", few)}.values())
    rows = [row for rows in spread(oracle_after, paths) for row in rows]
    frame = pd.DataFrame(rows, columns=["payload", "change", "oracle", "detector"])
    found = (frame.set_index(["change", "payload"]) < -6).groupby(["change", "payload"], sort=False)
    print(
        f"\nOracle: {len(paths)} pictures; share in which a matched filter that knows the unmarked picture and the place finds "
        "the mark at 1e-6, beside that of the detector where it is told the place (the best of nine for the JPEG saved twice, "
        "which flatters both)"
    )
    print(found.mean().unstack().round(2).to_string())


# False positives of the plain detector


def grids_of(path, width):
    image = read_pixels(path)[:, :width]
    return [score_way(image, way).astype(np.float32) for way in list_all_ways(TESTED)]


def random_keys(payload, count, seed):
    """Keys of a payload's shape, (count, n_bits): random letters for a text, random bits for others."""
    random = np.random.default_rng(seed)
    if is_text(payload):
        return np.unpackbits(random.choice(LETTERS, (count, len(payload) // 8)), axis=1)
    return random.integers(0, 2, (count, len(payload)), np.uint8)


def one_of_each_kind(payloads):
    """The first payload of each length and way: with random keys the others are the same."""
    kinds = {}
    for name, payload in payloads.items():
        kinds.setdefault((len(payload), is_text(payload), payload.way), name)
    return {name: payloads[name] for name in kinds.values()}


def tails(grids, payload, keys):
    """log10 p of every key in every grid, (grids, keys)."""
    folds = fold_grids(grids, len(payload), (grids.shape[2] % len(payload),), is_text(payload))
    wanted = whiten_payload(keys, folds.points)[:, 0]
    agreement = ((folds.spectra[:, 0] * folds.points.weight) @ wanted.conj().T).real
    return folds.compute_log10_p(agreement[:, None])[:, 0]


def interval(hits, trials, sources):
    """95 % of the rate, by drawing sources anew 500 times; the upper end is at least that of a Poisson count."""
    table = (
        pd.DataFrame({"source": sources, "hits": hits, "trials": trials})
        .groupby("source")
        .sum()
        .to_numpy()
    )
    draws = np.random.default_rng(0).integers(len(table), size=(500, len(table)))
    rates = table[draws, 0].sum(1) / table[draws, 1].sum(1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return low, max(high, 3.0 / sum(trials) if not sum(hits) else 0)


def calibration(folder, few, keys=1000):
    paths = pictures(folder / "null", few)
    sources = [source(path) for path in paths]
    print(
        f"\nFalse positives: {len(paths)} unmarked tiles of {len(set(sources))} pictures, {keys:,} random keys each; rate in "
        "units of the nominal one (95 % interval), which should be at most 2"
    )
    for width in WIDTHS:
        both = spread(grids_of, paths, width)
        stacks = {
            way: np.stack([grids[i] for grids in both])
            for i, way in enumerate(list_all_ways(TESTED))
        }
        for name, payload in one_of_each_kind(TESTED).items():
            hits = np.zeros((len(NOMINAL), len(paths)), int)
            for start in range(0, keys, 100):
                p = tails(stacks[payload.way], payload, random_keys(payload, 100, start))
                hits += [(p < nominal).sum(1) for nominal in NOMINAL]
            cells = []
            for nominal, found in zip(NOMINAL, hits):
                low, high = interval(found, [keys] * len(paths), sources)
                cells.append(
                    f"1e{nominal}: {found.sum() / keys / len(paths) / 10**nominal:.2f} "
                    f"({low / 10**nominal:.2f}-{high / 10**nominal:.2f})"
                )
            print(f"  width {width}  {name:17}", "   ".join(cells), flush=True)


# False positives of whole verdicts


def verdicts(folder, few, keys=1000):
    """As `calibration`, but of the least p of all that the default looks for, in all ways and with their shares.

    Each draw puts a random key of the same shape in the place of every everyday payload.
    """
    paths = pictures(folder / "null", few)
    sources = [source(path) for path in paths]
    print(
        f"\nFalse verdicts: {len(paths)} unmarked tiles of {len(set(sources))} pictures, {keys:,} draws of random keys for the "
        f"{len(EVERYDAY)} everyday payloads; rate in units of the nominal one (95 % interval), which should be at most 1 (texts "
        "that nobody knows have the rest of it)"
    )
    for width in WIDTHS:
        both = spread(grids_of, paths, width)
        stacks = {
            way: np.stack([grids[i] for grids in both])
            for i, way in enumerate(list_all_ways(TESTED))
        }
        hits = np.zeros((len(NOMINAL), len(paths)), int)
        for start in range(0, keys, 100):
            least = np.min(
                [
                    tails(stacks[way], payload, drawn) - math.log10(share * rate_of(name, 1))
                    for seed, (name, payload) in enumerate(EVERYDAY.items())
                    for drawn in [random_keys(payload, 100, start * 100 + seed)]
                    for way, share in payload.ways.items()
                ],
                axis=0,
            )
            hits += [(least < nominal).sum(1) for nominal in NOMINAL]
        cells = []
        for nominal, found in zip(NOMINAL, hits):
            low, high = interval(found, [keys] * len(paths), sources)
            cells.append(
                f"1e{nominal}: {found.sum() / keys / len(paths) / 10**nominal:.2f} "
                f"({low / 10**nominal:.2f}-{high / 10**nominal:.2f})"
            )
        print(f"  width {width}  ", "   ".join(cells), flush=True)


# False positives of texts that nobody knows


def halves_of(path):
    """log10 p of what one half spells in the other, for each way and some lengths."""
    image = read_pixels(path)
    blocks = {way: score_way(image, way) for way in list_all_ways(TESTED)}
    return [
        weigh_halves(Blocks(grid, grid.shape[1], 0), n_bits, "text")
        for grid in blocks.values()
        for n_bits in (16, 32, 56, 136)
    ]


def texts(folder, few):
    found = np.array(spread(halves_of, pictures(folder / "null", few)))
    print(
        f"\nTexts that nobody knows: {len(found)} unmarked tiles; rate of what one half spells in the other, in units of the "
        "nominal one, without asking for letters"
    )
    for i, way in enumerate(list_all_ways(TESTED)):
        p = found[:, 4 * i : 4 * i + 4]
        cells = [f"1e{n}: {(p < n).mean() / 10**n:.2f}" for n in (-1, -2, -3)]
        print("  ", *way, "  ", "   ".join(cells), f"  lowest {p.min():.1f}", flush=True)


# False positives of the searches


def searched_minima(path, few):
    """{(payload, search): log10 p of the best place for each random key}, as `detect_watermark` reports it."""
    image, found = read_pixels(path), {}
    height, width = image.shape[:2]
    cuts = Cuts(width, height)
    ways = [Way(arithmetic) for arithmetic in ("uint8", "float32")]
    shifted = {way: score_shifts(make_planes(image, way.arithmetic), way) for way in ways}
    planes = make_plane_images(image)
    sizes = [
        (share, {way: score_resized(planes, size, way) for way in ways})
        for size, share in weigh_sizes(width, height)
    ]
    for name, payload in ((name, PAYLOADS[name]) for name in KEYS):
        count = KEYS[name] // (10 if few else 1)
        keys = random_keys(payload, count, int(source(path)))
        strides = cuts.list_strides(len(payload))
        folds = fold_grids(shifted[payload.way], len(payload), strides, is_text(payload))
        shares = np.log10(cuts.compute_shares(len(payload), strides))
        found[name, "crop"] = [best_of(folds, shares, key) for key in keys]
        each = [
            tails(grids[payload.way][None], payload, keys)[0] - math.log10(share)
            for share, grids in sizes
            if grids[payload.way].size >= len(payload)
        ]
        found[name, "size"] = np.min(each, 0)
    return found


def best_of(folds, shares, key):
    """The least log10 p of a key over offsets, strides and phases; exact where it is below -2."""
    agreement = folds.compute_agreements(key)
    bound = folds.compute_log10_p(agreement.max(-1, keepdims=True))[..., 0] - shares.max(-1)
    best = 0.0
    for i in np.unique(np.nonzero(bound < -2)[0]):
        one = Folds(folds.points, folds.spectra[i], folds.beside[i], folds.prior)
        best = min(best, float((one.compute_log10_p(agreement[i]) - shares[i]).min()))
    return best


def searches(folder, few):
    paths = pictures(folder / "null", few)
    paths = paths[:: max(1, len(paths) // TILES)]
    found = spread(searched_minima, paths, few)
    print(
        f"\nFalse positives of searched places: {len(paths)} unmarked tiles; rate in units of the nominal one, which should be "
        "at most 1, and hits at the threshold of 1e-8"
    )
    for name, search in found[0]:
        p = np.concatenate([each[name, search] for each in found])
        cells = [f"1e{n}: {(p < n).mean() / 10**n:.2f}" for n in (-2, -3, -4, -5, -6)]
        print(
            f"  {search}  {name:17} {len(p):9,} verdicts  ",
            "   ".join(cells),
            f"  below 1e-8: {(p < -8).sum()}",
            flush=True,
        )


# Speed


def timed(work, items):
    begun = time.perf_counter()
    for item in items:
        work(item)
    return time.perf_counter() - begun


def speed(folder, few):
    from imwatermark import WatermarkDecoder

    images, names = pictures(folder / "bench", few), list(PAYLOADS)
    with tempfile.TemporaryDirectory() as place:
        paths = [Path(place) / f"{i}.png" for i in range(100 if few else 1000)]
        for i, path in enumerate(paths):
            Image.fromarray(
                embed_watermark(read_pixels(images[i % len(images)]), names[i % len(names)])
            ).save(path)
        five = name_payloads(names[:5])
        reading = timed(lambda path: np.asarray(Image.open(path).convert("RGB")), paths)
        opened = [read_pixels(path) for path in paths]
        exact = timed(lambda image: read_official(image, five), opened)
        verdict = timed(lambda image: detect_watermark(image, names), opened)
        library = (
            timed(
                lambda image: [
                    WatermarkDecoder("bits", len(PAYLOADS[name])).decode(image[..., ::-1], "dwtDct")
                    for name in names[:5]
                ],
                opened[:100],
            )
            * len(paths)
            / 100
        )
    print(
        f"\nSpeed: {len(paths)} PNG files of 512x512, one process, one thread; in units of reading them ({reading:.1f} s)"
    )
    print(
        f"  exact decoding of five payloads  {exact / reading:5.2f}   ({1000 * exact / len(paths):.1f} ms a picture)"
    )
    print(
        f"  statistical verdict on six       {verdict / reading:5.2f}   ({1000 * verdict / len(paths):.1f} ms)"
    )
    print(
        f"  the package's loop over five     {library / reading:5.2f}   ({1000 * library / len(paths):.1f} ms, from 100 files)"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="part",
        help="detection, second_hand, oracle, calibration, verdicts, texts, searches, speed; all by default",
    )
    parser.add_argument("--few", action="store_true")
    given = parser.parse_args()
    each = (speed, detection, second_hand, oracle, calibration, verdicts, texts, searches)
    parts = {part.__name__: part for part in each}
    for name in given.parts or parts:
        parts[name](given.folder, given.few)


if __name__ == "__main__":
    main()

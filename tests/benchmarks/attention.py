"""Does a noun's attention lie on its object? On an embedded model, whose pictures a matcher can read.

    python tests/benchmarks/attention.py --model tiny-v1 --count 100

Prompts of two things each; for every noun whose object the matcher finds, the share of its map's mass inside the
object's square, over the square's share of the picture: 1 is chance.
"""

import argparse
import random
import tempfile

import numpy as np

from sdlab import Request, inside
from sdlab.tiny.matcher import find_objects
from sdlab.tiny.world import BOTH, WORLDS

LINKS = ("left of", "right of", "above", "below", "and", "next to")


def write_prompt(rng, names):
    one, other = rng.sample(names, 2)
    article = {name: "an" if name[0] in "aeiou" else "a" for name in (one, other)}
    return f"{article[one]} {one} {rng.choice(LINKS)} {article[other]} {other}", (one, other)


def measure_ratio(share, box, size=64):
    """The mean of a map (h, w) inside an object's square over its mean in the whole picture."""
    rows, columns = (np.arange(size) * side // size for side in share.shape)
    large = share[rows][:, columns]
    x, y = (
        slice(max(0, round(at - box.side / 2)), min(size, round(at + box.side / 2)))
        for at in (box.x, box.y)
    )
    return large[y, x].mean() / large.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-v1", choices=WORLDS)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    rng, ratios = random.Random(0), []
    with tempfile.TemporaryDirectory() as store:
        for seed in range(options.count):
            prompt, names = write_prompt(rng, WORLDS[options.model].names)
            request = Request(model=options.model, prompt=prompt, seed=seed)
            seen = inside(request, store, batch_size=1)
            boxes = {each.name: each for each in find_objects(seen.picture, BOTH)}
            maps = {name: seen.attention.find_map(name) for name in names}
            ratios += [measure_ratio(maps[name], boxes[name]) for name in names if name in boxes]
    over, low, high = sum(ratio > 2 for ratio in ratios), *np.quantile(ratios, (0.1, 0.9))
    print(f"{options.model}: {len(ratios)} nouns of {options.count} prompts, {over} above 2;")
    print(f"mass inside over chance: median {np.median(ratios):.2f}, mean {np.mean(ratios):.2f},")
    print(f"one in ten below {low:.2f}, one in ten above {high:.2f}")


if __name__ == "__main__":
    main()

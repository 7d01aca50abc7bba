"""How far the scorer "objects" can be trusted: its answers on true renders, which are right by construction.

    PYTHONPATH=. python tests/benchmarks/scorers.py [--count 400]

The share of right answers is the ceiling of every figure that the scorer gives for a model. Prompts that rule something out
are drawn without it ("absent"), which the scorer should call right, or with it ("there"), which it should call wrong.
"""

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image

from sdlab import measure, stats
from sdlab.tiny.world import V1, V2, add_article
from training.samples import make_sample


def draw_samples(count, world, seed=0):
    """Renders with their captions; two of three pairs without a relation rule their second object out, or another one."""
    rng = random.Random(seed)
    while count:
        drawn = make_sample(rng, train=False, world=world)
        first, *others = [placed.name for placed in drawn.objects]
        kind = rng.choice(("pair", "there", "absent"))
        if drawn.kind == "pair" and not drawn.relation and kind != "pair":
            absent = rng.choice([name for name in world.names if name not in (first, *others)])
            other = others[0] if kind == "there" else absent
            text = f"{add_article(first)} without {add_article(other)}"
            drawn = replace(drawn, caption=text, kind=kind)
        count -= 1
        yield drawn


def score_renders(samples, folder):
    """A row a render: its kind, and what the scorer says."""
    rows = []
    for n, drawn in enumerate(samples):
        Image.fromarray(drawn.image).save(path := Path(folder) / f"{n}.png")
        kind = (drawn.relation and "relation") or drawn.kind
        rows.append({"prompt": drawn.caption, "path": str(path), "kind": kind})
    return measure(pd.DataFrame(rows), "objects", progress=False)


def find_answers(scores):
    """Whether the scorer's answer is the right one, for each question."""
    asks = {"one": "right", "count": "right", "pair": "right", "relation": "relation"}
    asks |= {"there": "avoided", "absent": "avoided"}
    columns = scores["kind"].map(lambda kind: f"objects_{asks[kind]}")
    said = [scores.at[row, column] for row, column in columns.items()]
    truth = scores["kind"] != "there"
    return scores.assign(answer=pd.array(said, "boolean") == truth.astype("boolean"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=400)
    count = parser.parse_args().count
    for name, world in (("tiny-v1", V1), ("tiny-v2", V2)):
        with tempfile.TemporaryDirectory() as folder:
            scores = find_answers(score_renders(draw_samples(count, world), folder))
        print(name, stats.rate(scores, "answer", by="kind").round(3).to_string(), sep="\n")
        drawn = scores[scores["kind"] != "there"]  # of which all is drawn that the caption says
        print(stats.rate(drawn, "objects_drawn", by="kind").round(3).to_string())


if __name__ == "__main__":
    main()

"""A sweep killed at any moment loses no finished cell, leaves no torn file, and goes on to the same pictures."""

import os
import random
import signal
import time

import pytest
from PIL import Image

from sdlab import Request, Store, run, sweep
from sdlab.models.pipeline import unload

CELLS = 60


def cells(model):
    return sweep(
        Request(model=model, prompt="a {cat|dog}", num_inference_steps=2), seed=range(CELLS // 2)
    )


def work(model, root):
    run(cells(model), root, batch_size=4, progress=False)


def pictures(root):
    return list((root / "images").glob("*/*.png"))


def kill_at_random(forks, model, root, chance):
    """Starts the sweep and kills it a random while after its next picture; False if it was done before that."""
    before = len(pictures(root))
    process = forks.Process(target=work, args=(model, root), daemon=True)
    process.start()
    while process.is_alive() and len(pictures(root)) == before:
        time.sleep(0.02)  # looking takes the time of what is looked at
    time.sleep(chance.uniform(0, 0.15))
    killed = process.is_alive()
    os.kill(process.pid, signal.SIGKILL) if killed else None
    process.join()
    return killed


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_sweep_loses_nothing_and_tears_nothing(random_v1, tmp_path, forks, kills):
    unload()
    expected = run(cells(str(random_v1)), tmp_path / "whole", batch_size=4)
    chance, done, moments, round_ = random.Random(kills), 0, set(), 0
    while done < kills:
        root = tmp_path / f"killed-{round_}"
        while kill_at_random(forks, str(random_v1), root, chance):
            done += 1
            found = pictures(root)
            for path in found:
                with Image.open(path) as picture:
                    picture.load()  # raises for a torn file
            assert Store(root).find_finished(expected["key"]) == {
                path.stem for path in found
            }  # all of them, whole
            moments.add(len(found))
        again = run(cells(str(random_v1)), root, batch_size=4)
        assert list(again["pixels"]) == list(expected["pixels"]) and Store(root).check().empty
        assert not [path for path in root.rglob("*") if path.suffix not in {".png", ".sqlite", ""}]
        round_ += 1
    assert len(moments) >= 5  # the moments were different ones

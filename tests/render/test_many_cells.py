"""Plans of many cells: what is alike is done once, and what comes of it is the same."""

import pytest

from sdlab import Job, Request, Store, preview, run, sweep
from sdlab.models.resolve import native, resolve
from sdlab.recipe import request as requests
from sdlab.recipe.request import FIELDS, key_of
from sdlab.render import plan
from sdlab.render.renderer import Renderer
from sdlab.store.files import write_whole


@pytest.fixture
def calls(monkeypatch):
    """The requests that were resolved one by one."""
    found = []

    def count(request, own):
        found.append(request)
        return resolve(request, own)

    monkeypatch.setattr(plan, "resolve", count)
    return found


def test_requests_that_differ_in_their_seeds_are_resolved_once(tmp_path, calls):
    cells = sweep(Request(prompt="a {red|blue} cat"), seed=range(100), guidance_scale=[1, 4])
    assert preview(cells, tmp_path).todo == 400
    assert len(calls) == 4


def test_a_recipe_of_another_seed_is_what_resolving_makes():
    own = native("tiny-v1")
    cells = [
        *sweep(Request(prompt="a {colour=red|blue} cat", height=64), seed=range(3), eta=[0, 1.0]),
        *sweep(Request(prompt='a "seed":0 é', num_inference_steps=7), seed=[5, 2**32 - 1]),
    ]
    cells = [cell.but(scheduler="DDIM") for cell in cells]
    found = plan.resolve_all(cells, {"tiny-v1": own})
    for cell, recipe in zip(cells, found, strict=True):
        alone = resolve(cell, own)
        assert recipe == alone and type(recipe) is type(alone)
        assert not set(FIELDS) & set(vars(recipe)) and recipe.labels == cell.labels
        assert recipe.key == alone.key == key_of(recipe.to_dict())


def test_a_mistake_is_said_with_the_place_of_its_request(tmp_path):
    cells = [*sweep(Request(prompt="a cat"), seed=range(3)), Request(eta=0.5, scheduler="Euler")]
    with pytest.raises(ValueError, match="request 3 of 4: eta=0.5"):
        preview(cells, tmp_path)


def test_only_what_changes_in_a_copy_is_checked(monkeypatch):
    base, checked = Request(prompt="a cat", negative_prompt="a dog", eta=0.5), []
    known = requests.check_value
    monkeypatch.setattr(
        requests, "check_value", lambda name, *more: checked.append(name) or known(name, *more)
    )
    assert base.but(seed=3, eta=1).eta == 1.0 and checked == ["seed", "eta"]
    with pytest.raises(ValueError, match="seed=-1"):
        base.but(seed=-1)
    assert base.but(labels={"a": 0.1 + 0.2}).labels == {"a": 0.3}


def test_what_another_process_finishes_meanwhile_is_not_rendered_again(
    random_v1, tmp_path, monkeypatch
):
    base = Request(model=str(random_v1), prompt="a cat", num_inference_steps=2, scheduler="Euler")
    cells = sweep(base, seed=range(12))
    expected = run(cells, tmp_path / "other", batch_size=1, progress=False)
    drawn, known = [], Renderer.draw_pictures

    def draw(self, requests, *more, **given):
        drawn.extend(requests)
        if len(drawn) == 3:  # the other process is done
            for picture in (tmp_path / "other" / "images").glob("*/*.png"):
                write_whole(
                    tmp_path / "own" / picture.relative_to(tmp_path / "other"), picture.read_bytes()
                )
        return known(self, requests, *more, **given)

    monkeypatch.setattr(Renderer, "draw_pictures", draw)
    job, told = Job(cells, tmp_path / "own", batch_size=1, progress=False), []
    job.watch(lambda event: told.append(event.key))
    found = job.result()
    assert len(drawn) < 12 and found["pixels"].equals(expected["pixels"])
    assert job.progress.finished == 12 and set(expected["key"]) <= {*told}


def test_a_picture_that_is_not_where_it_was_written_ends_the_run(random_v1, tmp_path, monkeypatch):
    monkeypatch.setattr("sdlab.store.store.write_whole", lambda path, data: None)
    base = Request(model=str(random_v1), prompt="a cat", num_inference_steps=2, scheduler="Euler")
    with pytest.raises(OSError, match="what was written is not there.*run again"):
        run(base, tmp_path, progress=False)


def test_rows_that_are_no_rows_are_read_anew_from_the_pictures(random_v1, tmp_path):
    base = Request(model=str(random_v1), prompt="a cat", num_inference_steps=2, scheduler="Euler")
    expected = run(sweep(base, seed=range(3)), tmp_path, progress=False)
    store = Store(tmp_path)
    store.index._ask("UPDATE pictures SET shared = '[1, 2'")
    with pytest.warns(UserWarning, match="was damaged .*made anew"):
        assert store.frame(expected["key"])["pixels"].equals(expected["pixels"])

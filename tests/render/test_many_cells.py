"""Plans of many cells: what is alike is done once, and what comes of it is the same."""

import pytest

from sdlab import Request, preview, sweep
from sdlab.models.resolve import native, resolve
from sdlab.recipe import request as requests
from sdlab.recipe.request import FIELDS, key_of
from sdlab.render import plan


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
        *sweep(Request(prompt="a cat", num_inference_steps=7), seed=[5, 2**32 - 1]),
    ]
    cells = [cell.but(scheduler="DDIM") for cell in cells]
    found = plan.resolve_all(cells, {"tiny-v1": own})
    for cell, recipe in zip(cells, found, strict=True):
        alone = resolve(cell, own)
        assert recipe == alone and type(recipe) is type(alone)
        assert vars(recipe).keys() >= {*FIELDS, "labels"} and recipe.labels == cell.labels
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

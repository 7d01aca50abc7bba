"""Cells share a batch only where nothing that the batch has once is different."""

import dataclasses

import pytest

from sdlab import Request
from sdlab.models.calls import MAPPED, NEVER
from sdlab.models.resolve import native, resolve
from sdlab.recipe.request import PROMPTS, SHARED
from sdlab.recipe.spec import Spec
from sdlab.render import plan
from sdlab.render.plan import COMMON, group_cells

OTHER = {
    "num_inference_steps": 7,
    "scheduler": "EulerDiscreteScheduler",
    "height": 128,
    "width": 128,
    "eta": 0.5,
    "tiling": "both",
    "strength": 0.5,
    "vae": "other.safetensors",
    "lora": "other.safetensors@1",
    "textual_inversion": "<other>=other.pt",
    "options": "other=1",
    "weights": "0" * 16,
}
BY_ROW = {
    "prompt": "a red cat",
    "negative_prompt": "blue",
    "seed": 5,
    "guidance_scale": 2.0,
    "clip_skip": 1,
    "guidance_rescale": 0.5,
    "watermark": "sd-v1",
}


def group(monkeypatch, **changes):
    monkeypatch.setattr(plan, "learn_words", lambda own, words: own)  # which reads files
    cell = resolve(Request(prompt="a cat"))
    other = dataclasses.replace(cell, **changes)
    return group_cells([cell, other], {"tiny-v1": native("tiny-v1")})


def test_there_is_another_value_for_all_that_a_batch_has_once():
    assert set(OTHER) == set(SHARED)


@pytest.mark.parametrize("name", SHARED)
def test_cells_that_differ_in_what_a_batch_has_once_are_apart(name, monkeypatch):
    assert [len(cells) for cells in group(monkeypatch, **{name: OTHER[name]})] == [1, 1]


@pytest.mark.parametrize("name", BY_ROW)
def test_cells_that_differ_row_by_row_are_together(name, monkeypatch):
    assert [len(cells) for cells in group(monkeypatch, **{name: BY_ROW[name]})] == [2]


def test_a_field_of_which_nothing_is_said_is_shared_and_given_to_no_call_of_diffusers():
    """So that a new one is slow, or refused, before somebody thinks of it, and not ignored."""
    assert not Spec(kind="whole").by_row
    parts = {"vae", "lora", "textual_inversion", "prompt_syntax", "image", "tiling"}
    assert set(NEVER) == parts and set(COMMON) == set(MAPPED) - set(PROMPTS)

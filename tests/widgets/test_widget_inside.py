"""Inside: what the page is told of words and steps, the bytes of its maps, and what stays without a kernel."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from sdlab import Request, inside
from sdlab.widgets import Inside
from sdlab.widgets.pictures import describe_image

pytestmark = pytest.mark.usefixtures("at_once")
CAT = Request(prompt="a cat and a dog", num_inference_steps=3)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    return inside(CAT, tmp_path_factory.mktemp("store"), batch_size=1)


def asked(widget, kind, **content):
    """The answer to a question of the page."""
    sent = []
    widget.send = lambda content, buffers=None: sent.append((content, buffers))
    widget._hear(None, {"kind": kind, "id": "q", **content}, [])
    return sent[-1]


def test_the_page_is_told_words_shares_and_moments(seen):
    widget = Inside(seen)
    (side,) = widget.sides
    assert [word["text"] for word in side["words"]] == ["a", "cat", "and", "a (2)", "dog"]
    assert len(side["moments"]) == 3 and side["moments"][0]["first"] == 1 and widget.at == 3
    wanted = [seen.attention.find_map("dog", step=n).mean() for n in (1, 2, 3)]
    assert np.allclose(side["words"][-1]["shares"], wanted, atol=1e-5)
    assert side["note"] == ""


def test_maps_travel_as_bytes_of_each_moment_and_of_all_steps(seen):
    content, (data,) = asked(Inside(seen), "maps", side=0, group=2)
    maps = np.frombuffer(data, np.uint8).reshape(4, 8, 8)
    assert content == {"kind": "maps", "re": "q"}
    wanted = [seen.attention.find_map("cat", step=n) for n in (1, 2, 3)]
    for own, found in zip(maps, [*wanted, seen.attention.find_map("cat")]):
        assert own.min() == 0 and own.max() == 255 and own.argmax() == found.argmax()


def test_frames_are_what_is_believed_and_then_the_picture(seen):
    widget = Inside(seen)
    _, buffers = asked(widget, "frames", side=0)
    assert len(buffers) == 4 == widget.at + 1  # the slider's last place is the picture
    with Image.open(io.BytesIO(buffers[-1])) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(seen.picture))


def test_two_cells_share_a_slider_and_their_rows_are_the_value(seen):
    widget = Inside(
        seen, CAT.but(prompt="a cat and a fox", num_inference_steps=2), store=seen.store
    )
    assert [len(side["moments"]) for side in widget.sides] == [3, 2]
    assert widget.value["prompt"].tolist() == ["a cat and a dog", "a cat and a fox"]
    widget.at = 99
    assert widget.at == 3


def test_the_code_shows_the_same_again(seen, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    widget = Inside(CAT, CAT.but(seed=1), store="runs/here")
    found = {}
    exec(widget.code.replace("\nInside(", "\nagain = Inside("), found)
    assert found["again"].sides == widget.sides and "store='runs/here'" in widget.code
    assert found["again"].value["key"].tolist() == widget.value["key"].tolist()


def test_what_is_said_of_the_pictures_is_what_stands_in_them_and_not_the_prompt(seen):
    widget = Inside(seen)
    said = asked(widget, "seen", side=0)[0]["seen"]
    assert len(said) == 4 and said[-1] == describe_image(seen.picture)
    alts = re.findall('alt="([^"]*)"', widget.static())
    assert alts[0] == f"step 1: {said[0]}" and f"the picture: {said[-1]}" in alts
    assert not any(CAT.prompt in alt for alt in alts)


def test_the_still_picture_has_steps_and_words_and_no_script(seen):
    html = Inside(seen).static()
    assert html.count("<img") == 3 + 1 + 5 and "<script" not in html
    assert "dog: where it acts" in html and "step 1" in html

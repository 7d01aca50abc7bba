"""What was found by giving pictures in unusual ways: again, as columns, half stated, closed, deep, and from elsewhere."""

import base64
import html
import re
import shutil
import warnings
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sdlab import Job, Request, Store, image_grid, run, sweep, write_report
from sdlab.models.resolve import resolve
from sdlab.pictures import _known, hash_pixels, read_picture
from sdlab.render.plan import plan
from sdlab.results.frame import shorten_hashes
from sdlab.widgets import Compare
from sdlab.widgets.seed_grid.places import arrange_places

GREY = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
COLOURS = np.stack([GREY, GREY.T, GREY[::-1]], axis=-1)
BASE = Request(prompt="a red circle", num_inference_steps=2)
HASH = hash_pixels(Image.fromarray(COLOURS))


def blank(width, height):
    return Image.new("RGB", (width, height), (width % 256, height % 256, 9))


@pytest.fixture
def lent(tmp_path):
    """A store's folder that has lent the picture to this process, which knows it in no other way."""
    before = dict(_known)
    store = Store(tmp_path / "store")
    cell = BASE.but(image=COLOURS)
    store.inputs.keep([cell.image])
    del cell
    _known.clear()
    store.inputs.lend([HASH])
    yield store
    _known.clear()
    _known.update(before)


# Given again


@pytest.mark.parametrize(
    "harm", [lambda path: path.unlink(), lambda path: blank(64, 64).save(path)]
)
def test_a_picture_given_again_takes_the_place_of_a_lent_file_that_is_gone_or_changed(lent, harm):
    harm(lent.inputs.path(HASH))
    assert BASE.but(image=COLOURS).image == HASH
    assert np.array_equal(read_picture(HASH), COLOURS)


def test_a_lost_folder_of_inputs_comes_back_though_all_cells_are_finished(tmp_path):
    cell = BASE.but(image=COLOURS)
    run(cell, tmp_path, progress=False, on_error="raise")
    shutil.rmtree(tmp_path / "inputs")
    job = Job(cell, tmp_path, progress=False)
    assert job.wait() and job.progress.todo == 0 and Store(tmp_path).check().empty


# In columns


@pytest.mark.parametrize(
    "column", [pd.Series, np.array, list, lambda paths: pd.Series(paths, dtype="string")]
)
def test_an_axis_may_be_a_column_of_paths(tmp_path, column):
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    for i, path in enumerate(paths):
        blank(64 + 8 * i, 64).save(path)
    assert [cell.image for cell in sweep(BASE, image=column(paths))] == [
        BASE.but(image=path).image for path in paths
    ]


def test_an_array_of_numbers_is_one_picture_and_a_stack_several():
    assert (
        len(sweep(BASE, image=COLOURS)) == 1
        and len(sweep(BASE.but(image=COLOURS), mask_image=GREY > 9)) == 1
    )
    assert len(sweep(BASE, image=np.stack([COLOURS, COLOURS[::-1]]))) == 2


# Sizes


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (dict(height=64), (64, 96)),
        (dict(width=96), (64, 96)),
        ({}, (400, 600)),
        (dict(height=72, width=72), (72, 72)),
        (dict(height=8), (8, 16)),
    ],
)  # 12 is as near to 8 as to 16
def test_the_side_that_is_not_stated_follows_the_proportions(given, size):
    resolved = resolve(BASE.but(image=blank(600, 400), **given))
    assert (resolved.height, resolved.width) == size


@pytest.mark.parametrize(
    "cell",
    [
        dict(image=blank(71, 69)),
        dict(image=blank(99, 60), height=64),
        dict(image=blank(71, 105), width=64),
    ],
)
def test_rounding_to_multiples_of_eight_is_not_spoken_of_as_stretching(tmp_path, cell):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan([BASE.but(**cell)], Store(tmp_path))


# Refused, and how it is said


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ("", ValueError, "names no file; None is for no picture"),
        ("https://example.com/a.png", ValueError, "sdlab downloads nothing"),
        (".", ValueError, "is a folder; give the path of a picture in it"),
        (Path("tests"), ValueError, "is a folder; give"),
        (Image.fromarray(GREY.astype(np.uint16) * 257), ValueError, r"// 256\)\.astype\('uint8'\)"),
        (GREY.astype(np.uint16) * 257, TypeError, r"// 256\)\.astype\('uint8'\)"),
    ],
)
def test_what_is_no_picture_of_eight_bits_is_refused_with_what_to_do(given, kind, said):
    with pytest.raises(kind, match=said):
        Request(image=given)


def test_a_picture_whose_file_was_closed_is_refused_as_such(tmp_path):
    blank(64, 64).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pass
    with pytest.raises(ValueError, match=r"image=.* closed; give its path, or picture\.copy\(\)"):
        Request(image=image)


def test_a_mask_on_a_model_guided_by_depth_is_refused_with_the_models_that_take_one():
    with pytest.raises(
        ValueError, match="mask_image=.*no meaning for depth2img.*'tiny-v1'.*'sd-v1-5-inpainting'"
    ):
        resolve(BASE.but(model="tiny-depth", image=COLOURS, mask_image=GREY))


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (dict(memory=["low"]), "memory="),
        (dict(keep_latents="no"), "keep_latents='no': use True or False"),
    ],
)
def test_options_of_a_wrong_kind_are_refused(tmp_path, option, said):
    with pytest.raises(ValueError, match=said):
        Job(BASE, tmp_path, **option)


# In figures and reports


def frame_of(folder, images):
    """A frame as run() makes it, all cells with one picture, in a store that keeps the inputs."""
    store = Store(folder)
    cells = [resolve(cell) for cell in sweep(BASE.but(strength=1), image=images)]
    for cell in cells:
        store.save(cell, blank(64, 64), {})
    return store.frame([cell.key for cell in cells])


def test_an_input_picture_on_an_axis_is_labelled_with_the_beginning_of_its_hash(tmp_path):
    frame = frame_of(tmp_path, [COLOURS, COLOURS[::-1]])
    labels = [f"{name[:8]}…" for name in frame["image"]]
    assert arrange_places(frame, "image", None).row.labels == labels
    assert [
        text.get_text()
        for text in image_grid(frame, row="image").axes[0].texts
        if "…" in text.get_text()
    ][-2:] == labels
    compared = Compare(frame, by="image")
    assert (
        compared.choices == compared._names == labels and repr(frame["image"][0]) in compared.code
    )


def test_beginnings_that_collide_are_longer():
    same, other = "0" * 31, "1" * 32
    assert shorten_hashes([same + "a", same + "b", other]) == {
        same + "a": same + "a…",
        same + "b": same + "b…",
        other: other + "…",
    }
    assert list(shorten_hashes([other, None, "cat", 3]).values()) == ["11111111…"]


def input_pictures(frame, path):
    """The section of a report that shows them."""
    page = write_report(path, "Drawing", frame).read_text()
    return re.search("<h2>Input pictures</h2>.*?</section>", page, re.S)[0]


def test_a_report_alone_is_enough_to_make_its_requests_again(tmp_path, monkeypatch):
    page = write_report(
        tmp_path / "r.html", "Drawing", frame_of(tmp_path / "store", [COLOURS])
    ).read_text()
    ((field, name),) = re.findall(
        r"# Request\((\w+)='...'\)  # the path of (\w{32})", html.unescape(page)
    )
    (data,) = re.findall(
        rf'src="data:image/png;base64,([^"]+)"[^>]*>\s*<figcaption>{field} <code>{name}</code>, 64x64 pixels<',
        page,
    )
    (tmp_path / "saved.png").write_bytes(base64.b64decode(data))
    monkeypatch.setattr("sdlab.pictures._known", WeakValueDictionary())
    request = Request(**{field: tmp_path / "saved.png"})
    assert getattr(request, field) == name == HASH
    assert np.array_equal(read_picture(HASH), COLOURS)


def test_inputs_beyond_the_limit_come_in_small_and_missing_ones_are_named(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    frame = frame_of(tmp_path, [COLOURS, noise])
    monkeypatch.setattr("sdlab.results.sections.INPUT_BYTES", 20_000)
    page = input_pictures(frame, tmp_path / "r.html")
    assert (
        page.count("data:image/png") == 1
        and page.count("data:image/webp") == 1
        and "400x400 pixels, in small here" in page
    )
    monkeypatch.setattr("sdlab.pictures._known", WeakValueDictionary())
    shutil.rmtree(tmp_path / "inputs")
    page = input_pictures(frame, tmp_path / "r.html")
    assert page.count("not at hand when the report was written") == 2

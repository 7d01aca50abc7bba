"""A gallery is a page that needs nothing else, holds what was given, and runs nothing of it."""

import base64
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_report import NASTY, plan, results

from sdlab import write_gallery
from sdlab.results.gallery import gallery


def read_page(path):
    """(the page, what it knows of the frame)"""
    page = path.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return page, json.loads(data)


def values(data, name):
    (column,) = [c for c in data["columns"] if c["name"] == name]
    return [column["levels"][k] for k in column["codes"] or [0] * len(data["names"])]


def test_the_page_knows_every_cell_and_the_folder_has_every_picture(tmp_path):
    frame = results(tmp_path, plan(seed=range(3), guidance_scale=[1, 7.5]), (300, 200))
    frame.loc[1, "path"], frame.loc[1, "error"] = pd.NA, "OSError: no"
    page = write_gallery(tmp_path / "g", frame, row="seed")
    _, data = read_page(page)
    assert values(data, "seed") == [0, 0, 1, 1, 2, 2] and data["axes"] == ["seed", ""]
    assert values(data, "error") == [None, "OSError: no", *[None] * 4]
    assert data["names"][1] == "" and data["keys"] == list(frame["key"])
    for name in filter(None, data["names"]):
        small = Image.open(page.parent / f"thumbs/{name[:2]}/{name}.webp")
        whole = page.parent / f"pictures/{name[:2]}/{name}.png"
        assert max(small.size) == 128
        assert whole.read_bytes() == (tmp_path / "private" / "picture.png").read_bytes()


def test_rows_and_columns_may_be_of_several_columns_and_numbers_ascend_in_them(tmp_path):
    frame = results(tmp_path, plan(guidance_scale=[10, 2], seed=range(2)))
    page = write_gallery(tmp_path / "g.html", frame, row="prompt", col=["guidance_scale", "seed"])
    _, data = read_page(page)
    assert data["axes"] == ["prompt", "guidance_scale · seed"]
    (column,) = [each for each in data["columns"] if each["ordered"]]
    assert column["name"] == "guidance_scale · seed" and not column["axis"]
    assert column["levels"] == ["2 · 0", "2 · 1", "10 · 0", "10 · 1"]
    assert values(data, column["name"]) == ["10 · 0", "10 · 1", "2 · 0", "2 · 1"]
    with pytest.raises(ValueError, match="col='seeed' is no column"):
        write_gallery(tmp_path / "g.html", frame, col=["prompt", "seeed"])


def test_small_pictures_stand_for_themselves_and_one_file_holds_them_all(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    _, data = read_page(write_gallery(tmp_path / "g", frame))
    assert data["exact"] == "11" and not list((tmp_path / "g").rglob("*.webp"))
    page, data = read_page(write_gallery(tmp_path / "one.html", frame))
    (uri,) = set(data["uris"])
    shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    assert shown.tobytes() == Image.open(frame["path"][0]).tobytes()
    assert not re.search(r"""(src|href)=["']?(?!data:)\w""", page.partition("<script>")[0])


def test_hostile_text_ends_no_script_and_only_its_own_script_may_run(tmp_path):
    texts = [NASTY, "<!--<script>", "]]>\u2028'"]
    frame = results(tmp_path, plan(seed=range(3))).assign(prompt=texts)
    frame["<b onclick=x>"] = NASTY
    frame.loc[0, "error"] = NASTY
    page, data = read_page(write_gallery(tmp_path / "g", frame, title=NASTY, text=NASTY))
    assert set(values(data, "prompt")) == set(texts)
    assert page.count("<script") == 2 and page.count("</script>") == 2 and "<img" not in page
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page and "innerHTML" not in script and "://" not in script


def test_ten_thousand_hostile_texts_in_every_field_stay_data(tmp_path):
    """Prompts, labels, errors and the names of files, made of what ends a tag or a script."""
    chance = np.random.default_rng(0)
    parts = ["<", ">", '"', "'", "&", "</script>", "<!--", "-->", "]]>", "{{", "{%", "\0", "`"]
    parts += ["javascript:", "onload=", "\u2028", "\ud800", "<img src=x onerror=y>", "../", "\\"]
    texts = ["".join(chance.choice(parts, 6)) for _ in range(10_000)]
    frame = results(tmp_path, plan(seed=range(2000)))
    for k, name in enumerate(("prompt", "negative_prompt", "error", "machine", "label")):
        frame[name] = pd.Series(texts[k * 2000 : (k + 1) * 2000], dtype=object)
    odd = tmp_path / "a <img src=x onerror='y'>\".png"
    odd.write_bytes(Path(frame["path"][0]).read_bytes())
    frame.loc[:9, "path"] = str(odd)
    page, data = read_page(write_gallery(tmp_path / "g", frame, title=texts[0], text=texts[1]))
    assert page.count("<script") == 2 and page.count("</script>") == 2 and "<img" not in page
    assert page.count("<!--") == 0 and odd.name not in page
    assert [values(data, "prompt"), values(data, "label")] == [texts[:2000], texts[8000:]]


def test_a_gallery_that_was_not_finished_shows_no_old_captions_and_can_be_written_again(
    tmp_path, monkeypatch
):
    frame = results(tmp_path, plan(seed=range(2)))
    page = write_gallery(tmp_path / "g", frame)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(gallery, "write_pictures", interrupt)
        write_gallery(tmp_path / "g", frame)
    assert "was not finished" in page.read_text() and "a cat" not in page.read_text()
    assert "a cat" in write_gallery(tmp_path / "g", frame).read_text()


def interrupt(*_):
    raise KeyboardInterrupt


def test_private_folders_stay_private(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    frame = results(tmp_path, plan(seed=range(2)))
    frame.loc[0, "error"] = f"OSError: {tmp_path}/models/x"
    page, data = read_page(write_gallery(tmp_path / "g", frame))
    assert str(tmp_path) not in page and values(data, "error")[0] == "OSError: ~/models/x"


def test_a_folder_of_something_else_is_refused_and_an_earlier_gallery_replaced(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    with pytest.raises(FileExistsError, match="holds something else than a gallery"):
        write_gallery(tmp_path, frame)
    write_gallery(tmp_path / "g", frame)
    write_gallery(tmp_path / "g", frame[:1])
    assert len(list((tmp_path / "g/pictures").rglob("*.png"))) == 1
    with pytest.raises(ValueError, match="row='sed' is no column"):
        write_gallery(tmp_path / "g", frame, row="sed")


def test_missing_and_repeated_pictures_are_told(tmp_path):
    frame = results(tmp_path, plan(seed=range(3)))
    frame.loc[1, "path"] = str(tmp_path / "gone.png")
    frame.loc[2, "key"] = frame.loc[0, "key"]
    _, data = read_page(write_gallery(tmp_path / "g", frame))
    assert data["lost"] == {data["names"][1]: "file missing"}
    assert len(list((tmp_path / "g/pictures").rglob("*.png"))) == 1


def test_two_renderings_of_one_recipe_are_two_pictures(tmp_path):
    frame = results(tmp_path, plan(seed=range(3))).assign(dtype=["float32", "float16", "float32"])
    other = tmp_path / "half.png"
    Image.new("RGB", (16, 16), "red").save(other)
    frame.loc[1, ["key", "path"]] = [frame["key"][0], str(other)]
    page = write_gallery(tmp_path / "g", frame)
    _, data = read_page(page)
    files = [(page.parent / f"pictures/{n[:2]}/{n}.png").read_bytes() for n in data["names"]]
    assert files == [Path(path).read_bytes() for path in frame["path"]]
    assert data["keys"] == list(frame["key"]) and data["names"][2] == frame["key"][2]


def test_a_gallery_is_not_written_over_the_pictures_that_it_is_of(tmp_path):
    frame = results(tmp_path, plan(seed=range(2)))
    write_gallery(tmp_path / "g", frame)
    own = sorted((tmp_path / "g/pictures").rglob("*.png"))
    (tmp_path / "link").symlink_to(tmp_path / "g")
    for folder in ("g", "link"):
        paths = [str(tmp_path / folder / p.relative_to(tmp_path / "g")) for p in own]
        with pytest.raises(FileExistsError, match="holds pictures of this frame"):
            write_gallery(tmp_path / "g", frame.assign(path=paths))
    assert all(path.exists() for path in own)

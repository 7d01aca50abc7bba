"""Folders of pictures from anywhere: what is told beside them, what is broken, and what would do harm."""

import json
import os
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from foreign import INFOTEXT, add_chunk, change, draw_picture, graph_of, make_recipe, save_png
from PIL import Image

from sdlab.store.columns import COLUMNS, ELSEWHERE, fit_column, fit_value
from sdlab.store.readers import folder as reading
from sdlab.store.readers.folder import read_pictures
from sdlab.store.readers.texts import HEAD, MOST, unpack_bytes
from sdlab.store.store import Store


@pytest.fixture
def folder(tmp_path):
    """Pictures of two programs, one that says nothing, and two files that are none."""
    place = tmp_path / "pictures"
    place.mkdir()
    save_png(place / "a.png", parameters=INFOTEXT)
    save_png(place / "b.png", prompt=change(graph_of(), "3", seed=7))
    save_png(place / "c.png")
    (place / "d.png").write_bytes(b"no picture")
    (place / "e.png").write_bytes((place / "a.png").read_bytes()[:-40])
    (place / "notes.md").write_text("x")
    return place


def read(paths, *args, **options):
    return read_pictures(paths, *args, progress=False, **options)


def test_the_frame_is_like_that_of_run_with_a_row_a_file(folder, tmp_path):
    frame = read(folder)
    assert list(frame.columns) == [*COLUMNS, *ELSEWHERE] and len(frame) == 5
    stored = Store(tmp_path / "store").frame()
    assert frame.dtypes[list(stored.columns)].to_dict() == stored.dtypes.to_dict()
    assert frame["path"].isna().tolist() == [False, False, False, True, True]
    assert frame["error"].isna().tolist() == [True, True, True, False, False]
    assert str(folder / "d.png") in frame["error"][3] and "torn" in frame["error"][4]
    assert frame["source"].isna().tolist() == [False, False, True, True, True]
    assert frame["key"].isna().all() and list(frame.attrs["passed_over"]) == [
        str(folder / "notes.md")
    ]


def test_several_processes_read_the_same(folder, monkeypatch):
    one = read(folder)
    monkeypatch.setattr(reading, "BATCH", 2)
    pd.testing.assert_frame_equal(read(folder, processes=2), one)


def test_a_process_that_dies_takes_one_file_with_it(folder, monkeypatch):
    """A process that is killed over a batch of files is asked for them one by one."""

    def ask(read_batch, batches, asked, processes):
        yield from ((batch, "the process died") for batch in batches)

    monkeypatch.setattr("sdlab.watermark.processes.ask_processes", ask)
    assert read(folder)["source"].notna().sum() == 2


def test_what_is_told_counts_and_no_picture_gets_a_key_or_a_seed(folder):
    frame = read(
        [folder / "c.png", folder / "a.png"],
        model="dall-e-2",
        prompt=["a cat", "x"],
        service="OpenAI",
    )
    assert frame["model"].tolist() == ["dall-e-2"] * 2 and frame["prompt"].tolist() == [
        "a cat",
        "x",
    ]
    assert frame["source"].tolist() == [
        "told beside the file",
        "A1111's web UI or a program that writes such notes, too",
    ]
    assert frame["service"].tolist() == ["OpenAI"] * 2
    assert frame["seed"].isna()[0] and frame["key"].isna().all()
    assert (frame["height"][0], frame["width"][0]) == (96, 64)


@pytest.mark.parametrize(
    ("column", "error", "match"),
    [
        ({"key": "0" * 32}, ValueError, "cannot be told"),
        ({"path": "x"}, ValueError, "cannot be told"),
        ({"prompt": ["a", "b"]}, ValueError, "prompt has 2 values for 5 files"),
        ({"negative": "x"}, TypeError, "negative_prompt"),
    ],
)
def test_columns_that_cannot_be_told_are_refused(folder, column, error, match):
    with pytest.raises(error, match=match):
        read(folder, **column)


@pytest.mark.parametrize("place", ["pictures/pictures.csv", "pictures.csv"])
def test_a_table_in_the_folder_or_beside_it_tells_columns(folder, tmp_path, place):
    (tmp_path / place).write_text(
        'file,model,prompt,seed\nc.png,dall-e-2,"a cat, on a mat",\na.png,,,12\n'
    )
    frame = read(folder)
    assert list(frame.attrs["passed_over"]) == [str(folder / "notes.md")]
    assert frame["prompt"].tolist()[2] == "a cat, on a mat" and frame["model"][2] == "dall-e-2"
    assert (
        pd.isna(frame["seed"][2])
        and frame["seed"][0] == 12
        and frame["model"][0] == "v1-5-pruned-emaonly"
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name,model\nc.png,x", "no column 'file'"),
        ("file,model\nz.png,x", "no such picture"),
        ("file,seed\nc.png,x", "no number"),
        ("file,key\nc.png,x", "cannot be told"),
    ],
)
def test_a_table_that_says_nothing_sure_is_refused(folder, text, match):
    (folder / "pictures.csv").write_text(text)
    with pytest.raises(ValueError, match=match):
        read(folder)


def test_a_store_keeps_pictures_by_content_as_they_are(folder, tmp_path):
    store = Store(tmp_path / "store")
    frame = read(folder, store)
    again = read(folder, store)
    assert frame["path"].tolist()[:3] == again["path"].tolist()[:3]
    assert frame["path"][0].startswith(str(store.root / "elsewhere"))
    with open(frame["path"][0], "rb") as file:
        assert file.read() == (folder / "a.png").read_bytes()
    assert len(list((store.root / "elsewhere").rglob("*.png"))) == 3 and len(store) == 0


def test_a_picture_that_the_store_has_made_stays_where_it_is(tmp_path):
    recipe = make_recipe()
    store = Store(tmp_path / "store")
    path = store.save(recipe, draw_picture(), {})
    frame = read([path], store)
    assert frame["path"].tolist() == [str(path)] and frame["key"].tolist() == [recipe.key]


def test_nothing_there_is_an_error_and_an_empty_folder_an_empty_frame(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read(tmp_path / "none")
    assert read(tmp_path).empty and list(read(tmp_path).columns) == [*COLUMNS, *ELSEWHERE]


# What would do harm


def read_text(tmp_path, name, text):
    path = add_chunk(
        save_png(tmp_path / "a.png"),
        b"tEXt",
        name.encode() + b"\0" + text.encode("utf-8", "surrogatepass"),
    )
    return read([path]).iloc[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"1": ' * 100_000 + '"class_type"', "nested too deeply"),
        (
            '{"1": {"class_type": "x", "class_type": "y", "inputs": {}}}',
            "'class_type' stands twice",
        ),
        (
            '{"1": {"class_type": "x", "inputs": {"seed": ' + "9" * 5000 + "}}}",
            "its text cannot be read",
        ),
        ('{"1": {"class_type": "x"', "its text cannot be read"),
        ('["class_type"]', "JSON that is a list"),
        ('{"class_type": 1}', "no sampler"),
    ],
)
def test_json_that_cannot_be_trusted_is_a_row_with_a_reason(tmp_path, text, reason):
    row = read_text(tmp_path, "prompt", text)
    assert row["source"] == "ComfyUI" and reason in row["not_translated"] and pd.isna(row["error"])


@pytest.mark.parametrize("seed", [10**30, -5, 1.5, float("nan"), True, "x", [1], None])
def test_what_is_no_seed_is_missing(tmp_path, seed):
    said = {
        "generation_mode": "txt2img",
        "seed": seed,
        "width": 10**40,
        "steps": float("inf"),
        "positive_prompt": {"a": 1},
    }
    row = read_text(tmp_path, "invokeai_metadata", json.dumps(said))
    assert row.isna()[["seed", "num_inference_steps", "prompt"]].all() and row["width"] == 64


@pytest.mark.parametrize("seed", [2**32 + 7, 2**64 - 2**32 + 7, str(2**40 + 7), 7.0])
def test_of_a_large_seed_the_low_32_bits_count_as_in_torch(tmp_path, seed):
    assert read_text(tmp_path, "invokeai_metadata", json.dumps({"seed": seed}))["seed"] == 7


def test_lone_surrogates_and_nul_do_not_spoil_a_frame(tmp_path):
    said = json.dumps(
        {"positive_prompt": "a \ud800 b \0 c", "generation_mode": "\udfff", "x\ud800": 1}
    )
    row = read_text(tmp_path, "invokeai_metadata", said)
    assert row["prompt"] == "a \ufffd b \ufffd c"
    row.to_frame().to_json()


def test_a_text_that_unpacks_without_end_is_not_unpacked(tmp_path):
    bomb = zlib.compress(b"a" * (20 * MOST))
    path = add_chunk(save_png(tmp_path / "a.png"), b"zTXt", b"parameters\0\0" + bomb)
    assert "more than 4 MB" in read([path])["not_translated"][0]
    assert len(unpack_bytes(bomb)) == MOST + 1


def test_a_chunk_that_claims_gigabytes_is_no_picture(tmp_path):
    path = save_png(tmp_path / "a.png")
    data = path.read_bytes()
    path.write_bytes(data[:33] + struct.pack(">I4s", 2**31 - 1, b"tEXt") + data[33:])
    assert "torn" in read([path])["error"][0]


def test_damaged_files_are_rows_whatever_the_damage(tmp_path):
    rng = np.random.default_rng(0)
    graph = change(graph_of(), "3", seed=7)
    whole = save_png(
        tmp_path / "a.png",
        prompt=graph,
        parameters=INFOTEXT,
        Dream='"a" -s5',
        invokeai_metadata={"seed": 4},
    ).read_bytes()
    files = []
    for n in range(120):
        data = bytearray(whole)
        for place in rng.integers(33, len(data), 1 + n % 9):
            data[place] = rng.integers(256)
        files.append(tmp_path / f"{n}.png")
        files[-1].write_bytes(data[: len(data) if n % 3 else rng.integers(len(data))])
    frame = read(files)
    assert len(frame) == 120 and (frame["path"].notna() ^ frame["error"].notna()).all()


@pytest.mark.parametrize("size", [HEAD - 100, HEAD - 60, HEAD, 5 * HEAD])
def test_texts_are_whole_wherever_the_first_bytes_read_end(tmp_path, size):
    path = save_png(tmp_path / "a.png")
    add_chunk(path, b"tEXt", b"parameters\0" + INFOTEXT.encode())
    add_chunk(path, b"tEXt", b"Filler\0" + b"x" * size)  # ahead of it
    row = read(path).iloc[0]
    assert (row["prompt"], row["seed"]) == ("a cat on a mat", 5) and row["error"] is pd.NA


def test_a_column_is_fitted_alike_whole_and_value_by_value():
    """What all of a column's values show at once is what each shows alone."""
    columns = {
        "string": (["a", None], ["a", "\0"], ["é", "\ud800"], ["a", 1], [None]),
        "Int64": ([1, None], [2**63, 1], [-(2**63), 5], [True, 1], [1.5, 1], [np.int64(3), None]),
        "Float64": ([1.0, None], [1, 2.0], ["x", 1.0], [np.float32(0.5), 1.0], [None]),
        "boolean": ([True, None], [1, True], [np.True_, False]),
    }
    for kind, cases in columns.items():
        for values in cases:
            plain = [v.item() if hasattr(v, "item") else v for v in values]
            assert list(fit_column(values, kind)) == [fit_value(v, kind) for v in plain]


def test_what_is_told_of_copies_is_read_again_with_the_folder_of_the_store(tmp_path):
    for name in ("red", "blue"):
        Image.new("RGB", (64, 64), name).save(tmp_path / f"{name}.png")
    root = tmp_path / "mine"
    read(tmp_path / "red.png", root, model="dall-e-2", prompt='a "cat",\na dog')
    kept = read(tmp_path / "blue.png", root, colour="blue", seed=3)
    again = read(root / "elsewhere").sort_values("model", ignore_index=True)
    assert again["prompt"].tolist()[0] == 'a "cat",\na dog' and again["colour"][1] == "blue"
    assert again["model"][0] == "dall-e-2" and again["seed"].tolist() == [pd.NA, 3]
    os.unlink(kept["path"][0])
    read(tmp_path / "red.png", root, model="dall-e-3")
    (again,) = read(root / "elsewhere")["model"]
    assert again == "dall-e-3"

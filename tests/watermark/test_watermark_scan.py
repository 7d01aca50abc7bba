"""Whole folders: every file is a row, in order, whatever it is and however many processes read it."""

import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image, PngImagePlugin
from test_watermark_opening import LABEL, bytes_of_kind

from sdlab.watermark import scanning
from sdlab.watermark.detector import detect_watermark
from sdlab.watermark.dwtdct import embed_watermark
from sdlab.watermark.payloads import PAYLOADS, Payload
from sdlab.watermark.processes import Worker
from sdlab.watermark.scanning import COLUMNS, scan

ASKED = {"payloads": {"sd-v1": PAYLOADS["sd-v1"]}, "search": "none", "false_positive_rate": 1e-6}


def picture(seed):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
        (256, 256), Image.Resampling.BICUBIC
    )
    return (np.asarray(coarse) + rng.normal(0, 5, (256, 256, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One picture of each kind: marked, unmarked, small, with metadata, below, hidden, and four that are none."""
    place = tmp_path_factory.mktemp("pictures")
    (place / "below" / ".hidden").mkdir(parents=True)
    Image.fromarray(embed_watermark(picture(1), "sd-v1")).save(place / "a marked.png")
    Image.fromarray(picture(2)).save(place / "b plain.PNG")
    Image.fromarray(picture(3)[:9, :20]).save(place / "c small.bmp")
    info = PngImagePlugin.PngInfo()
    info.add_text("invokeai_metadata", "{}")
    Image.fromarray(picture(4)).save(place / "below" / "d told.png", pnginfo=info)
    whole = (place / "below" / "d told.png").read_bytes()
    (place / "below" / "e cut.png").write_bytes(whole[: len(whole) // 2])
    (place / "f text.jpg").write_text("no picture")
    (place / "g empty.webp").touch()
    for hidden in ("notes.txt", ".h.png", "below/.hidden/i.png"):
        (place / hidden).write_bytes(whole)
    return place


def test_a_folder_becomes_a_row_a_file_with_what_the_detector_says(folder):
    frame = scan(folder, progress=False)
    assert [os.path.relpath(path, folder) for path in frame["path"]] == [
        "a marked.png",
        "b plain.PNG",
        "c small.bmp",
        "f text.jpg",
        "g empty.webp",
        "below/d told.png",
        "below/e cut.png",
    ]
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS
    marked = detect_watermark(folder / "a marked.png").best
    assert frame.loc[0, ["payload", "log10_p", "detected", "agreement"]].tolist() == [
        "sd-v1",
        marked.log10_p,
        True,
        marked.agreement,
    ]
    assert frame["detected"].tolist() == [True, False, pd.NA, pd.NA, pd.NA, False, pd.NA]
    assert frame["payload"].isna().tolist() == [False] + [True] * 6 and frame[
        "log10_p"
    ].notna().tolist() == [True, True, *[False] * 3, True, False]
    assert frame["small"].tolist() == [False, False, True, pd.NA, pd.NA, False, pd.NA]
    assert frame.loc[2, ["width", "height", "format"]].tolist() == [20, 9, "BMP"]


def test_what_cannot_be_read_is_a_row_that_says_why_and_keeps_what_was_read(folder):
    frame = scan(folder, progress=False).set_axis([*"abcfgde"])
    assert frame.index[frame["error"].isna()].tolist() == [*"abcd"]
    assert (
        frame.loc["f", "error"].startswith("not a picture") and "empty" in frame.loc["g", "error"]
    )
    assert "cut off" in frame.loc["e", "error"] and frame.loc["e", "width"] == 256
    said = "A note in the file says: made with an image generator (InvokeAI)."
    assert frame.loc[["d", "e"], "file_says"].tolist() == [said] * 2
    assert "cut off" in frame.loc["e", "hidden"] and frame["signed"].isna().all()


def test_the_four_parts_are_columns_with_the_words_of_the_detector(folder):
    frame = scan(folder, progress=False)
    for name in ("a marked.png", "b plain.PNG", "c small.bmp", "below/d told.png"):
        row = frame[frame["path"] == str(folder / name)].iloc[0]
        told = detect_watermark(folder / name).answer.columns
        assert {key: None if pd.isna(row[key]) else row[key] for key in told} == told
        assert len(told) == 4 and "SynthID" in told["not_looked_for"]


def test_what_was_passed_over_is_named_with_the_reason_in_the_frame_and_in_the_bar(folder):
    frame = scan(folder, processes=1, progress=False)
    assert {
        os.path.relpath(path, folder): why for path, why in frame.attrs["passed_over"].items()
    } == {
        "notes.txt": "no picture by its name, .txt",
        ".h.png": "hidden",
        "below/.hidden": "hidden",
    }
    sentence = "3 passed over (2 hidden; 1 no picture by its name, .txt)"
    bar = scanning.ScanProgress(7, scanning.count_reasons(frame.attrs["passed_over"]))
    assert str(bar) == f"0 of 7 files read, {sentence}"


def test_a_folder_without_pictures_says_what_is_in_it(tmp_path):
    (tmp_path / "a.raw").touch()
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.warns(UserWarning, match=r"no picture to read, 2 passed over \(1 a link"):
        frame = scan(tmp_path, progress=False)
    assert len(frame) == 0 and len(frame.attrs["passed_over"]) == 2


@pytest.mark.parametrize(
    "name, says", [("a.svg", "drawing"), ("a.heic", "sdlab[heic]"), ("a.jxl", "sdlab[jxl]")]
)
def test_a_kind_whose_pixels_cannot_be_read_is_a_row_that_says_why_and_what_the_file_says(
    tmp_path, monkeypatch, name, says
):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    (tmp_path / name).write_bytes(bytes_of_kind(name, LABEL))
    (row,) = scan(tmp_path, progress=False).itertuples()
    assert says in row.error and says in row.hidden and row.detected is pd.NA
    assert row.file_says == "A note in the file says: made by an AI model."
    inspection = detect_watermark(tmp_path / name)
    assert inspection.answer.columns["file_says"] == row.file_says and inspection.best is None


def test_several_processes_give_the_same_frame_in_the_same_order(folder):
    files = [*scanning.list_files(folder), None, folder / "missing.png"] * 3
    many, one = (
        scan(files, ["sd-v1", "sdxl", "own text"], processes=count, progress=False)
        for count in (2, 1)
    )
    pd.testing.assert_frame_equal(many, one)
    assert many["error"].str.contains("no such file").sum() == 3 and many["path"].isna().sum() == 3


@pytest.mark.parametrize("nothing", ["none*", "nowhere", ""])
def test_a_pattern_or_name_of_nothing_is_an_error(folder, nothing, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(FileNotFoundError, match="there is no such folder or file"):
        scan(nothing)


def test_a_row_does_not_repeat_its_path_in_its_error(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert scan(["./f text.jpg"], progress=False)["error"][0].startswith("not a picture")


@pytest.mark.parametrize(
    "pattern, found", [("*.png", 1), ("**/*.png", 3), ("a*", 1), ("a marked.png", 1), ("[ab]*", 2)]
)
def test_a_pattern_names_files_and_so_does_a_name(folder, pattern, found):
    assert len(scanning.list_files(str(folder / pattern))) == found


def test_nothing_to_read_is_an_empty_frame_with_all_columns(tmp_path):
    for frame in (scan(tmp_path), scan([])):
        assert (
            len(frame) == 0
            and {name: str(dtype) for name, dtype in frame.dtypes.items()} == COLUMNS
        )


def test_the_frame_of_a_run_can_be_scanned_with_its_missing_paths(folder):
    paths = pd.Series([str(folder / "a marked.png"), None, np.nan, pd.NA])
    frame = scan(paths, progress=False)
    assert (
        frame["detected"].tolist() == [True, pd.NA, pd.NA, pd.NA]
        and frame["error"].iloc[1:].str.contains("no path").all()
    )


@pytest.mark.parametrize(
    "given, error, says",
    [
        (dict(paths="/no/such/folder"), FileNotFoundError, "no such folder or file"),
        (dict(paths=5), TypeError, "no list of paths"),
        (dict(paths=b"x"), TypeError, "no path"),
        (dict(paths=[picture(0)]), TypeError, "no path"),
        (dict(paths=[], search="everything"), ValueError, "search"),
        (dict(paths=[], payloads=[]), ValueError, "payloads"),
        (dict(paths=[], false_positive_rate=2), ValueError, "false_positive_rate"),
        (dict(paths=[], processes=0), ValueError, "processes"),
        (dict(paths=[], processes=True), ValueError, "processes"),
    ],
)
def test_a_wrong_request_is_an_error_before_anything_is_read(given, error, says):
    with pytest.raises(error, match=says):
        scan(**given)


def test_a_name_that_is_no_text_is_shown_with_its_bytes(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"a\xff.bmp")
    with open(name, "wb") as file:
        Image.new("RGB", (1, 1)).save(file, "BMP")
    frame = scan(tmp_path, progress=False)
    assert frame["path"].str.endswith(r"a\udcff.bmp").all() and frame["error"].isna().all()


def test_a_file_that_kills_its_process_is_named_and_the_next_one_is_read(folder):
    worker = Worker(ASKED, scanning.read_row)
    try:
        first = worker.ask(str(folder / "a marked.png"))
        worker.process.kill()
        died, again = (
            worker.ask(str(folder / "a marked.png")),
            worker.ask(str(folder / "a marked.png")),
        )
    finally:
        worker.stop()
    assert "died (exit status -9)" in died and first["detected"] and again == first


def test_a_scan_that_is_given_up_leaves_no_process(folder):
    rows = scanning.read_rows([str(folder / "a marked.png")] * 1000, ASKED, 2)
    next(rows)
    workers = list(rows.gi_frame.f_locals["answers"].gi_frame.f_locals["workers"])
    processes = [worker.process for worker in workers if worker.process]
    rows.close()
    assert processes and {process.returncode for process in processes} == {-signal.SIGKILL}
    with pytest.raises(RuntimeError, match="over"):
        workers[0].start()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_ends_a_scan_and_its_processes_at_once(folder):
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from sdlab.watermark import scanning\nscanning.ScanProgress.add = lambda self, row: print('a row', flush=True)\n"
        f"scanning.scan([{str(folder / 'a marked.png')!r}] * 9999, processes=2)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "a row\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors and process.returncode in (-signal.SIGINT, 1, 130)


def test_the_bar_counts_files_hits_and_errors():
    reading = scanning.ScanProgress(4)
    for detected, error in ((True, None), (False, None), (None, "no picture")):
        reading.add({"detected": detected, "error": error})
    assert (
        str(reading).startswith("3 of 4 files read, 1 marked, 1 unreadable, ")
        and reading.fraction == 0.75
    )
    reading.state = "stopped"
    assert str(reading) == "3 of 4 files read, 1 marked, 1 unreadable (stopped)"


def test_a_payload_of_ones_own_reaches_the_other_processes(folder, tmp_path):
    own = Payload(
        "mine", np.resize([1, 0, 0, 1, 1, 1, 0], 63) ^ np.eye(63, dtype=int)[5], "float32"
    )
    Image.fromarray(embed_watermark(picture(9), own)).save(tmp_path / "a.png")
    assert scan([tmp_path / "a.png"] * 2, own, processes=2, progress=False)["payload"].tolist() == [
        "mine",
        "mine",
    ]

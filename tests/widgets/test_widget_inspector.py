"""`WatermarkInspector` without a browser: what it says, what its page may ask, and what a hostile or lossy page cannot do."""

import ast
import base64
import html
import io
import json
import os
import queue
import threading
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import sdlab.models.pipeline
import sdlab.widgets.inspector.inspector
import sdlab.widgets.inspector.work as work
from sdlab import Request, Store, detect_watermark, run, sweep
from sdlab.recipe.request import FIELDS
from sdlab.results.gallery.gallery import make_thumbnail as make_small
from sdlab.results.pairs import draw_difference
from sdlab.results.sections import show_picture
from sdlab.watermark import embed_watermark, scan
from sdlab.watermark.detector import SHARES
from sdlab.watermark.inspection import A_HIT, A_MISS, describe_geometry
from sdlab.watermark.maps import draw_residues
from sdlab.watermark.places import Geometry
from sdlab.widgets import WatermarkInspector
from sdlab.widgets.arrivals import MOST_BYTES, PART, Arrival, Arrivals, make_safe_name
from sdlab.widgets.inspector.answer import name_button, write_answer, write_headline, write_page
from sdlab.widgets.inspector.code import write_how
from sdlab.widgets.inspector.kept import KeptSearches
from sdlab.widgets.inspector.pictures import AT_WORK, WAITING, draw_view, send_thumbnails
from sdlab.widgets.pictures import make_thumbnail

TINY = Request(prompt="a hamster", guidance_scale=3, num_inference_steps=2, seed=7)
FOUND = ["payload", "detected", "log10_p", "geometry", "official"]


def picture(side=256, seed=0):
    """Soft noise, in which a mark holds."""
    noise = np.random.default_rng(seed).integers(40, 216, (side // 8, side // 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """marked, plain, small, broken: and the current folder; nothing was searched before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work, "searched", work.Searched())
    (tmp_path / "in").mkdir()
    embed_watermark(picture(), "sd-v1").save("in/marked.png")
    picture().save("in/plain.png")
    picture(64).save("in/small.png")
    (tmp_path / "in/broken.png").write_bytes((tmp_path / "in/plain.png").read_bytes()[:5000])
    return tmp_path


@pytest.fixture
def frame(folder):
    """Two rows that differ in nothing but the mark, as `run` returns them."""
    base = Request(prompt="a cat", height=256, width=256)
    rows = [
        {
            "key": str(n),
            **dict.fromkeys(FIELDS),
            **request.to_dict(),
            "path": f"in/{name}.png",
            "error": None,
        }
        for n, (request, name) in enumerate(
            [(base.but(watermark="sd-v1"), "marked"), (base, "plain")]
        )
    ]
    return pd.DataFrame(rows, index=["a", "b"]).convert_dtypes()


def listening(inspector):
    """A function that asks as the page does, and returns the answer: (content, buffers)."""
    sent = queue.Queue()
    inspector.send = lambda content, buffers=None: sent.put((content, buffers or []))

    def ask(kind, buffers=(), **content):
        inspector._hear(
            inspector, {"kind": kind, "id": "q", **content}, [memoryview(data) for data in buffers]
        )
        return sent.get(timeout=60)

    return ask


def drop(ask, name, data, file="f1", part=PART):
    """Sends a file in parts; the last answer."""
    for at in range(0, len(data), part):
        answer, _ = ask("part", [data[at : at + part]], file=file, name=name, size=len(data), at=at)
    return answer


def png(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


# What it finds


def test_the_value_says_what_scan_says_of_the_same_files(folder):
    value = WatermarkInspector("in").value
    expected = scan("in", progress=False)
    assert value["path"].tolist() == expected["path"].tolist() and value["detected"].sum() == 1
    pd.testing.assert_frame_equal(value[FOUND], expected[FOUND])
    assert (value["error"].isna() == expected["error"].isna()).all()


def test_a_picture_of_which_only_the_file_can_be_read_is_told_and_not_called_unmarked(folder):
    (folder / "in/drawing.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    inspector = WatermarkInspector("in/drawing.svg")
    assert "no pixels of its own" in inspector.value["error"][0] and inspector.states == "xn"
    assert inspector.value["detected"].isna().all()
    told, _ = listening(inspector)("tell", cell=0)
    assert len(told["parts"]) == 4 and told["rows"] == [] and "drawing" in told["about"]
    assert drop(listening(inspector), "b.svg", b"<svg></svg>")["kind"] == "added"


def test_a_trust_list_reaches_the_code_and_a_wrong_one_is_refused(folder):
    with pytest.raises(ValueError, match="BEGIN CERTIFICATE"):
        WatermarkInspector(["in/plain.png"], trust_anchors=__file__)
    assert "trust_anchors='x.pem'" in write_how(1e-6, folder.__class__("x.pem"))


def test_the_words_are_those_of_the_detector(folder):
    inspector = WatermarkInspector(["in/marked.png", picture(), np.asarray(picture())])
    assert inspector.wait(60)
    assert [found.words for found in inspector.inspections] == inspector.value["words"].tolist()
    assert inspector.inspections[0].words == detect_watermark("in/marked.png").words
    assert inspector.value["path"].isna().tolist() == [False, True, True]


def test_a_frame_keeps_its_columns_and_its_index(frame):
    value = WatermarkInspector(frame).value
    own = [name for name in frame.columns if name != "error"]
    pd.testing.assert_frame_equal(value[own], frame[own])
    assert value["payload"].fillna("none").tolist() == ["sd-v1", "none"]


def test_a_row_without_a_picture_is_told_with_its_error_and_never_tested(frame):
    frame.loc["b", ["path", "error"]] = [pd.NA, "out of memory"]
    inspector = WatermarkInspector(frame)
    assert inspector.value["error"].tolist()[1] == "out of memory"
    assert inspector.states == "+nx-" and inspector.inspections[1] is None


def test_verdicts_come_as_letters_that_the_page_puts_into_glyphs_and_words(folder):
    inspector = WatermarkInspector(
        [f"in/{name}.png" for name in ("marked", "plain", "small", "broken")]
    )
    inspector.wait()
    assert inspector.states == "+n-nsnx-"
    assert (
        len({glyph for glyph, _ in inspector.verdicts.values()})
        == len({words for _, words in inspector.verdicts.values()})
        == 7
    )


def test_the_answer_begins_with_the_verdict_in_plain_words(folder):
    inspector = WatermarkInspector("in")
    inspector.wait()
    ask = listening(inspector)
    answers = {name: ask("tell", cell=i)[0] for i, name in enumerate(inspector.names)}
    headline = answers["marked.png"]["headline"]
    assert headline.startswith("Hidden in the pixels: the mark sd-v1, which is written by")
    assert headline.endswith("Stable Diffusion 1.1 to 1.5. Anyone can add such a mark.")
    assert answers["plain.png"]["headline"].startswith("Nothing was found")
    for name, last in (("marked.png", A_HIT), ("plain.png", A_MISS)):
        answer = detect_watermark(f"in/{name}").answer
        assert answers[name]["sentences"] == list(map(name_button, answer.sentences[1:]))
        assert name_button(answer.unknown) == answers[name]["sentences"][-1]
        parts = [[part.title, list(map(name_button, part.lines))] for part in answer.parts]
        assert answers[name]["parts"] == parts
        assert answers[name]["parts"][2][1][-1] == last
    assert (
        "cannot be read" in answers["broken.png"]["headline"]
        and "damaged" in answers["broken.png"]["sentences"][0]
    )
    assert [row[0] for row in answers["marked.png"]["rows"] if row[-1]] == ["sd-v1"]


# Searches


A1111 = (
    "a castle\nNegative prompt: fog\n"
    "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x640, Model: dreamy"
)


def with_text(path, name, text):
    info = PngInfo()
    info.add_text(name, text)
    picture(64).save(path, pnginfo=info)
    return str(path)


def test_the_recipe_in_the_file_is_told_in_words_and_as_a_request(folder):
    ours = run([TINY], Store("runs"), progress=False)["path"][0]
    inspector = WatermarkInspector([ours, with_text("a.png", "parameters", A1111), "in/plain.png"])
    ask = listening(inspector)
    inspector.wait()
    told = [ask("tell", cell=i)[0] for i in range(3)]
    assert ["guidance_scale", "3"] in told[0]["recipe"] and told[2]["recipe"] == []
    assert dict(told[1]["recipe"])["negative_prompt"] == "fog"
    made = [inspector.request]
    inspector.chosen = 1
    made.append(inspector.request)
    assert (made[0].prompt, made[0].seed) == (TINY.prompt, TINY.seed)
    assert (made[1].width, made[1].height, made[1].num_inference_steps) == (512, 640, 20)
    for one, request in zip(told, made):
        scope = {}
        exec(one["request"].replace("SweepForm(", "made = dict(request="), scope)
        assert scope["made"]["request"] == request
    inspector.chosen = 2
    with pytest.raises(ValueError, match="plain.png states no recipe"):
        _ = inspector.request


def test_what_is_known_stays_while_a_picture_is_searched_again(folder):
    inspector = WatermarkInspector(["in/marked.png", "in/broken.png"])
    inspector.wait()
    picture, broken = inspector._pictures
    before = write_answer(picture, picture.verdict)
    for letter, said in ((WAITING, "waits to be searched"), (AT_WORK, "is being searched")):
        told = write_answer(picture, letter)
        assert told["headline"] == before["headline"] and told["parts"] == before["parts"]
        assert said in told["sentences"][0] and told["sentences"][1:] == before["sentences"]
        assert said in told["text"] and told["headline"][:30] in told["text"]
    assert "is being tested" in write_headline(broken, AT_WORK)


def test_the_figures_of_a_page_are_explained_and_its_heading_is_short(folder):
    inspector = WatermarkInspector(["in/marked.png", "in/plain.png"])
    inspector.wait()
    (page,), (other,) = (listening(inspector)("page", cell=i)[1] for i in (0, 1))
    heading = page.decode().split("<h1>")[1].split("</h1>")[0]
    assert len(heading) < 200 and "NoAI" not in heading and "chance" not in heading
    assert "NoAI" in page.decode() and "p is the chance" in page.decode()
    assert "its kin" in page.decode() and "its kin" not in other.decode()


def test_a_small_picture_without_a_mark_stays_too_small_after_a_search(folder):
    picture().crop((0, 0, 246, 247)).save("in/cut.png")
    inspector = WatermarkInspector("in/cut.png", search="crop")
    ask = listening(inspector)
    inspector.wait()
    told = ask("tell", cell=0)[0]
    assert inspector.states == "sc" and "246x247" in told["headline"]
    assert "is what to expect, marked or not" in told["headline"]
    embed_watermark(picture(512), "sd-v1").crop((0, 0, 255, 256)).save("in/part.png")
    inspector.add("in/part.png")
    inspector.wait()
    assert inspector.states == "sc+c"


def test_no_json_is_cut_in_the_answer(folder):
    long = {
        "prompt": "a " + "very " * 20 + "old castle",
        **{f"field{n}": "x" * 30 for n in range(30)},
    }
    path = with_text("a.png", "sdlab", json.dumps({"request": long}))
    text = detect_watermark(path).answer.parts[0].lines[0]
    assert '{"' not in text and "prompt a very very" in text and "more" in text


def test_the_answer_is_passed_on_whole_as_text_and_as_a_page(folder):
    inspector = WatermarkInspector([with_text("<i>.png", "parameters", A1111)])
    ask = listening(inspector)
    inspector.wait()
    told = ask("tell", cell=0)[0]
    for part in (*told["sentences"], *(line for _, lines in told["parts"] for line in lines)):
        assert part in told["text"]
    assert "negative_prompt: fog" in told["text"]
    message, (page,) = ask("page", cell=0)
    text = page.decode()
    assert message["name"] == "<i>.html" and "&lt;i&gt;.png" in text and "<i>" not in text
    assert "<td" in text and "fog" in text and "SHA-256 of the file: " in text
    assert text.count("data:image/webp") == 1 and "<script" not in text


def test_what_a_search_may_find_is_told_with_its_button_and_no_python(folder):
    inspector = WatermarkInspector(["in/plain.png", "in/small.png"])
    inspector.wait()
    ask = listening(inspector)
    assert "search='all'" in detect_watermark("in/plain.png").answer.unknown  # who calls it, writes
    for cell in (0, 1):
        told, (page,) = ask("tell", cell=cell)[0], ask("page", cell=cell)[1]
        said = f"{told} {page.decode()} {inspector.static()}".replace("&#39;", "'")
        assert (
            "search=" not in said and "“Search this picture” in sdlab's inspector" in told["text"]
        )
    shown = (Path(work.__file__).parent / "answer.js").read_text()
    assert 'button("Search this picture"' in shown


def test_the_time_of_a_search_is_told_by_the_pixels_and_learned(folder):
    pace = work.Pace()
    assert pace.guess("all", 24) > 4 * pace.guess("all", 0.25) > 4
    pace.note("all", 24, 2 * pace.guess("all", 24))
    assert pace.guess("all", 0.25) == pytest.approx(2 * work.Pace().guess("all", 0.25))
    inspector = WatermarkInspector(["in/plain.png"])
    ask = listening(inspector)
    inspector.wait()
    told = ask("tell", cell=0)[0]
    assert told["megapixels"] == "0.066" and set(told["pace"]) == {"all", "crop", "size"}


def test_what_was_added_last_is_searched_first_and_all_is_estimated(folder, monkeypatch):
    inspector = WatermarkInspector(["in/plain.png", "in/marked.png", "in/broken.png"])
    picture(512, 3).save("in/added.png")
    inspector.add("in/added.png")
    inspector.wait()
    ask, searched = listening(inspector), []
    single = [work.Pace().guess("crop", side**2 / 1e6) for side in (256, 512)]
    inspector._work.pace = work.Pace()
    told = ask("estimate", search="crop")[0]
    assert told["text"] == f"about {work.say_seconds(sum(single))}"
    assert ask("estimate", search="?")[0]["kind"] == "error"
    monkeypatch.setattr(
        work,
        "detect_watermark",
        lambda source, **asked: searched.append(source) or detect_watermark(source),
    )
    inspector.inspect(search="crop")
    inspector.wait()
    assert searched == ["in/added.png", "in/plain.png"]


def test_the_bar_moves_by_the_clock_while_a_test_has_no_steps_to_tell_of(folder, monkeypatch):
    gate, seen = threading.Event(), []

    def slow(*_, **__):
        gate.wait(60)
        raise ValueError("enough")

    monkeypatch.setattr(work, "detect_watermark", slow)
    monkeypatch.setattr(work, "TICK", 0.01)
    inspector = WatermarkInspector(["in/plain.png"])
    inspector.observe(lambda change: seen.append(change.new), "fraction")
    end = time.monotonic() + 60
    while len({value for value in seen if 0 < value < 1}) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    gate.set()
    assert inspector.wait(60)
    rising = [value for value in seen if 0 < value < 1]
    assert len(rising) > 1 and rising == sorted(rising)


def test_a_search_on_demand_finds_a_cropped_picture(folder):
    embed_watermark(picture(512), "sd-v1").crop((20, 13, 420, 400)).save("in/cropped.png")
    inspector = WatermarkInspector("in/cropped.png")
    assert not inspector.value["detected"].any()
    listening(inspector)("inspect", cells=[0], search="crop")
    assert inspector.value["payload"].tolist() == ["sd-v1"] and inspector.states == "+c"
    assert "detect_watermark('in/cropped.png', search='crop')" in inspector.code
    told, _ = listening(inspector)("tell", cell=0)
    where = (
        "part of a larger picture: about 20 pixels were cut off at the left and 13 at the top, by"
        " the likeliest of several readings"
    )
    assert f"It was found as {where}." in " ".join(told["parts"][2][1])
    assert where in inspector.static()


@pytest.mark.parametrize(
    "geometry, words",
    [
        (Geometry(), "it is"),
        (
            Geometry(mirrored=True, size=(640, 512)),
            "a mirrored picture and a picture resized from 640x512",
        ),
        (
            Geometry(cut=(1, 0), row=512),
            "part of a larger picture: about 1 pixel was cut off at the left, by the likeliest of"
            " several readings",
        ),
        (
            Geometry(cut=(0, 13)),
            "part of a larger picture: about 13 pixels were cut off at the top, by the likeliest of"
            " several readings",
        ),
        (
            Geometry(cut=(0, 0)),
            "part of a larger picture, cut at the right or at the bottom, by the likeliest of"
            " several readings",
        ),
        (
            Geometry(cut=(876, 0), row=1344, page=(20, 40, 256)),
            "a picture that stands inside this one, as on a page or in a frame, and begins about 20"
            " pixels from the left and 40 from the top (or, less likely, as part of a larger one:"
            " about 876 pixels were cut off at the left)",
        ),
        (
            Geometry(cut=(0, 0), row=1344, page=(0, 0, 256)),
            "a picture that stands inside this one, as on a page or in a frame, and begins at the"
            " upper left corner (or, less likely, as part of a larger one, cut at the right or at"
            " the bottom)",
        ),
    ],
)
def test_where_a_mark_was_found_is_told_in_plain_words(geometry, words):
    assert describe_geometry(geometry) == words


def test_a_question_that_comes_several_times_is_done_once(folder, monkeypatch):
    inspector, tested = WatermarkInspector("in/plain.png"), []
    inspector.wait()
    monkeypatch.setattr(
        work,
        "detect_watermark",
        lambda *images, **asked: tested.append(images) or detect_watermark(*images, **asked),
    )
    ask = listening(inspector)
    for _ in range(2):  # while it is being done, and when it is done
        for _ in range(2):
            ask("inspect", cells=[0], search="size")
        inspector.wait()
    assert tested == [("in/plain.png",)] and inspector.states == "-s"


def test_what_a_search_has_found_is_known_when_python_has_been_started_anew(folder, monkeypatch):
    cropped, text = embed_watermark(picture(512), "sd-v1").crop((20, 13, 420, 400)), PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler, Seed: 1")
    cropped.save("in/cropped.png", pnginfo=text)
    files, there = ["in/cropped.png", "in/plain.png"], {"folder": "mine/inspected"}
    Path("mine").mkdir()
    first = WatermarkInspector(files, **there)
    first.wait()
    first.inspect(search="crop")
    first.wait()
    assert first.states == "+c-c"
    monkeypatch.setattr(work, "searched", work.Searched())  # as a new kernel has it
    again = WatermarkInspector(files, **there)
    again.wait()
    assert again.states == "+c-c" and "not searched" not in again.static()
    for before, now in zip(first.inspections, again.inspections):
        assert repr(now) == repr(before) and now.provenance == before.provenance
        assert [f.payload for f in now.findings] == [f.payload for f in before.findings]
    monkeypatch.setattr(work, "searched", work.Searched())
    kept = Path("mine/inspected.jsonl")
    whole = kept.read_text()  # before another version adds what it finds
    with monkeypatch.context() as later:  # another detector may find another thing
        later.setattr("sdlab.widgets.inspector.kept.version", lambda name: "99.0")
        newer = WatermarkInspector(files, **there)
        newer.wait()
        assert newer.states == "-n-n"
    assert '"page": null' in whole  # what was kept before that was told from a cut is tested anew
    kept.write_text(whole.replace(', "page": null', ""))
    monkeypatch.setattr(work, "searched", work.Searched())
    before = WatermarkInspector(files, **there)
    before.wait()
    assert before.states == "-n-c"
    kept.write_text(whole)
    kept.write_bytes(kept.read_bytes()[:-9])  # a torn line is not read, and the others are
    torn = WatermarkInspector(files, **there)
    torn.wait()
    assert torn.states == "-n-c"  # it was searched first
    kept.write_text(kept.read_text().replace("swapped_by", "of another version"))
    monkeypatch.setattr(work, "searched", work.Searched())
    other = WatermarkInspector(files, **there)
    other.wait()
    assert other.states == "-n-n"


def test_what_a_quick_test_has_found_is_known_too_and_no_measure_of_how_long_one_takes(
    folder, monkeypatch
):
    Path("mine").mkdir()
    files, tested = ["in/marked.png", "in/plain.png"], []
    monkeypatch.setattr(
        work,
        "detect_watermark",
        lambda *images, **asked: tested.append(images) or detect_watermark(*images, **asked),
    )
    for _ in range(2):
        inspector = WatermarkInspector(files, folder="mine/inspected")
        inspector.wait()
        assert inspector.states == "+n-n" and len(tested) == 2
    assert inspector._work.pace.guess("none", 1) == work.Pace().guess("none", 1)
    kept = KeptSearches(Path("mine/inspected"))
    for n in range(3):  # what it wrote itself it need not read again
        kept.keep_beside((f"{n}",), "seen", False)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("read again"))
    assert kept.recall_beside(("1",)) == ("seen", False)


def test_a_page_tells_when_the_picture_was_looked_at_and_not_when_it_was_saved(folder, monkeypatch):
    class Clock(datetime):
        hour = 9

        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 2, cls.hour, 30, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr(work, "datetime", Clock)
    Path("mine").mkdir()

    def look(search="none"):
        inspector = WatermarkInspector("in/plain.png", folder="mine/inspected", search=search)
        inspector.wait()
        return write_page(inspector.picture, "-").decode()

    at = Clock.now().astimezone()
    assert f"Looked at {at:%d %B %Y, %H:%M %Z}." in look("crop")
    Clock.hour = 15
    assert f"Looked at {at:%d %B %Y, %H:%M %Z}." in look()
    monkeypatch.setattr(work, "searched", work.Searched())  # as a new kernel has it
    assert f"Looked at {at:%d %B %Y, %H:%M %Z}." in look()
    kept = Path("mine/inspected.jsonl")
    (said,) = map(json.loads, kept.read_text().splitlines())
    assert datetime.fromisoformat(said["found"].pop("when")) == at
    kept.write_text(json.dumps(said))  # as it was kept before the time was
    monkeypatch.setattr(work, "searched", work.Searched())
    page = look()
    assert "as if it had been cropped" in page and "Looked at" not in page


def test_what_a_search_has_found_is_known_when_the_file_is_given_again(folder):
    embed_watermark(picture(512), "sd-v1").crop((20, 13, 420, 400)).save("in/cropped.png")
    first = WatermarkInspector("in/cropped.png")
    first.wait()
    assert first.states == "-n" and "no mark found (not searched)" in first.static()
    first.inspect([0], "crop")
    first.wait()
    Path("in/cropped.png").rename("in/again.png")
    again = WatermarkInspector(["in/again.png", "in/plain.png"])
    again.wait()
    assert again.states == "+c-n" and again.names[0] == "again.png"
    again.inspect([0], "size")  # finds none, and takes nothing back
    again.wait()
    third, other = (
        WatermarkInspector("in/again.png"),
        WatermarkInspector("in/again.png", payloads="sdxl"),
    )
    third.wait()
    other.wait()
    assert (third.states, other.states) == ("+c", "-n")


def test_stop_ends_a_search_and_resume_goes_on(folder, monkeypatch):
    begun, at_work, go_on = threading.Event(), threading.Event(), threading.Event()

    def slow(source, *, progress, search, **asked):
        at_work.set()
        while not go_on.is_set():
            begun.wait(0.01)
            progress("cut", 0.5)
        return detect_watermark(source)

    monkeypatch.setattr(work, "detect_watermark", slow)
    inspector = WatermarkInspector(["in/marked.png", "in/plain.png"], search="crop")
    assert at_work.wait(60) and inspector.state == "running" and not inspector.wait(0.01)
    said = []
    inspector.observe(lambda change: said.append(change.new), "status")
    listening(inspector)("stop")
    assert inspector.wait(60) and inspector.states == "?-?-"
    after = [text for text in said if "searching" not in text]  # as it was told until the click
    assert after[0] == "stopping: marked.png stays as it was before …"
    assert inspector.status == "2 pictures: 2 not tested; you stopped the search of marked.png"
    go_on.set()
    inspector.resume()
    assert (
        inspector.value["detected"].tolist() == [True, False] and "stopped" not in inspector.status
    )


def test_what_the_clock_tells_while_the_end_is_told_does_not_call_it_running(folder, monkeypatch):
    monkeypatch.setattr(sdlab.widgets.inspector.inspector, "PAUSE", -1)
    monkeypatch.setattr(WatermarkInspector, "refresh", lambda self: self._news())
    inspector = WatermarkInspector(["in/plain.png"])
    assert inspector.wait(60) and inspector.state == "idle"


def test_the_share_that_is_done_rises_through_all_the_ways_of_a_search():
    for search, ways in SHARES.items():
        steps = [(way, share) for way in ways for share in (0, 0.5, 1)]
        done = [work.measure_share(search, *step) for step in steps]
        assert done == sorted(done) and (done[0], done[-1]) == (0, pytest.approx(1))


def test_a_map_is_drawn_once_however_often_the_page_asks_and_nothing_else_waits(
    folder, monkeypatch
):
    inspector, go_on, drawn, opened = WatermarkInspector("in/plain.png"), threading.Event(), [], []
    inspector.wait()
    ask, heard = listening(inspector), threading.Event()

    def draw(*asked):
        drawn.append(asked[1])
        go_on.wait(60)
        return {"kind": "view"}, []

    monkeypatch.setattr(sdlab.widgets.inspector.inspector, "draw_view", draw)
    for n in (1, 2, 1, 2, 1):
        question = {"kind": "view", "id": f"v{n}", "cell": 0, "what": f"{n}", "payload": "sd-v1"}
        inspector._hear(inspector, question, [])
    inspector.own_form = lambda given: opened.append(given) or heard.set()
    assert ask("open", cell=0)[0] == {"kind": "opening", "re": "q"}
    assert heard.wait(60) and opened == [Path("in/plain.png")] and drawn == ["1"]
    go_on.set()
    ask("view", cell=0, what="last", payload="sd-v1")
    end = time.monotonic() + 60
    while "last" not in drawn and time.monotonic() < end:
        time.sleep(0.01)
    assert drawn == ["1", "2", "last"]


# Files from the page


def test_a_file_comes_in_parts_and_some_of_them_twice(folder):
    inspector = WatermarkInspector()
    ask, data = listening(inspector), png(picture(seed=3))
    for at in [0, 10_000, 10_000, *range(20_000, len(data), 10_000)]:
        answer, _ = ask(
            "part", [data[at : at + 10_000]], file="f", name="a.png", size=len(data), at=at
        )
    again, _ = ask("part", [data[at:]], file="f", name="a.png", size=len(data), at=at)
    assert answer["kind"] == "added" and answer["cell"] == again["cell"] == 0
    assert (folder / "runs/inspected/a.png").read_bytes() == data
    assert inspector.value["path"].tolist() == [os.path.join("runs/inspected", "a.png")]


def test_the_same_content_is_one_file_and_other_content_gets_another_name(folder):
    inspector = WatermarkInspector()
    ask, one, other = (
        listening(inspector),
        png(picture(seed=1), "BMP"),
        png(picture(seed=2), "BMP"),
    )  # of one size
    answers = [
        drop(ask, "a.bmp", data, file)
        for data, file in ((one, "1"), (other, "2"), (one, "3"), (other, "4"))
    ]
    assert [answer["cell"] for answer in answers] == [0, 1, 0, 1]
    assert inspector.names == ["a.bmp", "a-2.bmp"] and sorted(os.listdir("runs/inspected")) == [
        "a-2.bmp",
        "a.bmp",
    ]
    assert (folder / "runs/inspected/a.bmp").read_bytes() == one


@pytest.mark.parametrize(
    "name, kept",
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.png", "y.png"),
        ("a\0b\n.png", "a_b_.png"),
        (".hidden", "hidden"),
        ("..", "picture"),
        ("", "picture"),
        ("con.png", "picture con.png"),
        ("Ünï 写真.jpg", "Ünï 写真.jpg"),
        ("$(rm).png", "_(rm).png"),
    ],
)
def test_names_of_files_lead_nowhere_else(name, kept):
    assert make_safe_name(name) == kept
    assert len(make_safe_name("x" * 300 + ".png")) == 100


@pytest.mark.parametrize(
    "data, why",
    [(b"no picture", "not a picture"), (png(Image.new("1", (12_000, 12_000))), "megapixels")],
)
def test_what_is_no_picture_or_far_too_large_is_refused_and_not_kept(folder, data, why):
    inspector = WatermarkInspector()
    ask = listening(inspector)
    refused = drop(ask, "x.png", data, "bad")
    added = drop(ask, "y.png", png(picture()), "good")
    assert refused["kind"] == "refused" and why in refused["text"] and "runs" not in refused["text"]
    assert added["kind"] == "added" and os.listdir("runs/inspected") == ["y.png"]


@pytest.mark.parametrize(
    "size, at, data",
    [
        (MOST_BYTES + 1, 0, b"x"),
        (0, 0, b""),
        (10, 8, b"xyz"),
        (10, -1, b"x"),
        (2 * PART, 0, bytes(PART + 1)),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, size, at, data):
    with pytest.raises(ValueError):
        Arrivals(tmp_path).part("f", "a.png", size, at, data)


def test_a_link_in_the_folder_is_not_written_through(tmp_path):
    (tmp_path / "secret").write_bytes(b"mine")
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere")
    path = Arrivals(tmp_path).keep(Arrival("a.png", bytearray(png(picture(64)))))
    assert path.name == "a-2.png" and not (tmp_path / "elsewhere").exists()


# What the page shows


def test_only_what_is_asked_for_and_can_be_read_is_sent_as_a_thumbnail(folder):
    inspector = WatermarkInspector([f"in/{name}.png" for name in ("marked", "broken", "plain")])
    content, buffers = listening(inspector)("want", cells=[0, 1, 99], px=48)
    assert content["shown"] == [0] and len(buffers) == 1
    assert Image.open(io.BytesIO(buffers[0])).size == (48, 48)


def test_the_map_is_that_of_the_picture(folder):
    content, (data,) = listening(WatermarkInspector("in/marked.png"))(
        "view", cell=0, what="residue", payload="sd-v1"
    )
    assert (
        np.asarray(Image.open(io.BytesIO(data)))
        == np.asarray(draw_residues("in/marked.png", "sd-v1"))
    ).all()
    assert "sd-v1" in content["caption"] and len(content["legend"]) == 3


@pytest.mark.parametrize(
    "name, payloads, first",
    [
        ("plain", None, "sd-v1"),
        ("plain", ["sd-v2", "sd-v1"], "sd-v1"),
        ("plain", ["flux-1", "sdxl"], "flux-1"),
        ("marked", ["flux-1", "sd-v1"], "sd-v1"),
    ],
)
def test_the_maps_shown_at_first_are_of_the_mark_found_or_of_the_one_expected(
    folder, name, payloads, first
):
    inspector = WatermarkInspector(f"in/{name}.png", **({"payloads": payloads} if payloads else {}))
    inspector.wait()
    assert listening(inspector)("tell", cell=0)[0]["best"] == first


@pytest.mark.parametrize("what", ["residue", "evidence"])
def test_a_map_of_a_mark_that_was_not_found_says_that_there_is_nothing_to_see(folder, what):
    inspector = WatermarkInspector(["in/marked.png", "in/plain.png"])
    inspector.wait()
    captions = [
        listening(inspector)("view", cell=i, what=what, payload="sd-v1")[0]["caption"]
        for i in (0, 1)
    ]
    assert ["nothing to see: sd-v1 was not found" in caption for caption in captions] == [
        False,
        True,
    ]


def test_the_difference_is_that_to_the_unmarked_twin_or_else_what_marking_again_would_change(frame):
    marked, plain = (Image.open(f"in/{name}.png") for name in ("marked", "plain"))
    views = [
        listening(WatermarkInspector(images))("view", cell=0, what="difference", payload="sd-v2")
        for images in (frame, "in/plain.png")
    ]
    expected = [
        draw_difference(plain, marked, gain=20),
        draw_difference(plain, embed_watermark(plain, "sd-v2"), gain=20),
    ]
    for (content, (data,)), picture_, words in zip(
        views, expected, ("without a mark", "would change")
    ):
        assert (
            np.asarray(Image.open(io.BytesIO(data))) == np.asarray(picture_)
        ).all() and words in content["caption"]


def test_a_picture_that_is_too_small_says_so_in_place_of_its_map(folder):
    content, buffers = listening(WatermarkInspector("in/small.png"))(
        "view", cell=0, what="residue", payload="sd-v1"
    )
    assert buffers == [] and "65,536" in content["error"]


def test_a_question_about_a_picture_that_is_not_there_is_answered_with_an_error(folder):
    content, _ = listening(WatermarkInspector("in/plain.png"))("tell", cell=7)
    assert content["kind"] == "error" and content["re"] == "q" and "no picture 7" in content["text"]


# Without a kernel, without clicking


def test_the_code_gives_the_same_verdicts(folder):
    inspector = WatermarkInspector("in", payloads=["sd-v1", b"mine"], false_positive_rate=1e-4)
    value = inspector.value
    inspector.chosen = inspector.names.index("marked.png")
    calls = inspector.code.split("\n\n")
    scope = {}
    exec(calls[0], scope)
    assert eval(calls[1], scope).words == value["words"][inspector.chosen]
    assert eval(calls[2], scope)[FOUND].equals(value[FOUND])


def test_the_code_of_a_frame_makes_the_frame_again_and_scans_it(frame):
    inspector = WatermarkInspector(frame)
    inspector.wait()
    compile(inspector.code, "code", "exec")
    assert (
        "sweep(base, watermark=['sd-v1', None])" in inspector.code
        and 'scan(results["path"])' in inspector.code
    )


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_code_of_pictures_that_were_run_gives_the_same_verdicts(
    random_v1, tmp_path, monkeypatch, elsewhere
):
    base = Request(
        model=str(random_v1), prompt="a cat", num_inference_steps=1, height=256, width=256
    )
    results = run(sweep(base, watermark=[None, "sd-v1"]), Store(tmp_path / "mine"), progress=False)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other" if elsewhere else tmp_path)
    inspector = WatermarkInspector(results)
    expected = inspector.value[["path", *FOUND]]
    code = inspector.code.replace("Store('runs/mine')", f"Store({str(tmp_path / 'mine')!r})")
    *lines, last = ast.parse(code).body
    scope = {}
    exec(compile(ast.Module(lines, []), "code", "exec"), scope)
    again = eval(ast.unparse(last), scope)
    assert again[FOUND].equals(expected[FOUND]) and expected["payload"].tolist()[1] == "sd-v1"
    assert all(
        map(os.path.samefile, again["path"], expected["path"])
    )  # found there, not made again
    sdlab.models.pipeline.unload()


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.rows, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        elif tag == "img":
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        if self.rows and data.strip():
            self.rows[-1].append(data)


def test_the_static_picture_tells_the_whole_story(folder):
    inspector = WatermarkInspector("in")
    inspector.wait()
    table = Cells(inspector.static())
    rows = {row[0]: row[1] for row in table.rows[1:]}
    assert (
        rows["marked.png"] == "● marked: sd-v1"
        and rows["plain.png"] == "○ no mark found (not searched)"
    )
    assert [picture_["alt"] for picture_ in table.pictures] == [
        "marked.png",
        "plain.png",
        "small.png",
    ]
    assert A_HIT in inspector.static() and A_MISS in inspector.static()


def test_it_is_said_which_pictures_were_searched(folder):
    inspector = WatermarkInspector(["in/small.png", "in/plain.png", "in/marked.png"])
    inspector.wait()

    def verdicts():
        return [row[1] for row in Cells(inspector.static()).rows[1:]]

    assert verdicts()[:2] == ["◇ too small (not searched)", "○ no mark found (not searched)"]
    inspector.inspect([0], "size")
    inspector.wait()
    assert verdicts()[0] == "◇ too small (searched)"
    assert inspector._list_open("size") == [1] and inspector._list_open("crop") == [1, 0]
    inspector.inspect(search="size")
    inspector.wait()
    assert verdicts() == ["◇ too small (searched)", "○ no mark found (searched)", "● marked: sd-v1"]


def test_names_of_pictures_are_text_and_no_html(folder):
    os.rename("in/plain.png", "in/<b onclick=x>.png")
    inspector = WatermarkInspector("in/<b onclick=x>.png")
    inspector.wait()
    assert "<b " not in inspector.static() and "&lt;b onclick=x&gt;.png" in inspector.static()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"images": "nowhere.png"}, "no such folder or file"),
        ({"images": 7}, "no picture"),
        ({"search": "al"}, "is not one of"),
        ({"images": [None]}, "no path, no PIL image"),
        ({"images": pd.DataFrame({"file": []})}, "no column 'path'"),
        ({"images": [picture(64)] * 1001}, "1,001 pictures are too many"),
        ({"payload": "sd-v1"}, "unexpected keyword"),
    ],
)
def test_wrong_arguments_are_explained(arguments, words):
    with pytest.raises((TypeError, ValueError, OSError), match=words):
        WatermarkInspector(**arguments)


def test_the_list_says_what_each_file_tells_of_itself_and_all_are_saved_as_one_page(folder):
    noted = with_text("noted.png", "parameters", A1111)
    inspector = WatermarkInspector([noted, "in/plain.png", "in/broken.png"])
    inspector.wait()
    assert "A1111" in inspector.notes[0] and not inspector.notes[0].startswith("A note")
    assert inspector.notes[1:] == ["", ""]
    assert f"the file: {inspector.notes[0]}" in html.unescape(inspector.static())
    told, (page,) = listening(inspector)("page")
    text = page.decode()
    assert told["name"] == "pictures.html" and text.count("<h1>") == 4
    assert all(f"<p>{name}</p>" in text for name in inspector.names) and "fog" in text
    assert "3 pictures: " in text.split("</h1>")[0]


def test_a_page_names_its_picture_even_where_that_cannot_be_read(folder):
    inspector = WatermarkInspector("in/broken.png")
    inspector.wait()
    _, (page,) = listening(inspector)("page", cell=0)
    assert "<p>broken.png</p>" in page.decode().split("</h1>")[1]


def test_of_a_picture_that_was_not_tested_no_rate_of_errors_is_told(folder):
    inspector = WatermarkInspector(["in/small.png", "in/plain.png"])
    inspector.wait()
    ask = listening(inspector)
    small, plain = (ask("tell", cell=i)[0]["about"] for i in range(2))
    assert small == "64x64 pixels." and "at most one in 1,000,000" in plain


def test_what_is_transparent_is_shown_on_white_and_said(folder):
    drawing = Image.new("RGBA", (300, 300))
    drawing.paste("red", (100, 100, 200, 200))
    drawing.save("in/drawing.png")
    Image.new("RGBA", (300, 300), "black").save("in/opaque.png")
    inspector = WatermarkInspector(["in/drawing.png", "in/opaque.png", np.asarray(drawing)])
    inspector.wait()
    for n, corner in enumerate((255, 0, 255)):
        told, (_, shown) = write_answer(inspector._pictures[n], "-"), ask_for(inspector, n)
        for data in shown:
            assert np.abs(np.asarray(Image.open(io.BytesIO(data)))[2, 2] - float(corner)).max() < 9
        clear = "Some of it is transparent" in " ".join(told["sentences"])
        assert clear == ("Some of it is transparent" in told["text"]) == (n != 1)
    assert inspector.static().count("Some of it is transparent") == 2
    for data in (
        make_thumbnail("in/drawing.png"),
        make_small("in/drawing.png", False),
        base64.b64decode(show_picture("in/drawing.png", "").picture.partition(",")[2]),
    ):
        assert np.asarray(Image.open(io.BytesIO(data)))[2, 2].min() > 246


def ask_for(inspector, n):
    """What the page gets of a picture: its thumbnail, and its view."""
    own = draw_view(inspector._pictures[n], "own", None)[1]
    return n, [*send_thumbnails(inspector._pictures, [n], 64)[1], *own]


def test_what_another_version_kept_of_a_comparison_is_no_answer(tmp_path):
    (tmp_path / "inspected").mkdir()
    kept = KeptSearches(tmp_path / "inspected")
    kept.keep_beside(("a",), "the same", True)
    kept.file.write_text(kept.file.read_text() + '\n{"picture": "beside b", "found": "alike"}')
    assert kept.recall_beside(("a",)) == ("the same", True)
    assert kept.recall_beside(("b",)) == kept.recall_beside(("c",)) == ("", False)

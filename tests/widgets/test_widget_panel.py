"""What all widgets share: two outputs that stand in for one another, and questions that are answered exactly once."""

import io
import os
import re
import threading
from html.parser import HTMLParser

import IPython.display
import nbformat
import numpy as np
import pandas as pd
import pytest
import traitlets
from conftest import draw_scene
from kernels import fork_kernels
from nbclient import NotebookClient
from PIL import Image, ImageFilter

import sdlab.widgets.panel
from sdlab import Request, Store
from sdlab.models.resolve import resolve
from sdlab.widgets.panel import Panel, lookers, workers
from sdlab.widgets.pictures import (
    can_look,
    describe_image,
    describe_seen,
    look_at,
    make_thumbnail,
    open_pictures,
    render_image,
    write_seen,
)


class Echo(Panel):
    """The smallest panel: it says back what it is asked."""

    _esm = "export default {}"
    text = traitlets.Unicode("<b>as it is</b>")

    def static(self):
        return self.text

    def _on_echo(self, question, buffers):
        self.answer(question, {"kind": "echo", "text": question["text"]}, buffers)

    def _on_slow(self, question, buffers):
        self.answer_later(question, lambda: ({"kind": "slow"}, [question["text"].encode()]))


class Line:
    """A page's end of the line: it asks, and has heard every message that Python sent."""

    def __init__(self, panel):
        self.panel, self.heard, self.asked = panel, [], 0
        panel.send = lambda content, buffers=None: self.heard.append((content, buffers or []))

    def ask(self, kind, **content):
        """The one answer, with its buffers; all else that was sent is in `heard`, too."""
        self.asked += 1
        before = len(self.heard)
        self.panel._handle_custom_msg({"kind": kind, "id": self.asked, **content}, [])
        idle()
        (answer,) = [
            message for message in self.heard[before:] if message[0].get("re") == self.asked
        ]
        return answer

    def error(self, kind, **content):
        answer, buffers = self.ask(kind, **content)
        assert answer["kind"] == "error" and not buffers
        return answer["text"]


class Page(HTMLParser):
    """What a browser would find in HTML: tags with their attributes, and the text of each."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), len(self.text)))

    def handle_data(self, data):
        self.text += data

    def every(self, tag):
        return [attributes for name, attributes, _ in self.tags if name == tag]

    def said(self, tag):
        """The texts from each such tag to the next tag of any kind."""
        ends = [start for *_, start in self.tags[1:]] + [len(self.text)]
        return [
            self.text[start:end].strip("\n")
            for (name, _, start), end in zip(self.tags, ends)
            if name == tag
        ]


class Shown:
    """Stands in for a notebook: the outputs of display(), as they are now."""

    def __init__(self):
        self.outputs = []

    def display(self, thing, metadata=None, raw=False, display_id=None):
        self.outputs.append(thing if raw else {"text/html": thing.data})
        return Handle(self, len(self.outputs) - 1)


class Handle:
    def __init__(self, shown, place):
        self.shown, self.place = shown, place

    def update(self, thing, raw=False):
        self.shown.outputs[self.place] = thing if raw else {"text/html": thing.data}


def idle():
    """Returns when the workers have done what they were given before."""
    lookers.submit(int).result(60)
    barrier = threading.Barrier(workers._max_workers + 1)
    for _ in range(workers._max_workers):
        workers.submit(barrier.wait, 60)
    barrier.wait(60)


@pytest.fixture
def shown(monkeypatch):
    shown = Shown()
    monkeypatch.setattr(IPython.display, "display", shown.display)
    return shown


# ---- the two outputs


def test_a_widget_is_shown_as_two_outputs_of_which_the_second_is_its_picture(shown):
    echo = Echo()
    echo._ipython_display_()
    live, still = shown.outputs
    assert (
        live["application/vnd.jupyter.widget-view+json"]["model_id"] == echo.model_id
        and live["text/html"] == ""
    )
    assert re.fullmatch(
        f'<div class="sdl-static-{echo.uid}"><style>.*?</style><b>as it is</b></div>',
        still["text/html"],
    )


def test_two_widgets_never_hide_one_anothers_picture():
    assert len({Echo().uid for _ in range(100)}) == 100


def test_refreshing_draws_every_picture_anew_and_freezing_leaves_only_them(shown):
    echo = Echo()
    echo.refresh(), echo.freeze()  # not shown yet: nothing to do
    echo._ipython_display_(), echo._ipython_display_()
    echo.text = "later"
    echo.refresh()
    assert [">later<" in shown.outputs[n]["text/html"] for n in (1, 3)] == [True, True]
    echo.text = "at last"
    echo.freeze(), echo.freeze()
    assert shown.outputs[0] == shown.outputs[2] == {"text/html": ""}
    echo.text = "too late"
    echo.refresh()
    assert all(">at last<" in shown.outputs[n]["text/html"] for n in (1, 3))


def test_pictures_can_be_refreshed_from_threads(shown):
    echo = Echo()
    echo._ipython_display_()
    echo.text = "from threads"
    threads = [threading.Thread(target=echo.refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shown.outputs) == 2 and "from threads" in shown.outputs[1]["text/html"]


def test_many_changes_draw_the_picture_once_and_only_where_it_is_shown(shown, monkeypatch):
    waiting, drawn = [], []

    class Timer:
        def __init__(self, seconds, work):
            self.work = work
            waiting.append(self)

        def cancel(self):
            waiting.remove(self)

    monkeypatch.setattr(sdlab.widgets.panel, "start_timer", Timer)
    monkeypatch.setattr(Echo, "refresh", lambda self: drawn.append(self))
    echo = Echo()
    echo.refresh_soon()
    assert waiting == []
    echo._ipython_display_()
    for _ in range(20):
        echo.refresh_soon()
    (only,) = waiting
    only.work()
    assert drawn == [echo]


# ---- questions and answers


def test_each_question_gets_one_answer_with_its_buffers():
    line = Line(Echo())
    assert line.ask("ping") == ({"kind": "pong", "reloaded": False, "re": 1}, [])
    assert line.ask("echo", text="a")[0]["text"] == "a"
    assert line.ask("slow", text="b") == ({"kind": "slow", "re": 3}, [b"b"])


@pytest.mark.parametrize(
    "kind, content, says",
    [
        ("fly", {}, "the page asks for 'fly', which Echo does not know; .* Reload it"),
        (None, {}, "asks for None"),
        (["a"], {}, "does not know"),
        ("echo", {}, "KeyError: 'text'"),
        ("slow", {"text": 3}, "AttributeError: 'int' object"),
        ("unknown", {}, "asks for 'unknown'"),
    ],
)
def test_questions_that_cannot_be_answered_are_answered_with_an_error(kind, content, says):
    assert re.search(says, Line(Echo()).error(kind, **content))


def test_what_is_no_question_at_all_does_not_raise():
    line = Line(Echo())
    for content in (None, "ping", [], {}):
        line.panel._handle_custom_msg(content, [])
    assert [message["kind"] for message, _ in line.heard] == ["error"] * 4


def test_what_goes_wrong_unasked_is_told():
    line = Line(Echo())
    line.panel.show_errors(lambda: 1 / 0)
    line.panel.show_errors(lambda: Image.open("no such file"))
    texts = [message["text"] for message, _ in line.heard]
    assert texts[0] == "ZeroDivisionError: division by zero" and texts[1].startswith(
        "[Errno 2] No such file"
    )


# ---- pictures


def test_a_thumbnail_is_small_and_small_pictures_are_exact(tmp_path):
    Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / "small.png")
    Image.effect_noise((600, 300), 80).convert("RGB").save(tmp_path / "large.png")
    assert Image.open(io.BytesIO(make_thumbnail(tmp_path / "large.png"))).size == (256, 128)
    small = Image.open(io.BytesIO(make_thumbnail(tmp_path / "small.png"))).convert("RGB")
    assert small.tobytes() == Image.open(tmp_path / "small.png").tobytes()


def test_a_large_picture_of_a_store_is_shown_without_being_decoded(tmp_path):
    request = resolve(Request(height=256, width=256))
    image = Image.effect_noise((256, 256), 80).convert("RGB")
    path = Store(tmp_path).save(request, image, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"IDAT")])  # nothing but the texts and the thumbnail
    shown = Image.open(io.BytesIO(make_thumbnail(path, 128)))
    assert (
        shown.size == (128, 128)
        and np.abs(np.asarray(shown, int) - np.asarray(image.resize((128, 128)), int)).mean() < 40
    )
    assert Image.open(io.BytesIO(make_thumbnail(path, 96, exact=False))).size == (96, 96)
    with pytest.raises(OSError):
        make_thumbnail(path, 256)


def test_a_picture_that_is_written_again_is_shown_anew(tmp_path):
    path = tmp_path / "picture.png"
    found = []
    for n, colour in enumerate(["red", "blue"]):
        Image.new("RGB", (16, 16), colour).save(path)
        os.utime(path, ns=(n, n))
        found.append(make_thumbnail(path))
    assert found[0] != found[1]


@pytest.mark.parametrize("data", [None, b"", b"no picture", b"\x89PNG\r\n\x1a\n broken", "cut"])
def test_whatever_is_wrong_with_a_file_is_an_oserror_without_the_home_folder(
    tmp_path, monkeypatch, data
):
    path = tmp_path / "picture.png"
    Image.effect_noise((64, 64), 80).save(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path.unlink() if data is None else path.write_bytes(
        path.read_bytes()[:2000] if data == "cut" else data
    )
    with pytest.raises(OSError, match=r"\S") as caught:
        make_thumbnail(path)
    assert str(tmp_path) not in str(caught.value)


def test_a_picture_that_cannot_be_read_hides_no_other(tmp_path):
    paths = [str(tmp_path / name) for name in ("a.png", "torn.png", "gone.png", "b.png")]
    for path, size in zip(paths[::3], ((8, 6), (4, 3))):
        Image.new("RGBA", size, "red").save(path)
    (tmp_path / "torn.png").write_bytes(b"torn")
    images, problems = open_pictures(paths)
    assert [image and (image.mode, image.size) for image in images] == [
        *(("RGB", (8, 6)), None),
        *(None, ("RGB", (4, 3))),
    ]
    assert [bool(problem) for problem in problems] == [False, True, True, False]
    assert "torn.png" in problems[1] and "gone.png" in problems[2]


def test_what_was_found_is_said_in_words_and_so_is_that_nothing_was():
    frame = pd.DataFrame(
        {
            "objects_found": ["cat", "", "cat, red circle"],
            "objects_places": ["18 22", "", "10 60, 32 5"],
            "objects_background": ["green", "beach", "blue"],
            "objects_right": [True, False, True],
            "signs_read": ["stop", "", ""],
        }
    )
    assert describe_seen(frame) == [
        "a program found cat, background green, a sign that says stop",
        "a program found nothing that it knows, background beach, no sign that can be read",
        "a program found cat (lower left), red circle (upper centre), background blue,"
        " no sign that can be read",
    ]
    assert describe_seen(frame.assign(objects_found=["cat", None, ""]))[0].startswith("background")


def test_what_fits_badly_is_told_as_a_guess_or_not_named():
    row = {"objects_found": "red circle, cat, owl", "objects_background": "beach"}
    places = {"objects_places": "10 60, 32 5, 60 60"}
    sure = {"objects_fits": "0.99, 0.95, 0.9", "objects_background_gap": 0.059}
    unsure = {"objects_fits": "0.99, 0.89, 0.69", "objects_background_gap": 0.06}
    assert write_seen(row | sure) == "a program found red circle, cat, owl, background beach"
    assert write_seen(row | unsure | places) == (
        "a program found red circle (lower left), perhaps cat (upper centre),"
        " something unclear (lower right), background perhaps beach"
    )


def test_what_a_model_half_melted_is_called_unclear(tmp_path):
    scene = draw_scene(("cat", 2, 34), ("dog", 34, 2))
    melted = scene.filter(ImageFilter.GaussianBlur(5))
    noisy = np.random.default_rng(0).normal(0, 60, (64, 64, 3)) + np.asarray(scene)
    for image in (melted, Image.fromarray(noisy.clip(0, 255).astype("uint8"))):
        said = describe_image(image)
        assert not re.search(r"(found|,) (cat|dog)", said), said
    assert "found cat" in describe_image(scene)


def test_only_pictures_of_the_little_worlds_are_looked_at_and_none_twice(tmp_path, monkeypatch):
    draw_scene(("cat", 2, 34), ("dog", 34, 2)).save(tmp_path / "both.png")
    wanted = "a program found cat (lower left), dog (upper right), background green"
    assert look_at(tmp_path / "both.png") == wanted
    monkeypatch.setattr("sdlab.widgets.pictures.score_one", None)  # would raise
    assert look_at(tmp_path / "both.png") and look_at(tmp_path / "gone.png") == ""
    frame = pd.DataFrame({"model": ["tiny-v1", "tiny-v2"], "path": "a.png"})
    assert can_look(frame) and not can_look(frame.assign(objects_found=""))
    assert not can_look(frame.assign(model=["tiny-v1", "sd-v1-5"]))
    assert not can_look(frame.drop(columns="model"))


def test_an_img_holds_its_data_and_escapes_its_words():
    (found,) = Page(render_image(b"abc", "<b>\"quotes\" & 'others'")).every("img")
    assert (
        found["alt"] == "<b>\"quotes\" & 'others'" and found["src"] == "data:image/webp;base64,YWJj"
    )


# ---- the saved notebook


@pytest.fixture(scope="module")
def saved(tmp_path_factory, forks):
    """A notebook as nbclient leaves it: a frame's grid, a job's, and a frozen one."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [
        "from sdlab import Job, Request, run, sweep\nfrom sdlab.widgets import SeedGrid\n"
        "plan = sweep(Request(prompt='a {red|blue} circle', num_inference_steps=2), seed=range(2))\n"
        "job = Job(plan, 'store', progress=False)\nSeedGrid(job)",
        "results = job.result()",
        "SeedGrid(results)",
        "grid = SeedGrid(results)\ndisplay(grid)\ngrid.freeze()",
        "SeedGrid(Job(sweep(Request(prompt='a star', num_inference_steps=2), seed=range(3)), 'store', progress=False))",
    ]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    with fork_kernels():
        NotebookClient(nb, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    nb.metadata.pop("widgets", None)
    nbformat.validate(nb)
    return nb


def test_the_outputs_hold_the_pictures_that_the_job_rendered(saved):
    for cell in (saved.cells[0], saved.cells[2], saved.cells[3]):
        live, still = [output.data for output in cell.outputs]
        assert live["text/html"] == "" and len(Page(still["text/html"]).every("img")) == 4
    assert (
        len(Page(saved.cells[4].outputs[1].data["text/html"]).every("img")) == 3
    )  # nothing after it waited for the job
    assert not saved.cells[1].outputs and list(saved.cells[3].outputs[0].data) == ["text/html"]


@pytest.mark.parametrize("template", ["basic", "lab"])
def test_an_exported_notebook_shows_the_pictures(saved, template):
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter(template_name=template).from_notebook_node(saved)
    found = [picture["alt"] for picture in Page(html).every("img")]
    assert all(", a program found " in alt for alt in found)  # where nobody could ask
    assert [alt.partition(", a program found ")[0] for alt in found] == [
        f"red|blue {colour} · seed {seed}" for colour in ("red", "blue") for seed in (0, 1)
    ] * 3 + [f"seed {seed}" for seed in range(3)]

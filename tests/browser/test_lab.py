"""What sdlab shows without widgets, in JupyterLab: a run with its bar, and a figure."""

import re
import sys

from .lab import DARK, LIGHT, expect, until_right

CELLS = [
    "from sdlab import Request, image_grid, run, sweep",
    "frame = run(sweep(Request(prompt='a hamster', num_inference_steps=2), seed=range(2)), 'runs/hamster')",
    "image_grid(frame, row='seed')",
]


def test_a_run_shows_its_bar_and_its_figure_to_every_later_reader(notebook):
    nb = notebook(CELLS)
    nb.run_all()
    figure = nb.output(2).locator("img").last
    expect(nb.output(1)).to_contain_text("2 of 2 pictures finished")
    expect(figure).to_be_visible()
    assert nb.axe(nb.output(1)) == []
    words = re.compile("^Grid of 2 pictures")  # before the picture, which has none
    expect(nb.output(2).locator("img").first).to_have_accessible_name(words)
    assert {problem["id"] for problem in nb.axe(nb.output(2))} <= {
        "image-alt"
    }  # JupyterLab gives image/png no alternative text
    assert nb.kernel("len(frame)") == 2 and len(list(nb.folder.glob("runs/hamster/**/*.png"))) == 2
    for trusted in (True, False):
        nb.reopen(trusted=trusted)
        assert nb.trusted == trusted and not nb.has_kernel
        expect(figure).to_be_visible()
        assert figure.evaluate("img => img.naturalWidth") > 0
    assert nb.errors == []


def test_the_kernel_is_this_python_and_outlives_a_reload(notebook):
    nb = notebook(["import sys", "print('one')"])
    nb.run_all()
    nb.set_source(1, "answer = 42; print('two')")
    nb.run(1)
    expect(nb.output(1)).to_have_text("two")
    nb.reload()
    expect(nb.output(1)).to_have_text("two")
    nb.expect_kernel("[answer, sys.executable]", [42, sys.executable])
    assert nb.errors == []


def has_the_colours(page, dark):
    paper = page.evaluate(
        "getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor"
    )
    assert (int(paper.split("(")[1].split(",")[0]) < 128) == dark


def test_what_is_printed_can_be_read_in_both_themes(notebook):
    nb = notebook(["print('one')"])
    nb.run_all()
    for theme, dark in ((DARK, True), (LIGHT, False)):
        nb.theme(theme)
        until_right(nb.page, has_the_colours, nb.page, dark)
        assert nb.axe(nb.output(0)) == []
    assert nb.errors == []

"""A gallery opened from disk in Chromium, without a network: it is used, and what is said comes back."""

import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

sys.path.append(str(Path(__file__).parents[1] / "results"))
from test_report import NASTY, plan, results

from sdlab import Store, write_gallery

from .lab import expect


@pytest.fixture
def page(browser):
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
    yield page
    context.close()


def open_gallery(page, path):
    page.goto(path.as_uri())
    expect(page.locator("main[data-ready]")).to_be_attached()


def violations(page):
    return [(v["id"], v["nodes"][0]["html"]) for v in Axe().run(page).response["violations"]]


def test_stars_and_notes_by_keyboard_alone_come_back_into_a_store(page, tmp_path):
    frame = results(tmp_path, plan(seed=range(6), guidance_scale=[1, 4]))
    open_gallery(page, write_gallery(tmp_path / "gallery", frame, row="seed", col="guidance_scale"))
    cells = page.get_by_role("grid", name="pictures").get_by_role("gridcell")
    expect(cells).to_have_count(12)
    cells.first.focus()
    for key in ("ArrowDown", "s", "ArrowRight", "p", "n"):
        page.keyboard.press(key)
    page.keyboard.type("six fingers")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    assert violations(page) == []
    page.reload()
    page.get_by_label("only starred").check()
    expect(cells).to_have_count(1)
    with page.expect_download() as saved:
        page.get_by_role("button", name="save stars and notes").click()
    store = Store(tmp_path / "runs")
    saved.value.save_as(store.root / "opinions.jsonl")
    starred, noted = frame["key"][2], frame["key"][3]
    assert store.opinions.ratings() == {starred: (True, None)}
    assert store.answers()[["key", "question", "answer"]].values.tolist() == [
        [noted, "note", "six fingers"]
    ]
    assert page.complaints == []


def test_what_is_asked_for_is_laid_out_for_paper(page, tmp_path):
    frame = results(tmp_path, plan(seed=range(60)))
    open_gallery(page, write_gallery(tmp_path / "gallery", frame))
    page.evaluate("window.print = () => { document.body.dataset.printed = 'yes'; }")
    page.get_by_role("button", name="print").click()
    expect(page.locator("body[data-printed]")).to_be_attached()
    expect(page.locator(".printed img")).to_have_count(60)
    page.emulate_media(media="print")
    expect(page.get_by_role("grid")).to_be_hidden()
    expect(page.locator(".printed img").last).to_be_visible()
    assert page.complaints == []


def test_words_and_filters_leave_what_is_asked_for_and_hostile_text_does_nothing(page, tmp_path):
    frame = results(tmp_path, plan(seed=range(4)))
    frame["prompt"] = [NASTY, "a dog", "a red dog", "a bird"]
    open_gallery(page, write_gallery(tmp_path / "one.html", frame, title=NASTY))
    cells = page.get_by_role("grid", name="pictures").get_by_role("gridcell")
    expect(cells).to_have_count(4)
    page.get_by_label("search").fill("DOG red")
    expect(cells).to_have_count(1)
    page.get_by_label("search").fill("onerror=")
    page.get_by_role("gridcell", name="onerror=").click()
    expect(page.get_by_role("dialog").get_by_text(NASTY).first).to_be_visible()
    assert violations(page) == [] and page.complaints == []
    page.keyboard.press("Escape")
    page.get_by_label("search").fill("")
    page.get_by_label("filter").select_option("seed")
    page.get_by_role("combobox", name="is", exact=True).select_option("2")
    expect(cells).to_have_count(1)
    page.get_by_role("button", name="seed is 2").click()
    expect(cells).to_have_count(4)

"""A gallery opened from disk in Chromium, without a network: it is used, and what is said comes back."""

import re
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

sys.path.append(str(Path(__file__).parents[1] / "results"))
from test_report import NASTY, plan, results

from sdlab import Store, write_gallery

from .frames import list_frames, trace_scroll
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


def test_pictures_behind_a_switch_are_told_and_axes_that_say_the_same_are_no_switches(
    page, tmp_path
):
    """Else a filter for what goes against a finding says that there is nothing."""
    cells = plan(prompt="a {colour=red|blue} {what=cat|dog}", seed=range(3))
    frame = results(tmp_path, cells).assign(right=True)
    frame.loc[frame["prompt"].eq("a blue dog") & frame["seed"].eq(2), "right"] = False
    open_gallery(page, write_gallery(tmp_path / "g", frame, row="prompt"))
    shown = page.get_by_role("grid", name="pictures").get_by_role("gridcell")
    expect(page.locator(".controls > .bar").nth(1).get_by_role("combobox")).to_have_count(1)
    expect(shown).to_have_count(4)  # of four prompts, seed 0 each
    page.get_by_label("filter").select_option("right")
    page.get_by_role("combobox", name="is", exact=True).select_option("false")
    expect(page.get_by_text("Nothing is like that with these values")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="1 more with other values of seed").click()
    expect(shown).to_have_count(1)
    expect(shown.first).to_have_accessible_name(re.compile("blue"))
    assert page.complaints == []


def count_changes(page, act):
    """How many nodes come into the grid, or leave it, by what is done and in two frames after."""
    page.evaluate("""() => {
      window.changes = 0;
      window.observer?.disconnect();
      window.observer = new MutationObserver((all) => {
        for (const each of all) changes += each.addedNodes.length + each.removedNodes.length;
      });
      observer.observe(document.querySelector(".grid"), { childList: true, subtree: true });
    }""")
    act()
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    return page.evaluate("changes")


def scroll_to(page, row):
    page.evaluate(
        "(row) => { const grid = document.querySelector('.grid');"
        " grid.scrollTop = row * document.querySelector('.row').offsetHeight; }",
        row,
    )


def test_only_what_is_near_is_in_the_page_and_a_step_changes_one_row(page, tmp_path):
    frame = results(tmp_path, plan(seed=range(500), guidance_scale=[1, 2, 4, 7.5]))
    open_gallery(page, write_gallery(tmp_path / "g", frame, row="seed", col="guidance_scale"))
    cells, rows = page.locator(".cell"), page.locator(".row")
    high = page.evaluate("document.querySelector('.grid').clientHeight")
    in_sight = -(-high // page.evaluate("document.querySelector('.row').offsetHeight"))
    scroll_to(page, 300)
    expect(page.get_by_role("gridcell", name="seed 300 · guidance_scale 4")).to_be_visible()
    assert in_sight < rows.count() <= 2 * in_sight + 3 and cells.count() == 4 * rows.count()
    assert count_changes(page, lambda: scroll_to(page, 300.4)) == 0
    assert count_changes(page, lambda: scroll_to(page, 301)) == 2  # a row goes, another comes


def test_the_wheel_scrolls_without_waiting_for_the_page(page, browser, tmp_path):
    """Else each frame waits for scripts and layout, and is lost where they take long."""
    frame = results(tmp_path, plan(seed=range(400)))
    open_gallery(page, write_gallery(tmp_path / "g", frame))
    expect(page.locator(".cell img").first).to_be_visible()
    frames = list_frames(trace_scroll(browser, page, pixels=600, speed=1200))
    assert {frame["scroll_state"] for frame in frames} == {"SCROLL_COMPOSITOR_THREAD"}

"""Compare in JupyterLab: four ways of looking by keys alone, and a blind vote from the first pair to the saved notebook."""

import re

import pytest

from .lab import AT_ONCE, DARK, LIGHT, expect, until_right

RUN = (
    "from sdlab import Request, run, sweep\nfrom sdlab.widgets import Compare\n"
    "plan = sweep(Request(prompt='a hamster', num_inference_steps=2), scheduler=['DDIMScheduler', 'EulerDiscreteScheduler'], "
    "seed=range(2))\nframe = run(plan, 'runs/hamster', progress=False)"
)


def test_a_pair_is_looked_at_in_four_ways_by_keys_alone(notebook):
    often = "runs = globals().get('runs', 0) + 1\n"
    nb = notebook([RUN, often + "compare = Compare(frame, 'scheduler')\ncompare"])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    stage = out.get_by_role("group", name=re.compile("^pair [12] of 2$"))
    expect(out.get_by_role("img", name=re.compile("^left: DDIMScheduler"))).to_be_visible()
    stage.focus()
    for key, mode in (("e", "side by side"), ("b", "blink"), ("d", "difference"), ("w", "swipe")):
        press(key)
        expect(out.get_by_role("button", name=mode)).to_have_attribute("aria-pressed", "true")
        nb.expect_kernel("compare.mode", mode)
        assert nb.axe(out) == []
    press("ArrowRight")
    nb.expect_kernel("compare.at", 1)
    edge = out.get_by_role("slider", name="edge between the left and the right picture")
    edge.focus()
    for key, value in (("ArrowLeft", "49"), ("ArrowRight", "50")):
        press(key)
        expect(edge).to_have_value(value)
        nb.expect_kernel("compare.at", 1)
    stage.focus()
    press("x")  # would cut the cell, were it the notebook's
    expect(out).to_be_visible()
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(out) == []
    stage.focus()
    expect(stage).to_have_accessible_description(re.compile("left: .*found.*; right: .*background"))
    press("Escape")
    expect(nb.page.locator(".jp-CodeCell").nth(1)).to_be_focused()
    stage.focus()
    press("Shift+Enter")
    nb.expect_kernel("runs", 2)
    assert nb.errors == []


def test_while_another_cell_runs_a_widget_says_so_and_asks_for_nothing_to_be_run_again(notebook):
    waits = "import time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.1)"
    nb = notebook([RUN, "Compare(frame, 'scheduler')", waits])
    nb.run(0)
    nb.start_all()
    out = nb.output(1)
    told = out.get_by_role("status").filter(has_text="Python is busy")
    expect(told).to_have_count(1)
    expect(out.get_by_text("run the cells above again")).to_have_count(0)
    (nb.folder / "go").touch()
    expect(out.get_by_role("img", name=re.compile("^left: DDIMScheduler"))).to_be_visible()
    expect(told).to_have_count(0)
    assert nb.errors == []


def wait_for_pair(out, name, deal=None):
    """Waits for a pair's pictures: a vote before them does not count. Another deal has pairs of the same names."""
    expect(out.get_by_role("group", name=name)).to_be_visible()
    expect(out.locator(".sdl-compare")).to_have_attribute("aria-busy", "false")
    if deal is not None:
        expect(out.locator(".sdl-compare")).to_have_attribute("data-deal", str(deal))


def test_a_blind_vote_names_the_sides_when_asked_and_is_found_again(notebook):
    nb = notebook([RUN, "compare = Compare(frame, 'scheduler', blind=True)\ncompare"])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    expect(out.get_by_role("img", name=re.compile("^left picture, seed "))).to_be_visible()
    expect(out.get_by_role("button", name="side by side")).to_have_attribute("aria-pressed", "true")
    expect(out.get_by_text("in one order for all raters")).to_be_visible()
    out.get_by_role("group", name="pair 1 of 2").focus()
    press("1")
    expect(out.get_by_text("pair 1 voted: left", exact=True)).to_be_visible()
    wait_for_pair(out, "pair 2 of 2")
    press("u")  # the last vote, which was on the pair before
    wait_for_pair(out, "pair 1 of 2")
    expect(out.get_by_text("the vote is taken back")).to_be_visible()
    press("1")
    wait_for_pair(out, "pair 2 of 2")
    press("2")
    expect(out.get_by_text("voted: right", exact=True)).to_be_visible()
    press("u")
    expect(out.get_by_text("the vote is taken back")).to_be_visible()
    ending = out.get_by_role("group", name="end of the blind vote")
    ending.get_by_role("button", name="show who is who now").press("Enter")
    expect(ending.get_by_text("1 of 2 pairs have no vote")).to_be_visible()
    assert nb.axe(out) == []
    ending.get_by_role("button", name="go on voting").click()
    out.get_by_role("button", name="both bad").click()
    expect(ending.get_by_text("All 2 pairs are voted")).to_be_visible()
    assert "Scheduler" not in out.locator(".sdl-compare").inner_html()
    ending.get_by_role("button", name="show who is who").click()
    expect(out.get_by_text(re.compile(r"^voted blind: both bad; it stays"))).to_be_visible()
    expect(out.get_by_text(re.compile("^without a name: 2 votes on 2 pairs"))).to_be_visible()
    press("1")
    nb.expect_kernel("[compare.value.vote.tolist().count('both bad'), compare.secret]", [1, False])
    assert nb.kernel("compare.value.blind.all().item()")
    nb.kernel("compare.refresh()")
    nb.reload()
    expect(out.get_by_text("voted blind: both bad")).to_be_visible()
    nb.reopen(trusted=False)
    expect(out.get_by_role("columnheader", name="EulerDiscreteScheduler")).to_be_visible()
    expect(out.get_by_role("img")).to_have_count(4)
    assert nb.errors == []


def test_eight_keys_a_second_lose_no_vote_and_each_rater_has_their_own(notebook):
    more = RUN.replace("range(2)", "range(20)").replace("runs/hamster", "runs/many")
    nb = notebook([more, "compare = Compare(frame, 'scheduler', blind=True)\ncompare"])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    out.get_by_label("rater").fill("ann")
    press("Tab")
    nb.expect_kernel("[compare.rater, compare.deal]", ["ann", 2])
    wait_for_pair(out, "pair 1 of 20", deal=2)
    out.get_by_role("group", name="pair 1 of 20").focus()
    for n in range(20):
        wait_for_pair(out, f"pair {n + 1} of 20")
        press(str(n % 4 + 1), delay=120)
    votes = ["left", "right", "tie", "both bad"]
    nb.expect_kernel("compare.voted", [votes[n % 4] for n in range(20)])
    expect(out.get_by_text("ann: 20 of 20")).to_be_visible()
    out.get_by_label("rater").fill("bob")
    press("Enter")
    nb.expect_kernel("[compare.rater, compare.deal, compare.voted.count('')]", ["bob", 3, 20])
    first, second = (out.get_by_role("group", name=f"pair {n} of 20") for n in (1, 2))
    wait_for_pair(out, "pair 1 of 20", deal=3)
    first.evaluate(AT_ONCE, ["1", "2"])  # the last before the next pair is there
    expect(out.get_by_text("That came before the pictures")).to_be_visible()
    nb.expect_kernel("compare.voted[:2]", ["left", ""])
    wait_for_pair(out, "pair 2 of 20")
    nb.page.wait_for_timeout(600)  # ms; what follows in the same breath does not count either
    second.press("4")
    nb.expect_kernel("compare.voted[:2]", ["left", "both bad"])
    assert nb.errors == []


def test_enter_leads_from_the_name_to_the_pair_and_votes_without_a_name_are_asked_for(notebook):
    nb = notebook([RUN, "compare = Compare(frame, 'scheduler', blind=True)\ncompare"])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    wait_for_pair(out, "pair 1 of 2")
    out.get_by_role("group", name="pair 1 of 2").focus()
    press("1")
    wait_for_pair(out, "pair 2 of 2")
    for deal, name in ((2, "Ann"), (3, "Bob")):
        out.get_by_label("rater").fill(name)
        press("Enter")
        nb.expect_kernel("[compare.rater, compare.deal]", [name, deal])
        wait_for_pair(out, "pair 1 of 2", deal=deal)
        asks = out.get_by_role("group", name="votes without a name")
        expect(asks.get_by_role("status")).to_have_text(
            f"1 vote on these pairs had been given before there was a name. Is it {name}'s?"
        )
        assert nb.axe(out) == []
        if name == "Ann":
            asks.get_by_role("button", name="leave them without a name").click()
            expect(asks.get_by_role("button")).to_have_count(0)
    asks.get_by_role("button", name="they are mine").click()
    nb.expect_kernel("[compare.deal, compare.at, compare.unnamed]", [4, 1, 0])
    wait_for_pair(out, "pair 2 of 2", deal=4)
    expect(asks.get_by_role("status")).to_have_text("1 vote without a name is now Bob's.")
    out.get_by_label("rater").fill("Cem")
    press("Enter")
    wait_for_pair(out, "pair 1 of 2", deal=5)
    nb.page.wait_for_timeout(600)  # ms; what follows in the same breath does not count
    press("2")
    nb.expect_kernel("compare.voted", ["right", ""])
    expect(out.get_by_label("rater")).to_have_value("Cem")
    assert nb.errors == []


ENDS = """(widget, names) => {
  widget.scrollIntoView({ block: "start" });
  const frame = widget.closest(".jp-WindowedPanel-outer").getBoundingClientRect();
  return [...widget.querySelectorAll(names.join(", "))].map((node) => node.getBoundingClientRect())
    .map(({ top, bottom }) => [top - frame.top, frame.bottom - bottom]);
}"""


def stand_in_the_window(widget, names, count):
    """All of these are seen at once, when the widget's top is that of the notebook."""
    rooms = widget.evaluate(ENDS, names)
    assert len(rooms) == count and min(map(min, rooms)) >= 0


def test_a_pair_its_place_and_the_vote_are_seen_at_once_in_a_small_window(notebook):
    more = RUN.replace("num_inference_steps=2)", "num_inference_steps=1, height=512, width=512)")
    more = more.replace("range(2)", "range(1)")
    more = more.replace("runs/hamster", "runs/large").replace("'a hamster'", "'a red circle'")
    judging = "from sdlab.widgets import Judge\nJudge(frame, 'Is it {prompt}?')"
    nb = notebook([more, "Compare(frame, 'scheduler', blind=True)", judging])
    nb.page.set_viewport_size({"width": 1280, "height": 720})
    nb.run_all()
    compare, judge = nb.output(1), nb.output(2)
    wait_for_pair(compare, "pair 1 of 1")
    names = [f".sdl-compare-{name}" for name in ("counter", "picture", "said")]
    until_right(nb.page, stand_in_the_window, compare.locator(".sdl-compare"), names, 4)
    nb.screenshot("compare-720")
    expect(judge.get_by_role("img", name="picture")).to_be_visible()
    names = [f".sdl-judge-{name}" for name in ("count", "picture", "status")]
    until_right(nb.page, stand_in_the_window, judge.locator(".sdl-judge"), names, 3)
    nb.screenshot("judge-720")
    assert nb.errors == []


HIGH = """node => document.querySelector(".sdl-notice:not([hidden])") ? null
  : node.getBoundingClientRect().top"""


def measure_height(node):
    """Where it stands on the screen, while no notice does: one that Python is busy comes and goes."""
    high = node.evaluate(HIGH)
    assert high is not None
    return high


def stands_there(node, high):
    assert measure_height(node) == pytest.approx(high, abs=2)


def test_enter_after_the_name_shows_what_the_keys_count_for_and_a_vote_scrolls_nothing(notebook):
    more = RUN.replace("num_inference_steps=2)", "num_inference_steps=1, height=512, width=512)")
    more = more.replace("runs/hamster", "runs/large").replace("'a hamster'", "'a red circle'")
    judging = "from sdlab.widgets import Judge\njudge = Judge(frame, 'Is it {prompt}?')\njudge"
    comparing = "compare = Compare(frame, 'scheduler', blind=True)\ncompare"
    nb = notebook([more, comparing, judging])
    nb.page.set_viewport_size({"width": 853, "height": 480})
    nb.run_all()
    for n, widget, parts in (
        (1, "compare", ("names", "pictures", "ballot")),
        (2, "judge", ("question", "pictures", "ballot")),
    ):
        out = nb.output(n)
        expect(out.locator(f".sdl-{widget} img").first).to_be_visible()
        name = out.get_by_label("rater")
        name.fill("Ann")
        name.evaluate("node => node.scrollIntoView({ block: 'end' })")
        seen = [out.locator(f".sdl-{widget}-{part}") for part in parts]
        expect(seen[-1]).not_to_be_in_viewport()
        nb.page.keyboard.press("Enter")
        nb.expect_kernel(f"[{widget}.rater, {widget}.deal]", ["Ann", 2])
        expect(out.locator(f".sdl-{widget}")).to_have_attribute("data-deal", "2")
        for part in seen:
            expect(part).to_be_in_viewport(ratio=0.8)
        nb.screenshot(f"{widget}-entered-480")
        seen[1].evaluate("node => { node.closest('.jp-WindowedPanel-outer').scrollTop -= 40 }")
        before = until_right(nb.page, measure_height, seen[1])
        nb.page.keyboard.press("1")
        done = "judge.done" if widget == "judge" else "2 - compare.voted.count('')"
        nb.expect_kernel(done, 1)
        expect(out.locator(f".sdl-{widget}")).to_have_attribute("aria-busy", "false")
        until_right(nb.page, stands_there, seen[1], before)
    assert nb.errors == []


UNLIKE = (
    "import pandas as pd\nfrom PIL import Image\nfrom sdlab.widgets import Compare\n"
    "sizes = [((64, 64), (512, 512)), ((512, 512), (512, 768)), ((768, 512), (512, 512)), ((96, 96), (64, 64))]\n"
    "rows = []\n"
    "for seed, both in enumerate(sizes):\n"
    "    for model, size in zip(('one', 'other'), both):\n"
    "        path = f'{model}-{seed}.png'\n"
    "        Image.new('RGB', size, (40 * seed, 90, 200 if model == 'one' else 40)).save(path)\n"
    "        rows.append({'model': model, 'seed': seed, 'prompt': 'a box', 'path': path})\n"
    "frame = pd.DataFrame(rows)"
)
DRAWN = """image => {
  const { x, y, width, height } = image.getBoundingClientRect();
  const share = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  const own = [image.naturalWidth * share, image.naturalHeight * share];
  return { x, y, width, height, longest: Math.max(...own) };
}"""


@pytest.mark.parametrize("blind", [False, True])
def test_pictures_of_unlike_sizes_stand_side_by_side_at_one_size(notebook, blind):
    nb = notebook([UNLIKE, f"compare = Compare(frame, 'model', blind={blind})\ncompare"])
    nb.run_all()
    out = nb.output(1)
    wait_for_pair(out, "pair 1 of 4")
    out.get_by_role("group", name="pair 1 of 4").focus()
    if not blind:
        nb.page.keyboard.press("e")
        expect(out.get_by_role("button", name="side by side")).to_have_attribute(
            "aria-pressed", "true"
        )
    names = out.locator(".sdl-compare-name")

    def stand_at_one_size(width):
        left, right = (one.evaluate(DRAWN) for one in out.locator(".sdl-compare-picture").all())
        assert (left["y"], left["height"]) == (right["y"], right["height"])
        assert left["x"] + left["width"] <= right["x"]
        assert abs(left["longest"] - right["longest"]) <= 1 < left["longest"] / 100
        room = out.locator(".sdl-compare").bounding_box()
        assert right["x"] + right["width"] <= room["x"] + room["width"] <= width
        heads = [name.bounding_box() for name in names.all()]
        assert [abs(head["x"] - one["x"]) <= 8 for head, one in zip(heads, (left, right))] == [
            True,
            True,
        ]

    for width, height in ((1280, 720), (853, 480)):  # the second is the first at 150 %
        nb.page.set_viewport_size({"width": width, "height": height})
        for n in range(4):
            nb.kernel(f"setattr(compare, 'at', {n})")
            wait_for_pair(out, f"pair {n + 1} of 4")
            until_right(nb.page, stand_at_one_size, width)
        nb.screenshot(f"compare-unlike-{'blind' if blind else 'open'}-{height}")
    assert nb.errors == []

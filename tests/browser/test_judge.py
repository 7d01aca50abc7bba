"""Judge in JupyterLab: a round by keys alone, which goes on after a reload, names nothing before its end, and stays in the file."""

import re

from .lab import AT_ONCE, DARK, LIGHT, expect

RUN = (
    "from sdlab import Request, run, stats, sweep\nfrom sdlab.widgets import Judge\n"
    "plan = sweep(Request(prompt='a hamster', num_inference_steps=2), scheduler=['DDIMScheduler', 'EulerDiscreteScheduler'], "
    "seed=range(2))\nframe = run(plan, 'runs/hamster', progress=False)"
)


def test_a_round_is_judged_by_keys_alone(notebook):
    nb = notebook([RUN, "judge = Judge(frame, 'How many ears?', answers=range(4))\njudge"])
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    place = lambda n: out.get_by_role("group", name=f"picture {n} of 5")
    expect(out.get_by_role("img", name="picture")).to_be_visible()
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(out) == []
    expect(out.get_by_text("in one order for all raters")).to_be_visible()
    rater = out.get_by_role("combobox", name="rater")
    rater.focus()
    nb.page.keyboard.type("ann 2")  # no answer
    press("Enter")
    nb.expect_kernel("[judge.rater, judge.deal]", ["ann 2", 2])
    expect(out.locator(".sdl-judge")).to_have_attribute("data-deal", "2")  # her own first picture
    assert nb.kernel("judge.done") == 0
    place(1).focus()
    press("2")  # the answer itself, not the second
    expect(place(2)).to_be_visible()
    press("?")
    expect(place(3)).to_be_visible()
    expect(out.get_by_text("your last answer: cannot tell")).to_be_visible()
    nb.expect_kernel("judge.value.answer.fillna('-').tolist()", ["2", "-"])
    press("Backspace")
    expect(place(2)).to_be_visible()
    press("x")  # would cut the cell, were it the notebook's
    expect(out.get_by_text("1 of 5 answered")).to_be_visible()
    press("0")
    expect(place(3)).to_be_visible()
    nb.expect_kernel("judge.value.answer.tolist()", ["2", "0"])
    assert "Scheduler" not in out.locator(".sdl-judge").inner_html()
    nb.reload()
    expect(place(3)).to_be_visible()
    for n in (3, 4, 5):
        out.get_by_role("button", name="1 1").click()
        expect(out.get_by_text(f"{n} of 5 answered")).to_be_visible()
    end = out.get_by_role("button", name="end the round")
    expect(end).to_be_focused()
    assert nb.axe(out) == []
    press("u")
    expect(place(5)).to_be_visible()
    expect(place(5)).to_be_focused()
    press("3")
    expect(end).to_be_focused()
    press("Enter")
    expect(
        out.get_by_text(re.compile("^Of 4 pictures – .* With 1 repeat, 5 answers"))
    ).to_be_visible()
    shares = out.get_by_role("table", name="first answers of ann 2, by what the pictures differ in")
    expect(shares.get_by_role("rowheader")).to_have_count(2)
    expect(shares.get_by_role("rowheader", name="scheduler DDIMScheduler")).to_be_visible()
    expect(
        out.get_by_text(re.compile("^The same answer to pictures shown again: ann 2 in"))
    ).to_be_visible()
    assert nb.axe(out) == []
    assert sorted(nb.kernel("judge.value.scheduler.unique().tolist()")) == [
        "DDIMScheduler",
        "EulerDiscreteScheduler",
    ]
    assert nb.kernel("(judge.value.seconds > 0).all().item()")
    assert nb.errors == []


def test_two_raters_judge_pairs_in_one_widget_and_the_file_shows_their_answers(notebook):
    nb = notebook(
        [
            RUN,
            "judge = Judge(frame, 'Which is more like {prompt}?', by='scheduler', rater='ann')\njudge",
        ]
    )
    nb.run_all()
    out, press = nb.output(1), nb.page.keyboard.press
    rater = out.get_by_role("combobox", name="rater")
    for deal, name in enumerate(("ann", "bob"), 1):
        rater.fill(name)
        rater.press("Enter")
        nb.expect_kernel("[judge.rater, judge.deal]", [name, deal])
        expect(out.locator(".sdl-judge")).to_have_attribute("data-deal", str(deal))
        expect(out.get_by_role("img", name=re.compile("^(left|right) picture"))).to_have_count(2)
        expect(out.get_by_role("heading", name="Which is more like a hamster?")).to_be_visible()
        out.get_by_role("group", name="picture 1 of 3").focus()
        for n, key in enumerate("123", 1):
            press(key)
            expect(out.get_by_text(f"{n} of 3 answered")).to_be_visible()
        assert "Scheduler" not in out.locator(".sdl-judge").inner_html()
        out.get_by_role("button", name="end the round").click()
        expect(out.get_by_text(re.compile("^Of 2 pairs"))).to_be_visible()
    expect(out.get_by_text(re.compile("^ann and bob: the same answer in"))).to_be_visible()
    out.get_by_text("the same in Python").click()
    expect(out.get_by_label("the same in Python")).to_contain_text("by='scheduler'")
    assert set(nb.kernel("stats.agreement(judge.value).of.tolist()")) == {"ann · bob", "ann", "bob"}
    nb.kernel("judge.refresh()")
    nb.reopen(trusted=False)
    expect(out.get_by_role("columnheader", name="bob")).to_be_visible()
    expect(out.get_by_role("img")).to_have_count(4)
    assert nb.errors == []


def test_eight_keys_a_second_lose_no_answer_and_none_counts_before_its_picture(notebook):
    more = RUN.replace("range(2)", "range(10)").replace("runs/hamster", "runs/many")
    nb = notebook(
        [more, "judge = Judge(frame, 'How many ears?', answers=range(4), repeats=0)\njudge"]
    )
    nb.run_all()
    out = nb.output(1)
    out.get_by_role("group", name="picture 1 of 20").focus()
    place = lambda n: out.get_by_role("group", name=f"picture {n + 1} of 20")
    for n in range(19):
        expect(place(n)).to_be_visible()
        nb.page.keyboard.press(str(n % 4), delay=120)
    expect(place(19)).to_be_visible()
    nb.page.keyboard.press("Backspace")
    expect(place(18)).to_be_visible()
    place(18).evaluate(AT_ONCE, ["2", "1"])  # the second before the last picture is there
    expect(out.get_by_text("That came before the picture")).to_be_visible()
    nb.expect_kernel("[judge.done, (judge.value.seconds > 0).all().item()]", [19, True])
    nb.page.wait_for_timeout(600)  # ms; what follows in the same breath does not count either
    nb.page.keyboard.press("3")
    expect(out.get_by_text("All 20 are answered").first).to_be_visible()
    nb.expect_kernel("judge.value.answer.tolist()", [str(n % 4) for n in range(20)])
    assert nb.errors == []

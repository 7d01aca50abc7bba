"""What the scripts of Compare and Judge make of keys, in a bare page whose clock stands still: no JupyterLab, no kernel."""

import re

import pytest

from sdlab.widgets import Compare, Judge

from .lab import expect

SETTING = """
window.begin = (total, told = {}) => {
  const heard = {}, said = { at: 0, deal: 1, blind: true, secret: true, by: "model", choices: [],
    chosen: [], unlike: [], tally: [], outcome: "", raters: [], known: [], note: "", rater: "", mode: "side by side",
    gain: 4, recoded: 0, voted: Array(total).fill(""), question: "", heading: "Is it …?", done: 0,
    total, unnamed: 0, digits: ["1", "2"], answers: ["yes", "no"], unblinded: false, verdict: [], shares: [], ...told };
  window.model = {
    get: (name) => said[name],
    set(name, value) {
      if (said[name] === value) return;
      said[name] = value;
      for (const act of heard[name] ?? []) act();
    },
    save_changes() {}, on(name, act) { (heard[name.slice(7)] ??= []).push(act); }, off() {},
  };
  window.asked = [];
  window.line = { ask: (kind, content) =>
    new Promise((done) => asked.push({ kind, ...content, done })) };
};
window.pair = (n, told = {}) => [{ kind: "pair", deal: model.get("deal"), n, names: ["", ""],
  vote: "", stays: false, said: "", shared: [["seed", "7"], ["prompt", `thing ${n}`]], more: [],
  lacking: ["", ""], seen: ["a cat", ""], ...told }, [new ArrayBuffer(0), new ArrayBuffer(0)]];
window.settle = async () => { for (let k = 0; k < 40; k++) await null; };
window.answer = async (kind, told) => {
  await settle();
  const at = asked.findIndex((one) => one.kind === kind);
  const [one] = asked.splice(at, 1), [message, buffers] = told(one);
  one.done({ message, buffers });
  await settle();
};
window.pairsCome = async () => {
  await settle();
  while (asked.some(({ kind }) => kind === "pair")) await answer("pair", ({ n }) => pair(n));
};
window.press = (name) => view.vote(name, { timeStamp: performance.now() });
window.open_ = async (total, told) => {
  begin(total, told);
  const root = h("div");
  document.body.replaceChildren(root);
  window.view = new CompareView({ model, line, root });
  view.follow();
  view.showDeal();
  await pairsCome();
};
window.state = () => ({ at: view.at, seen: view.shown.place, said: view.ballot.status.textContent,
  live: view.live.textContent, asked: asked.map(({ kind, n, vote }) => [kind, n, vote ?? ""]) });
"""


def open_page(browser, widget):
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    page.add_script_tag(content=widget._esm.replace("export default", "const exported ="))
    page.add_script_tag(content=SETTING)
    return page


@pytest.fixture(scope="module")
def compare(browser):
    page = open_page(browser, Compare)
    yield page
    page.context.close()


def do(page, code):
    """Does it, a second after what was done before: long enough for a look."""
    page.clock.run_for(1000)
    page.evaluate(f"(async () => {{ {code}; await settle(); }})()")
    return page.evaluate("state()")


def test_a_vote_goes_on_to_the_next_pair_without_one_and_a_change_stays(compare):
    do(compare, "await open_(4, { voted: ['', 'tie', '', ''] })")
    after = do(compare, "press('left'); await pairsCome()")
    assert (after["at"], after["seen"]) == (2, 2) and ["vote", 0, "left"] in after["asked"]
    kept = do(compare, "await answer('vote', () => pair(0, { vote: 'left', said: 'voted: left' }))")
    assert kept["said"] == "pair 1 voted: left" and kept["at"] == 2
    do(compare, "view.step(-1); await pairsCome()")
    change = do(compare, "view.shown.told.vote = 'tie'; press('right')")
    assert change["at"] == 1 and change["asked"] == [["vote", 1, "right"]]


def test_a_change_says_at_once_what_it_did_and_how_to_go_on(compare):
    do(compare, "await open_(4, { voted: ['', 'tie', 'tie', 'left'], at: 2 })")
    on = "; V goes on to the next pair without a vote, → to the next one"
    assert do(compare, "press('right')")["said"] == "changed to right" + on  # before any answer
    kept = "await answer('vote', ({ n, vote }) => pair(n, { vote, said: `voted: ${vote}` }))"
    assert do(compare, kept)["said"] == "changed to right" + on
    expect(compare.get_by_role("status").filter(has_text="changed to right")).to_be_visible()
    assert do(compare, "press('right')")["said"] == "voted: right, as before" + on
    do(compare, kept)
    assert do(compare, "view.step(1); await pairsCome()")["said"] == ""  # said of its pair alone
    last = do(compare, "view.shown.told.names = ['one', 'other']; press('right')")
    assert last["said"] == "changed to right (other)" + on.partition(",")[0]
    after = do(compare, "await answer('vote', () => [{ kind: 'error', text: 'no space' }, []])")
    assert after["said"] == "pair 4 keeps its vote, left: vote there again"
    do(compare, "await open_(2, { voted: ['tie', 'tie'] })")
    assert do(compare, "press('left')")["said"] == "changed to left; → goes on to the next pair"
    undone = "await answer('undo', () => pair(0, { vote: 'tie', undone: true }))"
    assert (
        do(compare, f"view.undo(); {undone}; await pairsCome()")["said"]
        == "the former vote is back: tie"
    )


def test_the_last_vote_of_all_stays_and_one_that_is_not_kept_is_said(compare):
    do(compare, "await open_(2, { voted: ['tie', ''], at: 1 })")
    assert do(compare, "press('left')")["at"] == 1
    do(compare, "await open_(3)")
    do(compare, "press('left'); await pairsCome()")
    lost = do(compare, "await answer('vote', () => [{ kind: 'error', text: 'no space' }, []])")
    assert lost["said"] == "pair 1 has no vote: vote there again"
    assert compare.evaluate("view.votes") == ["", "", ""]


def test_no_key_lands_on_a_pair_that_was_not_seen_nor_one_in_the_same_breath(compare):
    do(compare, "await open_(9)")
    votes = lambda: [n for kind, n, _ in compare.evaluate("state().asked") if kind == "vote"]
    do(compare, "view.pairs.clear(); press('left')")  # the next pair is on its way
    compare.evaluate("press('tie')")
    assert votes() == [0]
    compare.evaluate("pairsCome()")
    compare.clock.run_for(220)  # meant for the pair after the one that is seen now
    compare.evaluate("press('right')")
    assert votes() == [0] and "not counted" in compare.evaluate("state().said")
    after = do(compare, "press('right')")
    assert votes() == [0, 1] and "not counted" not in after["said"]


def test_the_second_half_of_a_double_click_is_no_vote(compare):
    do(compare, "await open_(9)")
    do(compare, "press('left'); await pairsCome()")
    do(compare, "view.vote('left', { timeStamp: performance.now(), detail: 2 })")
    assert [one for one in compare.evaluate("state().asked") if one[0] == "vote"] == [
        ["vote", 0, "left"]
    ]


def test_the_place_keeps_up_with_the_keys_and_pairs_that_are_passed_are_not_asked_for(compare):
    do(compare, "await open_(80)")
    after = do(compare, "for (let k = 0; k < 73; k++) view.step(1)")
    assert after["at"] == 73 and len(after["asked"]) <= 2
    assert compare.evaluate("view.bar.counter.textContent") == "pair 74 of 80"
    after = do(compare, "await pairsCome()")
    assert after["seen"] == 73
    assert after["live"] == "pair 74 of 80: thing 73, seed 7; left: a cat"


def test_a_key_goes_to_the_next_pair_without_a_vote_also_from_the_end(compare):
    do(compare, "await open_(5, { voted: ['tie', '', 'tie', 'tie', 'tie'], at: 3 })")
    assert do(compare, "view.goOn(); await pairsCome()")["at"] == 1
    assert do(compare, "view.goOn(); await pairsCome()")["at"] == 1  # there is no other
    assert compare.evaluate("view.ballot.next.getAttribute('aria-disabled')") == "true"


def test_undo_takes_the_vote_back_that_has_just_gone_on(compare):
    do(compare, "await open_(5)")
    do(compare, "press('left'); await pairsCome()")
    do(compare, "await answer('vote', () => pair(0, { vote: 'left', said: 'voted: left' }))")
    asked = do(compare, "view.undo(); press('tie')")
    assert asked["asked"] == [["undo", 0, ""]]  # nor is a vote cast meanwhile
    after = do(compare, "await answer('undo', () => pair(0, { undone: true })); await pairsCome()")
    assert after["seen"] == 0 and after["said"] == "the vote is taken back"
    assert compare.evaluate("view.votes") == [""] * 5


def test_undo_after_a_change_says_which_vote_counts_again(compare):
    do(compare, "await open_(2, { voted: ['left', ''] })")
    do(
        compare,
        "window.own = pair; window.pair = (n) => own(n, { vote: 'tie', said: 'voted: tie' })",
    )
    do(compare, "view.undo(); await answer('undo', () => own(0, { vote: 'tie', undone: true }))")
    after = do(compare, "await pairsCome(); window.pair = own")
    assert after["said"] == "the former vote is back: tie"
    assert do(compare, "view.step(1); view.step(-1); await pairsCome()")["said"] == "voted: tie"


def test_what_is_measured_is_in_the_words_for_a_picture_and_the_outcome_is_read_out(compare):
    do(compare, "await open_(2)")
    assert compare.evaluate("view.shown.images.map(({ alt }) => alt)") == [
        "left picture, seed 7, prompt thing 0, a cat",
        "right picture, seed 7, prompt thing 0",
    ]
    assert compare.evaluate("view.stage.words.textContent") == "left: a cat"
    stage = compare.get_by_role("group", name="pair 1 of 2")
    expect(stage).to_have_accessible_description("left: a cat")
    hear = "view.outcome.textContent"
    assert compare.evaluate(hear) == ""
    do(
        compare,
        "model.set('tally', ['2 votes.', 'p = 1']); model.set('outcome', '2 votes.'); model.set('secret', false)",
    )
    assert compare.evaluate(hear) == "The names are shown. 2 votes."
    do(compare, "press('left'); model.set('outcome', '3 votes.')")
    assert compare.evaluate(hear) == ""
    others = compare.get_by_role("group", name="what differs")
    assert others.get_attribute("tabindex") is None
    do(compare, "model.set('unlike', [['size', '64', '96']])")
    assert others.get_attribute("tabindex") == "0"  # it is scrolled by keys
    compare.evaluate("listenToKeys(view)")
    others.press("Home")
    assert compare.evaluate("view.at") == 1


def test_whoever_asks_who_is_who_before_the_end_hears_so_and_is_led_to_what_changes_nothing(
    compare,
):
    do(compare, "await open_(2, { voted: ['tie', ''] })")
    ending = compare.get_by_role("group", name="end of the blind vote")
    ending.get_by_role("button", name="show who is who now").press("Enter")
    stay = ending.get_by_role("button", name="go on voting")
    expect(stay).to_be_focused()
    expect(stay).to_have_accessible_description(re.compile("^1 of 2 pairs have no vote"))
    expect(ending.get_by_role("status")).to_contain_text("1 of 2 pairs have no vote")
    compare.keyboard.press("Enter")
    assert all(kind != "reveal" for kind, *_ in compare.evaluate("state().asked"))
    do(compare, "model.set('voted', ['tie', 'left'])")
    expect(ending.get_by_role("status")).to_contain_text("All 2 pairs are voted")


def test_that_votes_can_be_changed_is_said_while_the_names_are_hidden_and_others_who_wait_are_named(
    compare,
):
    words = "view.ending.words.textContent"
    told = "voted: ['tie', 'left'], blind: false, secret: false"
    do(compare, f"await open_(2, {{ {told} }})")
    assert compare.evaluate(words) == ""
    do(compare, "await open_(2, { voted: ['tie', 'left'], waiting: 'Ann has not asked.' })")
    can = "All 2 pairs are voted; until the names are shown, votes can be changed."
    assert compare.evaluate(words) == f"{can} Ann has not asked."
    do(compare, "model.set('outcome', '2 votes.'); model.set('secret', false)")
    assert compare.evaluate(words) == ""
    heard = compare.evaluate("view.outcome.textContent")
    assert heard == "The names are shown. 2 votes. Ann has not asked."


def test_shift_and_enter_are_left_to_the_notebook_and_escape_gives_the_focus_to_the_cell(compare):
    do(compare, "await open_(2, { voted: ['tie', ''] })")
    compare.evaluate(
        "() => { const root = document.querySelector('div'); keepKeys(root); window.passed = [];"
        " const cell = h('div', { className: 'jp-Cell', tabIndex: -1 }); root.replaceWith(cell);"
        " cell.append(root); document.onkeydown = (event) => passed.push(event.key); }"
    )
    compare.get_by_role("group", name="pair 1 of 2").focus()
    compare.keyboard.press("Shift+Enter")
    assert compare.evaluate("[view.at, passed.includes('Enter')]") == [0, True]
    compare.keyboard.press("Escape")
    assert compare.evaluate("document.activeElement.className") == "jp-Cell"


def test_while_cells_are_run_that_is_said_and_nothing_of_cells_to_be_run_again(compare):
    compare.evaluate(
        "() => { const model = { on() {}, send() {} }; document.body.innerHTML = '<div"
        " class=jp-Notebook-ExecutionIndicator data-status=busy></div><p></p>'; window.said = [];"
        " window.own = new Line(model); own.place = document.querySelector('p');"
        " own.notices.add((text) => said.push(text)); own.ask('run'); }"
    )
    compare.clock.run_for(60_000)
    assert compare.evaluate("said") == [compare.evaluate("BUSY")]
    compare.evaluate("document.querySelector('div').dataset.status = 'idle'")
    compare.clock.run_for(60_000)
    assert compare.evaluate("said.slice(1)")[:2] == ["", compare.evaluate("LEFT_ALONE")]
    compare.evaluate("clearInterval(own.timer)")


def test_what_python_looks_for_comes_after_the_pictures_and_is_read_out(compare):
    do(compare, "window.own = pair; window.pair = (n) => own(n, { seen: null })")
    do(compare, "await open_(2); window.pair = own")
    live = lambda: compare.evaluate("state().live")
    assert live() == "pair 1 of 2: thing 0, seed 7"
    asked = [one[:2] for one in compare.evaluate("state().asked")]
    assert asked == [["seen", 0], ["seen", 1]]
    do(compare, "await answer('seen', () => [{ kind: 'seen', seen: ['a dog', 'a cat'] }, []])")
    assert live() == "left: a dog; right: a cat" == compare.evaluate("view.stage.words.textContent")
    assert compare.evaluate("view.shown.images[1].alt").endswith("a cat")
    do(compare, "await answer('seen', () => [{ kind: 'seen', seen: ['a fox', ''] }, []])")
    assert live() == "left: a dog; right: a cat"  # that was the next pair
    assert do(compare, "view.step(1)")["live"] == "pair 2 of 2: thing 1, seed 7; left: a fox"


def test_judge_waits_with_a_question_that_can_be_read_and_reads_each_one_out(browser):
    page = open_page(browser, Judge)
    page.evaluate(
        "async () => { begin(3); const root = h('div'); document.body.replaceChildren(root);"
        " window.view = new JudgeView({ model, line, root }); view.show(); await settle(); }"
    )
    assert page.evaluate("view.question.textContent") == "Is it …?"
    assert page.evaluate("view.status.textContent") == "The picture is on its way."
    page.evaluate(
        "answer('show', () => [{ kind: 'trial', deal: 1, n: 0, question: 'Is it a cat?',"
        " seen: ['a dog'] }, [new ArrayBuffer(0)]])"
    )
    assert page.evaluate("view.live.textContent") == "picture 1 of 3: Is it a cat? a dog"
    stage = page.get_by_role("group", name="picture 1 of 3")
    expect(stage).to_have_accessible_description("a dog")
    assert page.evaluate("view.status.textContent") == ""
    assert page.evaluate("view.stage.images[0].alt") == "picture, which cannot be read, a dog"
    page.evaluate(
        "(async () => { view.show(); await answer('show', () => [{ kind: 'trial', deal: 1, n: 1,"
        " question: 'Is it a cat?', seen: null }, [new ArrayBuffer(0)]]); await answer('seen',"
        " () => [{ kind: 'seen', seen: ['a fox'] }, []]); })()"
    )
    assert page.evaluate("view.live.textContent") == "a fox"
    page.context.close()


def test_judge_asks_whoever_gives_a_name_whether_answers_without_one_are_theirs(browser):
    page = open_page(browser, Judge)
    page.evaluate(
        "async () => { begin(3); const root = h('div'); document.body.replaceChildren(root);"
        " window.trial = (n) => [{ kind: 'trial', deal: 1, n, question: 'Is it?', seen: [''] },"
        " [new ArrayBuffer(0)]]; window.view = new JudgeView({ model, line, root }); view.follow();"
        " view.bar.name(); view.unnamed.show(); view.show(); await answer('show', () => trial(2));"
        " model.set('rater', 'ann'); model.set('unnamed', 2); await settle(); }"
    )
    offer = page.get_by_role("group", name="answers without a name")
    expect(offer.get_by_role("status")).to_contain_text("2 answers to this question had been given")
    mine = offer.get_by_role("button", name="they are mine")
    expect(mine).to_have_accessible_description(re.compile("those of ann"))
    offer.get_by_role("button", name="leave them without a name").press("Enter")
    expect(offer).to_be_hidden()
    expect(page.get_by_role("group", name="picture 3 of 3")).to_be_focused()
    assert page.evaluate("asked.map(({ kind }) => kind)") == []
    page.evaluate("model.set('rater', 'bob')")  # somebody else is asked, too
    mine.press("Enter")
    page.evaluate(
        "(async () => { await settle(); model.set('unnamed', 0); model.set('done', 2);"
        " await answer('claim', () => trial(2)); })()"
    )
    expect(offer.get_by_role("status")).to_have_text("2 answers without a name are now bob's.")
    expect(mine).to_be_hidden()
    page.evaluate("model.set('rater', '')")
    expect(offer).to_be_hidden()
    expect(page.get_by_text("no name: answers are somebody's")).to_be_visible()
    rater = page.get_by_role("combobox", name="rater")
    rater.fill("carl")
    rater.press("Enter")  # and the next keys answer
    expect(page.get_by_role("group", name="picture 3 of 3")).to_be_focused()
    assert page.evaluate("model.get('rater')") == "carl"
    page.context.close()


@pytest.mark.parametrize("widget, known", [(Compare, "known"), (Judge, "raters")])
def test_a_name_that_capitals_alone_set_apart_is_asked_about(browser, widget, known):
    page = open_page(browser, widget)
    page.evaluate(
        f"""async () => {{
          begin(2, {{ {known}: ["ann", "Bob"], rater: "Ann" }});
          window.rater = new Rater({{ model }}, "{known}", () => {{}});
          document.body.replaceChildren(rater.element);
          rater.show();
        }}"""
    )
    said, take = page.get_by_role("status"), page.get_by_role("button", name="I am “ann”")
    expect(said).to_have_text("“ann” is kept as somebody else")
    assert page.locator("datalist option").evaluate_all("all => all.map((one) => one.value)") == [
        "ann",
        "Bob",
    ]
    take.press("Enter")
    assert page.evaluate("model.get('rater')") == "ann"
    expect(page.get_by_role("combobox", name="rater")).to_be_focused()
    expect(page.get_by_role("combobox", name="rater")).to_have_value("ann")
    expect(said).to_have_text("")
    expect(page.get_by_role("button")).to_have_count(0)
    page.context.close()

"""What the pages' scripts compute, called in a bare page: no JupyterLab, no kernel, no network."""

import itertools
import math

import numpy as np
import pytest

from sdlab.results.gallery import gallery
from sdlab.widgets import Predict, SeedGrid, WatermarkInspector
from sdlab.widgets.sweep_form.page import FormPage

MODEL = """
window.sent = [];
window.model = {
  on(name, hear) { this.hear = hear; },
  send(message) { sent.push(structuredClone(message)); },
};"""


@pytest.fixture(scope="module")
def load(browser):
    """load(widget) -> a page that has the widget's script, and whose clock stands still."""
    context, pages = browser.new_context(offline=True), {}

    def load(widget):
        if widget not in pages:
            pages[widget] = page = context.new_page()
            page.clock.install(time=0)
            page.add_script_tag(content=widget._esm.replace("export default", "const exported ="))
        return pages[widget]

    yield load
    context.close()


def test_labels_are_folded_around_what_they_share_in_whole_words(load):
    cases = [
        ["a red cat on the grass", "a blue cat on the grass"],
        ["a photograph of a hamster", "a photograph of a hammer", "a photograph of a ham"],
        ["one", "two"],
        ["the same words here", "the same words here"],
        ["alone"],
    ]
    for labels in cases:
        start, end = load(SeedGrid).evaluate("common", labels)
        assert all(label.startswith(start) and label.endswith(end) for label in labels)
        assert start == "" or (start.endswith(" ") and len(start) > 8)
        assert end == "" or (end.startswith(" ") and len(end) > 8)
        for label in labels:
            folded = load(SeedGrid).evaluate(
                "([label, shared]) => folded(label, shared)", [label, [start, end]]
            )
            middle = folded.removeprefix("… ").removesuffix(" …")
            assert " ".join(f"{start} {middle} {end}".split()) == label
    assert load(SeedGrid).evaluate("common", cases[1]) == ["a photograph of a ", ""]


def test_pictures_are_enlarged_by_whole_numbers_where_there_is_room(load):
    cases = list(
        itertools.product((32, 64, 96, 100, 512), (64, 96, 512, 768), (80, 512, 700, 1600))
    )
    found = load(SeedGrid).evaluate("cases => cases.map((given) => fit(...given))", cases)
    for (a, b, room), side in zip(cases, found):
        both, larger = math.lcm(a, b), max(a, b)
        step = both if both <= room else larger
        assert side == (room // step * step if larger <= room else room), (a, b, room)


@pytest.fixture(scope="module")
def sparse():
    """A grid of 4 by 5 at the second of three settings, where only some places have a picture."""
    rng = np.random.default_rng(0)
    at = rng.permutation(3 * 20)[:40].tolist()
    places = {
        "rows": list("abcd"),
        "cols": list("vwxyz"),
        "row_name": "prompt",
        "col_name": "seed",
        "at": at,
        "sliders": [{"name": "steps", "labels": ["1", "2", "3"]}],
    }
    table = np.full((4, 5), -1)
    for i, place in enumerate(at):
        if place // 20 == 1:
            table[place % 20 // 5, place % 5] = i
    return places, table


IN_TABLE = """([places, where, gone, work, given]) => {
  const table = crossed(places, settingOf(places, where), 900, 64, new Set(gone));
  return ({ at: () => [...Array(table.rows).keys()].map((r) =>
      [...Array(table.cols).keys()].map((c) => table.at(r, c) ?? -1)),
    where: () => given.map((i) => table.where(i)), gaps: () => table.gaps,
    beside: () => given.map(([i, down, across]) => beside(table, i, down, across) ?? -1),
    end: () => given.map(([i, last]) => endOfRow(table, i, last) ?? -1),
    farther: () => given.map(([i, rows]) => farther(table, i, rows) ?? -1),
  })[work]();
}"""


def test_a_picture_stands_where_its_row_column_and_setting_say(load, sparse):
    places, table = sparse
    ask = lambda work, given=None, gone=(): load(SeedGrid).evaluate(
        IN_TABLE, [places, [1], list(gone), work, given]
    )
    assert ask("at") == table.tolist() and ask("gaps") == (table < 0).sum()
    for i, spot in enumerate(ask("where", list(range(40)))):
        assert (table == i).any() == (spot is not None)
        assert spot is None or table[tuple(spot)] == i
    gone = table[table >= 0][:3].tolist()
    assert ask("at", gone=gone) == np.where(np.isin(table, gone), -1, table).tolist()
    assert ask("where", gone, gone) == [None] * 3


def test_what_has_no_room_loses_its_middle_and_keeps_both_ends(load):
    script = """given => given.map(([text, width, lines]) => {
        const short = shortened(text, width, lines);
        return [short, lineCount(short, width)]; })"""
    rest = "background, text, blurry, low quality, and so on to the end"
    texts = [f"green {rest}", f"a grassy {rest}", "none", "x" * 3000]
    found = load(SeedGrid).evaluate(script, [[text, 56, 8] for text in texts])
    assert all(lines <= 8 for _, lines in found)
    assert found[0][0].startswith("green") and found[1][0].startswith("a grassy")
    assert all(short.endswith("end") and " … " in short for short, _ in found[:2])
    assert found[2] == ["none", 1]


def test_arrows_go_on_over_gaps_and_end_at_the_edge(load, sparse):
    places, table = sparse
    moves = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    given, wanted = [], []
    for r, c in np.argwhere(table >= 0):
        for down, across in moves:
            way = [(r + k * down, c + k * across) for k in range(1, 5)]
            met = [table[y, x] for y, x in way if 0 <= y < 4 and 0 <= x < 5]
            given.append([int(table[r, c]), down, across])
            wanted.append(int(next((i for i in met if i >= 0), -1)))
    ask = lambda work, given: load(SeedGrid).evaluate(IN_TABLE, [places, [1], [], work, given])
    assert ask("beside", given) == wanted
    rows = [(row[row >= 0], row) for row in table if (row >= 0).any()]
    ends = [[int(own[0]), last] for own, _ in rows for last in (False, True)]
    assert ask("end", ends) == [int(own[k]) for own, _ in rows for k in (0, -1)]
    for i, rows in itertools.product(table[table >= 0].tolist(), (-2, 2, 9)):
        ((r, c),) = np.argwhere(table == i)
        to = min(max(r + rows, 0), 3)
        column = range(to, r, -1 if rows > 0 else 1)
        assert ask("farther", [[i, rows]]) == [
            next((table[k, c] for k in column if table[k, c] >= 0), -1)
        ]


def test_long_names_are_told_apart(load):
    names = [f"{'a rocket left of a tree ' * 9}{end}.png" for end in ("sd-v1", "none")]
    brief = load(WatermarkInspector).evaluate(
        "names => { const shared = common(names); return names.map((name) => brief(name, shared)); }",
        names,
    )
    assert len(set(brief)) == 2 and all(len(text) <= 101 for text in brief)


def test_a_question_is_asked_again_until_it_is_answered_and_the_silence_is_told(load):
    page = load(SeedGrid)
    page.evaluate(MODEL)
    page.evaluate(
        "() => { window.line = new Line(model); window.said = []; window.heard = [];"
        " line.notices.add((text) => said.push(text));"
        " line.ask('want', { cells: [3] }).then(({ message }) => heard.push(message)); }"
    )
    sent = lambda: page.evaluate("sent.map(({ kind, id, cells }) => [kind, id, cells[0]])")
    assert len(sent()) == 1
    counts = []
    for seconds in (4, 2, 8, 3, 20, 3):  # 4, 6, 14, 17, 37, 40 in all
        page.clock.run_for(1000 * seconds)
        counts.append((len(sent()), page.evaluate("said.length")))
    assert counts == [(1, 0), (2, 0), (2, 0), (3, 1), (4, 2), (4, 2)]
    assert len({tuple(question) for question in sent()}) == 1  # the same id: Python acts once
    answer = "model.hear({ kind: 'cells', re: sent[0].id }, [])"
    page.evaluate(answer), page.evaluate(answer)
    page.clock.run_for(200_000)
    assert page.evaluate("heard.length") == 1 and len(sent()) == 4
    assert page.evaluate("said.at(-1)") == ""


def test_who_reads_that_python_is_gone_is_told_of_the_cells_above_and_of_what_comes_back(load):
    page = load(FormPage(*[lambda *_: None] * 5))
    told = page.evaluate(
        "() => { const { notice, say } = makeNotice('AFTER'); const said = [];"
        " for (const text of [GONE, LEFT_ALONE, 'a seed is wrong', ''])"
        " { say(text); said.push([notice.textContent, notice.hidden]); } return said; }"
    )
    for text, hidden in told[:2]:
        assert "Run All Above Selected Cell" in text and text.endswith(" AFTER") and not hidden
    assert told[2:] == [["a seed is wrong", False], ["", True]]


TYPED = """() => {
  document.body.innerHTML = "<div id=f><div class=sdl-field><input><input type=file></div>"
    + "<button></button></div>";
  const form = document.getElementById("f"), [text, file] = form.querySelectorAll("input");
  sayTyping(form);
  const tell = (node, type) => {
    node.dispatchEvent(new Event(type, { bubbles: true }));
    return form.classList.contains("sdl-typing");
  };
  return [tell(file, "input"), tell(text, "input"), tell(form.lastChild, "focusout"),
    tell(text, "change"), tell(text, "input"), tell(text, "focusout")];
}"""


def test_while_something_is_typed_the_line_beside_run_says_that_it_is_not_of_it(load):
    page = load(FormPage(*[lambda *_: None] * 5))
    assert page.evaluate(TYPED) == [False, True, True, False, True, False]


OVERTAKEN = """() => {
  document.body.innerHTML = "<div id=f><div class='sdl-field sdl-field-seed'><input></div>"
    + "<div class='sdl-field sdl-field-prompt'><textarea></textarea></div>"
    + "<div class=sdl-run><button>Run</button></div></div>";
  const form = document.getElementById("f"), told = [], run = form.querySelector("button");
  const [seed, prompt] = form.querySelectorAll("input, textarea");
  tellBeforeRun(form, { ask: (kind, { texts }) => told.push([kind, texts]) });
  run.addEventListener("click", () => told.push("click"));
  const leave = (node, text) => {
    node.value = text;
    node.dispatchEvent(new Event("change", { bubbles: true }));
  };
  leave(seed, "1"), leave(seed, "2"), leave(prompt, "a cat");
  prompt.value = "from a picture";                         // Python has filled it in since
  run.click(), run.click();
  return told;
}"""


def test_what_was_typed_is_told_before_the_click_on_run_that_would_overtake_it(load):
    page = load(FormPage(*[lambda *_: None] * 5))
    assert page.evaluate(OVERTAKEN) == [["typed", [["seed", "2"]]], "click", "click"]


def test_marks_stay_until_python_has_answered_each(load):
    shown = load(SeedGrid).evaluate("""() => {
      const model = { starred: [], ratings: [], verdicts: [], tags: [], notes: [],
        get(name) { return this[name]; } };
      const marks = new Marks(model), star = marks.give(3, { starred: true });
      const wrong = marks.give(3, { verdict: "wrong" }), seen = [marks.words(3)];
      model.starred = [3];                                 // Python has heard of the star alone
      star();
      marks.read();
      seen.push(marks.words(3));
      wrong();                                             // and refused the verdict
      marks.read();
      return [...seen, marks.words(3)];
    }""")
    assert shown == [["starred", "wrong"], ["starred", "wrong"], ["starred"]]


def test_verdicts_are_counted_once_there_is_one(load):
    counted = load(SeedGrid).evaluate(
        "given => given.map((verdicts) => new Marks({ get: (name) => name === 'verdicts'"
        " ? verdicts.map((verdict, i) => [i, verdict]) : [] }).verdicts(60))",
        [[], ["wrong"], ["right", "wrong", "right", "wrong"], ["right", "cannot tell"]],
    )
    assert counted == [
        "",
        "0 right, 1 wrong, 59 open",
        "2 right, 2 wrong, 56 open",
        "1 right, 0 wrong, 1 cannot tell, 58 open",
    ]


FILTERS = """(column) => {
  const had = { row: [], col: [], numbers: ["score", "objects_right"], answers: ["objects_right"],
    axes: [], sort: "", filters: { verdict: "", rating: 0, text: "", column: "", least: null,
      most: null } };
  const model = { get: (name) => had[name], set: (name, value) => { had[name] = value; },
    save_changes() {} };
  const bar = new FilterBar({ model });
  bar.column.value = column;
  bar.column.onchange();
  bar.show();
  const shown = [bar.answer, ...bar.ends].map((node) => !node.hidden);
  const first = had.filters, words = [...bar.answer.options].map((option) => option.textContent);
  if (column === "objects_right") bar.answer.value = "0"; else bar.ends[0].value = "0.5";
  bar.send();
  return [shown, words, [first.least, first.most], [had.filters.least, had.filters.most]];
}"""


def test_a_column_of_yes_and_no_is_filtered_by_right_and_wrong(load):
    page = load(SeedGrid)
    found = page.evaluate(FILTERS, "objects_right")
    assert found == [[True, False, False], ["—", "right", "wrong"], [None, None], [0, 0]]
    shown, _, *bounds = page.evaluate(FILTERS, "score")
    assert shown == [False, True, True] and bounds == [[None, None], [0.5, None]]


def test_the_button_for_the_whole_screen_says_what_it_would_do(load):
    said = load(SeedGrid).evaluate(
        "() => { const root = document.createElement('div'), full = fullButton(root), said = [];"
        " for (const at of [root, null]) {"
        " Object.defineProperty(document, 'fullscreenElement', { value: at, configurable: true });"
        " root.dispatchEvent(new Event('fullscreenchange')); said.push(full.textContent); }"
        " return said; }"
    )
    assert said == ["leave full screen", "full screen"]


LACKING = """() => {
  const had = { pupil: "", answers: ["one", "two"], question: "Which?", uid: "u" };
  const model = { get: (name) => had[name], set(name, value) { had[name] = value; },
    save_changes() {} };
  const choices = new Choices({ model, root: document.body, send() {} }), said = [];
  const { pupil, reveal, radios, missing } = choices;
  const say = (act) => { act(); said.push(missing.textContent); };
  document.body.replaceChildren(choices.element);
  choices.name(""), say(() => reveal.click());
  pupil.value = "ann";
  say(() => { pupil.dispatchEvent(new Event("input")); choices.name("ann"); });
  say(() => reveal.click());
  say(() => { choices.name("ann"), choices.show(""); });   // Python has heard of the name
  say(() => radios[0].click()), radios[0].checked = false;
  reveal.click(), say(() => { choices.name("bob"), choices.show(""); });
  return [said, reveal.getAttribute("aria-disabled")];
}"""


def test_what_an_answer_lacks_is_said_until_it_is_there_or_another_pupil_is(load):
    said, disabled = load(Predict).evaluate(LACKING)
    name, choice = "Write your name first: answers go by name.", "Choose an answer first."
    assert said == [name, "", choice, choice, "", ""] and disabled == "true"


class GalleryScript:
    """What a gallery's page knows of its frame."""

    _esm = (gallery.HERE / "data.js").read_text("utf-8")


def test_a_gallery_leaves_joined_values_in_the_order_that_python_gave_them(load):
    levels = ["2 · 1", "10 · 0", "1 · 5"]
    ranked = load(GalleryScript).evaluate(
        "levels => [true, false].map((ordered) =>"
        " rankLevels(new Column({ name: 'a · b', ordered, levels, codes: [0, 1, 2] })))",
        levels,
    )
    assert ranked == [[0, 1, 2], [2, 1, 0]]


def test_the_oldest_pictures_are_freed_when_there_are_too_many(load):
    page = load(SeedGrid)
    freed = page.evaluate(
        "() => { const freed = [], urls = new Urls(2); URL.revokeObjectURL = (url) => freed.push(url);"
        " for (const name of 'abca') urls.set(name, `${name}${freed.length}`);"
        " return [freed, [...urls.urls.keys()]]; }"
    )
    assert freed == [["a0", "b0"], ["c", "a"]]

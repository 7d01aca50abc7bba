"""Predict in JupyterLab: an answer by keys alone, then the pictures; another pupil is asked anew."""

from .lab import DARK, LIGHT, expect, until_right

RUN = (
    "from sdlab import Request, run, sweep\nfrom sdlab.widgets import Predict\n"
    "plan = sweep(Request(prompt='a cat', num_inference_steps=4), guidance_scale=[0, 1])\n"
    "frame = run(plan, 'runs/guess', progress=False)\n"
    "guess = Predict(frame, 'What does guidance 0 draw?', ['a cat', 'anything'], right='anything',"
    " group='class 7b')\n"
    "guess"
)


LISTEN = """node => {
  window.heard = [];
  const tell = () => window.heard.push(node.checkVisibility() ? node.textContent : "");
  new MutationObserver(tell).observe(node, { childList: true, characterData: true, subtree: true });
}"""


WIDTH = "node => node.getBoundingClientRect().width"


def is_wider(node, width):
    assert node.evaluate(WIDTH) > width


def test_a_prediction_comes_before_its_pictures(notebook):
    nb = notebook([RUN])
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    reveal = out.get_by_role("button", name="reveal")
    expect(reveal).to_have_attribute("aria-disabled", "true")
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(out) == []
    first, pupil = (
        out.get_by_role("radio", name="a cat"),
        out.get_by_role("textbox", name="pupil"),
    )
    first.focus()
    press("ArrowDown")
    expect(out.get_by_role("radio", name="anything")).to_be_checked()
    reveal.click(force=True)  # it is greyed, and says why
    expect(out.get_by_role("status").get_by_text("Write your name first")).to_be_visible()
    expect(pupil).to_be_focused()
    assert nb.axe(out) == []
    nb.page.keyboard.type("a")
    expect(out.get_by_text("Write your name first")).to_have_count(0)
    press("Enter")
    expect(reveal).to_be_focused()  # an answer is chosen
    pupil.fill("")
    out.get_by_role("radio", name="anything").focus()
    press("Tab")
    nb.page.keyboard.type("ann")
    expect(out.get_by_role("img")).to_have_count(0)
    press("Tab")
    expect(reveal).to_be_focused()
    press("Enter")
    expect(out.get_by_role("img", name="guidance_scale 0")).to_be_visible()
    expect(out.get_by_text("You expected “anything”. That is right.")).to_be_focused()
    expect(out.get_by_role("table", name="what class 7b expected")).to_be_visible()
    nb.expect_kernel("guess.value.values[:, :2].tolist()", [["ann", "anything"]])
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        nb.screenshot(f"predict-{theme.split()[-1].lower()}")
        assert nb.axe(out) == []
    picture = out.get_by_role("img").first
    before = picture.evaluate(WIDTH)
    out.get_by_role("button", name="full screen").click()
    expect(out.get_by_role("button", name="leave full screen")).to_be_visible()
    until_right(nb.page, is_wider, picture, 1.25 * before)  # as far as 720 pixels go
    assert nb.axe(out) == []
    out.get_by_role("button", name="leave full screen").click()
    expect(out.get_by_role("button", name="full screen", exact=True)).to_be_visible()
    out.locator(".sdl-predict-verdict").evaluate(LISTEN)
    pupil.fill("bob")
    pupil.press("Enter")
    expect(reveal).to_be_visible()
    expect(first).to_be_focused()
    reveal.press("Enter")
    expect(out.get_by_role("status").get_by_text("Choose an answer first.")).to_be_visible()
    expect(first).to_be_focused()
    expect(out.get_by_role("img")).to_have_count(0)
    nb.expect_kernel("[guess.pupil, guess.choice]", ["bob", ""])
    heard = nb.page.evaluate("window.heard")
    assert not [text for text in heard if "expected" in text]  # it is not his to hear
    out.get_by_role("radio", name="a cat").click()
    reveal.click()
    expect(out.get_by_text("You expected “a cat”. It is “anything”.")).to_be_visible()
    nb.kernel("setattr(guess, 'pupil', 'eve')")
    out.get_by_role("radio", name="a cat").click()
    expect(reveal).not_to_have_attribute("aria-disabled", "true")
    nb.kernel("setattr(guess, 'pupil', '')")
    expect(reveal).to_have_attribute("aria-disabled", "true")  # answers go by name
    nb.kernel("setattr(guess, 'pupil', 'bob')")
    expect(out.get_by_role("img")).to_have_count(2)
    nb.kernel("guess.refresh()")
    nb.reopen(trusted=False)
    expect(out.get_by_role("img")).to_have_count(2)
    assert nb.errors == []


SIX = RUN.replace("[0, 1]", "[0, 1, 2, 4, 7.5, 15]").replace(
    "['a cat', 'anything']", "['a cat', 'anything', 'a dog', 'a red circle', 'nothing', 'noise']"
)


def test_six_choices_and_six_pictures_are_seen_at_once_on_a_whole_screen(notebook):
    nb = notebook([SIX])
    nb.page.set_viewport_size({"width": 1280, "height": 720})
    nb.run_all()
    out = nb.output(0)
    out.get_by_role("textbox", name="pupil").fill("ann")
    out.get_by_role("radio", name="nothing").click()
    out.get_by_role("button", name="reveal").click()
    pictures = out.locator(".sdl-predict-pictures img")
    expect(pictures).to_have_count(6)
    out.get_by_role("button", name="full screen").click()
    expect(out.get_by_role("button", name="leave full screen")).to_be_visible()
    seen = [*pictures.all(), *out.get_by_role("radio").all(), *out.locator("figcaption").all()]
    for each in [*seen, *out.get_by_role("row").all()]:
        expect(each).to_be_in_viewport(ratio=1)
    nb.screenshot("predict-720")
    assert pictures.first.evaluate("node => node.getBoundingClientRect().width") > 160
    assert nb.axe(out) == []
    nb.page.set_viewport_size({"width": 853, "height": 480})  # at a zoom of 150 %
    for each in pictures.all():
        expect(each).to_be_in_viewport(ratio=1)
    out.get_by_role("button", name="leave full screen").click()
    expect(out.get_by_role("button", name="full screen", exact=True)).to_be_visible()
    assert pictures.first.evaluate("node => node.getBoundingClientRect().width") == 160
    assert nb.errors == []

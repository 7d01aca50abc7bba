"""Inside in JupyterLab: steps and words by mouse and by keys, two cells on one slider, and what stays in the file."""

import re

from .lab import DARK, LIGHT, expect, until_right

LOOK = (
    "from sdlab import Request\nfrom sdlab.widgets import Inside\n"
    "cat = Request(prompt='a cat above a red circle', num_inference_steps=8)\n"
    "look = Inside(cat, cat.but(prompt='a fox above a red circle'), store='runs/inside')\nlook"
)


HOLD = """() => {  // the clock by which it plays: a step goes on when `tick()` is called
  const { setInterval: own, clearInterval: clear } = window;
  window.setInterval = (act, ms, ...more) => (ms === 450 ? (window.tick = act) && -1 : own(act, ms, ...more));
  window.clearInterval = (id) => { if (id === -1) window.tick = null; else clear(id); };
  window.letGo = () => Object.assign(window, { setInterval: own, clearInterval: clear });
}"""
DRAWN = """async (img) => {
  await img.decode();
  const { naturalWidth: width, naturalHeight: height } = img, canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  return [...context.getImageData(0, 0, width, height).data];
}"""


def test_words_light_up_and_steps_go_on_by_mouse_and_by_keys(notebook):
    nb = notebook([LOOK])
    nb.run_all()
    out, press = nb.output(0), nb.page.keyboard.press
    expect(out.get_by_role("img", name=re.compile("^the picture: "))).to_have_count(2)
    expect(out.get_by_text(re.compile("^the picture · seed "))).to_have_count(2)
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        assert nb.axe(out) == []
    slider, shades = out.get_by_role("slider", name="step"), out.locator("canvas:visible")
    expect(shades).to_have_count(0)
    out.get_by_role("button", name="circle").first.hover()
    expect(shades).to_have_count(2)  # the same word lights up in both
    expect(out.get_by_role("status").last).to_contain_text("“circle” acts most at the")
    for theme in (DARK, LIGHT):
        nb.theme(theme)
        nb.screenshot(f"inside-{theme.split()[-1].lower()}")
        assert nb.axe(out) == []
    out.get_by_role("button", name="cat").hover()
    expect(shades).to_have_count(2)  # in the other prompt the fox stands in its place
    expect(out.get_by_role("status").last).to_contain_text("right: “fox” acts most at the")
    slider.focus()
    press("Home")
    nb.expect_kernel("look.at", 0)
    expect(out.get_by_text("step 1 of 8")).to_be_visible()
    press("ArrowRight")
    nb.expect_kernel("look.at", 1)
    expect(out.get_by_text(re.compile("^step 2 · noise .* · a sketch, blurred"))).to_have_count(2)
    press("Shift+Tab")  # back from the slider: play
    press("Shift+Tab")  # the last word of the second prompt
    expect(out.get_by_role("button", name="circle").last).to_be_focused()
    expect(shades).to_have_count(2)
    press("Enter")
    nb.expect_kernel("look.word", "circle")
    expect(out.get_by_role("button", name="circle", pressed=True)).to_have_count(2)
    press("a")
    nb.expect_kernel("look.whole", True)
    press("End")
    nb.expect_kernel("look.at", 8)
    expect(slider).to_have_attribute("aria-valuetext", "the picture")
    finished = out.get_by_role("img", name=re.compile("^the picture: ")).first
    pixels = nb.kernel("list(look.insights[0].picture.convert('RGBA').tobytes())")
    assert finished.evaluate(DRAWN) == pixels  # not what was believed at the last step
    slider.press("ArrowLeft")
    expect(out.get_by_role("img", name=re.compile("^what is believed at step 8: "))).to_have_count(
        2
    )
    slider.press("?")
    expect(out.get_by_text("plays and pauses")).to_be_hidden()
    press("Escape")
    nb.expect_kernel("look.word", "")
    hint = out.get_by_role("status").get_by_text("All steps: choose a word")
    expect(hint).to_be_visible()  # the button does nothing else that is seen without one
    press("a")
    expect(hint).to_have_count(0)
    press("End")
    out.get_by_role("button", name="cat").press("Enter")
    told = out.get_by_role("status").last
    expect(told).to_contain_text("in all steps")
    nb.page.evaluate(HOLD)
    press("p")
    expect(out.get_by_role("button", name="pause")).to_be_visible()
    nb.expect_kernel("look.at", 0)  # it begins again at the first step
    expect(told).to_contain_text("of the attention now")
    said = told.text_content()
    nb.page.evaluate("() => { for (let k = 0; k < 3; k++) tick(); }")
    nb.expect_kernel("look.at", 3)
    expect(told).to_have_text(said)  # no voice is interrupted at each step
    press("p")
    expect(out.get_by_role("button", name="play")).to_be_visible()
    expect(told).not_to_have_text(said)  # it tells of this step now
    expect(told).to_contain_text("of the attention now")
    assert nb.page.evaluate("tick") is None
    nb.page.evaluate("letGo()")
    nb.expect_kernel("look.at", 3)
    assert nb.errors == []


def test_the_file_shows_steps_and_words_without_a_kernel(notebook):
    nb = notebook([LOOK.replace(", cat.but(prompt='a fox above a red circle')", "")])
    nb.run_all()
    out = nb.output(0)
    expect(out.get_by_role("slider", name="step")).to_be_visible()
    out.get_by_text("the same in Python").click()
    expect(out.get_by_label("the same in Python")).to_contain_text("store='runs/inside'")
    nb.reopen(trusted=False)
    expect(out.get_by_role("img", name="circle: where it acts")).to_be_visible()
    expect(out.get_by_role("img", name=re.compile("^the picture: .*background"))).to_be_visible()
    assert nb.axe(out) == []
    assert nb.errors == []


def fits_a_projector(widget):
    high, picture = widget.evaluate("""root => {
      const told = root.querySelector(".sdl-inside-status").getBoundingClientRect();
      return [told.bottom - root.getBoundingClientRect().top, root.querySelector("img").clientHeight];
    }""")
    assert 0 < high <= 720 - 150  # the notebook's own bars have the rest
    assert picture >= 256


def test_words_pictures_steps_and_what_is_told_fit_a_projector(notebook):
    nb = notebook([LOOK])
    nb.run_all()
    out = nb.output(0)
    nb.page.set_viewport_size({"width": 1280, "height": 720})
    out.get_by_role("button", name="cat").press("Enter")
    expect(out.get_by_role("status").last).to_contain_text("acts most at the")
    until_right(nb.page, fits_a_projector, out.locator(".sdl-inside"))

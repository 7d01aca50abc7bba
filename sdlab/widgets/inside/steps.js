// The slider over the steps, play and pause, and at which steps the lit word acts.

const PACE = 450;                                          // ms a step

class Steps {
  constructor(view) {
    this.view = view;
    this.play = button("play", () => this.toggle(), { title: "P or Space" });
    this.slider = h("input", { type: "range", min: 0, max: view.last, step: 1,
      "aria-label": "step" });
    this.slider.oninput = () => { this.pause(); view.go(Number(this.slider.value)); };
    this.counter = h("span", { className: "sdl-inside-count" });
    this.whole = button("all steps", () => put(view.model, "whole", !view.model.get("whole")),
      { title: "A: a word lights up where it acts in all steps together" });
    this.bars = h("div", { className: "sdl-inside-bars", "aria-hidden": "true" });
    this.element = h("div", { className: "sdl-bar sdl-inside-steps" }, this.play,
      h("div", { className: "sdl-inside-track" }, this.bars, this.slider), this.counter,
      this.whole, fullButton(view.root));
  }

  show(at) {
    const { view } = this, longest = view.longest.told.moments;
    this.slider.value = at;
    const text = at === view.last ? "the picture"
      : `step ${longest[at].last} of ${longest.at(-1).last}`;
    this.counter.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
    this.whole.setAttribute("aria-pressed", view.model.get("whole"));
    [...this.bars.children].forEach((bar, k) => bar.classList.toggle("sdl-inside-now", k === at));
  }

  // Bars of the first cell's word, or the second's where the first has none.
  draw(sides, lit) {
    const word = lit && sides.map((side) => side.find(lit)).find(Boolean);
    const shares = word ? [...word.shares, 0] : [], most = Math.max(...shares, 1e-9);
    this.bars.replaceChildren(...shares.map((share) =>
      h("span", { className: "sdl-inside-share", style: `height: ${100 * share / most}%` })));
    this.show(this.view.at);
  }

  toggle() {
    if (this.timer) return this.pause();
    if (this.view.at === this.view.last) this.view.go(0);
    this.timer = setInterval(() => {
      if (this.view.at >= this.view.last) return this.pause();
      this.view.go(this.view.at + 1);
    }, PACE);
    this.play.textContent = "pause";
  }

  pause() {
    const played = Boolean(this.timer);
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "play";
    if (played) this.view.tell();
  }
}

// The ways of looking at the pair on a stage, each with its control: an edge that is moved,
// blinking, the difference; and a magnifying glass over all of them.

const BLINKS = 1.5;           // changes a second; at most 3, so that nothing flashes too fast

const controlOf = (...children) => h("div", { className: "sdl-compare-control" }, ...children);

// The left picture is seen to the left of the edge, the right one to its right.
class Swipe {
  constructor(stage) {
    this.stage = stage;
    this.edge = h("div", { className: "sdl-compare-edge", "aria-hidden": "true" });
    this.input = h("input", { type: "range", min: 0, max: 100, value: 50,
      "aria-label": "edge between the left and the right picture" });
    this.input.oninput = () => this.cut();
    this.control = controlOf(this.input);
  }

  cut() {
    const { stage, edge, input } = this, share = +input.value;
    [`inset(0 ${100 - share}% 0 0)`, `inset(0 0 0 ${share}%)`].forEach((inset, k) => {
      stage.panes[k].style.clipPath = stage.mode === "swipe" ? inset : "";
    });
    edge.style.left = share + "%";
    input.setAttribute("aria-valuetext", `left ${share} %, right ${100 - share} %`);
  }

  drag(event) {
    if (this.stage.mode !== "swipe" || !(event.buttons & 1)) return;
    const { left, width } = this.stage.pictures.getBoundingClientRect();
    this.input.value = clamp(100 * (event.clientX - left) / width, 0, 100);
    this.cut();
  }
}

class Blink {
  constructor(stage) {
    Object.assign(this, { stage, timer: null, side: "left" });
    const toggle = () => (this.timer ? this.pause() : this.start());
    this.play = button("pause", toggle, { title: "Space" });
    this.flipped = button("flip", () => { this.pause(); this.flip(); }, { title: "F" });
    this.speed = h("input", { type: "range", min: 0.5, max: 3, step: 0.5, value: BLINKS });
    this.speed.oninput = () => (this.timer ? this.start() : this.say());
    this.shown = h("output");
    this.control = controlOf(this.play, this.flipped,
      h("label", {}, "changes a second", this.speed, this.shown));
    this.say();
  }

  say() {
    this.play.textContent = this.timer ? "pause" : "play";
    this.shown.textContent = this.speed.value;
  }

  start() {
    clearInterval(this.timer);
    const pause = 1000 / clamp(+this.speed.value, 0.5, 3);
    this.timer = setInterval(() => { if (!document.hidden) this.flip(); }, pause);
    this.say();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.say();
  }

  flip() { this.showSide(this.side === "left" ? "right" : "left"); }

  showSide(name) {
    const { stage } = this;
    this.side = name;
    stage.element.dataset.side = name;
    stage.names.forEach((node, k) => {
      const seen = stage.mode === "blink" && sideName(k) === name;
      node.classList.toggle("sdl-compare-seen", seen);
    });
  }
}

// Right minus left, which Python makes.
class Difference {
  constructor(stage, ask, said) {
    Object.assign(this, { stage, ask, asking: false, have: "", url: null });
    this.image = h("img", { alt: "" });
    this.gain = h("input", { type: "range", min: 1, max: 32, step: 1 });
    this.gain.oninput = () => this.showGain();
    this.gain.onchange = () => said("gain", +this.gain.value);
    this.shown = h("output");
    this.words = h("span", { className: "sdl-compare-differs", title: "right minus left" });
    this.control = controlOf(h("label", {}, "gain", this.gain, this.shown), this.words);
  }

  setGain(value) {
    if (document.activeElement !== this.gain) this.gain.value = value;
    this.showGain();
  }

  showGain() {
    this.shown.textContent = `${this.gain.value}×`;
    this.look();
  }

  get wanted() { return this.stage.pair && this.stage.mode === "difference"; }

  // Asks for the difference that is to be seen, unless it is there or on its way.
  async look() {
    if (this.asking || !this.wanted) return;
    const { place, deal } = this.stage.pair, gain = +this.gain.value;
    const name = [deal, place, gain].join();
    if (this.have === name) return;
    this.asking = true;
    const { message, buffers } = await this.ask(place, deal, gain);
    this.asking = false;
    if (!this.wanted) return;
    const { pair } = this.stage;
    if (pair.place !== place || pair.deal !== deal || +this.gain.value !== gain) return this.look();
    if (message.kind !== "difference") return void (this.words.textContent = message.text ?? "");
    this.show(blobUrl(buffers[0], "image/png"), message.said, gain);
    this.have = name;
  }

  show(url, said, gain) {
    this.forget();
    this.image.src = this.url = url;
    this.image.alt = `right minus left, ${gain} times as strong: ${said}`;
    this.words.textContent = `grey: no change · ${said}`;
  }

  reset() {
    this.have = "";
    this.image.removeAttribute("src");
    this.image.alt = "";
    this.words.textContent = "";
  }

  forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}

// A magnifying glass over both pictures, at the same spot.
class Glass {
  constructor(stage) {
    Object.assign(this, { stage, spot: [50, 50] });
    const title = "Z; then point to a place, or Shift and arrows";
    this.button = button("", () => this.magnify(), { title });
    this.magnify(1);
  }

  magnify(times = this.times === 4 ? 1 : 2 * this.times) {
    this.times = times;
    this.button.textContent = `magnify: ${times}×`;
    this.button.setAttribute("aria-label", `magnify, now ${times} times`);
    this.aim(...this.spot);
    this.stage.layOut();
  }

  aim(x, y) {                                              // percent
    const { style } = this.stage.pictures;
    this.spot = [clamp(x, 0, 100), clamp(y, 0, 100)];
    style.setProperty("--sdl-times", this.times);
    style.setProperty("--sdl-x", this.spot[0] + "%");
    style.setProperty("--sdl-y", this.spot[1] + "%");
  }

  point(event) {
    if (this.times === 1) return;
    const pane = event.target.closest(".sdl-compare-pane") ?? this.stage.pictures;
    const { left, top, width, height } = pane.getBoundingClientRect();
    this.aim(100 * (event.clientX - left) / width, 100 * (event.clientY - top) / height);
  }

  // Moves it by so many steps; false where there is nothing to move.
  move(x, y) {
    if (this.times > 1) this.aim(this.spot[0] + 10 * x, this.spot[1] + 10 * y);
    return this.times > 1;
  }
}

// The page of Inside: a slider over the steps of one cell or two, and words that light up.
//
// page -> Python  frames {side}; seen {side}, what stands in each; maps {side, group}; code
// Python -> page  frames + a picture for each moment, and the finished one; maps + a buffer, bytes
//                 (moments + 1, height, width), the last being that of all steps; code {text}.

// Places on the slider are the moments of the longest list, and then the finished picture.

const AROUND = 150;                                        // px of the notebook's bars and edges
const TOLD = 52;                                           // px of two lines below the steps
const LEAST = 128;                                         // px of a picture
const WHOLE = "All steps: choose a word, and it lights up where it acts in all steps together.";

const INSIDE_KEYS = "<kbd>←</kbd> <kbd>→</kbd> steps, <kbd>Home</kbd> <kbd>End</kbd> · "
  + "<kbd>P</kbd> or <kbd>Space</kbd> plays and pauses · <kbd>Tab</kbd> to a word lights up where "
  + "it acts, <kbd>Enter</kbd> keeps it lit, <kbd>Esc</kbd> lets go · <kbd>A</kbd> all steps · "
  + "<kbd>?</kbd> shows or hides this";

class InsideView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root, pointed: "" });
    this.sides = model.get("sides").map((told, n) => new Side(this, told, n));
    this.longest = this.sides.reduce((one, other) =>
      (other.told.moments.length > one.told.moments.length ? other : one));
    this.steps = new Steps(this);
    this.status = h("div", { className: "sdl-inside-status", role: "status" });
    this.live = spokenLine();
    this.pictures = h("div", { className: "sdl-inside-sides" },
      ...this.sides.map((side) => side.element));
    this.help = keysHelp(INSIDE_KEYS);
    root.append(this.pictures, this.steps.element, this.live, this.status, codeBlock(line),
      this.help);
  }

  get last() { return this.longest.told.moments.length; }  // the finished picture
  get at() { return clamp(this.model.get("at"), 0, this.last); }
  get lit() { return this.pointed || this.model.get("word"); }

  go(at) { put(this.model, "at", clamp(at, 0, this.last)); }

  point(text) {
    if (this.pointed === text) return;
    this.pointed = text;
    this.light();
  }

  hold(text) { put(this.model, "word", this.model.get("word") === text ? "" : text); }

  light() {
    for (const side of this.sides) {
      side.light(this.lit);
      side.mark(this.model.get("word"));
    }
    this.steps.draw(this.sides, this.lit);
    this.tell();
  }

  show() {
    for (const side of this.sides) side.show(this.at);
    this.steps.show(this.at);
    this.tell();
  }

  // What the lit word does, or without one, what is believed; while it plays, a voice is not to be
  // interrupted at each step.
  tell() {
    for (const side of this.sides) side.paint();
    if (this.steps.timer) return;
    const idle = !this.lit && this.model.get("whole") ? WHOLE : "";
    this.status.textContent = this.join((side) => side.describe()) || idle;
    const believed = ({ found, what }) => found && `${what}: ${found}`;
    this.live.textContent = this.lit ? "" : this.join(believed);
  }

  // What is said of each side, with its name where there are two.
  join(say) {
    const names = this.sides.length > 1 ? ["left: ", "right: "] : [""];
    const said = this.sides.map(say);
    return said.map((text, n) => text && names[n] + text).filter(Boolean).join(" · ");
  }

  // As large as lets words, picture, steps and what is told of them be seen at once.
  layOut() {
    const { root, sides, status } = this;
    const wide = (root.clientWidth - 8 - (sides.length - 1) * 2 * APART) / sides.length;
    const beside = status.getBoundingClientRect().top - root.getBoundingClientRect().top
      - Math.max(...sides.map((side) => side.image.parentElement.offsetHeight));
    const page = innerHeight - (document.fullscreenElement === root ? 0 : AROUND);
    const high = Math.max(page - beside - TOLD, LEAST);
    for (const side of sides) side.layOut(Math.min(wide, high));
  }

  follow() {
    const show = () => this.show(), light = () => this.light();
    return follow(this.model, { at: show, whole: show, word: light });
  }

  listen() {
    const { root, steps, model } = this;
    const elsewhere = (controls) => (event) => !event.target.closest(controls);
    const step = (by) => () => { steps.pause(); this.go(this.at + by); };
    onKeys(root, {
      ArrowRight: step(1), ArrowLeft: step(-1), Home: step(-Infinity), End: step(Infinity),
    }, elsewhere("input, pre"));
    onKeys(root, {
      p: () => steps.toggle(), a: () => put(model, "whole", !model.get("whole")),
      Escape: () => put(model, "word", ""), "?": () => this.help.toggle(),
    }, elsewhere("pre"));
    onKeys(root, { " ": () => steps.toggle() }, elsewhere("button, input, summary, pre"));
  }
}

function render({ model, line, root }) {
  const view = new InsideView({ model, line, root });
  view.listen();
  const unfollow = view.follow();
  const sized = new ResizeObserver(() => view.layOut());
  sized.observe(root);
  view.show();
  view.light();
  for (const side of view.sides) side.load();
  return () => {
    unfollow();
    sized.disconnect();
    view.steps.pause();
    for (const side of view.sides) side.free();
  };
}

export default panel("inside", render);

// The buttons around the pictures: above them which pair and how to look, below them the vote.

const WAYS = [["swipe", "W"], ["side by side", "E"], ["blink", "B"], ["difference", "D"]];
const BALLOT = [["left", "left is better"], ["right", "right is better"], ["tie", "a tie"],
  ["both bad", "both bad"]];
const OTHER_QUESTION = "Which do you like better? For a question of your own, such as whether the"
  + " picture shows what the prompt says, there is Judge.";

const group = (name, label, ...children) =>
  h("div", { className: `sdl-compare-${name}`, role: "group", "aria-label": label }, ...children);

class TopBar {
  constructor(view, magnifier) {
    const { model, line } = this.view = view;
    const step = (text, by, title, label) =>
      button(text, () => view.step(by), { title, "aria-label": label });
    this.before = step("‹", -1, "left arrow or P", "previous pair");
    this.after = step("›", 1, "right arrow or N", "next pair");
    this.counter = h("span", { className: "sdl-compare-counter" });
    this.ways = WAYS.map(([name, key]) =>
      button(name, () => put(model, "mode", name), { title: key }));
    this.blind = h("input", { type: "checkbox" });
    this.blind.onchange = () => view.setBlind(this.blind.checked);
    this.chooser = new Chooser(model, line);
    this.rater = new Rater(view, "known", () => view.enter());
    this.shared = h("span", { className: "sdl-compare-note", textContent: SHARED_ORDER });
    this.element = h("div", { className: "sdl-bar" },
      group("steps", "pairs", this.before, this.counter, this.after),
      group("ways", "way of comparing", ...this.ways, magnifier),
      h("label", { title: "shuffle pairs and sides, and hide the names until you ask for them" },
        this.blind, "blind"), this.rater.element, this.shared,
      this.chooser.element,
      fullButton(view.root));
  }

  showPlace(n, total) {
    this.counter.textContent = `pair ${n + 1} of ${total}`;
    this.before.disabled = n === 0;
    this.after.disabled = n >= total - 1;
  }

  showRater() {
    const { model } = this.view;
    this.rater.show();
    this.shared.hidden = !model.get("blind");
  }

  showMode(mode) {
    this.ways.forEach((node, k) => node.setAttribute("aria-pressed", WAYS[k][0] === mode));
  }
}

// Which two of the values are compared, where there are more.
class Chooser {
  constructor(model, line) {
    Object.assign(this, { model, line });
    this.selects = [0, 1].map((k) => h("select", { "aria-label": sideName(k) }));
    this.selects.forEach((node, k) => { node.onchange = () => this.choose(k); });
    this.element = h("span", { className: "sdl-compare-chooser" },
      `${model.get("by")} `, this.selects[0], " against ", this.selects[1]);
  }

  show() {
    const { model, element } = this, choices = model.get("choices"), chosen = model.get("chosen");
    element.hidden = choices.length < 3 || model.get("blind");
    this.selects.forEach((node, k) => {
      const options = choices.map((text, i) =>
        h("option", { value: i, textContent: text, selected: i === chosen[k] }));
      node.replaceChildren(...(element.hidden ? [] : options));
    });
  }

  choose(k) {                                              // the same twice: they change places
    const [left, right] = this.selects.map((one) => +one.value), old = this.model.get("chosen")[k];
    const swapped = k ? { left: old, right } : { left, right: old };
    this.line.ask("choose", left !== right ? { left, right } : swapped);
  }
}

class Ballot {
  constructor(view) {
    this.buttons = BALLOT.map(([name, text], k) => {
      const node = button("", (event) => view.vote(name, event),
        { title: `${text} (${k + 1})`, "aria-label": text });
      node.append(h("kbd", { textContent: k + 1 }), ` ${name}`);
      return node;
    });
    this.undo = button("", () => view.undo(), { title: "U or Backspace: take the vote back" });
    this.undo.append(h("kbd", { textContent: "U" }), " undo");
    this.next = button("", () => view.goOn(), { title: "V" });
    this.next.append(h("kbd", { textContent: "V" }), " next without a vote");
    this.status = h("div", { className: "sdl-compare-said", role: "status" });
    const asked = h("span", { textContent: "better:", title: OTHER_QUESTION });
    this.element = pressOnce(h("div", { className: "sdl-bar sdl-compare-ballot", role: "group",
      "aria-label": "vote" }, asked, ...this.buttons, this.undo, this.next));
  }

  // `stays`: a blind vote whose names are known.
  show(vote, stays, more) {
    this.buttons.forEach((node, k) => {
      node.setAttribute("aria-pressed", vote === BALLOT[k][0]);
      able(node, !stays);
    });
    able(this.undo, !stays);
    able(this.next, more);
  }
}

const ASK = "show who is who";
const SURE = "That the names were shown is written down, and votes after it are open ones.";

// How a blind vote ends: after its last pair, or before it by a second click. The first one leads
// to the button that changes nothing: whoever presses Enter twice has seen no names.
class Ending {
  constructor(view) {
    this.view = view;
    this.words = h("span", { role: "status" });
    this.ask = button(ASK, () => this.press());
    this.stay = button("go on voting", () => this.open(false));
    for (const node of [this.ask, this.stay]) describe(node, this.words);
    this.element = h("div", { className: "sdl-bar sdl-compare-ending", role: "group",
      "aria-label": "end of the blind vote", hidden: true }, this.words, this.ask, this.stay);
  }

  get left() { return this.view.voted.filter((one) => !one).length; }

  press() {
    if (this.left && !this.sure) this.open(true); else this.view.reveal();
  }

  open(sure) {
    this.sure = sure;
    this.show();
    (sure ? this.stay : this.view.stage.element).focus({ preventScroll: true });
  }

  // What is said of it: nothing once the names are shown.
  tell() {
    const { left, sure, view } = this, total = view.voted.length;
    if (!view.secret) return "";
    if (left) return sure ? `${left} of ${total} pairs have no vote. ${SURE}` : "";
    const voted = `All ${total} pairs are voted; until the names are shown, votes can be changed.`;
    return [voted, view.model.get("waiting")].filter(Boolean).join(" ");
  }

  show() {
    const { left, sure, view } = this, all = !left, words = this.tell();
    this.element.hidden = !view.secret;
    if (this.words.textContent !== words) this.words.textContent = words;
    this.ask.textContent = all || sure ? ASK : `${ASK} now …`;
    this.stay.hidden = all || !sure;
  }
}

// What stands around the picture: who answers and how far the round is, the answers, and its end.

const CANNOT_TELL = "cannot tell";
const NOBODY = "no name: answers are somebody's, until you say that they are yours";

class TopBar {
  constructor(view) {
    const model = this.model = view.model;
    this.rater = new Rater(view, "raters", () => view.enter());
    this.order = h("span", { className: "sdl-judge-order" });
    this.bar = h("progress", { "aria-label": "answered" });
    this.counter = h("span", { className: "sdl-judge-count" });
    this.element = h("div", { className: "sdl-bar" },
      this.rater.element, this.order, this.bar, this.counter);
  }

  // Who answers, and who has.
  name() {
    const { model } = this;
    this.rater.show();
    this.order.textContent = model.get("rater") ? SHARED_ORDER : `${SHARED_ORDER} · ${NOBODY}`;
  }

  // With the picture, not before it.
  count() {
    const done = this.model.get("done"), total = this.model.get("total");
    Object.assign(this.bar, { max: total, value: done });
    this.counter.textContent = `${done} of ${total} answered`;
  }
}

class Ballot {
  constructor(view) {
    const { model } = view, keys = model.get("digits"), answers = model.get("answers");
    const unsure = keys.includes("0") ? "?" : "0";
    const choice = (key, text, act, title = "") => {
      const node = button("", act, { title, className: "sdl-button sdl-judge-choice" });
      node.append(h("kbd", { textContent: key }), ` ${text}`);
      return node;
    };
    this.buttons = answers.map((text, k) =>
      choice(keys[k], text, (event) => view.answer(text, event)));
    this.buttons.push(choice(unsure, CANNOT_TELL, (event) => view.answer(null, event)));
    this.undo = choice("U", "undo", () => view.undo(), "U or Backspace");
    this.element = pressOnce(h("div", { className: "sdl-bar sdl-judge-ballot", role: "group",
      "aria-label": "answers" }, ...this.buttons, this.undo));
  }

  allow(can, canUndo) {
    for (const node of this.buttons) able(node, can);
    able(this.undo, can && canUndo);
  }
}

// What stands in the place of the pictures when all are answered.
class End {
  constructor(view) {
    this.view = view;
    this.words = h("p");
    this.finish = button("end the round and show what came out", () => view.finish(),
      { title: "Enter" });
    this.undo = button("undo the last answer", () => view.undo(), { title: "U or Backspace" });
    this.bar = h("div", { className: "sdl-bar" }, this.finish, this.undo);
    this.verdict = h("div", { className: "sdl-judge-verdict" });
    this.shares = h("div", { className: "sdl-judge-shares" });
    this.code = codeBlock(view.line);
    this.element = h("div", { className: "sdl-judge-end", tabIndex: -1, role: "group",
      "aria-label": "end of the round" }, this.words, this.bar, this.verdict, this.shares,
      this.code);
  }

  // What is read out of it.
  get spoken() {
    return [this.words, ...this.verdict.children].map((node) => node.textContent).join(" ");
  }

  show() {
    const { model } = this.view, total = model.get("total"), over = model.get("unblinded");
    const all = model.get("done") === total;
    const first = all ? `All ${total} are answered.`
      : `The round was ended at ${model.get("done")} of ${total}.`;
    this.words.textContent = over ? `${first} Another rater can begin above.`
      : `${first} This was the last one: end the round, or take the answer back.`;
    this.bar.hidden = over;
    this.code.hidden = !over;
    this.verdict.replaceChildren(
      ...model.get("verdict").map((line) => h("p", { textContent: line })));
    const [head, ...rows] = model.get("shares");
    this.shares.replaceChildren(...(head ? [sharesTable(head, rows)] : []));
  }
}

// How often each answer was given, by what the pictures differ in.
function sharesTable([caption, ...head], rows) {
  const cells = (tag, texts, props = {}) =>
    texts.map((textContent) => h(tag, { textContent, ...props }));
  return h("table", { className: "sdl-table" },
    h("caption", { textContent: caption }),
    h("thead", {}, h("tr", {}, h("td"), ...cells("th", head, { scope: "col" }))),
    h("tbody", {}, ...rows.map(([name, ...texts]) =>
      h("tr", {}, h("th", { scope: "row", textContent: name }), ...cells("td", texts)))));
}

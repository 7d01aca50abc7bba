// What was said before there was a name, such as `what` "answer" on `about` "to this question":
// whose it is, the rater says. The view has `keepFocus`, `claim` and a stage; the model `unnamed`.
class Unnamed {
  constructor(view, what, about) {
    Object.assign(this, { view, what, about, claimed: 0, refused: null, of: null });
    this.words = h("span", { role: "status" });
    this.take = button("they are mine", () => this.claim());
    this.leave = button("leave them without a name", () => this.refuse());
    for (const node of [this.take, this.leave]) describe(node, this.words);
    this.element = h("div", { className: "sdl-bar sdl-unnamed", role: "group",
      "aria-label": `${what}s without a name` }, this.words, this.take, this.leave);
  }

  claim() {
    this.claimed = this.view.model.get("unnamed");
    this.view.claim();
  }

  refuse() {
    this.refused = this.view.model.get("rater");
    this.show();
  }

  show() {
    const { model, stage } = this.view, rater = model.get("rater"), n = model.get("unnamed");
    if (this.of !== rater) Object.assign(this, { of: rater, claimed: 0 });
    const asks = n > 0 && this.refused !== rater, done = !n && this.claimed;
    const many = (count) => `${count} ${this.what}${count === 1 ? "" : "s"}`;
    const words = asks ? `${many(n)} ${this.about} had been given before there was a name. `
      + (n === 1 ? `Is it ${rater}'s?` : `Are they those of ${rater}?`)
      : done ? `${many(done)} without a name ${done === 1 ? "is" : "are"} now ${rater}'s.` : "";
    this.view.keepFocus(() => {
      if (this.words.textContent !== words) this.words.textContent = words;
      this.take.hidden = this.leave.hidden = !asks;
    });
    stage.layOut();
  }
}

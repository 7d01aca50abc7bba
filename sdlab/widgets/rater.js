// Who answers: a field that offers who did before, which the model knows as `known`, and asks about
// a name that only its capitals set apart from one of those.
class Rater {
  constructor(view, known, goOn) {
    const { model } = view, id = `sdl-raters-${Math.random().toString(36).slice(2)}`;
    Object.assign(this, { view, model, known, other: "" });
    this.field = nameField(model, "rater", goOn);
    this.field.setAttribute("list", id);
    this.names = h("datalist", { id });
    this.words = h("span", { role: "status" });
    this.take = button("", () => this.become());
    describe(this.take, this.words);
    this.element = h("span", { className: "sdl-rater" },
      h("label", {}, "rater", this.field, this.names), this.words, this.take);
  }

  become() {
    put(this.model, "rater", this.other);
    this.show();
    this.field.focus();
  }

  show() {
    const { model, field } = this, rater = model.get("rater"), names = model.get(this.known);
    if (field.value.trim() !== rater) field.value = rater;
    this.names.replaceChildren(...names.map((value) => h("option", { value })));
    const alike = (name) => name !== rater && name.toLowerCase() === rater.toLowerCase();
    this.other = names.find(alike) ?? "";
    const words = this.other ? `“${this.other}” is kept as somebody else` : "";
    if (this.words.textContent !== words) this.words.textContent = words;
    this.take.hidden = !this.other;
    this.take.textContent = `I am “${this.other}”`;
  }
}

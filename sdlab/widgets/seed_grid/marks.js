// What was said of the cells: as Python has told it, and above that what the reader has said since.

const VERDICTS = [["right", "✓", "R"], ["wrong", "✗", "W"], ["cannot tell", "?", "C"]];
const glyphOf = (verdict) => VERDICTS.find(([name]) => name === verdict)?.[1] ?? "";

class Marks {
  constructor(model) {
    this.model = model;
    this.unsent = new Set();                               // of [cell, change] without an answer
    this.read();
  }

  read() {
    const { model } = this, map = (name) => new Map(model.get(name));
    this.of = { rating: map("ratings"), verdict: map("verdicts"), tags: map("tags"),
      note: map("notes"), starred: new Map(model.get("starred").map((i) => [i, true])) };
    for (const said of this.unsent) this.put(...said);
  }

  get(i, name) { return this.of[name].get(i); }
  starred(i) { return Boolean(this.get(i, "starred")); }
  rating(i) { return this.get(i, "rating") ?? 0; }
  get stars() { return this.of.starred.size; }

  // How many of `all` are right and wrong, once any is.
  verdicts(all) {
    const said = [...this.of.verdict.values()];
    const counts = VERDICTS.map(([name]) => [said.filter((each) => each === name).length, name]);
    const parts = counts.filter(([n], k) => n || k < 2).map(([n, name]) => `${n} ${name}`);
    return said.length ? [...parts, `${all - said.length} open`].join(", ") : "";
  }

  // `change` is {starred?, rating?, verdict?, tags?, note?}; it holds until what is given back is
  // called, when Python has said so.
  give(i, change) {
    const said = [i, change];
    this.unsent.add(said);
    this.put(i, change);
    return () => this.unsent.delete(said);
  }

  put(i, change) {
    for (const [name, value] of Object.entries(change)) {
      const said = Array.isArray(value) ? value.length : value;
      if (said) this.of[name].set(i, value); else this.of[name].delete(i);
    }
  }

  // In words, for who does not see it.
  words(i) {
    const rating = this.rating(i), tags = this.get(i, "tags") ?? [], note = this.get(i, "note");
    return [this.starred(i) && "starred", rating && `rated ${rating} of 5`, this.get(i, "verdict"),
      ...tags.map((tag) => `tag ${tag}`), note && `note: ${note}`].filter(Boolean);
  }
}

// The buttons and fields by which something is said of one picture; `say(change)` is told.
class MarkBar {
  constructor(marks, i, say) {
    Object.assign(this, { marks, i });
    const toggle = (name, value) => () =>
      say({ [name]: marks.get(i, name) === value ? null : value });
    this.star = button("", () => say({ starred: !marks.starred(i) }), { title: "S" });
    this.ratings = RATINGS.map((n) =>
      button(String(n), toggle("rating", n), { title: `rate ${n} of 5` }));
    this.verdicts = VERDICTS.map(([name, glyph, key]) =>
      button(`${glyph} ${name}`, toggle("verdict", name), { title: key }));
    this.tags = h("input", { type: "text", placeholder: "hands, two cats", autocomplete: "off" });
    this.note = h("input", { type: "text", placeholder: "why", autocomplete: "off" });
    const words = () => this.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    this.tags.onchange = () => say({ tags: words() });
    this.note.onchange = () => say({ note: this.note.value.trim() });
    const group = (label, nodes) =>
      h("div", { role: "group", className: "sdl-ratings", "aria-label": label }, ...nodes);
    this.elements = [
      h("div", { className: "sdl-bar" }, this.star, group("rating", this.ratings),
        group("verdict", this.verdicts)),
      h("div", { className: "sdl-bar sdl-words" }, h("label", {}, "tags", this.tags),
        h("label", {}, "note", this.note))];
    this.show();
  }

  show() {
    const { marks, i } = this;
    this.star.textContent = marks.starred(i) ? "★ starred" : "☆ star";
    this.star.setAttribute("aria-pressed", marks.starred(i));
    const press = (node, on) => node.setAttribute("aria-pressed", on);
    RATINGS.forEach((n, k) => press(this.ratings[k], marks.rating(i) === n));
    VERDICTS.forEach(([name], k) => press(this.verdicts[k], marks.get(i, "verdict") === name));
    const fill = (field, text) => { if (document.activeElement !== field) field.value = text; };
    fill(this.tags, (marks.get(i, "tags") ?? []).join(", "));
    fill(this.note, marks.get(i, "note") ?? "");
  }
}

// What stands around the grid: what names its rows and columns, which rows are in view, and what
// can be done with those that are selected.

const ANY = "—", LONGEST_FILTER = 250;                     // ms without a letter

const choice = (values, chosen, words = String) => values.map((value) =>
  h("option", { value, textContent: words(value), selected: String(value) === String(chosen) }));

// Rows and columns, the size of the pictures, and the whole as a file.
class LayoutBar {
  constructor(view) {
    const { model } = this.view = view;
    this.selects = ["row", "col"].map((name) => h("select", { onchange: () => this.choose(name) }));
    this.size = h("input", { type: "range", min: 32, max: 512, step: 16 });
    this.size.oninput = () => put(model, "cell_px", +this.size.value);
    const full = fullButton(view.root);
    const save = ["png", "html", "csv"].map((what) => button(what.toUpperCase(), () =>
      view.export(what), { title: `save what is in view as ${what.toUpperCase()}` }));
    this.every = h("span", { className: "sdl-ratings" });  // a PNG of all settings of a slider
    this.saved = h("span", { role: "status" });            // how many the last file holds
    this.why = h("span", { hidden: true, textContent: "what is chosen stands in one list: "
      + "“show all” brings rows and columns back" });
    const sides = { className: "sdl-sides" };
    const group = { role: "group", className: "sdl-ratings", "aria-label": "save the grid as" };
    this.element = h("div", { className: "sdl-bar" }, h("label", sides, "rows", this.selects[0]),
      h("label", sides, "columns", this.selects[1]), this.why,
      h("label", {}, "size", this.size),
      h("div", group, h("span", { textContent: "save as" }), ...save, this.every),
      this.saved, full);
    this.show();
  }

  show() {
    const { model } = this.view, axes = model.get("axes");
    this.size.value = model.get("cell_px");
    ["row", "col"].forEach((name, k) => {
      const now = model.get(name), several = now.length > 1 || (now[0] && !axes.includes(now[0]));
      const values = ["", ...axes, ...(several ? [now.join(" · ")] : [])];
      this.selects[k].replaceChildren(
        ...choice(values, now.join(" · "), (value) => value || ANY));
    });
    this.every.replaceChildren(...this.view.sight.places.sliders.map(({ name }) =>
      button(`PNG, every ${name}`, () => this.view.export("png", { all_of: name }),
        { title: `save all settings of ${name}, one below the other, as one PNG` })));
    this.showList();
  }

  // Where rows are chosen or sorted, there are no rows and columns to be named.
  showList() {
    const { model } = this.view, list = Boolean(model.get("shown"));
    for (const select of this.selects) select.disabled = list;
    this.every.hidden = list;
    this.why.hidden = !list || !(model.get("row").length + model.get("col").length);
  }

  choose(name) {
    const { model, line } = this.view, before = model.get(name);
    const { value } = this.selects[name === "row" ? 0 : 1];
    const columns = value === before.join(" · ") ? before : value ? [value] : [];
    line.ask("arrange", { side: name, columns }).then(() => this.show());
  }
}

const SHOWN = { "": "all", right: "✓ right", wrong: "✗ wrong", "cannot tell": "? cannot tell",
  none: "without a verdict" };

// Which rows are in view, and in which order.
class FilterBar {
  constructor(view) {
    const { model } = this.view = view, field = (props) => h("input", props);
    this.verdict = h("select", {}, ...choice(Object.keys(SHOWN), "", (value) => SHOWN[value]));
    this.rating = h("select", {}, ...choice([0, ...RATINGS], 0, (n) => (n ? `${n} or more` : ANY)));
    this.text = field({ type: "search", placeholder: "words, tags, notes" });
    this.column = h("select", {},
      ...choice(["", ...model.get("numbers")], "", (name) => name || ANY));
    this.ends = ["least", "most"].map((name) =>
      field({ type: "number", step: "any", "aria-label": name, placeholder: name }));
    this.answer = h("select", { "aria-label": "is", onchange: () => this.send() });
    this.sort = h("select", {}, ...choice(this.sorts(), "", (name) => name || "as they came"));
    this.falling = field({ type: "checkbox" });
    this.element = h("details", { className: "sdl-tools" },
      h("summary", { textContent: "filter and sort" }),
      h("div", { className: "sdl-bar" }, h("label", {}, "show", this.verdict),
        h("label", {}, "rated", this.rating), h("label", {}, "with", this.text),
        h("label", {}, "column", this.column), this.answer, ...this.ends,
        h("label", {}, "sort by", this.sort),
        h("label", {}, this.falling, "largest first"),
        button("show all", () => this.clear())));
    this.listen();
    this.show();
  }

  sorts() {
    const { model } = this.view;
    return ["", ...new Set([...model.get("axes"), ...model.get("numbers"), "rating", "verdict"])];
  }

  listen() {
    let later = 0;
    const send = () => this.send(), soon = () => {
      clearTimeout(later);
      later = setTimeout(send, LONGEST_FILTER);
    };
    for (const node of [this.text, ...this.ends]) node.oninput = soon;
    for (const node of [this.verdict, this.rating]) node.onchange = send;
    this.column.onchange = () => {                         // its values are others
      for (const node of [this.answer, ...this.ends]) node.value = "";
      send();
    };
    for (const node of [this.sort, this.falling]) node.onchange = () => {
      const name = this.sort.value;
      put(this.view.model, "sort", name && this.falling.checked ? `-${name}` : name);
    };
  }

  send() {
    const number = ({ value }) => (value === "" ? null : +value);
    const [least, most] = this.says ? [this.answer, this.answer] : this.ends;
    put(this.view.model, "filters", { verdict: this.verdict.value, rating: +this.rating.value,
      text: this.text.value, column: this.column.value, least: number(least), most: number(most) });
  }

  // Whether the column says yes or no.
  get says() { return this.view.model.get("answers").includes(this.column.value); }

  clear() {
    const { model } = this.view;
    put(model, "filters",
      { verdict: "", rating: 0, text: "", column: "", least: null, most: null });
    put(model, "sort", "");
    put(model, "only_starred", false);
    if (model.get("hidden").length) put(model, "hidden", []);
  }

  show() {
    const { model } = this.view, now = model.get("filters"), sort = model.get("sort");
    const fill = (node, value) => {
      if (document.activeElement !== node) node.value = value ?? "";
    };
    for (const name of ["verdict", "rating", "text", "column"]) fill(this[name], now[name] ?? "");
    this.ends.forEach((node, k) => fill(node, k ? now.most : now.least));
    for (const node of this.ends) node.hidden = !this.column.value || this.says;
    this.showAnswer(now);
    fill(this.sort, sort.replace(/^-/, ""));
    this.falling.checked = sort.startsWith("-");
  }

  showAnswer({ least }) {
    const right = this.column.value.endsWith("_right"), { answer } = this;
    const words = { "": ANY, 1: right ? "right" : "yes", 0: right ? "wrong" : "no" };
    answer.hidden = !this.says;
    answer.replaceChildren(
      ...choice(["", "1", "0"], least === null ? "" : +least, (value) => words[value]));
  }
}

// What can be done with the cells that are selected.
class SelectionBar {
  constructor(view) {
    const { model } = this.view = view, selected = () => model.get("selected");
    this.words = h("span", { role: "status" });
    this.beside = button("compare", () => view.beside.open(selected()), { title: "V" });
    this.zip = button("save as ZIP", () => view.export("zip", { rows: selected() }));
    this.remove = button("remove from view", () => view.remove(), { title: "Delete" });
    this.none = button("select none", () => view.select([]));
    this.back = button("show them again", () => put(model, "hidden", []));
    this.element = h("div", { className: "sdl-bar", role: "group", "aria-label": "selection" },
      this.words, this.beside, this.zip, this.remove, this.none, this.back);
    this.show();
  }

  show() {
    const { model } = this.view, n = model.get("selected").length;
    const gone = model.get("hidden").length;
    this.element.hidden = !n && !gone;
    for (const node of [this.beside, this.zip, this.remove, this.none]) node.hidden = !n;
    able(this.beside, n > 1 && n <= BESIDE);
    this.back.hidden = !gone;
    this.words.textContent = [n && `${n} selected`, gone && `${gone} removed from view`]
      .filter(Boolean).join(", ");
  }
}

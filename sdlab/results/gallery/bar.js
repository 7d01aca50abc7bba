// What the reader asks for: rows, columns, further axes, text, filters, order and size.

const MOST_SWITCHES = 6;

class Bar {
  constructor(view) {
    this.view = view;
    this.filters = [];
    this.chips = h("div", { className: "bar chips" });
    this.switches = h("div", { className: "bar" });
    this.value = h("span", { className: "bar" });
    this.count = h("output", { className: "quiet" });
    this.more = button("", () => this.freeSwitches(), { title: "shows them, too" });
    this.element = h("div", { className: "controls" }, this.makeAxes(), this.switches,
      this.makeSearch(), this.chips, this.makeTools());
  }

  options(none, chosen) {
    const { frame } = this.view, named = frame.varying.map(({ name }) =>
      option(name, name, name === chosen));
    return [option("", none), ...named];
  }

  makeAxes() {
    const { view } = this, set = (name) => (value) => { view[name] = value; this.showSwitches(); };
    this.size = h("input", { type: "range", min: 48, max: 320, value: view.size });
    this.size.oninput = () => { view.size = +this.size.value; view.place(); };
    return h("div", { className: "bar" },
      choice("rows", this.options("—", view.rowName), set("rowName")),
      choice("columns", this.options("—", view.colName), set("colName")),
      choice("sort by", this.options("as given", ""),
        (name) => { view.sorted = name; view.find(); }),
      h("label", {}, this.makeCheck((on) => { view.down = on; view.find(); }), "downwards"),
      h("label", {}, "size", this.size));
  }

  makeCheck(act) {
    const box = h("input", { type: "checkbox" });
    box.onchange = () => act(box.checked);
    return box;
  }

  makeSearch() {
    const { view } = this;
    this.search = h("input", { type: "search", placeholder: "words, in any column" });
    this.search.oninput = () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => view.find(), 150);
    };
    const column = choice("filter", this.options("by a column …", ""),
      (name) => this.askValue(view.frame.byName.get(name)));
    this.column = column.lastChild;
    const starred = this.makeCheck((on) => { view.onlyStarred = on; view.find(); });
    return h("div", { className: "bar" }, h("label", {}, "search", this.search), column, this.value,
      h("label", {}, starred, "only starred"));
  }

  makeTools() {
    const { view } = this;
    const save = button("save stars and notes", () =>
      offerFile(view.opinions.lines, "opinions.jsonl"));
    save.title = "lines to be appended to the file opinions.jsonl of a store";
    this.kept = h("span", { className: "quiet", role: "status" });
    const keys = "arrows move · Enter zooms · S stars · P pins · N notes";
    const paper = button("print", () => view.print());
    return h("div", { className: "bar tools" }, save, paper, this.kept,
      h("span", { className: "quiet keys", textContent: keys }));
  }

  // Asks which value of that column, or which range.
  askValue(column) {
    this.value.replaceChildren();
    if (!column) return;
    if (column.levels.length <= MANY && !(column.number && column.levels.length > 12)) {
      const order = [...column.words.keys()], rank = rankLevels(column);
      order.sort((a, b) => rank[a] - rank[b]);
      const list = order.map((level) => option(level, column.words[level]));
      this.value.append(choice("is", [option("", "…"), ...list], (level) =>
        level !== "" && this.add(new Filter(column, { level: +level }))));
    } else if (column.number) this.askRange(column);
    else {
      const part = h("input", { placeholder: "text, then Enter" });
      part.onchange = () => part.value && this.add(new Filter(column, { part: part.value }));
      this.value.append(h("label", {}, "has", part));
    }
  }

  askRange(column) {
    const known = column.levels.filter((level) => level !== null);
    const ends = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
    const [least, most] = ends.map((value) => h("input", { type: "number", step: "any", value }));
    const add = button("add", () =>
      this.add(new Filter(column, { least: +least.value, most: +most.value })));
    this.value.append(h("label", {}, "from", least), h("label", {}, "to", most), add);
  }

  add(filter) {
    this.filters.push(filter);
    this.column.value = "";
    this.value.replaceChildren();
    this.showChips();
    this.view.find();
  }

  showChips() {
    const drop = (filter) => {
      this.filters = this.filters.filter((other) => other !== filter);
      this.showChips();
      this.view.find();
    };
    this.chips.replaceChildren(...this.filters.map((filter) =>
      button(`${filter.words} ×`, () => drop(filter), { title: "drop this filter" })));
    this.chips.hidden = !this.filters.length;
  }

  // Further axes: one value at a time, so that each place has one picture.
  showSwitches() {
    const { view } = this, others = this.listSwitches();
    view.fixed = new Map();
    this.switches.replaceChildren(...others.slice(0, MOST_SWITCHES).map((column) => {
      const rank = rankLevels(column), order = [...column.words.keys()];
      order.sort((a, b) => rank[a] - rank[b]);
      view.fixed.set(column, order[0]);
      const list = order.map((level) => option(level, column.words[level]));
      return choice(column.name, [...list, option("", "all")], (level) => {
        if (level === "") view.fixed.delete(column); else view.fixed.set(column, +level);
        view.find();
      });
    }));
    view.find();
  }

  // The columns that tell apart what shares a place; what rows and columns tell is none of them.
  listSwitches() {
    const { frame, rowName, colName } = this.view;
    const axes = [rowName, colName].map((name) => frame.byName.get(name)).filter(Boolean);
    if (!axes.length) return [];
    const start = { places: Array(frame.count).fill(0), count: 1 };
    let known = axes.reduce(tellApart, start);
    return frame.told.filter((column) => {
      if (axes.includes(column) || column.levels.length > MANY) return false;
      const finer = tellApart(known, column), adds = finer.count > known.count;
      known = finer;
      return adds;
    });
  }

  // Frees all switches, so that nothing stands behind another value of them.
  freeSwitches() {
    for (const select of this.switches.querySelectorAll("select")) select.value = "";
    this.view.fixed.clear();
    this.view.find();
  }

  showCount(shown) {
    const { opinions, frame } = this.view, { stars, notes } = opinions;
    const many = (n) => n.toLocaleString("en");
    this.count.textContent = `${many(shown)} of ${many(frame.count)}`;
    this.more.hidden = !this.view.hidden;
    this.more.textContent = `${many(this.view.hidden)} more with other values of `
      + [...this.view.fixed.keys()].map((column) => column.name).join(", ");
    const said = [stars && `${stars} starred`, notes && `${notes} with a note`].filter(Boolean);
    const lost = "this browser keeps nothing for files: save before you close the page";
    this.kept.textContent = [said.join(", "), !opinions.kept && lost].filter(Boolean).join(" · ");
  }
}

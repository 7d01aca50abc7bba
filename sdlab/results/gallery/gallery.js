// The page: what is asked for becomes a list of cells, the list a table, and the table is shown.

const MOST_PRINTED = 600;     // pictures

class View {
  constructor(frame, root) {
    this.frame = frame;
    [this.rowName, this.colName] = frame.axes;
    Object.assign(this, { sorted: "", down: false, onlyStarred: false, fixed: new Map() });
    this.hidden = 0;
    this.size = innerWidth < 600 ? 96 : 128;
    this.opinions = new Opinions(frame);
    this.pins = new Pins(this);
    this.sight = new Sight(this);
    this.zoom = new Zoom(this);
    this.bar = new Bar(this);
    this.none = h("p", { role: "status" });
    const fold = h("details", { className: "asks", open: innerWidth >= 600 },
      h("summary", { textContent: "rows, columns, search and order" }), this.bar.element);
    this.printed = h("div", { className: "printed" });
    const count = h("div", { className: "bar count" }, this.bar.count, this.bar.more);
    root.replaceChildren(fold, count, this.none, this.sight.element, this.pins.tray,
      this.zoom.dialog, this.pins.dialog, this.printed);
    this.listen();
    this.bar.showChips();
    this.bar.showSwitches();
  }

  get corner() {
    const { rowName, colName } = this;
    return [rowName && `${rowName} ↓`, colName && `${colName} →`].filter(Boolean).join("  ");
  }

  find() {
    const { frame, bar, opinions, fixed } = this;
    const found = frame.find(bar.search.value, bar.filters, (i) => opinions.note(i).toLowerCase());
    const asked = this.onlyStarred ? found.filter((i) => opinions.starred(i)) : found;
    const switches = [...fixed];
    const shown = asked.filter((i) => switches.every(([column, level]) =>
      column.code(i) === level));
    this.hidden = asked.length - shown.length;             // by switches alone
    this.cells = frame.sort(shown, this.sorted, this.down);
    this.none.hidden = this.cells.length > 0;
    this.none.textContent = this.hidden
      ? "Nothing is like that with these values; others have some."
      : "Nothing is like that; drop a filter or a word.";
    this.sight.element.scrollTop = 0;
    this.place();
    bar.showCount(this.cells.length);
  }

  place() {
    const { frame, cells, rowName, colName, size, sight } = this;
    this.width = sight.element.clientWidth;
    sight.show(makeTable(frame, cells, { rowName, colName, width: this.width, size }), size);
  }

  // ---- what the reader does
  say(i, change) {
    this.opinions.say(i, change);
    this.paint();
    this.bar.showCount(this.cells.length);
  }

  toggleStar(i) {
    this.say(i, { starred: !this.opinions.starred(i) });
    if (this.zoom.dialog.open) this.zoom.show();
  }

  togglePin(i) {
    this.pins.toggle(i);
    this.paint();
    if (this.zoom.dialog.open) this.zoom.show();
  }

  paint() { this.sight.paint(); }

  press(event) {
    const { sight } = this, box = event.target.closest(".cell");
    if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
    const i = +box.dataset.i, at = sight.table.where(i);
    const move = (down, across) => sight.go(beside(sight.table, at, down, across));
    const page = Math.max(1, Math.floor(sight.element.clientHeight / sight.table.high));
    const far = (sign) => sight.go(sight.table.at(
      clamp(at[0] + sign * page, 0, sight.table.rows - 1), at[1])[0]);
    const act = {
      ArrowRight: () => move(0, 1), ArrowLeft: () => move(0, -1), ArrowDown: () => move(1, 0),
      ArrowUp: () => move(-1, 0), PageDown: () => far(1), PageUp: () => far(-1),
      Home: () => sight.go(this.cells[0]), End: () => sight.go(this.cells.at(-1)),
      Enter: () => this.zoom.open(i), " ": () => this.zoom.open(i), s: () => this.toggleStar(i),
      p: () => this.togglePin(i), n: () => { this.zoom.open(i); this.zoom.note.focus(); },
    }[event.key];
    if (act) { event.preventDefault(); act(); }
  }

  listen() {
    const { sight } = this;
    sight.element.addEventListener("keydown", (event) => this.press(event));
    sight.element.addEventListener("click", (event) => {
      const box = event.target.closest(".cell");
      if (box) { sight.current = +box.dataset.i; this.zoom.open(sight.current); }
    });
    sight.element.addEventListener("focusin", (event) => {
      const box = event.target.closest(".cell");
      if (box) { sight.current = +box.dataset.i; sight.markCurrent(); }
    });
    new ResizeObserver(() => {
      if (sight.element.clientWidth !== this.width) this.place();
    }).observe(sight.element);
    addEventListener("beforeprint", () => { if (!this.ready) this.layOut(); });
    addEventListener("afterprint", () => { this.ready = false; });
  }

  // The first cells as they stand on paper.
  layOut() {
    const { frame, cells, printed } = this, left = cells.length - MOST_PRINTED;
    const figures = cells.slice(0, MOST_PRINTED).map((i) => h("figure", {}, frame.missing(i)
      ? frame.missing(i) : h("img", { src: frame.small(i), alt: "" }),
    h("figcaption", { textContent: (this.opinions.starred(i) ? "★ " : "") + frame.caption(i) })));
    const more = left > 0 ? [h("p", { textContent: `and ${left} more` })] : [];
    printed.replaceChildren(...figures, ...more);
    const images = [...printed.querySelectorAll("img")];
    return Promise.all(images.map((img) => img.decode().catch(() => 0)));
  }

  async print() {
    await this.layOut();
    this.ready = true;
    print();
  }
}

const root = document.getElementById("gallery"), data = document.getElementById("data");
const view = new View(new Frame(JSON.parse(data.textContent)), root);
data.remove();                                             // its text is not needed any more
root.dataset.ready = String(view.frame.count);

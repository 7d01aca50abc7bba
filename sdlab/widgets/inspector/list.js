// The list of pictures, each with its verdict, of which one is chosen.

const BATCH = 50;             // thumbnails in a question
const LONG = 100;             // letters of a name that the list shows whole
const UNREAD = "x", MARKED = "+", UNTESTED = "?", WORKED_ON = ".~";
const UNMARKED = "-s";                                   // of these it is said how they were tested

// What `states` says of a picture: its verdict, and how it was searched.
const letterOf = (model, i) => model.get("states")[2 * i] ?? "?";
const searchOf = (model, i) => model.get("states")[2 * i + 1] ?? "-";

// Whether a search was done where no mark was found, or is still to be done.
const howLooked = (letter, search) =>
  UNMARKED.includes(letter) && search !== "-" ? ` (${search === "n" ? "not " : ""}searched)` : "";

// A name for the list. A very long one without what all share, and if need be without its middle:
// names differ at their ends.
function brief(name, shared) {
  if (name.length <= LONG) return name;
  const rest = folded(name, shared);
  return rest.length <= LONG ? rest : `${rest.slice(0, LONG / 2)} … ${rest.slice(-LONG / 2)}`;
}

class PictureList {
  constructor(model, line) {
    Object.assign(this, { model, line, rows: [], thumbs: new Urls(1500), asked: new Set() });
    this.element = h("div", { className: "sdl-list", role: "listbox", "aria-label": "pictures" });
    this.element.addEventListener("scroll", () => this.askForThumbs());
    this.listen();
  }

  get chosen() { return this.model.get("chosen"); }

  // ---- the rows
  grow() {
    const names = this.model.get("names"), shared = common(names);
    for (let i = this.rows.length; i < names.length; i++) {
      this.rows.push(this.row(i, names[i]));
      this.element.append(this.rows[i].box);
    }
    this.rows.forEach(({ name }, i) => { name.textContent = brief(names[i], shared); });
  }

  row(i, title) {
    const img = h("img", { alt: "", draggable: false, hidden: true }), words = h("span");
    const glyph = h("span", { className: "sdl-glyph", "aria-hidden": "true" });
    const name = h("span", { className: "sdl-name", title });
    const note = h("span", { className: "sdl-note" });
    const box = h("div", { role: "option", tabIndex: -1, className: "sdl-item" },
      h("span", { className: "sdl-thumb" }, img),
      h("span", { className: "sdl-text" }, name,
        h("span", { className: "sdl-verdict" }, glyph, words), note));
    box.onclick = () => this.choose(i);
    box.onfocus = () => this.choose(i, false);
    return { box, img, glyph, words, name, note, state: null };
  }

  // Shows the verdicts; true where that of the chosen picture has changed.
  paint() {
    const { model, rows } = this, verdicts = model.get("verdicts"), changed = new Set();
    rows.forEach((row, i) => {
      const letter = letterOf(model, i), state = letter + searchOf(model, i);
      row.note.textContent = row.note.title = model.get("notes")[i] ?? "";
      if (row.state === state) return;
      changed.add(i);
      row.state = state;
      const [glyph, words] = verdicts[letter];
      row.glyph.textContent = glyph;
      row.words.textContent = words + howLooked(letter, searchOf(model, i));
      row.box.dataset.verdict = letter;
      row.box.setAttribute("aria-label", `${row.name.title}, ${row.words.textContent}`);
    });
    return changed.has(this.chosen);
  }

  count(accept) {
    const { model } = this;
    return this.rows.filter((_, i) => accept(letterOf(model, i), searchOf(model, i))).length;
  }

  // ---- thumbnails, of those in sight
  async askForThumbs() {
    const { element, asked } = this, top = element.scrollTop - 200;
    const end = element.scrollTop + element.clientHeight + 200;
    const near = ({ box }) => box.offsetTop + box.offsetHeight > top && box.offsetTop < end;
    const lacking = this.rows.flatMap((row, i) => (!asked.has(i) && near(row) ? [i] : []));
    const cells = lacking.slice(0, BATCH);
    if (!cells.length || !element.clientHeight) return;    // one that is not seen has no places
    cells.forEach((i) => asked.add(i));
    await this.line.ask("want", { cells, px: 64 * Math.ceil(devicePixelRatio) });
    this.askForThumbs();
  }

  take(cells, buffers) {
    cells.forEach((i, k) => {
      const src = blobUrl(buffers[k]);
      this.thumbs.set(i, src);
      this.asked.add(i);
      if (this.rows[i]) Object.assign(this.rows[i].img, { src, hidden: false });
    });
  }

  // ---- the chosen one
  choose(i, focus = true) {
    if (i < 0 || i >= this.model.get("names").length) return;
    put(this.model, "chosen", i);
    if (focus) this.focus(i);
  }

  focus(i) { this.rows[i]?.box.focus({ preventScroll: true }); }

  markChosen() {
    this.rows.forEach(({ box }, i) => {
      box.tabIndex = i === Math.max(0, this.chosen) ? 0 : -1;
      box.setAttribute("aria-selected", i === this.chosen);
    });
  }

  scrollTo(i) {
    const { element } = this, { offsetTop: top, offsetHeight: high } = this.rows[i]?.box ?? element;
    element.scrollTop = clamp(element.scrollTop, top + high - element.clientHeight, top);
  }

  putOnTop(i) {
    if (this.rows[i]) this.element.scrollTop = this.rows[i].box.offsetTop;
  }

  listen() {
    const { element, rows } = this;
    const step = (by) => this.choose(clamp(this.chosen + by, 0, rows.length - 1));
    const page = () => {
      const high = element.scrollHeight / rows.length;
      return Math.max(1, Math.floor(element.clientHeight / high) - 1);
    };
    onKeys(element, {
      ArrowDown: () => step(1), ArrowUp: () => step(-1),
      PageDown: () => step(page()), PageUp: () => step(-page()),
      Home: () => step(-Infinity), End: () => step(Infinity) });
  }
}

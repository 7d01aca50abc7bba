// One cell: its words, and what is believed at a moment, dark but for where the lit word acts.

const DARK = 0.86;                                         // where the lit word does not act at all
const PLACES = [["upper", "middle", "lower"], ["left", "centre", "right"]];

class Side {
  // `told` is what Python said of the cell, `n` its place; `view` is told of words.
  constructor(view, told, n) {
    Object.assign(this, { view, told, n, urls: [], seen: [], maps: new Map(), lit: "",
      moment: 0 });
    this.image = h("img", { className: "sdl-inside-image", draggable: false, alt: "" });
    this.shade = h("canvas", { className: "sdl-inside-shade", "aria-hidden": "true" });
    this.caption = h("div", { className: "sdl-inside-caption" });
    this.words = told.words.map((word) => this.makeWord(word));
    const list = h("div", { className: "sdl-inside-words", role: "group",
      "aria-label": `words of prompt ${n + 1}` }, ...this.words);
    const none = told.map[0] ? "" : h("div", { className: "sdl-help",
      textContent: "No word has a place: nothing in this network attends to a text." });
    const note = h("div", { className: "sdl-inside-note", textContent: told.note,
      hidden: !told.note });
    this.stage = h("div", { className: "sdl-inside-stage" }, this.image, this.shade);
    this.element = h("div", { className: "sdl-inside-side" }, list, none, this.stage,
      this.caption, note);
  }

  makeWord({ text }) {
    const { view } = this;
    const node = button(text, () => view.hold(text), { className: "sdl-button sdl-inside-word" });
    node.setAttribute("aria-pressed", "false");
    if (!this.told.map[0]) able(node, false);
    node.onpointerenter = node.onfocus = () => view.point(text);
    node.onpointerleave = node.onblur = () => view.point("");
    node.dataset.word = text;
    return node;
  }

  own(text) { return this.told.words.find((word) => word.text === text); }

  // The word of that text; if only the other prompt has it, the one that stands in its place.
  find(text) {
    const other = this.view.sides.find((side) => side.own(text));
    if (!other || other === this || this.own(text)) return this.own(text);
    const { words } = other.told, mine = this.told.words[words.indexOf(other.own(text))];
    return words.length === this.told.words.length && !other.own(mine.text) ? mine : undefined;
  }

  async load() {
    const { buffers } = await this.view.line.ask("frames", { side: this.n });
    this.urls = buffers.map((data) => blobUrl(data));
    this.show(this.view.at);
    const { message } = await this.view.line.ask("seen", { side: this.n });
    if (message.kind !== "seen") return;
    this.seen = message.seen;
    this.view.show();
  }

  // What stands in the picture that is shown, as far as it is known.
  get found() { return this.seen[this.moment] ?? ""; }

  // The place on this cell's own list that is as far as `at`: a moment, or the finished picture.
  show(at) {
    const { told, urls, view } = this, last = told.moments.length - 1, most = view.last - 1;
    this.moment = at > most ? last + 1 : most ? Math.round(at * last / most) : 0;
    if (urls.length && this.image.src !== urls[this.moment]) this.image.src = urls[this.moment];
    const { first, last: end, noise } = told.moments[this.moment] ?? {};
    const step = first === end ? `step ${end}` : `steps ${first} to ${end}`;
    // Between the ends a linear map draws it, not the VAE: that it is blurred is no finding.
    const sketch = this.moment > 0 && this.moment < last ? " · a sketch, blurred" : "";
    const [what, shown] = this.finished ? ["the picture", "the picture"]
      : [`what is believed at ${step}`, `${step} · noise ${noise.toFixed(2)}${sketch}`];
    this.what = what;
    this.image.alt = what + (this.found ? `: ${this.found}` : `; asked for: “${told.prompt}”`);
    this.caption.textContent = `${shown} · seed ${told.seed}`;
    this.paint();
  }

  get finished() { return this.moment === this.told.moments.length; }
  get whole() { return this.finished || this.view.model.get("whole"); }

  mark(held) {
    const word = this.find(held)?.text;
    for (const node of this.words) {
      node.setAttribute("aria-pressed", node.dataset.word === word);
      node.classList.toggle("sdl-inside-lit", node.dataset.word === this.lit);
    }
  }

  async light(text) {
    const word = this.find(text), lit = word?.text ?? "";
    this.lit = lit;
    if (word && this.told.map[0] && !this.maps.has(lit)) {
      const asked = this.view.line.ask("maps", { side: this.n, group: word.group });
      this.maps.set(lit, null);
      const { buffers } = await asked;
      this.maps.set(lit, buffers[0] ?? null);
      this.view.tell();
    }
    this.paint();
  }

  // The values, 0 to 255, of the lit word's map at this moment, or of all steps.
  values() {
    const data = this.maps.get(this.lit), [high, wide] = this.told.map;
    if (!data) return null;
    const n = this.whole ? this.told.moments.length : this.moment;
    return new Uint8Array(data.buffer, data.byteOffset + n * high * wide, high * wide);
  }

  paint() {
    const { shade } = this, [high, wide] = this.told.map, values = this.lit ? this.values() : null;
    shade.hidden = !values;
    if (!values) return;
    Object.assign(shade, { width: wide, height: high });
    const pixels = new ImageData(wide, high);
    values.forEach((value, k) => { pixels.data[4 * k + 3] = 255 * DARK * (1 - value / 255); });
    shade.getContext("2d").putImageData(pixels, 0, 0);
  }

  // What the map shows, for those who do not see it.
  describe() {
    const word = this.find(this.lit), values = this.lit ? this.values() : null;
    if (!word || !values) return "";
    const [high, wide] = this.told.map, at = values.indexOf(Math.max(...values));
    const row = PLACES[0][Math.floor(3 * Math.floor(at / wide) / high)];
    const column = PLACES[1][Math.floor(3 * (at % wide) / wide)];
    const now = this.whole ? "in all steps"
      : `${(100 * word.shares[this.moment]).toFixed(1)} % of the attention now`;
    const peak = word.shares.indexOf(Math.max(...word.shares));
    return `“${word.text}” acts most at the ${row} ${column}: ${now}, `
      + `most at step ${this.told.moments[peak].last}`;
  }

  layOut(room) {
    const [width, height] = this.told.size, longest = Math.max(width, height);
    const side = fit(longest, longest, mostRoom([longest], room));
    for (const node of [this.stage, this.image, this.shade]) {
      node.style.width = width * side / longest + "px";
      node.style.height = height * side / longest + "px";
    }
    this.image.classList.toggle("sdl-pixels", side >= 2 * longest);
    this.element.style.width = Math.max(side, 160) + "px";
  }

  free() { for (const url of this.urls) URL.revokeObjectURL(url); }
}

// Three pictures of one: itself, where the mark is in it, and what the mark changes; any of them
// opens large.
//
// page -> Python  view {cell, what, payload}: "own", "residue", "evidence", "difference"
// Python -> page  view {caption, legend: [[colour, words]]} + a buffer, or view {error}

const KEPT = 40;              // pictures
const LEAF = 120;             // ms on one picture before its maps are asked for
const KINDS = { residue: "bit by bit", evidence: "smoothed" };

class ThreeViews {
  constructor(model, line) {
    Object.assign(this, { line, kind: "residue", now: null, turn: 0 });
    this.known = new Map();              // cell/what/payload/search -> {url, caption, ...}
    this.payload = payloadSelect(model.get("payload_names"));
    this.payload.onchange = () => this.draw();
    this.toggles = Object.entries(KINDS).map(([value, text]) =>
      button(text, () => { this.kind = value; this.draw(); }, { value }));
    const large = new Enlarged(), show = (figure) => large.show(figure);
    this.figures = { own: new Figure(show), map: new Figure(show), difference: new Figure(show) };
    this.element = h("div", { className: "sdl-views" },
      h("div", { className: "sdl-bar" }, h("label", {}, "maps of", this.payload),
        h("span", { role: "group", "aria-label": "kind of map", className: "sdl-bar" },
          "map", ...this.toggles)),
      h("div", { className: "sdl-three" }, ...Object.values(this.figures).map(({ box }) => box)),
      large.dialog);
  }

  // Shows a picture, at first with the maps of its best payload.
  show(cell, search, best) {
    if (this.now?.cell !== cell || this.now?.search !== search) {
      for (const figure of Object.values(this.figures)) figure.blank();
      this.now = { cell, search };
      if (best) this.payload.value = best;
    }
    this.element.hidden = false;
    this.draw();
  }

  hide() {
    this.element.hidden = true;
    this.turn++;
  }

  async draw() {
    const mine = ++this.turn, { figures, known, line, now: { cell, search } } = this;
    for (const toggle of this.toggles)
      toggle.setAttribute("aria-pressed", toggle.value === this.kind);
    const missing = [], wanted = { own: "own", map: this.kind, difference: "difference" };
    for (const [place, what] of Object.entries(wanted)) {
      const name = [cell, what, what === "own" ? "" : this.payload.value, search].join("/");
      if (known.has(name)) figures[place].fill(known.get(name));
      else missing.push([figures[place], what, name]);
    }
    if (missing.length) await new Promise((go) => setTimeout(go, LEAF));
    for (const [figure, what, name] of missing) {
      if (mine !== this.turn) return;
      figure.box.classList.add("sdl-busy");
      const content = { cell, what, payload: this.payload.value };
      const { message, buffers } = await line.ask("view", content);
      this.keep(name, { ...message, url: buffers.length ? blobUrl(buffers[0]) : "" });
      if (mine === this.turn) figure.fill(known.get(name));
    }
  }

  keep(name, picture) {
    const { known } = this;
    known.set(name, picture);
    const shown = Object.values(this.figures).map(({ img }) => img.src);
    for (const [oldest, { url }] of known) {
      if (known.size <= KEPT) return;
      if (shown.includes(url) || oldest === name) continue;
      URL.revokeObjectURL(url);
      known.delete(oldest);
    }
  }

  clear() { for (const { url } of this.known.values()) URL.revokeObjectURL(url); }
}

function payloadSelect(names) {
  const brief = (name) => (name.length > 40 ? name.slice(0, 39) + "…" : name);
  return h("select", { "aria-label": "payload of the maps" },
    ...names.map((name) => h("option", { value: name, textContent: brief(name) })));
}

class Figure {
  constructor(enlarge) {
    this.img = h("img", { alt: "", draggable: false });
    this.img.onload = () => this.img.classList.toggle("sdl-pixels", this.img.naturalWidth < 300);
    this.opener = h("button", { type: "button", className: "sdl-opener" }, this.img);
    this.opener.onclick = () => enlarge(this);
    this.caption = h("figcaption");
    this.legend = h("ul", { className: "sdl-legend" });
    this.box = h("figure", {}, this.opener, this.caption, this.legend);
  }

  // Nothing of another picture.
  blank() {
    this.opener.hidden = true;
    this.img.removeAttribute("src");
    this.caption.textContent = "…";
    this.legend.replaceChildren();
  }

  fill({ url, caption, legend = [], error }) {
    this.box.classList.remove("sdl-busy");
    this.opener.hidden = !url;
    if (url) this.img.src = url;
    this.img.alt = caption ?? "";
    this.opener.setAttribute("aria-label", `enlarge: ${caption}`);
    this.caption.textContent = caption ?? error ?? "";
    this.legend.replaceChildren(...legend.map(([colour, meaning]) => {
      const swatch = h("span", { className: "sdl-swatch" });
      swatch.style.background = colour;
      return h("li", {}, swatch, meaning);
    }));
  }
}

class Enlarged {
  constructor() {
    this.img = h("img", { alt: "" });
    this.img.onload = () => this.resize();
    this.words = h("p", { className: "sdl-caption-large" });
    const shut = button("Close", () => this.dialog.close());
    this.dialog = h("dialog", { className: "sdl-dialog", "aria-label": "enlarged" },
      shut, h("div", {}, this.img), this.words);
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
  }

  show({ img, caption }) {
    Object.assign(this.img, { src: img.src, alt: img.alt });
    this.words.textContent = caption.textContent;
    this.dialog.showModal();
  }

  resize() {
    const { img } = this, { naturalWidth: wide, naturalHeight: high } = img;
    const most = Math.min(innerWidth * 0.9 / wide, innerHeight * 0.75 / high);
    img.classList.toggle("sdl-pixels", wide < 1024);
    img.width = wide * (most >= 1 ? Math.min(3, Math.floor(most)) : most);
  }
}

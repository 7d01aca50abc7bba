// Two to four pictures beside one another, with what they differ in.

const BESIDE = 4, BETWEEN = 16;                            // px between two of them
const AROUND = 48, UNDER = 150;                            // px that the dialog has beside, below
const UNTELLING = ["seconds", "created"];                  // they differ in any two

class Beside {
  constructor(view) {
    this.view = view;
    this.urls = new Urls(BESIDE);
    this.dialog = h("dialog", { className: "sdl-dialog sdl-beside",
      "aria-label": "selected pictures beside one another" });
    this.dialog.addEventListener("close", () => {
      this.urls.clear();
      view.go(view.sight.current);
    });
  }

  async open(cells) {
    if (cells.length < 2 || cells.length > BESIDE) return;
    const { dialog, view } = this, close = button("close", () => dialog.close());
    dialog.replaceChildren(close, h("p", { textContent: "…" }));
    dialog.showModal();
    const all = await Promise.all(cells.map((cell) => view.line.ask("full", { cell })));
    if (!dialog.open) return;
    const wide = this.room(cells.length);
    const figures = all.map(({ message, buffers }, k) =>
      this.figure(cells[k], message, buffers, wide));
    const row = h("div", { className: "sdl-beside-row" }, ...figures);
    row.style.gridTemplateColumns = `repeat(${cells.length}, minmax(0, ${wide}px))`;
    const facts = all.map(({ message }) => new Map(message.facts ?? []));
    dialog.replaceChildren(close, row,
      differences(facts, cells.map((i) => view.sight.caption(i))));
    close.focus();
  }

  // How wide and high each of so many may be, for all to stand in one row in the window.
  room(n) {
    const across = (innerWidth * 0.94 - AROUND - BETWEEN * (n - 1)) / n;
    return Math.max(64, Math.floor(Math.min(512, across, innerHeight * 0.94 - UNDER)));
  }

  figure(i, { mime, text }, buffers, wide) {
    const caption = this.view.sight.caption(i) || `picture ${i + 1}`;
    const textContent = buffers.length ? caption : `${caption}: ${text ?? "no picture"}`;
    const words = h("figcaption", { textContent });
    if (!buffers.length) return h("figure", {}, words);
    this.urls.set(i, blobUrl(buffers[0], mime));
    const image = h("img", { src: this.urls.get(i), alt: caption });
    image.onload = () => {
      const { naturalWidth: w, naturalHeight: high } = image;
      const times = wide / Math.max(w, high), whole = times >= 1 ? Math.floor(times) : times;
      image.style.width = w * whole + "px";
      image.classList.toggle("sdl-pixels", whole > 1);
    };
    return h("figure", {}, image, words);
  }
}

// The rows of recipe and measurements in which they are not all the same.
function differences(facts, captions) {
  const names = [...new Set(facts.flatMap((of) => [...of.keys()]))]
    .filter((name) => !UNTELLING.includes(name));
  const rows = names.filter((name) => new Set(facts.map((of) => of.get(name))).size > 1);
  const cells = (tag, texts, props = {}) =>
    texts.map((textContent) => h(tag, { textContent: textContent ?? ANY, ...props }));
  const head = h("tr", {}, h("td"), ...cells("th", captions, { scope: "col" }));
  const body = rows.map((name) => h("tr", {}, h("th", { scope: "row", textContent: name }),
    ...cells("td", facts.map((of) => of.get(name)))));
  const table = h("table", { className: "sdl-table" },
    h("caption", { textContent: "what they differ in" }), h("thead", {}, head),
    h("tbody", {}, ...body));
  return h("div", { className: "sdl-beside-table", tabIndex: 0, role: "region",
    "aria-label": "what they differ in" }, table);
}

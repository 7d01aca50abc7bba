// Pictures that are pinned to be compared: a tray below, and a page of them side by side.

const MOST_PINS = 12;

class Pins {
  constructor(view) {
    this.view = view;
    this.cells = [];
    this.tray = h("div", { className: "tray", hidden: true, role: "region",
      "aria-label": "pinned pictures" });
    this.dialog = h("dialog", { className: "compare", "aria-label": "pinned pictures compared" });
  }

  has(i) { return this.cells.includes(i); }

  toggle(i) {
    if (this.has(i)) this.cells = this.cells.filter((k) => k !== i);
    else this.cells = [...this.cells, i].slice(-MOST_PINS);
    this.show();
  }

  show() {
    const { cells, view: { frame } } = this, some = cells.length > 0;
    this.tray.hidden = !some;
    const thumbs = cells.map((i) => {
      const node = button("", () => this.view.togglePin(i), { title: `unpin ${frame.caption(i)}`,
        "aria-label": `unpin ${frame.caption(i)}` });
      node.append(frame.small(i) ? h("img", { src: frame.small(i), alt: "" }) : "no picture");
      return node;
    });
    const compare = button(`compare ${cells.length}`, () => this.compare());
    const drop = button("unpin all", () => { this.cells = []; this.view.paint(); this.show(); });
    this.tray.replaceChildren(compare, drop, ...thumbs);
  }

  // Side by side, over a table of what differs.
  compare() {
    const { cells, dialog, view: { frame } } = this;
    const differ = frame.varying.filter((column) =>
      new Set(cells.map((i) => column.code(i))).size > 1);
    const head = h("tr", {}, h("td"), ...cells.map((i, k) => h("th", { scope: "col" },
      frame.small(i) ? h("img", { src: frame.large(i), alt: frame.caption(i) })
        : frame.missing(i), h("span", { textContent: String(k + 1) }))));
    const rows = differ.map((column) => h("tr", {},
      h("th", { scope: "row", textContent: column.name }),
      ...cells.map((i) => h("td", { textContent: column.word(i) }))));
    const same = differ.length ? "" : "They differ in nothing that is known.";
    dialog.replaceChildren(h("div", { className: "bar" }, button("close", () => dialog.close())),
      h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "comparison" },
        h("table", {}, h("thead", {}, head), h("tbody", {}, ...rows))), h("p", {}, same));
    dialog.showModal();
  }
}

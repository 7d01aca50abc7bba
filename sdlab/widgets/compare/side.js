// What is told beside the pictures: what both share, what is not held constant, the votes so far.

const SECRET = "Blind: whose picture is whose, and what else differs, is told when you ask for it.";

class Side {
  // `tally` stands elsewhere: below the vote, where the eyes are when the names are shown.
  constructor(model) {
    this.model = model;
    this.shared = h("div");
    this.more = h("details", { className: "sdl-compare-more", hidden: true });
    this.unlike = h("div", { className: "sdl-compare-unlike", role: "group",
      "aria-label": "what differs" });
    this.tally = h("div", { className: "sdl-compare-tally" });
    this.raters = h("div", { className: "sdl-compare-note" });
    this.note = h("div", { className: "sdl-compare-note" });
    this.element = h("div", { className: "sdl-compare-side" },
      this.shared, this.more, this.unlike, this.raters, this.note);
  }

  // What is said of one pair.
  show({ shared, lacking, more }) {
    const missing = lacking.filter(Boolean).map((text, k) =>
      h("p", { textContent: `${sideName(k)}: ${text}` }));
    this.shared.replaceChildren(facts(shared), ...missing);
    const things = more.length === 1 ? "thing is" : "things are";
    const summary = `${more.length} more ${things} the same in both`;
    this.more.replaceChildren(h("summary", { textContent: summary }), facts(more));
    this.more.hidden = !more.length;
  }

  // The votes, and what may be said once they are given.
  count(left, secret) {
    const { model } = this, total = model.get("voted").length, some = left < total;
    this.tally.replaceChildren(
      ...model.get("tally").map((textContent) => h("p", { textContent })));
    const raters = model.get("raters");
    this.raters.textContent = raters.length ? `votes so far – ${raters.join(" · ")}` : "";
    const open = some && left ? `${left} without a vote` : "";
    this.note.textContent = [model.get("note"), open].filter(Boolean).join(" · ");
    const rows = model.get("unlike"), choices = model.get("choices");
    const said = rows.length ? [unlikeTable(rows, model.get("chosen").map((i) => choices[i]))]
      : secret ? [h("p", { textContent: SECRET })] : [];
    this.unlike.replaceChildren(...said);
    if (rows.length) this.unlike.tabIndex = 0;             // so that the arrow keys scroll it
    else this.unlike.removeAttribute("tabindex");
  }
}

function unlikeTable(rows, names) {
  const head = h("tr", {}, h("td"),
    ...names.map((name) => h("th", { scope: "col", textContent: name })));
  const body = rows.map(([what, ...both]) => h("tr", {},
    h("th", { scope: "row", textContent: what }),
    ...both.map((text) => h("td", { textContent: text }))));
  return h("table", { className: "sdl-table" }, h("caption", { textContent: "not held constant" }),
    h("thead", {}, head), h("tbody", {}, ...body));
}

// The answer about the chosen picture: the verdict, its figures, what the file says, and the maps.

const SEARCHES = { all: "cropped, resized or mirrored", crop: "cropped", size: "resized" };
const BY_HAND = "Unsigned: anybody can write, change or remove it.";

class Answer {
  // `inspect(content)` asks Python to test pictures anew.
  constructor(model, line, inspect) {
    Object.assign(this, { model, line, turn: 0 });
    this.views = new ThreeViews(model, line);
    this.how = h("select", {}, ...Object.entries(SEARCHES).map(([value, textContent]) =>
      h("option", { value, textContent })));
    this.searchOne = button("Search this picture", () =>
      inspect({ cells: [model.get("chosen")], search: this.how.value }));
    this.search = h("div", { className: "sdl-bar sdl-search" },
      h("label", {}, "Was it", this.how, "?"), this.searchOne,
      h("span", { className: "sdl-help", textContent: "It takes some seconds." }));
    this.headline = h("div", { className: "sdl-headline", role: "heading", "aria-level": "3" });
    this.meaning = h("div", { className: "sdl-meaning" });
    this.figures = h("div");
    this.claims = h("div");
    this.element = h("section", { className: "sdl-answer", "aria-label": "the answer" },
      this.headline, this.meaning, this.search, this.figures, this.claims, this.views.element);
  }

  async tell() {
    const { model, how } = this, i = model.get("chosen"), mine = ++this.turn;
    if (i < 0) return;
    const letter = letterOf(model, i);
    this.search.hidden = letter === MARKED || letter === UNREAD;
    this.searchOne.disabled = BUSY.includes(letter) || searchOf(model, i) === how.value[0];
    const { message } = await this.line.ask("tell", { cell: i });
    if (mine === this.turn && message.kind === "told") this.show(i, message);
  }

  show(i, message) {
    const { model, views } = this, letter = letterOf(model, i);
    const textContent = model.get("verdicts")[letter]?.[0] ?? "";
    this.headline.replaceChildren(
      h("span", { className: "sdl-glyph", "aria-hidden": "true", textContent }), message.headline);
    this.headline.dataset.verdict = letter;
    this.meaning.replaceChildren(...paragraphs(message.sentences));
    const { about, name, rows, best } = message;
    this.figures.replaceChildren(
      ...(about ? paragraphs([`${name}: ${about}`], { className: "sdl-about" }) : []),
      ...(rows.length ? [payloadTable(message)] : []));
    this.claims.replaceChildren(...(about ? fileClaims(message) : []));
    if (about) views.show(i, searchOf(model, i), best); else views.hide();
  }
}

const paragraphs = (texts, props = {}) =>
  texts.map((textContent) => h("p", { textContent, ...props }));

function payloadTable({ headings, rows }) {
  const cells = (tag, texts, props = {}) =>
    texts.map((textContent) => h(tag, { textContent, ...props }));
  const head = h("thead", {}, h("tr", {}, ...cells("th", headings, { scope: "col" })));
  const body = rows.map((row) => {
    const [name, ...figures] = row.slice(0, -1), title = cells("th", [name], { scope: "row" });
    return h("tr", { className: row.at(-1) ? "sdl-hit" : "" }, ...title, ...cells("td", figures));
  });
  const table = h("table", { className: "sdl-table", "aria-label": "each payload" },
    head, h("tbody", {}, ...body));
  const scroll = { className: "sdl-scroll", tabIndex: 0, role: "region" };
  return h("div", { ...scroll, "aria-label": "payloads" }, table);
}

function fileClaims({ marks, has_file }) {
  const title = h("div", { className: "sdl-subtitle", role: "heading", "aria-level": "4",
    textContent: "What the file says about itself" });
  if (!marks.length) {
    const none = "Nothing about its origin.", pixels = "It was given as pixels, without a file.";
    return [title, ...paragraphs([has_file ? none : pixels])];
  }
  const lines = marks.map(([program, kind, trust, textContent]) => h("li", {},
    h("strong", { textContent: program }), ` (${kind}, ${trust}) `,
    h("span", { className: "sdl-detail", textContent })));
  const unsigned = marks.some(([, , trust]) => trust === "unsigned");
  return [title, h("ul", { className: "sdl-claims" }, ...lines),
    ...(unsigned ? paragraphs([BY_HAND], { className: "sdl-help" }) : [])];
}

// The answer about the chosen picture: what is known in two lines, its four parts, figures, maps.

const SEARCHES = { all: "cropped, resized or mirrored", crop: "cropped", size: "resized" };

class Answer {
  // `inspect(content)` asks Python to test pictures anew.
  constructor(model, line, inspect) {
    Object.assign(this, { model, line, turn: 0 });
    this.views = new ThreeViews(model, line);
    this.how = h("select", {}, ...Object.entries(SEARCHES).map(([value, textContent]) =>
      h("option", { value, textContent })));
    this.searchOne = button("Search this picture", () =>
      inspect({ cells: [model.get("chosen")], search: this.how.value }));
    this.pace = h("span", { className: "sdl-help" });
    this.search = h("div", { className: "sdl-bar sdl-search" },
      h("label", {}, "Was it", this.how, "?"), this.searchOne, this.pace);
    this.headline = h("div", { className: "sdl-headline", role: "heading", "aria-level": "3" });
    this.name = h("div", { className: "sdl-of" });
    this.meaning = h("div", { className: "sdl-meaning" });
    this.figures = h("div");
    this.parts = h("dl", { className: "sdl-parts" });
    this.recipe = h("div");
    const copy = button("copy the answer", () => copyText(this.told?.text ?? "", copy));
    const page = button("save as a page", () => this.save({ cell: this.model.get("chosen") }));
    this.saveAll = button("save all as a page", () => this.save({}));
    this.pass = h("div", { className: "sdl-bar", role: "group", "aria-label": "pass it on" },
      copy, page, this.saveAll);
    this.element = h("section", { className: "sdl-answer", "aria-label": "the answer" },
      this.name, this.headline, this.meaning, this.parts, this.recipe, this.search, this.pass,
      this.figures,
      this.views.element);
  }

  async tell() {
    const { model, how } = this, i = model.get("chosen"), mine = ++this.turn;
    if (i < 0) return;
    const letter = letterOf(model, i);
    this.search.hidden = letter === MARKED || letter === UNREAD;
    if (this.cell !== i) this.blank(i);
    this.searchOne.disabled = WORKED_ON.includes(letter) || searchOf(model, i) === how.value[0];
    const { message } = await this.line.ask("tell", { cell: i });
    if (mine === this.turn && message.kind === "told") this.show(i, message);
  }

  // Nothing of the picture before stands under the name of this one.
  blank(i) {
    this.cell = i;
    this.told = null;
    this.showPace();
    this.name.textContent = this.model.get("names")[i] ?? "";
    this.headline.textContent = "…";
    delete this.headline.dataset.verdict;
    const parts = [this.meaning, this.parts, this.recipe, this.figures];
    for (const part of parts) part.replaceChildren();
    this.views.hide();
  }

  async save(which) {
    const { message, buffers } = await this.line.ask("page", which);
    if (buffers.length) saveFile(buffers[0], message.name, "text/html");
  }

  showPace() {
    const { told, how } = this, time = told?.pace[how.value];
    this.pace.textContent = time ? `It takes about ${time} (${told.megapixels} megapixels).` : "";
  }

  show(i, message) {
    const { model, views } = this, letter = letterOf(model, i);
    this.told = message;
    this.saveAll.hidden = model.get("names").length < 2;
    this.showPace();
    const textContent = model.get("verdicts")[letter]?.[0] ?? "";
    this.headline.replaceChildren(
      h("span", { className: "sdl-glyph", "aria-hidden": "true", textContent }), message.headline);
    this.headline.dataset.verdict = letter;
    this.meaning.replaceChildren(...paragraphs(message.sentences));
    const { about, name, rows, best, parts } = message;
    this.parts.replaceChildren(...parts.flatMap(([title, lines]) => [
      h("dt", { textContent: title }), ...lines.map((textContent) => h("dd", { textContent }))]));
    this.figures.replaceChildren(
      ...(about ? paragraphs([`${name}: ${about}`], { className: "sdl-about" }) : []),
      ...(rows.length ? [payloadTable(message)] : []));
    const open = () => this.line.ask("open", { cell: i });
    this.recipe.replaceChildren(...(message.recipe.length ? [recipeBox(message, open)] : []));
    if (about) views.show(i, searchOf(model, i), best); else views.hide();
  }
}

const paragraphs = (texts, props = {}) =>
  texts.map((textContent) => h("p", { textContent, ...props }));

// What the file says as a recipe, in words, and what can be done with it.
function recipeBox({ recipe, infotext, request, why }, open) {
  const copy = (label, text) => {
    const node = button(label, () => copyText(text, node));
    return node;
  };
  const bar = h("div", { className: "sdl-bar" },
    infotext ? copy("copy recipe", infotext) : null,
    request ? button("open in a form", open,
      { title: "fills the form that was shown last in with this recipe" }) : null,
    request ? copy("copy code that opens it in a form", request) : null);
  return h("section", { className: "sdl-recipe-said", "aria-label": "the recipe in the file" },
    h("div", { className: "sdl-recipe-title", textContent: "The recipe in the file" }),
    facts(recipe), bar, why ? h("p", { textContent: why }) : null);
}

function payloadTable({ headings, rows, explained }) {
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
  const hits = rows.filter((row) => row.at(-1)).length;
  const textContent = `each of ${rows.length} payloads, ${hits} found`;
  return h("details", { className: "sdl-payloads" }, h("summary", { textContent }),
    h("p", { className: "sdl-help", textContent: explained }),
    h("div", { ...scroll, "aria-label": "payloads" }, table));
}

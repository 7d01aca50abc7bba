// One picture of the grid in a dialog, with its recipe, and what can be done with it.

class Zoom {
  constructor(view) {
    const { line, pictures } = view;
    Object.assign(this, { view, line, pictures, at: -1, url: null, recipe: "", code: "" });
    this.dialog = h("dialog", { className: "sdl-dialog sdl-zoom",
      "aria-label": "one picture and its recipe" });
    this.notice = h("div", { className: "sdl-notice", role: "status", hidden: true });
    this.live = h("div", { className: "sdl-unseen", role: "status" });
    this.content = h("div");
    this.dialog.append(this.notice, this.live, this.content);
    line.notices.add((text) => this.say(text));            // the panel's own is behind the dialog
    this.listen();
  }

  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  // ---- one picture
  async open(i) {
    const { pictures, line, view } = this, state = pictures.state(i);
    if (state !== THERE && state !== FAILED && !pictures.varied.has(i)) return;
    this.at = i;
    put(view.model, "opened", i);
    this.say("");
    const { picture, table } = this.lay(i);
    if (!this.dialog.open) this.dialog.showModal();
    else this.dialog.querySelector("button").focus();
    this.tell(i);
    this.showVariations(i);
    const { message, buffers } = await line.ask("full", { cell: i });
    if (this.at !== i) return;
    if (message.kind === "error") return void table.replaceChildren(message.text);
    this.showRecipe(message, table);
    if (!buffers.length) return;
    this.forget();
    picture.src = this.url = blobUrl(buffers[0], message.mime);
    picture.hidden = false;
    this.offer(picture, buffers[0], message);
  }

  // The file itself, with its recipe: to be saved, copied, opened alone, or dragged elsewhere.
  offer(picture, data, { name, mime }) {
    const { url } = this, link = { className: "sdl-button", href: url };
    const copy = button("copy picture", () => copyPicture(data, mime, copy));
    this.dialog.querySelector(".sdl-file").replaceChildren(
      h("a", { ...link, download: name, textContent: "save" }), copy,
      h("a", { ...link, target: "_blank", rel: "noopener", textContent: "open alone",
        onclick: leaveFull }));
    picture.draggable = true;
    picture.ondragstart = (event) =>
      event.dataTransfer.setData("DownloadURL", `${mime}:${name}:${url}`);
  }

  showMarks() {
    this.marks?.show();
    if (this.marks) this.tell(this.at);
  }

  // What is shown and said of it, for who does not see that it has changed.
  tell(i) {
    const { pictures, view } = this, variation = pictures.varied.get(i);
    const text = variation ? `seed ${variation.seed}` : view.sight.name(i);
    if (this.live.textContent !== text) this.live.textContent = text;
  }

  // Lays out the dialog with what the page has already: the thumbnail and the tools.
  lay(i) {
    const { pictures, view } = this, src = pictures.thumbs.get(i) ?? "";
    const alt = pictures.varied.has(i)
      ? `seed ${pictures.varied.get(i).seed}` : view.sight.caption(i);
    const picture = h("img", { className: "sdl-zoomed", src, alt, hidden: !src });
    picture.onload = () => enlarge(picture);
    const table = h("div", { className: "sdl-zoom-facts", tabIndex: 0, role: "region",
      "aria-label": "recipe" }, "…");
    const title = h("div", { className: "sdl-zoom-title", textContent: alt });
    this.content.replaceChildren(
      h("div", { className: "sdl-zoom-columns" }, picture,
        h("div", { className: "sdl-zoom-side" }, title, ...this.tools(i), table)),
      h("div", { className: "sdl-strip" }));
    return { picture, table };
  }

  // What cannot be done with this picture is not offered, and it is said why.
  showRecipe({ recipe, code, facts: rows, lacks }, table) {
    const why = lacks.recipe || (this.pictures.varied.has(this.at) ? "" : lacks.place);
    const help = h("p", { className: "sdl-help", textContent: why, hidden: !why });
    Object.assign(this, { recipe, code, lacks });
    const used = document.activeElement;
    for (const node of this.dialog.querySelectorAll(".sdl-needs-recipe")) {
      able(node, true);
      if (lacks.recipe || (lacks.place && node.matches(".sdl-needs-place"))) node.remove();
    }
    if (used && !used.isConnected) this.dialog.querySelector("button").focus();
    table.replaceChildren(help, facts(rows));
    if (why) this.live.textContent += `. ${why}`;
  }

  // ---- what can be done with it
  tools(i) {
    this.recipe = this.code = "";
    this.marks = this.lacks = null;
    const late = { className: "sdl-button sdl-needs-recipe", "aria-disabled": "true" };
    const copyRecipe = button("copy recipe", () => copyText(this.recipe, copyRecipe), late);
    const copyCode = button("copy code", () => copyText(this.code, copyCode), late);
    const close = button("close", () => this.shut()), variation = this.pictures.varied.get(i);
    const file = h("div", { className: "sdl-bar sdl-file", role: "group", "aria-label": "file" });
    const bar = (...nodes) => h("div", { className: "sdl-bar" }, ...nodes);
    const form = button("open in a form", () => this.openInForm(),
      { ...late, title: "fills the form that was shown last in with this recipe (F)" });
    if (variation) {
      const back = button("back", () => this.open(variation.of));
      return [bar(close, back, copyRecipe, copyCode, form), file];
    }
    const vary = button("render 8 other seeds", () => this.vary(i),
      { ...late, className: `${late.className} sdl-needs-place`,
        title: "renders the same recipe with the next eight seeds, into the same store" });
    this.marks = new MarkBar(this.view.marks, i, (change) => this.view.rate(i, change));
    return [bar(close, copyRecipe, copyCode, form, vary), file, ...this.marks.elements];
  }

  // The form takes the focus, once it is filled in.
  async openInForm() {
    if (!this.recipe) return this.say(this.lacks?.recipe ?? "");
    const { message } = await this.line.ask("open", { cell: this.at });
    if (message.kind === "opening") this.shut();
  }

  // ---- the same with other seeds
  vary(i) {
    this.varying = i;                                      // its pictures are to be seen
    this.line.ask("vary", { cell: i });
  }

  showVariations(of) {
    const ours = [...this.pictures.varied].filter(([, variation]) => variation.of === of);
    if (of !== this.at || !ours.length) return;
    const strip = this.dialog.querySelector(".sdl-strip");
    strip.replaceChildren(
      h("div", { textContent: "The same recipe with other seeds" }),
      ...ours.map(([i, { seed }]) => this.variationBox(i, seed)));
    for (const [i] of ours) this.paintVariation(i);
    if (this.varying === of) strip.scrollIntoView({ block: "nearest" });
    this.varying = null;
  }

  variationBox(i, seed) {
    const box = h("button", { type: "button", className: "sdl-variation sdl-picture",
      onclick: () => this.open(i), "aria-label": `the same with seed ${seed}` },
      h("img", { alt: "", className: "sdl-pixels" }), h("span", { textContent: `seed ${seed}` }));
    box.dataset.i = i;
    return box;
  }

  paintVariation(i) {
    const box = this.dialog.querySelector(`.sdl-variation[data-i="${i}"]`);
    const { thumbs, errors, varied } = this.pictures;
    if (!box) return;
    if (thumbs.get(i)) box.firstChild.src = thumbs.get(i);
    else if (errors.get(i)) {
      const textContent = `seed ${varied.get(i).seed} failed`;
      Object.assign(box.lastChild, { textContent, title: errors.get(i) });
    }
  }

  // ---- keys, and the end
  listen() {
    const { dialog, pictures, view } = this, own = () => !pictures.varied.has(this.at);
    onKeys(dialog, {
      ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1), Escape: () => this.shut(),
      s: () => { if (own()) view.toggleStar(this.at); },
      ...ratingKeys((rating) => { if (own()) view.rate(this.at, { rating }); }),
      ...verdictKeys((verdict) => { if (own()) view.judge(this.at, verdict); }),
      n: () => this.marks?.tags.focus(), f: () => this.openInForm(),
    }, (event) => !event.target.matches("input") || event.key === "Escape");
    dialog.addEventListener("close", () => this.shut());
    dialog.addEventListener("click", (event) => {          // on the backdrop, not on its own edge
      if (event.target === dialog && !isOver(dialog, event)) this.shut();
    });
  }

  step(by) {
    const { sight } = this.view, there = (i) => this.pictures.state(i) === THERE;
    const next = inReadingOrder(sight.table, this.at, by, there);
    if (next !== undefined) this.open(next);
  }

  shut() {
    if (this.at < 0) return;
    const last = this.pictures.varied.get(this.at)?.of ?? this.at;
    this.at = -1;
    document.activeElement?.blur();                        // a field tells what was written in it
    this.dialog.close();                                   // puts the focus back where it was
    if (this.view.stale) this.view.rebuild();
    put(this.view.model, "opened", -1);
    this.view.go(last);
  }

  forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}

// By a whole number, while it fits.
function enlarge(picture) {
  const { naturalWidth: wide, naturalHeight: high } = picture;
  const times = Math.max(1, Math.floor(Math.min(512, innerWidth / 2) / Math.max(wide, high)));
  picture.style.width = wide * times + "px";
  picture.classList.toggle("sdl-pixels", times > 1);
}

function isOver(element, { clientX, clientY }) {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return clientX >= left && clientX <= right && clientY >= top && clientY <= bottom;
}

// One picture as large as there is room, with its recipe, its star and its note.

class Zoom {
  constructor(view) {
    this.view = view;
    this.picture = h("img", { decoding: "async" });
    this.missing = h("p");
    this.name = h("h2", { id: "zoomed" });
    this.told = h("div", { className: "told" });
    this.note = h("textarea", { rows: 3, maxLength: 2000 });
    this.note.onchange = () => view.say(this.i, { note: this.note.value.trim() });
    this.star = button("", () => view.toggleStar(this.i));
    this.pin = button("", () => view.togglePin(this.i));
    const close = button("close", () => this.dialog.close(), { title: "Esc" });
    const before = button("‹", () => this.step(-1), { "aria-label": "the picture before" });
    const next = button("›", () => this.step(1), { "aria-label": "the next picture" });
    const tools = h("div", { className: "bar" }, before, next, this.star, this.pin, close);
    this.dialog = h("dialog", { className: "zoom", "aria-labelledby": "zoomed" }, tools,
      h("div", { className: "zoomed" }, h("figure", {}, this.picture, this.missing),
        h("div", { className: "side", tabIndex: 0, role: "region",
          "aria-label": "what is known of the picture" }, this.name,
        h("label", { className: "note" }, "note", this.note), this.told)));
    this.dialog.onclose = () => view.sight.go(this.i);
    this.dialog.onkeydown = (event) => this.press(event);
    this.picture.onload = () => enlarge(this.picture);
  }

  open(i) {
    this.i = i;
    this.show();
    if (!this.dialog.open) this.dialog.showModal();
  }

  show() {
    const { view: { frame, opinions, pins }, i, picture } = this, missing = frame.missing(i);
    picture.hidden = Boolean(missing);
    if (!missing) picture.src = frame.large(i);
    picture.alt = this.name.textContent = frame.caption(i);
    this.missing.textContent = missing;
    this.note.value = opinions.note(i);
    this.star.textContent = opinions.starred(i) ? "★ starred" : "☆ star";
    this.star.setAttribute("aria-pressed", opinions.starred(i));
    this.pin.textContent = pins.has(i) ? "unpin" : "pin to compare";
    const said = frame.columns.filter((column) => column.value(i) !== null);
    const group = (test) => said.filter(test).map((column) => [column.name, column.word(i)]);
    this.told.replaceChildren(
      facts(group((column) => !column.recipe && !column.fact)),
      h("h3", { textContent: "recipe" }), facts(group((column) => column.recipe)),
      h("details", {}, h("summary", { textContent: "what was recorded" }),
        facts(group((column) => column.fact))));
  }

  step(by) {
    const { cells } = this.view, at = cells.indexOf(this.i);
    const next = cells[clamp(at + by, 0, cells.length - 1)];
    if (next !== undefined) this.open(next);
  }

  press(event) {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1),
      s: () => this.view.toggleStar(this.i), p: () => this.view.togglePin(this.i),
      n: () => this.note.focus() }[event.key];
    if (act) { event.preventDefault(); event.stopPropagation(); act(); }
  }
}

// By a whole number, while it fits, so that no pixel is blurred.
function enlarge(picture) {
  const { naturalWidth: wide, naturalHeight: high } = picture;
  const room = Math.min(innerWidth > 700 ? innerWidth * 0.55 : innerWidth - 48, innerHeight - 120);
  const times = Math.floor(room / Math.max(wide, high, 1));
  picture.style.width = times > 1 ? `${wide * times}px` : "";
  picture.classList.toggle("pixels", times > 1);
}

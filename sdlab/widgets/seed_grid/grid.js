// The page of SeedGrid: only the cells in sight are in the page, and only their pictures are asked
// for.
//
// page -> Python  want {cells, px}, full {cell}, vary {cell}, open {cell}, stop,
//                 arrange {side, columns}, rate {cell, starred?, rating?, verdict?, tags?, note?},
//                 seen {cell}, export {what, rows?, all_of?}
// Python -> page  cells {cells: [{i, tip, error?, picture}]} + a buffer for each picture,
//                 sketches {cells: [i]} + buffers,
//                 full {cell, facts, recipe, code, lacks: {recipe, place}} + a buffer,
//                 varied {of, cells: [{i, seed}]}, seen {seen: [what stands in the picture]},
//                 export {name, mime, said} + a buffer

const GRID_KEYS = "<kbd>arrows</kbd> move · <kbd>Enter</kbd> zoom · <kbd>S</kbd> star · "
  + "<kbd>1</kbd> to <kbd>5</kbd> rate, <kbd>0</kbd> clears · <kbd>R</kbd> right, <kbd>W</kbd> "
  + "wrong, <kbd>C</kbd> cannot tell · <kbd>N</kbd> tags and note · <kbd>X</kbd> or Shift and a "
  + "click selects, <kbd>V</kbd> compares two to four, <kbd>Delete</kbd> removes from view · "
  + "in the zoom <kbd>F</kbd> opens the recipe in a form · "
  + "<kbd>?</kbd> shows or hides this";

const REST = 150;                                          // ms on a cell until it is described

class GridView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root });
    this.pictures = new Pictures(model, line);
    this.marks = new Marks(model);
    this.sight = new Sight(model, this.pictures, this.marks);
    this.zoom = new Zoom(this);
    this.beside = new Beside(this);
    this.job = new JobBar(model, line);
    this.layout = new LayoutBar(this);
    this.filters = new FilterBar(this);
    this.selection = new SelectionBar(this);
    this.sliders = new SliderBar(model, this.sight.places.sliders);
    this.only = h("input", { type: "checkbox", checked: model.get("only_starred") });
    this.only.onchange = () => put(model, "only_starred", this.only.checked);
    this.count = h("span", { role: "status" });
    this.spoken = spokenLine();
    this.shared = h("div", { className: "sdl-shared" });
    this.recipe = h("div", { className: "sdl-recipe" });
    this.tip = h("div", { className: "sdl-tip", hidden: true });
    this.help = keysHelp(GRID_KEYS);
    this.code = codeBlock(line);
    const only = h("label", {}, this.only, "only starred");
    root.append(h("div", { className: "sdl-controls" }, this.job.element, this.layout.element,
      h("div", { className: "sdl-bar" }, only, this.count), this.filters.element,
      this.sliders.element, this.selection.element, this.shared),
      this.sight.element, this.recipe, this.spoken, this.job.live, this.help, this.code, this.tip,
      this.zoom.dialog, this.beside.dialog);
  }

  // ---- what is shown
  rebuild() {
    const { sight } = this, focused = sight.hasFocus;
    if (this.zoom.dialog.open) return void (this.stale = true);    // when it is shut
    this.stale = false;
    sight.rebuild();
    put(this.model, "focused", sight.current);             // another one, if that went out of view
    this.showCount();
    this.shared.textContent = this.model.get("shared");
    this.recipe.textContent = sight.currentName;
    if (focused) sight.table.rows ? this.go(sight.current) : this.only.focus();
  }

  // Rows and columns, or the size of a cell, are others.
  rearrange() {
    const { sight, model } = this, bar = this.sliders.element;
    sight.read();
    this.pictures.grow();
    this.sliders = new SliderBar(model, sight.places.sliders);
    bar.replaceWith(this.sliders.element);
    this.layout.show();
    this.rebuild();
  }

  showCount() {
    const { sight, marks, model } = this, all = sight.places.at.length;
    const { gaps, shown } = sight.table, chosen = model.get("shown");
    const why = !chosen && model.get("where").length ? ": the sliders show one setting" : "";
    const part = (chosen || shown < all) && `${shown} of ${all} in view${why}`;
    const empty = gaps && `${gaps} of ${sight.table.rows * sight.table.cols} places are empty (·)`;
    const text = [part, `${marks.stars} of ${all} starred`, marks.verdicts(all), empty]
      .filter(Boolean).join(" · ");
    if (this.count.textContent !== text) this.count.textContent = text;   // else it is read again
  }

  showMarks(i) {                                           // of one cell, or of all
    const { sight } = this;
    for (const k of i === undefined ? sight.boxes.keys() : [i]) sight.paint(k);
    this.zoom.showMarks();
    this.recipe.textContent = sight.currentName;
    this.showCount();
  }

  showTip(event) {
    const seen = document.elementFromPoint(event.clientX, event.clientY)?.closest(".sdl-cell");
    const i = +seen?.dataset.i, { tip, root, pictures } = this;
    const text = pictures.tips.get(i) ?? pictures.errors.get(i);
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { left, top } = root.getBoundingClientRect();
    tip.style.left = clamp(event.clientX - left + 14, 0, root.clientWidth - 260) + "px";
    tip.style.top = event.clientY - top + 16 + "px";
  }

  // ---- what the reader does
  go(i) {
    if (i === undefined || !this.sight.table.where(i)) return;
    this.sight.scrollTo(i);
    this.focusOn(i);
    this.sight.draw();
    this.sight.boxes.get(i)?.focus({ preventScroll: true });
  }

  focusOn(i) {
    this.sight.setCurrent(i);
    put(this.model, "focused", i);
    this.recipe.textContent = this.sight.name(i);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.describe(i), REST);
  }

  // Says what stands in a picture of which nothing was measured, for those who do not see it.
  async describe(i) {
    const { model, sight, pictures } = this;
    if (!model.get("looks") || sight.seen.has(i) || pictures.state(i) !== THERE) return;
    const { message } = await this.line.ask("seen", { cell: i });
    const text = message.kind === "seen" ? message.seen[0] : "";
    if (!text) return;
    sight.seen.set(i, text);
    sight.paint(i);
    if (i !== sight.current) return;
    this.recipe.textContent = sight.currentName;
    if (sight.hasFocus) this.spoken.textContent = text;
  }

  rate(i, change) {
    if (i < 0 || i >= this.sight.places.at.length || this.pictures.state(i) !== THERE) return;
    const answered = this.marks.give(i, change);
    this.showMarks(i);
    const sent = { page: this.line.prefix, turn: this.line.count };
    this.line.ask("rate", { cell: i, ...change, ...sent }).then(() => {
      answered();
      this.readMarks(i);
    });
  }

  toggleStar(i) { this.rate(i, { starred: !this.marks.starred(i) }); }

  judge(i, verdict) {
    this.rate(i, { verdict: this.marks.get(i, "verdict") === verdict ? null : verdict });
  }

  async note(i) {
    await this.zoom.open(i);
    this.zoom.marks?.tags.focus();
  }

  select(cells) { put(this.model, "selected", cells); }

  toggleSelected(i) {
    const now = new Set(this.model.get("selected"));
    if (!now.delete(i)) now.add(i);
    this.select([...now]);
  }

  // Those that are selected, else the one that has the focus; only from view.
  remove() {
    const { model, sight } = this, chosen = model.get("selected"), hidden = model.get("hidden");
    const gone = chosen.length ? chosen : [sight.current];
    put(model, "hidden", [...new Set([...hidden, ...gone])].sort((a, b) => a - b));
    this.select([]);
  }

  async export(what, part = {}) {                          // {rows} or {all_of: a slider's name}
    this.layout.saved.textContent = "";                    // else the same is not read again
    const { message, buffers } = await this.line.ask("export", { what, ...part });
    if (!buffers.length) return;
    saveFile(buffers[0], message.name, message.mime);
    this.layout.saved.textContent = message.said;
  }

  // ---- from Python to the page
  receive(message, buffers) {
    const { pictures, sight, zoom } = this, { kind, cells } = message;
    if (kind === "cells") {
      pictures.take(cells, buffers);
      for (const { i } of cells) {
        sight.paint(i);
        if (pictures.varied.has(i)) zoom.paintVariation(i);
        if (i === sight.current && sight.hasFocus) this.describe(i);
      }
    } else if (kind === "sketches") {
      cells.forEach((i, k) => {
        if (pictures.thumbs.get(i) || !sight.boxes.has(i)) return;
        pictures.sketches.set(i, blobUrl(buffers[k]));
        sight.paint(i);
      });
    } else if (kind === "varied") {
      for (const { i, seed } of cells) pictures.varied.set(i, { of: message.of, seed });
      zoom.showVariations(message.of);
    }
  }

  readMarks(i) {
    this.marks.read();
    this.showMarks(i);
  }

  showJob() {
    this.job.show();
    if (this.model.get("state") !== "running") this.pictures.sketches.clear();
  }

  showStates() {
    const { sight } = this;
    for (const i of sight.boxes.keys()) sight.paint(i);
    this.recipe.textContent = sight.currentName;
    sight.draw();
  }

  follow() {
    const { model, sight } = this, job = () => this.showJob(), read = () => this.readMarks();
    const rebuild = () => {
      for (const bar of [this.filters, this.selection, this.sliders, this.layout]) bar.show();
      this.rebuild();
    };
    const again = () => this.rearrange(), layout = () => this.layout.show();
    return follow(model, {
      states: () => this.showStates(), starred: read, ratings: read, verdicts: read, tags: read,
      notes: read, announced: () => this.job.announce(), state: job, status: job, fraction: job,
      recoded: () => this.code.renew(),
      where: () => { this.sliders.show(); this.rebuild(); }, shown: rebuild, hidden: rebuild,
      filters: () => this.filters.show(), sort: () => this.filters.show(),
      places: again, cell_px: again, row: layout, col: layout,
      selected: () => this.showSelected(),
      focused: () => {
        const i = model.get("focused");
        if (i !== sight.current) this.focusOn(clamp(i, 0, sight.places.at.length - 1));
      },
      only_starred: () => { this.only.checked = model.get("only_starred"); },
    });
  }

  showSelected() {
    this.sight.selected = new Set(this.model.get("selected"));
    this.selection.show();
    for (const i of this.sight.boxes.keys()) this.sight.paint(i);
  }
}

function render({ model, line, root }) {
  const view = new GridView({ model, line, root }), { sight } = view;
  const receive = (message, buffers) => view.receive(message, buffers);
  line.listeners.add(receive);
  listenToKeys(view);
  listenToPointer(view);
  const sized = new ResizeObserver(() => {
    if (sight.element.clientWidth !== sight.width) view.rebuild();
  });
  sized.observe(sight.element);
  const unfollow = view.follow();
  view.showJob();
  view.job.announce();
  view.rebuild();
  return () => {
    line.listeners.delete(receive);
    unfollow();
    sized.disconnect();
    view.pictures.clear();
    view.zoom.forget();
  };
}

export default panel("seedgrid", render);

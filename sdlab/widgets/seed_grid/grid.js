// The page of SeedGrid: only the cells in sight are in the page, and only their pictures are asked
// for.
//
// page -> Python  want {cells, px}, full {cell}, rate {cell, starred?, rating?}, vary {cell}, stop
// Python -> page  cells {cells: [{i, tip, error?, picture}]} + a buffer for each picture,
//                 sketches {cells: [i]} + buffers, full {cell, facts, recipe, code} + a buffer,
//                 varied {of, cells: [{i, seed}]}

const GRID_KEYS = "<kbd>arrows</kbd> move · <kbd>Enter</kbd> zoom · <kbd>S</kbd> star · "
  + "<kbd>1</kbd> to <kbd>5</kbd> rate, <kbd>0</kbd> clears";

class GridView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root });
    this.pictures = new Pictures(model, line);
    this.opinions = new Opinions(model);
    this.sight = new Sight(model, this.pictures, this.opinions);
    this.zoom = new Zoom(this);
    this.job = new JobBar(model, line);
    this.sliders = new SliderBar(model, this.sight.places.sliders);
    this.only = h("input", { type: "checkbox", checked: model.get("only_starred") });
    this.only.onchange = () => put(model, "only_starred", this.only.checked);
    this.count = h("span");
    this.recipe = h("div", { className: "sdl-recipe" });
    this.tip = h("div", { className: "sdl-tip", hidden: true });
    this.code = codeBlock(undefined, async () => (await line.ask("code")).message.code ?? "");
    root.append(this.job.element,
      h("div", { className: "sdl-bar" }, h("label", {}, this.only, "only starred"), this.count),
      this.sliders.element, h("div", { className: "sdl-shared", textContent: model.get("shared") }),
      this.sight.element, this.recipe, h("div", { className: "sdl-help", innerHTML: GRID_KEYS }),
      this.code, this.tip, this.zoom.dialog);
  }

  // ---- what is shown
  rebuild() {
    const { sight } = this, focused = sight.hasFocus;
    sight.rebuild();
    this.showCount();
    this.recipe.textContent = sight.currentName;
    if (focused) sight.table.rows ? this.go(sight.current) : this.only.focus();
  }

  showCount() {
    const { sight, opinions } = this, all = `${opinions.stars.size} of ${sight.places.at.length}`;
    this.count.textContent = `${this.only.checked ? sight.table.shown : all} starred`;
  }

  showOpinions(i) {                                        // of one cell, or of all
    const { sight } = this;
    if (this.only.checked && !this.zoom.dialog.open) this.rebuild();
    for (const k of i === undefined ? sight.boxes.keys() : [i]) sight.paint(k);
    this.zoom.showOpinion();
    this.recipe.textContent = sight.currentName;
    this.showCount();
  }

  showTip(event) {
    const i = +cellOf(event)?.dataset.i, { tip, root, pictures } = this;
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
  }

  rate(i, change) {
    if (i < 0 || i >= this.sight.places.at.length || this.pictures.state(i) !== THERE) return;
    this.opinions.give(i, change);
    this.showOpinions(i);
    this.line.ask("rate", { cell: i, ...change }).then(() => this.readOpinions(i));
  }

  toggleStar(i) { this.rate(i, { starred: !this.opinions.starred(i) }); }

  // ---- from Python to the page
  receive(message, buffers) {
    const { pictures, sight, zoom } = this, { kind, cells } = message;
    if (kind === "cells") {
      pictures.take(cells, buffers);
      for (const { i } of cells) {
        sight.paint(i);
        if (pictures.varied.has(i)) zoom.paintVariation(i);
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

  readOpinions(i) {
    this.opinions.read();
    this.showOpinions(i);
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
    const { model, sight } = this, job = () => this.showJob(), read = () => this.readOpinions();
    return follow(model, {
      states: () => this.showStates(), starred: read, ratings: read,
      state: job, status: job, fraction: job, recoded: () => this.code.renew(),
      where: () => { this.sliders.show(); this.rebuild(); },
      focused: () => {
        const i = model.get("focused");
        if (i !== sight.current) this.focusOn(clamp(i, 0, sight.places.at.length - 1));
      },
      only_starred: () => { this.only.checked = model.get("only_starred"); this.rebuild(); },
    });
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

// What stands above the grid: how far the job is, and sliders over axes that are neither rows nor
// columns.

class JobBar {
  constructor(model, line) {
    this.model = model;
    this.progress = h("progress", { max: 1, "aria-label": "share of the pictures that is done" });
    this.status = h("span", { className: "sdl-job-line" });          // of every step
    this.live = spokenLine();                              // apart: it is heard of frames, too
    this.stop = button("Stop", () => {
      line.ask("stop");
      able(this.stop, false);
      this.status.textContent = "stopping …";
    }, { title: "ends within a step; what is finished is kept, what is under way is not" });
    this.element = h("div", { className: "sdl-bar sdl-job" },
      this.progress, this.status, this.stop);
  }

  // Milestones, and other rows and columns. Later, so that it is heard where the bar has just come.
  announce() {
    setTimeout(() => { this.live.textContent = this.model.get("announced"); }, 300);
  }

  show() {
    this.element.hidden = this.model.get("state") === "still";
    this.progress.value = this.model.get("fraction");
    this.progress.hidden = this.model.get("state") !== "running";
    this.status.textContent = this.model.get("status");
    able(this.stop, this.model.get("state") === "running");
  }
}

class SliderBar {
  constructor(model, axes) {
    Object.assign(this, { model, axes });
    this.sliders = axes.map((axis, k) => slider(axis, this.at(k), (value) =>
      put(model, "where", axes.map((_, n) => (n === k ? value : this.at(n))))));
    this.element = h("div", { className: "sdl-bar", hidden: !axes.length }, ...this.sliders);
    this.show();
  }

  at(k) { return this.model.get("where")[k] ?? 0; }

  // What is chosen or sorted is of all settings.
  show() {
    const all = Boolean(this.model.get("shown"));
    this.sliders.forEach((node, k) => node.show(this.at(k), all));
  }
}

function slider({ name, labels }, value, changed) {
  const shown = h("output"), input = h("input", { type: "range", min: 0, max: labels.length - 1 });
  const node = h("label", {}, name, input, shown);
  node.show = (n, all = false) => {
    if (+input.value !== n) input.value = n;
    shown.textContent = all ? "all" : labels[n];
    input.setAttribute("aria-valuetext", shown.textContent);
    input.disabled = all;
  };
  input.oninput = () => { node.show(+input.value); changed(+input.value); };
  node.show(value);
  return node;
}

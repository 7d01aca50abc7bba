// Files that are dropped, chosen or pasted travel to Python in parts, one after the other.
//
// page -> Python  part {file, name, size, at} + a buffer
// Python -> page  received {}, or after the last part added {cell, name} or refused {text}

const INVITATION = "or drop them here, or paste one: "
  + "does it carry a hidden mark of Stable Diffusion?";

const megabytes = (bytes) => `${Math.ceil(bytes / 1e5) / 10} MB`;

// The place where files arrive; `added(cell, first)` is told of each.
class Arrivals {
  constructor(model, line, added) {
    Object.assign(this, { model, line, added, limits: model.get("limits") });
    Object.assign(this, { waiting: [], sent: 0, planned: 0, working: false });
    this.input = h("input", { type: "file", multiple: true, accept: "image/*", hidden: true,
      tabIndex: -1, "aria-label": "pictures" });
    this.input.onchange = () => { this.take(this.input.files); this.input.value = ""; };
    this.choose = button("Choose pictures…", () => this.input.click());
    this.invitation = h("span", { className: "sdl-invitation" });
    this.where = h("div", { className: "sdl-help", textContent: "They are copied to "
      + `${model.get("folder")}, where Python runs, and sent to nobody else.` });
    this.progress = h("progress", { max: 1, value: 0,
      "aria-label": "share of the files that has arrived" });
    this.status = h("span", { role: "status" });
    const cancel = button("Cancel", () => { this.waiting.length = 0; });
    this.sending = h("div", { className: "sdl-bar", hidden: true }, this.progress, cancel);
    this.element = h("div", { className: "sdl-drop" },
      h("div", { className: "sdl-bar sdl-welcome" }, this.choose, this.invitation, this.input),
      this.where, this.sending, this.status, this.refusalBox());
    this.invite();
  }

  refusalBox() {
    this.refused = h("ul");
    const close = button("Close", () => {
      this.refused.replaceChildren();
      this.refusals.hidden = true;
      this.choose.focus();
    });
    this.refusals = h("div", { className: "sdl-refusals", hidden: true },
      h("div", { role: "alert" }, this.refused), close);
    return this.refusals;
  }

  refuse(name, why) {
    this.refused.append(h("li", { textContent: `${name} was not taken: ${why}` }));
    this.refusals.hidden = false;
  }

  // With nothing there yet the invitation is large and says what this is for.
  invite() {
    const empty = !this.model.get("names").length;
    this.element.classList.toggle("sdl-empty", empty);
    this.invitation.textContent = empty ? INVITATION : "or drop or paste more";
    this.where.hidden = !empty;
  }

  // ---- what is taken
  take(files) {
    const { limits, waiting } = this, good = [...files].filter((file) => this.accept(file));
    const free = limits.pictures - this.model.get("names").length - waiting.length;
    const room = Math.min(limits.files, Math.max(0, free)), lost = good.length - room;
    if (lost > 0) {
      this.refuse(`${lost} of ${good.length} files`, room < limits.files
        ? `an inspector holds ${limits.pictures} pictures; open another one`
        : `at most ${limits.files} are taken at once; drop the others afterwards`);
    }
    waiting.push(...good.slice(0, room));
    this.planned += Math.min(good.length, room);
    this.sendAll();
  }

  accept({ name, size }) {
    const most = this.limits.bytes;
    if (!size) this.refuse(name, "it is empty");
    else if (size > most)
      this.refuse(name, `it has ${megabytes(size)}; at most ${megabytes(most)} are taken`);
    return size > 0 && size <= most;
  }

  // ---- what travels
  async sendAll() {
    if (this.working) return;
    this.working = true;
    let came = 0;
    while (this.waiting.length) {
      const file = this.waiting.shift(), message = await this.send(file);
      this.sent++;
      if (message.kind === "added") this.added(message.cell, came++ === 0);
      else this.refuse(file.name, message.text ?? "it was lost");
    }
    Object.assign(this, { working: false, sent: 0, planned: 0 });
    this.sending.hidden = true;
    this.status.textContent = came ? `${came} ${came === 1 ? "picture" : "pictures"} arrived` : "";
  }

  async send(file) {
    const { size, name } = file, { part } = this.limits;
    const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
    let answer = { kind: "refused" };
    this.sending.hidden = false;
    for (let at = 0; at < size; at += part) {
      this.status.textContent = `sending ${this.sent + 1} of ${this.planned}: ${name}`;
      this.progress.value = (this.sent + at / size) / this.planned;
      const bytes = await file.slice(at, at + part).arrayBuffer().catch(() => null);
      if (!bytes) return { kind: "refused", text: "the browser cannot read it" };
      answer = (await this.line.ask("part", { file: id, name, size, at }, [bytes])).message;
      if (answer.kind !== "received") break;
    }
    return answer;
  }
}

// Takes what is dropped on the element, or pasted into it.
function catchFiles(element, arrivals) {
  let inside = 0;                        // enters less leaves: each child has its own
  const enter = (n) => {
    inside = Math.max(0, n);
    element.classList.toggle("sdl-over", inside > 0);
  };
  const on = (name, act) => element.addEventListener(name, (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    consume(event);
    act(event);
  });
  on("dragenter", () => enter(inside + 1));
  on("dragleave", () => enter(inside - 1));
  on("dragover", (event) => { event.dataTransfer.dropEffect = "copy"; });
  on("drop", ({ dataTransfer }) => { enter(0); takeDropped(dataTransfer, arrivals); });
  element.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (!files.length) return;
    consume(event);
    arrivals.take(files);
  });
}

function takeDropped({ items, files }, arrivals) {
  const entries = [...items].filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.());
  const folders = entries.filter((entry) => entry?.isDirectory).map((entry) => entry.name);
  for (const name of folders) {
    const how = `WatermarkInspector("${name}") reads one, where Python runs`;
    arrivals.refuse(name, `it is a folder; ${how}`);
  }
  arrivals.take([...files].filter((file) => !folders.includes(file.name)));
}

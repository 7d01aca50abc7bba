// The page of WatermarkInspector: files come in at the top, the list is at the left, the chosen
// picture's answer beside it.
//
// page -> Python  want {cells, px}, tell {cell}, open {cell}, page {cell?}, inspect {cells?,
//                 search}, estimate {search}, stop, resume; and those of files.js and maps.js
// Python -> page  thumbnails {cells, shown} + a buffer for each that is shown,
//                 told {name, headline, sentences, rows, marks, best, ...}, page + a buffer

class InspectorView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line });
    this.list = new PictureList(model, line);
    this.answer = new Answer(model, line, (content) => this.ask("inspect", content));
    this.files = new Arrivals(model, line, (cell, first) => {
      if (first) this.arrive(cell);
    });
    catchFiles(root, this.files);
    this.answer.how.onchange = () => { this.nameSearch(); this.showStates(); this.answer.tell(); };
    this.both = h("div", { className: "sdl-both" }, this.list.element, this.answer.element);
    this.code = codeBlock();
    root.append(this.files.element, this.workBar(), this.both, this.code);
  }

  workBar() {
    const { answer: { how } } = this;
    this.progress = h("progress", { max: 1, "aria-label": "share of the pictures that is tested" });
    this.status = h("span", { role: "status" });
    this.stop = button("Stop", () => { this.ask("stop"); this.stop.disabled = true; });
    this.resume = button("Go on", () => this.ask("resume"));
    this.searchAll = button("", () => this.ask("inspect", { search: how.value }));
    this.takes = h("span", { className: "sdl-help" });
    this.nameSearch();
    return h("div", { className: "sdl-bar sdl-work" },
      this.progress, this.status, this.stop, this.resume, this.searchAll, this.takes);
  }

  nameSearch() {
    const what = SEARCHES[this.answer.how.value];
    this.searchAll.title = `as if they had been ${what}; those added last come first`;
    this.showEstimate();
  }

  // How long a search of all may take, asked once for as many pictures and this way to look.
  async showEstimate() {
    const { searchAll, takes, answer: { how } } = this, search = how.value;
    takes.hidden = searchAll.hidden || !searchAll.textContent;
    const asked = `${searchAll.textContent}/${search}`;
    if (takes.hidden || this.estimated === asked) return;
    this.estimated = asked;
    takes.textContent = "";
    const { message } = await this.line.ask("estimate", { search });
    if (this.estimated === asked) takes.textContent = message.text;
  }

  ask(kind, content) {                                     // the button that asked goes away
    this.list.focus(this.list.chosen);
    this.line.ask(kind, content);
  }

  // The first of several files is chosen, and stays at the top of the list while others arrive.
  arrive(cell) {
    this.first = cell;
    this.list.choose(cell, false);
    this.list.putOnTop(cell);
  }

  // ---- from Python to the page
  showNames() {
    this.list.grow();
    this.both.hidden = this.code.hidden = !this.list.rows.length;
    this.files.invite();
    this.showStates();
    this.list.markChosen();
    if (this.files.working) this.list.putOnTop(this.first);
    this.list.askForThumbs();
  }

  showStates() {
    const { list, searchAll, model, answer: { how } } = this;
    if (list.paint()) this.answer.tell();
    const left = list.count((letter, search) =>
      letter !== MARKED && letter !== UNREAD && search !== how.value[0]);
    searchAll.textContent = `Search all ${left} not known to be marked`;
    searchAll.hidden = list.rows.length < 2 || !left || model.get("state") === "running";
    this.showEstimate();
  }

  showChosen() {
    this.list.markChosen();
    this.list.scrollTo(this.list.chosen);
    this.answer.tell();
  }

  showWork() {
    const { model, progress, stop } = this, running = model.get("state") === "running";
    progress.value = model.get("fraction");
    progress.hidden = stop.hidden = !running;
    if (!running) stop.disabled = false;
    this.resume.hidden = running || !this.list.count((letter) => letter === UNTESTED);
    this.status.textContent = model.get("status");
    this.showStates();
  }

  showCode() { this.code.show(this.model.get("code")); }

  follow() {
    const work = () => this.showWork();
    const acts = {
      names: () => this.showNames(), states: () => this.showStates(),
      chosen: () => this.showChosen(), compared: () => this.answer.tell(), state: work,
      code: () => this.showCode() };
    const unfollow = follow(this.model, { ...acts, status: work, fraction: work });
    for (const act of Object.values(acts)) act();
    return unfollow;
  }
}

function render({ model, line, root }) {
  const view = new InspectorView({ model, line, root }), { list, answer } = view;
  const receive = ({ kind, shown }, buffers) => {
    if (kind === "thumbnails") list.take(shown, buffers);
  };
  line.listeners.add(receive);
  const unfollow = view.follow();
  const seen = new ResizeObserver(() => list.askForThumbs());
  seen.observe(list.element);
  return () => {
    unfollow();
    line.listeners.delete(receive);
    seen.disconnect();
    list.thumbs.clear();
    answer.views.clear();
  };
}

export default panel("inspector", render);

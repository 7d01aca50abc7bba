// The page of Judge. A deal is one rater's round; Python decides which picture is asked about.
//
// page -> Python  show; answer {deal, n, answer, seconds}, undo {deal, n}, finish {deal, n}, and
//                 where the trial's `seen` is null seen {deal, n}, each about the picture at place
//                 n of that deal, else nothing happens; claim {deal}: the answers without a name
//                 are the rater's; code
// Python -> page  trial {deal, n, question, seen} + one or two buffers (empty ones cannot be read),
//                 none at the end; seen {seen}; code {text}.

const JUDGE_KEYS = "the keys on the buttons answer, <kbd>?</kbd> cannot tell · <kbd>U</kbd> or "
  + "<kbd>Backspace</kbd> takes the last answer back";
const EARLY = "That came before the picture, and is not counted: pause, and answer again.";
const WAITING = "The picture is on its way.";
const BLIND = "What made a picture is told at the end of the round. Some are shown twice.";

class JudgeView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root, trial: null, busy: false, turn: 0, entering: false,
      acts: Promise.resolve(), gate: new Gate() });
    this.bar = new TopBar(this);
    this.unnamed = new Unnamed(this, "answer", "to this question");
    this.stage = new Stage(() => this.room());
    this.ballot = new Ballot(this);
    this.end = new End(this);
    this.status = h("div", { className: "sdl-judge-status", role: "status",
      textContent: WAITING });
    this.live = spokenLine();
    this.help = h("div", { className: "sdl-help", innerHTML: `${JUDGE_KEYS} · ${BLIND}` });
    this.question = h("div", { className: "sdl-judge-question", role: "heading",
      "aria-level": "3", textContent: model.get("heading") });
    root.append(this.bar.element, this.unnamed.element, this.question, this.stage.element,
      this.ballot.element, this.status, this.end.element, this.help, this.live);
  }

  room() {
    const { root, stage, status } = this;
    return [root.clientWidth - 8, heightFor(stage.pictures, root, status)];
  }

  get dealt() { return { deal: this.trial.deal, rater: this.model.get("rater") }; }
  get place() { return { ...this.dealt, n: this.trial.n }; }
  get over() { return this.trial?.n >= this.model.get("total") || this.model.get("unblinded"); }
  get ready() { return Boolean(this.trial) && !this.busy; }

  // ---- what is asked of Python; each answer is the picture to be shown next
  ask(kind, content) { return (this.asking = this.request(kind, content)); }

  async request(kind, content) {
    const turn = ++this.turn;
    this.setBusy(true);
    const { message, buffers } = await this.line.ask(kind, content);
    if (turn !== this.turn) return false;
    if (message.kind === "trial") await this.take(message, buffers, turn);
    if (turn === this.turn) this.setBusy(false);
    return message.kind === "trial";
  }

  show() { return this.ask("show"); }

  // One after the other: what is pressed while a picture is on its way waits for it.
  act(work) {
    this.acts = this.acts.then(() => this.asking).then(work)
      .catch((error) => console.error(error));
  }

  // `timeStamp` is when it was pressed: before its picture was there, it is no evidence.
  answer(answer, event) {
    this.act(async () => {
      if (!this.ready || this.over) return;
      if (!this.gate.lets(event)) return this.say(EARLY);
      this.entering = false;
      const seconds = Math.round(event.timeStamp - this.gate.since) / 1000;
      if (await this.ask("answer", { ...this.place, answer, seconds })) {
        this.say(`your last answer: ${answer ?? CANNOT_TELL}`);
      }
    });
  }

  undo() {
    this.act(async () => {
      if (!this.ready || this.model.get("unblinded")) return;
      if (await this.ask("undo", this.place)) this.say("this picture again");
    });
  }

  async finish() {
    if (this.ready && this.over && !this.model.get("unblinded")) {
      await this.ask("finish", this.place);
    }
  }

  claim() {
    this.act(async () => { if (this.ready) await this.ask("claim", this.dealt); });
  }

  // ---- what is seen
  async take(trial, buffers, turn) {
    const title = `picture ${trial.n + 1} of ${this.model.get("total")}`;
    if (buffers.length) await this.stage.show(title, buffers);
    if (turn !== this.turn) return;
    const seen = buffers.length ? this.stage.describe(trial.seen ?? []) : "";
    if (!this.trial) this.say("");
    this.trial = trial;
    this.question.textContent = trial.question ?? this.model.get("heading");
    this.tell();
    if (!this.over) this.live.textContent = `${title}: ${trial.question} ${seen}`.trim();
    this.root.dataset.deal = trial.deal;
    this.gate.open();
    if (this.entering) this.bring();
    this.entering = false;
    if (buffers.length && !trial.seen) this.look(trial);
  }

  // Asks what stands in the picture: Python looks for it when the picture is there.
  async look(trial) {
    const { message } = await this.line.ask("seen", { deal: trial.deal, n: trial.n });
    if (message.kind !== "seen" || trial !== this.trial || this.over) return;
    this.live.textContent = this.stage.describe(message.seen);
  }

  tell() {
    const { stage, ballot, end, over } = this;
    this.bar.count();
    this.keepFocus(() => {
      stage.element.hidden = ballot.element.hidden = this.status.hidden = over;
      end.element.hidden = !over;
      end.show();
    });
    if (over) this.live.textContent = end.spoken;
    this.help.hidden = this.model.get("unblinded");
  }

  // What goes would leave the focus to the notebook, and its keys.
  keepFocus(change) {
    const { root } = this, before = root.getRootNode().activeElement;
    change();
    if (before === root || !root.contains(before) || before.offsetParent) return;
    this.goToPicture();
  }

  // To what is judged, or to what stands in its place.
  goToPicture() {
    const { stage, end } = this;
    const next = !this.over ? stage.element : end.bar.hidden ? end.element : end.finish;
    next.focus({ preventScroll: true });
  }

  // From the name: the keys answer from now on, so what is asked is to be seen, also when the
  // rater's own round has come.
  enter() {
    this.entering = true;
    this.goToPicture();
    this.bring();
  }

  bring() {
    const { over, status, ballot, unnamed, end, question } = this;
    const seen = over ? [end.element] : [status, ballot.element];
    bringIntoView(...seen, unnamed.take, question);
  }

  // Once, when a button has begun the round; who types by then is left there.
  comeFromButton() {
    const { model, root } = this, now = root.getRootNode().activeElement;
    if (!model.get("goes_to_picture")) return;
    put(model, "goes_to_picture", false);
    if (!now?.matches("input, textarea, select, [contenteditable]")) this.goToPicture();
  }

  setBusy(busy) {
    this.busy = busy;
    this.root.setAttribute("aria-busy", busy);
    this.ballot.allow(!busy, this.model.get("done") > 0);
  }

  say(text) { this.status.textContent = this.over ? "" : text; }

  // ---- from Python to the page: another rater, or an answer in another view or by Python
  follow() {
    const again = () => {
      this.say("");
      this.show();
    };
    const tell = () => { if (this.trial && !this.busy) this.tell(); };
    const late = () => { if (!this.busy) this.show(); };
    const name = () => {
      this.bar.name();
      this.unnamed.show();
    };
    return follow(this.model, {
      deal: again, done: late, rater: name, unnamed: () => this.unnamed.show(),
      raters: () => this.bar.name(), total: tell, verdict: tell, shares: tell, unblinded: tell,
    });
  }

  listen() {
    const { model, root } = this, keys = model.get("digits"), answers = model.get("answers");
    const once = (act) => (event) => { if (!event.repeat) act(event); };
    const elsewhere = (controls) => (event) => !event.target.closest(controls);
    onKeys(root, {
      0: once((event) => this.answer(null, event)),
      "?": once((event) => this.answer(null, event)),
      ...Object.fromEntries(keys.map((key, k) =>
        [key, once((event) => this.answer(answers[k], event))])),
      u: once(() => this.undo()), Backspace: once(() => this.undo()),
    }, elsewhere("input, pre"));
    onKeys(root, { Enter: once(() => this.finish()) }, elsewhere("button, input, summary, pre"));
  }
}

function render({ model, line, root }) {
  const view = new JudgeView({ model, line, root });
  view.listen();
  const unfollow = view.follow();
  let wide = 0;
  const sized = new ResizeObserver(() => {
    if (root.clientWidth === wide) return;
    wide = root.clientWidth;
    view.stage.layOut();
  });
  sized.observe(root);
  const layOut = () => view.stage.layOut();
  addEventListener("resize", layOut);
  view.end.element.hidden = true;
  view.bar.name();
  view.unnamed.show();
  view.show().then(() => view.comeFromButton());
  return () => {
    unfollow();
    sized.disconnect();
    removeEventListener("resize", layOut);
    view.stage.free();
  };
}

export default panel("judge", render);

// The page of Compare. Places count from 0 in the order shown; a deal is one laying out of the
// pairs, after which all is asked anew.
//
// page -> Python  pair {n, deal}, difference {n, deal, gain}, vote {n, deal, vote},
//                 undo {n, deal}, reveal {deal}, choose {left, right}, code
// Python -> page  pair {n, deal, names, vote, stays, said, shared, more, lacking?} + two buffers
//                 (none after a vote), difference {said} + a buffer, code {text}, outdated. Names
//                 are empty as long as they must not be known.

const EARLY = "That came before the pictures, and is not counted: vote again.";

class CompareView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root, shown: null, voting: 0,
      showing: null, since: 0, acts: Promise.resolve() });
    this.pairs = new Pairs(model, line);
    this.stage = new Stage({
      width: () => this.columns.clientWidth, said: (name, value) => put(model, name, value),
      difference: (n, deal, gain) => line.ask("difference", { n, deal, gain }) });
    this.bar = new TopBar(this, this.stage.glass.button);
    this.ballot = new Ballot(this);
    this.ending = new Ending(this);
    this.side = new Side(model);
    this.code = codeBlock(line);
    const { stage, ballot, ending } = this;
    this.columns = h("div", { className: "sdl-compare-columns" },
      h("div", { className: "sdl-compare-main" }, stage.element, ...Object.values(stage.controls),
        ballot.element, ballot.status, ending.element), this.side.element);
    this.help = keysHelp(COMPARE_KEYS);
    root.append(this.bar.element, this.columns, this.help, this.code);
  }

  get at() { return this.model.get("at"); }
  get deal() { return this.model.get("deal"); }
  get blind() { return this.model.get("blind"); }
  get voted() { return this.model.get("voted"); }
  get secret() { return this.model.get("secret"); }

  // What the reader does, one after the other: what is pressed while a pair is on its way waits
  // for it.
  act(work) {
    this.acts = this.acts.then(() => this.showing).then(work)
      .catch((error) => console.error(error));
  }

  // ---- one pair
  go(n) { this.act(() => put(this.model, "at", clamp(n, 0, this.voted.length - 1))); }
  step(by) {
    this.act(() => put(this.model, "at", clamp(this.at + by, 0, this.voted.length - 1)));
  }

  goOn() {                                                 // not past a pair without a vote
    this.act(() => {
      if (this.shown?.told.vote || !this.blind)
        put(this.model, "at", clamp(this.at + 1, 0, this.voted.length - 1));
    });
  }

  show() { return (this.showing = this.load()); }

  async load() {
    const { at: n, deal, root, pairs } = this, total = this.voted.length;
    this.keepFocus(() => this.bar.showPlace(n, total));
    root.setAttribute("aria-busy", "true");
    const pair = await pairs.load(n);
    if (n !== this.at || deal !== this.deal) return;
    root.setAttribute("aria-busy", "false");
    if (pair?.deal !== deal) return pairs.forget(n);       // outdated: all is asked anew soon
    this.shown = pair;
    this.stage.show(pair);
    this.since = performance.now();
    this.tell();
    this.ballot.status.textContent = pair.told.said;
    pairs.forgetFar(n);
    if (n + 1 < total) pairs.load(n + 1);
  }

  // What is said of the pair in the page; after a vote more is.
  tell() {
    const { told, place } = this.shown, last = place >= this.voted.length - 1;
    this.keepFocus(() => this.ballot.show(told.vote, told.stays, last));
    this.side.show(told);
  }

  // A button that goes would leave the focus to the notebook, and its keys.
  keepFocus(change) {
    const { root, ballot, stage } = this, before = root.getRootNode().activeElement;
    change();
    if (!root.contains(before) || (before.offsetParent && !before.disabled)) return;
    const next = ballot.buttons.includes(before) && !ballot.next.hidden;
    (next ? ballot.next : stage.element).focus({ preventScroll: true });
  }

  // ---- all pairs
  showDeal() {
    this.pairs.clear();
    this.shown = null;
    this.bar.blind.checked = this.blind;
    this.bar.chooser.show();
    this.bar.showRater();
    this.ending.sure = false;
    this.count();
    this.show();
  }

  count() {
    const left = this.voted.filter((one) => !one).length, { secret } = this;
    this.side.count(left, secret);
    this.keepFocus(() => this.ending.show());
    this.code.hidden = secret;
  }

  // ---- votes
  // `timeStamp` is when it was pressed: before its pictures were there, it is no evidence.
  vote(name, { timeStamp }) { this.act(() => this.cast(name, timeStamp)); }

  cast(name, pressed) {
    const pair = this.shown;
    if (!pair || pair.place !== this.at || pair.deal !== this.deal || pair.told.stays) return;
    if (pressed <= this.since) return void (this.ballot.status.textContent = EARLY);
    pair.told = { ...pair.told, vote: name };
    this.tell();
    this.voting += 1;
    this.line.ask("vote", { n: pair.place, deal: pair.deal, vote: name })
      .then(({ message }) => this.take(message, pair));
  }

  take(message, pair) {
    this.voting -= 1;
    if (message.kind !== "pair") return void (this.pairs.forget(pair.place), this.show());
    if (this.voting && message.vote !== pair.told.vote) return;    // a later vote is under way
    pair.told = { ...pair.told, ...message };
    if (pair !== this.shown) return;
    this.stage.name();
    this.tell();
    this.ballot.status.textContent = message.said;
  }

  undo() {
    this.act(async () => {
      const { message } = await this.line.ask("undo", { n: this.at, deal: this.deal });
      if (message.kind !== "pair") return;
      this.pairs.forget(message.n);
      if (message.n === this.at) this.show(); else put(this.model, "at", message.n);
      await this.showing;
      if (message.undone) this.ballot.status.textContent = "the vote is taken back";
    });
  }

  reveal() { this.act(() => this.line.ask("reveal", { deal: this.deal })); }

  setBlind(blind) {
    if (blind || !this.secret) return put(this.model, "blind", blind);
    this.bar.blind.checked = true;
    this.ending.open(true);
  }

  // In this view, in another view of this widget, or by a line of Python.
  takeVotes() {
    const { shown, pairs } = this;
    this.count();
    if (!shown || this.voting || shown.deal !== this.deal) return;
    if (shown.told.vote === this.voted[shown.place]) return;
    pairs.forget(shown.place);
    if (shown.place === this.at) this.show();
  }

  // ---- from Python to the page
  showMode() {
    this.bar.showMode(this.model.get("mode"));
    this.stage.setMode(this.model.get("mode"));
  }

  showGain() { this.stage.difference.setGain(this.model.get("gain")); }

  follow() {
    const count = () => this.count();
    return follow(this.model, {
      at: () => this.show(), deal: () => this.showDeal(), mode: () => this.showMode(),
      gain: () => this.showGain(), voted: () => this.takeVotes(), tally: count, unlike: count,
      note: count, raters: count, secret: count, recoded: () => this.code.renew(),
      chosen: () => this.bar.chooser.show(), rater: () => this.bar.showRater(),
      blind: () => { this.bar.blind.checked = this.blind; },
    });
  }
}

function render({ model, line, root }) {
  const view = new CompareView({ model, line, root }), { columns } = view;
  listenToKeys(view);
  const unfollow = view.follow();
  let wide = 0;
  const sized = new ResizeObserver(() => {
    if (columns.clientWidth === wide) return;
    wide = columns.clientWidth;
    view.stage.layOut();
  });
  sized.observe(columns);
  view.showGain();
  view.showMode();
  view.showDeal();
  return () => {
    unfollow();
    sized.disconnect();
    view.stage.end();
    view.pairs.clear();
  };
}

export default panel("compare", render);

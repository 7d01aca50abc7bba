// The page of Compare. Places count from 0 in the order shown; a deal is one laying out of the
// pairs, after which all is asked anew.
//
// page -> Python  pair {n, deal}, difference {n, deal, gain}, vote {n, deal, vote},
//                 seen {n, deal}, undo {n, deal}, reveal {deal}, choose {left, right}, code,
//                 claim {deal}: the votes without a name are the rater's
// Python -> page  pair {n, deal, names, vote, stays, said, shared, more} + {lacking, seen} and two
//                 buffers (neither after a vote), seen {seen} (what stands in both pictures, where
//                 the pair's own is null), difference {said} + a buffer, code {text},
//                 outdated. Names are empty as long as they must not be known.

const EARLY = "That came before the pictures, and is not counted: pause, and vote again.";

// What a further vote on a pair did, and how to go on: the page stays, and that is no fault.
function tellChange(pair, before, vote, ways) {
  const whose = pair.told.names[["left", "right"].indexOf(vote)];
  const said = whose ? `${vote} (${whose})` : vote;
  return [before === vote ? `voted: ${said}, as before` : `changed to ${said}`, ways]
    .filter(Boolean).join("; ");
}

class CompareView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root, shown: null, looking: null, undoing: false,
      hid: false, telling: false, entering: false });
    this.gate = new Gate();
    this.forget();
    this.pairs = new Pairs(model, line, (pair) => this.describe(pair));
    this.stage = new Stage({
      room: () => this.room(), said: (name, value) => put(model, name, value),
      difference: (n, deal, gain) => line.ask("difference", { n, deal, gain }) });
    this.bar = new TopBar(this, this.stage.glass.button);
    this.ballot = new Ballot(this);
    this.ending = new Ending(this);
    this.side = new Side(model);
    this.code = codeBlock(line);
    this.unnamed = new Unnamed(this, "vote", "on these pairs");
    this.live = spokenLine();
    this.outcome = spokenLine();
    const { stage, ballot, ending } = this;
    this.columns = h("div", { className: "sdl-compare-columns" },
      h("div", { className: "sdl-compare-main" }, stage.element, ...Object.values(stage.controls),
        ballot.element, ballot.status, ending.element, this.side.tally), this.side.element);
    this.help = keysHelp(COMPARE_KEYS);
    root.append(this.bar.element, this.unnamed.element, this.columns, this.help, this.code,
      this.live, this.outcome);
  }

  get at() { return this.model.get("at"); }
  get deal() { return this.model.get("deal"); }
  get blind() { return this.model.get("blind"); }
  get voted() { return this.model.get("voted"); }
  get dealt() { return { deal: this.deal, rater: this.model.get("rater") }; }
  get secret() { return this.model.get("secret"); }

  // The vote at each place, also those that are on their way to Python.
  get votes() { return this.voted.map((vote, n) => this.sent.get(n)?.vote ?? vote); }

  room() {
    const { columns, stage, root, ballot } = this;
    return [columns.clientWidth, heightFor(stage.pictures, root, ballot.status)];
  }

  // What was done with the pairs as they were laid out before.
  forget() {
    Object.assign(this, { sent: new Map(), last: null, early: "", changed: "", news: "" });
  }

  // ---- one pair
  go(n) {
    this.changed = "";
    put(this.model, "at", clamp(n, 0, this.voted.length - 1));
  }

  step(by) {
    this.early = this.news = "";
    this.go(this.at + by);
  }

  // The next place without a vote, from the last to the first again; -1 if there is no other.
  nextOpen(n) {
    const { votes } = this, others = votes.map((_, k) => (n + 1 + k) % votes.length);
    return others.find((k) => !votes[k] && k !== n) ?? -1;
  }

  goOn() {
    const next = this.nextOpen(this.at);
    if (next >= 0) this.step(next - this.at);
  }

  // Shows the pair where the reader is, at once or when what is on its way has come: of pairs that
  // are passed by nothing is asked.
  show() {
    this.gate.shut();
    this.keepFocus(() => this.bar.showPlace(this.at, this.voted.length));
    this.root.setAttribute("aria-busy", "true");
    return (this.looking ??= this.look());
  }

  async look() {
    try {
      for (;;) {
        const { at, deal, pairs } = this, asked = pairs.load(at), pair = await asked;
        if (at !== this.at || deal !== this.deal || asked !== pairs.load(at)) continue;
        if (pair?.deal !== deal) pairs.forget(at);         // outdated: all is asked anew soon
        else this.open(pair);
        return;
      }
    } finally { this.looking = null; }
  }

  open(pair) {
    const { place } = pair, next = this.nextOpen(place);
    this.root.setAttribute("aria-busy", "false");
    this.root.dataset.deal = pair.deal;
    this.shown = pair;
    this.stage.show(pair);
    this.gate.open();
    this.tell();
    this.say();
    this.live.textContent = [`${pair.title}: ${pair.words}`, pair.found].filter(Boolean).join("; ");
    if (this.entering) this.bring();
    this.entering = false;
    this.pairs.forgetFar(place, next);
    for (const n of [place + 1, next])
      if (n >= 0 && n < this.voted.length) this.pairs.load(n);
  }

  // What stands in the pictures that are seen, where it came after them.
  describe(pair) {
    if (pair !== this.shown) return;
    this.stage.name();
    this.live.textContent = pair.found;
  }

  // What is said of the pair in the page; after a vote more is.
  tell() {
    const { told, place } = this.shown;
    this.ballot.show(told.vote, told.stays, this.nextOpen(place) >= 0);
    this.side.show(told);
  }

  say() {
    const { early, changed, news, shown } = this;
    const said = early || changed || shown?.told.said || news;
    if (this.ballot.status.textContent !== said) this.ballot.status.textContent = said;
  }

  // A button that goes would leave the focus to the notebook, and its keys.
  keepFocus(change) {
    const { root } = this, before = root.getRootNode().activeElement;
    change();
    if (!root.contains(before) || (before.offsetParent && !before.disabled)) return;
    this.goToPair();
  }

  goToPair() { this.stage.element.focus({ preventScroll: true }); }

  // From the name: the keys vote from now on, so what they vote on is to be seen, also when the
  // rater's own pair has come.
  enter() {
    this.entering = true;
    this.goToPair();
    this.bring();
  }

  bring() {
    const { ballot, unnamed, stage } = this;
    bringIntoView(ballot.status, ballot.element, unnamed.take, stage.head);
  }

  // ---- all pairs
  showDeal() {
    this.pairs.clear();
    this.shown = null;
    this.forget();
    this.bar.blind.checked = this.blind;
    this.bar.chooser.show();
    this.showRater();
    this.ending.sure = false;
    this.count();
    this.show();
  }

  count() {
    const left = this.voted.filter((one) => !one).length, { secret } = this;
    this.side.count(left, secret);
    this.speakOutcome();
    this.keepFocus(() => this.ending.show());
    this.code.hidden = secret;
  }

  // What came out is read out when the names are shown, and not after each open vote: in one plain
  // line, of which the numbers are to be read below the vote, and who has to ask, too.
  speakOutcome() {
    const { secret, model } = this;
    if (secret || this.hid) Object.assign(this, { telling: !secret, hid: secret });
    const told = ["The names are shown.", model.get("outcome"), model.get("waiting")];
    this.outcome.textContent = this.telling ? told.filter(Boolean).join(" ") : "";
  }

  // ---- votes
  // The first one on a pair goes on to the next pair that has none; a change stays, and says so.
  vote(name, event) {
    const pair = this.shown;
    this.early = this.gate.lets(event) && pair ? "" : EARLY;
    if (this.early || pair.told.stays) return this.say();
    const { place, deal } = pair, sent = { vote: name }, next = this.nextOpen(place);
    const before = this.votes[place], goesOn = !before && next >= 0;
    this.sent.set(place, sent);
    const changed = before ? tellChange(pair, before, name, this.waysOn(place)) : "";
    Object.assign(this, { last: place, news: "", telling: false, entering: false, changed });
    pair.told = { ...pair.told, vote: name, said: "" };
    this.tell();
    this.say();
    this.line.ask("vote", { ...this.dealt, n: place, deal, vote: name }).then(({ message }) => {
      if (this.sent.get(place) === sent) this.take(message, pair, sent);   // else another followed
    });
    if (goesOn) this.go(next);
  }

  // Which keys go on from a pair that stays, in words.
  waysOn(place) {
    const after = place < this.voted.length - 1;
    if (this.nextOpen(place) < 0) return after ? "→ goes on to the next pair" : "";
    return "V goes on to the next pair without a vote" + (after ? ", → to the next one" : "");
  }

  // What Python has made of the last vote on a pair.
  take(message, pair, sent) {
    const { place } = pair, kept = message.kind === "pair";
    sent.kept = kept;
    if (!kept) {
      this.sent.delete(place);
      this.changed = "";
    }
    const stands = this.votes[place];                      // the former one, if none was kept
    pair.told = { ...pair.told, ...(kept ? message : { vote: stands, said: "" }) };
    const lost = stands ? `keeps its vote, ${stands}` : "has no vote";
    this.news = `pair ${place + 1} ${kept ? message.said : lost + ": vote there again"}`;
    if (pair === this.shown) {
      this.stage.name();
      this.tell();
    }
    this.say();
  }

  async undo() {
    const { last, at } = this;
    if (this.undoing) return;
    this.undoing = true;
    this.gate.shut();
    const n = this.votes[at] || last === null ? at : last;
    const { message } = await this.line.ask("undo", { ...this.dealt, n });
    this.undoing = false;
    if (message.kind !== "pair") return this.show();
    this.sent.delete(message.n);
    this.pairs.forget(message.n);
    const { undone, vote } = message, back = undone && vote;
    Object.assign(this, { early: back ? `the former vote is back: ${vote}` : "", changed: "",
      news: undone ? "the vote is taken back" : "" });
    if (message.n === this.at) this.show(); else this.go(message.n);
  }

  claim() { this.line.ask("claim", this.dealt); }

  reveal() { this.line.ask("reveal", this.dealt); }

  setBlind(blind) {
    if (blind || !this.secret) return put(this.model, "blind", blind);
    this.bar.blind.checked = true;
    this.ending.open(true);
  }

  // In this view, in another view of this widget, or by a line of Python.
  takeVotes() {
    const { shown, pairs, sent } = this;
    for (const [n, { kept }] of sent) if (kept) sent.delete(n);
    this.count();
    if (!shown || sent.has(shown.place) || shown.deal !== this.deal) return;
    if (shown.told.vote === this.voted[shown.place]) return;
    pairs.forget(shown.place);
    if (shown.place === this.at) this.show();
  }

  // ---- from Python to the page
  showMode() {
    this.bar.showMode(this.model.get("mode"));
    this.stage.setMode(this.model.get("mode"));
  }

  showRater() {
    this.bar.showRater();
    this.unnamed.show();
  }

  showGain() { this.stage.difference.setGain(this.model.get("gain")); }

  follow() {
    const count = () => this.count();
    return follow(this.model, {
      at: () => this.show(), deal: () => this.showDeal(), mode: () => this.showMode(),
      gain: () => this.showGain(), voted: () => this.takeVotes(), tally: count,
      outcome: count, waiting: count, unlike: count, note: count, raters: count, secret: count,
      recoded: () => this.code.renew(),
      chosen: () => this.bar.chooser.show(), rater: () => this.showRater(),
      known: () => this.bar.rater.show(),
      unnamed: () => this.unnamed.show(),
      blind: () => { this.bar.blind.checked = this.blind; },
    });
  }
}

function render({ model, line, root }) {
  const view = new CompareView({ model, line, root }), { columns } = view;
  listenToKeys(view);
  const unfollow = view.follow();
  let wide = 0;
  const layOut = () => view.stage.layOut();
  const sized = new ResizeObserver(() => {
    if (columns.clientWidth === wide) return;
    wide = columns.clientWidth;
    layOut();
  });
  sized.observe(columns);
  addEventListener("resize", layOut);
  view.showGain();
  view.showMode();
  view.showDeal();
  return () => {
    unfollow();
    sized.disconnect();
    removeEventListener("resize", layOut);
    view.stage.end();
    view.pairs.clear();
  };
}

export default panel("compare", render);

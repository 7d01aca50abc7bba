// The page of Compare. Places count from 0 in the order shown; a deal is one laying out of the pairs, after which all is asked anew.
//
// page -> Python  pair {n, deal}, difference {n, deal, gain}, vote {n, deal, vote}, choose {left, right}, tally
// Python -> page  pair {n, deal, names, vote, said, shared, more, lacking?} + two buffers (none after a vote), difference {said}
//                 + a buffer, tally {text}, outdated. Names are empty as long as they must not be known.

const WAYS = [["swipe", "W"], ["side by side", "E"], ["blink", "B"], ["difference", "D"]];
const BALLOT = [["left", "left is better"], ["right", "right is better"], ["tie", "a tie"], ["both bad", "both bad"]];

function render({ model, line, root }) {
  const get = (name) => model.get(name);
  const set = (name, value) => { if (get(name) !== value) { model.set(name, value); model.save_changes(); } };

  // ---- the parts of the page
  const before = button("‹", () => step(-1), { title: "left arrow or P", "aria-label": "previous pair" });
  const after = button("›", () => step(1), { title: "right arrow or N", "aria-label": "next pair" });
  const counter = h("span", { className: "sdl-compare-counter" });
  const ways = WAYS.map(([name, key]) => button(name, () => set("mode", name), { title: key }));
  const blind = h("input", { type: "checkbox" });
  const selects = [0, 1].map((k) => h("select", { "aria-label": k ? "right" : "left" }));
  const chooser = h("span", { className: "sdl-compare-chooser" }, `${get("by")} `, selects[0], " against ", selects[1]);
  const stage = compareStage({
    width: () => columns.clientWidth, said: set, difference: (n, deal, gain) => line.ask("difference", { n, deal, gain }) });
  const ballot = BALLOT.map(([name, text], k) => button("", () => vote(name), { title: `${text} (${k + 1})`, "aria-label": text }));
  ballot.forEach((node, k) => node.append(h("kbd", { textContent: k + 1 }), ` ${BALLOT[k][0]}`));
  const next = button("next pair →", () => step(1), { title: "Enter" });
  const status = h("div", { className: "sdl-compare-said", role: "status" });
  const shared = h("div"), more = h("details", { className: "sdl-compare-more", hidden: true });
  const unlike = h("div", { className: "sdl-compare-unlike" });
  const tally = h("div", { className: "sdl-compare-tally" });
  const soFar = button("tally so far", async () => { tally.textContent = (await line.ask("tally")).message.text; });
  const note = h("div", { className: "sdl-compare-note" });
  const code = codeBlock();
  const help = h("div", { className: "sdl-help" });
  help.innerHTML = "<kbd>←</kbd> <kbd>→</kbd> pairs, <kbd>Home</kbd> <kbd>End</kbd> · <kbd>W</kbd> swipe, <kbd>E</kbd> side by side, <kbd>B</kbd> blink "
    + "(<kbd>Space</kbd> stops, <kbd>F</kbd> flips), <kbd>D</kbd> difference · <kbd>Z</kbd> magnify · <kbd>1</kbd> left, <kbd>2</kbd> right, <kbd>3</kbd> tie, <kbd>4</kbd> both bad";
  const columns = h("div", { className: "sdl-compare-columns" },
    h("div", { className: "sdl-compare-main" }, stage.element, ...stage.controls,
      h("div", { className: "sdl-bar sdl-compare-ballot", role: "group", "aria-label": "vote" }, "better:", ...ballot, next), status),
    h("div", { className: "sdl-compare-side" }, shared, more, unlike, tally, soFar, note));
  root.append(
    h("div", { className: "sdl-bar" },
      h("div", { className: "sdl-compare-steps", role: "group", "aria-label": "pairs" }, before, counter, after),
      h("div", { className: "sdl-compare-ways", role: "group", "aria-label": "way of comparing" }, ...ways, stage.magnifier),
      h("label", { title: "shuffle pairs and sides, and hide the names until you have voted" }, blind, "blind"), chooser),
    columns, help, code);

  // ---- the pairs
  let pairs = new Map();                                   // place -> promise of a pair, or of null where there is none any more
  let shown = null;                                        // the pair whose pictures are in the page

  function load(n) {
    if (!pairs.has(n)) pairs.set(n, ask(n, get("deal")));
    return pairs.get(n);
  }

  async function ask(n, deal) {
    const { message, buffers } = await line.ask("pair", { n, deal });
    if (message.kind !== "pair" || message.deal !== get("deal")) return null;
    const urls = buffers.map((buffer) => (buffer.byteLength ? blobUrl(buffer, "image/png") : null));
    const images = urls.map((url) => h("img", { className: "sdl-compare-picture", draggable: false, ...(url ? { src: url } : {}) }));
    await Promise.all(images.map((image) => image.decode().catch(() => null)));
    return {
      place: n, deal, told: message, urls, images,
      sizes: images.map((image) => ({ width: image.naturalWidth, height: image.naturalHeight })),
      get title() { return `pair ${n + 1} of ${get("voted").length}`; },
      alts(k) {
        const side = k ? "right" : "left", name = this.told.names[k];
        return [name ? `${side}: ${name}` : `${side} picture`, this.told.lacking[k], ...this.told.shared.map(([what, value]) => `${what} ${value}`)].filter(Boolean).join(", ");
      },
    };
  }

  async function show() {
    const n = get("at"), total = get("voted").length;
    counter.textContent = `pair ${n + 1} of ${total}`;
    keepFocus(() => { before.disabled = n === 0; after.disabled = n >= total - 1; });
    root.setAttribute("aria-busy", "true");
    const deal = get("deal"), pair = await load(n);
    if (n !== get("at") || deal !== get("deal")) return;
    root.setAttribute("aria-busy", "false");
    if (pair?.deal !== deal) return void pairs.delete(n);  // outdated; if not by now, all is asked anew soon
    shown = pair;
    stage.show(pair);
    tell();
    status.textContent = pair.told.said;
    forgetFar(n);
    if (n + 1 < total) load(n + 1);
  }

  // What is said of the pair in the page; after a vote more is.
  function tell() {
    const { told } = shown, hidden = get("blind") && !told.vote;
    keepFocus(() => {
      ballot.forEach((node, k) => {
        node.setAttribute("aria-pressed", told.vote === BALLOT[k][0]);
        node.disabled = get("blind") && Boolean(told.vote);
      });
      next.hidden = !told.vote || shown.place >= get("voted").length - 1;
    });
    shared.replaceChildren(facts(told.shared), ...told.lacking.filter(Boolean).map((text, k) => h("p", { textContent: `${k ? "right" : "left"}: ${text}` })));
    more.replaceChildren(h("summary", { textContent: `${told.more.length} more ${told.more.length === 1 ? "thing is" : "things are"} the same in both` }), facts(told.more));
    more.hidden = !told.more.length;
    root.classList.toggle("sdl-compare-hidden", hidden);
  }

  function keepFocus(change) {                             // a button that goes would leave it to the notebook, and its keys
    const at = root.getRootNode().activeElement;
    change();
    if (!root.contains(at) || !(at.disabled || at.hidden)) return;
    (ballot.includes(at) && !next.hidden ? next : stage.element).focus({ preventScroll: true });
  }

  function forgetFar(n) {
    for (const [place, promise] of pairs) {
      if (Math.abs(place - n) <= 2) continue;
      pairs.delete(place);
      promise.then(free);
    }
  }
  const free = (pair) => pair?.urls.forEach((url) => url && URL.revokeObjectURL(url));

  function dealt() {
    for (const promise of pairs.values()) promise.then(free);
    pairs = new Map();
    shown = null;
    blind.checked = get("blind");
    choices();
    counted();
    show();
  }

  // ---- votes
  let voting = 0;
  async function vote(name) {
    const pair = shown;
    if (!pair || pair.place !== get("at") || pair.deal !== get("deal") || (get("blind") && pair.told.vote)) return;
    voting += 1;
    const { message } = await line.ask("vote", { n: pair.place, deal: pair.deal, vote: name });
    voting -= 1;
    if (message.kind !== "pair") return;
    pair.told = { ...pair.told, ...message };
    if (pair !== shown) return;
    stage.name();
    tell();
    const all = get("blind") && get("voted").every(Boolean);
    status.textContent = message.said + (all ? ". All pairs are voted." : "");
  }

  function votedElsewhere() {                              // in another view of this widget, or by a line of Python
    counted();
    if (!shown || voting || shown.deal !== get("deal") || shown.told.vote === get("voted")[shown.place]) return;
    pairs.get(shown.place)?.then(free);
    pairs.delete(shown.place);
    if (shown.place === get("at")) show();
  }

  function counted() {                                     // votes, their tally, and what may be said once they are given
    const voted = get("voted"), left = voted.filter((one) => !one).length, secret = get("blind") && left > 0;
    tally.textContent = get("tally");
    soFar.hidden = !secret || left === voted.length;
    note.textContent = [get("note"), left < voted.length && left ? `${left} without a vote` : ""].filter(Boolean).join(" · ");
    code.hidden = secret;
    code.show(secret ? "" : get("code"));
    const names = get("chosen").map((i) => get("choices")[i]), rows = get("unlike");
    unlike.replaceChildren(...(rows.length ? [unlikeTable(rows, names)] : !secret ? [] : [h("p", { textContent: "Blind: whose picture is whose is told after your vote, what else differs after the last one." })]));
  }

  const unlikeTable = (rows, names) => h("table", { className: "sdl-table" },
    h("caption", { textContent: "not held constant" }),
    h("thead", {}, h("tr", {}, h("td"), ...names.map((name) => h("th", { scope: "col", textContent: name })))),
    h("tbody", {}, ...rows.map(([what, ...both]) => h("tr", {}, h("th", { scope: "row", textContent: what }), ...both.map((text) => h("td", { textContent: text }))))));

  // ---- which two values
  function choices() {
    chooser.hidden = get("choices").length < 3 || get("blind");
    selects.forEach((node, k) => {
      node.replaceChildren(...(chooser.hidden ? [] : get("choices")).map((text, i) => h("option", { value: i, textContent: text, selected: i === get("chosen")[k] })));
      node.onchange = () => {
        const [left, right] = selects.map((one) => +one.value), old = get("chosen")[k];
        line.ask("choose", left !== right ? { left, right } : k ? { left: old, right } : { left, right: old });   // the same twice: they change places
      };
    });
  }

  // ---- keys
  const go = (n) => { const to = clamp(n, 0, get("voted").length - 1); if (to !== get("at")) set("at", to); };
  const step = (by) => go(get("at") + by);
  const arrow = (x, y) => (event) => { if (!(event.shiftKey && stage.look(x, y)) && x) step(x); };
  const inControl = (event) => event.target.closest("button, input, select, summary, pre");
  const slider = (event) => event.target.matches("input[type=range], select, pre");
  const once = (act) => (event) => { if (!event.repeat) act(); };
  onKeys(root, {
    ArrowRight: arrow(1, 0), ArrowLeft: arrow(-1, 0), ArrowDown: arrow(0, 1), ArrowUp: arrow(0, -1), Home: () => go(0), End: () => go(Infinity),
  }, (event) => !slider(event));
  onKeys(root, { n: () => step(1), p: () => step(-1),
    ...Object.fromEntries(WAYS.map(([name, key]) => [key.toLowerCase(), () => set("mode", name)])),
    ...Object.fromEntries(BALLOT.map(([name], k) => [k + 1, once(() => vote(name))])),
    f: stage.flip, z: stage.magnify,
  }, (event) => !event.target.matches("select, pre"));
  onKeys(root, { " ": stage.toggle, Enter: once(() => { if (shown?.told.vote || !get("blind")) step(1); }) }, (event) => !inControl(event));

  // ---- from Python to the page
  const mode = () => {
    ways.forEach((node, k) => node.setAttribute("aria-pressed", WAYS[k][0] === get("mode")));
    stage.setMode(get("mode"));
  };
  const changed = {
    at: show, deal: dealt, mode, gain: () => stage.setGain(get("gain")), voted: votedElsewhere, tally: counted, unlike: counted, note: counted,
    chosen: choices, blind: () => { blind.checked = get("blind"); }, code: counted,
  };
  blind.onchange = () => set("blind", blind.checked);
  for (const [name, act] of Object.entries(changed)) model.on(`change:${name}`, act);
  let wide = 0;
  const sized = new ResizeObserver(() => { if (columns.clientWidth !== wide) { wide = columns.clientWidth; stage.layOut(); } });
  sized.observe(columns);
  stage.setGain(get("gain"));
  mode();
  dealt();
  return () => {
    for (const [name, act] of Object.entries(changed)) model.off(`change:${name}`, act);
    sized.disconnect();
    stage.end();
    for (const promise of pairs.values()) promise.then(free);
  };
}

export default panel("compare", render);

// What all panels share. Python puts this text before each panel's own, which ends with
// `export default panel(name, render)`.
//
// page -> Python  {kind, id, ...}: a question. It is asked again until an answer to it has come.
// Python -> page  {kind, re?, ...} and buffers. `re` is the id of the question that this answers,
//                 for the last time.

const LINES = new Map();      // uid -> Line: `initialize` and `render` get different model objects
const RELOADED = "The page was reloaded. Run this cell again if the picture of it in the saved "
  + "notebook is to follow what you do.";
const PATIENCE = 5000;        // ms until a question is asked again, doubled each time
const FROM_THE_TOP = "run the cells above again (Run > Run All Above Selected Cell), "
  + "then this one.";
const SOON = 1500;            // ms until it is said that a question waits for other cells
const BUSY = "Python is busy, with other cells or with this one: what is asked for here comes when "
  + "that is done.";
const LEFT_ALONE = "Python does not answer: it is busy, or was restarted or shut down. "
  + `What you see is from before. If it does not come back, ${FROM_THE_TOP}`;
const GONE = "Python was restarted or shut down, and has forgotten all that the cells had made. "
  + `What you see is from before: ${FROM_THE_TOP}`;

const DEAD = "Python is gone: what is pressed here does nothing";

// The line to Python of one panel, shared by all its views.
class Line {
  constructor(model) {
    this.model = model;
    this.questions = new Map();                            // id -> {message, buffers, again, ...}
    this.listeners = new Set();                            // called with (message, buffers)
    this.notices = new Set();                              // called with a text, "": all is well
    this.prefix = Math.random().toString(36).slice(2);     // another tab gets our answers too
    this.count = 0;
    this.heard = false;
    this.timer = setInterval(() => this.remind(), 500);
    model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
  }

  // A promise of {message, buffers}.
  ask(kind, content = {}, buffers = undefined) {
    const id = this.prefix + this.count++, message = { kind, id, ...content };
    return new Promise((done) => {
      const again = Date.now() + PATIENCE;
      const late = Date.now() + SOON;
      this.questions.set(id, { message, buffers, again, late, wait: PATIENCE, done });
      this.send(message, buffers);
    });
  }

  send(message, buffers) {
    try { this.model.send(message, undefined, buffers); } catch { /* closed: `remind` says so */ }
  }

  receive(message, buffers) {
    this.heard = true;
    if (this.said === LEFT_ALONE) this.notify("");
    for (const question of this.questions.values()) question.wait = PATIENCE;   // Python lives
    for (const listener of this.listeners) listener(message, buffers ?? []);
    const question = this.questions.get(message.re);
    this.questions.delete(message.re);
    if (message.kind === "error") this.complain(message.text);
    if (message.kind === "opening") leaveFull();           // the form is elsewhere on the page
    question?.done({ message, buffers: buffers ?? [] });
  }

  remind() {
    const now = Date.now(), waits = [...this.questions.values()].some(({ late }) => now > late);
    const busy = waits && isBusy(this.place);
    if (busy && [undefined, "", LEFT_ALONE].includes(this.said)) this.notify(BUSY);
    if (!busy && this.said === BUSY) this.notify("");
    for (const question of this.questions.values()) {
      if (now < question.again) continue;
      question.wait *= 2;
      question.again = now + question.wait;
      const dull = question.wait > 2 * PATIENCE && !busy;
      if (dull && this.said !== GONE) this.notify(LEFT_ALONE);
      this.send(question.message, question.buffers);
    }
  }

  notify(text) {
    this.said = text;
    for (const notice of this.notices) notice(text);
  }

  complain(text) {                                         // long enough to be read
    this.notify(text);
    clearTimeout(this.fading);
    this.fading = setTimeout(() => { if (this.said === text) this.notify(""); }, 20_000);
  }
}

// Whether the notebook that a node stands in says that a cell is run.
function isBusy(node) {
  const panel = node?.closest(".jp-NotebookPanel") ?? document;
  return Boolean(panel.querySelector(".jp-Notebook-ExecutionIndicator[data-status=busy]"));
}

// The module of a panel. `render({model, line, root})` fills `root` and may return what undoes it;
// `anew` is what to know before Python is begun anew.
const panel = (name, render, anew = "") => ({
  initialize({ model, signal }) {
    const uid = model.get("uid"), line = new Line(model);
    LINES.set(uid, line);
    signal?.addEventListener("abort", () => { clearInterval(line.timer); LINES.delete(uid); });
  },
  render({ model, el }) {
    const line = LINES.get(model.get("uid"));
    const root = h("div", { className: `sdl-root sdl-${name}` });
    const { notice, say } = makeNotice(anew, root);
    line.notices.add(say);
    line.place = el;
    el.append(notice, root);
    const reloaded = h("div", { className: "sdl-help", textContent: RELOADED, hidden: true });
    const undo = render({ model, line, root });
    root.append(reloaded);
    keepKeys(root);
    keepMenu(root);
    line.ask("ping", { page: line.prefix }).then(({ message }) => {
      reloaded.hidden = !message.reloaded;
    });
    let own = null;                                        // JupyterLab's model
    findOwn(model, (found) => { own = found; });
    const gone = () => {                                   // JupyterLab notices, and marks views
      const dead = own?.comm_live === false || el.closest(".jupyter-widgets-disconnected") !== null;
      if (dead) line.notify(GONE);
      else if (line.said === GONE) line.notify("");
      showDead(root, dead);
    };
    model.on("comm_live_update", gone);
    const watch = setInterval(gone, 1000);                 // some versions tell no model
    const wake = () => {                                   // an exported page has no Python
      line.listeners.delete(wake);
      el.prepend(hidesStatic(model.get("uid")));
      el.style.display = "";
    };
    el.style.display = "none";
    if (line.heard) wake(); else line.listeners.add(wake);
    return () => {
      clearInterval(watch);
      model.off("comm_live_update", gone);
      line.listeners.delete(wake);
      line.notices.delete(say);
      undo?.();
    };
  },
});

// Where a panel says what is amiss: `say(text)`; "" is nothing. That cells are run is read out only
// by the panel that is used: each one above them waits.
function makeNotice(anew, root) {
  const notice = h("div", { className: "sdl-notice", role: "status", hidden: true });
  const near = h("div", { className: "sdl-notice", "aria-hidden": "true" });  // the same, unheard
  const say = (told) => {
    const aloud = told !== BUSY || root?.contains(document.activeElement);
    notice.setAttribute("aria-live", aloud ? "polite" : "off");
    const text = [LEFT_ALONE, GONE].includes(told) ? `${told} ${anew}`.trim() : told;
    if (notice.textContent !== text) notice.textContent = text;
    notice.hidden = !text;
    near.textContent = text;
    near.remove();
    const used = root?.contains(document.activeElement) ? document.activeElement : null;
    if (text && aloud && used && isAway(notice)) used.closest(".sdl-bar")?.after(near);
  };
  return { notice, say };
}

// Gives `take` the model that JupyterLab has, which knows whether Python is there: what a panel
// gets of it does not say so, and the view of a panel that stands alone is never marked.
function findOwn(model, take) {
  const uid = model.get("uid"), every = Object.values(model.widget_manager?._models ?? {});
  for (const each of every) {
    each.then((found) => { if (found.get("uid") === uid) take(found); }).catch(() => {});
  }
}

// Shows of a panel, and of the form or workbench that it is part of, that nothing in it works: the
// notice may be out of view. The style dims what has the class.
function showDead(root, dead) {
  if (root.classList.contains("sdl-gone") === dead) return;
  const around = [".sdl-form", ".sdl-workbench"].map((each) => root.closest(each)).filter(Boolean);
  for (const each of [root, ...around]) {
    each.classList.toggle("sdl-gone", dead);
    each.title = dead ? DEAD : "";                         // where the mouse rests
  }
  for (const [name, value] of [["role", "group"], ["aria-disabled", "true"]])
    dead ? root.setAttribute(name, value) : root.removeAttribute(name);
}

// Whether an element is scrolled out of the notebook, or of the page.
function isAway(element) {
  const { top, bottom } = element.getBoundingClientRect();
  const frame = element.closest(".jp-WindowedPanel-outer")?.getBoundingClientRect();
  return bottom < (frame?.top ?? 0) || top > (frame?.bottom ?? innerHeight);
}

// Scrolls as little as brings all of these into view; where there is no room for that, the last of
// them is seen.
function bringIntoView(...elements) {
  for (const each of elements) if (!each.hidden) each.scrollIntoView({ block: "nearest" });
}

// While the panel lives, the static picture of it in the notebook is hidden.
function hidesStatic(uid) {
  const own = `.sdl-static-${uid}`;
  const textContent = `${own}, .jp-OutputArea-child:has(${own}) { display: none !important; }`;
  return h("style", { textContent });
}

// Changes a property of the model, and tells Python, where it differs.
function put(model, name, value) {
  if (model.get(name) === value) return;
  model.set(name, value);
  model.save_changes();
}

// Calls acts[name] when that property of the model changes; returns what undoes it.
function follow(model, acts) {
  for (const [name, act] of Object.entries(acts)) model.on(`change:${name}`, act);
  return () => {
    for (const [name, act] of Object.entries(acts)) model.off(`change:${name}`, act);
  };
}

const blobUrl = (buffer, type = "image/webp") => URL.createObjectURL(new Blob([buffer], { type }));

// Object URLs by name; the oldest are freed when there are more than `most`.
class Urls {
  constructor(most = 3000) { this.most = most; this.urls = new Map(); }
  get(name) { return this.urls.get(name); }
  set(name, url) {
    this.drop(name);
    this.urls.set(name, url);
    if (this.urls.size > this.most) this.drop(this.urls.keys().next().value);
  }
  drop(name) {
    if (this.urls.has(name)) URL.revokeObjectURL(this.urls.get(name));
    this.urls.delete(name);
  }
  clear() { for (const name of [...this.urls.keys()]) this.drop(name); }
}

// What labels begin and end with alike, in whole words:
// ["a red cat on grass", "a blue cat on grass"] -> ["a ", " cat on grass"]
function common(labels) {
  if (labels.length < 2) return ["", ""];
  let start = labels[0], end = labels[0];
  for (const label of labels) while (!label.startsWith(start)) start = start.slice(0, -1);
  start = start.slice(0, start.lastIndexOf(" ") + 1);
  const rests = labels.map((label) => label.slice(start.length));
  end = rests[0];
  for (const rest of rests) while (!rest.endsWith(end)) end = end.slice(1);
  end = end.includes(" ") ? end.slice(end.indexOf(" ")) : "";
  return [start.length > 8 ? start : "", end.length > 8 ? end : ""];
}

// The part of a label that differs, with … in place of what all share.
function folded(label, [start, end]) {
  const differs = label.slice(start.length, label.length - end.length).trim();
  return (start && "… ") + differs + (end && " …");
}

const LARGE = 512;            // screen pixels to which small pictures are enlarged
const APART = 8;              // screen pixels between two pictures side by side
const EDGES = 24;             // screen pixels around a panel in the window
const BREATH = 500;           // ms in which keys follow one another without a look

const multiple = (a, b) => { let n = a; while (n % b) n += a; return n; };

// The longest side on the page for pictures whose longest sides are `a` and `b`: a whole multiple
// of both where there is room.
function fit(a, b, room) {
  const both = multiple(a, b), larger = Math.max(a, b);
  const step = both <= room ? both : larger <= room ? larger : 0;
  return step ? Math.floor(room / step) * step : Math.floor(room);
}

// How large a picture may become whose longest side is one of `longest`, in so large a place.
function mostRoom(longest, wide, high = innerHeight * 0.72) {
  return Math.max(32, Math.min(clamp(high, 256, 1024), Math.max(LARGE, ...longest), wide));
}

// How high `pictures` may be so that what stands from the top of `root` to the foot of `last` is
// seen at once, on the whole screen or in a notebook.
function heightFor(pictures, root, last) {
  const notebook = document.fullscreenElement ? null : root.closest(".jp-WindowedPanel-outer");
  const needed = last.getBoundingClientRect().bottom - root.getBoundingClientRect().top;
  return (notebook?.clientHeight || innerHeight) - EDGES - needed + pictures.offsetHeight;
}

const SHARED_ORDER = "in one order for all raters";        // said where the rater is named

// A button that cannot be used now, but keeps the focus: from a disabled one it would fall to the
// page.
function able(button, can) { button.setAttribute("aria-disabled", !can); }

// Puts text on the clipboard; the button says whether that worked.
async function copyText(text, button) {
  let done = true;
  try { await navigator.clipboard.writeText(text); } catch { done = copyOldWay(text); }
  sayOn(button, done ? "copied" : "press Ctrl+C", 1500);
}

// Has a button say for a while what came of it.
function sayOn(button, text, milliseconds) {
  const before = button.dataset.label ??= button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = before; }, milliseconds);
}

// Puts a PNG on the clipboard.
async function copyPicture(data, mime, button) {
  let done = true;
  try {
    const blob = new Blob([data], { type: mime });
    await navigator.clipboard.write([new ClipboardItem({ [mime]: blob })]);
  } catch { done = false; }                                // no https, or no PNG
  sayOn(button, done ? "copied" : "not possible here: save it", 3000);
}

// Lets the browser save a file.
function saveFile(data, name, type) {
  const href = blobUrl(data, type);
  h("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

// Shows a panel on the whole screen, or in its place again.
function toggleFull(root) {
  if (document.fullscreenElement) leaveFull(); else root.requestFullscreen();
}

// Ends the full screen, before something elsewhere is to be seen: the page would take no click.
function leaveFull() {
  if (document.fullscreenElement) document.exitFullscreen();
}

// A button that does so, and says what it would do.
function fullButton(root) {
  const full = button("full screen", () => toggleFull(root), { title: "Esc leaves it" });
  root.addEventListener("fullscreenchange", () => {
    full.textContent = document.fullscreenElement === root ? "leave full screen" : "full screen";
  });
  return full;
}

// The keys, in a block that `toggle()` opens and shuts.
function keysHelp(innerHTML) {
  const block = h("details", { className: "sdl-help", open: true },
    h("summary", { textContent: "keys" }), h("span", { innerHTML }));
  block.toggle = () => { block.open = !block.open; };
  return block;
}

// The browser's own menu on pictures, in place of the notebook's. Not on small ones made for the
// page: whoever saved one would have no recipe.
function keepMenu(root) {
  root.addEventListener("contextmenu", (event) => {
    if (event.target.matches("img") && !event.target.closest(".sdl-cell, .sdl-item"))
      event.stopPropagation();
  });
}

function copyOldWay(text) {                                // without https there is no clipboard
  const area = h("textarea", { value: text, className: "sdl-unseen" });
  const before = document.activeElement;
  (before?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}

function button(text, act, props = {}) {
  const own = { type: "button", className: "sdl-button", textContent: text };
  const node = h("button", { ...own, ...props });
  node.onclick = (event) => { if (node.getAttribute("aria-disabled") !== "true") act(event); };
  return node;
}

// Whether an answer is one to the pictures that are seen. What is pressed before they are there is
// none, nor is what follows it in one breath: it was meant for later pictures still; nor is the
// second half of a double click.
class Gate {
  constructor() { Object.assign(this, { since: Infinity, refused: -Infinity }); }

  open() { this.since = performance.now(); }

  shut() { this.since = Infinity; }

  lets({ timeStamp, detail = 0 }) {
    const meant = timeStamp > this.since && timeStamp - this.refused > BREATH && detail < 2;
    if (!meant) this.refused = timeStamp;
    return meant;
  }
}

// A key that is held down presses a button once: what it would press next is another question.
function pressOnce(element) {
  element.addEventListener("keydown", (event) => {
    if (event.repeat && event.key === "Enter") event.preventDefault();
  });
  return element;
}

// A line that is read out and not seen.
const spokenLine = () => h("div", { className: "sdl-unseen", role: "status" });

// Words that a voice says of `node` whenever it is focused; `textContent` changes them.
function describe(node, words = h("span", { hidden: true })) {
  words.id ||= `sdl-words-${Math.random().toString(36).slice(2)}`;
  node.setAttribute("aria-describedby", words.id);
  return words;
}

const combined = (event) => event.ctrlKey || event.metaKey || event.altKey;
const runs = (event) => event.key === "Enter" && event.shiftKey;

// Calls act[key](event) and keeps the event from the notebook; combinations with Ctrl, Meta and Alt
// pass, and so does Shift+Enter.
function onKeys(element, act, allowed = () => true) {
  element.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!act[key] || combined(event) || runs(event) || !allowed(event)) return;
    consume(event);
    act[key](event);
  });
}

// No plain key pressed in the element reaches the notebook, whose command mode would delete the
// cell at the second D. Shift+Enter and combinations run cells and the like, and Escape gives the
// focus to the cell.
function keepKeys(element) {
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" && !runs(event) && !combined(event)) event.stopPropagation();
    if (event.key === "Escape" && !event.defaultPrevented) leave(event.target);
  });
}

function leave(node) {
  const used = node.closest("dialog, input, select, textarea") || document.fullscreenElement;
  if (!used) node.closest(".jp-Cell")?.focus({ preventScroll: true });
}

// Keeps an event from the notebook and from the browser.
function consume(event) {
  event.preventDefault();
  event.stopPropagation();
}

// Rows of names and values.
function facts(entries) {
  const row = ([name, value]) =>
    [h("dt", { textContent: name }), h("dd", { textContent: String(value) })];
  return h("dl", { className: "sdl-facts" }, ...entries.flatMap(row));
}

// A field for the name of who answers, which the model knows as `who`.
function nameField(model, who, goOn = null) {
  const node = h("input", { type: "text", className: "sdl-name", placeholder: "your name",
    maxLength: 60, autocomplete: "off", spellcheck: false, value: model.get(who) });
  node.onchange = () => put(model, who, node.value.trim());
  if (goOn) node.onkeydown = (event) => {
    if (event.key !== "Enter" || event.isComposing || combined(event) || runs(event)) return;
    consume(event);
    node.onchange();
    goOn();
  };
  return node;
}

// A block of Python with a button that copies it; `show(text)` changes it. With a line to Python
// the text is asked for when the block is opened, and by `renew()`.
function codeBlock(line = undefined) {
  const label = "the same in Python";
  const text = h("pre", { className: "sdl-code-text", tabIndex: 0, role: "region",
    "aria-label": label });
  const copy = button("copy code", () => copyText(text.textContent, copy));
  const block = h("details", { className: "sdl-code" },
    h("summary", { textContent: label }), copy, text);
  block.show = (code) => { text.textContent = code; };
  block.renew = async () => {
    if (block.open) block.show((await line.ask("code")).message.text ?? "");
  };
  if (line) block.ontoggle = block.renew;
  return block;
}

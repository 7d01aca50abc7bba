// What all panels share. Python puts this text before each panel's own, which ends with `export default panel(render)`.
//
// page -> Python  {kind, id, ...}: a question. It is asked again until an answer with its id has come.
// Python -> page  {kind, re?, ...} and buffers. `re` is the id of the question that this answers, for the last time.

const LINES = new Map();                                   // uid -> Line: `initialize` and `render` get different model objects
const RELOADED = "The page was reloaded. Run this cell again if the picture of it in the saved notebook is to follow what you do.";
const PATIENCE = 5000;                                     // ms until a question is asked again, doubled each time
const LEFT_ALONE = "Python does not answer: it is busy, or was restarted or shut down. What you see is from before. "
  + "If it does not come back, run this cell again.";

// The line to Python of one panel, shared by all its views.
class Line {
  constructor(model) {
    this.model = model;
    this.questions = new Map();                            // id -> {message, buffers, again, wait, done}
    this.listeners = new Set();                            // called with (message, buffers)
    this.notices = new Set();                              // called with a text, "" when all is well
    this.prefix = Math.random().toString(36).slice(2);     // another tab gets our answers too, and must not take them for its own
    this.count = 0;
    this.heard = false;
    this.timer = setInterval(() => this.remind(), 500);
    model.on("msg:custom", (message, buffers) => this.receive(message, buffers));
  }

  // A promise of {message, buffers}.
  ask(kind, content = {}, buffers = undefined) {
    const id = this.prefix + this.count++, message = { kind, id, ...content };
    return new Promise((done) => {
      this.questions.set(id, { message, buffers, again: Date.now() + PATIENCE, wait: PATIENCE, done });
      this.send(message, buffers);
    });
  }

  send(message, buffers) {
    try { this.model.send(message, undefined, buffers); } catch { /* a closed line: `remind` says so */ }
  }

  receive(message, buffers) {
    this.heard = true;
    if (this.said === LEFT_ALONE) this.notify("");
    for (const question of this.questions.values()) question.wait = PATIENCE;   // Python lives: no reason to doubt
    for (const listener of this.listeners) listener(message, buffers ?? []);
    const question = this.questions.get(message.re);
    this.questions.delete(message.re);
    if (message.kind === "error") this.complain(message.text);
    question?.done({ message, buffers: buffers ?? [] });
  }

  remind() {
    const now = Date.now();
    for (const question of this.questions.values()) {
      if (now < question.again) continue;
      question.wait *= 2;
      question.again = now + question.wait;
      if (question.wait > 2 * PATIENCE) this.notify(LEFT_ALONE);
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

// The module of a panel. `render({model, el, line, root})` fills `root` and may return what undoes it.
const panel = (name, render) => ({
  initialize({ model, signal }) {
    const uid = model.get("uid"), line = new Line(model);
    LINES.set(uid, line);
    signal?.addEventListener("abort", () => { clearInterval(line.timer); LINES.delete(uid); });
  },
  render({ model, el }) {
    const line = LINES.get(model.get("uid"));
    const notice = h("div", { className: "sdl-notice", role: "status" });
    const say = (text) => { if (notice.textContent !== text) notice.textContent = text; notice.hidden = !text; };
    const root = h("div", { className: `sdl-root sdl-${name}` });
    say("");
    line.notices.add(say);
    el.append(notice, root);
    const reloaded = h("div", { className: "sdl-help", textContent: RELOADED, hidden: true });
    const undo = render({ model, el, line, root, say });
    root.append(reloaded);
    keepKeys(root);
    line.ask("ping", { page: line.prefix }).then(({ message }) => { reloaded.hidden = !message.reloaded; });
    const wake = () => {                                   // only now: an exported page has no Python, but may have this script
      line.listeners.delete(wake);
      el.prepend(hidesStatic(model.get("uid")));
      el.style.display = "";
    };
    el.style.display = "none";
    if (line.heard) wake(); else line.listeners.add(wake);
    return () => { line.listeners.delete(wake); line.notices.delete(say); undo?.(); };
  },
});

// While the panel lives, the static picture of it in the notebook is hidden.
const hidesStatic = (uid) => h("style", {
  textContent: `.sdl-static-${uid}, .jp-OutputArea-child:has(.sdl-static-${uid}) { display: none !important; }` });

// An element: properties, or attributes where the name has a dash or is `role`; children are nodes or text.
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props))
    if (name === "role" || name.includes("-")) node.setAttribute(name, value); else node[name] = value;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));
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
  drop(name) { if (this.urls.has(name)) URL.revokeObjectURL(this.urls.get(name)); this.urls.delete(name); }
  clear() { for (const name of [...this.urls.keys()]) this.drop(name); }
}

// What labels begin and end with alike, in whole words: ["a red cat on grass", "a blue cat on grass"] -> ["a ", " cat on grass"]
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
const folded = (label, [start, end]) =>
  (start && "… ") + label.slice(start.length, label.length - end.length).trim() + (end && " …");

// A button that cannot be used now, but keeps the focus: from a disabled one it would fall to the page.
function able(button, can) { button.setAttribute("aria-disabled", !can); }

// Puts text on the clipboard; the button says whether that worked.
async function copyText(text, button) {
  let done = true;
  try { await navigator.clipboard.writeText(text); } catch { done = copyOldWay(text); }
  const before = button.dataset.label ??= button.textContent;
  button.textContent = done ? "copied" : "press Ctrl+C";
  setTimeout(() => { button.textContent = before; }, 1500);
}

function copyOldWay(text) {                                // without https there is no clipboard object
  const area = h("textarea", { value: text, className: "sdl-unseen" }), before = document.activeElement;
  (before?.closest("dialog") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}

const button = (text, act, props = {}) => {
  const node = h("button", { type: "button", className: "sdl-button", textContent: text, ...props });
  node.onclick = (event) => { if (node.getAttribute("aria-disabled") !== "true") act(event); };
  return node;
};

// Calls act[key](event) and keeps the event from the notebook; combinations with Ctrl, Meta and Alt pass.
function onKeys(element, act, allowed = () => true) {
  element.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!act[key] || event.ctrlKey || event.metaKey || event.altKey || !allowed(event)) return;
    event.preventDefault();
    event.stopPropagation();
    act[key](event);
  });
}

// No plain key pressed in the panel reaches the notebook, whose command mode would delete the cell at the second D.
function keepKeys(root) {
  root.addEventListener("keydown", (event) => {
    const passes = event.key === "Tab" || (event.key === "Enter" && event.shiftKey) || event.ctrlKey || event.metaKey || event.altKey;
    if (!passes) event.stopPropagation();
  });
}

// Rows of names and values.
const facts = (entries) => h("dl", { className: "sdl-facts" },
  ...entries.flatMap(([name, value]) => [h("dt", { textContent: name }), h("dd", { textContent: String(value) })]));

// A block of Python with a button that copies it; `show(text)` changes it. With `ask`, a promise of the text, it is asked for
// when the block is opened, and by `renew()`.
function codeBlock(label = "the same in Python", ask = undefined) {
  const text = h("pre", { className: "sdl-code-text", tabIndex: 0, role: "region", "aria-label": label });
  const copy = button("copy code", () => copyText(text.textContent, copy));
  const block = h("details", { className: "sdl-code" }, h("summary", { textContent: label }), copy, text);
  block.show = (code) => { text.textContent = code; };
  block.renew = async () => { if (block.open) block.show(await ask()); };
  if (ask) block.ontoggle = block.renew;
  return block;
}

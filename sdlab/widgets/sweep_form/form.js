// The part of a form that ipywidgets cannot do: code that can be copied, keys and files that are
// dropped, and what screen readers are told about its fields. The fields are widgets of their own,
// around this one.
//
// page -> Python  look, typed {texts}, run {field, text}, part {file, name, size, at, field} + a
//                 buffer

const AGAIN = 3000;           // ms until the store is asked again what is finished
const PART = 1_000_000;       // bytes of a file in one message

const runOf = (form) => form.querySelector(".sdl-run .mod-primary");
const fieldOf = (node) => node.closest(".sdl-field");
const fieldName = (field) =>
  [...field.classList].find((each) => each.startsWith("sdl-field-"))?.slice("sdl-field-".length);
const nameAt = (node) => { const field = fieldOf(node); return field ? fieldName(field) : ""; };

function render({ model, line, root }) {
  const code = codeBlock(), hint = h("p", { className: "sdl-help sdl-form-hint" });
  const spoken = spokenLine();
  root.append(hint, code, spoken);
  const around = () => root.closest(".sdl-form");
  const show = () => {
    code.show(model.get("code"));
    setTimeout(() => showChosen(around()));                // the lists hear of it before or after
  };
  const mark = () => {
    const form = around();
    if (!form) return;
    describeFields(form, model);
    setTimeout(() => showChosen(form));
    if (form.dataset.sdlHeard) return;
    form.dataset.sdlHeard = "yes";
    listen(form, { model, line, hint });
  };
  const attached = new ResizeObserver(mark);               // only then is the form around it known
  attached.observe(root);
  const unfollow = follow(model, {
    code: show, errors: mark, folds: mark,
    starts: () => showFirstRow(around()),
    fillings: () => around()?.querySelector(".sdl-field-prompt textarea")?.focus(),
    refusals: () => sayRefusal(around(), spoken),
  });
  show();
  return () => {
    attached.disconnect();
    unfollow();
  };
}

function listen(form, { model, line, hint }) {
  keepKeys(form);
  keepFocus(form);
  askPython(form, line);
  const tell = tellBeforeRun(form, line);
  giveHints(form, hint, model.get("hints"));
  runByKey(form, line, tell);
  catchDrops(form, line);
  openByButton(form, line);
  dropCounts(form);
  sayTyping(form);
}

const isTyped = (node) => node.matches("input:not([type=file]), textarea") && fieldOf(node);

// Until a field is left, nothing is known of what is typed into it.
function sayTyping(form) {
  const show = ({ target, type }) => {
    if (isTyped(target)) form.classList.toggle("sdl-typing", type === "input");
  };
  for (const type of ["input", "change", "focusout"]) form.addEventListener(type, show);
}

// A field with an error is marked, and described by its message.
function describeFields(form, model) {
  const errors = model.get("errors"), hints = model.get("hints"), folds = model.get("folds");
  form.setAttribute("role", "group");
  form.setAttribute("aria-label", "sweep");
  for (const field of form.querySelectorAll(".sdl-field")) {
    const name = fieldName(field), control = field.querySelector("input, select, textarea");
    field.classList.toggle("sdl-wrong", name in errors);
    if (!control) continue;                                // not drawn yet
    control.title = hints[name];
    control.setAttribute("aria-invalid", name in errors);
    if (name in errors) control.setAttribute("aria-describedby", errors[name]);
    else control.removeAttribute("aria-describedby");
  }
  for (const fold of form.querySelectorAll(".widget-toggle-button"))
    fold.setAttribute("aria-expanded", String(Boolean(folds[fold.textContent.trim()])));
}

// A list shows what is chosen in it, unless somebody is choosing.
function showChosen(form) {
  for (const list of form?.querySelectorAll("select[multiple]") ?? []) {
    const [chosen] = list.selectedOptions;
    if (!chosen || list === document.activeElement) continue;
    const own = chosen.getBoundingClientRect(), seen = list.getBoundingClientRect();
    if (own.top < seen.top) list.scrollTop -= seen.top - own.top;
    else if (own.bottom > seen.bottom) list.scrollTop += own.bottom - seen.bottom;
  }
}

// What Run waits for is read aloud each time, and the first such field has the focus.
function sayRefusal(form, spoken) {
  const field = form?.querySelector("[aria-invalid=true]");
  const place = field?.getAttribute("aria-describedby");
  const said = place ? document.getElementById(place) : form?.querySelector("[id$='-problem']");
  field?.focus();
  spoken.textContent = "";
  setTimeout(() => {
    const name = field ? nameAt(field) : "";
    const text = (said?.textContent ?? "").replace("⚠ Error: ", "");
    spoken.textContent = `Run waits${name && ` for ${name}`}: ${text}`;
  }, 100);                                                 // the same text twice is not heard
}

function giveHints(form, hint, hints) {
  form.addEventListener("focusin", ({ target }) => {
    const name = nameAt(target);
    hint.textContent = name ? `${name}: ${hints[name]}` : "";
  });
}

// The focus goes from Run to Stop when a job begins, and back at its end: from a button that is
// disabled it falls to the page.
function keepFocus(form) {
  let last = null;                       // the button that has the focus, or lost it when disabled
  const pair = () => [...form.querySelectorAll(".sdl-run > button")].slice(0, 2);
  form.addEventListener("focusin", ({ target }) => { last = target.closest(".sdl-run > button"); });
  form.addEventListener("focusout", ({ target }) => { if (!target.disabled) last = null; });
  new MutationObserver(() => {
    const to = last?.disabled ? pair().find((each) => each !== last) : last;
    const active = document.activeElement;
    if (last && !to.disabled && (active === document.body || active === last)) to.focus();
  }).observe(form, { subtree: true, attributeFilter: ["disabled"] });
}

// Widgets do not notice that Python is gone: a question does, and its line says so. And before Run,
// what is finished is looked up.
function askPython(form, line) {
  const open = new Set();
  const ask = async (kind, pause) => {
    if (open.has(kind)) return;
    open.add(kind);
    await line.ask(kind, { page: line.prefix });
    setTimeout(() => open.delete(kind), pause);
  };
  form.addEventListener("change", () => ask("ping", 0));
  form.addEventListener("click", ({ target }) => {
    if (target.closest(".sdl-run > button")) ask("ping", 0);
  });
  form.addEventListener("focusin", ({ target }) => {
    if (target === runOf(form)) ask("look", AGAIN);
  });
  form.addEventListener("pointerenter", () => ask("look", AGAIN));
}

// Of a field that changes again while Python is busy, ipywidgets tells that when Python is free,
// and a click overtakes it: what was typed is told once more, before the click.
function tellBeforeRun(form, line) {
  const typed = new Map();                                 // control -> what it held when left
  form.addEventListener("change", ({ target }) => {
    if (isTyped(target)) typed.set(target, target.value);
  });
  const tell = () => {
    const texts = [...typed].filter(([node, text]) => node.isConnected && node.value === text)
      .map(([node, text]) => [nameAt(node), text]);
    typed.clear();
    if (texts.length) line.ask("typed", { texts });
  };
  form.addEventListener("click", ({ target }) => {
    if (target.closest(".sdl-run > button")) tell();
  }, true);
  return tell;
}

// Ctrl+Enter runs the form, not the cell, with what the field holds that is not left yet.
function runByKey(form, line, tell) {
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    consume(event);
    tell();
    const { target } = event, typed = target.matches("input, textarea");
    line.ask("run", { field: nameAt(target), text: typed ? target.value : null });
  }, true);
}

// Once a job has begun, Run with its count stands on top and the first row of pictures below.
async function showFirstRow(form) {
  for (let n = 0; n < 100; n++) {
    const cell = form?.querySelector(".sdl-cell");
    if (cell && !isSeen(cell)) form.querySelector(".sdl-run").scrollIntoView({ block: "start" });
    if (cell) return;
    await new Promise((done) => setTimeout(done, 50));
  }
}

function isSeen(element) {
  const { left, top, bottom } = element.getBoundingClientRect();
  const at = (y) => element.contains(document.elementFromPoint(left + 3, y));
  return at(top + 3) && at(bottom - 3);
}

// A picture that is dropped on its field stands there; elsewhere its recipe fills the form in.
function catchDrops(form, line) {
  const hasFiles = ({ dataTransfer }) => [...(dataTransfer?.types ?? [])].includes("Files");
  const leave = () => form.classList.remove("sdl-over");
  form.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    consume(event);
    event.dataTransfer.dropEffect = "copy";
    form.classList.add("sdl-over");
  });
  form.addEventListener("dragleave", ({ relatedTarget }) => {
    if (!form.contains(relatedTarget)) leave();
  });
  form.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    consume(event);
    leave();
    const [file] = event.dataTransfer.files;
    if (file) sendFile(file, nameAt(event.target), line);
  });
}

function openByButton(form, line) {
  const input = h("input", { type: "file", accept: "image/*" });
  input.onchange = () => {
    const [file] = input.files;
    if (file) sendFile(file, "", line);
    input.value = "";
  };
  form.addEventListener("click", ({ target }) => {
    if (target.closest(".sdl-open")) input.click();
  });
}

// A button for uploads counts the files that it holds: the form takes them away, so it says 0.
function dropCounts(form) {
  const drop = () => {
    for (const { lastChild: text } of form.querySelectorAll(".sdl-given .widget-upload"))
      if (text?.data?.endsWith(")")) text.data = text.data.replace(/ \(\d+\)$/, "");
  };
  new MutationObserver(drop).observe(form, { subtree: true, childList: true });
  drop();
}

async function sendFile(file, field, line) {
  const { size, name } = file, id = crypto.getRandomValues(new Uint32Array(4)).join("-");
  for (let at = 0; at < Math.max(size, 1); at += PART) {
    const bytes = await file.slice(at, at + PART).arrayBuffer();
    const { message } = await line.ask("part", { file: id, name, size, at, field }, [bytes]);
    if (message.kind === "error") return;                  // the line has said it
  }
}

export default panel("sweepform", render,
  "What was filled in comes back with the form, or by “As last time” above it.");

// The part of a form that ipywidgets cannot do: code that can be copied, and what screen readers
// are told about its fields. The fields are widgets of their own, around this one.

const AGAIN = 3000;           // ms until the store is asked again what is finished

const runOf = (form) => form.querySelector(".sdl-run .mod-primary");
const fieldName = (field) =>
  [...field.classList].find((each) => each.startsWith("sdl-field-"))?.slice("sdl-field-".length);

function render({ model, line, root }) {
  const code = codeBlock(), hint = h("p", { className: "sdl-help sdl-form-hint" });
  root.append(hint, code);
  const show = () => code.show(model.get("code"));
  const mark = () => {
    const form = root.closest(".sdl-form");
    if (!form) return;
    describe(form, model);
    if (form.dataset.sdlHeard) return;
    form.dataset.sdlHeard = "yes";
    keepKeys(form);
    keepFocus(form);
    askPython(form, line);
    giveHints(form, hint, model.get("hints"));
  };
  const attached = new ResizeObserver(mark);               // only then is the form around it known
  attached.observe(root);
  const unfollow = follow(model, { code: show, errors: mark, folds: mark });
  show();
  return () => {
    attached.disconnect();
    unfollow();
  };
}

// A field with an error is marked, and described by its message.
function describe(form, model) {
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

function giveHints(form, hint, hints) {
  form.addEventListener("focusin", ({ target }) => {
    const field = target.closest(".sdl-field");
    hint.textContent = field ? `${fieldName(field)}: ${hints[fieldName(field)]}` : "";
  });
}

// The focus goes from Run to Stop when a job begins, and back at its end: from a button that is
// disabled it falls to the page.
function keepFocus(form) {
  let last = null;                       // the button that has the focus, or lost it when disabled
  form.addEventListener("focusin", ({ target }) => { last = target.closest(".sdl-run > button"); });
  form.addEventListener("focusout", ({ target }) => { if (!target.disabled) last = null; });
  new MutationObserver(() => {
    const both = [...form.querySelectorAll(".sdl-run > button")];
    const to = last?.disabled ? both.find((each) => each !== last) : last;
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

export default panel("sweepform", render);

// The part of a form that ipywidgets cannot do: code that can be copied, and what screen readers are told about its fields.

const AGAIN = 3000;                                        // ms until the store is asked again what is finished

function render({ model, line, root }) {
  const code = codeBlock(), hint = h("p", { className: "sdl-help sdl-form-hint" }), hints = model.get("hints");
  root.append(hint, code);
  const show = () => code.show(model.get("code"));

  // The fields are widgets of their own, around this one. A field with an error is marked, and described by its message.
  const nameOf = (field) => [...field.classList].find((each) => each.startsWith("sdl-field-"))?.slice("sdl-field-".length);
  const mark = () => {
    const form = root.closest(".sdl-form"), errors = model.get("errors");
    if (!form) return;
    form.setAttribute("role", "group");
    form.setAttribute("aria-label", "sweep");
    for (const field of form.querySelectorAll(".sdl-field")) {
      const name = nameOf(field);
      const control = field.querySelector("input, select, textarea");
      field.classList.toggle("sdl-wrong", name in errors);
      if (!control) continue;                              // not drawn yet
      control.title = hints[name];
      control.setAttribute("aria-invalid", name in errors);
      if (name in errors) control.setAttribute("aria-describedby", errors[name]); else control.removeAttribute("aria-describedby");
    }
    for (const button of form.querySelectorAll(".widget-toggle-button")) {
      button.setAttribute("aria-expanded", String(Boolean(model.get("folds")[button.textContent.trim()])));
    }
    if (form.dataset.sdlHeard) return;
    form.dataset.sdlHeard = "yes";
    keepAllKeys(form);
    keepFocus(form);
    askPython(form, line);
    form.addEventListener("focusin", ({ target }) => {
      const field = target.closest(".sdl-field");
      hint.textContent = field ? `${nameOf(field)}: ${hints[nameOf(field)]}` : "";
    });
  };
  const attached = new ResizeObserver(mark);               // only then is the form around it known
  attached.observe(root);

  const changed = { code: show, errors: mark, folds: mark };
  for (const [name, act] of Object.entries(changed)) model.on(`change:${name}`, act);
  show();
  return () => {
    attached.disconnect();
    for (const [name, act] of Object.entries(changed)) model.off(`change:${name}`, act);
  };
}

const runOf = (form) => form.querySelector(".sdl-run .mod-primary");

// Plain keys stay in the form, wherever in it they are pressed; Shift+Enter and combinations run cells and the like.
function keepAllKeys(form) {
  form.addEventListener("keydown", (event) => {
    const passes = event.key === "Tab" || (event.key === "Enter" && event.shiftKey) || event.ctrlKey || event.metaKey || event.altKey;
    if (!passes) event.stopPropagation();
  });
}

// The focus goes from Run to Stop when a job begins, and back at its end: from a button that is disabled it falls to the page.
function keepFocus(form) {
  let last = null;                                         // the button that has the focus, or lost it by being disabled
  form.addEventListener("focusin", ({ target }) => { last = target.closest(".sdl-run > button"); });
  form.addEventListener("focusout", ({ target }) => { if (!target.disabled) last = null; });
  new MutationObserver(() => {
    const other = [...form.querySelectorAll(".sdl-run > button")].find((each) => each !== last);
    const to = last?.disabled ? other : last, active = document.activeElement;
    if (last && !to.disabled && (active === document.body || active === last)) to.focus();
  }).observe(form, { subtree: true, attributeFilter: ["disabled"] });
}

// Widgets do not notice that Python is gone: a question does, and its line says so. And before Run, what is finished is looked up.
function askPython(form, line) {
  const open = new Set();
  const ask = async (kind, pause) => {
    if (open.has(kind)) return;
    open.add(kind);
    await line.ask(kind, { page: line.prefix });
    setTimeout(() => open.delete(kind), pause);
  };
  form.addEventListener("change", () => ask("ping", 0));
  form.addEventListener("click", ({ target }) => { if (target.closest(".sdl-run > button")) ask("ping", 0); });
  form.addEventListener("focusin", ({ target }) => { if (target === runOf(form)) ask("look", AGAIN); });
  form.addEventListener("pointerenter", () => ask("look", AGAIN));
}

export default panel("sweepform", render);

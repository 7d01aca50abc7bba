// The part of a form that ipywidgets cannot do: code that can be copied, and what screen readers are told about its fields.

function render({ model, root }) {
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
    form.querySelector(".widget-toggle-button")?.setAttribute("aria-expanded", String(model.get("more")));
    if (form.dataset.sdlHeard) return;
    form.dataset.sdlHeard = "yes";
    keepKeys(form);
    form.addEventListener("focusin", ({ target }) => {
      const field = target.closest(".sdl-field");
      hint.textContent = field ? `${nameOf(field)}: ${hints[nameOf(field)]}` : "";
    });
  };
  const attached = new ResizeObserver(mark);               // only then is the form around it known
  attached.observe(root);

  const changed = { code: show, errors: mark, more: mark };
  for (const [name, act] of Object.entries(changed)) model.on(`change:${name}`, act);
  show();
  return () => {
    attached.disconnect();
    for (const [name, act] of Object.entries(changed)) model.off(`change:${name}`, act);
  };
}

export default panel("sweepform", render);

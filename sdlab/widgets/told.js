// What is said beside a widget. The element with role=status stays, and only what is in it changes:
// screen readers hear nothing of a status that comes with its text already in it.

function render({ model, el }) {
  const make = () => el.appendChild(document.createElement("div"));
  const heard = make(), rest = make();
  heard.setAttribute("role", "status");
  let last = "";
  const show = () => {
    const told = new DOMParser().parseFromString(model.get("value"), "text/html").body;
    const every = [...told.children];
    const said = every.filter((each) => each.getAttribute("role") === "status");
    for (const each of said) each.removeAttribute("role");
    const text = said.map((each) => each.outerHTML).join("");
    if (text !== last) heard.replaceChildren(...said);     // the rest alone is not read aloud again
    last = text;
    rest.replaceChildren(...every.filter((each) => !said.includes(each)));
  };
  model.on("change:value", show);
  show();
  return () => model.off("change:value", show);
}

export default { render };

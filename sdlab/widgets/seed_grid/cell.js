// One cell of the grid, and the labels around the cells.

const THERE = "+", FAILED = "x", ABSENT = "?";             // what `states` says of a cell; "." is waiting

function cellBox(i, column, caption, wholeCaption, size) {
  const frame = h("div", { className: "sdl-frame" }, h("img", { alt: "", draggable: false, decoding: "async" }),
    h("span", { className: "sdl-said" }), h("span", { className: "sdl-star", textContent: "★", title: "star (S)", "aria-hidden": "true" }),
    h("span", { className: "sdl-rating", "aria-hidden": "true" }));
  frame.style.height = size + "px";
  const box = h("div", { role: "gridcell", className: "sdl-cell sdl-picture", "aria-colindex": String(column) }, frame,
    caption ? h("div", { className: "sdl-caption", title: wholeCaption, textContent: caption }) : null);
  box.dataset.i = i;
  const img = frame.firstChild;
  img.onload = () => img.classList.toggle("sdl-pixels", Math.max(img.naturalWidth, img.naturalHeight) < size * devicePixelRatio);
  return box;
}

function paintCell(box, { thumb, sketch, state, error, name, starred, rating }) {
  const img = box.querySelector("img"), url = thumb ?? sketch;
  if (url && img.src !== url) img.src = url;
  img.hidden = !url;
  box.classList.toggle("sdl-atwork", !thumb && Boolean(sketch));
  box.classList.toggle("sdl-starred", starred);
  box.querySelector(".sdl-star").hidden = state !== THERE;
  box.querySelector(".sdl-said").textContent = state === FAILED ? `failed: ${error ?? ""}` : error ?? (state === ABSENT ? "not rendered" : "");
  box.querySelector(".sdl-rating").textContent = rating ? `${rating}/5` : "";
  box.setAttribute("aria-label", name);
  box.setAttribute("aria-busy", state === ".");
}

// What a screen reader says of a cell.
function nameOfCell(caption, state, starred, rating) {
  const said = { [THERE]: "", [FAILED]: "failed", [ABSENT]: "not rendered" }[state] ?? "waiting";
  return [caption, said, starred && "starred", rating && `rated ${rating} of 5`].filter(Boolean).join(", ");
}

function labelBox(role, text, shared, style) {
  const box = h("div", { role, className: `sdl-label sdl-${role}`, title: text, "aria-label": text }, h("span", { textContent: folded(text, shared) }));
  box.style.cssText = style;
  return box;
}

// What all row labels share stands once, in the corner.
function cornerBox(places, [start, end], width) {
  const corner = h("div", { role: "columnheader", className: "sdl-label sdl-corner", "aria-colindex": "1" },
    h("span", { textContent: [places.row_name && `${places.row_name} ↓`, places.col_name && `${places.col_name} →`].filter(Boolean).join(" ") }),
    start || end ? h("span", { className: "sdl-share", title: `${start}…${end}`, textContent: `${start}…${end}` }) : null);
  corner.style.width = width + "px";
  return corner;
}

// A slider over the values of an axis that has neither rows nor columns.
function slider({ name, labels }, value, changed) {
  const shown = h("output"), input = h("input", { type: "range", min: 0, max: labels.length - 1 });
  const node = h("label", {}, name, input, shown);
  node.show = (n) => {
    if (+input.value !== n) input.value = n;
    shown.textContent = labels[n];
    input.setAttribute("aria-valuetext", labels[n]);
  };
  input.oninput = () => { node.show(+input.value); changed(+input.value); };
  node.show(value);
  return node;
}

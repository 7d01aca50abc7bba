// One cell of the grid, and the labels around the cells.

const THERE = "+", FAILED = "x", ABSENT = "?";   // what `states` says of a cell; "." is waiting
const UNSAID = { "aria-hidden": "true" };

function cellBox(i, column, caption, wholeCaption, size) {
  const frame = h("div", { className: "sdl-frame" },
    h("img", { alt: "", draggable: false, decoding: "async" }),
    h("span", { className: "sdl-said" }),
    h("span", { className: "sdl-star", textContent: "★", title: "star (S)", ...UNSAID }),
    h("span", { className: "sdl-rating", ...UNSAID }),
    h("span", { className: "sdl-verdict-of", ...UNSAID }),
    h("span", { className: "sdl-select", textContent: "☐", title: "select (X)", ...UNSAID }));
  frame.style.height = size + "px";
  const words = { className: "sdl-caption", title: wholeCaption, textContent: caption };
  const box = h("div", { role: "gridcell", className: "sdl-cell sdl-picture",
    "aria-colindex": String(column) }, frame, caption ? h("div", words) : null);
  box.dataset.i = i;
  const img = frame.firstChild;
  img.onload = () => {
    const longest = Math.max(img.naturalWidth, img.naturalHeight);
    img.classList.toggle("sdl-pixels", longest < size * devicePixelRatio);
  };
  return box;
}

function paintCell(box, { thumb, sketch, state, error, name, starred, rating, verdict, words,
  selected }) {
  const img = box.querySelector("img"), url = thumb ?? sketch;
  if (url && img.src !== url) img.src = url;
  img.hidden = !url;
  box.classList.toggle("sdl-atwork", !thumb && Boolean(sketch));
  box.classList.toggle("sdl-starred", starred);
  box.querySelector(".sdl-star").hidden = state !== THERE;
  const why = error ?? (state === ABSENT ? "not rendered" : "");
  box.querySelector(".sdl-said").textContent = state === FAILED ? `failed: ${error ?? ""}` : why;
  box.querySelector(".sdl-rating").textContent = rating ? `${rating}/5` : "";
  const said = box.querySelector(".sdl-verdict-of");
  said.textContent = glyphOf(verdict) + words;
  said.dataset.verdict = verdict;
  box.querySelector(".sdl-select").textContent = selected ? "☑" : "☐";
  box.classList.toggle("sdl-selected", selected);
  box.setAttribute("aria-selected", selected);
  box.setAttribute("aria-label", name);
  box.setAttribute("aria-busy", state === ".");
}

// A place where the frame has no row.
function gapBox(column, label) {
  return h("div", { role: "gridcell", className: "sdl-gap", "aria-colindex": String(column),
    title: label, "aria-label": label }, h("span", { textContent: "·", ...UNSAID }));
}

// What a screen reader says of a cell; `words` is what was measured in it and said of it.
function nameOfCell(caption, state, words) {
  const said = { [THERE]: "", [FAILED]: "failed", [ABSENT]: "not rendered" }[state] ?? "waiting";
  return [caption, said, ...words].filter(Boolean).join(", ");
}

function labelBox(role, text, shared, style, shorten = (words) => words) {
  const box = h("div", { role, className: `sdl-label sdl-${role}`, title: text,
    "aria-label": text }, h("span", { textContent: shorten(folded(text, shared)) }));
  box.style.cssText = style;
  return box;
}

// What all row labels share stands once, in the corner.
function cornerBox({ row_name, col_name }, [start, end], width) {
  const names = [row_name && `${row_name} ↓`, col_name && `${col_name} →`].filter(Boolean);
  const share = `${start}…${end}`;
  const corner = h("div", { role: "columnheader", className: "sdl-label sdl-corner",
    "aria-colindex": "1" }, h("span", { textContent: names.join(" ") }),
    start || end ? h("span", { className: "sdl-share", title: share, textContent: share }) : null);
  corner.style.width = width + "px";
  return corner;
}

// One place of the table: its picture, how many share it, its star, its note and its pin.

function placeBox(view, cells, col, table, size) {
  const [i] = cells, { frame } = view;
  const missing = frame.missing(i), url = size > 170 ? frame.large(i) : frame.small(i);
  const img = url && !missing ? h("img", { alt: "", decoding: "async", draggable: false, src: url })
    : null;
  if (img) img.onload = () => img.classList.toggle("pixels", img.naturalWidth < size);
  const box = h("div", { role: "gridcell", className: "cell", tabIndex: -1,
    "aria-colindex": String(col + 1 + (table.rowLabels ? 1 : 0)) },
  h("div", { className: "frame" }, img, missing ? h("span", { textContent: missing }) : null),
  table.caption ? h("div", { className: "caption", textContent: frame.caption(i),
    title: frame.caption(i) }) : null,
  h("span", { className: "marks", "aria-hidden": "true" }));
  box.dataset.i = i;
  box.style.cssText = `left:${table.left + col * table.wide}px;width:${size}px`;
  box.firstChild.style.height = `${size}px`;
  paintMarks(view, box, cells);
  return box;
}

function paintMarks(view, box, cells) {
  const [i] = cells, { opinions, pins, frame } = view;
  const more = cells.length > 1 ? `1 of ${cells.length}` : "";
  const own = [opinions.starred(i) && "★", opinions.note(i) && "✎", pins.has(i) && "pinned"];
  const marks = [...own, more];
  box.lastChild.textContent = marks.filter(Boolean).join(" ");
  box.classList.toggle("starred", opinions.starred(i));
  box.classList.toggle("pinned", pins.has(i));
  const said = [frame.caption(i), frame.missing(i), opinions.starred(i) && "starred",
    opinions.note(i) && "has a note", pins.has(i) && "pinned", more];
  box.setAttribute("aria-label", said.filter(Boolean).join(", "));
}

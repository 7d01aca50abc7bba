// The table of cells, of which only those in sight are in the page.

class Sight {
  constructor(model, pictures, marks) {
    Object.assign(this, { model, pictures, marks });
    this.read();
    this.current = clamp(model.get("focused"), 0, this.places.at.length - 1);
    this.boxes = new Map();                                // cell -> its element
    this.rows = new Map();                                 // row -> its element
    this.seen = new Map();                                 // cell -> what stands in its picture
    this.head = h("div", { className: "sdl-grid-head", role: "row", "aria-rowindex": "1" });
    this.body = h("div", { className: "sdl-grid-body", role: "rowgroup" });
    this.top = h("div", { role: "rowgroup", className: "sdl-grid-top" }, this.head);
    this.element = h("div", { className: "sdl-grid", role: "grid", "aria-multiselectable": "true",
      "aria-label": model.get("title") }, this.top, this.body);
  }

  // Takes note of what names rows and columns, and of the size of a cell.
  read() {
    const { model } = this;
    this.places = model.get("places");
    this.size = model.get("cell_px");
    this.pitch = this.size + GAP;                          // from one column to the next
    this.captionsShare = common(model.get("captions"));
    this.rowsShare = common(this.places.rows);
    this.colsShare = common(this.places.cols);
    this.selected = new Set(model.get("selected"));
  }

  get hasFocus() { return this.body.contains(this.element.getRootNode().activeElement); }

  caption(i) { return this.model.get("captions")[i]; }
  shortCaption(i) {
    return shortened(folded(this.caption(i), this.captionsShare), this.size, CAPTION_LINES);
  }

  // What is said of a cell.
  name(i) {
    const measured = this.model.get("measured")[i] ?? this.seen.get(i);
    return nameOfCell(this.caption(i) || `picture ${i + 1}`, this.pictures.state(i),
      [...this.marks.words(i), measured]);
  }

  // What is said of the cell that has the focus, or had it.
  get currentName() { return this.table.where(this.current) ? this.name(this.current) : ""; }

  // ---- what stands where
  arrange() {
    const { places, size, model } = this, width = this.element.clientWidth;
    const page = settingOf(places, model.get("where")), gone = new Set(model.get("hidden"));
    if (places.rows.length && !model.get("shown")) return crossed(places, page, width, size, gone);
    const shown = model.get("shown") ?? [...places.at.keys()].filter((i) => !gone.has(i));
    return inOrder(shown, (i) => this.shortCaption(i), width, size);
  }

  rebuild() {
    this.width = this.element.clientWidth;
    const table = this.table = this.arrange(), labels = table.labelled ? 1 : 0;
    this.boxes.clear();
    this.rows.clear();
    this.gaps = new Set();
    this.body.replaceChildren();
    this.element.setAttribute("aria-rowcount", table.rows + labels);
    this.element.setAttribute("aria-colcount", table.cols + labels);
    const width = table.rows ? table.left + table.cols * this.pitch + GAP + "px" : "auto";
    const height = table.rows ? table.rows * table.height + GAP + "px" : "auto";   // of a message
    Object.assign(this.top.style, { height: table.top + "px", width });
    Object.assign(this.body.style, { height, width });
    this.top.hidden = !table.labelled;
    this.body.classList.toggle("sdl-empty", !table.rows);
    if (!table.where(this.current)) this.current = table.at(0, 0) ?? this.current;
    this.draw();
  }

  // ---- drawing what is in sight
  draw() {
    const { table, boxes, rows } = this, area = this.area(), spot = table.where(this.current);
    const wanted = new Set(area.rows);
    if (spot) wanted.add(spot[0]);         // the focused cell stays in the page, wherever it is
    for (const [r, row] of rows) if (!wanted.has(r)) this.dropRow(r, row);
    for (const [i, box] of boxes) {
      const [r, c] = table.where(i);
      if (wanted.has(r) && (area.cols.includes(c) || i === this.current)) continue;
      box.remove();
      boxes.delete(i);
    }
    for (const r of [...wanted].sort((a, b) => a - b)) this.drawRow(r, area.cols, spot);
    if (table.labelled) this.drawHead(area.cols);
    const seen = area.rows.flatMap((r) => area.cols.map((c) => table.at(r, c)));
    this.pictures.ask(seen.filter((i) => i !== undefined))
      .then((came) => { if (came) this.draw(); });         // asks for what came in sight meanwhile
  }

  dropRow(r, row) {
    row.remove();
    this.rows.delete(r);
    for (const place of this.gaps) if (place.startsWith(`${r},`)) this.gaps.delete(place);
  }

  // The rows and columns in sight, and one more on each side.
  area() {
    const { element, table } = this, range = (start, size, step, count) => {
      const first = Math.max(0, Math.min(count - 1, Math.floor(start / step) - 1));
      const last = Math.min(count - 1, Math.ceil((start + size) / step) + 1);
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => first + k);
    };
    return {
      rows: range(element.scrollTop, element.clientHeight, table.height, table.rows),
      cols: range(element.scrollLeft, element.clientWidth, this.pitch, table.cols),
    };
  }

  drawRow(r, cols, spot) {
    const row = this.rows.get(r) ?? this.addRow(r);
    const alone = spot && spot[0] === r && !cols.includes(spot[1]) ? [spot[1]] : [];
    for (const c of [...cols, ...alone]) {
      const i = this.table.at(r, c);
      if (i === undefined ? !this.table.labelled || this.gaps.has(`${r},${c}`) : this.boxes.has(i))
        continue;
      const box = i === undefined ? this.drawGap(r, c) : this.drawCell(i, c);
      const column = (one) => +one.getAttribute("aria-colindex");
      const next = [...row.querySelectorAll("[role=gridcell]")]
        .find((one) => column(one) > column(box));
      next ? next.before(box) : row.append(box);
    }
  }

  drawGap(r, c) {
    const { places, size, table } = this;
    const where = [places.rows[r], places.cols[c]].filter(Boolean).join(", ");
    const box = gapBox(c + 2, `${where}: not in the frame`);
    Object.assign(box.style,
      { left: table.left + GAP + c * this.pitch + "px", width: size + "px", height: size + "px" });
    this.gaps.add(`${r},${c}`);
    return box;
  }

  addRow(r) {
    const { table, rows } = this, index = String(r + (table.labelled ? 2 : 1));
    const row = h("div", { role: "row", className: "sdl-row", "aria-rowindex": index });
    const top = r * table.height + GAP + "px", height = table.height - GAP + "px";
    Object.assign(row.style, { top, height });
    if (table.labelled) {
      const style = `width:${table.left}px`;
      row.append(labelBox("rowheader", this.places.rows[r], this.rowsShare, style));
    }
    const before = Math.max(...[...rows.keys()].filter((n) => n < r));   // in reading order
    rows.set(r, row);
    rows.has(before) ? rows.get(before).after(row) : this.body.prepend(row);
    return row;
  }

  drawHead(cols) {
    const { table, places } = this, labels = cols.map((c) => {
      const style = `left:${table.left + GAP + c * this.pitch}px;width:${this.size}px`;
      const label = labelBox("columnheader", places.cols[c], this.colsShare, style,
        (text) => shortened(text, this.size - 8, HEAD_LINES));
      label.setAttribute("aria-colindex", c + 2);
      return label;
    });
    this.head.replaceChildren(cornerBox(places, this.rowsShare, table.left), ...labels);
  }

  drawCell(i, c) {
    const { table, size } = this, caption = table.caption ? this.shortCaption(i) : "";
    const box = cellBox(i, c + (table.labelled ? 2 : 1), caption, this.caption(i), size);
    box.tabIndex = i === this.current ? 0 : -1;
    const left = table.left + GAP + c * this.pitch + "px", height = table.height - GAP + "px";
    Object.assign(box.style, { left, width: size + "px", height });
    this.boxes.set(i, box);
    this.paint(i);
    return box;
  }

  paint(i) {
    const { boxes, pictures, marks } = this, tags = (marks.get(i, "tags") ?? []).length;
    if (!boxes.has(i)) return;
    const words = (tags ? " #" : "") + (marks.get(i, "note") ? " ✎" : "");
    paintCell(boxes.get(i), {
      thumb: pictures.thumbs.get(i), sketch: pictures.sketches.get(i), state: pictures.state(i),
      error: pictures.errors.get(i), name: this.name(i), selected: this.selected.has(i), words,
      starred: marks.starred(i), rating: marks.rating(i), verdict: marks.get(i, "verdict") ?? "" });
  }

  // ---- where the reader is
  setCurrent(i) {
    const before = this.boxes.get(this.current), now = this.boxes.get(i);
    if (before) before.tabIndex = -1;
    if (now) now.tabIndex = 0;
    this.current = i;
  }

  scrollTo(i) {
    const { table, element, pitch } = this, [r, c] = table.where(i), top = r * table.height;
    const height = element.clientHeight - table.top, width = element.clientWidth - table.left;
    element.scrollTop = clamp(element.scrollTop, top + table.height + GAP - height, top);
    element.scrollLeft = clamp(element.scrollLeft, (c + 1) * pitch + GAP - width, c * pitch);
  }

  get rowsInPage() {
    const { table, element } = this;
    return Math.max(1, Math.floor((element.clientHeight - table.top) / table.height) - 1);
  }
}

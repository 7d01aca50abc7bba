// The part of the table that is in sight: only its cells are in the page.

class Sight {
  constructor(view) {
    this.view = view;
    this.head = h("div", { role: "row", className: "head", "aria-rowindex": "1" });
    this.body = h("div", { role: "presentation", className: "body" });
    this.element = h("div", { role: "grid", className: "grid", "aria-label": "pictures" },
      this.head, this.body);
    this.rows = new Map();                                 // row -> its element
    this.current = -1;
    let drawing = 0;
    this.element.addEventListener("scroll", () => {
      cancelAnimationFrame(drawing);
      drawing = requestAnimationFrame(() => this.draw());
    }, { passive: true });
  }

  show(table, size) {
    Object.assign(this, { table, size });
    const { element, head, body } = this, labelled = table.rowLabels ? 1 : 0;
    element.setAttribute("aria-rowcount", table.rows + (table.colLabels ? 1 : 0));
    element.setAttribute("aria-colcount", table.cols + labelled);
    head.hidden = !table.colLabels;
    head.style.height = `${table.top}px`;
    head.style.width = body.style.width = `${table.left + table.cols * table.wide}px`;
    body.style.height = `${table.rows * table.high}px`;
    this.clear();
    this.draw();
  }

  clear() {
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.span = null;
  }

  // The rows and columns in sight, and those about to be: the browser scrolls without asking.
  measure() {
    const { element, table } = this, { scrollTop, scrollLeft, clientHeight, clientWidth } = element;
    const high = Math.ceil(clientHeight / table.high), ahead = Math.ceil(high / 2);
    const top = Math.floor(scrollTop / table.high);
    const left = Math.max(0, Math.floor((scrollLeft - table.left) / table.wide) - 1);
    return { first: Math.max(0, top - ahead), last: Math.min(table.rows, top + high + 1 + ahead),
      left, right: Math.min(table.cols, left + Math.ceil(clientWidth / table.wide) + 3) };
  }

  draw() {
    const span = this.measure(), known = this.span;
    if (known && Object.keys(span).every((side) => span[side] === known[side])) return;
    if (known?.left !== span.left || known?.right !== span.right) this.clear();
    if (!this.span) this.drawHead(span);
    this.span = span;
    for (const [r, row] of this.rows) {
      if (r < span.first || r >= span.last) { row.remove(); this.rows.delete(r); }
    }
    for (let r = span.first; r < span.last; r += 1) if (!this.rows.has(r)) this.drawRow(r, span);
    this.markCurrent();
  }

  drawHead({ left, right }) {
    const { table, head, view } = this, labels = table.colLabels ?? [];
    const label = (c) => {
      const node = h("div", { role: "columnheader", textContent: labels[c], title: labels[c],
        "aria-colindex": String(c + 1 + (table.rowLabels ? 1 : 0)) });
      node.style.cssText = `left:${table.left + c * table.wide}px;width:${table.wide - GAP}px`;
      return node;
    };
    const corner = h("div", { role: "columnheader", className: "corner",
      textContent: view.corner });
    corner.style.width = `${table.left - GAP}px`;
    const shown = labels.slice(left, right).map((_, k) => label(left + k));
    head.replaceChildren(...(table.rowLabels ? [corner] : []), ...shown);
  }

  drawRow(r, { left, right }) {
    const { table, size, view, body } = this;
    const row = h("div", { role: "row", className: "row",
      "aria-rowindex": String(r + 1 + (table.colLabels ? 1 : 0)) });
    row.style.cssText = `top:${r * table.high}px;height:${table.high}px`;
    if (table.rowLabels) {
      const label = h("div", { role: "rowheader", title: table.rowLabels[r] },
        h("span", { textContent: table.rowLabels[r] }));
      label.style.width = `${table.left - GAP}px`;
      row.append(label);
    }
    for (let c = left; c < right; c += 1) {
      const cells = table.at(r, c);
      if (cells.length) row.append(placeBox(view, cells, c, table, size));
    }
    const next = [...this.rows.keys()].filter((k) => k > r).sort((a, b) => a - b)[0];
    body.insertBefore(row, this.rows.get(next) ?? null);
    this.rows.set(r, row);
  }

  box(i) { return this.body.querySelector(`.cell[data-i="${i}"]`); }

  paint() {
    const { table } = this;
    for (const box of this.body.querySelectorAll(".cell")) {
      paintMarks(this.view, box, table.at(...table.where(+box.dataset.i)));
    }
  }

  markCurrent() {
    const boxes = [...this.body.querySelectorAll(".cell")];
    const chosen = boxes.find((box) => +box.dataset.i === this.current) ?? boxes[0];
    for (const box of boxes) box.tabIndex = box === chosen ? 0 : -1;
  }

  go(i) {
    const at = i === undefined ? null : this.table.where(i);
    if (!at) return;
    const { element, table } = this, top = at[0] * table.high, left = at[1] * table.wide;
    const room = element.clientHeight - table.top - table.high;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top > element.scrollTop + room) element.scrollTop = top - room;
    const across = element.clientWidth - table.left - table.wide;
    if (left < element.scrollLeft) element.scrollLeft = left;
    else if (left > element.scrollLeft + across) element.scrollLeft = left - across;
    this.current = table.at(...at)[0];
    this.draw();
    this.box(this.current)?.focus({ preventScroll: true });
  }
}

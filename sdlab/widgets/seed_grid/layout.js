// Where the cells of a grid stand. A table is {rows, cols, at(row, col) -> cell, where(cell) -> [row, col] or null,
// height of a row, caption's height, top and left: room for labels, labelled, shown: number of cells in it}.

const GAP = 4, SCROLLBAR = 16, LINE = 18, LETTER = 7;      // screen pixels

const lineCount = (text, width) => Math.ceil(text.length * LETTER / width);

// The sliders' setting as a number, and how many places there are for each.
function settingOf(places, where) {
  const size = Math.max(1, places.rows.length * places.cols.length);
  return { size, number: places.sliders.reduce((n, { labels }, k) => n * labels.length + (where[k] ?? 0), 0) };
}

// Rows against columns, with labels.
function crossed(places, { size, number }, width, cell) {
  const { rows, cols } = places, shared = common(rows), sharedCols = common(cols);
  const numbers = new Map(places.at.map((place, i) => [place, i]));
  const words = `${places.row_name} ${places.col_name}`.split(" ").map((word) => word.length + 2);
  const longest = rows.reduce((most, label) => Math.max(most, folded(label, shared).length), Math.max(...words));
  const least = shared.join("") ? 130 : 76;                 // room for what all labels share
  const left = clamp(longest * LETTER + 20, least, Math.max(least, Math.min(220, width / 3)));
  const lines = cols.reduce((most, label) => Math.max(most, lineCount(folded(label, sharedCols), cell - 8)),
    lineCount(`${places.row_name} ↓ ${places.col_name} →`, left - 12) + (shared.join("") ? 2 : 0));
  return {
    rows: rows.length, cols: cols.length, labelled: true, left, top: Math.min(8, lines) * LINE + 8, height: cell + GAP, caption: 0, shown: null,
    at: (r, c) => numbers.get(number * size + r * cols.length + c),
    where: (i) => Math.floor(places.at[i] / size) === number ? [Math.floor(places.at[i] % size / cols.length), places.at[i] % cols.length] : null,
  };
}

// One after the other, as many in a line as there is room for, each above its caption.
function inOrder(shown, captionOf, width, cell) {
  const fit = Math.max(1, Math.floor((width - SCROLLBAR) / (cell + GAP)));
  const cols = Math.min(fit, Math.max(1, shown.length)), number = new Map(shown.map((i, n) => [i, n]));
  const lines = shown.slice(0, 500).reduce((most, i) => Math.max(most, lineCount(captionOf(i), cell)), 0);
  const caption = LINE * Math.min(4, lines);
  return {
    rows: Math.ceil(shown.length / cols), cols, labelled: false, left: 0, top: 0, height: cell + GAP + caption, caption, shown: shown.length,
    at: (r, c) => shown[r * cols + c],
    where: (i) => number.has(i) ? [Math.floor(number.get(i) / cols), number.get(i) % cols] : null,
  };
}

// Where the keys lead: a cell, or undefined where there is none.

function inReadingOrder(table, i, by, accepted = () => true) {
  const spot = table.where(i);
  for (let n = spot ? spot[0] * table.cols + spot[1] + by : -1; n >= 0 && n < table.rows * table.cols; n += by) {
    const other = table.at(Math.floor(n / table.cols), n % table.cols);
    if (other !== undefined && accepted(other)) return other;
  }
}

function beside(table, i, down, across) {                  // over gaps; where pictures stand in order, on to the next line
  if (across && !table.labelled) return inReadingOrder(table, i, across);
  let [r, c] = table.where(i) ?? [-1, -1];
  for (r += down, c += across; r >= 0 && r < table.rows && c >= 0 && c < table.cols; r += down, c += across)
    if (table.at(r, c) !== undefined) return table.at(r, c);
}

function endOfRow(table, i, last) {
  const [r] = table.where(i) ?? [0];
  for (let k = 0; k < table.cols; k++) {
    const other = table.at(r, last ? table.cols - 1 - k : k);
    if (other !== undefined) return other;
  }
}

function farther(table, i, rows) {                         // by a page, or as far as there is
  const [r, c] = table.where(i) ?? [0, 0];
  for (let k = clamp(r + rows, 0, table.rows - 1); k !== r; k += rows > 0 ? -1 : 1) if (table.at(k, c) !== undefined) return table.at(k, c);
}

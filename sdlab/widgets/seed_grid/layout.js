// Where the cells of a grid stand. A table is {rows, cols, at(row, col) -> cell,
// where(cell) -> [row, col] or null, height of a row, caption's height, top and left: room for
// labels, labelled, shown: number of cells in it}.

const GAP = 4, SCROLLBAR = 16, LINE = 18, LETTER = 7;      // screen pixels

const HEAD_LINES = 8, CAPTION_LINES = 6;                  // at most

// In how many lines a text stands, whose words wrap and are broken where one is too long.
function lineCount(text, width) {
  const most = Math.max(1, Math.floor(width / LETTER));
  let lines = 1, used = 0;
  for (const { length } of text.split(" ")) {
    if (used && used + 1 + length > most) [lines, used] = [lines + 1, 0];
    used += length + (used ? 1 : 0);
    if (used > most) [lines, used] = [lines + Math.ceil(used / most) - 1, used % most || most];
  }
  return lines;
}

// A text that has room in so many lines: what is too long loses its middle.
function shortened(text, width, lines) {
  let short = text, kept = Math.min(text.length, lines * Math.floor(width / LETTER));
  for (; kept > 2 && lineCount(short, width) > lines; kept--) {
    const half = Math.floor(kept / 2);
    short = `${text.slice(0, kept - half).trimEnd()} … ${text.slice(-half).trimStart()}`;
  }
  return short;
}

const largest = (numbers) => numbers.reduce((a, b) => Math.max(a, b), 0);

// The sliders' setting as a number, and how many places there are for each.
function settingOf(places, where) {
  const size = Math.max(1, places.rows.length * places.cols.length);
  const add = (n, { labels }, k) => n * labels.length + (where[k] ?? 0);
  return { size, number: places.sliders.reduce(add, 0) };
}

// Rows against columns, with labels.
function crossed(places, { size, number }, width, cell, gone) {
  const { rows, cols, at } = places;
  const numbers = new Map(at.map((place, i) => [place, i]).filter(([, i]) => !gone.has(i)));
  const here = [...numbers.keys()].filter((place) => Math.floor(place / size) === number).length;
  return {
    gaps: rows.length * cols.length - here,
    rows: rows.length, cols: cols.length, labelled: true, ...roomForLabels(places, width, cell),
    height: cell + GAP, caption: 0, shown: here,
    at: (r, c) => numbers.get(number * size + r * cols.length + c),
    where: (i) => {
      if (Math.floor(at[i] / size) !== number || gone.has(i)) return null;
      return [Math.floor(at[i] % size / cols.length), at[i] % cols.length];
    },
  };
}

function roomForLabels({ rows, cols, row_name, col_name }, width, cell) {
  const shared = common(rows), sharedCols = common(cols), both = shared.join("");
  const words = `${row_name} ${col_name}`.split(" ").map((word) => word.length + 2);
  const longest = largest([...words, ...rows.map((label) => folded(label, shared).length)]);
  const least = both ? 130 : 76;                           // room for what all labels share
  const most = Math.max(least, Math.min(220, width / 3));
  const left = clamp(longest * LETTER + 20, least, most);
  const corner = lineCount(`${row_name} ↓ ${col_name} →`, left - 12) + (both ? 2 : 0);
  const heads = cols.map((label) => lineCount(folded(label, sharedCols), cell - 8));
  return { left, top: Math.min(HEAD_LINES, largest([corner, ...heads])) * LINE + 8 };
}

// One after the other, as many in a line as there is room for, each above its caption.
function inOrder(shown, captionOf, width, cell) {
  const fit = Math.max(1, Math.floor((width - SCROLLBAR) / (cell + GAP)));
  const cols = Math.min(fit, Math.max(1, shown.length));
  const numbers = new Map(shown.map((i, n) => [i, n]));
  const lines = shown.slice(0, 500).map((i) => lineCount(captionOf(i), cell));
  const caption = LINE * Math.min(CAPTION_LINES, largest(lines));
  return {
    gaps: 0, rows: Math.ceil(shown.length / cols), cols, labelled: false, left: 0, top: 0,
    height: cell + GAP + caption, caption, shown: shown.length,
    at: (r, c) => shown[r * cols + c],
    where: (i) => {
      const n = numbers.get(i);
      return n === undefined ? null : [Math.floor(n / cols), n % cols];
    },
  };
}

// Where the keys lead: a cell, or undefined where there is none.

function inReadingOrder(table, i, by, accepted = () => true) {
  const spot = table.where(i), end = table.rows * table.cols;
  for (let n = spot ? spot[0] * table.cols + spot[1] + by : -1; n >= 0 && n < end; n += by) {
    const other = table.at(Math.floor(n / table.cols), n % table.cols);
    if (other !== undefined && accepted(other)) return other;
  }
}

// Over gaps; where pictures stand in order, on to the next line.
function beside(table, i, down, across) {
  if (across && !table.labelled) return inReadingOrder(table, i, across);
  let [r, c] = table.where(i) ?? [-1, -1];
  const inside = () => r >= 0 && r < table.rows && c >= 0 && c < table.cols;
  for (r += down, c += across; inside(); r += down, c += across)
    if (table.at(r, c) !== undefined) return table.at(r, c);
}

function endOfRow(table, i, last) {
  const [r] = table.where(i) ?? [0];
  for (let k = 0; k < table.cols; k++) {
    const other = table.at(r, last ? table.cols - 1 - k : k);
    if (other !== undefined) return other;
  }
}

// By so many rows, or as far as there is a cell.
function farther(table, i, rows) {
  const [r, c] = table.where(i) ?? [0, 0], back = rows > 0 ? -1 : 1;
  for (let k = clamp(r + rows, 0, table.rows - 1); k !== r; k += back)
    if (table.at(k, c) !== undefined) return table.at(k, c);
}

// Where the cells stand. A table is {rows, cols, at(row, col) -> cells, where(cell) -> [row, col],
// rowLabels, colLabels, wide and high: of a place, left and top: room for labels}.

const GAP = 8, LINE = 18, CAPTION = 38;                    // screen pixels

function makeTable(frame, cells, { rowName, colName, width, size }) {
  const row = frame.byName.get(rowName), col = frame.byName.get(colName);
  return row || col ? crossCells(cells, row, col, width, size) : flowCells(cells, width, size);
}

// One after the other, with captions.
function flowCells(cells, width, size) {
  const cols = Math.max(1, Math.floor((width - GAP) / (size + GAP)));
  const places = new Map(cells.map((cell, k) => [cell, k]));
  const where = (i) => places.has(i) ? [Math.floor(places.get(i) / cols), places.get(i) % cols]
    : null;
  return {
    rows: Math.ceil(cells.length / cols), cols, where, rowLabels: null, colLabels: null,
    at: (r, c) => cells.slice(r * cols + c, r * cols + c + 1),
    wide: size + GAP, high: size + CAPTION + GAP, left: GAP, top: 0, caption: CAPTION,
  };
}

// Each value of a column against each of another; several cells may share a place.
function crossCells(cells, row, col, width, size) {
  const down = listLevels(cells, row), across = listLevels(cells, col), places = new Map();
  const find = (i) =>
    [row ? down.place.get(row.code(i)) : 0, col ? across.place.get(col.code(i)) : 0];
  for (const i of cells) {
    const at = String(find(i));
    if (!places.has(at)) places.set(at, []);
    places.get(at).push(i);
  }
  const shown = new Set(cells), longest = Math.max(0, ...across.words.map((word) => word.length));
  const left = row ? clamp(width / 4, 90, 220) : GAP;
  const lines = (letters) => Math.ceil(letters * 7 / (left - GAP));
  const names = row && col ? [row.name.length + 2, col.name.length + 2] : [0];
  const parted = lines(names.reduce((sum, n) => sum + n)) > 1;   // else both stand in one line
  const corner = parted ? names.reduce((sum, n) => sum + lines(n), 0) : 1;
  return {
    rows: down.words.length, cols: across.words.length, where: (i) => shown.has(i) ? find(i) : null,
    rowLabels: row && down.words, colLabels: col && across.words,
    at: (r, c) => places.get(`${r},${c}`) ?? [],
    wide: size + GAP, high: size + GAP, caption: 0,
    left, top: col ? clamp(Math.ceil(longest * 7 / size), corner, 4) * LINE + GAP : 0,
  };
}

function listLevels(cells, column) {
  if (!column) return { words: [""], place: new Map() };
  const rank = rankLevels(column), codes = new Set(cells.map((i) => column.code(i)));
  const order = [...codes].sort((a, b) => rank[a] - rank[b]);
  return { words: order.map((code) => column.words[code]),
    place: new Map(order.map((code, k) => [code, k])) };
}

// Parts places further by the values of a column, and counts them.
function tellApart({ places }, column) {
  const known = new Map(), wide = column.levels.length;
  const finer = places.map((place, i) => {
    const key = place * wide + column.code(i);
    if (!known.has(key)) known.set(key, known.size);
    return known.get(key);
  });
  return { places: finer, count: known.size };
}

// The next place with a cell in that direction.
function beside(table, [r, c], down, across) {
  for (let k = 1; k <= Math.max(table.rows, table.cols); k += 1) {
    const row = r + k * down, col = c + k * across;
    if (row < 0 || col < 0 || row >= table.rows || col >= table.cols) return undefined;
    const found = table.at(row, col)[0];
    if (found !== undefined) return found;
  }
  return undefined;
}

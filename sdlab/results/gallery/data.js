// The frame: values by column, which cells are asked for, and in which order.

const MANY = 200;             // values of a column that a list still shows

class Column {
  constructor({ name, axis, ordered, number, recipe, fact, levels, codes }) {
    Object.assign(this, { name, axis, ordered, number, recipe, fact, levels, codes });
    this.words = levels.map(wordsOf);
    this.lower = this.words.map((text) => text.toLowerCase());
  }

  get varies() { return this.codes.length > 0; }
  code(i) { return this.varies ? this.codes[i] : 0; }
  word(i) { return this.words[this.code(i)]; }
  value(i) { return this.levels[this.code(i)]; }
}

function wordsOf(value) {
  if (value === null) return "—";
  if (typeof value === "number") return String(+value.toPrecision(6));
  return String(value).trim() ? String(value) : `"${value}"`;
}

class Frame {
  constructor({ columns, ...given }) {
    Object.assign(this, given);  // names, keys, axes, thumbs, whole, endings, exact, lost, uris
    this.columns = columns.map((column) => new Column(column));
    this.byName = new Map(this.columns.map((column) => [column.name, column]));
    this.varying = this.columns.filter((column) => column.varies);
    this.count = given.names.length;
    const longest = ({ words }) => words.reduce((n, word) => Math.max(n, word.length), 0);
    this.told = this.varying.filter((column) => column.axis)
      .sort((a, b) => longest(a) - longest(b));            // so that a cut loses the least
  }

  // What sets a cell apart, in a line.
  caption(i) {
    const said = this.told.map((column) => `${column.name} ${column.word(i)}`);
    return said.join(" · ") || this.keys[i].slice(0, 8) || `picture ${i + 1}`;
  }

  small(i) {
    const name = this.names[i];
    if (!name || this.lost[name]) return "";
    if (this.exact[i] === "1") return this.large(i);
    return this.uris ? this.uris[i] : `${this.thumbs}${name.slice(0, 2)}/${name}.webp`;
  }

  large(i) {
    const name = this.names[i];
    if (!name || this.lost[name]) return "";
    const file = `${this.whole}${name.slice(0, 2)}/${name}${this.endings[name] ?? ".png"}`;
    return this.whole ? file : this.small(i);
  }

  // Why there is no picture.
  missing(i) {
    if (this.names[i]) return this.lost[this.names[i]] ?? "";
    const error = this.byName.get("error")?.value(i);
    return error ? `failed: ${error}` : "not rendered";
  }

  // The cells in which all words occur somewhere, and that pass all filters.
  find(text, filters, extra) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.map((word) => this.varying.map((column) =>
      column.lower.map((level) => level.includes(word))));
    const shared = words.map((word) => this.columns.some((column) =>
      !column.varies && column.lower[0].includes(word)));
    const passes = (i) => filters.every((filter) => filter.passes(i))
      && words.every((word, k) => shared[k] || extra(i).includes(word)
        || this.varying.some((column, n) => hits[k][n][column.codes[i]]));
    return [...Array(this.count).keys()].filter(passes);
  }

  sort(cells, name, down) {
    const column = this.byName.get(name);
    if (!column) return cells;
    const rank = rankLevels(column), sign = down ? -1 : 1;
    return [...cells].sort((a, b) => sign * (rank[column.code(a)] - rank[column.code(b)]) || a - b);
  }
}

// The place of each level in order; what is missing comes last. Joined columns have their own.
function rankLevels(column) {
  if (column.ordered) return [...column.levels.keys()];
  const order = [...column.levels.keys()].sort((a, b) => {
    const [one, other] = [column.levels[a], column.levels[b]];
    if (one === null || other === null) return (one === null) - (other === null);
    return column.number ? one - other : column.lower[a].localeCompare(column.lower[b]);
  });
  const rank = [];
  order.forEach((level, place) => { rank[level] = place; });
  return rank;
}

// A filter of one column: these words, or numbers between two.
class Filter {
  constructor(column, { level, least, most, part }) {
    Object.assign(this, { column, level, least, most, part: part?.toLowerCase() });
  }

  passes(i) {
    const { column, level, least, most, part } = this;
    if (level !== undefined) return column.code(i) === level;
    if (part !== undefined) return column.lower[column.code(i)].includes(part);
    const value = column.value(i);
    return value !== null && value >= least && value <= most;
  }

  get words() {
    const { column: { name, words }, level, least, most, part } = this;
    if (level !== undefined) return `${name} is ${words[level]}`;
    return part !== undefined ? `${name} has “${part}”` : `${name} ${least} to ${most}`;
  }
}

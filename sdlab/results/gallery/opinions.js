// Stars and notes: kept in this browser under the gallery's own name, exported as lines that the
// file opinions.jsonl of a store takes.

const NOTE = "note";          // the question whose answers notes are

class Opinions {
  constructor(frame) {
    this.frame = frame;
    this.place = "sdlab gallery " + nameOf(frame.keys);
    this.said = new Map();                                 // cell -> {starred, note, time}
    this.kept = true;
    try {
      const found = JSON.parse(localStorage.getItem(this.place) ?? "[]");
      for (const [i, said] of found) if (i < frame.count) this.said.set(i, said);
    } catch { this.kept = false; }
  }

  starred(i) { return this.said.get(i)?.starred ?? false; }
  note(i) { return this.said.get(i)?.note ?? ""; }
  get stars() { return [...this.said.values()].filter((said) => said.starred).length; }
  get notes() { return [...this.said.values()].filter((said) => said.note).length; }

  say(i, change) {
    this.said.set(i, { ...this.said.get(i), ...change, time: new Date().toISOString() });
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.said]));
    } catch { this.kept = false; }                         // a browser may refuse it to a file
  }

  // A JSON object a line.
  get lines() {
    const lines = [];
    for (const [i, { starred, note, time }] of this.said) {
      const key = this.frame.keys[i];
      if (!key) continue;                                  // a store would not know whose it is
      if (starred !== undefined) lines.push({ time, key, starred });
      if (note) lines.push({ time, key, question: NOTE, answer: note });
      else if (note === "") lines.push({ time, key, question: NOTE, undone: true });
    }
    return lines.map((line) => JSON.stringify(line) + "\n").join("");
  }
}

// A number that changes with the pictures (FNV-1a, 32 bits).
function nameOf(keys) {
  let hash = 0x811c9dc5;
  for (const letter of keys.join()) {
    hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  }
  return (hash >>> 0).toString(16);
}

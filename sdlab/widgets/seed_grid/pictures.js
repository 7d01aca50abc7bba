// What the page has of the cells' pictures, and how it gets more.

const BATCH = 50;             // pictures in a question

class Pictures {
  constructor(model, line) {
    Object.assign(this, { model, line, asking: false });
    this.thumbs = new Urls();
    this.sketches = new Urls(200);
    this.tips = new Map();
    this.errors = new Map();
    this.varied = new Map();                               // variation -> {of, seed}
  }

  state(i) { return this.model.get("states")[i]; }

  lacks(i) {
    const told = this.thumbs.get(i) || this.errors.has(i);
    return !told && (this.state(i) === THERE || this.state(i) === FAILED);
  }

  get px() {
    const wide = Math.ceil(this.model.get("cell_px") * devicePixelRatio / 64) * 64;
    return Math.min(256, wide);
  }

  // After a change of size: smaller ones are asked for anew.
  grow() {
    if (this.px > (this.have ?? this.px)) this.thumbs.clear();
  }

  // Asks for those of these cells that lack a picture; a promise whether some have come.
  async ask(cells) {
    if (this.asking) return false;
    const lacking = cells.filter((i) => this.lacks(i)).slice(0, BATCH);
    if (!lacking.length) return false;
    this.asking = true;
    this.have = this.px;
    const { message } = await this.line.ask("want", { cells: lacking, px: this.px });
    this.asking = false;
    return message.kind === "cells";
  }

  // Takes what Python has sent of some cells.
  take(cells, buffers) {
    let next = 0;
    for (const { i, tip, error, picture } of cells) {
      if (tip) this.tips.set(i, tip);
      if (error) this.errors.set(i, error);
      if (!picture) continue;
      this.thumbs.set(i, blobUrl(buffers[next++]));
      this.sketches.drop(i);
      this.errors.delete(i);
    }
  }

  clear() {
    this.thumbs.clear();
    this.sketches.clear();
  }
}

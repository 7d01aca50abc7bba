// The pairs that the page has: the one that is seen, and some of its neighbours.

const isPrompt = ([name]) => name === "prompt";

class Pair {
  // `told` is what Python has said of it; a picture that is missing has no URL.
  constructor(model, { place, deal, told, urls }) {
    Object.assign(this, { model, place, deal, told, urls });
    const own = { className: "sdl-compare-picture", draggable: false };
    this.images = urls.map((url) => h("img", { ...own, ...(url ? { src: url } : {}) }));
  }

  async decode() {
    await Promise.all(this.images.map((image) => image.decode().catch(() => null)));
    this.sizes = this.images.map(({ naturalWidth, naturalHeight }) =>
      ({ width: naturalWidth, height: naturalHeight }));
    return this;
  }

  get title() { return `pair ${this.place + 1} of ${this.model.get("voted").length}`; }

  alt(k) {
    const { names, lacking, seen, shared } = this.told, side = sideName(k);
    const whose = names[k] ? `${side}: ${names[k]}` : `${side} picture`;
    const same = shared.map(([what, value]) => `${what} ${value}`);
    return [whose, lacking[k], ...same, seen?.[k]].filter(Boolean).join(", ");
  }

  // What stands in both pictures, as far as it is known.
  get found() {
    const seen = this.told.seen ?? [];
    return seen.map((text, k) => text && `${sideName(k)}: ${text}`).filter(Boolean).join("; ");
  }

  // What is read out of it: the prompt, and what else sets it apart.
  get words() {
    const { shared, more } = this.told, prompt = [...shared, ...more].filter(isPrompt);
    const others = shared.filter((fact) => !isPrompt(fact)).map((fact) => fact.join(" "));
    return [...prompt.map(([, text]) => text), ...others].join(", ");
  }

  free() { for (const url of this.urls) if (url) URL.revokeObjectURL(url); }
}

class Pairs {
  // `described(pair)` is called when what stands in its pictures came after them.
  constructor(model, line, described) {
    Object.assign(this, { model, line, described });
    this.promises = new Map();           // place -> promise of a pair, or of null: none any more
  }

  load(n) {
    if (!this.promises.has(n)) this.promises.set(n, this.ask(n, this.model.get("deal")));
    return this.promises.get(n);
  }

  async ask(n, deal) {
    const { message: told, buffers } = await this.line.ask("pair", { n, deal });
    if (told.kind !== "pair" || told.deal !== this.model.get("deal")) return null;
    const urls = buffers.map((buffer) => (buffer.byteLength ? blobUrl(buffer, "image/png") : null));
    const pair = new Pair(this.model, { place: n, deal, told, urls });
    if (!told.seen) this.describe(pair);
    return pair.decode();
  }

  async describe(pair) {
    const { message } = await this.line.ask("seen", { n: pair.place, deal: pair.deal });
    if (message.kind !== "seen") return;
    pair.told = { ...pair.told, seen: message.seen };
    this.described(pair);
  }

  forget(n) {
    this.promises.get(n)?.then((pair) => pair?.free());
    this.promises.delete(n);
  }

  forgetFar(n, next) {
    for (const place of this.promises.keys())
      if (Math.abs(place - n) > 2 && place !== next) this.forget(place);
  }

  clear() { for (const place of this.promises.keys()) this.forget(place); }
}

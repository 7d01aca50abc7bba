// Two pictures of one size on the page, seen in one of four ways. The stage knows nothing of votes.

const sideName = (k) => (k ? "right" : "left");

class Stage {
  // `room()` is how wide and how high it may be, `difference(n, deal, gain)` asks for that picture,
  // and `said(name, value)` is told of what the reader has set.
  constructor({ room, difference, said }) {
    Object.assign(this, { room, pair: null, mode: "swipe" });
    this.names = [0, 1].map((k) =>
      h("span", { className: "sdl-compare-name", "data-side": sideName(k) }));
    this.panes = ["left", "right", "difference"].map((name) =>
      h("div", { className: `sdl-compare-pane sdl-compare-${name}` }));
    this.swipe = new Swipe(this);
    this.blink = new Blink(this);
    this.difference = new Difference(this, difference, said);
    this.panes[2].append(this.difference.image);
    this.pictures = h("div", { className: "sdl-compare-pictures" }, ...this.panes, this.swipe.edge);
    this.glass = new Glass(this);
    this.head = h("div", { className: "sdl-compare-names" }, ...this.names);
    this.element = h("div", { className: "sdl-compare-stage", tabIndex: 0, role: "group" },
      this.head, this.pictures);
    this.words = describe(this.element);
    this.element.append(this.words);
    this.controls = {
      swipe: this.swipe.control, "side by side": h("div", { className: "sdl-compare-control" }),
      blink: this.blink.control, difference: this.difference.control };
    this.listen();
  }

  show(pair) {
    this.pair = pair;
    pair.images.forEach((image, k) => this.panes[k].replaceChildren(image));
    this.name();
    this.difference.reset();
    this.layOut();
    this.difference.look();
  }

  // Says whose pictures they are, as far as is known.
  name() {
    const { pair } = this, [one, other] = pair.sizes;
    const unequal = one.width !== other.width || one.height !== other.height;
    this.names.forEach((node, k) => {
      const { width, height } = pair.sizes[k], known = pair.told.names[k];
      const size = known && unequal && width
        ? h("span", { className: "sdl-compare-size", textContent: ` ${width}×${height}` }) : "";
      node.replaceChildren(h("b", { textContent: known || sideName(k) }), size);
      pair.images[k].alt = pair.alt(k);
    });
    this.element.setAttribute("aria-label", pair.title);
    this.words.textContent = pair.found;
  }

  layOut() {
    if (!this.pair) return;
    const { panes, element, pictures, glass, pair } = this, abreast = this.mode === "side by side";
    const longest = pair.sizes.map(({ width, height }) => Math.max(width, height, 1));
    const [room, high] = this.room(), wide = abreast ? (room - APART) / 2 : room;
    const side = fit(...longest, mostRoom(longest, wide, high));
    const largest = (name) =>
      Math.max(...pair.sizes.map((size, k) => size[name] * side / longest[k])) || side;
    const width = largest("width"), height = largest("height");
    panes.forEach((pane, k) => {
      Object.assign(pane.style, { width: width + "px", height: height + "px" });
      const pixels = glass.times * side / (longest[k] ?? Math.min(...longest));
      pane.firstChild.classList.toggle("sdl-pixels", pixels >= 2);
    });
    element.style.width = (abreast ? 2 * width + APART : width) + "px";
    pictures.style.height = height + "px";
    this.swipe.input.style.width = width + "px";
    this.swipe.cut();
  }

  setMode(name) {
    this.mode = name;
    this.element.dataset.mode = name;
    for (const [own, control] of Object.entries(this.controls)) control.hidden = own !== name;
    this.blink.pause();
    this.blink.showSide("left");
    this.layOut();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (name === "blink" && !still) this.blink.start();
    this.difference.look();
  }

  listen() {
    const { pictures, swipe, glass } = this;
    pictures.addEventListener("pointerdown", (event) => {
      if (this.mode === "swipe") pictures.setPointerCapture(event.pointerId);
      swipe.drag(event);
    });
    pictures.addEventListener("pointermove", (event) => {
      swipe.drag(event);
      if (!(this.mode === "swipe" && event.buttons & 1)) glass.point(event);
    });
    pictures.addEventListener("dragstart", (event) => event.preventDefault());
  }

  end() {
    this.blink.pause();
    this.difference.forget();
  }
}

// The picture, or the pair, that is asked about. The stage knows nothing but pixels.

class Stage {
  // `room()` is how wide and how high it may become.
  constructor(room) {
    Object.assign(this, { room, images: [], urls: [] });
    this.pictures = h("div", { className: "sdl-judge-pictures" });
    this.element = h("div", { className: "sdl-judge-stage", tabIndex: 0, role: "group" },
      this.pictures);
    this.words = describe(this.element);
    this.element.append(this.words);
  }

  // Resolves when the pictures can be seen.
  async show(title, buffers) {
    const urls = buffers.map((data) => (data.byteLength ? blobUrl(data, "image/png") : null));
    const names = buffers.length > 1 ? ["left picture", "right picture"] : ["picture"];
    const images = urls.map((url, k) => {
      return h("img", { className: "sdl-judge-picture", draggable: false,
        alt: names[k], ...(url ? { src: url } : {}) });
    });
    await Promise.all(images.map((image) => image.decode().catch(() => null)));
    this.free();
    Object.assign(this, { images, urls, names });
    this.element.setAttribute("aria-label", title);
    this.pictures.replaceChildren(...images.map((image, k) => this.frame(image, names[k])));
    this.layOut();
  }

  // What stands in each picture, for those who do not see it; also read out with the picture.
  describe(seen) {
    const { names } = this;
    this.images.forEach((image, k) => {
      const lost = image.hasAttribute("src") ? "" : "which cannot be read";
      image.alt = [names[k], lost, seen[k]].filter(Boolean).join(", ");
    });
    const whose = (k) => (names[1] ? `${names[k]}: ` : "");
    this.words.textContent =
      seen.map((text, k) => text && whose(k) + text).filter(Boolean).join("; ");
    return this.words.textContent;
  }

  frame(image, name) {
    const side = this.images.length > 1 ? name.split(" ")[0] : "";
    const lost = image.hasAttribute("src") ? "" : "This picture cannot be read.";
    return h("div", { className: "sdl-judge-pane" }, side ? h("b", { textContent: side }) : "",
      image, lost);
  }

  layOut() {
    const { images } = this;
    if (!images.length) return;
    const sizes = images.map(({ naturalWidth: width, naturalHeight: height }) =>
      ({ width, height, longest: Math.max(width, height, 1) }));
    const longest = sizes.map((size) => size.longest), gaps = (images.length - 1) * APART;
    const [room, high] = this.room(), wide = (room - gaps) / images.length;
    const side = fit(longest[0], longest.at(-1), mostRoom(longest, wide, high));
    images.forEach((image, k) => {
      const times = side / longest[k];
      image.style.width = Math.max(sizes[k].width * times, 1) + "px";
      image.style.height = Math.max(sizes[k].height * times, 1) + "px";
      image.classList.toggle("sdl-pixels", times >= 2);
    });
  }

  free() {
    for (const url of this.urls) if (url) URL.revokeObjectURL(url);
    Object.assign(this, { images: [], urls: [] });
  }
}

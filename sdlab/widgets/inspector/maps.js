// Three pictures of one: itself, where the mark is in it, and what the mark changes; any of them opens large.
//
// page -> Python  view {cell, what, payload}: "own", "residue", "evidence", "difference"
// Python -> page  view {caption, legend: [[colour, words]]} + a buffer, or view {error}

const KEPT = 40;                                           // pictures

function threeViews({ model, line }) {
  const known = new Map();                                 // cell/what/payload/search -> {url, caption, legend, error}
  let kind = "residue", now = null, turn = 0;

  const payload = h("select", { "aria-label": "payload of the maps" });
  for (const name of model.get("payload_names")) payload.append(h("option", { value: name, textContent: name.length > 40 ? name.slice(0, 39) + "…" : name }));
  const kinds = { residue: "bit by bit", evidence: "smoothed" };
  const toggles = Object.entries(kinds).map(([name, text]) => button(text, () => { kind = name; draw(); }, { value: name }));
  const figures = { own: figure(), map: figure(), difference: figure() };
  const large = h("img", { alt: "" }), words = h("p", { className: "sdl-caption-large" });
  const shut = button("Close", () => dialog.close());
  const dialog = h("dialog", { className: "sdl-dialog", "aria-label": "enlarged" }, shut, h("div", {}, large), words);
  const element = h("div", { className: "sdl-views" },
    h("div", { className: "sdl-bar" }, h("label", {}, "maps of", payload), h("span", { role: "group", "aria-label": "kind of map", className: "sdl-bar" }, "map", ...toggles)),
    h("div", { className: "sdl-three" }, ...Object.values(figures).map(({ box }) => box)), dialog);
  payload.onchange = () => draw();
  large.onload = () => {
    large.classList.toggle("sdl-pixels", large.naturalWidth < 1024);
    const most = Math.min(innerWidth * 0.9 / large.naturalWidth, innerHeight * 0.75 / large.naturalHeight);
    large.width = large.naturalWidth * (most >= 1 ? Math.min(3, Math.floor(most)) : most);
  };
  dialog.addEventListener("keydown", (event) => event.stopPropagation());

  function figure() {
    const img = h("img", { alt: "", draggable: false });
    const opener = h("button", { type: "button", className: "sdl-opener" }, img);
    const caption = h("figcaption", {}), key = h("ul", { className: "sdl-legend" });
    const box = h("figure", {}, opener, caption, key);
    opener.onclick = () => {
      [large.src, large.alt, words.textContent] = [img.src, img.alt, caption.textContent];
      dialog.showModal();
    };
    img.onload = () => img.classList.toggle("sdl-pixels", img.naturalWidth < 300);
    return { box, img, opener, caption, key };
  }

  // Shows a picture, at first with the maps of its best payload.
  function show(cell, search, best) {
    if (now?.cell !== cell || now?.search !== search) {
      now = { cell, search };
      if (best) payload.value = best;
    }
    element.hidden = false;
    draw();
  }

  async function draw() {
    const mine = ++turn, { cell, search } = now;
    for (const toggle of toggles) toggle.setAttribute("aria-pressed", toggle.value === kind);
    const missing = [];
    for (const [place, what] of [["own", "own"], ["map", kind], ["difference", "difference"]]) {
      const name = [cell, what, what === "own" ? "" : payload.value, search].join("/");
      if (known.has(name)) fill(figures[place], known.get(name)); else missing.push([place, what, name]);
    }
    if (missing.length) await new Promise((go) => setTimeout(go, 120));   // somebody is leafing through
    for (const [place, what, name] of missing) {
      if (mine !== turn) return;
      figures[place].box.classList.add("sdl-busy");
      const { message, buffers } = await line.ask("view", { cell, what, payload: payload.value });
      keep(name, { ...message, url: buffers.length ? blobUrl(buffers[0]) : "" });
      if (mine === turn) fill(figures[place], known.get(name));
    }
  }

  function keep(name, found) {
    known.set(name, found);
    const shown = Object.values(figures).map(({ img }) => img.src);
    for (const [oldest, { url }] of known) {
      if (known.size <= KEPT) return;
      if (shown.includes(url) || oldest === name) continue;
      URL.revokeObjectURL(url);
      known.delete(oldest);
    }
  }

  function fill({ box, img, opener, caption, key }, { url, caption: text, legend = [], error }) {
    box.classList.remove("sdl-busy");
    opener.hidden = !url;
    if (url) img.src = url;
    img.alt = text ?? "";
    opener.setAttribute("aria-label", `enlarge: ${text}`);
    caption.textContent = text ?? error ?? "";
    key.replaceChildren(...legend.map(([colour, meaning]) => {
      const swatch = h("span", { className: "sdl-swatch" });
      swatch.style.background = colour;
      return h("li", {}, swatch, meaning);
    }));
  }

  const clear = () => { for (const { url } of known.values()) URL.revokeObjectURL(url); };
  return { element, show, clear, hide: () => { element.hidden = true; turn++; } };
}

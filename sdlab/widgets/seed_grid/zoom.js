// One picture of the grid in a dialog, with its recipe, and what can be done with it.

const NEEDS_RECIPE = { className: "sdl-button sdl-needs-recipe", "aria-disabled": "true" };   // until it has come

function zoomDialog({ line, set, thumbs, errors, varied, rate, opinion, caption, state, neighbour, closed }) {
  const dialog = h("dialog", { className: "sdl-dialog sdl-zoom", "aria-label": "one picture and its recipe" });
  const notice = h("div", { className: "sdl-notice", role: "status", hidden: true });   // the panel's own is behind the dialog
  const say = (text) => { notice.textContent = text; notice.hidden = !text; };
  line.notices.add(say);
  let zoomed = -1, url = null, recipe = "", code = "", showOpinion = () => {};

  async function open(i) {
    if (state(i) !== THERE && state(i) !== FAILED && !varied.has(i)) return;
    zoomed = i;
    set("opened", i);
    const alt = varied.has(i) ? `seed ${varied.get(i).seed}` : caption(i);
    const picture = h("img", { className: "sdl-zoomed", src: thumbs.get(i) ?? "", alt, hidden: !thumbs.get(i) });
    const table = h("div", { className: "sdl-zoom-facts", tabIndex: 0, role: "region", "aria-label": "recipe" }, "…");
    picture.onload = () => enlarge(picture);
    say("");
    dialog.replaceChildren(notice,
      h("div", { className: "sdl-zoom-columns" }, picture, h("div", { className: "sdl-zoom-side" }, h("div", { className: "sdl-zoom-title", textContent: alt }), tools(i), table)),
      h("div", { className: "sdl-strip" }));
    if (!dialog.open) dialog.showModal(); else dialog.querySelector("button").focus();
    showVariations(zoomed);
    const { message, buffers } = await line.ask("full", { cell: i });
    if (zoomed !== i) return;
    if (message.kind === "error") return void table.replaceChildren(message.text);
    ({ recipe, code } = message);
    for (const node of dialog.querySelectorAll(".sdl-needs-recipe")) able(node, Boolean(recipe));
    table.replaceChildren(facts(message.facts));
    if (!buffers.length) return;
    forget();
    picture.src = url = blobUrl(buffers[0], message.mime);
    picture.hidden = false;
  }

  function enlarge(picture) {                              // by a whole number, while it fits
    const times = Math.max(1, Math.floor(Math.min(512, innerWidth / 2) / Math.max(picture.naturalWidth, picture.naturalHeight)));
    picture.style.width = picture.naturalWidth * times + "px";
    picture.classList.toggle("sdl-pixels", times > 1);
  }

  function tools(i) {
    recipe = code = "";
    const copyRecipe = button("copy recipe", () => copyText(recipe, copyRecipe), NEEDS_RECIPE);
    const copyCode = button("copy code", () => copyText(code, copyCode), NEEDS_RECIPE);
    const close = button("close", shut);
    if (varied.has(i)) return h("div", { className: "sdl-bar" }, button("back", () => open(varied.get(i).of)), copyRecipe, copyCode, close);
    const vary = button("vary this seed", () => line.ask("vary", { cell: i }), { ...NEEDS_RECIPE, title: "render the same recipe with eight other seeds" });
    return h("div", { className: "sdl-bar" }, ...opinionButtons(i), copyRecipe, copyCode, vary, close);
  }

  function opinionButtons(i) {
    const star = button("", () => rate(i, { starred: !opinion().starred(i) }), { title: "S" });
    const ratings = [1, 2, 3, 4, 5].map((n) => button(String(n), () => rate(i, { rating: opinion().rating(i) === n ? null : n }), { title: `rate ${n} of 5` }));
    showOpinion = () => {
      star.textContent = opinion().starred(i) ? "★ starred" : "☆ star";
      star.setAttribute("aria-pressed", opinion().starred(i));
      ratings.forEach((node, n) => node.setAttribute("aria-pressed", opinion().rating(i) === n + 1));
    };
    showOpinion();
    return [star, h("div", { role: "group", className: "sdl-ratings", "aria-label": "rating" }, ...ratings)];
  }

  function showVariations(of) {
    const ours = [...varied].filter(([, variation]) => variation.of === of);
    if (of !== zoomed || !ours.length) return;
    dialog.querySelector(".sdl-strip").replaceChildren(h("div", { textContent: "The same recipe with other seeds" }), ...ours.map(([i, { seed }]) => {
      const box = h("button", { type: "button", className: "sdl-variation sdl-picture", onclick: () => open(i), "aria-label": `the same with seed ${seed}` },
        h("img", { alt: "", className: "sdl-pixels" }), h("span", { textContent: `seed ${seed}` }));
      box.dataset.i = i;
      return box;
    }));
    for (const [i] of ours) paintVariation(i);
  }

  function paintVariation(i) {
    const box = dialog.querySelector(`.sdl-variation[data-i="${i}"]`);
    if (box && thumbs.get(i)) box.firstChild.src = thumbs.get(i);
    else if (box && errors.get(i)) Object.assign(box.lastChild, { textContent: `seed ${varied.get(i).seed} failed`, title: errors.get(i) });
  }

  const step = (by) => { const next = neighbour(zoomed, by); if (next !== undefined) open(next); };
  const rateZoomed = (change) => { if (!varied.has(zoomed)) rate(zoomed, change); };
  onKeys(dialog, {
    ArrowRight: () => step(1), ArrowLeft: () => step(-1), Escape: shut,
    s: () => rateZoomed({ starred: !opinion().starred(zoomed) }),
    ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((n) => [n, () => rateZoomed({ rating: n || null })])),
  });
  function shut() {
    if (zoomed < 0) return;
    const last = varied.get(zoomed)?.of ?? zoomed;
    zoomed = -1;
    dialog.close();                                        // puts the focus back where it was; `closed`, on the last picture
    set("opened", -1);
    closed(last);
  }
  dialog.addEventListener("close", shut);
  dialog.addEventListener("click", (event) => {            // on the backdrop, not on the dialog's own edge
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    const inside = event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
    if (event.target === dialog && !inside) shut();
  });

  const forget = () => { if (url) URL.revokeObjectURL(url); url = null; };
  return { dialog, open, showVariations, paintVariation, showOpinion: () => showOpinion(), forget };
}

// The page of SeedGrid: only the cells in sight are in the page, and only their pictures are asked for.
//
// page -> Python  want {cells, px}, full {cell}, rate {cell, starred?, rating?}, vary {cell}, stop
// Python -> page  cells {cells: [{i, tip, error?, picture}]} + a buffer for each picture,
//                 sketches {cells: [i]} + buffers, full {cell, facts, recipe, code} + a buffer, varied {of, cells: [{i, seed}]}

const BATCH = 50;                                          // pictures in a question

function render({ model, el, line, root }) {
  const get = (name) => model.get(name);
  const set = (name, value) => { if (get(name) !== value) { model.set(name, value); model.save_changes(); } };
  const places = get("places"), cell = get("cell_px");
  const thumbs = new Urls(), sketches = new Urls(200), tips = new Map(), errors = new Map();
  const varied = new Map();                                // variation -> {of, seed}

  // ---- the parts of the page
  const progress = h("progress", { max: 1, "aria-label": "share of the cells that is done" });
  const status = h("span", { role: "status" });
  const stop = button("Stop", () => { line.ask("stop"); able(stop, false); status.textContent = "stopping …"; }, { title: "ends within a step; what is finished is kept, what is under way is not" });
  const starredOnly = h("input", { type: "checkbox", checked: get("only_starred") });
  const count = h("span", {});
  const sliders = h("div", { className: "sdl-bar", hidden: !places.sliders.length }, ...places.sliders.map((axis, k) => slider(axis, get("where")[k] ?? 0, (value) =>
      set("where", places.sliders.map((_, n) => (n === k ? value : get("where")[n] ?? 0))))));
  const grid = h("div", { className: "sdl-grid", role: "grid", "aria-label": get("title") });
  const head = h("div", { className: "sdl-grid-head", role: "row", "aria-rowindex": "1" });
  const body = h("div", { className: "sdl-grid-body", role: "rowgroup" });
  const recipe = h("div", { className: "sdl-recipe" });
  const tip = h("div", { className: "sdl-tip", hidden: true });
  const code = codeBlock(undefined, async () => (await line.ask("code")).message.code ?? "");
  const dialogPlace = h("span");
  grid.append(h("div", { role: "rowgroup", className: "sdl-grid-top" }, head), body);
  const keysHelp = h("div", { className: "sdl-help" });
  keysHelp.innerHTML = "<kbd>arrows</kbd> move · <kbd>Enter</kbd> zoom · <kbd>S</kbd> star · <kbd>1</kbd> to <kbd>5</kbd> rate, <kbd>0</kbd> clears";
  root.append(
    h("div", { className: "sdl-bar sdl-job" }, progress, status, stop),
    h("div", { className: "sdl-bar" }, h("label", {}, starredOnly, "only starred"), count), sliders,
    h("div", { className: "sdl-shared", textContent: get("shared") }),
    grid, recipe, keysHelp, code, tip, dialogPlace);

  // ---- what stands where
  let table, current = clamp(get("focused"), 0, places.at.length - 1);
  const opinions = () => {
    const rated = new Map(get("ratings")), starred = new Set(get("starred"));
    return { starred: (i) => starred.has(i), rating: (i) => rated.get(i) ?? 0, stars: starred.size };
  };
  let opinion = opinions();

  function arrange() {
    const width = grid.clientWidth, page = settingOf(places, get("where"));
    if (places.rows.length && !starredOnly.checked) return crossed(places, page, width, cell);
    const here = (place) => !places.rows.length || Math.floor(place / page.size) === page.number;
    const shown = [...places.at.keys()].filter((i) => here(places.at[i]) && (!starredOnly.checked || opinion.starred(i)));
    return inOrder(shown, shortCaption, width, cell);
  }

  const captionsShare = common(get("captions")), rowsShare = common(places.rows), colsShare = common(places.cols);
  const shortCaption = (i) => folded(get("captions")[i], captionsShare);

  // ---- drawing what is in sight
  const boxes = new Map();                                 // cell -> its element
  const rowsDrawn = new Map();                             // row -> its element
  let widest = 0;

  function rebuild() {
    widest = grid.clientWidth;
    table = arrange();
    const focused = body.contains(root.getRootNode().activeElement);
    boxes.clear();
    rowsDrawn.clear();
    body.replaceChildren();
    grid.setAttribute("aria-rowcount", table.rows + (table.labelled ? 1 : 0));
    grid.setAttribute("aria-colcount", table.cols + (table.labelled ? 1 : 0));
    const width = table.left + table.cols * (cell + GAP) + GAP;
    Object.assign(head.parentNode.style, { height: table.top + "px", width: width + "px" });
    Object.assign(body.style, { height: table.rows * table.height + GAP + "px", width: width + "px" });
    head.parentNode.hidden = !table.labelled;
    body.classList.toggle("sdl-empty", !table.rows);
    if (!table.where(current)) current = table.at(0, 0) ?? current;
    count.textContent = starredOnly.checked ? `${table.shown} starred` : `${opinion.stars} of ${places.at.length} starred`;
    draw();
    recipe.textContent = table.where(current) ? nameOf(current) : "";
    if (focused) table.rows ? go(current) : starredOnly.focus();
  }

  function draw() {
    const spot = table.where(current);
    const first = Math.max(0, Math.floor(grid.scrollTop / table.height) - 1);
    const last = Math.min(table.rows - 1, Math.ceil((grid.scrollTop + grid.clientHeight) / table.height) + 1);
    const left = clamp(Math.floor((grid.scrollLeft) / (cell + GAP)) - 1, 0, table.cols - 1);
    const right = Math.min(table.cols - 1, Math.ceil((grid.scrollLeft + grid.clientWidth) / (cell + GAP)) + 1);
    const wanted = new Set();
    for (let r = first; r <= last; r++) wanted.add(r);
    if (spot) wanted.add(spot[0]);                         // the focused cell stays in the page, wherever it is scrolled
    for (const [r, row] of rowsDrawn) if (!wanted.has(r)) { row.remove(); rowsDrawn.delete(r); }
    for (const [i, box] of boxes) {
      const [r, c] = table.where(i);
      if (!wanted.has(r) || ((c < left || c > right) && i !== current)) { box.remove(); boxes.delete(i); }
    }
    for (const r of [...wanted].sort((a, b) => a - b)) drawRow(r, left, right, spot);
    if (table.labelled) drawHead(left, right);
    askForPictures(first, last, left, right);
  }

  function drawRow(r, left, right, spot) {
    if (!rowsDrawn.has(r)) {
      const row = h("div", { role: "row", className: "sdl-row", "aria-rowindex": String(r + (table.labelled ? 2 : 1)) });
      Object.assign(row.style, { top: r * table.height + GAP + "px", height: table.height - GAP + "px" });
      if (table.labelled) row.append(labelBox("rowheader", places.rows[r], rowsShare, `width:${table.left}px`));
      const after = [...rowsDrawn.keys()].filter((n) => n < r).sort((a, b) => b - a)[0];   // rows stay in reading order
      rowsDrawn.set(r, row);
      after === undefined ? body.prepend(row) : rowsDrawn.get(after).after(row);
    }
    const columns = [];
    for (let c = left; c <= right; c++) columns.push(c);
    if (spot && spot[0] === r && (spot[1] < left || spot[1] > right)) columns.push(spot[1]);
    for (const c of columns) {
      const i = table.at(r, c);
      if (i === undefined || boxes.has(i)) continue;
      const box = drawCell(i, c);
      const next = [...rowsDrawn.get(r).querySelectorAll(".sdl-cell")].find((other) => +other.getAttribute("aria-colindex") > +box.getAttribute("aria-colindex"));
      next ? next.before(box) : rowsDrawn.get(r).append(box);
    }
  }

  function drawHead(left, right) {
    const labels = [];
    for (let c = left; c <= right; c++) {
      const node = labelBox("columnheader", places.cols[c], colsShare, `left:${table.left + GAP + c * (cell + GAP)}px;width:${cell}px`);
      node.setAttribute("aria-colindex", c + 2);
      labels.push(node);
    }
    head.replaceChildren(cornerBox(places, rowsShare, table.left), ...labels);
  }

  function drawCell(i, c) {
    const box = cellBox(i, c + (table.labelled ? 2 : 1), table.caption ? shortCaption(i) : "", get("captions")[i], cell);
    box.tabIndex = i === current ? 0 : -1;
    Object.assign(box.style, { left: table.left + GAP + c * (cell + GAP) + "px", width: cell + "px", height: table.height - GAP + "px" });
    boxes.set(i, box);
    paint(i);
    return box;
  }

  const stateOf = (i) => get("states")[i];
  const nameOf = (i) => nameOfCell(get("captions")[i] || `picture ${i + 1}`, stateOf(i), opinion.starred(i), opinion.rating(i));

  function paint(i) {
    if (boxes.has(i)) paintCell(boxes.get(i), {
      thumb: thumbs.get(i), sketch: sketches.get(i), state: stateOf(i), error: errors.get(i), name: nameOf(i),
      starred: opinion.starred(i), rating: opinion.rating(i) });
  }

  // ---- pictures
  let asking = false;
  async function askForPictures(first, last, left, right) {
    if (asking) return;
    const lacking = [];
    for (let r = first; r <= last && lacking.length < BATCH; r++)
      for (let c = left; c <= right && lacking.length < BATCH; c++) {
        const i = table.at(r, c);
        const known = i === undefined || thumbs.get(i) || errors.has(i);
        if (!known && (stateOf(i) === THERE || stateOf(i) === FAILED)) lacking.push(i);
      }
    if (!lacking.length) return;
    asking = true;
    const { message } = await line.ask("want", { cells: lacking, px: Math.min(256, Math.ceil(cell * devicePixelRatio / 64) * 64) });
    asking = false;
    if (message.kind === "cells") draw();                  // asks for what came in sight meanwhile
  }

  const receive = (message, buffers) => {
    if (message.kind === "cells") {
      let next = 0;
      for (const { i, tip, error, picture } of message.cells) {
        if (tip) tips.set(i, tip);
        if (error) errors.set(i, error);
        if (picture) { thumbs.set(i, blobUrl(buffers[next++])); sketches.drop(i); errors.delete(i); }
        paint(i);
        if (varied.has(i)) zoom.paintVariation(i);
      }
    } else if (message.kind === "sketches") {
      message.cells.forEach((i, k) => { if (!thumbs.get(i) && boxes.has(i)) { sketches.set(i, blobUrl(buffers[k])); paint(i); } });
    } else if (message.kind === "varied") {
      for (const { i, seed } of message.cells) varied.set(i, { of: message.of, seed });
      zoom.showVariations(message.of);
    }
  };
  line.listeners.add(receive);

  const zoom = zoomDialog({ line, set, thumbs, errors, varied, rate, opinion: () => opinion, caption: (i) => get("captions")[i], state: stateOf, closed: go,
    neighbour: (i, by) => inReadingOrder(table, i, by, (other) => stateOf(other) === THERE),
  });
  dialogPlace.replaceWith(zoom.dialog);

  // ---- from the reader to Python
  function rate(i, change) {
    if (i < 0 || i >= places.at.length || stateOf(i) !== THERE) return;
    const stars = new Set(get("starred")), ratings = new Map(get("ratings"));
    if ("starred" in change) change.starred ? stars.add(i) : stars.delete(i);
    if ("rating" in change) change.rating ? ratings.set(i, change.rating) : ratings.delete(i);
    opinion = { starred: (k) => stars.has(k), rating: (k) => ratings.get(k) ?? 0, stars: stars.size };   // until Python has said so
    marks(i);
    line.ask("rate", { cell: i, ...change }).then(() => { opinion = opinions(); marks(i); });   // what Python knows by now
  }

  function marks(i) {
    if (starredOnly.checked && !zoom.dialog.open) rebuild();
    for (const k of i === undefined ? boxes.keys() : [i]) paint(k);
    zoom.showOpinion();
    recipe.textContent = table.where(current) ? nameOf(current) : "";
    count.textContent = starredOnly.checked ? `${table.shown} starred` : `${opinion.stars} of ${places.at.length} starred`;
  }

  function go(i) {
    const spot = i === undefined ? null : table.where(i);
    if (!spot) return;
    const top = spot[0] * table.height, left = spot[1] * (cell + GAP);
    const height = grid.clientHeight - table.top, width = grid.clientWidth - table.left;
    grid.scrollTop = clamp(grid.scrollTop, top + table.height + GAP - height, top);
    grid.scrollLeft = clamp(grid.scrollLeft, left + cell + 2 * GAP - width, left);
    focusOn(i);
    draw();
    boxes.get(i)?.focus({ preventScroll: true });
  }

  function focusOn(i) {
    const before = boxes.get(current);
    if (before) before.tabIndex = -1;
    current = i;
    if (boxes.has(i)) boxes.get(i).tabIndex = 0;
    set("focused", i);
    recipe.textContent = nameOf(i);
  }

  const page = () => Math.max(1, Math.floor((grid.clientHeight - table.top) / table.height) - 1);
  const move = (down, across) => go(beside(table, current, down, across));
  onKeys(grid, {
    ArrowRight: () => move(0, 1), ArrowLeft: () => move(0, -1), ArrowDown: () => move(1, 0), ArrowUp: () => move(-1, 0),
    Home: () => go(endOfRow(table, current, false)), End: () => go(endOfRow(table, current, true)),
    PageDown: () => go(farther(table, current, page())), PageUp: () => go(farther(table, current, -page())),
    Enter: () => zoom.open(current), " ": () => zoom.open(current), s: () => rate(current, { starred: !opinion.starred(current) }),
    ...Object.fromEntries([0, 1, 2, 3, 4, 5].map((n) => [n, () => rate(current, { rating: n || null })])),
  }, (event) => event.target.closest(".sdl-cell"));

  grid.addEventListener("focusin", (event) => {
    const box = event.target.closest(".sdl-cell");
    if (box && +box.dataset.i !== current) focusOn(+box.dataset.i);
  });
  grid.addEventListener("click", (event) => {
    const box = event.target.closest(".sdl-cell"), i = +box?.dataset.i;
    if (!box) return;
    box.focus({ preventScroll: true });
    focusOn(i);
    if (event.target.closest(".sdl-star")) rate(i, { starred: !opinion.starred(i) }); else zoom.open(i);
  });
  grid.addEventListener("pointermove", (event) => {
    const box = event.target.closest(".sdl-cell"), text = box && (tips.get(+box.dataset.i) ?? errors.get(+box.dataset.i));
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { left, top } = root.getBoundingClientRect();
    Object.assign(tip.style, { left: clamp(event.clientX - left + 14, 0, root.clientWidth - 260) + "px", top: event.clientY - top + 16 + "px" });
  });
  grid.addEventListener("pointerleave", () => { tip.hidden = true; });

  let drawing = 0;
  grid.addEventListener("scroll", () => { cancelAnimationFrame(drawing); drawing = requestAnimationFrame(draw); });
  const sized = new ResizeObserver(() => { if (grid.clientWidth !== widest) rebuild(); });
  sized.observe(grid);

  // ---- from Python to the page
  const job = () => {
    progress.parentNode.hidden = get("state") === "still";
    progress.value = get("fraction");
    status.textContent = get("status");
    able(stop, get("state") === "running");
    if (get("state") !== "running") sketches.clear();
  };
  const changed = {
    states: () => { for (const i of boxes.keys()) paint(i); recipe.textContent = table.where(current) ? nameOf(current) : ""; draw(); },
    starred: () => { opinion = opinions(); marks(); }, ratings: () => { opinion = opinions(); marks(); },
    where: () => { sliders.childNodes.forEach((node, k) => node.show(get("where")[k] ?? 0)); rebuild(); }, state: job, status: job, fraction: job, recoded: () => code.renew(),
    focused: () => { if (get("focused") !== current) focusOn(clamp(get("focused"), 0, places.at.length - 1)); },
    only_starred: () => { starredOnly.checked = get("only_starred"); rebuild(); },
  };
  starredOnly.onchange = () => set("only_starred", starredOnly.checked);
  for (const [name, act] of Object.entries(changed)) model.on(`change:${name}`, act);
  job();
  rebuild();
  return () => {
    line.listeners.delete(receive);
    for (const [name, act] of Object.entries(changed)) model.off(`change:${name}`, act);
    sized.disconnect();
    thumbs.clear();
    sketches.clear();
    zoom.forget();
  };
}

export default panel("seedgrid", render);

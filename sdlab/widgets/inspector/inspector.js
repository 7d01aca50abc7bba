// The page of WatermarkInspector: files come in at the top, the list is at the left, the chosen picture's answer beside it.
//
// page -> Python  want {cells, px}, tell {cell}, inspect {cells?, search}, stop, resume; and those of inspector_files.js, inspector_maps.js
// Python -> page  thumbnails {cells, shown} + a buffer for each that is shown, told {name, headline, sentences, rows, marks, best, ...}

const BATCH = 50, LONG = 100;                             // thumbnails in a question; letters of a name that the list shows whole
const UNREAD = "x", MARKED = "+", UNTESTED = "?", BUSY = ".~";
const SEARCHES = { all: "cropped, resized or mirrored", crop: "cropped", size: "resized" };

// A name for the list. A very long one without what all share, and if need be without its middle: names differ at their ends.
function brief(name, shared) {
  if (name.length <= LONG) return name;
  const rest = folded(name, shared);
  return rest.length <= LONG ? rest : `${rest.slice(0, LONG / 2)} … ${rest.slice(-LONG / 2)}`;
}

function render({ model, line, root }) {
  const get = (name) => model.get(name);
  const thumbs = new Urls(1500), asked = new Set();
  const files = arrivals({ model, line, whole: root, added: (cell, first) => { if (first) choose(cell, false); } });
  const views = threeViews({ model, line });

  // ---- the parts of the page
  const progress = h("progress", { max: 1, "aria-label": "share of the pictures that is tested" });
  const status = h("span", { role: "status" });
  const ask = (kind, content) => { rows[chosen()]?.box.focus({ preventScroll: true }); line.ask(kind, content); };   // the button goes away
  const stop = button("Stop", () => { ask("stop"); stop.disabled = true; });
  const resume = button("Go on", () => ask("resume"));
  const how = h("select", {}, ...Object.entries(SEARCHES).map(([value, text]) => h("option", { value, textContent: text })));
  const searchOne = button("Search this picture", () => ask("inspect", { cells: [chosen()], search: how.value }));
  const searchAll = button("", () => ask("inspect", { search: how.value }), { title: "as if they had been cropped, resized or mirrored; it takes some seconds a picture" });
  const search = h("div", { className: "sdl-bar sdl-search" }, h("label", {}, "Was it", how, "?"), searchOne,
    h("span", { className: "sdl-help", textContent: "It takes some seconds." }));
  const list = h("div", { className: "sdl-list", role: "listbox", "aria-label": "pictures" });
  const headline = h("div", { className: "sdl-headline", role: "heading", "aria-level": "3" });
  const meaning = h("div", { className: "sdl-meaning" });
  const figures = h("div", {}), claims = h("div", {});
  const answer = h("section", { className: "sdl-answer", "aria-label": "the answer" }, headline, meaning, search, figures, claims, views.element);
  const both = h("div", { className: "sdl-both" }, list, answer);
  const code = codeBlock();
  root.append(files.element, h("div", { className: "sdl-bar sdl-work" }, progress, status, stop, resume, searchAll), both, code);

  // ---- the list
  const chosen = () => get("chosen");
  const letter = (i) => get("states")[2 * i] ?? "?";
  const searched = (i) => get("states")[2 * i + 1] ?? "-";
  const rows = [];                                         // {box, img, glyph, words, name, state}

  function grow() {
    const names = get("names");
    for (let i = rows.length; i < names.length; i++) {
      const row = { img: h("img", { alt: "", draggable: false }), glyph: h("span", { className: "sdl-glyph", "aria-hidden": "true" }),
        words: h("span", {}), name: h("span", { className: "sdl-name", title: names[i] }) };
      row.box = h("div", { role: "option", tabIndex: -1, className: "sdl-item" }, h("span", { className: "sdl-thumb" }, row.img),
        h("span", { className: "sdl-text" }, row.name, h("span", { className: "sdl-verdict" }, row.glyph, row.words)));
      row.box.onclick = () => choose(i);
      row.box.onfocus = () => choose(i, false);
      row.img.hidden = true;
      rows.push(row);
      list.append(row.box);
    }
    const shared = common(names);
    rows.forEach((row, i) => { row.name.textContent = brief(names[i], shared); });
    both.hidden = code.hidden = !rows.length;
    files.invite();
  }

  function paint() {
    const verdicts = get("verdicts");
    rows.forEach((row, i) => {
      const state = letter(i) + searched(i);
      if (row.state === state) return;
      row.state = state;
      [row.glyph.textContent, row.words.textContent] = verdicts[letter(i)];
      row.box.dataset.verdict = letter(i);
      row.box.setAttribute("aria-label", `${row.name.title}, ${row.words.textContent}`);
      if (i === chosen()) tell();
    });
    const left = rows.filter((_, i) => letter(i) !== MARKED && letter(i) !== UNREAD).length;
    searchAll.textContent = `Search all ${left} that are not marked`;
    searchAll.hidden = rows.length < 2 || !left || get("state") === "running";
  }

  function mark() {
    rows.forEach(({ box }, i) => {
      box.tabIndex = i === Math.max(0, chosen()) ? 0 : -1;
      box.setAttribute("aria-selected", i === chosen());
    });
  }

  async function lookForThumbs() {
    const top = list.scrollTop - 200, end = list.scrollTop + list.clientHeight + 200;
    const near = ({ box }) => box.offsetTop + box.offsetHeight > top && box.offsetTop < end;
    const cells = rows.flatMap((row, i) => (!asked.has(i) && near(row) ? [i] : [])).slice(0, BATCH);
    if (!cells.length || !list.clientHeight) return;       // one that is not seen has no places
    cells.forEach((i) => asked.add(i));
    await line.ask("want", { cells, px: 64 * Math.ceil(devicePixelRatio) });
    lookForThumbs();
  }

  function choose(i, focus = true) {
    if (i < 0 || i >= get("names").length) return;
    if (chosen() !== i) { model.set("chosen", i); model.save_changes(); }
    if (focus) { rows[i]?.box.focus({ preventScroll: true }); }
  }

  function scrollTo(i) {
    const { offsetTop: top, offsetHeight: high } = rows[i]?.box ?? list;
    list.scrollTop = clamp(list.scrollTop, top + high - list.clientHeight, top);
  }

  const step = (by) => choose(clamp(chosen() + by, 0, rows.length - 1));
  const page = () => Math.max(1, Math.floor(list.clientHeight / (list.scrollHeight / rows.length)) - 1);
  onKeys(list, { ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(page()), PageUp: () => step(-page()),
    Home: () => step(-Infinity), End: () => step(Infinity) });

  // ---- the answer
  let turn = 0;
  async function tell() {
    const i = chosen(), mine = ++turn;
    if (i < 0) return;
    search.hidden = letter(i) === MARKED || letter(i) === UNREAD;
    searchOne.disabled = BUSY.includes(letter(i)) || searched(i) === how.value[0];
    const { message } = await line.ask("tell", { cell: i });
    if (mine !== turn || message.kind !== "told") return;
    const glyph = get("verdicts")[letter(i)]?.[0] ?? "";
    headline.replaceChildren(h("span", { className: "sdl-glyph", "aria-hidden": "true", textContent: glyph }), message.headline);
    headline.dataset.verdict = letter(i);
    meaning.replaceChildren(...message.sentences.map((text) => h("p", { textContent: text })));
    const known = Boolean(message.about);
    figures.replaceChildren(...(known ? [h("p", { className: "sdl-about", textContent: `${message.name}: ${message.about}` })] : []),
      ...(message.rows.length ? [table(message)] : []));
    claims.replaceChildren(...(known ? said(message) : []));
    if (known) views.show(i, searched(i), message.best); else views.hide();
  }

  const cells = (tag, texts, props = {}) => texts.map((text) => h(tag, { textContent: text, ...props }));

  function table({ headings, rows: lines }) {
    const head = h("thead", {}, h("tr", {}, ...cells("th", headings, { scope: "col" })));
    const body = lines.map((line) => {
      const [name, ...figures] = line.slice(0, -1);
      return h("tr", { className: line.at(-1) ? "sdl-hit" : "" }, h("th", { scope: "row", textContent: name }), ...cells("td", figures));
    });
    const grid = h("table", { className: "sdl-table", "aria-label": "each payload" }, head, h("tbody", {}, ...body));
    return h("div", { className: "sdl-scroll", tabIndex: 0, role: "region", "aria-label": "payloads" }, grid);
  }

  function said({ marks, has_file }) {
    const title = h("div", { className: "sdl-subtitle", role: "heading", "aria-level": "4", textContent: "What the file says about itself" });
    if (!marks.length) return [title, h("p", { textContent: has_file ? "Nothing about its origin." : "It was given as pixels, without a file." })];
    const lines = marks.map(([program, kind, trust, detail]) => h("li", {}, h("strong", { textContent: program }), ` (${kind}, ${trust}) `,
      h("span", { className: "sdl-detail", textContent: detail })));
    const unsigned = marks.some(([, , trust]) => trust === "unsigned");
    return [title, h("ul", { className: "sdl-claims" }, ...lines),
      ...(unsigned ? [h("p", { className: "sdl-help", textContent: "Unsigned: anybody can write, change or remove it." })] : [])];
  }

  // ---- what changes
  function work() {
    const running = get("state") === "running";
    progress.value = get("fraction");
    progress.hidden = stop.hidden = !running;
    if (!running) stop.disabled = false;
    resume.hidden = running || !rows.some((_, i) => letter(i) === UNTESTED);
    status.textContent = get("status");
    paint();
  }

  const receive = (message, buffers) => {
    if (message.kind !== "thumbnails") return;
    message.shown.forEach((i, k) => {
      thumbs.set(i, blobUrl(buffers[k]));
      asked.add(i);
      if (rows[i]) Object.assign(rows[i].img, { src: thumbs.get(i), hidden: false });
    });
  };
  line.listeners.add(receive);
  how.onchange = () => { searchAll.title = `as if they had been ${SEARCHES[how.value]}; it takes some seconds a picture`; tell(); };
  list.addEventListener("scroll", lookForThumbs);

  const changes = {
    "change:names": () => { grow(); paint(); mark(); lookForThumbs(); },
    "change:states": paint,
    "change:chosen": () => { mark(); scrollTo(chosen()); tell(); },
    "change:state change:status change:fraction": work,
    "change:code": () => code.show(get("code")),
  };
  for (const [names, act] of Object.entries(changes)) { model.on(names, act); act(); }
  const seen = new ResizeObserver(lookForThumbs);
  seen.observe(list);

  return () => {
    for (const [names, act] of Object.entries(changes)) model.off(names, act);
    line.listeners.delete(receive);
    seen.disconnect();
    thumbs.clear();
    views.clear();
  };
}

export default panel("inspector", render);

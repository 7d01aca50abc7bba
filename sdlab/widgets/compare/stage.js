// Two pictures of one size on the page, in one of four ways: {element, show(pair), mode(name), ...}. It knows nothing of votes.

const LARGE = 512;                                         // screen pixels to which small pictures are enlarged
const BLINKS = 1.5;                                        // changes a second; at most 3, so that nothing flashes too fast
const NAMED = { left: 0, right: 1 };

const multiple = (a, b) => { let n = a; while (n % b) n += a; return n; };

// The longest side on the page for pictures whose longest sides are `a` and `b`: a whole multiple of both where there is room.
function fit(a, b, room) {
  const both = multiple(a, b), larger = Math.max(a, b);
  const step = both <= room ? both : larger <= room ? larger : 0;
  return step ? Math.floor(room / step) * step : Math.floor(room);
}

function compareStage({ width: available, difference, said }) {
  const names = [0, 1].map((k) => h("span", { className: "sdl-compare-name", "data-side": k ? "right" : "left" }));
  const panes = ["left", "right", "difference"].map((name) => h("div", { className: `sdl-compare-pane sdl-compare-${name}` }));
  const edge = h("div", { className: "sdl-compare-edge", "aria-hidden": "true" });
  const pictures = h("div", { className: "sdl-compare-pictures" }, ...panes, edge);
  const differing = h("img", { alt: "" });
  panes[2].append(differing);
  const swipe = h("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": "edge between the left and the right picture" });
  const gain = h("input", { type: "range", min: 1, max: 32, step: 1 });
  const gained = h("output"), differs = h("span", { className: "sdl-compare-differs", title: "right minus left" });
  const speed = h("input", { type: "range", min: 0.5, max: 3, step: 0.5, value: BLINKS });
  const speeds = h("output");
  const play = button("pause", () => (timer ? pause() : start()), { title: "Space" });
  const flipped = button("flip", () => { pause(); flip(); }, { title: "F" });
  const controls = {
    swipe: h("div", { className: "sdl-compare-control" }, swipe),
    "side by side": h("div", { className: "sdl-compare-control" }),
    blink: h("div", { className: "sdl-compare-control" }, play, flipped, h("label", {}, "changes a second", speed, speeds)),
    difference: h("div", { className: "sdl-compare-control" }, h("label", {}, "gain", gain, gained), differs),
  };
  const element = h("div", { className: "sdl-compare-stage", tabIndex: 0, role: "group" },
    h("div", { className: "sdl-compare-names" }, ...names), pictures);
  const magnifier = button("", () => magnify(), { title: "Z; then point to a place, or Shift and arrows" });
  let pair = null, mode = "swipe", side = "left", timer = null, url = null, times = 1, spot = [50, 50];

  // ---- the four ways
  function show(next) {
    pair = next;
    pair.images.forEach((image, k) => panes[k].replaceChildren(image));
    name();
    have = "";
    differing.removeAttribute("src");
    differing.alt = "";
    differs.textContent = "";
    layOut();
    if (mode === "difference") askDifference();
  }

  // Says whose pictures they are, as far as is known.
  function name() {
    names.forEach((node, k) => {
      const { width, height } = pair.sizes[k], unequal = pair.sizes[0].width !== pair.sizes[1].width || pair.sizes[0].height !== pair.sizes[1].height;
      const known = pair.told.names[k];
      node.replaceChildren(h("b", { textContent: known || (k ? "right" : "left") }),
        known && unequal && width ? h("span", { className: "sdl-compare-size", textContent: ` ${width}×${height}` }) : "");
      pair.images[k].alt = pair.alts(k);
    });
    element.setAttribute("aria-label", pair.title);
  }

  function layOut() {
    if (!pair) return;
    const wide = available(), gap = 8, longest = pair.sizes.map(({ width, height }) => Math.max(width, height, 1));
    const room = Math.min(clamp(innerHeight * 0.72, 256, 1024), Math.max(LARGE, ...longest));
    const most = Math.max(32, Math.min(room, mode === "side by side" ? (wide - gap) / 2 : wide));
    const side = fit(...longest, most), [one, other] = pair.sizes.map(({ width, height }, k) => [width * side / longest[k], height * side / longest[k]]);
    const [width, height] = [Math.max(one[0], other[0]) || side, Math.max(one[1], other[1]) || side];
    panes.forEach((pane, k) => {
      Object.assign(pane.style, { width: width + "px", height: height + "px" });
      pane.firstChild.classList.toggle("sdl-pixels", times * side / (longest[k] ?? Math.min(...longest)) >= 2);
    });
    element.style.width = (mode === "side by side" ? 2 * width + gap : width) + "px";
    pictures.style.height = height + "px";
    swipe.style.width = width + "px";
    cut();
  }

  function cut() {                                         // the left picture is seen to the left of the edge, the right one to its right
    const share = +swipe.value;
    [`inset(0 ${100 - share}% 0 0)`, `inset(0 0 0 ${share}%)`].forEach((inset, k) => { panes[k].style.clipPath = mode === "swipe" ? inset : ""; });
    edge.style.left = share + "%";
    swipe.setAttribute("aria-valuetext", `left ${share} %, right ${100 - share} %`);
  }

  function setMode(name) {
    mode = name;
    element.dataset.mode = name;
    for (const [own, control] of Object.entries(controls)) control.hidden = own !== name;
    pause();
    showSide("left");
    layOut();
    if (mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches) start();
    if (mode === "difference" && pair) askDifference();
  }

  // ---- a magnifying glass over both
  function magnify(by = times === 4 ? 1 : 2 * times) {
    times = by;
    magnifier.textContent = `magnify: ${times}×`;
    magnifier.setAttribute("aria-label", `magnify, now ${times} times`);
    aim();
    layOut();
  }
  function aim([x, y] = spot) {
    spot = [clamp(x, 0, 100), clamp(y, 0, 100)];
    for (const [name, value] of Object.entries({ "--sdl-times": times, "--sdl-x": spot[0] + "%", "--sdl-y": spot[1] + "%" })) pictures.style.setProperty(name, value);
  }

  // ---- blinking
  function showSide(name) {
    side = name;
    element.dataset.side = name;
    names.forEach((node, k) => node.classList.toggle("sdl-compare-seen", mode === "blink" && k === NAMED[name]));
  }
  const flip = () => showSide(side === "left" ? "right" : "left");
  const say = () => { play.textContent = timer ? "pause" : "play"; speeds.textContent = speed.value; };
  function start() { clearInterval(timer); timer = setInterval(() => { if (!document.hidden) flip(); }, 1000 / clamp(+speed.value, 0.5, 3)); say(); }
  function pause() { clearInterval(timer); timer = null; say(); }

  // ---- the difference, which Python makes
  let asking = false, have = "";
  async function askDifference() {
    if (asking || !pair || mode !== "difference") return;
    const { place, deal } = pair, wanted = +gain.value, name = [deal, place, wanted].join();
    if (have === name) return;
    asking = true;
    const { message, buffers } = await difference(place, deal, wanted);
    asking = false;
    if (!pair || mode !== "difference") return;
    if (pair.place !== place || pair.deal !== deal || +gain.value !== wanted) return void askDifference();
    if (message.kind !== "difference") return void (differs.textContent = message.text ?? "");
    forget();
    have = name;
    differing.src = url = blobUrl(buffers[0], "image/png");
    differing.alt = `right minus left, ${wanted} times as strong: ${message.said}`;
    differs.textContent = `grey: no change · ${message.said}`;
  }
  const forget = () => { if (url) URL.revokeObjectURL(url); url = null; };

  // ---- what the reader does
  swipe.oninput = cut;
  speed.oninput = () => (timer ? start() : say());
  gain.oninput = () => { gained.textContent = `${gain.value}×`; askDifference(); };
  gain.onchange = () => said("gain", +gain.value);
  const drag = (event) => {
    if (mode !== "swipe" || !(event.buttons & 1)) return;
    const { left, width } = pictures.getBoundingClientRect();
    swipe.value = clamp(100 * (event.clientX - left) / width, 0, 100);
    cut();
  };
  pictures.addEventListener("pointerdown", (event) => { if (mode === "swipe") pictures.setPointerCapture(event.pointerId); drag(event); });
  pictures.addEventListener("pointermove", (event) => {
    drag(event);
    if (times === 1 || (mode === "swipe" && event.buttons & 1)) return;
    const { left, top, width, height } = (event.target.closest(".sdl-compare-pane") ?? pictures).getBoundingClientRect();
    aim([100 * (event.clientX - left) / width, 100 * (event.clientY - top) / height]);
  });
  pictures.addEventListener("dragstart", (event) => event.preventDefault());
  say();
  magnify(1);

  return {
    element, magnifier, magnify: () => magnify(),
    look: (x, y) => times > 1 && (aim([spot[0] + 10 * x, spot[1] + 10 * y]), true),   // false: there is nothing to move
    controls: Object.values(controls), show, name, layOut, setMode,
    setGain: (value) => { if (document.activeElement !== gain) gain.value = value; gained.textContent = `${gain.value}×`; askDifference(); },
    toggle: () => (mode === "blink" ? play.click() : undefined), flip: () => { if (mode === "blink") flipped.click(); },
    end: () => { pause(); forget(); },
  };
}

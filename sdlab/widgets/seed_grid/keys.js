// What the reader does with the grid, by keys and by pointer.

const RATINGS = [1, 2, 3, 4, 5];

// Digits rate, and 0 clears; for `onKeys`.
const ratingKeys = (act) =>
  Object.fromEntries([0, ...RATINGS].map((n) => [n, () => act(n || null)]));

const cellOf = (event) => event.target.closest(".sdl-cell");

// For `onKeys`: each key gives its verdict, and takes it back.
const verdictKeys = (act) =>
  Object.fromEntries(VERDICTS.map(([name, , key]) => [key.toLowerCase(), () => act(name)]));

function listenToKeys(view) {
  const { sight, zoom } = view, here = () => sight.current;
  const move = (down, across) => view.go(beside(sight.table, here(), down, across));
  const page = (sign) => view.go(farther(sight.table, here(), sign * sight.rowsInPage));
  onKeys(sight.element, {
    ArrowRight: () => move(0, 1), ArrowLeft: () => move(0, -1),
    ArrowDown: () => move(1, 0), ArrowUp: () => move(-1, 0),
    Home: () => view.go(endOfRow(sight.table, here(), false)),
    End: () => view.go(endOfRow(sight.table, here(), true)),
    PageDown: () => page(1), PageUp: () => page(-1),
    Enter: () => zoom.open(here()), " ": () => zoom.open(here()), s: () => view.toggleStar(here()),
    ...ratingKeys((rating) => view.rate(here(), { rating })),
    ...verdictKeys((verdict) => view.judge(here(), verdict)),
    x: () => view.toggleSelected(here()), v: () => view.beside.open(view.model.get("selected")),
    Delete: () => view.remove(), n: () => view.note(here()),
  }, cellOf);
  onKeys(view.root, { "?": () => view.help.toggle() },
    (event) => !event.target.closest("input, dialog"));
}

function listenToPointer(view) {
  const { sight, zoom } = view;
  sight.element.addEventListener("focusin", (event) => {
    const box = cellOf(event);
    if (box && +box.dataset.i !== sight.current) view.focusOn(+box.dataset.i);
  });
  sight.element.addEventListener("click", (event) => {
    const box = cellOf(event), i = +box?.dataset.i;
    if (!box) return;
    box.focus({ preventScroll: true });
    view.focusOn(i);
    const many = event.shiftKey || event.ctrlKey || event.metaKey;
    if (many || event.target.closest(".sdl-select")) view.toggleSelected(i);
    else if (event.target.closest(".sdl-star")) view.toggleStar(i); else zoom.open(i);
  });
  let drawing = 0, pointer = null;
  sight.element.addEventListener("pointermove", (event) => { view.showTip(pointer = event); });
  const hideTip = () => {                                  // until the pointer moves
    pointer = null;
    view.tip.hidden = true;
  };
  sight.element.addEventListener("pointerleave", hideTip);
  view.root.addEventListener("keydown", hideTip, true);    // it would cover what the keys are about
  sight.element.addEventListener("scroll", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(() => {
      sight.draw();
      if (pointer) view.showTip(pointer);                  // another cell has come under it
    });
  });
}

// What the reader does with the grid, by keys and by pointer.

const RATINGS = [1, 2, 3, 4, 5];

// Digits rate, and 0 clears; for `onKeys`.
const ratingKeys = (act) =>
  Object.fromEntries([0, ...RATINGS].map((n) => [n, () => act(n || null)]));

const cellOf = (event) => event.target.closest(".sdl-cell");

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
  }, cellOf);
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
    if (event.target.closest(".sdl-star")) view.toggleStar(i); else zoom.open(i);
  });
  sight.element.addEventListener("pointermove", (event) => view.showTip(event));
  sight.element.addEventListener("pointerleave", () => { view.tip.hidden = true; });
  let drawing = 0;
  sight.element.addEventListener("scroll", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(() => sight.draw());
  });
}

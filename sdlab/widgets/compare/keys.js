// What the reader does by keys; each set of them is left to the controls that use them themselves.

const COMPARE_KEYS = "<kbd>←</kbd> <kbd>→</kbd> pairs, <kbd>Home</kbd> <kbd>End</kbd> · "
  + "<kbd>W</kbd> swipe, <kbd>E</kbd> side by side, <kbd>B</kbd> blink (<kbd>Space</kbd> stops, "
  + "<kbd>F</kbd> flips), <kbd>D</kbd> difference · <kbd>Z</kbd> magnify · <kbd>1</kbd> left, "
  + "<kbd>2</kbd> right, <kbd>3</kbd> tie, <kbd>4</kbd> both bad, <kbd>U</kbd> undo, "
  + "<kbd>V</kbd> next without a vote · <kbd>?</kbd> shows or hides this";

function listenToKeys(view) {
  const { root, stage, model } = view;
  const outside = (controls) => (event) => !event.target.closest(controls);
  const once = (act) => (event) => { if (!event.repeat) act(event); };
  const blinking = (act) => () => { if (stage.mode === "blink") act(); };
  const arrow = (x, y) => (event) => {
    if (!(event.shiftKey && stage.glass.move(x, y)) && x) view.step(x);
  };
  onKeys(root, {
    ArrowRight: arrow(1, 0), ArrowLeft: arrow(-1, 0), ArrowDown: arrow(0, 1), ArrowUp: arrow(0, -1),
    Home: () => view.go(0), End: () => view.go(Infinity),
  }, (event) => !event.target.matches(
    "input[type=range], input[type=text], select, pre, .sdl-compare-unlike"));
  onKeys(root, {
    n: () => view.step(1), p: () => view.step(-1), v: () => view.goOn(),
    ...Object.fromEntries(WAYS.map(([name, key]) =>
      [key.toLowerCase(), () => put(model, "mode", name)])),
    ...Object.fromEntries(BALLOT.map(([name], k) =>
      [k + 1, once((event) => view.vote(name, event))])),
    "?": () => view.help.toggle(), u: once(() => view.undo()), Backspace: once(() => view.undo()),
    f: blinking(() => stage.blink.flipped.click()), z: () => stage.glass.magnify(),
  }, (event) => !event.target.matches("select, input[type=text], pre"));
  onKeys(root, {
    " ": blinking(() => stage.blink.play.click()),
    Enter: once(() => { if (view.votes[view.at]) view.goOn(); }),
  }, outside("button, input, select, summary, pre"));
}

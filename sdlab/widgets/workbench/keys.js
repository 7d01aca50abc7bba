// Keeps plain keys in the workbench: its own lists are in the cell's output, where the notebook
// takes the arrows to go to another cell.

function render({ el }) {
  const attached = new ResizeObserver(() => {              // only then is what is around it known
    const bench = el.closest(".sdl-workbench");
    if (!bench || bench.dataset.sdlHeard) return;
    bench.dataset.sdlHeard = "yes";
    keepKeys(bench);
  });
  attached.observe(el);
  return () => attached.disconnect();
}

export default { render };

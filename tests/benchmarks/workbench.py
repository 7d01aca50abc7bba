"""How long a person waits in JupyterLab: Run to the first sketch, the interrupt to a stop, a reload to moving pictures.

    python tests/benchmarks/workbench.py [--rounds N] [--busy CORES]

Each round is a fresh kernel and a fresh page, with a form of 99 pictures of 50 steps on the embedded model. `--busy` keeps so many
cores at work besides. The times are the page's own clock, those of a reload from its beginning: JupyterLab's own start is in it.
Needs Chromium; about half a minute a round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # for `browser`
from browser.lab import Notebook, chromium, expect, window
from browser.server import Lab

AIMS = {
    "Run to the first sketch": 1,
    "■ to stopped": 1,
    "a reload to moving pictures": 5,
}  # seconds
PATIENCE = 120_000  # ms
CELLS = [
    "from sdlab import Request, sweep\nfrom sdlab.widgets import SweepForm",
    "plan = sweep(Request(prompt='a red circle', num_inference_steps=50), seed=range(99))\n"
    "form = SweepForm(plan, 'runs/bench')\nform",
]
TIMED = """([act, seen]) => new Promise((done) => {
  const begun = performance.now(), there = () => document.querySelector(seen);
  const look = () => (there() ? done((performance.now() - begun) / 1000) : setTimeout(look, 10));
  if (act.includes(":")) window.jupyterapp.commands.execute(act);
  else document.querySelector(act).click();
  look();
})"""
MOVED = """() => {
  const now = [...document.querySelectorAll(".sdl-cell img[src]")].map((img) => img.src).join();
  const moved = now && window.before !== undefined && now !== window.before;
  if (now) window.before = now;
  return moved;
}"""
RUN = ".sdl-run > .mod-primary"
SKETCH, IDLE = ".sdl-cell img[src]", f"{RUN}:not([disabled])"
INTERRUPT = "notebook:interrupt-kernel"  # what ■ does


def measure_round(lab: Lab, context: Any) -> dict[str, float]:
    """One kernel and one page; the job is reloaded in mid-run, and stopped last."""
    notebook = Notebook(lab, context, lab.write("workbench", CELLS))
    notebook.run_all()
    page = notebook.page
    expect(page.locator(".sdl-form").get_by_text("99 to render")).to_be_visible(timeout=PATIENCE)
    notebook.expect_kernel("form.wait(60)", True)
    first = page.evaluate(TIMED, [RUN, SKETCH])
    notebook.save()
    begun = time.perf_counter()
    notebook._go(f"doc/tree/{notebook._place}")  # the page's own address is that of no notebook
    page.wait_for_function(MOVED, polling=20, timeout=PATIENCE)
    moving = time.perf_counter() - begun
    notebook._call("find")
    assert notebook.kernel("form.running"), "the job was over before it was to be stopped"
    stopped = page.evaluate(TIMED, [INTERRUPT, IDLE])
    notebook.expect_kernel("form.job.state", "stopped")
    return dict(zip(AIMS, (first, stopped, moving)))


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """So many cores at work besides."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=0, help="cores that are kept at work")
    arguments = parser.parse_args()
    rounds = []
    with (
        tempfile.TemporaryDirectory() as place,
        chromium() as browser,
        Lab(Path(place)) as lab,
        busy(arguments.busy),
    ):
        for _ in range(arguments.rounds):
            with window(browser) as context:
                rounds.append(measure_round(lab, context))
            lab.reset()
    print(f"{os.cpu_count()} cores, {arguments.busy} kept at work, load {os.getloadavg()[0]:.1f}")
    for name, aim in AIMS.items():
        found = [each[name] for each in rounds]
        each = ", ".join(f"{seconds:.2f}" for seconds in found)
        print(f"{name:28} median {statistics.median(found):6.2f} s (aim {aim}): {each}")


if __name__ == "__main__":
    main()

"""A Chromium, and a notebook open in its JupyterLab, for tests and screenshots."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # `chromium` says so when somebody needs it
    expect = sync_playwright = None
from .server import PATIENCE, Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize

if expect:
    expect.set_options(timeout=1000 * PATIENCE)  # ms

SIZE: ViewportSize = {"width": 1280, "height": 1000}  # of a window
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
AT_ONCE = (  # keys that reach an element before the page has answered the first of them
    "(node, keys) => { for (const key of keys) "
    "node.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })); }"
)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# ipywidgets' manager asks every notebook for its kernel, also those opened without one; and the list
# of kernels, which JupyterLab asks for every few seconds, is an error while one is being started
NOT_OURS = re.compile(
    r"reading 'kernel'\).*jupyter-widgets/jupyterlab-manager|status of 500 .*/api/kernels\?\d+\)$",
    re.S,
)
ANSI = re.compile(r"\x1b\[[\d;]*m")


def folder_for_pictures() -> Path:
    """Where `Notebook.screenshot` and failed tests put their pictures: SDLAB_BROWSER_FOLDER, or build/browser."""
    folder = Path(
        os.environ.get("SDLAB_BROWSER_FOLDER") or Path(__file__).parents[2] / "build" / "browser"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def until_right(page: Page, check: Callable[..., Any], *of: Any, seconds: float = PATIENCE) -> Any:
    """Check these until no assertion fails, and give what is returned then.

    Layout, and pictures that are decoded, follow the words that `expect` waits for. Wait first for
    what a check is about: one that is right before anything has happened waits for nothing.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return check(*of)
        except AssertionError:
            if time.monotonic() > end:
                raise
        page.wait_for_timeout(50)  # ms; the page's events are heard meanwhile


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium without a window: the one in SDLAB_CHROMIUM, the system's, or Playwright's own.

    Raises
    ------
    FileNotFoundError
        If there is none, or no Playwright; the message says what to install.
    """
    if sync_playwright is None:
        raise FileNotFoundError("Playwright is missing: pip install -e '.[dev]'")
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        program = os.environ.get("SDLAB_CHROMIUM") or next(
            filter(None, map(shutil.which, PROGRAMS)), own
        )
        if not Path(program).exists():
            raise FileNotFoundError(
                "no Chromium: install one, name it in SDLAB_CHROMIUM, or run `playwright install chromium`"
            )
        root = (
            ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        )  # Chromium refuses root in a sandbox
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS + root)
        yield browser
        browser.close()


class Notebook:
    """A notebook open in the browser; all waits are on JupyterLab's own promises.

    It opens in the window's page if there is one, as beside other notebooks: JupyterLab itself takes seconds to load.
    `.page` is Playwright's page, `.path` the file, `.folder` where the kernel works, `.errors` what the page complained of.
    Cells count from 0, code cells only.
    """

    def __init__(self, lab: Lab, context: BrowserContext, path: Path) -> None:
        self.lab, self.path, self.folder = lab, path, path.parent
        self.errors: list[str] = []
        self.page = context.pages[0] if context.pages else context.new_page()
        self._heard = self._list_complaints()
        for event, hear in self._heard.items():
            self.page.on(event, hear)
        self._open(kernel=True)

    def _list_complaints(self) -> dict[Any, Callable[[Any], None]]:
        own = (self.lab.url, "data:", "blob:")
        return {
            "pageerror": lambda error: self._complain(error.stack or str(error)),
            "crash": lambda _: self._complain("the page crashed"),
            "console": lambda message: self._complain(
                f"{message.text} ({message.location['url']})", message.type == "error"
            ),
            "request": lambda request: self._complain(
                f"asked for {request.url}", not request.url.startswith(own)
            ),
        }

    def _complain(self, text: str, really: bool = True) -> None:
        if really and not NOT_OURS.search(text):
            self.errors.append(text)

    def _open(self, kernel: bool) -> None:
        if not self.page.url.startswith(self.lab.url):
            self._go("doc")
        self._call("open", self._place, kernel)

    @property
    def _place(self) -> str:
        return self.path.relative_to(self.lab.root).as_posix()

    def _go(self, place: str) -> None:
        self.page.goto(f"{self.lab.url}/{place}?token={self.lab.token}&reset")

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.page.evaluate(f"arguments => lab.{name}(...arguments)", list(arguments))

    # --- run and edit -------------------------------------------------------------------------------------------------

    def run_all(self, seconds: float = 2 * PATIENCE) -> None:
        """Run all cells and wait for the end of the last; a cell that raises is an AssertionError with its traceback."""
        raised(self._call("runAll", seconds))

    def run(self, i: int, seconds: float = 2 * PATIENCE) -> None:
        """Run one cell and wait for its end."""
        raised(self._call("run", i, seconds))

    def start_all(self) -> None:
        """Run all cells without waiting, to act while one is running."""
        self._call("startAll")

    def source(self, i: int) -> str:
        """The code in a cell."""
        return self._call("source", i)

    def set_source(self, i: int, code: str) -> None:
        """Put other code into a cell."""
        self._call("setSource", i, code)

    def command(self, name: str, **arguments: Any) -> None:
        """Execute one of JupyterLab's commands, such as "notebook:interrupt-kernel", and wait for it."""
        self._call("command", name, arguments)

    # --- read ---------------------------------------------------------------------------------------------------------

    def output(self, i: int) -> Locator:
        """All that a cell has put out."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(i).locator(".jp-OutputArea")

    def kernel(self, expression: str, seconds: float = PATIENCE) -> Any:
        """The value of an expression in the kernel; it must have a JSON form. For values that cannot change any more."""
        answer = self._call("evaluate", f"__import__('json').dumps({expression})", seconds)
        if answer["status"] != "ok":
            raise AssertionError(f"{expression}: {answer['ename']}: {answer['evalue']}")
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def expect_kernel(self, expression: str, value: Any, seconds: float = PATIENCE) -> None:
        """Ask until the answer is this: what the page sends a widget may arrive after a question that was asked later."""

        def check() -> None:
            if (got := self.kernel(expression)) != value:
                raise AssertionError(f"{expression} is {got!r} after {seconds} s, not {value!r}")

        until_right(self.page, check, seconds=seconds)

    @property
    def trusted(self) -> bool:
        """Whether JupyterLab shows active outputs: the notebook was run here, or is signed."""
        return self._call("trusted")

    @property
    def has_kernel(self) -> bool:
        return self._call("hasKernel")

    # --- save and come back -------------------------------------------------------------------------------------------

    def save(self) -> nbformat.NotebookNode:
        """Save, and read what lies on the disk."""
        self._call("save")
        return nbformat.read(self.path, as_version=4)

    def reload(self) -> None:
        """Save and reload the page; the kernel lives on."""
        self.save()
        self._go(f"doc/tree/{self._place}")
        self._call("find")

    def reopen(self, trusted: bool = True, kernel: bool = False) -> None:
        """Save, end the kernel and open the notebook anew, as a reader the day after does.

        Parameters
        ----------
        kernel : bool
            True: with a new kernel, which knows nothing of the old one. JupyterLab starts one unless told not to.
        trusted : bool
            False: on another machine, where nobody has signed it.
        """
        self.save()
        self.page.goto("about:blank")
        self.lab.stop_kernels()
        self.lab.trust(self.path, trusted)
        self._open(kernel)

    def close(self) -> None:
        """Close the notebook; its page too, unless that is as it was before."""
        for event, hear in self._heard.items():
            self.page.remove_listener(event, hear)
        if self.page.is_closed():
            return
        self.page.set_viewport_size(SIZE)
        if not self._call("close"):
            self.page.close()

    # --- look ---------------------------------------------------------------------------------------------------------

    def theme(self, name: str) -> None:
        """Change to `LIGHT` or `DARK`, and wait until it is shown."""
        self._call("theme", name)

    def axe(self, target: Locator | str) -> list[dict[str, str]]:
        """What axe-core finds wrong inside an element: dicts of id, impact, target, html and help. [] is what one wants."""
        from axe_playwright_python.sync_playwright import Axe

        place = self._locator(target)
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(Axe().axe_script)  # its own `run` knows selectors, not locators
        place.evaluate("element => lab.painted(element)")
        found = place.evaluate("element => axe.run(element, {resultTypes: ['violations']})")
        return [
            {
                "id": rule["id"],
                "impact": str(rule["impact"]),
                "target": " ".join(map(str, node["target"])),
                "html": node["html"],
                "help": node["failureSummary"],
            }
            for rule in found["violations"]
            for node in rule["nodes"]
        ]

    def screenshot(
        self, name: str, target: Locator | str | None = None, folder: Path | None = None
    ) -> Path:
        """A PNG file of an element, or of the page, once its pictures are painted."""
        path = (folder or folder_for_pictures()) / f"{name}.png"
        place = self._locator(target or "body")
        place.evaluate("element => lab.painted(element)")
        (place if target else self.page).screenshot(path=path, animations="disabled")
        return path

    def _locator(self, target: Locator | str) -> Locator:
        return self.page.locator(target) if isinstance(target, str) else target


def raised(tracebacks: list[str]) -> None:
    """AssertionError with what cells have raised, if any has."""
    if tracebacks:
        raise AssertionError(ANSI.sub("", "\n\n".join(tracebacks)))


@contextmanager
def window(
    browser: Browser, width: int = SIZE["width"], height: int = SIZE["height"], scale: float = 1
) -> Iterator[BrowserContext]:
    """A browser window with nothing remembered; `scale` is real pixels a CSS pixel."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        locale="en-US",
        reduced_motion="reduce",
    )
    context.set_default_timeout(1000 * PATIENCE)  # ms
    context.add_init_script(path=Path(__file__).with_name("lab.js"))
    yield context
    context.close()

"""A Chromium, and a notebook open in its JupyterLab, for tests and screenshots."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

try:
    from playwright.sync_api import expect, sync_playwright
except ImportError:  # `chromium` says so when somebody needs it
    expect = sync_playwright = None
from .server import Lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

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
# ipywidgets' manager asks every notebook for its kernel, also those opened without one
NOT_OURS = re.compile(r"reading 'kernel'\).*jupyter-widgets/jupyterlab-manager", re.S)
ANSI = re.compile(r"\x1b\[[\d;]*m")


def folder_for_pictures() -> Path:
    """Where `Notebook.screenshot` and failed tests put their pictures: SDLAB_BROWSER_FOLDER, or build/browser."""
    folder = Path(
        os.environ.get("SDLAB_BROWSER_FOLDER") or Path(__file__).parents[2] / "build" / "browser"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


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

    `.page` is Playwright's page, `.path` the file, `.folder` where the kernel works, `.errors` what the page complained of.
    Cells count from 0, code cells only.
    """

    def __init__(self, lab: Lab, context: BrowserContext, path: Path) -> None:
        self.lab, self.path, self.folder = lab, path, path.parent
        self.errors: list[str] = []
        self.page = context.new_page()
        self._listen(self.page)
        self._open(kernel=True)

    def _listen(self, page: Page) -> None:
        own = (self.lab.url, "data:", "blob:")
        page.on("pageerror", lambda error: self._complain(error.stack or str(error)))
        page.on("crash", lambda _: self._complain("the page crashed"))
        page.on(
            "console",
            lambda message: self._complain(
                f"{message.text} ({message.location['url']})", message.type == "error"
            ),
        )
        page.on(
            "request",
            lambda request: self._complain(
                f"asked for {request.url}", not request.url.startswith(own)
            ),
        )

    def _complain(self, text: str, really: bool = True) -> None:
        if really and not NOT_OURS.search(text):
            self.errors.append(text)

    def _open(self, kernel: bool) -> None:
        place = self.path.relative_to(self.lab.root).as_posix()
        self.page.goto(self._address(f"doc/tree/{place}" if kernel else "doc"))
        if not kernel:
            self._call("open", place)
        self._call("ready", kernel)

    def _address(self, place: str) -> str:
        return f"{self.lab.url}/{place}?token={self.lab.token}&reset"

    def _call(self, name: str, *arguments: Any) -> Any:
        return self.page.evaluate(f"arguments => lab.{name}(...arguments)", list(arguments))

    # --- run and edit -------------------------------------------------------------------------------------------------

    def run_all(self, seconds: float = 120) -> None:
        """Run all cells and wait for the end of the last; a cell that raises is an AssertionError with its traceback."""
        raised(self._call("runAll", seconds))

    def run(self, i: int, seconds: float = 120) -> None:
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

    def kernel(self, expression: str, seconds: float = 60) -> Any:
        """The value of an expression in the kernel; it must have a JSON form. For values that cannot change any more."""
        answer = self._call("evaluate", f"__import__('json').dumps({expression})", seconds)
        if answer["status"] != "ok":
            raise AssertionError(f"{expression}: {answer['ename']}: {answer['evalue']}")
        return json.loads(ast.literal_eval(answer["data"]["text/plain"]))

    def expect_kernel(self, expression: str, value: Any, seconds: float = 20) -> None:
        """Ask until the answer is this: what the page sends a widget may arrive after a question that was asked later."""
        end = time.monotonic() + seconds
        while (got := self.kernel(expression)) != value:
            if time.monotonic() > end:
                raise AssertionError(f"{expression} is {got!r} after {seconds} s, not {value!r}")
            self.page.wait_for_timeout(50)  # ms; the page's events are heard meanwhile

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
        self.page.reload()
        self._call("ready", True)

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
    browser: Browser, width: int = 1280, height: int = 1000, scale: float = 1
) -> Iterator[BrowserContext]:
    """A browser window with nothing remembered; `scale` is real pixels a CSS pixel."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        locale="en-US",
        reduced_motion="reduce",
    )
    context.set_default_timeout(30_000)  # ms
    context.add_init_script(path=Path(__file__).with_name("lab.js"))
    yield context
    context.close()

"""One JupyterLab in one page for the tests of this folder, and a fresh notebook with its own kernel for each."""

import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from .lab import Notebook, chromium, folder_for_pictures, window
from .server import Lab


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(
    scope="package"
)  # not session: while Playwright lives, no other test could use asyncio.run
def browser():
    stack = ExitStack()
    try:
        opened = stack.enter_context(chromium())
    except FileNotFoundError as missing:
        if "CI" in os.environ or "SDLAB_CI" in os.environ:
            raise
        pytest.skip(str(missing))
    with stack:
        yield opened


@pytest.fixture(scope="package")
def lab(browser, tmp_path_factory):  # asks for the browser first: without one, no server
    with Lab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="package")
def context(browser):
    with window(browser) as opened:
        yield opened


@pytest.fixture
def notebook(context, lab, request):
    """notebook(["code of a cell", ...]) or notebook(Path("some.ipynb")) -> an open `Notebook` with a kernel."""
    failures, opened = request.session.testsfailed, []

    def open_(source):
        opened.append(Notebook(lab, context, lab.write(request.node.name, source)))
        return opened[-1]

    yield open_
    if request.session.testsfailed > failures:
        keep_evidence(request.node.name, context.pages, opened, lab)
        for page in context.pages:
            page.close()  # whatever has happened to it
    for each in opened:
        each.close()
    lab.reset()


def keep_evidence(name, pages, notebooks, lab):
    """Pictures of the pages of a failed test, what they complained of, and the end of the server's log."""
    place, name = folder_for_pictures(), re.sub(r"[^\w.-]+", "-", name)
    for i, page in enumerate(pages):
        page.screenshot(path=place / f"failed-{name}-{i}.png")
    complaints = [error for nb in notebooks for error in nb.errors]
    (place / f"failed-{name}.log").write_text("\n".join([*complaints, "", lab.log()]))

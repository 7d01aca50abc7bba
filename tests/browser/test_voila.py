"""The workbench in Voila, as `make app` serves it: no code, no cells, and a report that opens."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .lab import expect, window
from .server import DIRECT, PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def address(browser, tmp_path):  # asks for the browser first: without one, no server
    options = re.search(r"voila notebooks/workbench.ipynb (.*)", (ROOT / "Makefile").read_text())[1]
    (tmp_path / "workbench.ipynb").write_bytes((ROOT / "notebooks/workbench.ipynb").read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "voila", "workbench.ipynb", *options.replace("'", "").split()]
    command += ["--no-browser", f"--port={url.rpartition(':')[2]}"]
    with (tmp_path / "voila.log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + PATIENCE
        while "is running at" not in (tmp_path / "voila.log").read_text():
            assert server.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE)


def test_a_sweep_and_its_report_without_a_notebook(browser, address, tmp_path):
    with window(browser) as context:
        page = context.new_page()
        page.goto(address)
        tab = lambda name: page.get_by_role("tab", name=name, exact=True)
        expect(tab("Sweep")).to_be_visible()
        page.get_by_label("prompt", exact=True).fill("a red circle")
        page.get_by_label("num_inference_steps", exact=True).fill("1")
        page.get_by_label("seed", exact=True).fill("0-1")
        page.keyboard.press("Tab")
        expect(page.get_by_text("2 pictures: 0 finished")).to_be_visible()
        page.get_by_role("button", name="Run", exact=True).click()
        expect(page.get_by_text("2 pictures, all finished")).to_be_visible()
        tab("Report").click()
        page.get_by_label("title", exact=True).fill("Circles")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Write the report").click()
        link = page.get_by_role("link", name="reports/mine.html")
        expect(link).to_be_visible()
        with context.expect_page() as opened:
            link.click()
        expect(opened.value.get_by_role("heading", name="Circles")).to_be_visible()
        assert "run(" not in page.get_by_role("main").or_(page.locator("body")).first.inner_text()
    for hidden in ("runs/mine/index.csv", "workbench.ipynb"):
        with pytest.raises(OSError, match="403|404"):
            DIRECT.open(f"{address}/voila/files/{hidden}")

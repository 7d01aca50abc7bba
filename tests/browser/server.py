"""A JupyterLab server of the tests' own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary

SETTINGS = {  # else a toast about news covers the page
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    }
}
PATIENCE = (
    120  # seconds until a wait fails; what takes long is a loaded machine more often than a fault
)
DIRECT = urllib.request.build_opener(
    urllib.request.ProxyHandler({})
)  # a proxy of the environment is not for this machine


class Lab:
    """A JupyterLab server on a free port of this machine, whose settings, trust and kernel are its own.

    Parameters
    ----------
    home : Path
        An empty folder for all that the server writes; its notebooks stand in `.root`.
    """

    def __init__(self, home: Path) -> None:
        self.home, self.root, self.token = home, home / "notebooks", secrets.token_hex(16)
        self.root.mkdir()
        self._write_settings()
        self._write_kernelspec()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [
            sys.executable,
            str(Path(__file__).parents[1] / "kernels.py"),
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={self.root}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
        ]
        with (home / "lab.log").open("w") as log:
            self._process = subprocess.Popen(
                command, env=self._environment(), stdout=log, stderr=subprocess.STDOUT
            )

    def __enter__(self) -> Lab:
        end = time.monotonic() + PATIENCE
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"JupyterLab did not start:\n{self.log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()  # it ends its kernels
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _write_settings(self) -> None:
        for name, values in SETTINGS.items():
            path = self.home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def _write_kernelspec(self) -> None:
        folder = self.home / "share" / "kernels" / "python3"
        folder.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (folder / "kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
        )

    def _environment(self) -> dict[str, str]:
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "run",
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_PATH": "share",
        }  # first of all places for kernels: `python3` is this Python
        return {
            **os.environ,
            **{name: str(self.home / place) for name, place in places.items()},
            "JUPYTER_TOKEN": self.token,  # not on the command line, where all users see it
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
        }

    def _is_up(self) -> bool:
        try:
            return bool(self.api("status"))
        except OSError:
            return False

    def log(self) -> str:
        """The end of what the server and its kernels said."""
        return (self.home / "lab.log").read_text(errors="replace")[-4000:]

    def api(self, path: str, method: str = "GET") -> Any:
        """The server's answer to a request of its REST interface."""
        request = urllib.request.Request(
            f"{self.url}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        with DIRECT.open(request, timeout=PATIENCE) as answer:
            return json.loads(answer.read() or "null")

    def stop_kernels(self) -> None:
        """End every notebook's kernel, as the button "Shut Down All" does."""
        for session in self.api("sessions"):
            self.api(f"sessions/{session['id']}", "DELETE")

    def reset(self) -> None:
        """End all kernels and forget the theme, for the next notebook."""
        self.stop_kernels()
        shutil.rmtree(self.home / "settings")
        self._write_settings()

    def write(self, name: str, source: Sequence[str] | Path) -> Path:
        """A notebook of these code cells, or a copy of this one, in a folder of its own; its kernel will work there."""
        folder = (
            self.root / f"{len(list(self.root.iterdir()))}-{re.sub(r'[^a-zA-Z0-9]+', '-', name)}"
        )
        folder.mkdir()
        if isinstance(source, Path):
            return Path(shutil.copy(source, folder))
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in source])
        # without it, a dialog asks for the kernel and takes all clicks
        nb.metadata.kernelspec = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(nb, folder / "notebook.ipynb")
        return folder / "notebook.ipynb"

    def trust(self, path: Path, trusted: bool = True) -> None:
        """Sign a saved notebook, or take its signature back: then it is a stranger's, as after `git clone`."""
        notary = NotebookNotary(data_dir=str(self.home / "data"))
        nb = nbformat.read(path, as_version=4)
        (notary.sign if trusted else notary.unsign)(nb)
        notary.store.close()

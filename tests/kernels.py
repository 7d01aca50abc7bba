"""Kernels of Jupyter as forks of a process that has imported the large libraries, which takes seconds.

`python tests/kernels.py ...` is `jupyter lab ...` with such kernels.
"""

import multiprocessing
import os
import sys
import time
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock


def start_forks():
    """Starts the process that is forked; a context of `multiprocessing`."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            *("sdlab.render.job", "sdlab.render.renderer", "sdlab.results.report", "sdlab.widgets"),
            *("scipy.stats", "diffusers.models.unets.unet_2d_condition", "diffusers.loaders"),
            *("transformers.models.clip.modeling_clip", "diffusers.schedulers"),
            *(
                "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
                "sdlab.render.stock",
            ),
            *("sdlab.render.batches", "sdlab.render.rehearsal", "PIL.JpegImagePlugin"),
            *("ipykernel.ipkernel", "IPython.core.completer", "distributed.nanny", "frozen"),
        ]
    )
    paths = filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(paths)):  # where "frozen" is
        forkserver.ensure_running()
    return context


class Fork(ForkServerProcess):
    """A process with the names that `jupyter_client` knows from `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def poll(self):
        return self.exitcode

    def wait(self):
        self.join()
        return self.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)


def launch_fork(command, *, cwd, env, **_):
    """Starts a kernel, "python -m ipykernel_launcher ...", in a group of its own."""
    argv = command[command.index("ipykernel_launcher") + 1 :]
    process = Fork(target=serve, args=(argv, cwd, env), daemon=True)
    process.start()
    while os.getpgid(process.pid) != process.pid:  # a signal to a kernel goes to its whole group
        time.sleep(0.001)
    return process


@contextmanager
def fork_kernels():
    """Has kernels begin as such forks."""
    with mock.patch("jupyter_client.provisioning.local_provisioner.launch_kernel", launch_fork):
        yield


def serve(argv, cwd, env):
    os.setsid()
    os.chdir(cwd)
    os.environ.update(env, JPY_PARENT_PID=str(os.getppid()))
    from ipykernel.kernelapp import IPKernelApp
    from matplotlib import rcParams

    rcParams["backend"] = (
        "module://matplotlib_inline.backend_inline"  # as where it is imported later
    )
    IPKernelApp.launch_instance(argv=argv)


if __name__ == "__main__":
    from jupyter_client.provisioning import local_provisioner
    from jupyterlab.labapp import main

    start_forks()
    local_provisioner.launch_kernel = launch_fork
    main(sys.argv[1:])

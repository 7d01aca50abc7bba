"""Several jobs of one Python: which renders, which waits for it, and what an interrupt of a kernel stops."""

import threading
from types import SimpleNamespace

import pytest
from jupyter_client.manager import start_new_kernel

from sdlab import Job, Request, sweep
from sdlab.models import pipeline
from sdlab.models.resolve import native
from sdlab.render import job as job_room
from sdlab.render import sketch
from sdlab.render.job import load_early

LONG = sweep(Request(prompt="a cat", num_inference_steps=999), seed=range(40))


@pytest.fixture
def jobs(tmp_path):
    """Two jobs of different stores, of which the second waits."""
    first = Job(LONG, tmp_path / "first", progress=False)
    second = Job(LONG, tmp_path / "second", progress=False)
    yield first, second
    for job in (first, second):
        job.stop().wait(60)


def test_jobs_that_have_not_ended_are_listed_the_one_that_renders_first(jobs):
    heard = threading.Event()
    jobs[1].watch(lambda event: heard.set() if event.kind == "waiting" else None)
    assert heard.wait(60)
    assert Job.list_running() == list(jobs)
    assert jobs[1].waits_for is jobs[0] and jobs[0].waits_for is None
    assert "waits for the job in 'first' (0 of 40" in str(jobs[1].progress)
    assert "store 'second'" in repr(jobs[1])


def test_a_job_begins_when_the_one_that_it_waits_for_is_stopped(jobs):
    begun = threading.Event()
    jobs[1].watch(lambda event: begun.set() if event.kind == "sketch" else None)
    jobs[0].stop()
    assert begun.wait(60) and jobs[0].wait(0)
    assert Job.list_running() == [jobs[1]] and jobs[1].waits_for is None
    assert "waits" not in str(jobs[1].progress)


def test_a_job_that_waits_is_stopped_at_once_and_the_other_goes_on(jobs):
    assert jobs[1].stop().wait(60) and jobs[1].state == "stopped"
    assert jobs[1].waits_for is None and Job.list_running() == [jobs[0]]


def test_a_model_is_loaded_early_only_where_no_job_renders_and_none_is_in_memory(jobs, monkeypatch):
    loaded = []
    heard = threading.Event()
    jobs[1].watch(lambda event: heard.set() if event.kind == "waiting" else None)
    assert heard.wait(60)
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "is_any_loaded", lambda: pytest.fail("a job renders"))
        load_early("tiny-v1")
    for job in jobs:
        job.stop().wait(60)
    known, drawn = pipeline.load, []
    monkeypatch.setattr(pipeline, "load", lambda own: loaded.append(own.weights) or known(own))
    monkeypatch.setattr(sketch, "find_colours", drawn.append)
    monkeypatch.setattr(pipeline, "_loaded", {})
    load_early("tiny-v1")
    assert loaded == [native("tiny-v1").weights] and len(drawn) == 1  # the first sketch waits less
    monkeypatch.setattr(pipeline, "_loaded", {"another": None})
    load_early("tiny-v1")
    assert len(loaded) == len(drawn) == 1


CELL = """
from sdlab import Job, Request, sweep
plan = sweep(Request(prompt="a cat", num_inference_steps=999), seed=range(40))
for name in ("a", "b"):  # of the first one nobody keeps the name
    job = Job(plan, name, progress=False)
"""


@pytest.mark.parametrize("place", ["error_in_exec", "error_before_exec"])
def test_an_interrupt_between_two_statements_is_one_too(monkeypatch, place):
    stopped = []
    monkeypatch.setattr(job_room, "_stop_all", lambda: stopped.append(True))
    errors = dict.fromkeys(("error_in_exec", "error_before_exec"))
    job_room._stop_if_interrupted(SimpleNamespace(**errors | {place: ValueError()}))
    assert stopped == []
    job_room._stop_if_interrupted(SimpleNamespace(**errors | {place: KeyboardInterrupt()}))
    assert stopped == [True]


BUSY = "print('busy', flush=True)\nimport time; time.sleep(100)"
TURNED = f"""
try:
    {BUSY.replace(chr(10), chr(10) + "    ")}
except KeyboardInterrupt:
    raise OSError("what a library makes of it")
"""


def test_an_interrupt_stops_every_job_of_a_kernel_busy_or_not(tmp_path, forked_kernels):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    said = []

    def execute(code):
        def hear(message):
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])
                if "busy\n" in said[-1]:  # whatever else, such as a warning, was said before
                    manager.interrupt_kernel()

        content = client.execute_interactive(code, output_hook=hear, timeout=120)["content"]
        return content["status"], content.get("ename")

    try:
        for then, raised in ((None, None), (BUSY, "KeyboardInterrupt"), (TURNED, "OSError")):
            said.clear()
            assert execute(CELL) == ("ok", None)
            if then:
                assert execute(then) == ("error", raised)
            else:
                manager.interrupt_kernel()
            ask = "import time\nend = time.time() + 60\nwhile Job.list_running() and time.time() < end: time.sleep(.05)"
            assert execute(f"{ask}\nprint(len(Job.list_running()), job.state)") == ("ok", None)
            assert "".join(said).endswith("0 stopped\n")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)

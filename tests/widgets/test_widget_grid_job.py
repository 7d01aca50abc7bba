"""SeedGrid of a running job, and with other seeds: what the page is told when, and what is announced."""

# ruff: noqa: F811  # fixtures of other files go by their names

import io
import threading
from datetime import datetime

import pytest
from PIL import Image
from test_widget_grid import Played, count_calls, no_clock, ran, results  # noqa: F401
from test_widget_panel import Line, Page, idle, shown  # noqa: F401

from sdlab import Job, Request, sweep
from sdlab.widgets import SeedGrid
from sdlab.widgets.seed_grid import news, variations

# ---- a running job


@pytest.fixture
def job(tmp_path):
    job = Played(sweep(Request(prompt="a {red|blue} cat"), seed=range(3)), tmp_path / "store")
    yield job
    job.end("stopped")


def test_cells_are_shown_as_they_land(job):
    grid = SeedGrid(job)
    line = Line(grid)
    assert (grid.states, grid.state, grid.status) == (
        "......",
        "running",
        "0 of 6 pictures finished, loading",
    )
    job.land(4, 1)
    job.fail(0, "no memory")
    assert line.heard == []  # not at once: several together
    grid._news.tell()
    ((message, buffers),) = line.heard
    assert {cell["i"]: (cell["picture"], cell.get("error")) for cell in message["cells"]} == {
        4: (True, None),
        1: (True, None),
        0: (False, "no memory"),
    }
    assert (
        len(buffers) == 2
        and grid.states == "x+..+."
        and grid.status.startswith("2 of 6 pictures finished, 1 failed")
    )


def test_a_cell_at_work_is_sketched_until_it_lands(job):
    grid = SeedGrid(job)
    line = Line(grid)
    job.sketch(2), job.sketch(3), job.land(3)
    grid._news.tell()
    told = {message["kind"]: message["cells"] for message, _ in line.heard}
    assert told["sketches"] == [2] and [cell["i"] for cell in told["cells"]] == [3]
    assert Image.open(io.BytesIO(line.heard[-1][1][0])).size == (32, 32)


def test_the_first_news_after_a_pause_is_told_at_once_and_the_next_waits(job, monkeypatch):
    begun = []
    grid = SeedGrid(job)
    monkeypatch.setattr(news, "start_timer", lambda wait, work: begun.append(wait))
    grid._news._next = 0.0  # the pause is over
    job.sketch(2), job.sketch(3)
    assert begun == [0.0]  # one word for both
    grid._news.tell(), job.sketch(2)
    assert len(begun) == 2 and begun[1] > 0


def test_what_lands_in_bulk_is_told_in_batches(tmp_path):
    job = Played(sweep(Request(prompt="a cat"), seed=range(120)), tmp_path)
    grid = SeedGrid(job)
    line = Line(grid)
    job.land(*range(120))
    job.end()
    assert [len(message["cells"]) for message, _ in line.heard] == [
        50,
        50,
        20,
    ] and grid.states == "+" * 120


def test_a_job_is_announced_at_its_milestones_and_not_at_every_step(tmp_path, monkeypatch):
    monkeypatch.setattr(news, "LULL", 0)
    job = Played(sweep(Request(prompt="a {red|blue} cat"), seed=range(10)), tmp_path)
    grid, heard = SeedGrid(job), []
    assert grid.announced == "Begun: 20 pictures to render"
    grid.observe(lambda change: heard.append(change["new"]), "announced")
    for i in range(16):
        job.land(i)
        job.progress.count_computed(1)
        grid._news.tell()
    job.fail(16, "no memory")
    job.end("stopped")
    assert heard == [
        "a quarter done: 5 of 20 pictures finished",
        "half done: 10 of 20 pictures finished",
        "three quarters done: 15 of 20 pictures finished",
        "Stopped: 16 of 20 pictures finished, 1 failed."
        " They stand below in rows by red|blue and columns by seed."
        " What was at work is not kept",
    ]
    assert SeedGrid(job).announced == ""  # over before: nobody waited


def test_what_sliders_leave_out_of_view_is_announced_with_the_end(tmp_path):
    plan = sweep(Request(prompt="a {red|blue} cat"), seed=range(2), guidance_scale=[1, 4])
    job = Played(plan, tmp_path)
    grid = SeedGrid(job, row="prompt", col="guidance_scale")
    job.land(*range(8))
    job.end()
    assert grid.announced.endswith(
        "rows by prompt and columns by guidance_scale, one seed at a time by sliders"
    )


def test_a_milestone_and_its_count_are_one_measure(tmp_path, monkeypatch):
    monkeypatch.setattr(news, "LULL", 0)
    job = Played(sweep(Request(prompt="a cat"), seed=range(12)), tmp_path)
    grid, heard = SeedGrid(job), []
    grid.observe(lambda change: heard.append(change["new"]), "announced")
    job.progress.count_computed(6)  # half of the steps, and no picture
    grid._news.tell()
    assert heard == []
    job.land(*range(3))
    grid._news.tell()
    assert heard == ["a quarter done: 3 of 12 pictures finished"]
    job.end()


def test_a_picture_that_was_drawn_while_the_job_ran_says_when_and_promises_nothing(job):
    grid = SeedGrid(job)
    job.land(0), job.land(1)
    grid._news.tell()
    job.progress.count_step(1, 10, 20)
    told = Page(grid.static()).text
    now = datetime.now().astimezone()
    assert f"2 of 6 pictures were finished on {now.day} {now:%B %Y}, " in told
    assert "What came later may be missing here" in told and "left" not in told
    assert "not rendered" not in told and told.count("not yet finished then") == 4
    job.end()
    assert "were finished on" not in Page(grid.static()).text


def test_quarters_that_follow_at_once_are_not_announced(job):
    grid, heard = SeedGrid(job), []
    grid.observe(lambda change: heard.append(change["new"]), "announced")
    for i in range(6):
        job.land(i)
        job.progress.count_computed(1)
        grid._news.tell()
    job.end()
    (said,) = heard
    assert said.startswith("Finished: 6 of 6 pictures finished.")


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_the_picture_in_the_notebook_is_final_before_anybody_who_waits_goes_on(job, shown, state):
    grid = SeedGrid(job)
    grid._ipython_display_()
    job.land(0, 1)
    job._listeners.tell = lambda event, tell=job._listeners.tell: (
        tell(event),
        seen.append((event.kind, shown.outputs[1]["text/html"], job.wait(0))),
    )
    seen = []
    job.end(state)
    ((kind, html, over),) = seen
    assert (
        kind == "ended"
        and not over
        and len(Page(html).every("img")) == 2
        and "2 of 6 pictures finished" in html
    )
    assert grid.state == state and grid.states == "++????"


def test_a_job_that_is_over_is_shown_like_its_frame(job):
    job.land(*range(6))
    job.end()
    over, still = SeedGrid(job), SeedGrid(job.frame())
    assert (over.state, still.state, over.status) == ("done", "still", "6 of 6 pictures finished")
    assert over.states == still.states and over.places == still.places and over.code == still.code
    assert over.value.equals(still.value)


def test_what_happens_while_a_grid_is_built_is_not_missed(job, monkeypatch):
    watch = job.watch
    monkeypatch.setattr(
        job, "watch", lambda listener: (job.land(1), job.fail(2, "no memory"), watch(listener))
    )
    grid = SeedGrid(job)
    assert grid.states == ".+x..." and grid._cells.errors[2] == "no memory"


def test_what_was_finished_before_is_there_at_once(job):
    job.land(0, 5)
    assert SeedGrid(job).states == "+....+"


def test_the_code_of_a_job_knows_the_batch_size_once_it_is_over(job, tmp_path, monkeypatch):
    grid = SeedGrid(job)
    assert "Store('runs/store'))" in grid.code  # nothing is in the store yet
    job.land(*range(6))
    job.end()
    assert "batch_size=4" in grid.code and list(ran(grid, monkeypatch, tmp_path)["key"]) == job.keys


def test_a_recipe_that_is_asked_for_twice_lands_in_both_places(tmp_path):
    job = Played([Request(prompt="a cat", seed=seed) for seed in (0, 1, 0)], tmp_path)
    grid = SeedGrid(job)
    job.land(0)
    job.end()
    assert grid.states == "+?+"


def test_a_real_job_fills_its_grid(random_v1, tmp_path):
    job = Job(
        sweep(Request(model=str(random_v1), prompt="a cat", num_inference_steps=2), seed=range(3)),
        tmp_path,
        progress=False,
    )
    grid = SeedGrid(job)
    job.result()
    assert (grid.states, grid.state, grid.fraction) == ("+++", "done", 1.0) and len(
        Page(grid.static()).every("img")
    ) == 3


def test_events_of_many_threads_and_questions_of_the_page_do_not_disturb_one_another(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(news, "PAUSE", 0.0)
    job = Played(sweep(Request(prompt="a cat"), seed=range(64)), tmp_path)
    grid = SeedGrid(job)
    heard = []
    grid.send = lambda content, buffers=None: heard.append((content, len(buffers or [])))
    threads = [threading.Thread(target=job.land, args=range(n, 64, 4)) for n in range(4)]
    threads += [
        threading.Thread(
            target=lambda: [
                grid._handle_custom_msg(
                    {"kind": "want", "id": n, "cells": [n, 63 - n], "px": 64}, []
                )
                for n in range(32)
            ]
        ),
        threading.Thread(
            target=lambda: [(grid.rate(n, rating=3), grid.static(), grid.code) for n in range(8)]
        ),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    job.end()
    idle()
    assert (
        grid.states == "+" * 64
        and grid.ratings == [[n, 3] for n in range(8)]
        and not [c for c, _ in heard if c["kind"] == "error"]
    )
    assert sorted(content["re"] for content, _ in heard if "re" in content) == list(range(32))
    assert all(
        sum(cell["picture"] for cell in content["cells"]) == count
        for content, count in heard
        if content["kind"] == "cells"
    )
    assert {
        cell["i"]
        for content, _ in heard
        if content["kind"] == "cells"
        for cell in content["cells"]
        if cell["picture"]
    } == set(range(64))


# ---- other seeds


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that were started, which land nothing by themselves."""
    jobs = []

    class Noted(Played):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            jobs.append(self)

    monkeypatch.setattr(variations, "Job", Noted)
    yield jobs
    for job in jobs:
        job.end("stopped")


def varied(line):
    return [message for message, _ in line.heard if message["kind"] == "varied"]


def test_a_recipe_is_rendered_with_the_next_eight_seeds(results, jobs):
    line = Line(SeedGrid(results))
    line.ask("vary", cell=1)
    (job,), (told,) = jobs, varied(line)
    assert [(request.prompt, request.seed) for request in job.requests] == [
        ("a blue cat", seed) for seed in range(1, 9)
    ]
    assert told["of"] == 1 and [cell["i"] for cell in told["cells"]] == list(range(12, 20))
    job.land(0)
    job.fail(1, "no memory")
    last, fault = [message["cells"][0] for message, _ in line.heard[-2:]]
    assert (last["i"], last["picture"]) == (12, True) and (fault["i"], fault["error"]) == (
        13,
        "no memory",
    )
    answer, buffers = line.ask("full", cell=12)
    assert (
        buffers == [job.store.path(job.keys[0]).read_bytes()] and ["seed", "1"] in answer["facts"]
    )


def test_asking_twice_for_other_seeds_renders_them_once_and_tells_them_twice(results, jobs):
    line = Line(SeedGrid(results))
    line.ask("vary", cell=1), line.ask("vary", cell=1)
    jobs[0].land(*range(8))
    jobs[0].end()
    line.ask("vary", cell=1)  # after a reload of the page
    assert (
        len(jobs) == 1 and len(varied(line)) == 3 and len({str(told) for told in varied(line)}) == 1
    )
    assert {
        message["cells"][0]["i"] for message, _ in line.heard[-8:] if message["kind"] == "cells"
    } == set(range(13, 20)) | {12}


def test_other_seeds_that_could_not_be_rendered_are_told_and_can_be_asked_for_again(results, jobs):
    line = Line(SeedGrid(results))
    line.ask("vary", cell=0)
    jobs[0].end("failed", RuntimeError("the model is gone"))
    assert line.heard[-1][0] == {"kind": "error", "text": "RuntimeError: the model is gone"}
    line.ask("vary", cell=0)
    assert len(jobs) == 2


def test_after_the_last_seed_comes_the_first(results, jobs):
    job = SeedGrid(results.assign(seed=2**32 - 3)).vary(0)
    assert [request.seed for request in job.requests] == [2**32 - 2, 2**32 - 1, *range(6)]


def test_variations_are_no_rows_of_the_frame(results, jobs):
    grid = SeedGrid(results)
    before = grid.states, len(grid.value), grid.static(), grid.code
    job = grid.vary(3, seed="100-101")
    job.land(0)
    assert (grid.states, len(grid.value), grid.static(), grid.code) == before and [
        r.seed for r in job.requests
    ] == [100, 101]
    with pytest.raises(IndexError, match="no picture 12: they are numbered from 0 to 11"):
        grid.rate(12, starred=True)


def test_telling_of_a_job_is_work_for_what_landed(tmp_path):
    told = []
    for seeds in (50, 100):
        job = Played(sweep(Request(prompt="a {red|blue} cat"), seed=range(seeds)), tmp_path)
        grid = SeedGrid(job)
        grid._news.tell()
        job.land(*range(3))
        told.append(count_calls(grid._news.tell))
        assert grid.states.count("+") == 3
    assert told[1] - told[0] < 2 * 100  # a letter for each further cell, and no more

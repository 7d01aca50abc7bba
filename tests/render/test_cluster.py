"""A plan on two workers: the same pictures, and nothing is lost whoever dies; what cannot be is said before."""

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("distributed", reason="needs sdlab[cluster]")
import dask
from conftest import write_pipeline
from distributed import Client, LocalCluster, WorkerPlugin
from distributed import Event as Signal

from sdlab import MODELS, GenerationError, Job, Model, Request, Store, run, sweep
from sdlab.render import cluster as clusters
from sdlab.render import crew
from sdlab.render.worker import choose_device
from sdlab.store.columns import MACHINE

TIMES = ["seconds", "created", "path"]


@pytest.fixture(scope="module")
def client(forks):
    """Two worker processes of one core each."""
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as local,
        Client(local) as found,
    ):
        yield found
        with dask.config.set({"distributed.comm.timeouts.connect": "1s"}):  # the scheduler is gone
            found.close()
            local.close()


@pytest.fixture(scope="module")
def cells(random_v1):
    base = Request(model=str(random_v1), prompt="a {cat|dog}", num_inference_steps=2)
    return sweep(base.but(scheduler="Euler"), seed=range(24))


@pytest.fixture(scope="module")
def alone(cells, tmp_path_factory):
    """What one process renders, in the batches that a worker takes."""
    return run(cells, tmp_path_factory.mktemp("alone"), batch_size=4, progress=False)


def require_same(found, expected):
    own = [name for name in expected if name not in (*TIMES, *MACHINE)]
    assert found["error"].isna().all()
    assert [name for name in own if not found[name].equals(expected[name])] == []
    assert list(found["batch_size"]) == list(expected["batch_size"])


def stamp(root):
    """What a picture rendered again would change: {name: (number of its file, time)}."""
    found = {path.name: path.stat() for path in (root / "images").glob("*/*.png")}
    return {name: (said.st_ino, said.st_mtime_ns) for name, said in found.items()}


def list_pids(client):
    return sorted(client.run(os.getpid, on_error="ignore").values())  # some may just have died


def await_workers(client, number=2):
    client.wait_for_workers(number)
    while len(list_pids(client)) < number:
        time.sleep(0.05)


def list_started(client):
    """Lists the processes that their nannies know to run: one gives up whose worker dies before."""
    processes = [nanny.process for nanny in client.cluster.workers.values()]
    return sorted(each.pid for each in processes if each and each.status.name == "running")


def test_pictures_and_rows_are_those_of_one_process(client, cells, alone, tmp_path):
    told = []
    job = Job(cells, tmp_path / "store", batch_size=4, cluster=client, progress=False)
    job.watch(lambda event: told.append((event.kind, event.key)))
    require_same(job.result(), alone)
    assert {key for kind, key in told if kind == "landed"} == set(alone["key"])
    assert told[-1] == ("ended", None) and job.state == "done" and job.waits_for is None
    assert Store(tmp_path / "store").check().empty
    again = run(cells, tmp_path / "store", cluster="tcp://nobody.invalid:1")  # nothing to do
    assert again["pixels"].equals(alone["pixels"])


def test_batches_are_no_larger_than_what_a_worker_is_given(client, cells, tmp_path):
    plan = [cell.but(num_inference_steps=1) for cell in cells]
    found = run(plan, tmp_path, cluster=client, progress=False)
    assert len(found) == 48 and set(found["batch_size"]) == {8}


def test_input_pictures_travel_and_latents_are_shared(client, random_v1, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    other = write_pipeline(tmp_path / "other", seed=5)
    base = Request(model=str(random_v1), prompt="a cat", num_inference_steps=4, scheduler="Euler")
    plan = [
        *sweep(base, vae=[None, str(other)], seed=range(4)),
        *sweep(base.but(image=Image.fromarray(noise), strength=0.5), seed=range(2)),
    ]
    expected = run(plan, tmp_path / "alone", batch_size=2, progress=False)
    found = run(plan, tmp_path / "store", batch_size=2, cluster=client, progress=False)
    require_same(found, expected)
    assert expected["unet_calls"].isna().sum() == 4  # decoded again, not denoised


def test_workers_write_where_the_folder_is_shared(client, cells, alone, tmp_path, monkeypatch):
    taken, known = [], Store.receive
    monkeypatch.setattr(
        Store, "receive", lambda self, cell, data: taken.append(data) or known(self, cell, data)
    )
    found = run(cells, tmp_path, batch_size=4, cluster=client, shared=True, progress=False)
    require_same(found, alone)
    assert taken == [None] * len(cells)
    assert {path.name for path in tmp_path.iterdir()} == {"images", "index.sqlite"}


def test_what_a_dead_worker_wrote_is_not_rendered_again(client, cells, alone, tmp_path):
    def spoil():
        import os

        from sdlab.render.worker import Outbox

        Outbox.known = Outbox.save

        def save(self, recipe, *more, **given):
            Outbox.known(self, recipe, *more, **given)
            if recipe.seed == 6 and "cat" in recipe.prompt:  # in the midst of a batch
                os.kill(os.getpid(), 9)

        Outbox.save = save

    await_workers(client)
    client.run(spoil)
    job = Job(cells, tmp_path, batch_size=4, cluster=client, shared=True, progress=False)
    died = next(cell for cell in job.requests if cell.seed == 6 and "cat" in cell.prompt)
    while not (known := stamp(tmp_path).get(f"{died.key}.png")) and not job.wait(0):
        time.sleep(0.001)
    require_same(job.result(), alone)
    assert stamp(tmp_path)[f"{died.key}.png"] == known
    client.restart(wait_for_workers=False)
    await_workers(client)


def test_a_worker_that_does_not_see_the_folder_is_told_apart(client, cells, tmp_path, monkeypatch):
    @contextmanager
    def lay_elsewhere(*_):
        yield str(tmp_path / "elsewhere" / ".beacon")

    monkeypatch.setattr(clusters, "lay_beacon", lay_elsewhere)
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="does not see the store's"):
        run(cells, tmp_path, cluster=client, shared=True, progress=False)


def test_a_cell_that_fails_is_a_row_with_its_error(client, cells, tmp_path):
    def spoil():
        from sdlab.render.renderer import Renderer

        Renderer.known = Renderer.draw_pictures

        def draw(self, requests, *more, **given):
            if any(request.seed == 3 for request in requests):
                raise ArithmeticError("three")
            return self.known(requests, *more, **given)

        Renderer.draw_pictures = draw

    def mend():
        from sdlab.render.renderer import Renderer

        Renderer.draw_pictures = Renderer.known

    client.run(spoil)
    try:
        found = run(cells, tmp_path, batch_size=4, cluster=client, progress=False)
        with pytest.raises(GenerationError, match="three"):
            run(cells, tmp_path, cluster=client, on_error="raise", progress=False)
    finally:
        client.run(mend)
    assert list(found[found["error"].notna()]["seed"]) == [3, 3]
    assert set(found["error"].dropna()) == {"ArithmeticError: three"}
    assert run(cells, tmp_path, cluster=client, progress=False)["error"].isna().all()


def test_a_stop_is_heard_within_a_step_and_what_is_finished_is_kept(client, cells, tmp_path):
    slow = [cell.but(num_inference_steps=500) for cell in cells]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        job = Job([*cells[:4], *slow], tmp_path, batch_size=2, cluster=client, progress=False)
    while job.progress.rendered < 2:
        time.sleep(0.01)
    assert job.stop().wait(60) and job.state == "stopped"
    finished = job.frame()["path"].notna().sum()
    assert 2 <= finished == job.progress.finished < len(slow)
    assert not client.processing() or not any(client.processing().values())


def test_a_worker_that_dies_loses_nothing(client, cells, alone, tmp_path):
    more = [*cells, *(cell.but(seed=cell.seed + 100) for cell in cells)]
    job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
    while not job.progress.rendered:
        time.sleep(0.01)
    before = list_pids(client)
    os.kill(before[0], signal.SIGKILL)
    found = job.result()
    assert found["error"].isna().all() and job.progress.rendered == len(more)
    assert list(found["pixels"][: len(cells)]) == list(alone["pixels"])
    await_workers(client)
    assert before[0] not in list_pids(client)


@pytest.fixture
def impatience(monkeypatch):
    """A worker may be silent for seconds, not for minutes."""
    monkeypatch.setattr(crew, "QUIET", 4.0)
    monkeypatch.setattr(crew, "SLACK", 3)


def hang_at_a_step():
    """Has a worker process stop in the midst of a task, when a step of that has been heard of."""
    from sdlab.render import worker

    known = worker.tell_progress

    def begin(task, progress):
        Signal("begun").set()
        tell = known(task, progress)

        def tell_and_stop():
            tell()
            if progress.fraction:
                time.sleep(1.0)
                tell()
                time.sleep(1.0)
                os.kill(os.getpid(), signal.SIGSTOP)

        return tell_and_stop

    worker.tell_progress = begin


def begin_second():
    """Has a worker's first task wait for another's: it could do all of them before that is ready."""
    from sdlab.render import worker

    known = worker.tell_progress

    def begin(task, progress):
        worker.tell_progress = known
        assert Signal("begun").wait(60)
        return known(task, progress)

    worker.tell_progress = begin


def test_a_worker_that_hangs_is_restarted_and_its_batch_is_done_elsewhere(
    client, cells, alone, tmp_path, impatience
):
    await_workers(client)
    (first, pid), (second, _) = client.run(os.getpid).items()
    client.run(hang_at_a_step, workers=[first])
    client.run(begin_second, workers=[second])
    with pytest.warns(UserWarning, match=f"a worker hangs: {first}: it has told of no step for"):
        found = run(cells, tmp_path, batch_size=4, cluster=client, progress=False)
    require_same(found, alone)
    await_workers(client)
    assert pid not in list_pids(client)


def pause(dask_worker):
    from distributed.core import Status

    dask_worker.status = Status.paused  # as Dask does where memory is full


def resume(dask_worker):
    from distributed.core import Status

    dask_worker.status = Status.running


def test_a_paused_worker_is_told_and_others_do_what_waits_for_it(
    client, cells, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(clusters, "LOOK", 0.05)
    await_workers(client)
    first, *_ = client.run(check_once)
    more, notes = [*cells, *(cell.but(seed=cell.seed + 100) for cell in cells)], set()
    try:
        job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
        job.watch(lambda event: notes.add(job.progress.note.split(", http")[0]))
        while not job.progress.rendered:
            time.sleep(0.01)
        with pytest.warns(UserWarning, match=f"a worker is paused: {first}: its memory is full"):
            client.run(pause, workers=[first])
            found = job.result()
        assert found["error"].isna().all() and job.progress.rendered == len(more)
        assert list(found["pixels"][: len(cells)]) == list(alone["pixels"])
        assert "2 workers, 1 paused: memory full" in notes
    finally:
        client.run(resume)


def test_a_run_whose_workers_are_all_paused_goes_on_with_them_or_ends_with_advice(
    client, cells, alone, tmp_path, monkeypatch
):
    await_workers(client)
    client.run(check_once)
    try:
        client.run(pause)
        with pytest.warns(UserWarning, match="a worker is paused: tcp"):
            job = Job(cells, tmp_path / "a", batch_size=4, cluster=client, progress=False)
            while "2 paused: memory full" not in job.progress.note:
                assert not job.wait(0.01)
            client.run(resume)
            require_same(job.result(), alone)
            monkeypatch.setattr(crew, "QUIET", 0.0)
            client.run(pause)
            with pytest.raises(RuntimeError, match="all workers are paused.*memory_limit"):
                run(cells, tmp_path / "b", batch_size=4, cluster=client, progress=False)
    finally:
        client.run(resume)


@pytest.mark.slow
def test_a_hung_worker_that_nobody_restarts_is_left_out_and_wakes_to_no_harm(
    client, cells, alone, tmp_path, impatience, monkeypatch
):
    monkeypatch.setattr(crew.Crew, "_restart", lambda self, address: None)
    await_workers(client)
    client.run(check_once)
    more = [*cells, *(cell.but(seed=cell.seed + 100) for cell in cells)]
    job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
    while job.progress.rendered < 16:
        time.sleep(0.01)
    before = list_pids(client)
    with pytest.warns(UserWarning, match="a worker hangs: tcp://.*tasks are done elsewhere"):
        os.kill(before[0], signal.SIGSTOP)
        try:
            while job.progress.rendered < len(more) - 4 and not job.wait(0):
                time.sleep(0.01)
        finally:
            os.kill(before[0], signal.SIGCONT)  # near the end, with what it was sent long ago
        found = job.result()
    assert found["error"].isna().all() and job.progress.rendered == len(more)
    assert list(found["pixels"][: len(cells)]) == list(alone["pixels"])
    assert Store(tmp_path).check().empty
    assert list_pids(client) == before
    require_same(run(cells, tmp_path / "b", batch_size=4, cluster=client, progress=False), alone)


@pytest.mark.slow
def test_a_batch_that_hangs_on_every_worker_becomes_rows_and_the_others_are_done(
    client, cells, tmp_path, impatience, monkeypatch
):
    def spoil():
        import time

        from sdlab.render.renderer import Renderer

        Renderer.known = Renderer.draw_pictures

        def draw(self, requests, *more, **given):
            if any(request.seed == 9 for request in requests):
                time.sleep(3600)
            return self.known(requests, *more, **given)

        Renderer.draw_pictures = draw

    monkeypatch.setattr(clusters, "LOSSES", 1)
    await_workers(client)
    client.run(check_once)
    client.run(spoil)
    with pytest.warns(UserWarning, match="a worker hangs"):
        found = run(cells, tmp_path, batch_size=4, cluster=client, progress=False)
    failed = found[found["error"].notna()]
    assert 9 in set(failed["seed"]) and len(failed) == 4
    assert set(failed["error"]) == {
        "this batch hung on 1 workers (see their logs); run again with memory='low' or another"
        " batch_size"
    }
    client.restart(wait_for_workers=False)
    await_workers(client)


def check_once():
    """Loads what a check needs, which takes a new worker a while."""
    from sdlab.render.worker import list_versions

    return list_versions()


def change_version(dask_worker=None):
    import diffusers

    diffusers.__version__ = "0.1.2"


def restore_version(dask_worker=None):
    import importlib.metadata

    import diffusers

    diffusers.__version__ = importlib.metadata.version("diffusers")


def test_a_worker_of_another_version_is_left_out_by_name(client, cells, alone, tmp_path):
    await_workers(client)
    first, second = client.run(check_once)  # so that both are checked before much is rendered
    client.run(change_version, workers=[first])
    try:
        with pytest.warns(UserWarning, match=f"{first}: it has diffusers 0.1.2 instead of"):
            found = run(cells, tmp_path / "one", batch_size=4, cluster=client, progress=False)
        require_same(found, alone)
        client.run(change_version, workers=[second])
        with (
            pytest.warns(UserWarning),
            pytest.raises(RuntimeError, match="no worker can .*install the same versions"),
        ):
            run(cells, tmp_path / "none", cluster=client, progress=False)
        assert len(Store(tmp_path / "none")) == 0
    finally:
        client.run(restore_version)


def test_workers_without_the_weights_are_named_before_anything_runs(
    client, cells, random_v1, tmp_path, monkeypatch
):
    monkeypatch.setitem(MODELS, "mine", Model(path=random_v1))  # in this process alone
    with (
        pytest.warns(UserWarning, match="tcp://.*unknown model 'mine'"),
        pytest.raises(RuntimeError, match="no worker can render"),
    ):
        run(cells[0].but(model="mine"), tmp_path, cluster=client, progress=False)


def test_a_worker_for_each_device_is_a_cluster_of_this_machine(
    client, cells, alone, tmp_path, monkeypatch
):
    asked = []

    class Own:
        scheduler_address = client.cluster.scheduler_address

        def __enter__(self):
            return self.scheduler_address

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(crew, "start_local", lambda devices: asked.append(devices) or Own())
    require_same(run(cells, tmp_path, batch_size=4, device=["cpu", "cpu"], progress=False), alone)
    assert asked == [["cpu", "cpu"]]


def test_workers_of_this_machine_have_their_devices():
    with crew.start_local(["cpu", "cpu"]) as own, Client(own, set_as_default=False) as found:
        found.wait_for_workers(2)
        assert own.name.startswith(crew.OWN)
        assert [*found.run(os.getenv, "SDLAB_DEVICE").values()] == ["cpu", "cpu"]
        watched = found.run(dask.config.get, "distributed.worker.profile.enabled")
        assert [*watched.values()] == [False, False]  # Dask's profiler takes its share of the cores


@pytest.mark.parametrize(
    "own, asked, chosen",
    [("cuda:1", "cuda", "cuda:1"), ("cuda:1", None, "cuda:1"), ("cuda:1", "cpu", "cpu")],
)
def test_a_workers_own_card_is_any_card_that_is_asked_for(monkeypatch, own, asked, chosen):
    monkeypatch.setenv("SDLAB_DEVICE", own)
    assert choose_device(SimpleNamespace(device=asked)) == chosen


def test_what_is_no_cluster_is_refused_at_once(client, cells, tmp_path):
    with pytest.raises(TypeError, match="give a dask.distributed.Client"):
        run(cells, tmp_path, cluster=3)
    with pytest.raises(ValueError, match="leave out cluster"):
        run(cells, tmp_path, device=["cpu", "cpu"], cluster=client)
    with pytest.raises(ValueError, match="device='cuda:9' is not here"):
        run(cells, tmp_path, device=["cpu", "cuda:9"])
    with pytest.raises(ValueError, match="give at least one"):
        run(cells, tmp_path, device=[])
    with pytest.raises(ValueError, match="shared=True .*give cluster"):
        run(cells, tmp_path, shared=True)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ConnectionError, match="no scheduler answers there"),
    ):
        run(cells, tmp_path, cluster="tcp://127.0.0.1:9", progress=False)


def test_cards_are_counted_and_cores_put_into_groups(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 20)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert crew.list_devices() == ["cpu", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert crew.list_devices() == ["cuda:0", "cuda:1", "cuda:2"]
    assert crew.list_devices("cuda") == crew.list_devices()
    assert crew.list_devices("cuda:1") == ["cuda:1"]
    assert crew.list_devices("cpu") == crew.list_devices("cpu", "cpu") == ["cpu", "cpu"]


@pytest.mark.parametrize(
    "how", [{"device": "cuda"}, {}, {"device": ["cuda:0", "cuda:1"], "cluster": None}]
)
def test_each_card_of_this_machine_has_a_worker(cells, tmp_path, monkeypatch, how):
    torch, asked = pytest.importorskip("torch"), []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    def start(devices):
        asked.append(devices)
        raise InterruptedError

    monkeypatch.setattr(crew, "start_local", start)
    with pytest.raises(InterruptedError):
        run(cells, tmp_path, **{"cluster": "local", "progress": False, **how})
    assert asked == [["cuda:0", "cuda:1"]]


@pytest.mark.parametrize("device", ["cuda:2", ["cuda:0", "cuda:2"], "cuda:first"])
def test_a_card_that_is_not_there_is_refused_by_its_number(cells, tmp_path, monkeypatch, device):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ValueError, match="is not here; use 'cuda:0' or 'cuda:1', or leave it out"):
        run(cells, tmp_path, device=device)


def test_a_scheduler_that_has_just_gone_takes_no_worker_with_it():
    def tell(**_):
        return {}  # as distributed does once it has given up

    found = crew.Crew(
        SimpleNamespace(scheduler_info=tell), None, None, fit={"x": 1}, asked={"y": 2}
    )
    assert found.find_workers() == {"x", "y"} and found.fit == {"x": 1} and found.asked == {"y": 2}


@pytest.mark.parametrize(
    "heard, stepped, away, hangs",
    [
        (699, True, False, True),
        (701, True, False, False),
        (699, False, False, False),  # it may be loading
        (699, True, True, False),  # nobody listened
    ],
)
def test_a_worker_hangs_that_is_silent_in_a_task_for_much_longer_than_one_takes(
    heard, stepped, away, hangs
):
    client = SimpleNamespace(restart_workers=lambda *given, **how: None)
    found = crew.Crew(client, None, None, fit={"x": 1, "y": 1}, looked=1000, longest=9, away=away)
    cell, at_work = SimpleNamespace(weights="w"), SimpleNamespace(status="pending")
    flight = crew.Flight("n", "y", frozenset("xy"), [cell], at_work, "x", 1, heard, stepped)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [*found.give_up_hung([flight])] == [flight] * hangs
    assert ["a worker hangs: x: it has told" in f"{each.message}" for each in told] == [1] * hangs
    assert ("x" in found.fit) is not hangs and ("x" in found.unfit) is hangs


def test_who_is_paused_is_sent_nothing_and_all_paused_for_long_end_the_run(monkeypatch):
    full, room = (
        {"status": status, "memory_limit": 2e9, "metrics": {"memory": held}}
        for status, held in (("paused", 1.8e9), ("running", 2e8))
    )
    workers = {"x": full, "y": room}
    known = SimpleNamespace(scheduler_info=lambda **_: {"workers": workers}, dashboard_link="")
    found = crew.Crew(known, None, None, fit={"x": 1, "y": 1}, met=True)
    with pytest.warns(UserWarning, match="paused: x: 1.8 of 2.0 GB are taken") as caught:
        assert found.find_workers() == found.find_workers() == {"x", "y"}
    assert len(caught) == 1 and found.list_ready() == ["y"]
    assert found.describe() == "2 workers, 1 paused: memory full"
    waits = crew.Flight("", "x", frozenset("xy"), [], SimpleNamespace(status="pending"))
    assert found.may_wait_at_paused(waits)
    assert not found.may_wait_at_paused(dataclasses.replace(waits, worker="x"))
    found.require_room([waits])
    workers["y"] = full
    with pytest.warns(UserWarning, match="paused: y"):
        found.find_workers()
    found.require_room([waits])
    monkeypatch.setattr(crew, "QUIET", -1.0)
    with pytest.raises(RuntimeError, match="all workers are paused.*memory_limit"):
        found.require_room([waits])
    found.require_room([dataclasses.replace(waits, heard=found.looked + 9)])  # it still computes
    workers["x"] = room
    found.find_workers()
    assert found.list_ready() == ["x"]


def test_no_worker_for_long_is_told_once_and_waited_for(monkeypatch):
    workers = {}
    known = SimpleNamespace(
        scheduler_info=lambda **_: {"workers": workers},
        submit=lambda *given, **how: SimpleNamespace(add_done_callback=lambda hear: None),
        scheduler=SimpleNamespace(address="tcp://10.0.0.5:8786"),
        dashboard_link="",
    )
    found = crew.Crew(known, None, None, looked=time.monotonic())
    found.find_workers()
    assert found.describe() == "no worker is there yet"  # and nothing is told: it may be starting
    monkeypatch.setattr(crew, "ALONE", -1.0)
    with pytest.warns(UserWarning, match="dask worker tcp://10.0.0.5:8786") as caught:
        assert found.find_workers() == found.find_workers() == set()
    assert len(caught) == 1
    workers["x"] = {"status": "running"}
    assert found.find_workers() == {"x"} and found.describe() == "0 workers"
    workers.clear()
    found.met = True
    found.find_workers()
    assert found.describe() == "no worker is there any more"
    with pytest.warns(UserWarning, match="as soon as one comes"):  # another time
        found.find_workers()
    known.cluster, found.alone = SimpleNamespace(name=f"{crew.OWN}1"), found.looked
    with pytest.raises(RuntimeError, match="on this machine have ended.*run again"):
        found.find_workers()


def test_a_worker_stays_with_its_model_as_long_as_there_is_work():
    def cell(model):
        return type("Cell", (), {"weights": model})()

    found = clusters.Workers.__new__(clusters.Workers)
    found.groups = [[cell("a")] * 3, [cell("b")] * 2, [cell("a")]]
    found.models, found._count_cells = {}, lambda address, first: 2
    taken = [(who, found._choose_cells(who)) for who in ("x", "y", "x", "x", "y", "x")]
    assert [(who, [one.weights for one in some]) for who, some in taken] == [
        ("x", ["a", "a"]),
        ("y", ["b", "b"]),
        ("x", ["a"]),
        ("x", ["a"]),
        ("y", []),
        ("x", []),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("most", [4, 20])
def test_workers_killed_at_random_moments_lose_nothing(client, cells, alone, tmp_path, most):
    """All in one run, whose workers have their nannies start them again."""
    chance, kept, landed = random.Random(20), {}, []
    more = [cell.but(seed=cell.seed + 100 * n) for n in range(most) for cell in cells]
    job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
    job.watch(lambda event: landed.append(event.key) if event.kind == "landed" else None)
    for _ in range(most):
        then = job.progress.rendered + chance.randrange(1, 40)
        while not (pids := list_started(client)) or job.progress.rendered < then:
            assert not job.wait(chance.uniform(0.01, 0.1))
        os.kill(chance.choice(pids), signal.SIGKILL)
        before, kept = kept, stamp(tmp_path)
        assert before.items() <= kept.items()
    found = job.result()
    assert found["error"].isna().all() and len(landed) == len(set(landed)) == len(more)
    assert kept.items() <= stamp(tmp_path).items() and job.progress.rendered == len(more)
    assert list(found["pixels"][: len(cells)]) == list(alone["pixels"])
    assert job.store.check().empty
    await_workers(client, 1)


@pytest.fixture
def far_worker():
    """A worker process in a network of its own; gives the caller's end, a way to cut it, and its start."""
    name, here, there = f"sdlab-{os.getpid() % 10_000}", "10.213.77.1", "10.213.77.2"
    said = [
        f"ip netns add {name}",
        f"ip link add {name}a type veth peer name {name}b netns {name}",
        f"ip addr add {here}/30 dev {name}a",
        f"ip -n {name} addr add {there}/30 dev {name}b",
        f"ip link set {name}a up",
        f"ip -n {name} link set {name}b up",
    ]
    processes = []

    def cut(state):
        subprocess.run(f"ip -n {name} link set {name}b {state}".split(), check=True)

    def start(address):
        command = f"ip netns exec {name} {sys.executable} -m distributed.cli.dask_worker {address}"
        more = "--nthreads 1 --memory-limit 0 --no-dashboard --name far --death-timeout 60"
        processes.append(subprocess.Popen([*command.split(), *more.split()]))

    try:
        for command in said:
            if not shutil.which("ip") or subprocess.run(command.split()).returncode:
                pytest.skip(f"no network of one's own can be made here: {command}")
        yield here, cut, start
    finally:
        for process in processes:
            process.kill()
        for command in (f"ip link del {name}a", f"ip netns del {name}"):
            subprocess.run(command.split(), check=False)


@pytest.mark.slow
def test_a_worker_whose_network_is_cut_loses_nothing(
    far_worker, forks, cells, alone, tmp_path, monkeypatch
):
    here, cut, start = far_worker
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    # not sooner, or the worker here counts as gone, too, where a busy machine keeps it from telling
    how = {"distributed.comm.timeouts.tcp": "12s", "distributed.scheduler.worker-ttl": "15s"}
    more = [cell.but(seed=cell.seed + 100 * n) for n in range(4) for cell in cells]
    options = dict(n_workers=1, threads_per_worker=1, memory_limit=0, silence_logs=50)
    with (
        dask.config.set({**how, "distributed.worker.multiprocessing-method": "forkserver"}),
        LocalCluster(host=here, dashboard_address=f"{here}:0", **options) as local,
        Client(local, set_as_default=False) as client,
    ):
        start(local.scheduler_address)
        client.wait_for_workers(2, timeout=300)
        client.run(check_once)
        job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
        while not (job.progress.note.startswith("2 workers") and job.progress.rendered):
            assert not job.wait(0.01)  # else there is nobody to cut off
        cut("down")
        while len(client.scheduler_info()["workers"]) > 1:  # until it counts as gone
            time.sleep(0.1)
        kept = stamp(tmp_path)
        cut("up")
        found = job.result()
    assert found["error"].isna().all() and job.progress.rendered == len(more)
    assert kept.items() <= stamp(tmp_path).items()
    assert list(found["pixels"][: len(cells)]) == list(alone["pixels"])
    assert Store(tmp_path).check().empty


@pytest.mark.slow
def test_a_batch_that_ends_each_worker_is_rows_and_the_others_are_done(forks, cells, tmp_path):
    class End(WorkerPlugin):
        def setup(self, worker):
            import os

            from sdlab.render.renderer import Renderer

            known = Renderer.draw_pictures

            def draw(self, requests, *more, **given):
                if any(request.seed == 9 for request in requests):
                    os.kill(os.getpid(), 9)  # as one that fills the memory
                return known(self, requests, *more, **given)

            Renderer.draw_pictures = draw

    options = dict(n_workers=2, threads_per_worker=1, memory_limit=0, silence_logs=50)
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        LocalCluster(dashboard_address="127.0.0.1:0", **options) as local,
        Client(local, set_as_default=False) as client,
    ):
        client.register_plugin(End())
        found = run(cells[:24], tmp_path, batch_size=4, cluster=client, progress=False)
    failed = found[found["error"].notna()]
    assert 9 in set(failed["seed"]) and failed["error"].str.contains("workers .*memory=").all()
    assert found["path"].notna().sum() == len(found) - len(failed) >= 16


def test_the_end_of_the_scheduler_ends_the_run_and_keeps_what_is_finished(client, cells, tmp_path):
    """The last one: the scheduler of all others is gone."""
    more = [cell.but(seed=cell.seed + 100 * n) for n in range(6) for cell in cells]
    job = Job(more, tmp_path, batch_size=4, cluster=client, progress=False)
    while not job.progress.rendered:
        time.sleep(0.01)
    client.cluster.sync(client.cluster.scheduler.close)
    with pytest.raises(ConnectionError, match="scheduler is gone.*run again"):
        job.result()
    assert 0 < len(Store(tmp_path)) == job.progress.finished < len(more)
    assert Store(tmp_path).check().empty

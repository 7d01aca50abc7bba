"""Breaks what a run relies on, and says what came of it: `python tests/benchmarks/chaos.py [--kills 200] [--only NAME]`.

Kills, a full and a read-only disk (small file systems of its own, for which it takes root), a damaged index, a clock set
back, several processes on one store, pictures deleted and cut while they are read, a rename that a network file system
lost. Each line is a promise, and whether it held: nothing that was finished is lost or rendered again, and a message says
what to do. It takes a few minutes, and ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))
from conftest import write_pipeline
from kernels import start_forks

from sdlab import Request, Store, image_grid, preview, run, sweep
from sdlab.store import files

CELLS, CONTEXT = 24, multiprocessing.get_context("forkserver")
broken: list[str] = []


def promise(held: Any, what: str) -> None:
    print(f"{'held  ' if held else 'BROKEN'}  {what}", flush=True)
    if not held:
        broken.append(what)


def cells(model: str, count: int = CELLS) -> Any:
    base = Request(model=model, prompt="a {cat|dog}", num_inference_steps=2, scheduler="Euler")
    return sweep(base, seed=range(count // 2))


def work(model: str, root: Path, count: int = CELLS) -> None:
    warnings.simplefilter("ignore")
    run(cells(model, count), root, batch_size=4, progress=False)


def stamp(root: Path) -> dict[str, tuple[int, int]]:
    """Lists what a picture rendered again would change: {name: (number of its file, time)}."""
    found = {}
    for path in (root / "images").glob("*/*.png"):
        said = path.stat()
        found[path.name] = said.st_ino, said.st_mtime_ns
    return found


def goes_on(model: str, root: Path, count: int = CELLS) -> bool:
    """Runs on, and tells whether nothing was lost or made again and all is there in the end."""
    before = stamp(root)
    work(model, root, count)
    after = stamp(root)
    kept = all(after.get(name) == known for name, known in before.items())
    return kept and len(after) == count and Store(root).check().empty


def fails(work: Callable[[], Any], *words: str) -> bool:
    """Tells whether it raises an error with these words."""
    try:
        work()
    except Exception as error:
        said = str(error)
        print(f"        {type(error).__name__}: {said[:300]}", flush=True)
        return all(word in said for word in words)
    return False


def break_kills(model: str, place: Path, kills: int) -> None:
    chance, done, round_, well = random.Random(kills), 0, 0, True
    while done < kills:
        root, count = place / f"{round_}", CELLS * 5
        while done < kills:
            before = stamp(root)
            process = CONTEXT.Process(target=work, args=(model, root, count), daemon=True)
            process.start()
            while process.is_alive() and len(stamp(root)) == len(before):
                time.sleep(0.02)  # looking takes the time of what is looked at
            process.join(chance.uniform(0, 0.3))
            if alive := process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                done += 1
            process.join()
            after = stamp(root)
            well &= all(after.get(name) == known for name, known in before.items())
            well &= Store(root).find_finished([name[:-4] for name in after]) == {
                name[:-4] for name in after
            }
            if not alive:
                break
        well &= goes_on(model, root, count)
        round_ += 1
    promise(well, f"{kills} kills in {round_} runs: nothing finished is lost, torn or made again")


@contextmanager
def mount(place: Path, kilobytes: int) -> Iterator[Path]:
    """A small file system of our own."""
    place.mkdir()
    said = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "sdlab-chaos", str(place)]
    if os.name != "posix" or subprocess.run(said, capture_output=True).returncode:
        print("        (no file system can be mounted here: left out)", flush=True)
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def break_disk(model: str, place: Path, kills: int) -> None:
    with suppress_left_out(), mount(place / "full", 700) as disk:
        full = fails(lambda: work(model, disk / "store", 400), "free space", "run again")
        promise(full, "a full disk ends the run with what to do")
        store = Store(disk / "store")
        found = {name[:-4] for name in stamp(disk / "store")}
        promise(found and store.find_finished(found) == found, "what is on it is whole")
        left = [path for path in (disk / "store").rglob("*.part")]
        promise(not left, "and nothing half written is left")
        promise(
            fails(lambda: work(model, disk / "store", 400), "free space"),
            "a run that begins on a full disk is refused at once",
        )
        remount(disk, "size=30m")
        promise(goes_on(model, disk / "store", 400), "with space it goes on where it was")
        with read_only(disk, place / "read-only") as same:
            root = same / "store"
            promise(
                len(run(cells(model, 400), root, progress=False)) == 400,
                "a finished plan can be read from a read-only disk",
            )
            promise(
                fails(lambda: work(model, root, 410), "writable", "run again"),
                "an unfinished one is refused with what to do",
            )
            promise(
                fails(lambda: Store(root).rate(min(found), rating=3), "writable"), "an opinion too"
            )


@contextmanager
def read_only(place: Path, other: Path) -> Iterator[Path]:
    """The same folder at another place, where nothing can be written."""
    other.mkdir()
    subprocess.run(["mount", "--bind", str(place), str(other)], check=True)
    try:
        remount(other, "bind,ro")
        yield other
    finally:
        subprocess.run(["umount", "-l", str(other)], check=True)


@contextmanager
def suppress_left_out() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "didn't yield" not in str(error):
            raise


def damage_rows(file: Path, sql: str) -> None:
    with sqlite3.connect(file) as db:
        db.execute(sql)


def fill(file: Path, data: bytes) -> None:
    file.write_bytes(data)


WAYS: dict[str, Callable[[Path], Any]] = {
    "deleted": lambda file: file.unlink(),
    "empty": lambda file: fill(file, b""),
    "cut in half": lambda file: fill(file, file.read_bytes()[: file.stat().st_size // 2]),
    "noise": lambda file: fill(file, random.Random(0).randbytes(50_000)),
    "noise in its middle": lambda file: fill(
        file, file.read_bytes()[:4096] + random.Random(1).randbytes(file.stat().st_size - 4096)
    ),
    "a text": lambda file: fill(file, b"this is no database\n" * 100),
    "without its table": lambda file: damage_rows(file, "DROP TABLE pictures"),
    "without rows": lambda file: damage_rows(file, "DELETE FROM pictures"),
    "wrong sizes": lambda file: damage_rows(file, "UPDATE pictures SET bytes = bytes + 1"),
    "no JSON": lambda file: damage_rows(file, "UPDATE pictures SET shared = '[1, 2'"),
    "of a later version": lambda file: damage_rows(file, "PRAGMA user_version = 77"),
    "a journal of noise": lambda file: fill(
        file.with_name("index.sqlite-journal"), random.Random(2).randbytes(5000)
    ),
}


def break_index(model: str, place: Path, kills: int) -> None:
    work(model, place / "whole")
    known = Store(place / "whole").frame()
    for way, damage in WAYS.items():
        root = place / way.replace(" ", "-")
        shutil.copytree(place / "whole", root)
        damage(root / "index.sqlite")
        before = stamp(root)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            try:
                nothing = preview(cells(model), root).todo == 0
                run(cells(model), root, batch_size=4, progress=False)
                frame = Store(root).frame()
                same = frame.drop(columns="path").equals(known.drop(columns="path"))
            except Exception as error:
                print(f"        {type(error).__name__}: {error}"[:300])
                nothing = same = False
        well = nothing and same and stamp(root) == before
        promise(well, f"index {way}: the frame is the same, and nothing is rendered again")
    root = place / "anothers"
    shutil.copytree(place / "whole", root)
    (root / "index.sqlite").unlink()
    damage_rows(root / "index.sqlite", "CREATE TABLE cookies (name TEXT)")
    promise(
        fails(lambda: Store(root), "another program's database", "another folder"),
        "another program's database in its place is refused, not overwritten",
    )


def break_clock(model: str, place: Path, kills: int) -> None:
    root = place / "clock"
    run(cells(model)[:8], root, batch_size=4, progress=False)
    tomorrow = time.time() + 86_400
    for path in root.rglob("*"):
        os.utime(path, (tomorrow, tomorrow))
    before = stamp(root)
    promise(goes_on(model, root) and before, "files from the future (a clock set back) count")
    frame = Store(root).frame([recipe.key for recipe in resolve_all(model)])
    promise(frame["path"].notna().all(), "and their rows are in the frame")
    partial = root / "images" / "aa" / f".x.{files.platform.node()}.{os.getpid()}.1.part"
    partial.parent.mkdir(exist_ok=True)
    partial.write_bytes(b"at work")
    os.utime(partial, (tomorrow, tomorrow))
    Store(root).rebuild()
    promise(partial.exists(), "what a living process writes is not swept away")
    partial.unlink()


def resolve_all(model: str) -> list[Any]:
    from sdlab.models.resolve import native
    from sdlab.render.plan import resolve_all as resolve

    return resolve(list(cells(model)), {model: native(model)})


def view(root: Path, end: Any, said: Any) -> None:
    """Looks at a store again and again, as a notebook of somebody else does."""
    warnings.simplefilter("error")
    count = 0
    try:
        while not end.is_set():
            frame = Store(root).frame()
            for path in frame["path"][-5:]:
                Store(root).image(Path(path).stem)
            count += 1
        said.put(count)
    except Exception as error:
        said.put(f"{type(error).__name__}: {error}")


def break_company(model: str, place: Path, kills: int) -> None:
    root, end, said = place / "company", CONTEXT.Event(), CONTEXT.Queue()
    jobs = [CONTEXT.Process(target=work, args=(model, root, 120)) for _ in range(2)]
    viewer = CONTEXT.Process(target=view, args=(root, end, said))
    for process in (*jobs, viewer):
        process.start()
    for job in jobs:
        job.join()
    end.set()
    looked = said.get()
    viewer.join()
    promise(all(job.exitcode == 0 for job in jobs), "two jobs of one plan on one store both end")
    promise(isinstance(looked, int), f"a viewer saw no torn state ({looked} looks)")
    store = Store(root)
    promise(len(store) == 120 and store.check().empty, "every picture is there once, and whole")


def break_pictures(model: str, place: Path, kills: int) -> None:
    root = place / "pictures"
    work(model, root)
    results = run(cells(model), root, progress=False)
    deleted, cut = Path(results["path"][0]), Path(results["path"][1])
    deleted.unlink()
    cut.write_bytes(cut.read_bytes()[:200])
    rest = {name: known for name, known in stamp(root).items() if name != cut.name}
    try:
        image_grid(results, row="prompt", col="seed")
        drawn = True
    except Exception as error:
        drawn = bool(print(f"        {type(error).__name__}: {error}"))
    promise(drawn, "a grid is drawn with a picture deleted and one cut")
    store = Store(root)
    promise(
        fails(lambda: store.image(deleted.stem), "run its request"),
        "a deleted picture is said, with what to do",
    )
    promise(
        {Path(path).name for path in store.check()["path"]} == {cut.name},
        "`check` finds the cut one",
    )
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        todo = preview(cells(model), root).todo
    promise(todo == 2, "both count as unfinished")
    said = " ".join(str(warning.message) for warning in heard)
    promise(cut.name in said and "broken" in said, "and the cut one is moved aside, aloud")
    work(model, root)
    after = stamp(root)
    promise(
        len(after) == CELLS and all(after[name] == known for name, known in rest.items()),
        "they alone are rendered again",
    )


def break_rename(model: str, place: Path, kills: int) -> None:
    known = os.replace

    def lose(source: Any, target: Any) -> None:  # the server has said yes, and forgot it
        if str(target).endswith(".png") and lost:
            os.unlink(source)
            lost.pop()
        else:
            known(source, target)

    def refuse(source: Any, target: Any) -> None:
        raise OSError(116, "Stale file handle")

    root, lost = place / "rename", [1]
    try:
        files.os.replace = lose  # type: ignore[assignment]
        promise(
            fails(lambda: work(model, root), "run again"),
            "a rename that a network file system lost ends the run, aloud",
        )
        files.os.replace = refuse  # type: ignore[assignment]
        promise(
            fails(lambda: work(model, root), "Stale file handle", "run again"),
            "and so does one that it refuses",
        )
    finally:
        files.os.replace = known
    promise(goes_on(model, root), "what was finished is kept, and it goes on")


BREAKS = {
    "kills": break_kills,
    "disk": break_disk,
    "index": break_index,
    "clock": break_clock,
    "company": break_company,
    "pictures": break_pictures,
    "rename": break_rename,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", choices=BREAKS, nargs="*", default=list(BREAKS))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    start_forks()
    place = Path(tempfile.mkdtemp(prefix="sdlab-chaos-"))
    try:
        model = str(write_pipeline(place / "model"))
        for name in given.only:
            print(f"\n{name}", flush=True)
            (place / name).mkdir()
            BREAKS[name](model, place / name, given.kills)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"\n{len(broken)} promises were broken" if broken else "\nall promises held")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()

"""The pictures are the record: no kill, full disk, or damage to the index loses a finished cell or leaves a broken one."""

import errno
import os
import pickle
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import sdlab.store.store
from sdlab.pictures import hash_pixels
from sdlab.recipe.request import FIELDS, Recipe, Request
from sdlab.store.columns import COLUMNS, FACTS
from sdlab.store.opinions import MARKS
from sdlab.store.png import embed_record, read_record
from sdlab.store.store import Store

RESOLVED = dict(
    prompt="a hamster",
    guidance_scale=7.5,
    num_inference_steps=20,
    height=16,
    width=16,
    scheduler="DDIMScheduler",
    weights="0123456789abcdef" * 2,
)
DTYPES = {name: column.dtype for name, column in COLUMNS.items()}
HERE = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from test_store import *\n"
AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def cell(seed: int = 0, **changes) -> Recipe:
    return Recipe(**RESOLVED | {"seed": seed} | changes)


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), "u1"))


def save(store: Store, *seeds: int, facts=(), **changes) -> list[str]:
    cells = [cell(seed, **changes) for seed in seeds]
    for recipe in cells:
        store.save(recipe, picture(recipe.seed), dict(facts))
    return [recipe.key for recipe in cells]


def seeds(store: Store) -> list[int]:
    return store.frame()["seed"].tolist()


def python(code: str, *arguments: object) -> subprocess.Popen:
    """Another process that runs this code with this module's names."""
    path = os.pathsep.join(
        [str(Path(sdlab.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    command = [sys.executable, "-c", HERE + code, *map(str, arguments)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def answer(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


# Saving and reading


def test_nothing_is_made_before_the_first_picture(tmp_path):
    store = Store(tmp_path / "a" / "b")
    frame = store.frame()
    assert (
        len(store) == len(frame) == 0
        and store.find_finished([cell().key]) == set()
        and store.rebuild() == 0
    )
    assert list(frame.columns) == list(COLUMNS) and store.check().empty
    assert store.frame([cell().key]).drop(columns=["key", "starred"]).isna().all(axis=None)
    assert not (tmp_path / "a").exists()
    assert len(Store(tmp_path)) == 0 and not any(tmp_path.iterdir())


def test_a_picture_returns_with_its_recipe_and_facts(tmp_path):
    store = Store(tmp_path)
    (key,) = save(store, 3, facts={"device": "cpu", "whim": [1, 2]})
    assert store.image(key).mode == "RGB" and store.image(key).tobytes() == picture(3).tobytes()
    assert store.record(key)["request"] == cell(3).to_dict()
    assert store.record(key)["facts"]["whim"] == [1, 2] and "whim" not in store.frame()
    assert store.path(key) == tmp_path / "images" / key[:2] / f"{key}.png"


def test_the_frame_has_one_row_a_picture_in_nullable_types(tmp_path):
    store = Store(tmp_path)
    (key,) = save(
        store, 2**32 - 1, facts={"seconds": np.float64(0.5), "nsfw": False, "threads": np.int64(2)}
    )
    frame = store.frame()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == DTYPES
    assert list(frame) == ["key", *FIELDS, "path", "error", *FACTS, *MARKS]
    row = frame.iloc[0]
    assert (row["key"], row["seed"], row["seconds"], row["nsfw"], row["threads"]) == (
        key,
        2**32 - 1,
        0.5,
        False,
        2,
    )
    assert row["path"] == str(store.path(key)) and row[["error", "device", "rerun"]].isna().all()


def test_a_seed_of_an_older_version_is_still_read(tmp_path):
    old = cell(1)
    object.__setattr__(old, "seed", 5 + 2**40)  # which a request does not take any more
    Store(tmp_path).save(old, picture(), {})
    for _ in ("index kept", "index made anew"):
        store = Store(tmp_path)
        assert seeds(store) == [5 + 2**40] and store.record(old.key)["request"]["seed"] == 5 + 2**40
        assert store.check().empty and store.find_finished([old.key]) == {old.key}
        (tmp_path / "index.sqlite").unlink()


def test_the_frame_is_in_order_of_creation(tmp_path):
    for seed, created in enumerate(
        ["2026-03-01T00:00:00", "2026-01-01T00:00:00", "2026-02-01T00:00:00"]
    ):
        save(Store(tmp_path), seed, facts={"created": created})
    assert seeds(Store(tmp_path)) == [1, 2, 0]
    save(Store(tmp_path), 9)  # now
    (tmp_path / "index.sqlite").unlink()
    assert seeds(Store(tmp_path)) == [1, 2, 0, 9]


@pytest.mark.parametrize("others", [0, 20])
def test_the_frame_of_given_keys_has_their_order_and_gaps(tmp_path, others):
    store = Store(tmp_path)
    a, b, *_ = save(store, 0, 1, *range(10, 10 + others))
    missing = cell(7).key
    frame = store.frame(iter([b, missing, a, b]))
    assert frame["key"].tolist() == [b, missing, a, b] and frame["seed"].tolist() == [
        1,
        pd.NA,
        0,
        1,
    ]
    assert frame.loc[1].drop(["key", "starred"]).isna().all() and frame["path"][2] == str(
        store.path(a)
    )
    assert {name: str(kind) for name, kind in store.frame([]).dtypes.items()} == DTYPES


@pytest.mark.parametrize(
    "prompt", ["'; DROP TABLE pictures; --", "a\0b", '🐹\n"x"', "x" * 10_000, ""]
)
def test_the_frame_returns_every_prompt(tmp_path, prompt):
    save(Store(tmp_path), 0, prompt=prompt)
    assert Store(tmp_path).frame()["prompt"].tolist() == [prompt.replace("\0", "\ufffd")]


def test_strange_facts_do_not_spoil_the_frame(tmp_path):
    save(
        Store(tmp_path),
        0,
        facts={
            "seconds": "fast",
            "threads": 2**70,
            "nsfw": "no",
            "machine": "caf\udce9",
            "dtype": 32,
        },
    )
    frame = Store(tmp_path).frame()
    assert frame[["seconds", "threads", "nsfw"]].isna().all(axis=None)
    assert frame[["machine", "dtype"]].values.tolist() == [["caf\ufffd", "32"]]


def test_identical_pictures_have_equal_pixels(tmp_path):
    store = Store(tmp_path)
    reshaped = Image.frombytes("RGB", (32, 8), picture(0).tobytes())
    for seed, image in enumerate([picture(0), picture(0), picture(1), reshaped]):
        store.save(cell(seed), image, {})
    a, b, c, d = store.frame()["pixels"]
    assert a == b == hash_pixels(picture(0)) and len({a, c, d}) == 3 and len(a) == 32


def test_only_a_resolved_request_can_be_saved(tmp_path):
    with pytest.raises(TypeError, match=r"a Recipe, not a Request; call sdlab.resolve\(request\)"):
        Store(tmp_path).save(Request(**RESOLVED), picture(), {})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["../../etc/passwd", "a" * 31, "A" * 32, None, "a" * 32 + "\n"])
def test_what_is_no_key_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        Store(tmp_path).path(key)


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no picture {cell().key} in Store.*0 pictures"):
        Store(tmp_path).image(cell().key)
    with pytest.raises(FileNotFoundError, match="run its request"):
        Store(tmp_path).record(cell().key)


def test_a_store_shows_its_folder_and_size_and_can_be_pickled(tmp_path):
    save(Store(tmp_path), 0, 1)
    store = pickle.loads(pickle.dumps(Store(tmp_path)))
    assert (
        repr(store) == f"Store({str(tmp_path)!r}, 2 pictures)"
        and len(store) == 2
        and store.root == tmp_path
    )


def test_a_file_is_no_store(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match="is a file; a store is a folder"):
        Store(tmp_path / "file")


def test_other_folders_are_no_stores(tmp_path):
    save(Store(tmp_path / "mine"), 0)
    (tmp_path / "coco" / "images").mkdir(parents=True)
    (tmp_path / "coco" / "images" / "000001.jpg").touch()
    with pytest.raises(ValueError, match=r"000001\.jpg.*is no store"):
        Store(tmp_path / "coco")
    with pytest.raises(ValueError, match="did you mean"):
        Store(tmp_path / "mine" / "images")


def test_another_programs_database_is_left_alone(tmp_path):
    store = Store(tmp_path)
    save(store, 0)
    (tmp_path / "index.sqlite").unlink()
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("CREATE TABLE theirs (x)")
    for attempt in (lambda: Store(tmp_path), store.frame, store.frame):
        with pytest.raises(ValueError, match="another program's database"):
            attempt()
    assert db.execute("SELECT * FROM theirs").fetchall() == []


def test_seconds_are_the_mean_of_the_latest_like_cells(tmp_path):
    store = Store(tmp_path)
    like = dict(weights=RESOLVED["weights"], height=16, width=16)
    assert store.seconds(num_inference_steps=20, **like) is None
    for seed in range(66):
        save(
            store,
            seed,
            facts={
                "seconds": 100.0 if seed < 2 else float(seed),
                "created": f"2026-01-01T00:00:{seed:03}",
            },
        )
    assert store.seconds(num_inference_steps=20, **like) == np.mean(range(2, 66))
    assert store.seconds(num_inference_steps=10, **like) == pytest.approx(np.mean(range(2, 66)) / 2)
    assert store.seconds(num_inference_steps=20, **{**like, "height": 24}) is None


# The index is only a cache


def older(file: Path) -> None:
    shutil.copy(file.with_name("older"), file)


DAMAGE = {
    "deleted": os.unlink,
    "older": older,
    "emptied": lambda file: os.truncate(file, 0),
    "cut": lambda file: os.truncate(file, 5000),
    "cut to 10 bytes": lambda file: os.truncate(file, 10),
    "text": lambda file: file.write_text("not a database " * 1000),
    "garbage inside": lambda file: file.write_bytes(file.read_bytes()[:100] + os.urandom(20_000)),
    "zeros": lambda file: file.write_bytes(bytes(8192)),
}
SILENT = {"deleted", "older", "emptied"}


def damaged(root: Path, how: str) -> None:
    save(Store(root), 0, 1)
    shutil.copy(root / "index.sqlite", root / "older")
    save(Store(root), *range(2, 6))
    DAMAGE[how](root / "index.sqlite")


@pytest.mark.parametrize("how", DAMAGE)
def test_an_index_that_is_gone_or_damaged_is_made_anew(tmp_path, how):
    damaged(tmp_path, how)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert seeds(Store(tmp_path)) == [0, 1, 2, 3, 4, 5]
    assert len(said) == (how not in SILENT) and all(
        "made anew from the pictures" in str(w.message) for w in said
    )
    assert seeds(Store(tmp_path)) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("how", DAMAGE)
def test_an_index_damaged_while_in_use_is_made_anew(tmp_path, how):
    open_before = Store(tmp_path)
    damaged(tmp_path, how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert seeds(open_before) == [0, 1, 2, 3, 4, 5]
        save(open_before, 6)
        assert seeds(open_before) == seeds(Store(tmp_path)) == [0, 1, 2, 3, 4, 5, 6]


def test_an_index_of_other_columns_is_made_anew(tmp_path):
    save(Store(tmp_path), 0)
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("ALTER TABLE pictures DROP COLUMN prompt")
        db.execute("PRAGMA user_version = 1")
    db.close()
    assert Store(tmp_path).frame()["prompt"].tolist() == ["a hamster"]


def test_a_picture_added_behind_the_back_is_found(tmp_path):
    save(Store(tmp_path / "a"), 0, 1)
    save(Store(tmp_path / "b"), 2)
    store = Store(tmp_path / "a")
    shutil.copytree(tmp_path / "b" / "images", tmp_path / "a" / "images", dirs_exist_ok=True)
    assert store.find_finished([cell(2).key]) == {cell(2).key} and len(store) == 3
    (tmp_path / "a" / "index.sqlite").unlink()
    assert seeds(Store(tmp_path / "a")) == [0, 1, 2]


def test_a_picture_known_to_no_index_is_found_on_open(tmp_path):
    save(Store(tmp_path), 0)
    path = Store(tmp_path).path(cell(1).key)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(
        embed_record(cell(1), picture(1), {"created": "2099"})
    )  # killed between renaming and indexing
    assert seeds(Store(tmp_path)) == [0, 1]


def test_a_picture_taken_away_leaves_the_index(tmp_path):
    store = Store(tmp_path)
    a, b = save(store, 0, 1)
    store.path(a).unlink()
    assert store.find_finished([a, b]) == {b}
    assert seeds(store) == [1]
    store.path(b).unlink()
    assert len(Store(tmp_path)) == 0


def test_a_whole_folder_taken_away_is_an_empty_store(tmp_path):
    store = Store(tmp_path / "runs")
    save(store, 0)
    shutil.rmtree(tmp_path / "runs")
    assert len(store) == 0
    save(store, 1)
    assert seeds(store) == [1]


def test_rebuild_reads_all_pictures_and_corrects_the_index(tmp_path):
    store = Store(tmp_path)
    a, b, c = save(store, 0, 1, 2)
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        db.execute("UPDATE pictures SET prompt = 'wrong'")
    store.path(a).write_bytes(b"x")
    with pytest.warns(UserWarning, match="not a PNG.*moved to"):
        assert store.rebuild() == 2
    assert store.frame()["prompt"].tolist() == ["a hamster"] * 2 and store.frame()[
        "key"
    ].tolist() == [b, c]


def test_files_of_others_are_left_alone(tmp_path):
    store = Store(tmp_path)
    (key,) = save(store, 0)
    others = [
        tmp_path / "images" / "notes.txt",
        store.path(key).with_name(f"{key[:2]}cat.png"),
        store.path(key).with_name(".x.part"),
        tmp_path / "images" / "zz" / f"{key}.png",
        tmp_path / "report.html",
    ]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.write_text("x")
    assert seeds(Store(tmp_path)) == [0] and Store(tmp_path).rebuild() == 1
    assert all(other.read_text() == "x" for other in others)


# Torn pictures


@pytest.mark.parametrize("length", [0, 8, 300, -12, -1])
def test_a_torn_picture_is_unfinished_and_can_be_made_again(tmp_path, length):
    store = Store(tmp_path)
    a, b = save(store, 0, 1)
    data = store.path(a).read_bytes()
    store.path(a).write_bytes(data[:length] if length else b"")
    with pytest.warns(UserWarning, match="torn.*unfinished") as said:
        assert store.find_finished([a, b]) == {b}
    assert (
        len(said) == 1 and not store.path(a).exists() and Path(f"{store.path(a)}.broken").exists()
    )
    assert store.find_finished([a, b]) == {b} and seeds(store) == [1]  # and no second warning
    save(store, 0)
    assert store.find_finished([a, b]) == {a, b} and len(store) == 2


def test_a_picture_written_over_with_zeros_is_unfinished(tmp_path):
    store = Store(tmp_path)
    (key,) = save(store, 0)
    store.path(key).write_bytes(
        bytes(store.path(key).stat().st_size)
    )  # what some file systems leave after a power cut
    with pytest.warns(UserWarning, match="not a PNG"):
        assert store.find_finished([key]) == set()


def test_torn_pictures_unknown_to_the_index_are_moved_aside_on_open(tmp_path):
    (key,) = save(Store(tmp_path), 0)
    (tmp_path / "index.sqlite").unlink()
    os.truncate(tmp_path / "images" / key[:2] / f"{key}.png", 200)
    with pytest.warns(UserWarning, match="torn"):
        assert len(Store(tmp_path)) == 0


def test_a_picture_under_another_key_is_not_that_cell(tmp_path):
    store = Store(tmp_path)
    (a,) = save(store, 0)
    b = cell(1).key
    store.path(b).parent.mkdir(exist_ok=True)
    shutil.copy(store.path(a), store.path(b))
    with pytest.warns(UserWarning, match="recipe of another key"):
        assert store.find_finished([a, b]) == {a}


def test_a_picture_saved_again_is_finished_though_the_index_is_older(tmp_path):
    store = Store(tmp_path)
    (key,) = save(store, 0)
    older_index = (tmp_path / "index.sqlite").read_bytes()
    save(store, 0, facts={"device": "cuda", "machine": "another one"})
    (tmp_path / "index.sqlite").write_bytes(older_index)
    store = Store(tmp_path)
    assert store.find_finished([key]) == {key} and store.frame()["device"].tolist() == ["cuda"]


def test_check_is_empty_when_all_is_well(tmp_path):
    store = Store(tmp_path)
    save(store, 0, 1, prompt='🐹 "\n')
    problems = store.check()
    assert problems.empty and list(problems) == ["key", "path", "problem"]


def test_check_names_what_is_wrong(tmp_path):
    store = Store(tmp_path)
    a, b, c, d, _ = save(store, 0, 1, 2, 3, 4)
    data = store.path(a).read_bytes()
    store.path(a).write_bytes(
        embed_record(cell(0), picture(9), {"pixels": hash_pixels(picture(0))})
    )
    shutil.copy(store.path(d), store.path(b))
    picture().save(store.path(c))
    store.path(d).write_bytes(data[:-200])
    problems = store.check().set_index("key")["problem"]
    assert (
        problems[a] == "its pixels are not those that were saved"
        and problems[b] == f"its recipe is that of {d}"
    )
    assert problems[c] == "carries no recipe" and "torn" in problems[d] and len(problems) == 4


# Interrupted, full and read-only


def leftovers(root: Path) -> list[str]:
    return [
        path.name
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".png" and path.name != "index.sqlite"
    ]


@pytest.mark.parametrize(
    "call, number, kind, advice",
    [
        ("fsync", errno.ENOSPC, OSError, "free space"),
        ("fsync", errno.EIO, OSError, "see to that"),
        ("replace", errno.EROFS, OSError, "writable"),
        ("replace", errno.EACCES, PermissionError, "writable"),
    ],
)
def test_a_failed_save_says_what_to_do_and_leaves_nothing(
    tmp_path, monkeypatch, call, number, kind, advice
):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    store = Store(tmp_path)
    save(store, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(
            kind, match=f"{tmp_path}.*{os.strerror(number)}.*{advice}.*run again: what is finished"
        ) as caught:
            save(store, 1)
    assert caught.value.errno == number and leftovers(tmp_path) == [] and seeds(store) == [0]
    save(store, 1)
    assert seeds(store) == [0, 1]


def test_ctrl_c_while_saving_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(Store(tmp_path), 0)
    assert leftovers(tmp_path) == [] and len(Store(tmp_path)) == 0


@pytest.mark.skipif(os.name != "posix", reason="no file size limits there")
def test_a_write_that_stops_halfway_leaves_nothing(tmp_path):
    said = answer(
        python(f"""
import resource
store = Store({str(tmp_path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))
try:
    save(store, 0)
except OSError as error:
    print(error.errno == errno.EFBIG, "finished stays finished" in str(error), leftovers(store.root))
""")
    )
    assert said == "True True []" and len(Store(tmp_path)) == 0


@pytest.fixture
def read_only():
    """Runs code on a store that it cannot write: (a function that fills the store, code) -> what the code printed."""
    if os.name != "posix":
        pytest.skip("permissions are others there")
    folder = Path(tempfile.mkdtemp())  # tmp_path is closed to other users
    os.chmod(folder, 0o755)

    def result(fill, code: str) -> list[str]:
        fill(folder / "runs")
        subprocess.run(["chmod", "-R", "a-w,a+rX", folder / "runs"], check=True)
        return answer(python(AS_NOBODY + code, folder / "runs")).splitlines()

    yield result
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    shutil.rmtree(folder)


AS_NOBODY = """
root = sys.argv[1]
Store("/nowhere").frame(), Store("/nowhere").check(), Image.init()  # loads what another user may not read
if AS_ROOT:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
assert not os.access(root, os.W_OK)
warnings.simplefilter("error")
"""


def test_a_read_only_store_can_be_read_whatever_its_index(read_only):
    ways = ["deleted", "older", "garbage inside"]
    said = read_only(
        lambda root: [damaged(root / how, how) for how in ways],
        f"""
for how in {ways}:
    store = Store(Path(root) / how)
    keys = store.frame()["key"]
    print(seeds(store), len(store.find_finished(keys)), len(store.check()), store.image(keys[3]).size)
    try:
        save(store, 9)
    except PermissionError as error:
        print("make it writable" in str(error))
""",
    )
    assert said == ["[0, 1, 2, 3, 4, 5] 6 0 (16, 16)", "True"] * 3


def test_a_torn_picture_in_a_read_only_store_is_only_reported(read_only):
    def fill(root):
        save(Store(root), 0, 1)
        os.truncate(Store(root).path(cell(0).key), 100)

    said = read_only(
        fill,
        """
store, keys = Store(root), [cell(0).key, cell(1).key]
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    print(store.find_finished(keys) == {keys[1]}, len(said), "counts as unfinished" in str(said[0].message))
    print(store.path(keys[0]).exists())
""",
    )
    assert said == ["True 1 True", "True"]


# Several at once, and killed


def test_threads_share_a_store(tmp_path):
    store, failed = Store(tmp_path), []

    def work(first: int) -> None:
        try:
            for seed in range(first, first + 20):
                save(store, seed)
                assert store.find_finished([cell(seed).key])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[first]) for first in (0, 10, 10)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (
        failed == []
        and sorted(seeds(store)) == list(range(30))
        and store.check().empty
        and leftovers(tmp_path) == []
    )


def test_threads_share_a_store_whose_index_is_deleted_again_and_again(tmp_path):
    store, failed = Store(tmp_path), []
    save(store, 0)

    def work() -> None:
        try:
            for _ in range(30):
                (tmp_path / "index.sqlite").unlink(missing_ok=True)
                assert seeds(store) == [0]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == [] and seeds(store) == [0]


def test_a_locked_index_is_waited_for(tmp_path):
    store = Store(tmp_path)
    save(store, 0)
    other = sqlite3.connect(tmp_path / "index.sqlite", check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.rollback)
    release.start()
    save(store, 1)  # a warning would be an error
    release.join()
    assert other.execute("SELECT count(*) FROM pictures").fetchone() == (2,)
    other.close()


def test_processes_share_a_store(tmp_path):
    code = "store = Store(sys.argv[1]); save(store, *range(int(sys.argv[2]), int(sys.argv[2]) + 30)); print(len(store) >= 30)"
    both = [python(code, tmp_path, first) for first in (0, 10)]
    assert [answer(process) for process in both] == ["True", "True"]
    with sqlite3.connect(tmp_path / "index.sqlite") as db:
        assert db.execute("SELECT count(*) FROM pictures").fetchone() == (
            40,
        )  # before any open mends it
    store = Store(tmp_path)
    assert (
        sorted(seeds(store)) == list(range(40))
        and store.check().empty
        and leftovers(tmp_path) == []
    )


def test_a_killed_run_loses_no_finished_cell_and_leaves_no_broken_one(tmp_path):
    said = []
    for first, pictures in [(0, 1), (1000, 20)]:
        code = "for seed in range(int(sys.argv[2]), 10**6):\n    print(*save(Store(sys.argv[1]), seed), flush=True)"
        process = python(code, tmp_path, first)
        with process, process.stdout:
            said += [process.stdout.readline().strip() for _ in range(pictures)]
            process.kill()
        assert all(read_record(path) for path in tmp_path.rglob("*.png"))
        store = Store(tmp_path)
        assert (
            store.find_finished(said) == set(said)
            and len(store) >= len(said)
            and store.check().empty
        )
        assert leftovers(tmp_path) == []
    assert len(said) == 21


def test_only_the_temporary_files_of_dead_writers_are_removed(tmp_path):
    store = Store(tmp_path)
    (key,) = save(store, 0)
    node, ended = platform.node(), subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = {
        f".{key}.{node}.{os.getpid()}.1.part": True,
        f".{key}.{node}.{ended.pid}.1.part": False,
        f".{key}.elsewhere.{ended.pid}.1.part": True,
        f".{key}.elsewhere.{ended.pid}.2.part": False,
    }
    for name in names:
        store.path(key).with_name(name).write_bytes(b"half")
    os.utime(store.path(key).with_name(f".{key}.elsewhere.{ended.pid}.2.part"), (0, 0))
    Store(tmp_path)
    assert {name: store.path(key).with_name(name).exists() for name in names} == names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_opens_its_own_index(tmp_path):
    store = Store(tmp_path)
    save(store, 0)
    before = store.index.db
    child = os.fork()
    if not child:
        os._exit(0 if save(store, 1) and store.index.db is not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert seeds(store) == [0, 1]

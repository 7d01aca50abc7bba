"""Stars, ratings and votes outlive the index, torn lines and several writers; the last word counts."""

import errno
import json
import os
import shutil
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from test_store import answer, cell, python, read_only, save  # noqa: F401  (a fixture)

from sdlab.store.opinions import Opinions
from sdlab.store.store import Store

A, B, C = (cell(seed).key for seed in range(3))
HERE = "from sdlab.store.opinions import Opinions; from pathlib import Path\n"


def lines(root) -> list[dict]:
    return [
        json.loads(line)
        for line in (root / "opinions.jsonl").read_text(encoding="utf-8").split("\n")
        if line
    ]


# The file


def test_who_asks_a_folder_that_is_no_store_for_opinions_is_told_so(tmp_path):
    (tmp_path / "circle" / "images").mkdir(parents=True)
    near = "circel does not exist, so there are no votes; did you mean 'circle'"
    with pytest.warns(UserWarning, match=near) as caught:
        assert Store(tmp_path / "circel").votes().empty
    assert [each.filename for each in caught if each.category is UserWarning] == [__file__]
    (tmp_path / "notes").mkdir()  # beside a store whose name is another
    with pytest.warns(UserWarning, match="notes is no store, so there are no answers$"):
        assert Store(tmp_path / "notes").answers().empty
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert Store(tmp_path / "circle").votes().empty  # nobody has voted
        new = Store(tmp_path / "new")
        exec("new.answers()", {"__name__": "sdlab.widgets", "new": new})  # of one to be made
        new.rate("0" * 32, starred=True)
        assert new.answers().empty


def test_nothing_is_written_before_the_first_opinion(tmp_path):
    opinions = Opinions(tmp_path / "a" / "b")
    assert opinions.ratings() == {} and opinions.votes().empty
    with pytest.warns(UserWarning, match="a does not exist"):
        assert Store(tmp_path / "a").votes().empty
    assert not (tmp_path / "a").exists()
    opinions.rate("x", starred=True)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["opinions.jsonl"]


def test_each_opinion_is_a_line_of_json_with_its_time(tmp_path):
    opinions, before = Opinions(tmp_path), pd.Timestamp.now("UTC")
    opinions.rate("ä\n", starred=True, rating=3)
    opinions.rate("x", rating=None)
    opinions.vote("x", "y", "both bad", blind=True)
    said = lines(tmp_path)
    times = [pd.Timestamp(line.pop("time")) for line in said]
    assert before <= times[0] <= times[1] <= times[2] <= pd.Timestamp.now("UTC")
    assert said == [
        {"key": "ä\n", "starred": True, "rating": 3},
        {"key": "x", "rating": None},
        {"left": "x", "right": "y", "vote": "both bad", "blind": True},
    ]


def test_the_last_word_counts_for_star_and_rating_apart(tmp_path):
    opinions = Opinions(tmp_path)
    for said in [
        {"starred": True},
        {"rating": 2},
        {"rating": 5},
        {"starred": True, "rating": 4},
        {"starred": False},
    ]:
        opinions.rate("x", **said)
    opinions.rate("y", starred=True)
    assert (
        opinions.ratings() == Opinions(tmp_path).ratings() == {"x": (False, 4), "y": (True, None)}
    )
    opinions.rate("x", rating=None)
    assert opinions.ratings() == {"y": (True, None)}  # only those that have any


CAST = [
    ("x", "y", "left", False, ""),
    ("x", "y", "right", True, "ann"),
    ("x", "z", "tie", False, ""),
    ("y", "x", "left", False, ""),
    ("x", "y", "left", False, "ann"),
    ("y", "x", "both bad", True, "ann"),
]


def test_all_votes_are_kept_in_order_and_one_counts_for_each_rater_and_pair(tmp_path):
    opinions = Opinions(tmp_path)
    for *who, blind, rater in CAST:
        opinions.vote(*who, blind=blind, rater=rater)
        opinions.rate("x", starred=True)
    votes, every = opinions.votes(), opinions.votes(history=True)
    assert (
        list(votes)
        == ["time", "left", "right", "vote", "blind", "rater", "may_change", "names_shown"]
        and every["time"].is_monotonic_increasing
    )
    rows = [
        list(
            part.drop(columns=["time", "may_change", "names_shown"]).itertuples(
                index=False, name=None
            )
        )
        for part in (every, votes)
    ]
    assert rows == [CAST, [CAST[2], CAST[3], CAST[5]]]
    assert (
        list(map(str, votes.dtypes))
        == list(map(str, Opinions(tmp_path / "empty").votes().dtypes))
        == ["string"] * 4 + ["boolean", "string", "boolean", "boolean"]
    )


def test_a_vote_taken_back_counts_no_more_and_stays_in_the_history(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.vote("x", "y", "left", blind=True, sealed=True)
    opinions.vote("y", "x", None, blind=True, sealed=True)
    assert opinions.votes().empty and opinions.votes(history=True)["vote"].isna().tolist() == [
        False,
        True,
    ]
    opinions.vote("x", "y", "tie")
    assert opinions.votes()["vote"].tolist() == ["tie"]


def test_a_blind_vote_is_taken_back_openly_and_never_replaced_so(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.vote("x", "y", "left", blind=True)
    opinions.vote("x", "y", "right")
    assert opinions.votes()["vote"].tolist() == ["left"]
    opinions.vote("y", "x", None, rater="ann")
    assert opinions.votes()["vote"].tolist() == ["left"]
    opinions.vote("y", "x", None)
    assert opinions.votes().empty and len(opinions.votes(history=True)) == 4
    opinions.vote("x", "y", "right")
    assert opinions.votes()["vote"].tolist() == ["right"]


def test_a_blind_vote_taken_back_blindly_leaves_an_earlier_open_one(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.vote("x", "y", "right")
    opinions.vote("y", "x", "right", blind=True)
    opinions.vote("x", "y", None, blind=True)
    assert opinions.votes()[["left", "vote", "blind"]].values.tolist() == [["x", "right", False]]
    opinions.vote("x", "y", None, blind=True)  # there is none
    assert len(opinions.votes()) == 1


def test_what_a_rater_knows_is_what_was_revealed_and_what_came_with_unsealed_votes(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.vote("b", "a", "left", blind=True)  # as versions before wrote it: names were shown
    opinions.vote("c", "d", "left", blind=True, sealed=True)
    opinions.reveal([("f", "e")], rater="ann")
    assert opinions.revealed() == {("a", "b")} and opinions.revealed("ann") == {("e", "f")}
    assert len(opinions.votes()) == 2 and opinions.ratings() == {}


def test_verdicts_tags_and_notes_are_kept_beside_stars_and_ratings(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.rate("x", starred=True, rating=4)
    opinions.rate("x", verdict="wrong", tags=["hands", "two cats"], note="six fingers")
    opinions.rate("y", verdict="cannot tell")
    columns = pd.DataFrame(opinions.columns(pd.array(["y", "x", "z"], "string")))
    assert columns.astype(object).where(columns.notna(), None).values.tolist() == [
        [False, None, "cannot tell", None, None],
        [True, 4, "wrong", "hands, two cats", "six fingers"],
        [False, None, None, None, None],
    ]
    opinions.rate("x", verdict=None, tags=[], note="")
    assert opinions.marks() == {
        "x": {"starred": True, "rating": 4},
        "y": {"verdict": "cannot tell"},
    }
    for bad in ({"verdict": "yes"}, {"tags": "hands"}, {"tags": ["a, b"]}, {"note": 3}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            opinions.rate("x", **bad)


def test_an_answer_is_a_line_with_all_that_tells_how_it_came_about(tmp_path):
    opinions = Opinions(tmp_path)
    opinions.answer(
        "x", "5", question="fingers?", rater="ann", seconds=np.float64(2.5), blind=True, repeat=1
    )
    opinions.answer(("x", "y"), None, question="closer?")
    opinions.take_back("x", question="fingers?", rater="ann", repeat=np.int64(1))
    asked = {"key": "x", "question": "fingers?", "rater": "ann", "repeat": 1}
    assert [{k: v for k, v in line.items() if k != "time"} for line in lines(tmp_path)] == [
        asked | {"answer": "5", "seconds": 2.5, "blind": True},
        {"left": "x", "right": "y", "question": "closer?", "rater": "", "repeat": 0}
        | {"answer": None, "seconds": None, "blind": False},
        asked | {"undone": True},
    ]
    assert opinions.ratings() == {} and opinions.votes().empty


def test_the_last_answer_counts_of_each_rater_question_and_repeat(tmp_path):
    opinions = Opinions(tmp_path)
    for rater, said, repeat in [("ann", "4", 0), ("ann", "5", 0), ("ann", "6", 1), ("", "7", 0)]:
        opinions.answer("x", said, question="q", rater=rater, repeat=repeat)
    opinions.answer(("a", "b"), "left", question="q")
    opinions.answer(("b", "a"), "left", question="q")  # the same pair, the other way round
    answers = opinions.answers()
    assert answers[["key", "answer", "rater", "repeat"]].fillna("-").values.tolist() == [
        ["x", "5", "ann", 0],
        ["x", "6", "ann", 1],
        ["x", "7", "", 0],
        ["-", "left", "", 0],
    ]
    assert answers[["left", "right"]].values.tolist()[-1] == ["b", "a"]
    assert answers.dtypes.equals(Opinions(tmp_path / "empty").answers().dtypes)
    opinions.take_back("x", question="q", rater="ann")
    assert opinions.answers()["answer"].tolist() == ["6", "7", "left"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"answer": 5}, "answer=5: use text, or None for cannot tell"),
        ({"answer": ""}, "answer='': use text"),
        ({"question": " "}, "say what is asked"),
        ({"rater": None}, "rater=None is no text"),
        ({"seconds": -1}, "seconds=-1: use a number from 0"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": True}, "seconds=True"),
        ({"repeat": -1}, "repeat=-1: use a whole number from 0"),
        ({"repeat": True}, "repeat=True"),
        ({"blind": 1}, "blind=1: use True or False"),
        ({"about": "x"}, "is no key; a key is 32 hexadecimal digits"),
        ({"about": (A, "x")}, "is no key; a key is 32 hexadecimal digits"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_is_allowed(tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        Store(tmp_path).answer(**{"about": A, "answer": "yes", "question": "q"} | given)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_file_can_be_read_edited_and_merged_by_people(tmp_path, end):
    Opinions(tmp_path).rate("x", rating=1)
    with open(tmp_path / "opinions.jsonl", "a", encoding="utf-8") as file:
        file.write(
            '\n{"key": "x", "rating": 2, "note": "schön"}\r\n{"left": "x", "right": "y", "vote": "tie"}\n\n'
            '{"key": "y", "starred": true}' + end
        )  # an editor may leave the last line open
    opinions = Opinions(tmp_path)
    assert opinions.ratings() == {"x": (False, 2), "y": (True, None)} and opinions.votes()[
        "vote"
    ].tolist() == ["tie"]
    opinions.rate("z", rating=3)
    assert opinions.ratings() == {"x": (False, 2), "y": (True, None), "z": (False, 3)}


def test_what_others_write_is_seen_and_nothing_is_read_twice(tmp_path, monkeypatch):
    ours, theirs = Opinions(tmp_path), Opinions(tmp_path)
    assert ours.ratings() == {}
    theirs.rate("x", starred=True)
    assert ours.ratings() == {"x": (True, None)}
    monkeypatch.setattr(type(ours.file), "read_bytes", lambda path: pytest.fail("read again"))
    assert ours.ratings() == {"x": (True, None)} and len(ours.votes()) == 0
    ours.file.unlink()
    assert ours.ratings() == {}


# Torn and unreadable lines


@pytest.mark.parametrize("length", [1, 20, -2, -1])
def test_a_torn_last_line_loses_only_itself(tmp_path, length):
    opinions = Opinions(tmp_path)
    opinions.rate("x", starred=True)
    whole = opinions.file.read_bytes()
    opinions.file.write_bytes(
        whole + b'{"time": "2026-01-01T00:00:00+00:00", "key": "y", "rating": 5}\n'[:length]
    )
    kept = {"x": (True, None)} | (
        {"y": (False, 5)} if length == -1 else {}
    )  # there only the line's end is missing
    assert opinions.ratings() == kept  # a warning would be an error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        opinions.rate("z", rating=1)
        assert opinions.ratings() == kept | {
            "z": (False, 1)
        } and opinions.file.read_bytes().startswith(whole)


@pytest.mark.parametrize(
    "line",
    [
        b"oops",
        b'"key"',
        b"[]",
        b"\xff\xfe",
        bytes(40),
        b"[" * 100_000,
        b'{"key": "y"}',
        b'{"starred": true}',
        b'{"key": "y", "rating": 6}',
        b'{"key": "y", "rating": true}',
        b'{"key": ["y"], "starred": true}',
        b'{"key": "y", "starred": 1}',
        b'{"left": "x", "vote": "tie"}',
        b'{"left": "x", "right": "y", "vote": ["tie"]}',
        b'{"left": "x", "right": "y", "vote": "tie", "rater": 3}',
        b'{"key": "x", "question": "q"}',
        b'{"left": "x", "question": "q", "answer": "yes"}',
        b'{"key": "x", "question": ["q"], "answer": "yes"}',
    ],
    ids=lambda line: str(line[:40]),
)
def test_an_unreadable_line_is_named_once_and_skipped(tmp_path, line):
    opinions = Opinions(tmp_path)
    opinions.rate("x", starred=True)
    with open(opinions.file, "ab") as file:
        file.write(line + b"\n")
    opinions.rate("z", rating=1)
    with pytest.warns(UserWarning, match="opinions.jsonl, line 2: .*mend or delete"):
        assert opinions.ratings() == {"x": (True, None), "z": (False, 1)}
    opinions.rate("z", rating=2)
    assert opinions.ratings()["z"] == (False, 2) and opinions.votes().empty  # and no second warning


def test_many_unreadable_lines_are_one_warning(tmp_path):
    (tmp_path / "opinions.jsonl").write_bytes(b"a\nb\nc\n")
    with pytest.warns(UserWarning, match="line 1 and 2 others") as said:
        assert Opinions(tmp_path).ratings() == {}
    assert len(said) == 1


@pytest.mark.skipif(os.name != "posix", reason="no file size limits there")
@pytest.mark.filterwarnings("ignore:.*line 2")
def test_an_opinion_that_stops_halfway_is_an_error_and_loses_only_itself(tmp_path):
    said = answer(
        python(f"""
import resource
store = Store({str(tmp_path)!r})
store.rate({A!r}, starred=True)
resource.setrlimit(resource.RLIMIT_FSIZE, ((store.root / "opinions.jsonl").stat().st_size + 30,) * 2)
try:
    store.rate({B!r}, rating=4)
except OSError as error:
    print(error.errno == errno.EFBIG, "say it again" in str(error), list(store.opinions.ratings()) == [{A!r}])
""")
    )
    assert (
        said == "True True True"
        and len((tmp_path / "opinions.jsonl").read_bytes().split(b"\n")[1]) == 30
    )
    Store(tmp_path).rate(C, rating=4)
    assert Opinions(tmp_path).ratings() == {A: (True, None), C: (False, 4)}


# Several at once


def test_two_processes_rate_at_once_and_nothing_is_lost(tmp_path):
    code = (
        HERE
        + "opinions = Opinions(Path(sys.argv[1]))\nfor n in range(100): opinions.rate(f'{sys.argv[2]}-{n}', rating=1 + n % 5)"
    )
    for process in [python(code, tmp_path, name) for name in "ab"]:
        answer(process)
    assert Opinions(tmp_path).ratings() == {
        f"{name}-{n}": (False, 1 + n % 5) for name in "ab" for n in range(100)
    }
    for name in "ab":
        assert [line["key"] for line in lines(tmp_path) if line["key"][0] == name] == [
            f"{name}-{n}" for n in range(100)
        ]


def test_threads_rate_and_read_at_once(tmp_path):
    opinions, failed = Opinions(tmp_path), []

    def work(name: str) -> None:
        try:
            for n in range(50):
                opinions.rate(f"{name}{n}", starred=True)
                assert opinions.ratings()[f"{name}{n}"] == (True, None)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=[name]) for name in "abc"]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failed == [] and len(opinions.ratings()) == 150


# Wrong opinions


@pytest.mark.parametrize(
    "said, message",
    [
        ({}, "rate needs an opinion: starred=True or False, rating=1 to 5 or None"),
        ({"rating": 6}, "rating=6: use a whole number from 1 to 5, or None"),
        ({"rating": 0}, "1 to 5"),
        ({"rating": 4.0}, "rating=4.0: "),
        ({"rating": "5"}, "rating='5': "),
        ({"rating": True}, "rating=True: "),
        ({"rating": pd.NA}, "rating=<NA>: "),
        ({"starred": 1}, "starred=1: use True or False"),
        ({"starred": "no", "rating": 1}, "starred='no'"),
    ],
)
def test_what_is_no_rating_is_refused_with_what_is_allowed(tmp_path, said, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Store(tmp_path).rate(A, **said)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("vote", ["Left", "both", "", 0])
def test_what_is_no_vote_is_refused_with_what_is_allowed(tmp_path, vote):
    with pytest.raises(
        ValueError, match=f"vote={vote!r}: use 'left', 'right', 'tie' or 'both bad'"
    ):
        Store(tmp_path).vote(A, B, vote)
    with pytest.raises(ValueError, match="blind='yes': use True or False"):
        Store(tmp_path).vote(A, B, "tie", blind="yes")
    assert not any(tmp_path.iterdir())


def test_what_is_no_key_is_refused(tmp_path):
    store = Store(tmp_path)
    for attempt in (
        lambda: store.rate("x", starred=True),
        lambda: store.vote(A, None, "tie"),
        lambda: store.vote("x", A, "tie"),
    ):
        with pytest.raises(ValueError, match="is no key; a key is 32 hexadecimal digits"):
            attempt()
    with pytest.raises(ValueError, match="key=3 is no key"):
        Opinions(tmp_path).rate(3, starred=True)
    assert not any(tmp_path.iterdir())


# In a store


def test_a_star_survives_a_deleted_index_and_deleted_pictures(tmp_path):
    store = Store(tmp_path)
    save(store, 0, 1)
    store.rate(A, starred=True, rating=5)
    store.vote(A, B, "left")
    (tmp_path / "index.sqlite").unlink()
    shutil.rmtree(tmp_path / "images")
    assert Store(tmp_path).frame().empty
    save(Store(tmp_path), 0, 1)
    frame = Store(tmp_path).frame()
    assert (
        frame["starred"].tolist() == [True, False]
        and frame["rating"].tolist() == [5, pd.NA]
        and len(store.votes()) == 1
    )


@pytest.mark.parametrize("said", [0, 1])
def test_the_frame_ends_with_what_people_said(tmp_path, said):
    store = Store(tmp_path)
    save(store, 0, 1, 2)
    if said:
        store.rate(B, starred=True, rating=2)
    for keys, starred in [
        (None, [False, said, False]),
        ([B, C, A, B], [said, False, False, said]),
        ([], []),
    ]:
        frame = store.frame(keys)
        assert {name: str(kind) for name, kind in frame.dtypes.items()}.items() >= {
            "starred": "boolean",
            "rating": "Int64",
        }.items()
        assert (
            list(frame)[-5:] == ["starred", "rating", "verdict", "tags", "note"]
            and frame["starred"].tolist() == starred
        )
        assert frame["rating"].tolist() == [2 if star else pd.NA for star in starred]


def test_a_picture_can_be_starred_before_it_is_there(tmp_path):
    store = Store(tmp_path)
    store.rate(A, starred=True)
    row = store.frame([A]).iloc[0]
    assert row["starred"] and pd.isna(row["path"]) and store.frame().empty
    save(store, 0)
    assert store.frame()["starred"].tolist() == [True]


def test_the_opinions_of_a_frame_can_be_said_in_another_store(tmp_path):
    store, other = Store(tmp_path / "a"), Store(tmp_path / "b")
    save(store, 0, 1)
    store.rate(A, starred=True, rating=3)
    store.rate(B, rating=1)
    for row in store.frame().itertuples():  # NumPy's types in places
        other.rate(row.key, starred=row.starred, rating=row.rating)
    other.rate(C, **store.frame().iloc[0][["starred", "rating"]])
    assert other.opinions.ratings() == {A: (True, 3), B: (False, 1), C: (True, 3)}


def test_a_frame_in_memory_keeps_its_stars(tmp_path):
    store = Store(tmp_path)
    save(store, 0)
    before = store.frame()
    store.rate(A, starred=True)
    assert before["starred"].tolist() == [False] and store.frame()["starred"].tolist() == [True]


@pytest.mark.parametrize(
    "number, advice",
    [
        (errno.ENOSPC, "free space there"),
        (errno.EROFS, "make it writable"),
        (errno.EIO, "see to that"),
    ],
)
def test_a_failed_opinion_says_what_to_do(tmp_path, monkeypatch, number, advice):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    store = Store(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    for attempt in (lambda: store.rate(A, starred=True), lambda: store.vote(A, B, "tie")):
        with pytest.raises(
            OSError,
            match=f"{tmp_path} cannot take another opinion .{os.strerror(number)}.; {advice} and say it again",
        ) as caught:
            attempt()
        assert caught.value.errno == number


def test_a_read_only_store_shows_its_stars_and_says_what_to_do(read_only):  # noqa: F811
    def fill(root):
        for name in ("starred", "plain"):
            save(Store(root / name), 0)
        Store(root / "starred").rate(A, starred=True)

    said = read_only(
        fill,
        f"""
for store in map(Store, (root + "/starred", root + "/plain")):
    try:
        store.rate({A!r}, rating=1)
    except PermissionError as error:
        print(store.frame()["starred"].tolist(), "make it writable and say it again" in str(error))
""",
    )
    assert said == ["[True] True", "[False] True"]

"""Stars, ratings and votes on pictures: lines of a text file, which people can read and merge."""

from __future__ import annotations

import json
import os
import warnings
from datetime import UTC, datetime
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any, BinaryIO

from .files import flush_names

if TYPE_CHECKING:
    import pandas as pd
    from pandas.api.extensions import ExtensionArray

BALLOT: dict[str, Any] = {  # the columns of votes
    **dict.fromkeys(("time", "left", "right", "vote"), "string"),
    "blind": "boolean",
}
VOTES = ("left", "right", "tie", "both bad")
OTHER = {"left": "right", "right": "left"}
RATINGS = (1, 2, 3, 4, 5)


class Opinions:
    """What people said of pictures, in the file `opinions.jsonl`; the last word counts.

    Each line is a JSON object. The file, made by the first opinion, is only ever appended to, a
    whole line at a time, so several processes and threads may write to it.

    Parameters
    ----------
    root : Path
        The folder of the file.
    """

    def __init__(self, root: Path) -> None:
        self.file = root / "opinions.jsonl"
        self._read: tuple[Any, list[dict]] = None, []  # (the file's stamp, its lines) for threads
        self._warned = 0  # lines

    def rate(
        self, key: str, *, starred: bool | None = None, rating: int | EllipsisType | None = ...
    ) -> None:
        """Stars a picture, rates it, or both.

        Parameters
        ----------
        key : str
        starred : bool, optional
            Left as it was unless given.
        rating : int, optional
            1 to 5; None takes an earlier one back. Left as it was unless given.
        """
        starred, rating = unwrap_value(starred), unwrap_value(rating)
        said = {"starred": starred} if starred is not None else {}
        said |= {"rating": rating} if rating is not ... else {}
        if not said:
            raise TypeError(
                "rate needs an opinion: starred=True or False, rating=1 to 5 or None (no rating),"
                " or both"
            )
        self._append(check_opinion({"key": key, **said}))

    def vote(self, left: str, right: str, vote: str, *, blind: bool = False) -> None:
        """Keeps which of two pictures was preferred.

        Parameters
        ----------
        left, right : str
            Their keys.
        vote : {"left", "right", "tie", "both bad"}
        blind : bool
            Whether the voter did not know which was which.
        """
        self._append(
            check_opinion(
                {"left": left, "right": right, "vote": vote, "blind": unwrap_value(blind)}
            )
        )

    def ratings(self) -> dict[str, tuple[bool, int | None]]:
        """Lists (starred, rating or None) of each key that has a star or a rating."""
        said: dict[str, tuple[bool, int | None]] = {}
        for line in self._lines():
            if "vote" not in line:
                starred, rating = said.get(line["key"], (False, None))
                said[line["key"]] = line.get("starred", starred), line.get("rating", rating)
        return {key: opinion for key, opinion in said.items() if opinion != (False, None)}

    def votes(self) -> pd.DataFrame:
        """Lists all votes in the file's order: time (ISO 8601, UTC), left, right, vote, blind."""
        import pandas as pd

        votes = [line for line in self._lines() if "vote" in line]
        columns = {name: [vote.get(name) for vote in votes] for name in BALLOT}
        return pd.DataFrame(columns).astype(BALLOT)

    def columns(self, keys: ExtensionArray) -> dict[str, ExtensionArray]:
        """Lists the stars (False where nothing is said) and ratings of these keys."""
        import pandas as pd

        said = pd.DataFrame.from_dict(self.ratings(), "index", columns=["starred", "rating"])
        said = said.astype({"starred": "boolean", "rating": "Int64"}).reindex(keys)
        return {"starred": said["starred"].fillna(False).array, "rating": said["rating"].array}

    def _append(self, said: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        line = json.dumps({"time": now, **said}).encode() + b"\n"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "a+b", buffering=0) as file:  # each write is one call of the system
            is_new = file.tell() == 0
            data = line if is_new or ends_its_line(file) else b"\n" + line
            while file.write(data) < len(data):  # no space: the next try says so, or finds some,
                data = b"\n" + line  # on a line of its own
            os.fsync(file.fileno())
        if is_new:
            flush_names(self.file.parent)

    def _lines(self) -> list[dict]:
        """Lists all lines that can be read, anew only if the file has changed."""
        try:
            now = os.stat(self.file)
        except FileNotFoundError:
            return []
        stamp = now.st_ino, now.st_size, now.st_mtime_ns
        if stamp != self._read[0]:
            self._read = stamp, self._parse(self.file.read_bytes().split(b"\n"))
        return self._read[1]

    def _parse(self, lines: list[bytes]) -> list[dict]:
        found, unread = [], []
        for number, line in enumerate(lines, 1):
            try:
                found += [check_opinion(json.loads(line))] if line.strip() else []
            except (ValueError, RecursionError):
                unread.append(number)
        if unread and unread[-1] == len(lines):  # there somebody may still be writing
            unread.pop()
        if len(unread) > self._warned:
            self._warned = len(unread)
            others = f" and {len(unread) - 1:,} others" if len(unread) > 1 else ""
            warnings.warn(
                f"{self.file}, line {unread[0]}{others}: no opinion that can be read, so it does"
                " not count; mend or delete it",
                stacklevel=2,
            )
        return found


def check_opinion(said: Any) -> dict[str, Any]:
    """Gives the opinion itself, or an error that says what is allowed."""
    if not isinstance(said, dict) or not {"starred", "rating", "vote"} & said.keys():
        raise ValueError(
            "an opinion is a mapping with a key and starred or rating, or with left, right and vote"
        )
    for name in ("left", "right") if "vote" in said else ("key",):
        if not isinstance(said.get(name), str):
            raise ValueError(
                f"{name}={said.get(name)!r:.60} is no key; give text, such as request.key"
            )
    for name in ("starred", "blind"):
        if not isinstance(said.get(name, False), bool):
            raise ValueError(f"{name}={said[name]!r:.60}: use True or False")
    rating = said.get("rating")
    if rating is not None and (type(rating) is not int or rating not in RATINGS):
        raise ValueError(
            f"rating={rating!r:.60}: use a whole number from 1 to 5, or None for no rating"
        )
    if said.get("vote", "tie") not in VOTES:
        raise ValueError(
            f"vote={said['vote']!r:.60}: use {', '.join(map(repr, VOTES[:-1]))} or {VOTES[-1]!r}"
        )
    return said


def mirror_vote(vote: str) -> str:
    """Gives the same vote when the two pictures change places."""
    return OTHER.get(vote, vote)


def unwrap_value(value: Any) -> Any:
    """Takes the value out of a NumPy type, such as a frame's cells have."""
    return value.item() if hasattr(value, "item") else value


def ends_its_line(file: BinaryIO) -> bool:
    """Tells whether the last line has an end.

    Else a kill or a full disk has torn it, or somebody else is writing it just now. Then the next
    line begins with an end of line, which in the latter case leaves an empty line for readers to
    skip.
    """
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"

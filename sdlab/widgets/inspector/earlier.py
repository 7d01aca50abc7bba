"""What was found out earlier about the origin of a file, in short, for another panel."""

from __future__ import annotations

from pathlib import Path

from .answer import say_searched, write_headline
from .kept import KeptSearches
from .pictures import VERDICTS, Picture
from .work import list_asked, searched


def recall_origin(path: str, kept: KeptSearches) -> str:
    """Recalls in short what an inspector has found in a file, and shown beside it; "" if nothing.

    Parameters
    ----------
    path : str
    kept : KeptSearches
        Of the inspector's folder; it looked for the usual marks.
    """
    asked, picture = list_asked(), Picture(Path(path).name, path)
    name = searched.name(picture, asked)
    picture.inspection = searched.recall(name) or kept.recall(name, path, asked)
    seen, picture.repeated = kept.recall_beside(name)
    if picture.inspection is None:
        return seen
    letter = picture.verdict
    verdict = f"{VERDICTS[letter][1]}{say_searched(picture, letter)}"
    return " ".join(filter(None, (f"{verdict}. {write_headline(picture, letter)}", seen)))

"""`verify(what)` and its answer: a sentence, a frame, and a figure of the differences."""

from __future__ import annotations

import html
import random
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image

from ...pictures import png_bytes
from ...store.files import write_whole
from ..frame import column_values, describe_file_problem
from ..pairs import draw_difference
from .again import Again, render_again
from .cases import Case, read_given
from .verdicts import CANNOT, DIFFERENT, Verdict, judge_case, name_fact, write_sentence

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from ..sheet import GridFigure, SheetCell

MOST_SHOWN = 8  # rows of the figure
GAIN = 4.0


@dataclass(frozen=True, eq=False, repr=False)
class Verification:
    """Whether pictures come out the same when their recipes are rendered again.

    Attributes
    ----------
    verdicts : sequence of Verdict
        One a picture, in the order given.
    total : int
        How many there were, of which these are a sample or all.
    seed : int
        Of the sample.
    without : int
        How many rows were left out, as they have no picture.
    """

    verdicts: Sequence[Verdict]
    total: int
    seed: int = 0
    without: int = 0
    _cases: Sequence[Case] = ()
    _again: Sequence[Again] = ()
    _folder: Any = field(default=None)  # it goes when this does

    def __len__(self) -> int:
        return len(self.verdicts)

    def __repr__(self) -> str:
        return write_sentence(self.verdicts, self.total, self.seed, self.without)

    def _repr_html_(self) -> str:
        return html.escape(repr(self))

    @property
    def exit_code(self) -> int:
        """0 if all come out the same, 1 if one differs, 3 if some cannot be rendered here."""
        found = {each.verdict for each in self.verdicts}
        return 1 if DIFFERENT in found else 3 if CANNOT in found else 0

    @property
    def frame(self) -> pd.DataFrame:
        """One row a picture.

        Its `name` and `verdict`; `cause` in a word and `why` in a sentence; `differs`, what may
        change bits and was not as recorded; `largest` and `mean` difference in levels of 255 and
        the `share` of the numbers that differ; `allowed_largest` and `allowed_mean`, what rounding
        is known to do where such things differ (missing where nothing does, and no bit may).
        """
        rows = [
            {
                **{name: getattr(each, name) for name in ("name", "verdict", "cause", "why")},
                "differs": ", ".join(map(name_fact, each.differs)),
                **{
                    name: each.distance and getattr(each.distance, name)
                    for name in ("largest", "mean", "share")
                },
                "allowed_largest": each.allowed and each.allowed.largest,
                "allowed_mean": each.allowed and each.allowed.mean,
            }
            for each in self.verdicts
        ]
        numbers = ("largest", "mean", "share", "allowed_largest", "allowed_mean")
        texts = ("name", "verdict", "cause", "why", "differs")
        types = {**dict.fromkeys(texts, "string"), **dict.fromkeys(numbers, "Float64")}
        return pd.DataFrame(rows, columns=list(types)).astype(types)

    def list_strangers(self, frame: pd.DataFrame) -> list[str]:
        """Lists the names of what was rendered again, and is of no row of this frame."""
        known = {*column_values(frame, "key"), *column_values(frame, "pixels")}
        known |= {Path(path).name for path in column_values(frame, "path") if path is not None}
        return [
            case.name
            for case, again in zip(self._cases, self._again)
            if again.path is not None and not known & {case.name, case.facts.get("pixels", "")}
        ]

    def draw(self) -> GridFigure:
        """Draws the farthest first: as handed on, rendered again, and four times the difference."""
        from ..sheet import Grid, Sheet

        shown = [i for i, again in enumerate(self._again) if again.path is not None]
        if not shown:
            raise ValueError(
                f"nothing could be rendered again, so there is nothing to draw: {self}"
            )
        shown.sort(key=lambda i: -self._reach(i))
        cells = [self._draw_cells(i) for i in shown[:MOST_SHOWN]]
        labels = [
            f"{each.name[:12]}, {each.verdict}" for each in map(self.verdicts.__getitem__, shown)
        ]
        columns = ["as handed on", "rendered again", f"128 + {GAIN:g} times the difference"]
        grid = Grid(cells, row_labels=labels[:MOST_SHOWN], col_labels=columns)
        more = f"the farthest {MOST_SHOWN} of {len(shown):,}" if len(shown) > MOST_SHOWN else ""
        figure = Sheet(grid, None).draw("Rendered again", repr(self), more)
        figure.set_label(f"Rendered again. {self}")
        return figure

    def _reach(self, i: int) -> float:
        distance = self.verdicts[i].distance
        return distance.mean if distance else float("inf")

    def _draw_cells(self, i: int) -> list[SheetCell | None]:
        from ..sheet import SheetCell

        case, again = self._cases[i], self._again[i]
        image = case.open()
        if image is None:
            said = "not at hand" if case.picture is None else describe_file_problem(OSError())
            return [SheetCell(None, said), SheetCell(again.path, None), SheetCell(None, said)]
        with Image.open(str(again.path)) as made:
            apart = draw_difference(image, made, GAIN)
        paths = [Path(self._folder.name) / f"{i}-{what}.png" for what in ("given", "difference")]
        for path, picture in zip(paths, (image, apart)):
            write_whole(path, png_bytes(picture))
        given, difference = (SheetCell(str(path), None) for path in paths)
        return [given, SheetCell(again.path, None), difference]


def verify(
    what: Any,
    n: int | None = None,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    progress: bool = True,
) -> Verification:
    """Renders pictures again from their recipes, and says of each whether the same comes out.

    Each is *identical* (the same pixels), *within tolerance* (no farther apart than rounding is
    known to take pictures where versions, machine, number format or batch size differ), *different*
    or *cannot be rendered here*, with the reason: other weights, a file that was changed after it
    was saved, what is missing. Number format, batch size, memory level and device are those that
    were recorded, where this machine has them. Nothing that was handed on is changed.

    Parameters
    ----------
    what : DataFrame, Store, path or list of paths
        A frame of `run`; a store, or its folder; the HTML file that `write_report` wrote (small
        pictures are in it whole, of larger ones it has the recorded hash and a small copy); or
        pictures, also of other programs: what is missing to repeat them is named.
    n : int, optional
        How many to render, drawn by chance; all if left out.
    seed : int
        Of that draw.
    batch_size, device, dtype : optional
        As `run` takes them, in place of what was recorded.
    progress : bool
        Show a bar for each way of rendering.

    Returns
    -------
    Verification
        Its `repr` is the answer in a sentence; `.frame` has a row a picture, `.draw()` shows the
        differences, `.exit_code` is 0 if all come out the same.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        There is nothing to verify, or `n` is no whole number from 1.

    Examples
    --------
    >>> verify("runs/readme", n=10)  # doctest: +SKIP
    10 of 10 identical. A sample of 10 of 240, drawn by chance (seed 0).
    """
    if n is not None and (not isinstance(n, Integral) or isinstance(n, bool) or n < 1):
        raise ValueError(f"n={n!r}: use a whole number from 1, or None for all")
    given = read_given(what)
    cases = given.cases
    if n is not None and n < len(cases):
        drawn = sorted(random.Random(seed).sample(range(len(cases)), int(n)))
        cases = [cases[i] for i in drawn]
    folder = TemporaryDirectory(prefix="sdlab-verify-")
    options = dict(batch_size=batch_size, device=device, dtype=dtype)
    try:
        again = render_again(cases, Path(folder.name), options, progress)
        verdicts = [judge_case(case, made) for case, made in zip(cases, again)]
    except BaseException:
        folder.cleanup()
        raise
    found = Verification(
        verdicts, len(given.cases), seed, given.without, _cases=cases, _again=again, _folder=folder
    )
    weakref.finalize(found, folder.cleanup)
    return found

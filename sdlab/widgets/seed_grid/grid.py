"""`SeedGrid`: the pictures of a frame or a running job in a labelled grid."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import traitlets

from ...recipe.collector import pause_collector
from ...render.job import Job
from ...results.code import write_grid_code
from ...results.frame import describe_measures
from ...results.grid import find_columns, require_pictures
from ...results.shared import describe_constant
from ...store.files import write_whole
from ...store.opinions import MARKS, VERDICTS, tabulate_marks
from ..panel import Panel, in_turn, source, workers
from .cells import Cells
from .export import KINDS, UNTITLED, Part, write_page
from .looks import Looks
from .news import BATCH, JobNews, describe_unfinished
from .places import Places, arrange_places
from .still import MOST, render_grid
from .variations import Variations
from .view import (
    NONE,
    arrange_rows,
    find_answers,
    find_axes,
    find_numbers,
    is_choosing,
    read_filters,
)

VIEWED = (
    *("where", "only_starred", "filters", "sort", "hidden"),
    *("starred", "ratings", "verdicts", "tags", "notes"),
)


class SeedGrid(Panel):
    """The pictures of a frame, or of a job while it runs, in a labelled grid.

    Cells appear as they land, with a sketch of those at work. Hover or focus tells the recipe;
    click or Enter opens the picture with its whole recipe, and buttons that save and copy it, or
    render it with other seeds. Stars, ratings, verdicts, tags and notes are kept in the store; by
    any of them, by words and by measured columns the rows in view can be chosen and sorted. Two to
    four that are selected are shown beside one another.

    Parameters
    ----------
    results : DataFrame or Job
        What `run` returned, or a `Job`.
    row, col : str or list of str, optional
        The columns that name the grid's rows and columns; both can be set later, also on the page.
        Of several the first changes slowest; numbers ascend. What else varies gets a slider each,
        which first stands where most pictures are. Without `col`, seeds stand across; with neither,
        the first other column that varies stands down, or of two others one down and one across.
        Where only one thing varies, the pictures stand in order, as with `row=[], col=[]`. Pictures
        from elsewhere that nothing tells apart are numbered.
    title : str
        What screen readers call the grid.
    cell_px : int
        The size of a cell, 32 to 512 screen pixels.

    Attributes
    ----------
    state : {"still", "running", "done", "stopped", "failed"}
        The job's; "still" for a frame.
    where : list of int
        The sliders' settings; what is chosen or sorted is of all of them. `only_starred` and
        `focused` (a row's number) can be set and observed, too, `opened` observed.
    filters : dict
        What rows have to be to be in view: `verdict` ("right", "wrong", "cannot tell" or "none"),
        `rating` (at least), `text` (each word in prompts, labels, names as models', tags or notes),
        and `column` from `least` to `most`, of yes and no 1 and 0. What is left out shows all.
    sort : str
        A column, with "-" before it for the largest first; "" for the frame's order.
    selected, hidden : list of int
        Rows that are selected, and that were removed from view.

    Raises
    ------
    ValueError, TypeError
        Unknown columns, rows that differ in nothing, an empty frame.

    Examples
    --------
    >>> SeedGrid(results, row="prompt", col="seed")
    """

    _esm = source(
        "page.js",
        "seed_grid/layout.js",
        "seed_grid/cell.js",
        "seed_grid/pictures.js",
        "seed_grid/sight.js",
        "seed_grid/bar.js",
        "seed_grid/tools.js",
        "seed_grid/marks.js",
        "seed_grid/keys.js",
        "seed_grid/zoom.js",
        "seed_grid/beside.js",
        "seed_grid/grid.js",
    )
    _css = source("page.css", "seed_grid/grid.css")
    title = traitlets.Unicode().tag(sync=True)
    places = traitlets.Dict().tag(sync=True)
    captions: Any = traitlets.List().tag(sync=True)
    shared = traitlets.Unicode().tag(sync=True)
    cell_px = traitlets.Int(128, min=32, max=512).tag(sync=True)
    states = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode("still").tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(0.0).tag(sync=True)
    announced = traitlets.Unicode(help="The last milestone of the job, for screen readers.")
    announced.tag(sync=True)
    where = traitlets.List(traitlets.Int()).tag(sync=True)
    only_starred = traitlets.Bool(False).tag(sync=True)
    starred = traitlets.List(traitlets.Int()).tag(sync=True)
    ratings: Any = traitlets.List().tag(sync=True)  # [row, 1 to 5]
    verdicts: Any = traitlets.List().tag(sync=True)  # [row, one of VERDICTS]
    tags: Any = traitlets.List().tag(sync=True)  # [row, list of words]
    notes: Any = traitlets.List().tag(sync=True)  # [row, text]
    measured: Any = traitlets.List(help="What was measured in each row, in words; [] if nothing.")
    measured.tag(sync=True)
    looks = traitlets.Bool(False, help="Whether a matcher can say what stands in each.")
    looks.tag(sync=True)
    row: Any = traitlets.Any(help="The columns that name the rows.").tag(sync=True)
    col: Any = traitlets.Any(help="The columns that name the columns.").tag(sync=True)
    answers = traitlets.List(traitlets.Unicode(), help="Which of `numbers` say yes or no.")
    answers.tag(sync=True)
    axes = traitlets.List(traitlets.Unicode(), help="What may name them.").tag(sync=True)
    numbers = traitlets.List(traitlets.Unicode(), help="What may be filtered by.").tag(sync=True)
    filters: Any = traitlets.Dict(NONE).tag(sync=True)
    sort = traitlets.Unicode().tag(sync=True)
    shown: Any = traitlets.Any(help="The rows in view, in order; None in rows and columns.")
    shown.tag(sync=True)
    selected = traitlets.List(traitlets.Int()).tag(sync=True)
    hidden = traitlets.List(traitlets.Int()).tag(sync=True)
    focused = traitlets.Int(0).tag(sync=True)
    opened = traitlets.Int(-1).tag(sync=True)
    recoded = traitlets.Int(
        0, help="Counts the changes of `code`, which the page asks for when it shows it."
    ).tag(sync=True)

    @pause_collector()
    def __init__(
        self,
        results: pd.DataFrame | Job,
        *,
        row: str | Sequence[str] | None = None,
        col: str | Sequence[str] | None = None,
        title: str = UNTITLED,
        cell_px: int = 128,
    ) -> None:
        if not isinstance(results, (pd.DataFrame, Job)):
            kind = type(results).__name__
            raise TypeError(f"SeedGrid takes the frame of run(), or a Job, not {kind}")
        self.job: Job | None = results if isinstance(results, Job) else None
        frame: pd.DataFrame = results.frame() if isinstance(results, Job) else results
        require_pictures(frame)
        self._places: Places = arrange_places(frame, row, col)
        self._settings = self._places.settings()
        job = (self.job.frame, self.job.store) if self.job else (None, None)
        self._cells = Cells(frame, *job)
        self._news = JobNews(self, self.job, self._cells) if self.job else None
        self._variations, self._looks = Variations(self, self._cells), Looks(self._cells)
        self._rated: dict[tuple, int] = {}  # which of a page's opinions was the last of its kind
        self._view: Any = None
        self._code = -1, ""
        super().__init__(title=title, cell_px=cell_px, **self._lay_out(frame))
        self._read_opinions()
        self._note_view()
        self.observe(self._rearrange, ["row", "col"])
        self.observe(self._note_view, list(VIEWED))
        if self._news:
            self._news.begin()

    def _lay_out(self, frame: pd.DataFrame) -> dict[str, Any]:
        """Gives the traits that follow from the frame and its places."""
        told = describe_measures(frame.drop(columns=[*MARKS], errors="ignore"))
        varying = self._cells.varying
        numbers = find_numbers(frame, varying)
        return {
            "captions": self._places.captions,
            "places": self._places.to_json(),
            "shared": describe_constant(frame, self._places.names),
            "where": self._places.find_fullest(self._cells.paths),
            "states": self._cells.states(self.job is not None),
            "row": self._places.row.names,
            "col": self._places.col.names,
            "axes": find_axes(frame, varying),
            "numbers": numbers,
            "answers": find_answers(frame, numbers),
            "measured": told if any(told) else [],
            "looks": self._looks.can,
        }

    def __repr__(self) -> str:
        return f"<SeedGrid of {len(self._cells)} pictures{f', {self.job}' if self.job else ''}>"

    @property
    def value(self) -> pd.DataFrame:
        """The rows in view, in the order shown, with what was said of them."""
        frame = self.job.frame() if self.job else self._cells.frame
        found = tabulate_marks(self._list_marks(), range(len(frame)))
        return frame.assign(**{name: found[name].array for name in MARKS}).iloc[self.in_view()]

    @property
    def filled(self) -> float:
        """The share of the places, at all settings of the sliders, for which there is a row."""
        return self._places.filled

    def describe_sides(self) -> str:
        """Says what names rows and columns, and what has a slider."""
        return self._places.describe_sides()

    def in_view(self) -> list[int]:
        """Lists the numbers of the rows in view, in the order shown."""
        setting, stars, gone = tuple(self.where), set(self.starred), set(self.hidden)
        of_all = self.is_chosen
        rows = [
            i
            for i, found in enumerate(self._settings)
            if (of_all or found == setting)
            and i not in gone
            and (not self.only_starred or i in stars)
        ]
        if not of_all:
            return rows
        return arrange_rows(rows, self._cells.frame, self.filters, self.sort, self._list_marks())

    @property
    def is_chosen(self) -> bool:
        """Whether the rows in view are chosen or sorted: in order, of all the sliders' settings."""
        return self.only_starred or bool(self.sort) or is_choosing(self.filters)

    def counts(self, by: str | Sequence[str] = (), *, confidence: float = 0.95) -> pd.DataFrame:
        """Counts the verdicts on the rows in view, for each value of `by`.

        Parameters
        ----------
        by : str or list of str
            Columns of the frame, such as "prompt" or a label.
        confidence : float
            Of the intervals.

        Returns
        -------
        DataFrame
            The columns of `by`; the `share` of "right" among right and wrong with its interval
            `low` and `high`, as `sdlab.stats.rate` has it; `hits`, `n`, `prompts`, `missing`;
            `cannot_tell` of the missing ones; and `p` of the exact sign test, in which each of
            `over` counts once. For two columns' difference, `sdlab.stats.paired(grid.value.assign(
            right=grid.value["verdict"] == "right"), "right", by="model")`.

        Raises
        ------
        ValueError
            There is no verdict, or no such column.
        """
        from ...results.stats.reading import split_frame  # and statistics with them
        from ...results.stats.signs import signs

        value = self.value
        verdict = value["verdict"]
        if verdict.isna().all():
            raise ValueError("there is no verdict on the rows in view: R, W or C on a picture")
        right = verdict.map({"right": True, "wrong": False}).astype("boolean")
        found = signs(value.assign(right=right), "right", by=by, confidence=confidence)
        parts = [part for _, part in split_frame(value, by, "verdict")]
        return found.assign(cannot_tell=[int((p["verdict"] == VERDICTS[2]).sum()) for p in parts])

    def save(
        self, path: str | os.PathLike[str], rows: Sequence[int] | None = None, *, all_of: str = ""
    ) -> Path:
        """Saves what is in view, or some rows, as one file.

        Parameters
        ----------
        path : path
            It ends in .png (one labelled picture), .html (one page), .csv (the table) or .zip (the
            files themselves, and the table).
        rows : sequence of int, optional
            Rows of the frame.
        all_of : str, optional
            The name of a slider: a .png has all its settings, one below the other.
        """
        path = Path(path).expanduser()
        kind = path.suffix.lower().lstrip(".")
        if kind not in KINDS:
            raise ValueError(f"{path}: a grid is saved as .{', .'.join(KINDS)}")
        write_whole(path, self._export(kind, rows, all_of)[0])
        return path

    def _export(
        self, kind: str, rows: Sequence[int] | None = None, all_of: str = ""
    ) -> tuple[bytes, str]:
        """Makes a file of what is in view, or of some rows, and says how many pictures it holds."""
        if all_of and (kind != "png" or self.is_chosen or rows is not None):
            raise ValueError(
                f"all_of={all_of!r}: all settings of a slider are a .png of the whole grid, and"
                " only while no rows are chosen or sorted"
            )
        part = self._take_part(rows, all_of)
        if kind == "html":
            self._looks.look(part.rows)
            return write_page(part.heading, self._render(rows)), part.say_count(kind)
        return part.pack(kind), part.say_count(kind)

    def _take_part(self, rows: Sequence[int] | None, all_of: str = "") -> Part:
        """Takes what is in view, or some rows, or all settings of a slider, for a file."""
        frame, in_order = self.value, self.is_chosen or rows is not None or self._places.in_order
        if all_of:
            found = self._places.list_settings(all_of, self.where, self._settings)
            rows = [i for i in found if i not in self.hidden]
        if rows is not None:
            every = self.job.frame() if self.job else self._cells.frame
            frame = every.iloc[[self._cells.require(i, len(self._cells)) for i in rows]]
        return Part(
            frame,
            self.in_view() if rows is None else rows,
            len(self._cells),
            self._places,
            None if in_order else self.where,
            self._list_marks(),
            title="" if self.title == UNTITLED else self.title,
            status=self.status if self.state in ("running", "stopped") else "",
            all_of=all_of,
        )

    @traitlets.validate("row", "col")
    def _require_axis(self, proposal: Any) -> list[str]:
        if proposal["owner"]._view is None:  # while it is made
            return list(proposal["value"])
        return find_columns(self._cells.frame, proposal["value"] or [], proposal["trait"].name)

    @traitlets.validate("filters")
    def _require_filters(self, proposal: Any) -> dict[str, Any]:
        return read_filters(proposal["value"], self.numbers)

    @traitlets.validate("sort")
    def _require_sort(self, proposal: Any) -> str:
        name = proposal["value"].removeprefix("-")
        if name and name not in MARKS:
            find_columns(self._cells.frame, name, "sort")
        return proposal["value"]

    @in_turn
    def _rearrange(self, _: Any = None) -> None:
        """Sets the pictures in other rows and columns."""
        if (self._places.row.names, self._places.col.names) == (self.row, self.col):
            return
        self._places = arrange_places(self._cells.frame, self.row, self.col)
        self._settings = self._places.settings()
        with self.hold_sync():
            for name in ("where", "captions", "shared", "places"):
                setattr(self, name, self._lay_out(self._cells.frame)[name])
            self._view = ()
            self._note_view()
            self.announced = f"The pictures stand in {self.describe_sides()} now"

    @traitlets.validate("where")
    def _require_setting(self, proposal: Any) -> list[int]:
        where, counts = proposal["value"], [len(axis.found) for axis in self._places.sliders]
        if len(where) != len(counts) or not all(0 <= n < count for n, count in zip(where, counts)):
            raise traitlets.TraitError(
                f"where={where}: give each slider the number of its value; they have {counts}"
                " values"
            )
        return where

    @in_turn
    def _note_view(self, _: Any = None) -> None:
        view = self.in_view(), self.is_chosen
        if view != self._view:
            self._view = view
            self.shown = view[0] if view[1] else None
            self.recoded += 1
        self.refresh_soon()

    @property
    def code(self) -> str:
        """Python that makes the rows in view again and draws them."""
        if self._code[0] != self.recoded:  # made when asked for: 10,000 rows take a second
            self._code = self.recoded, self._code_of(*self._view)
        return self._code[1]

    def _code_of(self, rows: list[int], in_order: bool) -> str:
        if not rows:
            return "# no picture is in view"
        row, col = ([], []) if in_order else (self._places.row.names, self._places.col.names)
        root = None if self._cells.store is None else self._cells.store.root
        try:
            return write_grid_code(self._cells.frame.iloc[rows], row, col, root)
        except ValueError as error:
            return f"# these rows are no requests: {error}"

    def settle(self) -> None:
        """Waits for the job, and looks in pictures: nobody else waits, and what stays is read."""
        if self.job:
            self.job.wait()
        self._looks.look(self.in_view())

    def static(self) -> str:
        """Renders the pictures in view."""
        return self._render()

    def render_for_page(self) -> str:
        """Renders the pictures in view, and says what a program finds in them if they are few."""
        self._looks.look(self.in_view())
        return self._render()

    def _render(self, rows: Sequence[int] | None = None) -> str:
        """Renders the pictures in view, or some rows one after the other."""
        shown = self.in_view() if rows is None else rows
        return render_grid(
            self._cells,
            self._places,
            shown,
            where=None if self.is_chosen or rows is not None else self.where,
            marks=self._list_marks(),
            seen=self._looks.list_seen(shown[:MOST]),
            note=" · ".join(filter(None, (self._describe_now(), self._describe_shared(shown)))),
            running=self.state == "running",
        )

    def _describe_shared(self, rows: Sequence[int]) -> str:
        """Says what these rows share, and what their prompts ask for, beside their captions."""
        frame = self._cells.frame.iloc[list(rows)]
        return self.shared if frame.empty else describe_constant(frame, self._places.names)

    def _describe_now(self) -> str:
        """Says how far the job is; while it runs when that was, as a picture may stay behind."""
        if self.job is None or self.state != "running":
            return self.status
        return describe_unfinished(self.job.progress)

    # What the page asks

    def _on_want(self, question: dict, buffers: list) -> None:
        cells, px = (
            [self._cells.require(i) for i in question["cells"]][: 4 * BATCH],
            int(question["px"]),
        )
        self.answer_later(question, lambda: self._cells.show_pictures(cells, px))

    def _on_full(self, question: dict, buffers: list) -> None:
        self.answer_later(question, lambda: self._cells.show_file(int(question["cell"])))

    def _on_open(self, question: dict, buffers: list) -> None:
        cell = self._cells.require(question["cell"])
        self.open_in_form(question, lambda: self._cells.lend_request(cell))

    def _on_rate(self, question: dict, buffers: list) -> None:
        cell = int(question["cell"])
        with self._turn:
            if not self.was_done(question):  # a busy page asks again
                said = {name: question[name] for name in MARKS if name in question}
                self._rate_in_order(cell, said, question.get("page"), question.get("turn", 0))
                self.note_done(question)  # only now: one that failed is to fail again
        self.answer(question, {"kind": "rated"})

    def _rate_in_order(self, cell: int, said: dict, page: str | None, turn: int) -> None:
        """Takes what a page says of a row but what it has said otherwise since, and came before."""
        last = {name: (page, cell, name) for name in said}
        newest = {name: said[name] for name, of in last.items() if self._rated.get(of, 0) <= turn}
        if newest or not said:  # nothing said is an error
            self.rate(cell, **newest)
            self._rated |= {last[name]: turn for name in newest}

    def _on_vary(self, question: dict, buffers: list) -> None:
        cell = self._cells.require(question["cell"])
        self.answer(question, {"kind": "varying"})  # first: loading a model takes its time
        workers.submit(self.show_errors, lambda: self._variations.vary_once(cell))

    @in_turn
    def _on_arrange(self, question: dict, buffers: list) -> None:
        side, columns = str(question["side"]), list(question["columns"])
        sides: dict[str, Any] = {"row": self.row, "col": self.col}
        other = "col" if side == "row" else "row"
        if columns and sides[other] == columns:  # they change places
            sides[other] = sides[side]
        sides[side] = columns
        try:
            arrange_places(self._cells.frame, **sides)  # else half of it would be done
            with self.hold_sync(), self.hold_trait_notifications():
                self.row, self.col = sides["row"], sides["col"]
        finally:
            self.send_state(["row", "col"])  # the page shows what it hopes for: this is what is
        self.answer(question, {"kind": "arranged"})

    def _on_seen(self, question: dict, buffers: list) -> None:
        i = self._cells.require(question["cell"], len(self._cells))
        self.answer_seen(question, lambda: [self._looks.look_at(i)])

    def _on_export(self, question: dict, buffers: list) -> None:
        kind, rows = str(question["what"]), question.get("rows")
        all_of = str(question.get("all_of", ""))
        name = re.sub(r"[^\w-]+", "-", self.title).strip("-") or UNTITLED
        told = {"kind": "export", "name": f"{name}.{kind}", "mime": KINDS[kind]}

        def export() -> tuple[dict[str, Any], list[bytes]]:
            data, said = self._export(kind, rows, all_of)
            return told | {"said": said}, [data]

        self.answer_later(question, export)

    def _on_stop(self, question: dict, buffers: list) -> None:
        if self.job:
            self.job.stop()
        self.answer(question, {"kind": "stopping"})

    # What people say of them

    def rate(self, cell: int, **opinion: Any) -> None:
        """Says something of a row of the frame, in the store that keeps its picture.

        Of found pictures those have a place that `read_pictures(files, store=...)` has kept there.

        Parameters
        ----------
        cell : int
            The row, counted from 0.
        **opinion
            `starred`, `rating`, `verdict`, `tags` and `note` as `Store.rate` has them.
        """
        name = self._cells.require_name(cell)
        self._cells.require_store("no place to keep stars and ratings").rate(name, **opinion)
        self._read_opinions()

    def _read_opinions(self) -> None:
        with self._turn:  # the last to read is the last to tell, on whatever thread
            rows = self._cells.list_marks().items()
            found = {name: [[i, of[name]] for i, of in rows if name in of] for name in MARKS}
            self.starred = [i for i, _ in found["starred"]]
            self.ratings, self.verdicts = found["rating"], found["verdict"]
            self.tags, self.notes = found["tags"], found["note"]

    def _list_marks(self) -> dict[int, dict[str, Any]]:
        """Lists {row: what was said of it}, as the page knows it."""
        said: dict[int, dict[str, Any]] = {i: {"starred": True} for i in self.starred}
        traits = {"rating": self.ratings, "verdict": self.verdicts}
        for name, trait in (traits | {"tags": self.tags, "note": self.notes}).items():
            for i, value in trait:
                said.setdefault(i, {})[name] = value
        return said

    # Other seeds

    def vary(self, cell: int, seed: Any = None) -> Job:
        """Renders the recipe of a row with other seeds, the next 8 by default, into the same store.

        Parameters
        ----------
        cell : int
            The row, counted from 0.
        seed : values or text, optional
            As for `sweep`.
        """
        return self._variations.vary(cell, seed)

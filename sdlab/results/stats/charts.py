"""Figures of what the statistics give: points with intervals, and curves with bands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..frame import format_label, format_value

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from ..sheet import GridFigure

COMPARED = "sdlab compared"  # in the `attrs` of what compares two sides: by, left, right
CONFIDENCE = "sdlab confidence"  # in the `attrs` of what has intervals

# column of the value -> (its axis, where nothing is to be seen)
KINDS = {
    "share": ("share", None),
    "difference": ("difference, {right} less {left}", 0.0),
    "strength": ("strength: log-odds against the average", 0.0),
}
NOT_LABELS = {"share", "left", "right", "difference", "strength", "best", "low", "high"}
NOT_LABELS |= {"hits", "n", "prompts", "missing", "over", "left_wins", "right_wins", "ties", "test"}
NOT_LABELS |= {"kappa", "alpha", "alpha_low", "alpha_high", "cannot_tell", "note", "guessing"}
NOT_LABELS |= {"both_bad", "p", "p_holm", "needed", "verdict", "k", "wins", "losses"}
NOT_LABELS |= {"chance", "chance_low", "chance_high", "may_change"}
DASHES = ("-", (0, (6, 6)), (0, (3, 9)), (0, (1.5, 10.5)))  # over one another, all are to be seen
COLORS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#bf3989")


def plot(result: pd.DataFrame, *, title: str = "") -> GridFigure:
    """Draw what `rate`, `paired`, `yield_curve`, `preference`, `ranking` or `agreement` gave.

    Parameters
    ----------
    result : DataFrame
        As it came, or some of its rows.
    title : str
        Stands above the figure.

    Returns
    -------
    GridFigure
        A matplotlib figure.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.
    """
    from ..sheet import DPI, INK, GridFigure

    columns = set(result.columns) if isinstance(result, pd.DataFrame) else set()
    kind = next((name for name in KINDS if name in columns), None)
    if not {"low", "high"} <= columns or not (kind or {"k", "best"} <= columns):
        known = "rate, paired, yield_curve, preference, ranking or agreement"
        raise ValueError(f"plot draws what {known} gave")
    figure = GridFigure(figsize=(8, 1.1 + 0.36 * len(result) if kind else 4), dpi=DPI)
    axes = figure.add_subplot()
    told = draw_intervals(axes, result, kind) if kind else draw_curves(axes, result)
    axes.set_xlabel(told, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=INK)
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    figure.tight_layout()
    figure.drawn = result, title
    return figure


def draw_intervals(axes: Any, result: pd.DataFrame, kind: str) -> str:
    """Draws a line for each row: its label, a point, its interval and n; names the x axis."""
    from ..sheet import INK, QUIET

    y = np.arange(len(result))[::-1]
    rows, voted = result.to_dict("records"), is_voted(result)
    left, right = name_compared(result)
    if voted:  # of the side that the verdict names
        result, right, left = face_preferred(result)
    middle, low, high = (result[name].to_numpy(float) for name in (kind, "low", "high"))
    axes.hlines(y, low, high, color=COLORS[0], linewidth=2)
    axes.plot(middle, y, "o", color=COLORS[0], markersize=6)
    axes.set_yticks(y, [label_row(row) or ("all votes" if voted else "all") for row in rows])
    told, zero = KINDS[kind]
    told = "share that preferred {right} to {left}" if voted else told
    told = told.format(left=left, right=right)
    told += f", with {name_interval(result.attrs.get(CONFIDENCE))}"
    if "guessing" in result:
        axes.plot(result["guessing"], y, "|", color=INK, markersize=12)
        told += "; | is guessing"
    if zero is not None:
        axes.axvline(zero, color=QUIET, linewidth=1, linestyle=":")
    if kind == "share":
        axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(result) - 0.4)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(y, [note_row(row) for row in rows])
    beside.tick_params(length=0)
    beside.spines["right"].set_visible(False)
    return told


def draw_curves(axes: Any, result: pd.DataFrame) -> str:
    """Draws the best of k against k, a curve with its band for each label; names the x axis."""
    from ..sheet import INK

    labels = [label_row(row) for row in result.to_dict("records")]
    drawn = dict.fromkeys(labels)
    for color, dashes, label in zip(COLORS * len(drawn), DASHES * len(drawn), drawn):
        part, size = result[[own == label for own in labels]], 8 - 1.5 * DASHES.index(dashes)
        style: dict[str, Any] = dict(color=color, linestyle=dashes, marker="o", markersize=size)
        axes.plot(part["k"], part["best"], label=label or None, **style)
        low, high = (part[end].to_numpy(float) for end in ("low", "high"))
        axes.fill_between(part["k"], low, high, color=color, alpha=0.18, linewidth=0)
    if guessed := "guessing" in result and result["guessing"].notna().any():
        known = result.drop_duplicates(["k", "guessing"]).sort_values(["guessing", "k"])
        axes.plot(known["k"], known["guessing"], ":", color=INK, label="guessing anew each time")
    if guessed or any(labels):
        axes.legend(frameon=False)
    axes.set_ylabel("best of k: chance of a yes, or score", color=INK)
    if result["best"].between(0, 1).all():
        axes.set_ylim(-0.02, 1.02)
    axes.locator_params(axis="x", integer=True)
    return "k, pictures to choose from"


def label_row(row: dict[Any, Any]) -> str:
    """Names a row by what it was grouped by."""
    return format_label(value for name, value in row.items() if name not in NOT_LABELS)


def name_side(by: str, value: Any) -> str:
    """Names one of two sides that are compared: "tiny-v1", or "guidance_scale 4"."""
    return f"{by} " * (by != "model") + format_value(value)


def name_compared(result: pd.DataFrame) -> tuple[str, str]:
    """Names the two sides that a result compares; "left" and "right" where it no longer tells."""
    if not (known := result.attrs.get(COMPARED)):
        return "left", "right"
    return name_side(known["by"], known["left"]), name_side(known["by"], known["right"])


def is_voted(result: pd.DataFrame) -> bool:
    """Tells whether these are shares of votes for one of two sides, as `preference` gives them."""
    return {"left", "right", "left_wins", "right_wins", "share"} <= {*result.columns}


def face_preferred(result: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """Turns the shares of `preference` to the side that got more votes in all, if it is the left.

    Gives them, whose shares they are then, and the other side.
    """
    left, right = result["left"].iloc[0], result["right"].iloc[0]
    if result["left_wins"].sum() <= result["right_wins"].sum():
        return result, right, left
    turned = {"share": 1 - result["share"], "low": 1 - result["high"], "high": 1 - result["low"]}
    return result.assign(**turned), left, right


def name_interval(confidence: float | None) -> str:
    """Names an interval by what it covers: "95% interval"."""
    return "interval" if confidence is None else f"{100 * confidence:.10g}% interval"


def note_row(row: dict[Any, Any]) -> str:
    """Says how much a row rests on."""
    if {"left_wins", "share"} <= row.keys():
        return f"{row['left_wins'] + row['right_wins']:,} of {row['n']:,} votes decided"
    if "hits" in row:
        return write_hits(row)
    return f"n = {row['n']:,}" if "n" in row else f"{row['wins']:,} won, {row['losses']:,} lost"


def write_hits(row: dict[Any, Any]) -> str:
    """Writes how many pictures it is true of; of those of several raters it may be a fraction."""
    whole = float(row["hits"]).is_integer()
    hits = f"{row['hits']:,.0f}" if whole else f"{row['hits']:,.1f}"
    return f"{hits} of {row['n']:,}"

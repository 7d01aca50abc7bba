"""What a report says against a claim from a rate: pictures that came out otherwise, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..recipe.request import FIELDS
from ..store.columns import CHOSEN
from .argument import MOST_AGAINST, MOST_FINDINGS, counts_answers, select_claimed
from .frame import (
    column_values,
    count_noun,
    find_label_columns,
    find_varying,
    format_label,
    format_value,
    has_retrained_model,
    row_tuples,
    sort_values,
    summarize_values,
    to_plain,
)
from .html import Row, Table
from .pairs import ALWAYS_TOLD, UNKNOWN, describe_model
from .stats.claims import CALL, SAMPLE, Claim
from .stats.reading import merge_raters

UNTOLD = "Which pictures go against the finding cannot be told"
MOST_GROUPS = 6  # that have columns of their own
SAMPLED = ("prompt", "seed")  # what a rate goes over, which is said above


@dataclass(frozen=True)
class Rated:
    """The pictures that a rate counts, group by group, and which of them came out otherwise.

    Parameters
    ----------
    groups : list of (str, DataFrame)
        What each row of the evidence is of, and its pictures that have a value.
    by : list of str
        The columns that make the groups.
    found : list of (int, int)
        The numbers of the group and of the picture in it, of those that came out otherwise than was
        found; those of different prompts first.
    findings : list of str
        In words, such as "tiny-v2: objects_right more often true than not".
    level : int
        Pictures of groups whose share says neither.
    """

    column: str
    groups: Sequence[tuple[str, pd.DataFrame]]
    by: Sequence[str]
    found: Sequence[tuple[int, int]]
    findings: Sequence[str]
    level: int = 0


def is_rate(claim: Claim) -> bool:
    """Tells whether the evidence is what `rate` gave."""
    named = claim.evidence.attrs.get(CALL, {}).get("name")
    return named == "rate" and {"share", "n"} <= {*claim.evidence.columns}


def find_rated(claim: Claim, frame: pd.DataFrame) -> tuple[Rated | None, str]:
    """Finds the pictures that a rate counts, or says why they cannot be told."""
    sample = claim.evidence.attrs[SAMPLE]
    [column], by = sample["columns"], sample["by"]
    answered = claim.votes is not None and counts_answers(claim.votes, frame, [column])
    if column not in frame.columns and not answered:
        give = "Claim(..., frame=) gives others, and votes= the answers of people"
        return None, f"{UNTOLD}: these rows have no column {column}; {give}."
    rows = select_claimed(claim, frame)
    own, groups = row_tuples(rows, by), list[tuple[str, pd.DataFrame]]()
    found, findings, level = list[tuple[int, int]](), list[str](), 0
    for row in claim.evidence.query("n > 0").to_dict("records"):
        group = tuple(to_plain(row.get(name)) for name in by)
        part = merge_raters(rows[[each == group for each in own]], column)
        if len(part) != row["n"]:
            counted = f"{count_noun(len(part), 'picture')} where the evidence is of {row['n']:,}"
            return None, f"{UNTOLD}: these rows have {counted}; Claim(..., frame=) gives its own."
        groups.append((format_label(group), part))
        finding, holds = name_finding(row, column)
        if not finding:
            level += len(part)
            continue
        findings.append(f"{groups[-1][0]}: {finding}" if group else finding)
        values = part[column].to_numpy(float)
        odd = np.flatnonzero(values < 0.5 if holds else values > 0.5).tolist()
        found += [(len(groups) - 1, i) for i in odd]
    if not groups:
        return None, ""
    return Rated(column, groups, by, spread(found, groups), findings, level), ""


def name_finding(row: dict[Any, Any], column: str) -> tuple[str, bool]:
    """Names what a share says, and whether that is that it is true; "" if it says neither."""
    guessing = row.get("guessing", math.nan)
    usual = 0.5 if math.isnan(guessing) else guessing
    if math.isclose(row["share"], usual, abs_tol=1e-12):
        return "", False
    holds, than = row["share"] > usual, "not" if math.isnan(guessing) else "guessing gives"
    return f"{column} {'more' if holds else 'less'} often true than {than}", holds


def spread(
    found: Sequence[tuple[int, int]], groups: Sequence[tuple[str, pd.DataFrame]]
) -> list[tuple[int, int]]:
    """Orders pictures so that the first ones are of as many groups and prompts as there are."""
    prompts = [column_values(part, "prompt") for _, part in groups]
    seen, ranks = Counter[Any](), dict[tuple[int, int], int]()
    for group, i in found:
        about = group, prompts[group][i]
        ranks[group, i] = seen[about]
        seen[about] += 1
    return sorted(found, key=ranks.__getitem__)


def describe_otherwise(rated: Rated) -> str:
    """Says how many pictures came out otherwise than was found."""
    n, total = len(rated.found), sum(len(part) for _, part in rated.groups) - rated.level
    if not total:
        return "The share says neither, so there is no direction to go against."
    few = len(rated.findings) <= MOST_FINDINGS
    finding = f"“{'; '.join(rated.findings)}”" if few else "the finding of their own row"
    first = f"; {MOST_AGAINST} of them are shown" if n > MOST_AGAINST else ""
    pictures = count_noun(total, "picture")
    said = (
        f"{n:,} of {pictures} came out otherwise than {finding}{first}: the reader may see why."
        if n
        else f"Of {pictures} none came out otherwise than {finding}."
    )
    level = f" Of {rated.level:,} more the share says neither, so there is no direction."
    return said + level * bool(rated.level)


def list_otherwise(rated: Rated) -> Iterator[tuple[str, list[tuple[str, Any, str]]]]:
    """Yields (what the picture is of, [(its group, its path, its value)]) of the first."""
    every = pd.concat([part for _, part in rated.groups])
    names = [name for name in find_varying(every) if name not in rated.by] or ["seed"]
    for group, i in rated.found[:MOST_AGAINST]:
        label, part = rated.groups[group]
        (told,) = row_tuples(part.iloc[[i]], [*names, rated.column, "path"])
        *values, said, path = told
        what = ", ".join(
            f"{name} {format_value(v)}" for name, v in zip(names, values) if v is not None
        )
        share = bool(said) if said in (0, 1) else f"for {said:.0%} of its raters"
        yield what, [(label, path, f"{rated.column} {format_value(share)}")]


def show_unlike_pictures(rated: Rated) -> Table:
    """Shows what else differs among the pictures of a rate, in each of its groups."""
    groups = [(name or "all pictures", part) for name, part in rated.groups]
    every = pd.concat([part for _, part in groups])
    if len(groups) > MOST_GROUPS:
        groups = [("all pictures", every)]
    told: list[list[str]] = []
    for name in list_unclaimed(rated, every):
        found = [sort_values(part, name) for _, part in groups]
        cells = [summarize_values(values) for values in found]
        varies = any(len(values) > 1 for values in found) and name not in SAMPLED
        if varies or any(values != found[0] for values in found):
            told.append([name, *cells])
    rows: list[Row] = [*list_models(rated, groups), *told]
    head = ["what", *(name for name, _ in groups)]
    return Table(rows=rows, head=head, caption="Not held constant", kind="facts")


def list_unclaimed(rated: Rated, every: pd.DataFrame) -> list[str]:
    """Lists the columns that might differ beside those that make the groups, and what they bring.

    Choices in the prompts bring prompts of their own, a model its weights.
    """
    labels = find_label_columns(every)
    brought = [*rated.by]
    if not {*rated.by}.isdisjoint([*labels, "arm", "wording", "prompt"]):
        brought += ["prompt", "negative_prompt"]
    if "model" in rated.by or not has_retrained_model(every):
        brought.append("weights")
    names = [*FIELDS, *CHOSEN]
    return [name for name in names if name in every.columns and name not in brought]


def list_models(rated: Rated, groups: Sequence[tuple[str, pd.DataFrame]]) -> list[list[str]]:
    """Lists what their rows tell of the models that make the groups, as of a pair's two."""
    if "model" not in rated.by or len(groups) < 2:
        return []
    models = [describe_model(str(column_values(part, "model")[0])) for _, part in groups]
    told = {what: [model.get(what, UNKNOWN) for model in models] for m in models for what in m}
    return [
        [what, *cells]
        for what, cells in told.items()
        if len({*cells}) > 1 or (what in ALWAYS_TOLD and cells[0] != UNKNOWN)
    ]

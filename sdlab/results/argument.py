"""What a report says around its claims: for and against, licences, sources, and papers."""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..models.model import Model
from ..models.rows import MODELS
from .answers import join_answers
from .frame import (
    column_values,
    count_noun,
    distinct_values,
    format_label,
    format_value,
    hide_home,
    join_words,
    row_tuples,
    to_plain,
)
from .html import Row, Table, TableCell
from .meanings import MEANINGS
from .pairs import Pairing, pair
from .stats import plot
from .stats.charts import COMPARED, face_preferred, is_voted, name_side
from .stats.claims import SAMPLE, Claim
from .stats.reading import read_sample

MOST_AGAINST, MOST_ODD = 6, 50  # pairs, and pictures that came out otherwise, that are shown
VOTED = "votes for it"
MOST_FINDINGS = 3  # that a sentence tells apart
UNTOLD = "Which pairs go against the finding cannot be told"
PAPERS = (  # what a model's or scheduler's name says; the paper
    (
        r"^sd-v|stable-diffusion|^tiny",
        "R. Rombach, A. Blattmann, D. Lorenz, P. Esser and B. Ommer, “High-Resolution Image"
        " Synthesis with Latent Diffusion Models”, CVPR 2022, arXiv 2112.10752.",
    ),
    (
        r"^instruct-pix2pix",
        "T. Brooks, A. Holynski and A. Efros, “InstructPix2Pix: Learning to Follow Image Editing"
        " Instructions”, CVPR 2023, arXiv 2211.09800.",
    ),
    (
        r"^DDIM",
        "J. Song, C. Meng and S. Ermon, “Denoising Diffusion Implicit Models”, ICLR 2021, arXiv"
        " 2010.02502.",
    ),
    (
        r"^(PNDM|LMS)",
        "L. Liu, Y. Ren, Z. Lin and Z. Zhao, “Pseudo Numerical Methods for Diffusion Models on"
        " Manifolds”, ICLR 2022, arXiv 2202.09778.",
    ),
    (
        r"^(Euler|Heun|KDPM2|EDM)",
        "T. Karras, M. Aittala, T. Aila and S. Laine, “Elucidating the Design Space of"
        " Diffusion-Based Generative Models”, NeurIPS 2022, arXiv 2206.00364.",
    ),
    (
        r"^DPMSolver",
        "C. Lu, Y. Zhou, F. Bao, J. Chen, C. Li and J. Zhu, “DPM-Solver++: Fast Solver for Guided"
        " Sampling of Diffusion Probabilistic Models”, 2022, arXiv 2211.01095.",
    ),
    (
        r"^UniPC",
        "W. Zhao, L. Bai, Y. Rao, J. Zhou and J. Lu, “UniPC: A Unified Predictor-Corrector"
        " Framework for Fast Sampling of Diffusion Models”, NeurIPS 2023, arXiv 2302.04867.",
    ),
    (
        r"^(LCM|TCD)",
        "S. Luo, Y. Tan, L. Huang, J. Li and H. Zhao, “Latent Consistency Models”, 2023, arXiv"
        " 2310.04378.",
    ),
)
TESTS = {
    "McNemar": (
        "Q. McNemar, “Note on the sampling error of the difference between correlated proportions"
        " or percentages”, Psychometrika 12 (1947)."
    ),
    "Wilcoxon": (
        "F. Wilcoxon, “Individual comparisons by ranking methods”, Biometrics Bulletin 1 (1945)."
    ),
}


def require_claims(claims: Sequence[Claim]) -> None:
    """Raises unless all are claims."""
    for i, claim in enumerate(claims):
        if not isinstance(claim, Claim):
            raise TypeError(
                f"claim {i} is {claim!r:.60}; give sdlab.stats.Claim('v2 spells better',"
                " paired(...))"
            )


# For and against


@dataclass(frozen=True)
class Against:
    """What goes against a finding, of all comparisons of a pair in one column.

    A finding is what the evidence of a claim shows. The claim's own words may say the contrary,
    which no program knows.

    Parameters
    ----------
    found : list of (str, int, int)
        Column, left row and right row of those that go the other way, the farthest first.
    looked : list of (str, int, int)
        All that were looked at.
    findings : list of str
        In words, such as "tiny-v2 higher in objects_right".
    level : int
        Those of them that have no direction, as the difference of all is 0.
    alike : bool
        Whether all that go the other way are equally far.
    """

    found: Sequence[tuple[str, int, int]]
    looked: Sequence[tuple[str, int, int]]
    findings: Sequence[str]
    level: int = 0
    alike: bool = False


def find_pairing(claim: Claim, frame: pd.DataFrame) -> tuple[Pairing | None, str]:
    """Pairs what the evidence compares, or says why not; "" where it compares nothing."""
    compared = claim.evidence.attrs.get(COMPARED)
    if not compared:
        return None, ""
    try:
        found = pair(frame, compared["by"], compared["left"], compared["right"])
        return found if claim.votes is None else count_for(found, claim.votes), ""
    except (TypeError, ValueError) as error:
        return None, f"{UNTOLD}: {hide_home(error)}."


def count_for(pairing: Pairing, votes: pd.DataFrame) -> Pairing:
    """Counts for each picture that was voted on how many preferred it to its partner."""
    keys = column_values(pairing.source, "key")
    count = {frozenset((keys[left], keys[right])): Counter[Any]() for left, right in pairing.pairs}
    for left, right, vote in zip(*(column_values(votes, n) for n in ("left", "right", "vote"))):
        if (own := count.get(frozenset((left, right)))) is not None:
            own[{"left": left, "right": right}.get(vote)] += 1
    told = {key: own[key] for both, own in count.items() if own for key in both}
    found = pd.array([told.get(key) for key in keys], "Int64")
    return replace(pairing, source=pairing.source.assign(**{VOTED: found}))


def describe_columns(evidence: pd.DataFrame) -> list[str]:
    """Says what the columns of scorers that the evidence is of mean, a sentence each."""
    columns = evidence.attrs.get(SAMPLE, {}).get("columns", [])
    return [f"{name}: {MEANINGS[name]}." for name in columns if name in MEANINGS]


def name_sides(evidence: pd.DataFrame) -> pd.DataFrame:
    """Names the two sides of a comparison in its table, which calls them left and right.

    Shares of votes are those for the side that the sentence and the drawing name, by its name.
    """
    if is_voted(evidence):
        evidence, preferred, _ = face_preferred(evidence)
        evidence = evidence.rename(columns={"share": f"share for {preferred}"})
    compared = evidence.attrs.get(COMPARED)
    if not compared:
        return evidence
    sides = ("left", "right")
    named = {side: f"{side}: {format_value(compared[side])}" for side in sides}
    return evidence.rename(columns=named)


def find_against(claim: Claim, pairing: Pairing) -> Against:
    """Finds the pairs of each row's own group that go against its difference."""
    found: list[tuple[float, tuple[str, int, int]]] = []
    looked, findings, level = list[tuple[str, int, int]](), list[str](), 0
    groups = claim.evidence.attrs.get(SAMPLE, {}).get("by", [])
    for row in claim.evidence.to_dict("records"):
        difference = row.get("difference", row.get("share", math.nan) - 0.5)  # of votes the share
        column = str(row.get("column", VOTED))
        own = tuple(to_plain(row.get(name)) for name in groups)
        values, of = column_values(pairing.source, column), row_tuples(pairing.source, groups)
        even = math.isnan(difference) or math.isclose(difference, 0, abs_tol=1e-12)
        findings += [] if even else [name_finding(pairing, column, own, right=difference > 0)]
        for left, right in pairing.pairs:
            if None in (values[left], values[right]) or not of[left] == of[right] == own:
                continue
            looked.append((column, left, right))
            change = float(values[right]) - float(values[left])
            if even:
                level += 1
            elif difference * change < 0:
                found.append((-abs(change), looked[-1]))
    far = [each for _, each in sorted(found, key=lambda each: each[0])]
    alike = len({distance for distance, _ in found}) < 2
    return Against(far, looked, list(dict.fromkeys(findings)), level, alike)


def name_finding(pairing: Pairing, column: str, own: Sequence[Any], *, right: bool) -> str:
    """Names what was found of a group: which side was higher, or preferred."""
    side = name_side(pairing.by, pairing.right if right else pairing.left)
    found = f"{side} preferred" if column == VOTED else f"{side} higher in {column}"
    return f"{format_label(own)}: {found}" if own else found


def draw_claim(claim: Claim) -> Any:
    """Draws the evidence; None if it is of no kind that is drawn."""
    try:
        return plot(claim.evidence)
    except (TypeError, ValueError):
        return None


def explain_untold(claim: Claim, pairing: Pairing) -> str:
    """Explains why no pair of these rows could be looked at."""
    columns = dict.fromkeys(
        str(row.get("column", VOTED)) for row in claim.evidence.to_dict("records")
    )
    lacking = [name for name in columns if name not in pairing.source.columns]
    if VOTED in lacking:
        return f"{UNTOLD}: the votes are not in this report; Claim(..., votes=) puts them here."
    if lacking:
        return f"{UNTOLD}: these rows have no column {join_words(lacking)}."
    return f"{UNTOLD}: no pair of these rows has the values that the evidence is of."


def describe_against(against: Against) -> str:
    """Says how many comparisons go against what was found, and that none were left out."""
    n, total = len(against.found), len(against.looked) - against.level
    if not total:
        return "The difference of all is 0, so there is no direction to go against."
    every = count_noun(total, "comparison")
    level = f"Where the difference of all is 0, in {against.level:,} more, there is no direction"
    some = f"{MOST_AGAINST} of them" if against.alike else f"the {MOST_AGAINST} farthest"
    first = f"; {some} are shown" if n > MOST_AGAINST else ""
    few = 0 < len(against.findings) <= MOST_FINDINGS
    finding = f"“{'; '.join(against.findings)}”" if few else "the finding of their own row"
    said = (
        f"{n:,} of {every} {'goes' if n == 1 else 'go'} the other way than {finding}{first}: the"
        " reader may see why."
        if n
        else f"Of {every} none goes against {finding}."
    )
    return f"{said} {level}." if against.level else said


def list_against(
    pairing: Pairing, against: Against
) -> Iterator[tuple[str, list[tuple[str, Any, str]]]]:
    """Yields (what the pair is of, [(side, the picture's path, its value)]) of the farthest."""
    rows = pairing.source
    names = [name for name in pairing.varying if name != pairing.by] or ["seed"]
    told, paths = row_tuples(rows, names), column_values(rows, "path")
    for column, *both in against.found[:MOST_AGAINST]:
        values = column_values(rows, column)
        what = ", ".join(
            f"{name} {format_value(v)}" for name, v in zip(names, told[both[0]]) if v is not None
        )
        sides = (pairing.left, pairing.right)
        yield (
            what,
            [
                (format_value(side), paths[i], f"{column} {format_value(values[i])}")
                for side, i in zip(sides, both)
            ],
        )


def count_sample(claim: Claim, frame: pd.DataFrame, against: Against | None) -> str:
    """Says over how many prompts and seeds the evidence goes; "" where it does not tell."""
    if against and against.looked:
        rows = frame.iloc[sorted({i for _, *both in against.looked for i in both})]
    else:
        rows = select_claimed(claim, frame)
    if rows.empty:
        return ""
    prompts = read_sample(rows, None)
    n = 0 if prompts is None else prompts.nunique()
    over = name_range(count_prompts(claim.evidence), n, single=len(claim.evidence) == 1)
    return f"{over}, {count_noun(rows['seed'].nunique(), 'seed')}"


def select_claimed(claim: Claim, frame: pd.DataFrame) -> pd.DataFrame:
    """Selects the rows, or the answers to them, that a statistic counts; none if none did."""
    if (sample := claim.evidence.attrs.get(SAMPLE)) is None:
        return frame.iloc[:0]
    columns, by = sample["columns"], sample["by"]
    if claim.votes is not None and counts_answers(claim.votes, frame, columns):
        frame = join_answers(claim.votes, frame)
    groups = {*row_tuples(claim.evidence, by)}  # that the evidence still has
    values = zip(row_tuples(frame, columns), row_tuples(frame, by))
    return frame[[set(row) != {None} and own in groups for row, own in values]]


def counts_answers(votes: pd.DataFrame, frame: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Tells whether columns that the frame has not are of answers to its single pictures."""
    known = {"key", "answer"} <= {*votes.columns} and "key" in frame.columns
    return known and not {*columns} <= {*frame.columns}


def count_prompts(evidence: pd.DataFrame) -> list[int]:
    """Counts the prompts that each row of a statistic goes over; [] where it does not tell."""
    if "prompts" in evidence.columns:
        return evidence["prompts"].dropna().to_list()
    if {"difference", "over", "n"} <= {*evidence.columns}:  # else n may be of votes
        return evidence.loc[evidence["over"] != "seed", "n"].to_list()
    return []


def name_range(each: Sequence[int], total: int, *, single: bool) -> str:
    """Says over how many prompts the rows go, and not that of all where they have not all."""
    least, most = (min(each), max(each)) if each else (total, total)
    told = count_noun(most, "prompt") if least == most else f"{least:,} to {most:,} prompts"
    return told if single or least == total else f"{told} a row"


# Where models and methods come from


def show_licences(frame: pd.DataFrame) -> Table:
    """Shows what is known of each model: licence, what it learned from, and who says so."""
    rows: list[Row] = []
    for name in filter(None, distinct_values(frame, "model")):
        model = MODELS.get(name)
        known = model if isinstance(model, Model) else Model()
        place = Path(str(name)).name
        rows.append(
            [
                place,
                known.title or "—",
                known.licence or "not known here: ask whoever made it",
                known.trained_on or "not known here",
                known.source or "—",
            ]
        )
    head = ["model", "what it is", "licence", "trained on", "source of these facts"]
    return Table(rows=rows, head=head)


def list_papers(frame: pd.DataFrame, claims: Iterable[Claim]) -> list[str]:
    """Lists the papers behind the models, schedulers and tests that were used."""
    names = [str(v) for f in ("model", "scheduler") for v in distinct_values(frame, f) if v]
    found = [paper for pattern, paper in PAPERS if any(re.search(pattern, n) for n in names)]
    tests = [str(v) for claim in claims for v in distinct_values(claim.evidence, "test") if v]
    return found + [paper for name, paper in TESTS.items() if name in tests]


# A notebook's prose


def read_prose(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Reads the text of a notebook, as ("heading" or "text", words), without its code.

    Raises
    ------
    ValueError
        It is no notebook.
    """
    try:
        cells = json.loads(Path(path).expanduser().read_text("utf-8"))["cells"]
        texts = ["".join(each["source"]) for each in cells if each["cell_type"] == "markdown"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no notebook (.ipynb)") from error
    found = []
    for part in re.split(r"\n\s*\n|\n(?=#)|(?<=\n)(?=#)", "\n\n".join(texts)):
        mark, words = re.match(r"\s*(#*)\s*(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
        heading, _, rest = words.partition("\n") if mark else ("", "", words)
        found += [("heading", heading.strip())] * bool(heading.strip())
        found += [("text", rest.strip())] * bool(rest.strip())
    return found


def show_unlike(pairing: Pairing) -> Table:
    """Shows what else differs between the two sides."""
    table = pairing.differences
    told = [[str(cell) for cell in row] for row in table.itertuples(index=False)]
    rows: list[Row] = [[what, *sides] for what, *sides in told if len(set(sides)) > 1]
    return Table(rows=rows, head=list(table.columns), caption="Not held constant", kind="facts")


def show_verification(found: Any) -> Table:
    """Shows the pictures that did not come out alike when they were rendered again."""
    frame = found.frame.query("verdict != 'identical'")
    names = ["name", "verdict", "why", "largest"]
    rows: list[Row] = [
        [TableCell(format_value(v)) for v in row] for row in row_tuples(frame.head(MOST_ODD), names)
    ]
    note = f"The first {MOST_ODD} of {len(frame):,}." if len(frame) > MOST_ODD else ""
    return Table(rows=rows, head=["picture", "verdict", "why", "farthest, of 255"], note=note)

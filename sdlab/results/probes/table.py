"""What a probe is, and the table of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import suggest
from ...recipe.request import Request, require_field
from ...tiny.signs import WRITERS
from ..frame import count_noun, join_words
from ..html import render_table

if TYPE_CHECKING:
    import pandas as pd

LEAST = 8  # wordings: fewer tell of these words, not of a model
# models asked unless told
LITTLE, REAL = ("tiny-v1", "tiny-v2"), ("sd-v1-5", "sd-v2-1-base")
NO_SCORER = "people"


def name_world(model: str) -> str:
    """Names the world that a model in `MODELS` knows."""
    if model in WRITERS:
        return "the embedded models of signs"
    return "the embedded models of emoji" if model.startswith("tiny-") else "models of photographs"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What published work found, where that stands, and how it differs from the probe."""

    figure: str
    source: str
    differs: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question to image models, and all that is needed to put it.

    Parameters
    ----------
    name : str
        As `probe` takes it.
    question : str
        To which the column is the answer.
    prompts : tuple of str
        At least 8 wordings: they are the sample, seeds are repeats.
    arms : mapping of str to mapping
        What is compared with one another, by name: {field: its value for every wording, or a tuple
        of one value a wording}. A field that an arm leaves out is as in the others; an empty arm is
        the wording itself.
    axes : mapping of str to sequence
        What else is varied: {field: its values}.
    seeds : int
        How many, from 0.
    scorer : str
        A name in `SCORERS`; "people" if nothing but eyes can tell.
    column : str
        The one that `scorer` gives, or that is recorded with each picture: yes or no, or a number.
    better : {"higher", "lower"} or None
        Which end of the column is the better one; None if neither is.
    rule : str
        For people: what counts as a yes.
    guessing : float, optional
        The share, 0 to 1, that a model gets which ignores what is asked, where that is known.
    opposites : tuple of (str, ...)
        Arms of which that is the share, taken together; if left out, of all.
    findings : tuple of Finding
    models : tuple of str
        Asked unless others are given; the embedded ones if it is about their world.
    """

    name: str
    question: str
    prompts: tuple[str, ...]
    arms: Mapping[str, Mapping[str, str | tuple[str, ...]]] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int = 4
    scorer: str = NO_SCORER
    column: str = ""
    better: str | None = "higher"
    rule: str = ""
    guessing: float | None = None
    opposites: tuple[tuple[str, ...], ...] = ()
    findings: tuple[Finding, ...] = ()
    models: tuple[str, ...] = REAL

    def __post_init__(self) -> None:
        if len(set(self.prompts)) < max(LEAST, len(self.prompts)):
            raise ValueError(
                f"probe {self.name!r} has {len(set(self.prompts))} different wordings of"
                f" {len(self.prompts)}; give at least {LEAST}, each once"
            )
        if not (self.rule if self.scorer == NO_SCORER else self.column):
            raise ValueError(
                f"probe {self.name!r} does not say what its answer is; give scorer= and column=, or"
                " rule= for people"
            )
        for fields in (self.axes, *self.arms.values()):
            for name, values in fields.items():
                require_field("field", name)
                each = fields is not self.axes and isinstance(values, tuple)
                if each and len(values) != len(self.prompts):
                    raise ValueError(
                        f"probe {self.name!r} has {len(values)} values of {name} in an arm, and"
                        f" {len(self.prompts)} wordings; give one each, or one text for all"
                    )

    @property
    def cells(self) -> int:
        """Pictures of one model."""
        ways = [self.prompts, self.arms or "1", *self.axes.values()]
        return self.seeds * math.prod(map(len, ways))

    @property
    def answer(self) -> str:
        """What gives the answer: a scorer's column, or people and their rule."""
        return f"people: {self.rule}" if self.scorer == NO_SCORER else self.column

    def list_requests(self) -> list[Request]:
        """Lists each wording in each arm; `labels` say which: `probe`, `wording` and `arm`."""
        labels = {"probe": self.name}
        if not self.arms:
            return [Request(prompt=prompt, labels=labels) for prompt in self.prompts]
        return [
            Request(prompt=prompt, labels=labels | {"wording": prompt, "arm": title}).but(
                **{name: pick(value, n) for name, value in arm.items()}
            )
            for n, prompt in enumerate(self.prompts)
            for title, arm in self.arms.items()
        ]

    def _repr_html_(self) -> str:
        rows = [
            ("question", self.question),
            ("answer", self.answer),
            *([("by guessing", f"{self.guessing:.0%}")] if self.guessing is not None else []),
            ("wordings", " · ".join(self.prompts)),
            ("compares", ", ".join([*self.arms, *self.axes]) or "models"),
            ("seeds", f"0 to {self.seeds - 1}"),
            *(("published", f"{f.figure} ({f.source}; {f.differs})") for f in self.findings),
        ]
        return render_table((), rows, caption=self.name, style="text-align:left")


def pick(value: str | tuple[str, ...], n: int) -> str:
    """Picks the n-th value of a tuple; a text is everybody's."""
    return value[n] if isinstance(value, tuple) else value


class Probes(dict[str, Probe]):
    """{name: probe}, which a notebook shows as a table; `.frame` is one for further use."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row a probe."""
        import pandas as pd

        rows = [
            {
                "probe": name,
                "question": row.question,
                "models": ", ".join(row.models),
                "wordings": len(row.prompts),
                "compares": ", ".join([*row.arms, *row.axes]) or "models",
                "cells a model": row.cells,
                "answer": row.answer,
                "published": "; ".join(f"{f.figure} ({f.source})" for f in row.findings),
            }
            for name, row in self.items()
        ]
        return pd.DataFrame(rows).set_index("probe")

    def __missing__(self, name: object) -> Probe:
        raise KeyError(self.explain_absence(name))

    def explain_absence(self, name: object) -> str:
        """Says that there is no such probe, and which may be meant."""
        return f"unknown probe {name!r:.60}{suggest(str(name), self)} PROBES has {', '.join(self)}"

    def _repr_html_(self) -> str:
        head = ["probe", *self.frame.columns]
        rows = [[name, *map(str, found)] for name, *found in self.frame.itertuples()]
        return render_table(head, rows, style="text-align:left;vertical-align:top")

    def __repr__(self) -> str:
        return f"<{count_noun(len(self), 'probe')}: {join_words(self)}>"

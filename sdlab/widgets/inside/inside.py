"""`Inside`: how the words of a prompt become a picture, step by step, on one slider."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import traitlets
from PIL import Image

from ...pictures import webp_bytes
from ...recipe.request import Request
from ...results.code import write_arguments
from ...results.inside import Insight, inside
from ...store.store import Store
from ..panel import Panel, source
from ..pictures import can_look, describe_image
from .still import render_sides

LARGEST = 512  # pixels of a picture on the page


class Inside(Panel):
    """A cell from the inside, or two side by side: what the model believes at each step.

    A slider goes through the steps. A word that is pointed at or focused lights up where it acts,
    and shows at which steps; with two cells the same word lights up in both. The cells are rendered
    before the widget is there, and watched (see `sdlab.inside`).

    Parameters
    ----------
    request : Request or Insight
    other : Request or Insight, optional
        A second cell, such as the same with one word changed.
    store : Store or path, optional
        Where the cells are, or shall be.

    Attributes
    ----------
    at : int
        The moment that is shown, from 0; after the last one comes the finished picture.
    word : str
        The word that stays lit, "" if none does.
    whole : bool
        Whether a word lights up where it acts in all steps together.

    Raises
    ------
    FieldError, GenerationError
        As `inside` and its parts raise them.

    Examples
    --------
    >>> cat = Request(prompt="a cat above a red circle")
    >>> Inside(cat, cat.but(prompt="a dog above a red circle"), store="runs/inside")
    """

    _esm = source("page.js", "inside/side.js", "inside/steps.js", "inside/inside.js")
    _css = source("page.css", "inside/inside.css")
    sides: Any = traitlets.List(help="What is known of each cell without pictures.").tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)
    word = traitlets.Unicode().tag(sync=True)
    whole = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        request: Request | Insight,
        other: Request | Insight | None = None,
        *,
        store: Store | str | os.PathLike[str] | None = None,
    ) -> None:
        given = [request] if other is None else [request, other]
        self.insights = [
            each if isinstance(each, Insight) else inside(each, store) for each in given
        ]
        self._seen: dict[int, list[str]] = {}
        super().__init__(sides=[describe_side(each) for each in self.insights])
        self.at = max(len(side["moments"]) for side in self.sides)
        self.observe(lambda _: self.refresh_soon(), ["at", "word", "whole"])

    def __repr__(self) -> str:
        return f"<Inside {' | '.join(repr(each.cell.prompt) for each in self.insights)}>"

    @property
    def value(self) -> pd.DataFrame:
        """The cells that are shown, a row each, as `run` returns them."""
        return pd.concat([each.frame for each in self.insights], ignore_index=True)

    @property
    def code(self) -> str:
        """Python that shows the same cells again."""
        cells = [f"Request({write_arguments(each.request.to_dict())})" for each in self.insights]
        root = self.insights[0].store.root
        place = [f"store={os.path.relpath(root)!r}"] if root.is_relative_to(Path.cwd()) else []
        call = f"Inside({', '.join([*cells, *place])})"
        return f"from sdlab import Request\nfrom sdlab.widgets import Inside\n\n{call}\n"

    @traitlets.validate("at")
    def _within(self, proposal: Any) -> int:
        most = max((len(side["moments"]) for side in self.sides), default=0)
        return min(max(proposal["value"], 0), most)

    def static(self) -> str:
        """Renders the pictures, some steps, and where each word acts."""
        return render_sides(self.insights, list(map(self._list_seen, range(len(self.insights)))))

    def _list_seen(self, side: int) -> list[str]:
        """Lists what stands in each picture of a cell; [] if nothing here can see it."""
        if side not in self._seen:
            insight = self.insights[side]
            pictures = list_pictures(insight) if can_look(insight.frame) else []
            self._seen[side] = list(map(describe_image, pictures))
        return self._seen[side]

    # What the page asks

    def _on_frames(self, question: dict, buffers: list) -> None:
        insight = self.insights[int(question["side"])]
        self.answer_later(question, lambda: ({"kind": "frames"}, encode_frames(insight)))

    def _on_seen(self, question: dict, buffers: list) -> None:
        self.answer_seen(question, lambda: self._list_seen(int(question["side"])))

    def _on_maps(self, question: dict, buffers: list) -> None:
        insight, group = self.insights[int(question["side"])], int(question["group"])
        self.answer_later(question, lambda: ({"kind": "maps"}, [encode_maps(insight, group)]))


def describe_side(insight: Insight) -> dict[str, Any]:
    """Describes a cell: its words with their shares at each moment, and what its moments are."""
    attention, moments = insight.attention, insight.trace.moments
    shares = [[map_.mean() for map_ in find_maps(insight, n)] for n in list_groups(insight)]
    size = find_maps(insight, 0).shape[1:] if attention.maps else (0, 0)
    return {
        "prompt": insight.cell.prompt,
        "seed": insight.cell.seed,
        "size": list(insight.picture.size),
        "note": "" if insight.same else insight.note,
        "words": [
            {"text": text, "group": n + 1, "shares": [round(float(s), 5) for s in own]}
            for n, (text, own) in enumerate(zip(attention.words, shares[1:]))
        ],
        "map": list(size),
        "moments": [
            {"first": m.first + 1, "last": m.last + 1, "noise": round(m.noise, 3)} for m in moments
        ],
    }


def list_groups(insight: Insight) -> range:
    """Lists the groups that have maps: none where nothing attends to a text."""
    return range(len(insight.attention.groups) if insight.attention.maps else 0)


def find_maps(insight: Insight, group: int) -> np.ndarray:
    """Finds the maps of a group: (moments, h, w)."""
    moments = insight.trace.moments
    return np.stack([insight.attention.find_map(group, step=m.first + 1) for m in moments])


def encode_maps(insight: Insight, group: int) -> bytes:
    """Encodes a group's maps as bytes (moments + 1, h, w), the last being that of all steps.

    Each is stretched from its least, 0, to its greatest, 255.
    """
    maps = find_maps(insight, group)
    maps = np.concatenate([maps, insight.attention.find_map(group)[None]])
    least, most = (side(maps, axis=(1, 2), keepdims=True) for side in (np.min, np.max))
    scaled = (maps - least) / np.maximum(most - least, 1e-12)
    return (255 * scaled).round().astype(np.uint8).tobytes()


def encode_frames(insight: Insight) -> list[bytes]:
    """Encodes what is believed at each moment, and the picture."""
    return [webp_bytes(image, LARGEST) for image in list_pictures(insight)]


def list_pictures(insight: Insight) -> list[Image.Image]:
    """Lists what is believed at each moment, and the picture."""
    return [*insight.strip.pictures, insight.picture]

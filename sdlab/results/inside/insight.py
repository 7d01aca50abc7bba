"""`inside(request)`: one cell rendered once more and watched, and what that shows."""

from __future__ import annotations

import functools
import os
import tempfile
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from ...errors import FieldError, GenerationError
from ...models.pipeline import machine_facts
from ...models.resolve import native, resolve
from ...models.tasks import choose_task
from ...recipe.request import FIELDS, Recipe, Request
from ...recipe.schedulers import adds_noise
from ...render.between import draw_between, mix_arcs, mix_lines
from ...render.job import run
from ...render.options import require_device
from ...render.trace import Trace, trace_cell
from ...store.columns import CHOSEN
from ...store.store import Store, open_store
from ..frame import column_values
from ..scorers import measure
from .ablation import list_ablations, rank_words
from .attention import Attention
from .guidance import SCALES, draw_guidance
from .strip import Strip
from .text_space import find_nearest
from .tokens import group_tokens, list_pieces, name_words

if TYPE_CHECKING:  # matplotlib comes when something is drawn
    from ..sheet import GridFigure

STEPS = ["step", "timestep", "noise", "moved", "direction", "cosine"]
GUIDANCE = ["step", "without", "with_prompt", "direction", "cosine"]
WAYS = {"slerp": mix_arcs, "lerp": mix_lines}
BLENDED = "prompt", "negative_prompt", "seed"
GIVEN = "What the model is given at each step, noise and all (sketches)"
BELIEF = "What the model believes the picture is, when it is given one with so much noise"
SKETCHED = "(sketches are blurred: only the first and the last step are decoded by the VAE)"


def inside(
    request: Request,
    store: Store | str | os.PathLike[str] | None = None,
    *,
    batch_size: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    memory: str = "auto",
) -> Insight:
    """Looks inside one cell: its tokens, steps, attention, guidance, and what each word does.

    The request is checked now. The cell is rendered when a part asks for it: as `run` does, unless
    the store has it, and then once more under watch, on the same footing. Both pictures are
    compared, pixel by pixel, and `same` and `note` say what came out.

    Parameters
    ----------
    request : Request
    store : Store or path, optional
        Where the cell is, or shall be, with the cells of `ablate` and `compare_guidance`. A folder
        that lasts as long as the result, if left out.
    batch_size, device, dtype, memory : optional
        As for `run`; a cell that the store has is watched as it was made.

    Raises
    ------
    FieldError
        A field of the request holds what it cannot hold.

    Examples
    --------
    >>> seen = inside(Request(prompt="a cat above a red circle"), "runs/inside")
    >>> seen.strip
    >>> seen.attention.draw(["cat", "circle"])
    >>> seen.steps.plot(x="step", y="direction")
    """
    options = {"batch_size": batch_size, "device": device, "dtype": dtype, "memory": memory}
    return Insight(request, store, options)


class Insight:
    """What was seen inside one cell; `inside` makes it.

    Attributes
    ----------
    request : Request
        As it was given.
    cell : Recipe
        The same, resolved.
    store : Store
    """

    def __init__(
        self,
        request: Request,
        store: Store | str | os.PathLike[str] | None,
        options: dict[str, Any],
    ) -> None:
        if store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sdlab-inside-")
            store = self._folder.name
        self.request, self.cell, self._options = request, resolve(request), options
        if native(self.cell.model).layout.call:
            raise FieldError(
                f"model={self.cell.model!r} is rendered in a pipeline of diffusers' own, whose"
                " steps and attention cannot be watched; one of v1, v2 or SDXL can",
                "model",
            )
        self.store = open_store(store)

    def __repr__(self) -> str:
        return f"<Insight {self.cell.prompt!r}, seed {self.cell.seed}: {self.note}>"

    # The cell, and the cell watched

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The cell's row, as `run` returns it."""
        return self._run([self.cell])

    @functools.cached_property
    def trace(self) -> Trace:
        """All that was kept while the cell was watched."""
        pieces = list_pieces(self.cell)
        own = native(self.cell.model)
        groups = group_tokens(pieces, own.layout.max_tokens)
        trace = trace_cell(self.cell, groups, self._find_footing())
        if trace.picture.image is None:
            raise GenerationError(f"watched, the picture is {trace.picture.problem}", self.cell)
        if trace.picture.nsfw:
            raise GenerationError(
                "the model's safety checker refused this picture, and so its steps are not shown;"
                " try another seed or prompt",
                self.cell,
            )
        return trace

    @property
    def picture(self) -> Image.Image:
        """The picture, as it was made under watch."""
        return self.trace.picture.image

    @functools.cached_property
    def same(self) -> bool:
        """Whether the watched picture has the pixels of the cell's own; else a warning says why."""
        with Image.open(self.frame["path"][0]) as image:
            agrees = np.array_equal(np.asarray(image.convert("RGB")), np.asarray(self.picture))
        if not agrees:
            warnings.warn(self._describe_difference(), stacklevel=2)
        return agrees

    @property
    def note(self) -> str:
        """A sentence about the two pictures."""
        if "trace" not in vars(self):
            return "not watched yet"
        return "the same picture, to the bit" if self.same else self._describe_difference()

    # What was seen

    @functools.cached_property
    def tokens(self) -> pd.DataFrame:
        """The pieces of the prompt and the negative prompt (see `list_pieces`); nothing is drawn.

        This works for prompts that are too long to be drawn, too.
        """
        return list_pieces(self.cell)

    @functools.cached_property
    def steps(self) -> pd.DataFrame:
        """One row a call of the network.

        `step` from 1, `timestep`, `noise`: the share of noise in what the network is given, 0 to 1;
        `moved`: how far what the model believes the picture is has moved since the step before;
        `direction`: the length of the prompt's direction eps_c - eps_u, the root of the mean
        square over the latents; `cosine`: of eps_c and eps_u.
        """
        return pd.DataFrame(self.trace.steps)[STEPS]

    @functools.cached_property
    def guidance(self) -> pd.DataFrame:
        """One row a call of the network: the same noise, read without and with the prompt.

        `without` and `with_prompt`: the length of eps_u and eps_c (root of the mean square), and
        the `direction` and `cosine` of `steps`.
        """
        return pd.DataFrame(self.trace.steps)[GUIDANCE]

    @property
    def strip(self) -> Strip:
        """What the model believes the picture is, step by step.

        The first and the last are decoded by the VAE, those between are sketches by a linear map of
        latents to colours, which is blurred and costs nothing; their captions say so.
        """
        moments, ends = self.trace.moments, self.trace.ends
        between = [self.trace.sketch(moment.guided) for moment in moments[1:-1]]
        pictures = [ends[0], *between, ends[1]] if len(moments) > 1 else [ends[1]]
        pictures = [image.resize(self.picture.size) for image in pictures]
        captions = [f"step {m.last + 1}\nnoise {m.noise:.2f}" for m in moments]
        captions[1:-1] = [f"{caption}\nsketch" for caption in captions[1:-1]]
        return Strip(pictures, captions, f"{BELIEF}\n{SKETCHED}" if between else BELIEF)

    @property
    def given(self) -> Strip:
        """What the model is given, step by step: the picture with all its noise, as sketches."""
        pictures = [self.trace.sketch(moment.noisy) for moment in self.trace.moments]
        pictures = [image.resize(self.picture.size) for image in pictures]
        captions = [f"step {m.last + 1}\nnoise {m.noise:.2f}" for m in self.trace.moments]
        return Strip(pictures, captions, GIVEN)

    @functools.cached_property
    def attention(self) -> Attention:
        """Where in the picture each word acts."""
        trace = self.trace
        return Attention(name_words(self.tokens), trace.maps, trace.moments, self.picture)

    def draw_guidance(self, scales: Sequence[float] = SCALES) -> GridFigure:
        """Draws what the model believes with each guidance from the same noise, and the vector."""
        return draw_guidance(self.trace, scales)

    # What takes more cells

    def compare_guidance(self, scales: Sequence[float] = SCALES) -> pd.DataFrame:
        """Renders the cell with each guidance from the first step on, as `run` returns it."""
        return self._run([self.cell.but(guidance_scale=scale) for scale in scales])

    def ablate(self) -> pd.DataFrame:
        """Renders the prompt without each of its words, a cell each: which words matter.

        Returns
        -------
        DataFrame
            As `run` returns it, with `left_out` and the columns of the scorer "distance": how far
            the picture is from the cell's own. The cell comes first, then the words that move it
            most.
        """
        frame = self._run(list_ablations(self.cell))
        return rank_words(measure(frame, "distance", progress=False))

    def nearest(self, text: str | None = None, count: int = 8) -> pd.DataFrame:
        """Finds the words of the model's vocabulary next to a text, by its own encoder.

        Parameters
        ----------
        text : str, optional
            The prompt, if left out.
        count : int

        Returns
        -------
        DataFrame
            `word`, `token`, `cosine`, the nearest first.
        """
        return find_nearest(self.cell, self.cell.prompt if text is None else text, count)

    def between(self, other: Request | Insight, count: int = 8, *, way: str = "slerp") -> Strip:
        """Renders pictures on the way to another cell, whose prompts or seed differ.

        Parameters
        ----------
        other : Request or Insight
        count : int
            Of pictures, both cells' own among them, which keep their bits.
        way : {"slerp", "lerp"}
            How the noise of two seeds is mixed. On the straight line (lerp) the middle has .71 of
            the length that noise has: less noise than the model was told, which shows as dull or
            empty pictures. The arc (slerp) keeps the length. Encoded prompts are mixed on the
            straight line.

        Raises
        ------
        FieldError
            The cells differ in more than prompts and seed, or do not begin with noise alone; or
            their seeds differ, and the scheduler adds noise of its own, of which there is no way.
        """
        theirs = other.cell if isinstance(other, Insight) else resolve(other)
        if way not in WAYS:
            raise ValueError(f"way={way!r}: use {' or '.join(map(repr, WAYS))}")
        if count < 2:
            raise ValueError(f"count={count}: use 2 or more, for both cells are among them")
        require_path(self.cell, theirs)
        shares = np.linspace(0, 1, count).tolist()
        made = draw_between(self.cell, theirs, shares, self._find_footing(), mix_noise=WAYS[way])
        names = [name for name in BLENDED if getattr(self.cell, name) != getattr(theirs, name)]
        title = " · ".join(
            f"{name}: {getattr(self.cell, name)} → {getattr(theirs, name)}" for name in names
        )
        return Strip([p.image for p in made], [f"{share:.2f}" for share in shares], title)

    def _run(self, requests: Sequence[Request]) -> pd.DataFrame:
        options = {name: value for name, value in self._options.items() if value is not None}
        return run(requests, self.store, progress=False, on_error="raise", **options)

    def _find_footing(self) -> dict[str, Any]:
        """Finds how the cell was made, as far as this machine can do it again."""
        names = "device", "threads", "winograd", *CHOSEN
        facts = {name: column_values(self.frame, name)[0] for name in names}
        try:
            require_device(facts["device"])
        except ValueError:  # another machine's; `note` will say what differs
            facts |= {"device": None, "dtype": None, "threads": None}
            del facts["winograd"]
        return facts

    def _describe_difference(self) -> str:
        """Says that watching gave another picture, and which facts differ."""
        own = {"compiled": False, "winograd": self.trace.winograd}
        how = {name: getattr(self.trace, name) for name in ("threads", "memory_format")}
        here = own | how | machine_facts()
        there = {name: column_values(self.frame, name)[0] for name in here}
        there |= {name: bool(there[name]) for name in own}
        other = [
            f"{name} {there[name]} there, {here[name]} here"
            for name in here
            if there[name] != here[name]
        ]
        why = "; ".join(other) or "this should not be: please report it"
        return f"the watched picture is not the cell's own, pixel by pixel: {why}"


def require_path(one: Recipe, other: Recipe) -> None:
    """Raises unless there is a way between two cells."""
    for name in FIELDS:
        if name not in BLENDED and getattr(one, name) != getattr(other, name):
            raise FieldError(
                f"{name}={getattr(one, name)!r} and {getattr(other, name)!r}: there is a way"
                f" between cells that differ in {', '.join(BLENDED)} alone",
                name,
            )
    if one.seed != other.seed and adds_noise(one.scheduler, one.eta):
        raise FieldError(
            f"scheduler={one.scheduler!r}, eta={one.eta}: it adds noise of one seed in its steps,"
            " and there is no way to another seed's; use 'DDIMScheduler' with eta=0, or one seed",
            "scheduler",
        )
    task = choose_task(one, native(one.model).layout.tasks)
    if task.start != "from_noise":
        raise FieldError(
            f"model={one.model!r}, {task.name}: its start is not noise alone, and there is no way"
            " between two of them",
            "model",
        )

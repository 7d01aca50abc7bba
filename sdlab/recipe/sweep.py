"""A sweep is a sequence of requests that remembers which base was varied along which axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import blame_field
from .axes import number_labels, read_choices, read_numbers, split_words
from .collector import pause_collector
from .request import OPTIONAL, SPECS, Request, copy_fields, require_field
from .spec import Spec, check_value

MAX_CELLS = 1_000_000


class Sweep(Sequence[Request]):
    """The requests of a sweep, in order.

    Attributes
    ----------
    base : Request
        What was varied.
    axes : dict of str to list
        {field: its values}, the first slowest.
    replace : dict of str to list of str
        {search text: itself, then what is put in its place}.
    """

    def __init__(
        self,
        requests: Iterable[Request],
        base: Request,
        axes: dict[str, list[Any]],
        replace: dict[str, list[str]],
    ) -> None:
        self._requests = tuple(requests)
        self.base, self.axes, self.replace = base, axes, replace

    def __len__(self) -> int:
        return len(self._requests)

    def __getitem__(self, place: Any) -> Any:
        """Gives a request, or of a slice a list of them."""
        return list(self._requests[place]) if isinstance(place, slice) else self._requests[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, tuple, Sweep)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Iterable[Request]) -> list[Request]:
        return [*self, *other]

    def __radd__(self, other: Iterable[Request]) -> list[Request]:
        return [*other, *self]

    def __repr__(self) -> str:
        axes = "".join(f", {name}: {len(values)}" for name, values in self.axes.items())
        return f"<Sweep of {len(self):,} request{'s' * (len(self) != 1)}{axes}>"


def sweep(base: Request, **axes: Any) -> Sweep:
    """Combines the values of all axes: the first axis slowest, choices in braces fastest.

    Parameters
    ----------
    base : Request
        What all cells share.
    **axes
        A field of a request and its values: any iterable (`range(4)`, a list, an array), one value,
        or text:

        - number fields: comma-separated numbers and ranges, `"1-10 (+2)"`, `"10-1 (-3)"`,
          `"0-1 [5]"`; ends are included and never overshot;
        - `model`, `vae`, `scheduler`, `watermark`, `prompt_syntax`: comma-separated names;
        - `image`, `mask_image`, `depth_map`: one picture or path, or a list of them;
        - `prompt`, `negative_prompt`, `lora`, `textual_inversion`: one value (commas belong to it),
          or a list of them.

        `replace="hamster, cat, dog"` searches the first text in prompt and negative prompt and puts
        each in its place; a mapping `{"hamster": ["cat", "dog"], "red": ["blue"]}` does so for
        several.

    `{red|blue}` in a prompt, the base's too, stands for each choice in turn; `{colour=red|blue}`
    names it, and `{2$$a|b|c}` takes two of them at a time, in the written order alone, which makes
    three texts where dynamicprompts makes six. Texts that are alike count once. The choice made is
    in the request's `labels`. `\\{`, `\\|` and `\\}` are plain characters.

    Returns
    -------
    Sweep
        A sequence of requests, which also knows its `base` and its `axes`.

    Raises
    ------
    TypeError, ValueError
        For an unknown axis, an impossible value, a search text that no prompt has, or more than a
        million cells.

    Examples
    --------
    >>> cells = sweep(Request(prompt="a {red|blue} cat"), guidance_scale="1-7 (+3)", seed=range(2))
    >>> len(cells)
    12
    """
    if not isinstance(base, Request):
        raise TypeError(
            f"sweep starts from a Request, not {type(base).__name__}: sweep(Request(prompt=...),"
            " seed=range(4))"
        )
    for name in axes:
        if name != "replace":
            require_field("axis", name)
    searches = read_replacements(axes.pop("replace", None))
    values = {name: read_axis(name, given) for name, given in axes.items()}
    count = math.prod(map(len, [*values.values(), *searches.values()]))
    if count > MAX_CELLS:
        raise ValueError(
            f"{count:,} pictures are more than {MAX_CELLS:,}; take fewer values, or several sweeps"
        )
    with pause_collector():
        cells = [
            copy_fields(Request, base, {}, **dict(zip(values, row)))
            for row in itertools.product(*values.values())
        ]
        for search, texts in searches.items():
            cells = [cell for before in cells for cell in substitute(before, search, texts)]
        return Sweep(expand_choices(cells), base, values, searches)


def read_axis(name: str, given: Any) -> list[Any]:
    """Reads the values of an axis, checked, in the given order; one given twice counts once."""
    spec = SPECS[name]
    with blame_field(name):
        given = list_values(name, spec, given)
        if len(given) > MAX_CELLS:
            raise ValueError(f"axis {name} has more than {MAX_CELLS:,} values (an endless one?)")
        optional = name in OPTIONAL
        values = [None if v is None and optional else check_value(name, spec, v) for v in given]
        if not values:
            raise ValueError(f"axis {name} has no values; leave it out, or give at least one")
        return list(dict.fromkeys(values))


def list_values(name: str, spec: Spec, given: Any) -> list[Any]:
    """Lists what was given for an axis, one more than are allowed at most."""
    if spec.kind == "picture" and (isinstance(given, str) or is_picture(given)):
        return [given]
    if isinstance(given, str):
        if spec.is_number:
            return read_numbers(given, whole=spec.kind == "whole", name=name)
        if spec.takes_line:
            return [given]
        return join_brackets(split_words(given)) if name == "scheduler" else split_words(given)
    if spec.kind == "pair" and is_pair(given):
        return [given]
    if isinstance(given, Mapping):
        raise TypeError(f"axis {name}: give a list of values, not a mapping")
    if hasattr(given, "to_numpy"):  # pandas' own iterator hides that numbers are of 32 bits
        given = given.to_numpy()
    each = given if isinstance(given, Iterable) else [given]
    return list(itertools.islice(each, MAX_CELLS + 1))


def is_pair(given: Any) -> bool:
    """Tells one pair of numbers from several of them."""
    return isinstance(given, (tuple, list)) and all(isinstance(each, int) for each in given)


def is_picture(given: Any) -> bool:
    """Tells an array of numbers; columns of paths and stacks of arrays hold several pictures."""
    kind = getattr(getattr(given, "dtype", None), "kind", "O")
    return kind in "biuf" and given.ndim in (2, 3)


def join_brackets(items: list[str]) -> list[str]:
    """Puts together what a comma within brackets has parted: "DDIM(a=1", "b=2)".

    The last one stays open if its bracket has no partner.
    """
    out: list[str] = []
    for item in items:
        if out and out[-1].count("(") > out[-1].count(")"):
            out[-1] += f", {item}"
        else:
            out.append(item)
    return out


def read_replacements(given: Any) -> dict[str, list[str]]:
    """Reads {search text: [the search text itself, then its replacements]}."""
    if given is None:
        return {}
    with blame_field("replace"):
        if not isinstance(given, Mapping):
            texts = split_words(given) if isinstance(given, str) else list(given)
            given = {texts[0]: texts[1:]} if texts else {"": []}
        out = {}
        for search, texts in given.items():
            texts = split_words(texts) if isinstance(texts, str) else list(texts)
            out[search] = list(dict.fromkeys([search, *texts]))
            are_texts = all(isinstance(text, str) for text in out[search])
            if not search or len(out[search]) < 2 or not are_texts:
                raise ValueError(
                    f"replace={given!r}: give the text to search and at least one text to put in"
                    " its place"
                )
        return out


def substitute(request: Request, search: str, texts: list[str]) -> list[Request]:
    """Makes the request once for each text in the place of `search`."""
    with blame_field("replace"):
        if search not in request.prompt and search not in request.negative_prompt:
            raise ValueError(
                f"replace: neither the prompt {request.prompt!r} nor the negative prompt contains"
                f" {search!r}"
            )
    return [
        request.but(
            prompt=request.prompt.replace(search, text),
            negative_prompt=request.negative_prompt.replace(search, text),
            labels=number_labels(request.labels, {search: text}),
        )
        for text in texts
    ]


def expand_choices(cells: Sequence[Request]) -> Iterator[Request]:
    """Makes of each request one for every combination of the choices in its prompts.

    What these say is read once for all cells that share prompts and labels.
    """
    known: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for cell in cells:
        texts = cell.prompt, cell.negative_prompt, id(cell.labels)  # no label need have a hash
        if texts not in known:
            known[texts] = [*combine_choices(cell)]
        for chosen in known[texts]:
            yield copy_fields(Request, cell, {}, **chosen) if chosen else cell


def combine_choices(cell: Request) -> Iterator[dict[str, Any]]:
    """Yields the fields that each combination of choices changes; none where there is no choice."""
    with blame_field("prompt"):
        prompts = read_choices(cell.prompt)
    with blame_field("negative_prompt"):
        negatives = read_choices(cell.negative_prompt)
    if (prompts, negatives) == (((cell.prompt, {}),), ((cell.negative_prompt, {}),)):
        yield {}
        return
    for (p, p_labels), (n, n_labels) in itertools.product(prompts, negatives):
        labels = number_labels(cell.labels, p_labels, n_labels)
        yield {"prompt": p, "negative_prompt": n, "labels": labels}

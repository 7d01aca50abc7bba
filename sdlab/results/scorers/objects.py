"""What stands in the pictures of the little worlds, and whether it is what the prompt names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from PIL import Image

from ...tiny.matcher import Point, find_objects, is_placed, weigh_background
from ...tiny.scenes import BACKGROUNDS, SCENES
from ...tiny.sprites import COLORED_SHAPES
from ...tiny.world import BOTH, COUNTS, OPENINGS, RELATIONS, pluralise
from ..frame import column_values
from .reading import score_pictures

DTYPES = {
    "objects_found": "string",
    "objects_count": "Int64",
    "objects_x": "Float64",
    "objects_y": "Float64",
    "objects_places": "string",
    "objects_background": "string",
    "objects_fits": "string",
    "objects_background_gap": "Float64",
}
NEGATIONS = ("no", "not", "nor", "without")
LINKS = {"a", "an", "the", "and", "with", "next", "to"}  # which say nothing more of what they join
OPENING = re.compile(rf"^(?:{'|'.join(opening.strip() for opening in OPENINGS)})\b")
SIDES = {relation: relation for relation in RELATIONS} | {"over": "above", "under": "below"}
RELATION = re.compile(rf"\b(?:to the )?(?:{'|'.join(SIDES)})(?= *(?:$|a$|an$|the$))")
Found = Sequence[tuple[str, Point]]  # names and centres
# A thing is clear from the one fit on, and no more than a guess below the other; a background is
# clear below the gap. `score_objects` says what was measured of them.
CLEAR_FIT, GUESS_FIT, CLEAR_GAP = 0.9, 0.7, 0.06


class Wish(NamedTuple):
    """What a prompt names: an object, how many if it says so, where, and whether it is wanted."""

    words: str
    name: str
    number: int | None
    wanted: bool
    relation: str | None  # to the next one


def score_objects(
    frame: pd.DataFrame, *, again: bool = False, progress: bool = False
) -> pd.DataFrame:
    """Finds what the embedded models can draw in each picture, and compares it with the prompt.

    A matcher that knows the sprites of the little worlds reads the pictures, some 50 ms each. In
    pictures of other models it finds nothing, or what is not there.

    Its own errors are a ceiling for every figure: of 1,200 true renders of both worlds, with the
    captions that they were made of, it judges rightly 449 of 453 single things, 230 of 230 numbers,
    57 of 58 pairs, 338 of 338 relations where it finds both things (of 340), and 119 of 119 prompts
    that rule something out, drawn with it or without (`tests/benchmarks/scorers.py --count 600`).

    What a model draws can be half melted, and is then taken for what it is not: the fit tells. Of
    what was found with a fit of 0.9 or more, all 786 in 500 true renders were right, and all 1,313
    in 902 pictures of the embedded models, with guidance 1 to 15, were things that the prompt
    names; from 0.7 to 0.9 these were 84 of 86, and 151 of 233; below 0.7, 4 of 18, and 53 of 185.
    With guidance 0 just 7 of 76 reached 0.9. A background with a gap below 0.06 was right in all of
    602 true renders, and in all of 36 pictures of the models that a person looked at; with more in
    7 of 8, and 20 of 36. What is melted further is not found at all.

    Returns
    -------
    DataFrame
        `objects_found`: names such as "red circle, cat", the most convincing first, "" if there are
        none; `objects_count` of them; `objects_places`: their centres, in the scale that
        `SCORERS` tells; `objects_x` and `objects_y`: that of the first.
        `objects_background`: the plain colour or the scene. `objects_fits`: how well each thing
        fits, such as "0.98, 0.71" of 1; `objects_background_gap`: how far the picture is from the
        background, 0 if it is that. Captions and screen readers are told "perhaps" of a fit below
        0.9 and of a gap of 0.06 or more, and no name of a fit below 0.7.
        `objects_asked`: what the prompt names, such as "cat, no red circle" or "two dogs", missing
        if it names nothing of the little worlds. What "no", "not", "nor" or "without" stands before
        is ruled out, and so is what "or" adds to it. `objects_right`: whether all of that was found
        and nothing that is ruled out, of "two dogs" just two, wherever it stands: that is
        `objects_relation`'s; missing without a picture or a name.
        `objects_avoided`: whether nothing that the prompt rules out was found; missing if it rules
        nothing out. Of a probe's arms it is what their `wording` rules out, so that the same thing
        is looked for where it is ruled out and where it is asked for.
        `objects_relation`: whether things stand to each other as the prompt says ("left of", "right
        of", "above" or "over", "below" or "under", between two names); missing if it does not say
        so, or one of the two was not found: the share is conditional, as VISOR's (arXiv
        2212.10015).
        `objects_drawn`: whether the picture is what the prompt says: the things (`objects_right`),
        how they stand to each other (a relation with a thing that was not found does not hold), and
        the background, as the captions of the little worlds name it ("on a blue background", "in
        the snow"). False where something of that is not so; else missing if the prompt has words of
        which nothing is judged, `objects_unread`, such as "grass background", "on top of", a size,
        or the colour of a cat. Of 570 true renders it says so of 499, wrongly no of 4, and nothing
        of 67 with a size in their captions (`tests/benchmarks/scorers.py --count 300`).
    """
    scores = score_pictures(frame, "objects", score_one, DTYPES, again=again, progress=progress)
    wishes = [find_wishes(prompt or "") for prompt in column_values(frame, "prompt")]
    sample = column_values(frame, "wording" if "wording" in frame.columns else "prompt")
    shared = [find_wishes(text) if text else own for text, own in zip(sample, wishes)]
    columns = (column_values(scores, name) for name in ("objects_found", "objects_places"))
    found = [None if names is None else read_places(names, at) for names, at in zip(*columns)]
    scores["objects_asked"] = pd.array(
        [", ".join(dict.fromkeys(wish.words for wish in asked)) or None for asked in wishes],
        "string",
    )
    judges = (("right", is_right), ("avoided", is_avoided), ("relation", is_related))
    for name, judge in judges:
        named = shared if judge is is_avoided else wishes
        values = [None if at is None else judge(asked, at) for asked, at in zip(named, found)]
        scores[f"objects_{name}"] = pd.array(values, "boolean")
    prompts, grounds = column_values(frame, "prompt"), column_values(scores, "objects_background")
    asked = {each: (find_grounds(each or ""), list_unread(each or "")) for each in {*prompts}}
    drawn = [
        None if at is None else is_drawn(wished, at, *asked[prompt], ground)
        for prompt, wished, at, ground in zip(prompts, wishes, found, grounds)
    ]
    scores["objects_drawn"] = pd.array(drawn, "boolean")
    unread = [" ".join(asked[prompt][1]) or None for prompt in prompts]
    scores["objects_unread"] = pd.array(unread, "string")
    return scores


def score_one(image: Image.Image) -> dict[str, Any]:
    """Reads one picture."""
    found = find_objects(image, BOTH)
    background, gap = weigh_background(image, BOTH)
    first = {"objects_x": found[0].x, "objects_y": found[0].y} if found else {}
    return {
        "objects_found": ", ".join(each.name for each in found),
        "objects_count": len(found),
        "objects_places": ", ".join(f"{each.x:g} {each.y:g}" for each in found),
        "objects_background": background,
        "objects_fits": ", ".join(f"{each.fit:g}" for each in found),
        "objects_background_gap": round(gap, 3),
        **first,
    }


def find_wishes(prompt: str) -> tuple[Wish, ...]:
    """Finds what a prompt names, in its order."""
    text = flatten_text(prompt)
    numbers = {word: n for n, word in COUNTS.items()}
    matches = list(NAME.finditer(text))
    links = [text[one.end() : other.start()].strip() for one, other in itertools.pairwise(matches)]
    out: list[Wish] = []
    for n, match in enumerate(matches):
        listed = out and not out[-1].wanted and is_listed(links[n - 1 :])
        wanted = not match["none"] and not listed
        words = ("" if wanted else "no", match["number"], match["name"])
        side = SIDE.search(links[n]) if n < len(links) else None
        relation = SIDES[side[1]] if side else None
        number = numbers.get(match["number"])
        shown = " ".join(filter(None, words))
        out.append(Wish(shown, NAME_OF[match["name"]], number, wanted, relation))
    return tuple(out)


def is_listed(links: Sequence[str]) -> bool:
    """Tells whether a name goes with the one before: by "or", or by a comma if "or" follows."""
    last = next((link for link in links if link != ","), "")
    return last in ("or", ", or", ",or")


def read_places(found: str, places: str) -> Found:
    """Reads the names and centres of what was found."""
    points = [each.split() for each in places.split(", ")] if places else []
    return [(name, (float(x), float(y))) for name, (x, y) in zip(found.split(", "), points)]


def name_surely(found: str, fits: str | None) -> list[str]:
    """Names what was found as surely as it fits: "cat", "perhaps cat", "something unclear"."""
    names = found.split(", ") if found else []
    known = [float(fit) for fit in fits.split(", ")] if fits else [1.0] * len(names)
    return [
        name if fit >= CLEAR_FIT else f"perhaps {name}" if fit >= GUESS_FIT else "something unclear"
        for name, fit in zip(names, known)
    ]


def is_right(wishes: Sequence[Wish], found: Found) -> bool | None:
    """Tells whether all that is wanted was found, and nothing else that is named."""
    drawn = [name for name, _ in found]
    kept = [
        wish.name in drawn if wish.number is None else drawn.count(wish.name) == wish.number
        for wish in wishes
        if wish.wanted
    ]
    return all(kept) and is_avoided(wishes, found) is not False if wishes else None


def is_avoided(wishes: Sequence[Wish], found: Found) -> bool | None:
    """Tells whether nothing that is ruled out was found; None if nothing is."""
    out = {wish.name for wish in wishes if not wish.wanted}
    return out.isdisjoint(name for name, _ in found) if out else None


def is_related(wishes: Sequence[Wish], found: Found) -> bool | None:
    """Tells whether the relations between things that were found hold; None if there are none."""
    at = dict(reversed(found))  # the most convincing of each name
    told = [
        is_placed(at[first.name], at[second.name], first.relation)
        for first, second in itertools.pairwise(wishes)
        if first.relation and first.wanted and second.wanted
        if first.name != second.name and {first.name, second.name} <= at.keys()
    ]
    return all(told) if told else None


def is_drawn(
    wishes: Sequence[Wish],
    found: Found,
    grounds: Sequence[tuple[str, bool]],
    unread: Sequence[str],
    ground: str | None,
) -> bool | None:
    """Tells whether things, relations and background are as the prompt says.

    None if it says nothing of that, or if all that was read of it is there but not all was read.
    """
    if not wishes and not grounds:
        return None
    names = {name for name, _ in found}
    related = [
        {first.name, second.name} <= names
        for first, second in itertools.pairwise(wishes)
        if is_judged(first, second)
    ]
    stands = [(ground == name) == wanted for name, wanted in grounds]
    kept = (is_right(wishes, found) is not False, is_related(wishes, found) is not False)
    if not all((*kept, *related, *stands)):
        return False
    return None if unread else True


def is_judged(first: Wish, second: Wish) -> bool:
    """Tells whether a relation between two names can be judged, where there is one."""
    both = first.wanted and second.wanted and first.name != second.name
    return first.relation is not None and both


def find_grounds(prompt: str) -> list[tuple[str, bool]]:
    """Finds the backgrounds that a prompt names: (name, whether it is wanted)."""
    found = GROUND.finditer(flatten_text(prompt))
    return [(GROUND_OF[each["name"]], not each["none"]) for each in found]


def list_unread(prompt: str) -> list[str]:
    """Lists the words of a prompt that say something, and of which nothing is judged."""
    wishes = find_wishes(prompt)
    text = OPENING.sub("", flatten_text(prompt))
    links = NAME.split(GROUND.sub(" ", text))
    parts = links[:: NAME.groups + 1]  # what stands between the names
    ruled_out = {"or"} if any(not wish.wanted for wish in wishes) else set()
    unread: list[str] = []
    for n, part in enumerate(parts):
        if 0 < n < len(wishes) and is_judged(*wishes[n - 1 : n + 1]):
            part = RELATION.sub("", part)
        unread += [
            word for word in re.findall(r"\w[\w.'-]*", part) if word not in LINKS | ruled_out
        ]
    sizes = [word for each in NAME.finditer(text) for word in each[0].split()]
    return [*unread, *(word for word in sizes if word in ("small", "big"))]


def flatten_text(prompt: str) -> str:
    """Writes a prompt in small letters, with single blanks."""
    return " ".join(prompt.lower().split())


# What is found in prompts


def any_of(words: Iterable[str]) -> str:
    """Joins words to an alternative, longer ones first."""
    return "|".join(sorted(words, key=len, reverse=True))


NAMES = (*BOTH.names, *COLORED_SHAPES)
NAME_OF = {pluralise(name): name for name in NAMES} | {name: name for name in NAMES}
NAME = re.compile(  # with a number, or a word that rules it out
    rf"\b(?:(?P<none>{any_of(NEGATIONS)}) )?(?:(?:a|an|any|the|small|big) )*"
    rf"(?:(?P<number>{any_of(COUNTS.values())}) )?(?P<name>{any_of(NAME_OF)})\b"
)
GROUND_OF = {phrase: name for name, phrases in SCENES.items() for phrase in phrases}
GROUND_OF |= {f"{color} background": color for color in BACKGROUNDS}
GROUND = re.compile(  # with a word that rules it out
    rf"\b(?P<none>(?:{any_of(NEGATIONS)}) )?(?:(?:on|with|before|in front of) )?"
    rf"(?:(?:a|an|any|the) )?(?P<name>{any_of(GROUND_OF)})\b"
)
SIDE = re.compile(rf"\b({any_of(SIDES)})$")  # at the end of the words between two names

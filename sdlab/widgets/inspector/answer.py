"""What an inspector says of a picture, in words, then in figures: as JSON and as HTML."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from ...results.html import render_table
from ...watermark.answer import SAYS, SIGNED
from ...watermark.inspection import (
    A_HIT,
    A_MISS,
    BY_CALL,
    SEARCHES,
    Finding,
    Inspection,
    describe_geometry,
    describe_hit,
    format_probability,
    shorten_name,
)
from ..pictures import render_image
from .pictures import (
    AT_WORK,
    NOT_FOUND,
    SMALL,
    THUMBNAIL,
    UNREADABLE,
    VERDICTS,
    WAITING,
    Picture,
    describe_ground,
    shrink_picture,
)
from .recipe import describe_recipe, list_facts, read_recipe

BY_HAND = "“Search this picture” in sdlab's inspector"
LARGE = 512  # pixels of the picture on a page of its own
PAGE = Markup(
    '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{}</title>'
    "<style>h1 {{font-size: 1.4em}} h2 {{font-size: 1.1em}}</style></head><body"
    ' style="font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem">'
    "\n<h1>{}</h1>\n{}\n</body></html>\n"
)
A_NOTE, NAMED = "A note in the file says: ", "The file names "  # what the list leaves out
STILL = 200  # pictures in the notebook's own picture
EXPECTED = "sd-v1"
TITLES = ("name", "picture", "verdict", "what is known, and what is not", "the recipe in the file")
CELL = (
    "text-align:left;vertical-align:top;padding:2px 8px 2px 0;white-space:normal;max-width:20em;"
    "overflow-wrap:anywhere"
)
AGAIN = {  # letter: what stands beside an answer that may change
    WAITING: ("It waits to be searched; this is what is known so far.",),
    AT_WORK: ("It is being searched; this is what is known so far.",),
}
FIGURES = (
    "p is the chance that a picture without this mark agrees with it as well: 1 is no sign of it,"
    " 1e-12 is one in a million millions. About half of the bits are right by chance. A mark is"
    " found where p is below its share of one in {:,.0f}, and a hundredth of that where it was"
    " searched for. The official decoder always reads something."
)
HEADINGS = ("payload", "found", "p", "bits right", "found as", "official decoder")


# As JSON


def write_answer(picture: Picture, letter: str) -> dict[str, Any]:
    """Writes all words of one picture's answer, as the page wants them."""
    inspection, answer = picture.inspection, picture.answer
    recipe = describe_recipe(read_recipe(picture), picture.name)
    told: dict[str, Any] = recipe | {
        "kind": "told",
        "text": write_text(picture, letter, recipe["recipe"]),
        "name": picture.name,
        "headline": write_headline(picture, letter),
        "sentences": list(filter(None, [picture.beside, picture.error])),
        "parts": [],
        "rows": [],
        "best": None,
    }
    if inspection is None or answer is None:
        return told
    return told | {
        "sentences": [
            *told["sentences"],
            *filter(None, [describe_ground(picture)]),
            *map(name_button, [*AGAIN.get(letter, ()), *answer.sentences[1:]]),
        ],
        "explained": explain_figures(inspection),
        "headings": HEADINGS,
        "best": choose_payload(inspection),
        "rows": [
            [*list_figures(finding), finding.detected]
            for finding in inspection.findings
            if finding.tested
        ],
        "about": describe_test(inspection),
        "parts": [[part.title, list(map(name_button, part.lines))] for part in answer.parts],
    }


def describe_test(inspection: Inspection) -> str:
    """Says what was looked at, and how often that errs, if anything was tested."""
    if inspection.unread:
        return inspection.unread
    (width, height), rate = inspection.size, inspection.false_positive_rate
    looked = f"{width}x{height} pixels, looked at {SEARCHES[inspection.search]}."
    if not any(finding.tested for finding in inspection.findings):
        return f"{width}x{height} pixels."
    return f"{looked} Of unmarked pictures at most one in {1 / rate:,.0f} is called marked."


def write_text(picture: Picture, letter: str, facts: Sequence[Sequence[str]]) -> str:
    """Writes the whole answer as text, to be passed on, with the facts of its recipe."""
    lines = [picture.name, write_headline(picture, letter)]
    if picture.answer is not None:
        lines = [picture.name, *AGAIN.get(letter, ()), *picture.answer.paragraphs]
    stated = ["The recipe in the file:"] * bool(facts)
    stated += [f"{name}: {value}" for name, value in facts]
    text = (
        "\n".join([*lines, picture.error or "", describe_ground(picture), picture.beside, *stated])
        .replace("\n\n", "\n")
        .strip()
    )
    return name_button(text)


def name_button(text: str) -> str:
    """Names the button in place of the argument, which means nothing to who writes no calls."""
    return text.replace(BY_CALL, BY_HAND)


def write_page(picture: Picture, letter: str) -> bytes:
    """Writes the whole answer as a page of its own, with the picture in small."""
    title, body = render_answer(picture, letter)
    return str(PAGE.format(picture.name, title, body)).encode()


def write_pages(pictures: Sequence[Picture], letters: Sequence[str], title: str) -> bytes:
    """Writes the answers on several pictures as one page."""
    parts = (render_answer(picture, letter) for picture, letter in zip(pictures, letters))
    body = Markup("<hr>").join(Markup("<h1>{}</h1>{}").format(*part) for part in parts)
    return str(PAGE.format(title, title, body)).encode()


def render_answer(picture: Picture, letter: str) -> tuple[str, Markup]:
    """Renders the whole answer: its headline, and what stands below."""
    told = write_answer(picture, letter)
    small = Markup(render_small(picture, LARGE))
    body = Markup("<p>{}</p><p>{}</p>").format(picture.name, small)
    body += Markup().join(Markup("<p>{}</p>").format(line) for line in told["sentences"])
    for title, lines in told["parts"]:
        body += Markup("<h2>{}</h2>").format(title)
        body += Markup().join(Markup("<p>{}</p>").format(line) for line in lines)
    for title, head, rows in (
        ("The recipe in the file", (), told["recipe"]),
        ("Each payload", HEADINGS, [row[:-1] for row in told["rows"]]),
    ):
        if rows:
            note = Markup("<p>{}</p>").format(told["explained"]) if head else ""
            table = render_table(head, rows, style=CELL)
            body += Markup("<h2>{}</h2>{}{}").format(title, note, table)
    about = [told.get("about", ""), say_when(picture), hash_file(picture)]
    body += Markup("<p>{}</p>").format(" ".join(text for text in about if text))
    return told["headline"], body


def say_when(picture: Picture) -> str:
    """Says when the picture was looked at, maybe long before it is told; "" if nobody noted it."""
    if picture.inspection is None or not picture.inspection.when:
        return ""
    when = datetime.fromisoformat(picture.inspection.when).astimezone()
    return f"Looked at {when:%d %B %Y, %H:%M %Z}."


def hash_file(picture: Picture) -> str:
    """Says by which content the file is known."""
    if picture.path is None:
        return ""
    try:
        with open(picture.path, "rb") as file:
            return f"SHA-256 of the file: {hashlib.file_digest(file, 'sha256').hexdigest()}."
    except OSError:
        return ""


def choose_payload(inspection: Inspection) -> str | None:
    """Chooses the payload whose maps are shown at first: the one found, the best known, or any."""
    names = [finding.payload.name for finding in inspection.findings]
    if inspection.detected and inspection.best is not None:
        return inspection.best.payload.name
    return EXPECTED if EXPECTED in names else next(iter(names), None)


def write_headline(picture: Picture, letter: str) -> str:
    """Says what is known of the picture in a line."""
    if picture.inspection is None:
        return {
            UNREADABLE: "This picture cannot be read.",
            AT_WORK: "This picture is being tested.",
        }.get(letter, f"This picture is {VERDICTS[letter][1]}.")
    return name_button(picture.inspection.answer.headline)


def explain_figures(inspection: Inspection) -> str:
    """Explains the table of the payloads to who meets such figures for the first time."""
    kin = " Beside a mark that is there, its kin, which share bits with it, come near that."
    return FIGURES.format(1 / inspection.false_positive_rate) + kin * inspection.detected


def list_figures(finding: Finding) -> list[str]:
    """Lists one payload's figures, in the order of `HEADINGS`."""
    right = "" if math.isnan(finding.agreement) else f"{finding.agreement:.0%}"
    return [
        shorten_name(finding.payload.name),
        "yes" if finding.detected else "no",
        format_probability(finding.log10_p),
        right,
        describe_geometry(finding.geometry) if finding.detected else "",
        describe_official(finding),
    ]


def describe_official(finding: Finding) -> str:
    """Says what the official decoder makes of it."""
    official = finding.official
    if official is None:
        return ""
    wrong = int((official.bits != finding.payload.bits).sum())
    return (
        "reads it exactly"
        if official.exact
        else f"gets {wrong} of {len(finding.payload)} bits wrong"
    )


# As HTML


def render_verdicts(pictures: Sequence[Picture], letters: Sequence[str], note: str) -> str:
    """Renders a table of the pictures and their verdicts, which shows without a kernel."""
    rows = []
    for picture, letter in list(zip(pictures, letters))[:STILL]:
        glyph, words = VERDICTS[letter]
        words += say_searched(picture, letter)
        ready = letter not in (WAITING, AT_WORK)  # hundreds would take seconds to make now
        verdict = f"{glyph} {words}{describe_verdict(picture)}"
        shown = render_small(picture) if ready else ""
        rows.append([picture.name, shown, verdict, *list_known(picture)])
    table = render_table(TITLES, rows, style=CELL) if rows else Markup("")
    more = f" {len(pictures) - STILL:,} more are not shown here." if len(pictures) > STILL else ""
    below = note or "No picture was inspected yet."
    return str(table + Markup("<p>{}{}</p><p>{} {}</p>").format(below, more, A_HIT, A_MISS))


def say_searched(picture: Picture, letter: str) -> str:
    """Says whether a picture in which no mark was found was searched; "" of all others."""
    known = picture.inspection
    if letter not in (NOT_FOUND, SMALL) or known is None:
        return ""
    return " (not searched)" if known.search == "none" else " (searched)"


def describe_verdict(picture: Picture) -> str:
    """Adds to the verdict why a picture cannot be read, which marks it has, what its file says."""
    if picture.error:
        return f": {picture.error}"
    note = describe_note(picture)
    hits = (
        [finding for finding in picture.inspection.findings if finding.detected]
        if picture.inspection is not None
        else []
    )
    names = ", ".join(shorten_name(finding.payload.name) for finding in hits)
    return f": {names}" * bool(names) + f"; the file: {note}" * bool(note)


def describe_note(picture: Picture) -> str:
    """Says in short what the file tells of its origin, and who signed it; "" if nothing.

    It is asked for at every step of a search, and so kept.
    """
    inspection = picture.inspection
    if inspection is None:
        return ""
    if picture.noted is None or picture.noted[0] is not inspection:
        parts = [part for part in inspection.answer.parts if part.key in (SAYS, SIGNED)]
        told = [part.brief or part.text for part in parts if part.known or part.details]
        text = " ".join(text.removeprefix(A_NOTE).removeprefix(NAMED) for text in told)
        picture.noted = inspection, text
    return picture.noted[1]


def list_known(picture: Picture) -> list[Markup]:
    """Lists all that is known and not known of a picture, how its mark was found, its recipe."""
    recipe = [f"{name}: {value}" for name, value in list_facts(read_recipe(picture))]
    told: list[str] = []
    inspection, answer = picture.inspection, picture.answer
    if inspection is not None and answer is not None:
        hits = [describe_hit(finding) for finding in inspection.findings if finding.detected]
        told = list(filter(None, [picture.beside, describe_ground(picture)]))
        told += [answer.known, *hits, answer.unknown]
    return [Markup("<br>").join(map(name_button, lines)) for lines in (told, recipe)]


def render_small(picture: Picture, px: int = THUMBNAIL) -> str:
    """Renders the picture in small, "" if it cannot be read."""
    try:
        has = picture.source is not None
        return render_image(shrink_picture(picture, px), picture.name, px) if has else ""
    except (OSError, ValueError, TypeError):
        return ""

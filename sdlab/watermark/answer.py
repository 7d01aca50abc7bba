"""The answer to "where does this picture come from?": four parts, summed up in two lines."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .credentials import (
    ALTERED,
    BREAKS,
    DAMAGED,
    ELSEWHERE,
    INTACT,
    NOT_CHECKED,
    UNREAD,
    Credential,
)
from .labels import CAMERA, EDITED, MADE, RECIPE, Claim
from .provenance import Provenance

SAYS, SIGNED, HIDDEN, NOT_LOOKED_FOR = "file_says", "signed", "hidden", "not_looked_for"
TITLES = {
    SAYS: "What the file says of itself",
    SIGNED: "What is signed",
    HIDDEN: "What is hidden in the pixels",
    NOT_LOOKED_FOR: "What was not looked for",
}
NEVER = ("other hidden marks (SynthID, TrustMark, Stable Signature, Tree-Ring)", "visible logos")
# first what a reader must not miss, then a camera, and last what was done to its picture
ORDER = {MADE: 0, RECIPE: 1, CAMERA: 8, EDITED: 9}
NOTHING = (
    "Nothing was found that tells where this picture comes from: a camera, a hand or an AI model"
    " may have made it."
)
EASILY = "whether that note is true, and who wrote it: it is easily written, changed or removed"
WRITER = "who wrote that note: it is easily written, changed or removed"  # once it has been tested
SIGNABLE = (
    "whether what was signed is true: anyone can sign anything, and a picture may have been changed"
    " before"
)
EXTENT = "how much of it was edited"
AT_ODDS = "how a camera in its notes and what is hidden in its pixels go together"
MISFIT = BREAKS[2][1]
STEP = re.compile(r", (?:then )?| \(")  # between the parts of an account
CODES = re.compile(r" \([\w.]+\.[\w., ]+\)$")  # those of a doubt, which the details tell


@dataclass(frozen=True)
class Part:
    """One part of the answer.

    Parameters
    ----------
    key : str
        A name in `TITLES`, which is also a column of `scan`.
    text : str
        A sentence or two.
    known : bool
        Whether that tells something of the origin.
    left_open : str
        What is not known, as a clause; "" if nothing is added to it.
    details : tuple of str
    warns : bool
        Whether it comes first when the parts are summed up, as it makes the others doubtful.
    brief : str
        The text in short, for a headline; "" if it is short itself.
    caveat : str
        A sentence that the headline has to have although this part tells nothing.
    """

    key: str
    text: str
    known: bool = False
    left_open: str = ""
    details: tuple[str, ...] = ()
    warns: bool = False
    brief: str = ""
    caveat: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.key]

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands below the two lines, without repeating them."""
        return self.details if self.known and self.details else (self.text, *self.details)


@dataclass(frozen=True, repr=False)
class Answer:
    """What is known of a picture's origin, by whom, and what is not."""

    parts: tuple[Part, ...]

    @property
    def known(self) -> str:
        """What is known and who says it, in one line."""
        return self._sum_up([part.text for part in self._told])

    @property
    def headline(self) -> str:
        """The same in a sentence or two, to begin with."""
        return self._sum_up([part.brief or part.text for part in self._told])

    @property
    def sentences(self) -> list[str]:
        """The headline, what is known if that is more, and what is not."""
        return list(dict.fromkeys((self.headline, self.known, self.unknown)))

    @property
    def _told(self) -> list[Part]:
        told = (part for part in self.parts if part.known)
        return sorted(told, key=lambda part: not part.warns)

    def _sum_up(self, told: list[str]) -> str:
        caveats = [part.caveat for part in self.parts if part.caveat]
        return " ".join([*(told or [NOTHING]), *caveats])

    @property
    def unknown(self) -> str:
        """What is not known, in one line."""
        left = [part.left_open for part in self.parts if part.left_open]
        return f"Not known: {'; '.join(left)}. " * bool(left) + (
            f"Not looked for, so not ruled out: {self.parts[-1].text}"
        )

    def confirm_note(self) -> Answer:
        """Leave out that nobody knows whether the note is true, as its recipe gave the picture."""
        told = (replace(p, left_open=p.left_open.replace(EASILY, WRITER)) for p in self.parts)
        return Answer(tuple(told))

    @property
    def columns(self) -> dict[str, str | None]:
        """The parts as columns of a frame, missing where they tell nothing."""
        always = (HIDDEN, NOT_LOOKED_FOR)
        return {p.key: p.text if p.known or p.key in always else None for p in self.parts}

    @property
    def paragraphs(self) -> list[str]:
        """The two lines, then the parts with their titles."""
        parts = [f"{part.title}: {' '.join(part.lines)}" for part in self.parts]
        return [self.known, self.unknown, *parts]

    def __repr__(self) -> str:
        known, unknown, *parts = self.paragraphs
        return "\n".join([known, unknown, "", *parts])

    def _repr_html_(self) -> str:
        rows = [
            f"<dt>{html.escape(part.title)}</dt>"
            + "".join(f"<dd>{html.escape(line)}</dd>" for line in part.lines)
            for part in self.parts
        ]
        first, *more = map(html.escape, self.sentences)
        head = f"<p><b>{first}</b></p>" + "".join(f"<p>{line}</p>" for line in more)
        return f"{head}<dl>{''.join(rows)}</dl>"


def write_answer(provenance: Provenance, hidden: Part, gaps: Sequence[str] = ()) -> Answer:
    """Write the answer from what the file says and what is hidden in its pixels.

    Parameters
    ----------
    provenance : Provenance
    hidden : Part
    gaps : sequence of str
        What else was not looked for.
    """
    missed = ", ".join((*NEVER, *gaps, *provenance.gaps))
    camera = any(claim.origin.startswith(CAMERA) for claim in provenance.claims)
    if camera and hidden.known:
        hidden = replace(hidden, left_open=f"{AT_ODDS}; {hidden.left_open}")
    return Answer(
        (
            write_claims(provenance),
            write_credentials(provenance),
            hidden,
            Part(NOT_LOOKED_FOR, f"{missed}."),
        )
    )


# What the file says of itself


def write_claims(provenance: Provenance) -> Part:
    """Say how the picture came about, by the file's own account."""
    claims = [claim for claim in provenance.claims if not claim.kind.startswith("lowest")]
    told = [claim for claim in claims if claim.origin]
    details = tuple(f"{claim}, {claim.detail}." for claim in claims)
    if told:
        signed = are_signed(told, provenance.credentials)
        note = "A signed note" if signed else "A note"
        text = f"{note} in the file says: {' and '.join(list_stories(told))}."
        left = [SIGNABLE if signed else EASILY]
        left += [EXTENT] * any(EDITED in (claim.story or claim.origin) for claim in told)
        return Part(SAYS, text, True, "; ".join(left), details)
    programs = ", ".join(dict.fromkeys(claim.program for claim in claims if claim.program))
    silent = "whether the file ever said more: saving a picture anew drops such notes"
    if programs:
        text = f"The file names {programs}, and not how the picture came about."
        return Part(SAYS, text, True, silent, details)
    none = "The file says nothing of its origin." if provenance.has_file else "There is no file."
    return Part(SAYS, none, False, silent, details)


def list_stories(claims: Sequence[Claim]) -> Iterator[str]:
    """List how the picture came about, each account once with all who give it."""
    ranked = sorted(claims, key=lambda claim: (find_place(claim.origin), not claim.story))
    accounts = dict.fromkeys(claim.story or claim.origin for claim in ranked)
    for account in accounts:
        names = [c.program for c in claims if account == c.origin and not c.story and c.program]
        told = any(account != other and account in STEP.split(other) for other in accounts)
        if not told:  # a longer account says it, too
            yield account + (f" ({', '.join(dict.fromkeys(names))})" if names else "")


def find_place(origin: str) -> int:
    """Finds where an account stands: cameras of all kinds alike."""
    return ORDER.get(CAMERA if origin.startswith(CAMERA) else origin, 5)


def are_signed(claims: Sequence[Claim], credentials: Sequence[Credential]) -> bool:
    """Tell whether all accounts are signed, and the file is as it was signed."""
    intact = any(credential.state == INTACT for credential in credentials)
    return intact and all(claim.kind == "C2PA" for claim in claims)


# What is signed


def write_credentials(provenance: Provenance) -> Part:
    """Say who signed the file, and whether it is as it was signed."""
    if not provenance.credentials:
        return Part(SIGNED, "Nothing is signed.")
    told = [write_credential(credential) for credential in provenance.credentials]
    left = "; ".join(filter(None, map(write_unread, provenance.credentials)))
    details = tuple(line for c in provenance.credentials for line in list_details(c))
    altered = any(credential.state == ALTERED for credential in provenance.credentials)
    return Part(SIGNED, " ".join(told), True, left, details, altered)


def write_credential(credential: Credential) -> str:
    """Say who signed, whether that is whole, and what could not be checked."""
    who, note = credential.signer or "somebody unnamed", "; ".join(credential.notes)
    signer = f"{who} ({credential.trust})" if credential.trust else who
    if credential.state == ELSEWHERE:
        return (
            f"The file points to a record of its origin (C2PA) at {note}, which was not opened;"
            " anyone can write such an address."
        )
    if credential.state == UNREAD:
        return f"The file holds a signed record of its origin (C2PA), which was not read: {note}."
    if credential.state == DAMAGED:
        return f"The file holds a signed record of its origin (C2PA) that is damaged: {note}."
    if MISFIT in credential.notes:  # then nothing shows that this is the signer
        parts = [f"Said to be signed in the name of {who}, but {note}"]
    elif credential.state == ALTERED:
        parts = [f"Altered since it was signed, by whom is not known: {note}"]
        parts.append(f"it was signed in the name of {signer}")
    elif credential.state == INTACT:
        parts = [f"Signed in the name of {signer}; the file is unaltered since it was signed"]
    else:
        alteration = "whether the file was altered since could not be checked"
        parts = [f"Signed in the name of {signer}; {alteration}"]
    parts += dict.fromkeys(list_altered(credential))
    if credential.doubts:
        doubts = ", and ".join(CODES.sub("", doubt) for doubt in credential.doubts)
        either = ", either" * (credential.trust == NOT_CHECKED)
        parts.append(f"could not be checked{either}: {doubts}")
    return f"{'; '.join(filter(None, parts))}."


def list_altered(credential: Credential) -> Iterator[str]:
    """List the sources that had been altered when they were signed for."""
    for source in credential.sources:
        if source.state == ALTERED:
            yield f"{source.relation} was altered before this was signed"
        yield from list_altered(source)


def write_unread(credential: Credential) -> str:
    """Say what a signed record leaves open."""
    if credential.state in (UNREAD, DAMAGED, ELSEWHERE):
        return "what that record says"
    return "what was altered, and by whom" if credential.state == ALTERED else ""


def list_details(credential: Credential) -> Iterator[str]:
    """List who signed each step, the last first."""
    if credential.state in (UNREAD, DAMAGED, ELSEWHERE):
        yield write_credential(credential)
        return
    what = ", ".join((*credential.origins, *credential.actions))
    when = f" on {credential.time}" if credential.time else ""
    name = credential.relation.capitalize() or "The file"
    made = f" with {credential.program}" if credential.program else ""
    yield f"{name}: signed in the name of {credential.signer or 'nobody'}{when}{made}" + (
        f": {what}." if what else "."
    )
    for doubt in credential.doubts:
        yield f"Not checked: {doubt}."
    for source in credential.sources:
        yield from list_details(source)

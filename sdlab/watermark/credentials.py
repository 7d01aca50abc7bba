"""Reads C2PA credentials: who signed, whether the file is as it was signed, and what was done."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .labels import EDITED, MADE, Claim, describe_source, quote
from .opening import shorten_error

BOX = (  # how a store of manifests begins, in every format but SVG
    b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
)
IN_SVG = b"c2pa:manifest"
INTACT, ALTERED, UNSURE, UNREAD, DAMAGED, ELSEWHERE = (
    "intact",
    "altered",
    "unsure",
    "unread",
    "damaged",
    "elsewhere",
)
NOT_CHECKED = "which nobody checked, and anyone can use"  # of the signer's name
LISTED = "who is on the list of trusted signers"
UNLISTED = "which is not on the list of trusted signers, and anyone can use"
BOUND = re.compile(r"assertion\.(?:data|bmff|boxes|collection|multiAsset)Hash\.match")
UNBOUND = "claim.hardBindings.missing"
BREAKS = (  # the only codes that mean alteration
    (
        re.compile(r"assertion\.\w+Hash\.mismatch"),
        "its picture, or its notes alone, are not those that were signed",
    ),
    (
        re.compile(r"assertion\.hashedURI\.mismatch"),
        "a statement of its origin is not the one that was signed",
    ),
    (re.compile(r"claimSignature\.mismatch"), "the signature does not fit what it should cover"),
)
BAD_SOURCE = re.compile(r"ingredient\.(?:hashedURI|manifest|claimSignature)\.mismatch")
DOUBTS = (  # how other codes begin: what could not be checked
    ("cawg.ica.did_unavailable", "the author's identity, which is kept on the network"),
    ("cawg.", "the author's identity"),
    ("signingCredential.untrusted", ""),  # told as trust
    ("signingCredential.expired", "the time of signing: the certificate has expired{}"),
    ("signingCredential.ocsp.revoked", "the signer: the certificate was revoked"),
    ("signingCredential.revoked", "the signer: the certificate was revoked"),
    ("signingCredential.", "the signer's certificate"),
    ("claimSignature.outsideValidity", "the time of signing: the certificate was not valid{}"),
    ("claimSignature.", "the signature"),
    ("timeStamp.", "the time of signing"),
    ("algorithm.", "a hash or signature, whose algorithm is not known here"),
    (UNBOUND, "the pixels: nothing ties the signature to them"),
    ("assertion.action", "the account of what was done, which is not in order"),
    ("assertion.", "a statement, which is missing or not in order"),
    ("ingredient.", "what it was made from"),
    ("claim.", "the claim, which is not in order"),
    ("manifest.", "the credentials, which are not in order"),
    ("", "something that this version does not know"),
)
ACTIONS = {  # of C2PA: in plain words; None says nothing of the pixels
    "created": None,
    "opened": None,
    "published": None,
    "unknown": None,
    "color_adjustments": "recoloured",
    "adjustedColor": "recoloured",
    "converted": "saved in another format",
    "drawing": "drawn on",
    "orientation": "turned",
    "placed": "put together with another picture",
    "edited.metadata": "given other metadata",
    "watermarked.bound": "watermarked",
    "watermarked.unbound": "watermarked",
}
MOST_ACTIONS, MOST_SOURCES = 4, 100
RELATIONS = {"parentOf": "its source", "componentOf": "a part of it", "inputTo": "an input to it"}


@dataclass(frozen=True)
class Credential:
    """One C2PA manifest: a signed account of how a picture came about.

    Parameters
    ----------
    state : str
        "intact", "altered" since it was signed, "unsure" if that could not be checked, "unread"
        without the package, "damaged", or "elsewhere", on the network.
    signer, program, time : str
        "" where nobody is named.
    trust : str
        In words, whether the signer was checked.
    notes : tuple of str
        What was altered, or why it is damaged or elsewhere.
    doubts : tuple of str
        What could not be checked, in words, with the code.
    origins, actions : tuple of str
        How the picture came about, and what was done, in plain words.
    relation : str
        "" for the file's own, or what this is to it: "its source", "a part of it".
    sources : tuple of Credential
        Those of the pictures that it was made from.
    """

    state: str
    signer: str = ""
    program: str = ""
    time: str = ""
    trust: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    relation: str = ""
    sources: tuple[Credential, ...] = ()

    @property
    def parents(self) -> list[Credential]:
        """What it was made from as a whole, itself, and before that; the last step first."""
        steps, step = [self], next((s for s in self.sources if s.relation == "its source"), None)
        return steps + (step.parents if step else [])

    @property
    def story(self) -> str:
        """How the picture came about and what was done then, the first step first."""
        steps = [step for step in self.parents[::-1] if step.origins or step.actions]
        told = [
            ", ".join((*step.origins, *step.actions))
            + (f" ({step.program})" if step.program else "")
            for step in steps
        ]
        return ", then ".join(told)


def read_anchors(trust_anchors: str | bytes | os.PathLike[str] | None) -> str | None:
    """Read certificates that are trusted: a PEM file, or such text itself.

    Raises
    ------
    OSError, ValueError
        If there is no such file, or no certificate in it.
    """
    if trust_anchors is None:
        return None
    if isinstance(trust_anchors, (bytes, str)) and "-----BEGIN" in str(trust_anchors):
        text = trust_anchors.decode() if isinstance(trust_anchors, bytes) else trust_anchors
    else:
        text = Path(os.fsdecode(trust_anchors)).expanduser().read_text("utf-8", "replace")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=text.encode("ascii", "replace").decode()
        )
    except (ssl.SSLError, ValueError):
        raise ValueError(
            "trust_anchors has no certificate that can be read; it is a PEM file, whose parts begin"
            " with -----BEGIN CERTIFICATE-----, or such text itself"
        ) from None
    return text


def read_credentials(path: Path, kind: str, anchors: str | None) -> Credential:
    """Read the C2PA manifests in a file that has some; `kind` is its MIME type."""
    try:
        import c2pa
    except ImportError:
        return Credential(UNREAD, notes=("install sdlab[c2pa]",))
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}
    settings |= {"trust": {"trust_anchors": anchors}} if anchors else {}
    try:
        import json

        with (
            open(path, "rb") as file,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(kind, file, context=context) as reader,
        ):
            report = json.loads(reader.json())
        return Report(report, bool(anchors)).read(report["active_manifest"])
    except Exception as error:  # the package's own kinds, and of looking into a damaged report
        return Credential(DAMAGED, notes=(quote(shorten_error(error)),))


class Report:
    """The report of the C2PA package, read manifest by manifest.

    Parameters
    ----------
    report : mapping
    listed : bool
        Whether there is a trust list.
    """

    def __init__(self, report: Mapping[str, Any], listed: bool) -> None:
        self.manifests, self.listed = report["manifests"], listed
        self.left = MOST_SOURCES  # of a file that names them in circles
        results = report.get("validation_results") or {}
        self.own = results.get("activeManifest") or {"failure": report.get("validation_status")}
        # what was found out now about a source, by where that is named
        self.deltas = {
            delta.get("ingredientAssertionURI"): delta.get("validationDeltas") or {}
            for delta in results.get("ingredientDeltas") or []
        }
        self.bound = any(BOUND.fullmatch(code) for code in list_codes(results, "success"))

    def read(self, label: str, relation: str = "", found: Any = None) -> Credential:
        """Read one manifest; `found` is what the package found out about it."""
        manifest, found = self.manifests[label], self.own if found is None else found
        failures = dict.fromkeys(list_codes(found, "failure"))
        successes = set(list_codes(found, "success"))
        signature = manifest.get("signature_info") or {}
        notes = [words for pattern, words in BREAKS if any(map(pattern.fullmatch, failures))]
        bound = self.bound if not relation else any(map(BOUND.fullmatch, successes))
        sound = bound and UNBOUND not in failures and "claimSignature.validated" in successes
        time = str(signature.get("time") or "")
        return Credential(
            ALTERED if notes else INTACT if sound else UNSURE,
            quote(str(signature.get("issuer") or signature.get("common_name") or "")),
            name_program(manifest),
            quote(time),
            self.describe_trust(successes),
            tuple(notes),
            tuple(list_doubts(failures, time)),
            tuple(dict.fromkeys(list_origins(manifest))),
            tuple(dict.fromkeys(list_actions(manifest)))[:MOST_ACTIONS],
            relation,
            tuple(self.read_sources(label)),
        )

    def read_sources(self, label: str) -> Iterator[Credential]:
        """Read the manifests of what a picture was made from, as far as those have any."""
        for source in self.manifests[label].get("ingredients") or []:
            uri = f"self#jumbf=/c2pa/{label}/c2pa.assertions/{source.get('label')}"
            then = (source.get("validation_results") or {}).get("activeManifest") or {
                "failure": source.get("validation_status")
            }
            found, relation = [then, self.deltas.get(uri)], source.get("relationship")
            if source.get("active_manifest") in self.manifests and self.left:
                self.left -= 1
                relation = RELATIONS.get(relation, "a source of it")
                yield self.read(source["active_manifest"], relation, found)

    def describe_trust(self, successes: set[str]) -> str:
        """Say whether the signer was looked up, and found."""
        if not self.listed:
            return NOT_CHECKED
        return LISTED if "signingCredential.trusted" in successes else UNLISTED


def list_codes(found: Any, how: str) -> Iterator[str]:
    """List the codes of "success" or "failure", however deep they stand."""
    if isinstance(found, Mapping):
        for status in found.get(how) or []:
            yield str(status.get("code"))
        for name in found.keys() - {"success", "informational", "failure"}:
            yield from list_codes(found[name], how)
    elif isinstance(found, list):
        for part in found:
            yield from list_codes(part, how)


def list_doubts(codes: Iterable[str], time: str) -> Iterator[str]:
    """List in words what could not be checked, with the codes that say so."""
    doubts: dict[str, list[str]] = {}
    when = f", and a time stamp says {time}" if time else ", and there is no time stamp"
    for code in codes:
        if any(pattern.fullmatch(code) for pattern, _ in BREAKS):
            continue
        words = next(words for begins, words in DOUBTS if code.startswith(begins))
        words = (
            "its source, whose credentials were altered" if BAD_SOURCE.fullmatch(code) else words
        )
        doubts.setdefault(words.format(when), []).append(code)
    yield from (f"{words} ({', '.join(codes)})" for words, codes in doubts.items() if words)


def name_program(manifest: Mapping[str, Any]) -> str:
    """Name the program that wrote a manifest."""
    named = manifest.get("claim_generator_info") or [{"name": manifest.get("claim_generator")}]
    return quote(str(named[0].get("name") or ""))


def list_origins(manifest: Mapping[str, Any]) -> Iterator[str]:
    """List the source types, wherever they stand among a manifest's statements."""
    for name, value in _walk_texts(manifest.get("assertions")):
        if name.lower().endswith("digitalsourcetype"):
            yield describe_source(value)[1]


def list_actions(manifest: Mapping[str, Any]) -> Iterator[str]:
    """List what was done to the picture, in words."""
    for name, value in _walk_texts(manifest.get("assertions")):
        action = value.removeprefix("c2pa.")
        if name == "action" and (
            words := ACTIONS.get(action, action.rsplit(".", 1)[-1].replace("_", " "))
        ):
            yield quote(words)


def _walk_texts(part: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Walk through parsed JSON: each text with the name under which it stands."""
    if isinstance(part, Mapping):
        for inner, value in part.items():
            yield from _walk_texts(value, str(inner))
    elif isinstance(part, list):
        for value in part:
            yield from _walk_texts(value, name)
    elif isinstance(part, str):
        yield name, part


def list_claims(credential: Credential) -> Iterator[Claim]:
    """List what the credentials say of the origin, as claims of the file."""
    origins = [origin for step in credential.parents for origin in step.origins]
    program = next((step.program for step in credential.parents if step.origins), "")
    first = next((o for strong in (MADE, EDITED) for o in origins if o == strong), None)
    if credential.program or origins:
        origin = first or next(iter(origins), "")
        detail = f"in the C2PA credentials signed by {credential.signer or 'nobody named'}"
        yield Claim(
            "C2PA",
            program or credential.program,
            detail,
            origin,
            credential.story if origin else "",
        )
    for step in credential.parents:
        for part in step.sources:
            if part.relation != "its source" and part.story:
                yield Claim("C2PA", "", f"of {part.relation}", f"{part.relation}: {part.story}")

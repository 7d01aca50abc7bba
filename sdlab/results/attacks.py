"""Attacks on a marked picture, and how often the mark is still found after each."""

from __future__ import annotations

import inspect
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import suggest
from ..progress import watch_items
from ..watermark.detector import detect_watermark
from ..watermark.dwtdct import MIN_AREA, embed_watermark
from ..watermark.inspection import Finding
from ..watermark.opening import read_pixels
from ..watermark.payloads import Payload, find_payload, require_known
from . import changes
from .stats import share_interval

if TYPE_CHECKING:
    import pandas

SEARCHES = ("auto", "none", "crop", "size", "all")


@dataclass(frozen=True)
class Attack:
    """A change that a picture goes through: `ATTACKS["JPEG 90"](image)`.

    Parameters
    ----------
    kind : str
        What it is; attacks of one kind differ in strength, and are one curve.
    change : callable
        (image) or (image, strength) to image. If it has parameters `seed` or `model`, it gets them
        by name.
    strength : float, optional
        In the unit of the change: a quality, factor, number of pixels, percentage or standard
        deviation.
    search : {"none", "crop", "size", "all"}, optional
        What `robustness` makes the detector search for afterwards; None: "all" where the size has
        changed.
    """

    kind: str
    change: Callable[..., Any]
    strength: float | None = None
    search: str | None = "none"

    @property
    def name(self) -> str:
        return self.kind if self.strength is None else f"{self.kind} {self.strength:g}"

    def __call__(self, image: np.ndarray, *, seed: int = 0, model: str = "tiny-v1") -> np.ndarray:
        """Change the picture, to uint8 (H, W, 3)."""
        taken: Iterable[str] = ()
        with suppress(ValueError):  # some functions written in C do not tell
            taken = inspect.signature(self.change).parameters
        given = {"seed": seed, "model": model}
        own = {name: value for name, value in given.items() if name in taken}
        result = self.change(image, *([] if self.strength is None else [self.strength]), **own)
        try:
            return np.ascontiguousarray(read_pixels(result))
        except (TypeError, ValueError, OSError) as error:
            array = isinstance(result, np.ndarray)
            what = (
                f"an array {result.shape} of {result.dtype}"
                if array
                else f"a {type(result).__name__}"
            )
            raise TypeError(f"attack {self.name!r} gives no picture, but {what}: {error}") from None


ATTACKS: dict[str, Callable[..., Any]] = {
    attack.name: attack
    for kind, change, strengths, search in (
        ("none", changes.keep, [None], "none"),
        ("JPEG", changes.save_jpeg, [95, 90, 75, 50, 30], "none"),
        ("JPEG 4:4:4", changes.save_jpeg_444, [95], "none"),
        ("WebP", changes.save_webp, [90, 80, 50], "none"),
        ("AVIF", changes.save_avif, [60], "none"),
        ("GIF", changes.save_gif, [256, 64], "none"),
        ("resize", changes.resize, [0.5, 0.9, 1.1, 2, 4], "size"),
        ("crop px", changes.crop, [1, 10], "crop"),
        ("crop %", changes.crop_share, [10], "crop"),
        ("crop 10 px + JPEG", changes.crop_and_save, [90], "crop"),
        ("blur", changes.blur, [0.5, 1, 2], "none"),
        ("noise", changes.add_noise, [5, 10, 20], "none"),
        ("brightness", changes.brighten, [0.9, 1.1], "none"),
        ("contrast", changes.stretch_contrast, [0.9, 1.1], "none"),
        ("mirrored", changes.mirror, [None], "all"),
        ("turned", changes.turn, [90], "all"),
        ("inverted", changes.invert, [None], "all"),
        ("messenger", changes.send_by_messenger, [None], "size"),
        ("screenshot", changes.take_screenshot, [None], "size"),
        ("page", changes.paste_into_page, [None], "crop"),
        ("thumbnail", changes.make_thumbnail, [None], "size"),
        ("JPEG twice", changes.save_twice, [75], "crop"),
        ("second-hand", changes.pass_on, [None], "all"),
        ("vae", changes.pass_through_vae, [None], "none"),
        ("img2img", changes.run_img2img, [0.1, 0.2, 0.3, 0.5, 0.8], "none"),
    )
    for attack in (Attack(kind, change, strength, search) for strength in strengths)
}


# How often the mark is still found


def robustness(
    images: Any,
    payload: Payload | str | bytes,
    attacks: Mapping[str, Callable] | Iterable[str] | str = ATTACKS,
    *,
    search: str = "auto",
    false_positive_rate: float = 1e-6,
    seed: int = 0,
    model: str = "tiny-v1",
    progress: bool = True,
) -> pandas.DataFrame:
    """Measure how often a mark is still found after each attack, beside the official decoder.

    The payload is embedded into each picture as the programs do it; then each attack changes the
    marked picture.

    Parameters
    ----------
    images : path, PIL image, uint8 RGB array, or iterable of these
        Unmarked, of at least 65,536 pixels.
    payload : str, bytes or Payload
        A name in `PAYLOADS`, a text or bytes.
    attacks : names, kinds, or mapping from names to functions of an image, optional
        `["none", "JPEG"]` takes all attacks of the kind "JPEG". By default all `ATTACKS`; there,
        "vae" and "img2img" go through a model and take by far the longest.
    search : {"auto", "none", "crop", "size", "all"}
        What the detector searches for. "auto": what the attack calls for; the frame says what that
        was.
    seed : int
        Noise is drawn anew for each picture, from this and the picture's place in the list.
    model : str
        For "vae" and "img2img": a name in `sdlab.MODELS`, or a model's folder.

    Returns
    -------
    pandas.DataFrame
        One row an attack: `attack`, `kind`, `strength` (missing where there is none), `search`, `n`
        pictures, `detected` (the share found) with its 95 % Wilson interval `low`, `high`, median
        `log10_p`, mean bit `agreement`, `official` (the share that the official decoder reads
        exactly) with `official_low`, `official_high`, and `seconds` for all pictures. A picture
        that is less than 65,536 pixels after an attack is tested only with a search; else it counts
        as not found.

    Examples
    --------
    >>> curves = robustness(paths, "sd-v1", ["JPEG", "WebP"])
    >>> curves.pivot(index="strength", columns="kind", values="detected").plot()
    """
    import pandas

    require_known("search", search, SEARCHES)
    payload, table, given = find_payload(payload), choose_attacks(attacks), list_images(images)
    for number, image in enumerate(given):  # a bad one is told at once, and not after an hour
        read_unmarked(image, number)
    trials: dict[str, list[Trial]] = {name: [] for name in table}
    pairs = [(number, name) for number in range(len(given)) for name in table]
    for number, name in watch_items(pairs, progress):
        if name == next(iter(table)):
            marked = embed_watermark(read_unmarked(given[number], number), payload)
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        begun = time.perf_counter()
        changed = table[name](marked, seed=own_seed, model=model)
        look = table[name].search or ("none" if changed.shape == marked.shape else "all")
        look = look if search == "auto" else search
        (found,) = detect_watermark(
            changed, payload, search=look, false_positive_rate=false_positive_rate
        ).findings
        trials[name].append(Trial(look, found, time.perf_counter() - begun))
    return pandas.DataFrame(
        [summarise_trials(name, table[name], found) for name, found in trials.items()]
    )


class Trial(NamedTuple):
    """What was found in a marked picture after an attack."""

    search: str
    finding: Finding
    seconds: float


def summarise_trials(name: str, attack: Attack, trials: list[Trial]) -> dict[str, Any]:
    """Summarise trials as a row of the frame: shares and middles over the pictures."""
    n, found = len(trials), [trial.finding for trial in trials]
    detected, official = sum(f.detected for f in found), sum(bool(f.official) for f in found)
    low, high = share_interval(detected, n)
    official_low, official_high = share_interval(official, n)
    tested = [f for f in found if f.tested]  # the others are too small
    return {
        "attack": name,
        "kind": attack.kind,
        "strength": math.nan if attack.strength is None else float(attack.strength),
        "search": ", ".join(dict.fromkeys(t.search for t in trials)),
        "n": n,
        "detected": detected / n,
        "low": low,
        "high": high,
        "log10_p": float(np.median([f.log10_p for f in tested])) if tested else math.nan,
        "agreement": float(np.mean([f.agreement for f in tested])) if tested else math.nan,
        "official": official / n,
        "official_low": official_low,
        "official_high": official_high,
        "seconds": sum(t.seconds for t in trials),
    }


def choose_attacks(attacks: Mapping[str, Callable] | Iterable[str] | str) -> dict[str, Attack]:
    """Choose {name: attack} of a mapping, or of names and kinds in `ATTACKS`."""
    if isinstance(attacks, Mapping):
        table = {name: make_attack(name, attack) for name, attack in attacks.items()}
    else:
        known, table = {name: make_attack(name, attack) for name, attack in ATTACKS.items()}, {}
        for wanted in [attacks] if isinstance(attacks, str) else attacks:
            found = {
                name: attack for name, attack in known.items() if wanted in (name, attack.kind)
            }
            if not found:
                raise ValueError(
                    f"unknown attack {wanted!r}{suggest(str(wanted), known)}"
                    f" ATTACKS has {', '.join(known)}; a function of your own goes into a mapping:"
                    " {'mine': function}"
                )
            table |= found
    if not table:
        raise ValueError("there are no attacks; give at least one, such as 'none'")
    return table


def make_attack(name: str, given: Any) -> Attack:
    if not callable(given):
        raise TypeError(f"attack {name!r} is {given!r:.60}; it should be a function of an image")
    return given if isinstance(given, Attack) else Attack(name, given, search=None)


def list_images(images: Any) -> list[Any]:
    """List one picture or several."""
    one = (
        isinstance(images, (str, os.PathLike))
        or hasattr(images, "getbands")
        or getattr(images, "ndim", 0) == 3
    )
    found = [images] if one else list(images)
    if not found:
        raise ValueError("there are no pictures; give at least one")
    return found


def read_unmarked(image: Any, number: int) -> np.ndarray:
    """Read a given picture as uint8 RGB, or say which of them is too small for a mark."""
    pixels = read_pixels(image)
    height, width = pixels.shape[:2]
    if height * width < MIN_AREA:
        raise ValueError(
            f"picture {number} has {width}x{height} pixels, too few for a mark: it needs"
            f" {MIN_AREA:,}, such as 256x256"
        )
    return pixels

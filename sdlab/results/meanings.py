"""What the scorers' columns mean, a line each, and what to do where a frame has not a column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ..errors import suggest

MEANINGS = {  # of `_error` and `_of`, `measure` tells
    "watermark_found": "the name of the payload that is detected",
    "watermark_log10_p": "how likely chance alone is, of the most likely payload",
    "watermark_agreement": "the share of bits that agree with it",
    "watermark_official": "what the official decoder reads",
    "objects_found": "the things that a program finds, of those of the little worlds",
    "objects_count": "how many things that are",
    "objects_places": (
        'their centres, such as "18 22, 46 40": each so far from the left and from above, in 64ths'
        " of the picture's width and height"
    ),
    "objects_x": "where the first of them is, from the left, in 64ths of the width",
    "objects_y": "where the first of them is, from above, in 64ths of the height",
    "objects_background": "the plain colour or the scene behind them",
    "objects_fits": "how well each thing fits, 0 to 1: below 0.9 it may be another one",
    "objects_background_gap": "how far the picture is from that: from 0.06 on it may be another",
    "objects_asked": "the things that the prompt names",
    "objects_right": (
        "whether these things are there, in their number, and none that is ruled out; wherever they"
        " stand: left of, right of, above and below are objects_relation's"
    ),
    "objects_avoided": "whether nothing that the prompt rules out is there",
    "objects_relation": (
        "whether the things stand left of, right of, above or below each other as the prompt says;"
        " missing where one of the two is not there"
    ),
    "objects_drawn": (
        "whether things, relations (with a thing that is not there, none holds) and background are"
        " what the prompt says; missing where nothing is amiss, but words of it are not judged"
    ),
    "objects_unread": "words of the prompt of which nothing is judged",
    "pixels_sharpness": "the variance of the Laplacian: grows with edges, and with noise",
    "pixels_colourfulness": "0 for grey, about 33 for a moderately colourful photograph",
    "pixels_brightness": "the mean grey level, 0 to 255",
    "pixels_clipped": "the share of colour values at the very ends of their range",
    "diversity_vendi": "how many different pictures those of one recipe are worth",
    "diversity_n": "how many pictures the recipe has",
    "distance_same": "whether all pixels are those of the first arm's picture",
    "distance_levels": "the mean difference from it, 0 to 255",
    "lettering_asked": "the words in double quotes in the prompt",
    "lettering_read": "the lines that are read in the picture",
    "lettering_readings": "what every view of the picture gives, with its scores",
    "lettering_exact": "whether these are the words asked for, in any order",
    "lettering_likeness": "how like they are, 0 to 1",
    "lettering_any": "whether anything at all is read",
    "lettering_engine": "what read it, with its version",
    "signs_read": "the words on the sign of the little world",
    "signs_asked": "the words that the prompt asks for",
    "signs_right": "whether the two are the same",
    "signs_likeness": "how like they are, 0 to 1",
    "signs_clear": "whether all that is written are letters",
    "tokens_count": "how many tokens the prompt is, with its two ends; CLIP reads 77",
    "tokens_pieces": "what they stand for",
    "tokens_cut": "the words after the 77th, which are not read",
}


def explain_column(name: object, columns: Iterable[object]) -> str:
    """Explains that a frame has no such column: not measured, mistyped, or unknown."""
    known = [str(each) for each in columns]
    others = [each for each in MEANINGS if each not in known]
    near = difflib.get_close_matches(str(name), [*known, *others], 1, 0.5)
    if near and near[0] in others:
        scorer = near[0].partition("_")[0]
        hint = " yet" if near[0] == name else f"; did you mean {near[0]!r}"
        return (
            f"{name!r} is no column of the frame{hint}, which measure(results, {scorer!r}) adds"
            f"{'?' * (near[0] != name)}"
        )
    return (
        f"{name!r} is no column of the frame{suggest(name, known, 0.5)} it has {', '.join(known)}"
    )

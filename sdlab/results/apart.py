"""How far two pictures are apart, in words."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from .verify.verdicts import Distance, measure_distance, write_size

HARDLY = 8  # levels that another machine may change
SAVED = 10.0  # on average, as a JPEG of quality 30 does; two pictures of a prompt have 15 to 80
OTHERS = 30.0
APART = (
    "{} differs from {} {}: by at most {:g} of 255 levels, on average by {:.2g}, in {:.0%} of all"
    " numbers."
)
UNLIKE = (
    " The file names the model {}, and the one here was made with {}: so this tells nothing about"
    " the file."
)
CAN_BE = " Other weights, another program or another machine can do that, too."


def are_identical(one: Image.Image, other: Image.Image) -> bool:
    """Tells whether two pictures have the same pixels."""
    distance = measure_distance(one, other, reduced=False)
    return distance is not None and not distance.largest


def describe_apart(
    one: Image.Image, other: Image.Image, made: Sequence[bool], models: Sequence[str] = ()
) -> str:
    """Says how far two pictures are apart; `made` tells of each whether it was made here.

    `models` are that which the found file names and that of the one here, where they differ.
    """
    names = ["the one made here" if own else "the found one" for own in made]
    names = names if made[0] != made[1] else ["the chosen one", "the other one"]
    what, of = names[1].capitalize(), names[0]
    distance = measure_distance(one, other, reduced=False)
    if distance is None:
        sizes = f"{of} is {write_size(one)}, {names[1]} {write_size(other)}"
        return f"They have two sizes, and so no pixels to compare: {sizes}."
    if not distance.largest:
        return f"{what} is identical to {of}, in every pixel."
    told = APART.format(
        what, of, say_far(distance), distance.largest, distance.mean, distance.share
    )
    if models:
        return told + UNLIKE.format(*models)
    return told + CAN_BE * (made[0] != made[1])


def say_far(distance: Distance) -> str:
    """Says in words how far apart two pictures are."""
    if distance.mean > OTHERS:
        return "widely, as two different pictures do"
    if distance.mean > SAVED:
        return "clearly, by more than saving it anew as a JPEG changes"
    if distance.largest <= HARDLY:
        return "hardly, as the same recipe may on another machine"
    if distance.share < 0.1:
        return "in a small part of it"
    return "a little, as saving it anew as a JPEG changes it"

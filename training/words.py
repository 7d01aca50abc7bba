"""Words that a stranger may type: everyday ones, and what training captions carry of them.

Each is one token. Training captions carry some of them, so that the model learns to ignore what it
cannot draw; "no" and "without" are among them, which is why it draws what they forbid.
"""

import functools
import random
import string

from sdlab.tiny.scenes import SCENES
from sdlab.tiny.sprites import COLORS, NAMES, SHAPES
from sdlab.tiny.world import COUNTS, FIRST, RELATIONS, V1, World
from training.samples import Sample, make_sample
from training.signs import Sign, SignWorld, make_sign

WORDS = """
in on at near beside under over behind front inside between by from into photo picture drawing image
painting sketch portrait art cartoon emoji icon simple detailed quality high low blurry sharp style
my your his her its our their one two three four five six seven eight nine ten forest space street
room table kitchen garden park river mountain field a an left right above below next small big
background meadow water sky grass night beach sunset snow sea day winter summer colour color colours
colors gray grey shape shapes object objects animal animals flower flowers fruit food person people
girl boy child children king queen face eye eyes hand hands finger fingers leg legs foot feet arm
arms head hair hat red-haired sign signs banner banners letter letters word words text writing
written saying says reading page newspaper poster logo name war peace love time money music dance
fight army soldier gun bomb blood protest crowd street nude sex body man's woman's doctor nurse
teacher engineer ceo worker rich poor young horse sheep kitten puppy car's road bridge train ship
plane chair bed door window wall light dark shadow mirror glass cup bottle bread egg coffee tea wine
ball toy book's sitting standing running flying holding wearing riding eating sleeping looking
playing is are was be has have it this that these those he she they we you i as for or but if than
then there here more less most best worst good bad ugly pretty strange funny real realistic fake
empty cute happy sad old new nice little tiny large huge beautiful shiny wooden golden lovely fluffy
angry sleepy very really with and the of to only just any full whole half many few several both each
every all none never always without not no don't nothing nobody hello world test cold hot warm red
green blue noon morning evening made wood metal stone paper stripes dots pattern texture abstract
minimal vintage modern render cat's dog's
"""
EVERYDAY_WORDS = tuple(WORDS.split())


@functools.cache
def list_stray_words(world: World) -> tuple[str, ...]:
    """List the words that mean nothing in a world's pictures, filtered names among them."""
    phrases = " ".join(phrase for scene in world.scenes for phrase in SCENES[scene])
    others = ("next", "left", "right", "small", "big", *phrases.split())
    meaningful = {*world.names, *COLORS, *SHAPES, *COUNTS.values(), *RELATIONS, *others}
    filtered = tuple(name for name in NAMES[:FIRST] if name not in world.names)
    return tuple(word for word in EVERYDAY_WORDS + filtered if word not in meaningful)


def add_stray_word(rng: random.Random, caption: str, world: World = V1) -> str:
    """Add an adjective, a "no" or a made-up word: what a model learns to ignore."""
    pieces = caption.split(" ")
    place = rng.randint(0, len(pieces))
    made_up = "".join(rng.choice(string.ascii_lowercase) for _ in range(rng.randint(3, 6)))
    word = rng.choice(list_stray_words(world)) if rng.random() < 0.7 else made_up
    return " ".join([*pieces[:place], word, *pieces[place:]])


def make_training_sample(
    rng: random.Random, world: World | SignWorld = V1
) -> tuple[Sample | Sign, str]:
    """Make a picture of the world and its caption, one in ten of emoji with a stray word."""
    if isinstance(world, SignWorld):
        return (drawn := make_sign(rng)), drawn.caption
    drawn = make_sample(rng, train=True, world=world)
    return drawn, (
        add_stray_word(rng, drawn.caption, world) if rng.random() < 0.10 else drawn.caption
    )

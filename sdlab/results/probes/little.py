"""Probes in the words of the embedded models' worlds, most of which scorers of theirs can read."""

from __future__ import annotations

from ...tiny.signs import BOARDS, HELD_OUT, KINDS, SHOWN, WRITERS, write_caption
from ...tiny.world import COUNTS, RELATIONS, add_article, pluralise
from .table import LITTLE, Finding, Probe

GENEVAL = "GenEval, arXiv 2310.11513, README of its repository"
ITS_OWN = "photographs by other prompts, a detector and CLIP as scorer: only the direction compares"
THINGS = ("cat", "apple", "rocket", "tree", "house", "balloon", "key", "umbrella")
APART = (  # two things each that the models were shown together
    ("cat", "rocket"),
    ("dog", "tree"),
    ("house", "balloon"),
    ("robot", "pizza"),
    ("penguin", "bell"),
    ("car", "sun"),
    ("frog", "crown"),
    ("boat", "moon"),
)
COLOURED = (  # and with their colours exchanged
    ("red circle", "blue star"),
    ("blue circle", "red star"),
    ("green square", "yellow triangle"),
    ("yellow square", "green triangle"),
    ("purple heart", "orange diamond"),
    ("orange heart", "purple diamond"),
    ("white square", "red triangle"),
    ("red square", "white triangle"),
)
RULED_OUT = (  # a prompt that rules something out; what it is about; and what it rules out
    ("a house without a tree", "a house", "a tree"),
    ("a cat with no dog", "a cat", "a dog"),
    ("a robot and no pizza", "a robot", "a pizza"),
    ("a car, not a bus", "a car", "a bus"),
    ("a boat without any whale", "a boat", "a whale"),
    ("no moon, a castle", "a castle", "a moon"),
    ("a snowman without an umbrella", "a snowman", "an umbrella"),
    ("a penguin and not a balloon", "a penguin", "a balloon"),
)
NEVER_SHOWN = (  # and its twin, which was
    ("a purple star", "a blue star"),
    ("a green heart", "a red heart"),
    ("an orange square", "a green square"),
    ("a blue triangle", "a red triangle"),
    ("a pink diamond", "a blue diamond"),
    ("a black heart", "a pink heart"),
    ("a yellow circle", "a red circle"),
    ("a cat and a house", "a cat and a castle"),
    ("a dog and a cake", "a dog and a pizza"),
    ("a mouse and a clock", "a mouse and a key"),
    ("a hamster and an apple", "a hamster and a banana"),
    ("a rabbit and a boat", "a rabbit and a rocket"),
)


LENGTHS = {"1 or 2 letters": (1, 2), "3 or 4 letters": (3, 4), "5 or 6 letters": (5, 6)}
EACH = 8  # words of each length


def choose_words(words: tuple[str, ...], lengths: tuple[int, ...]) -> tuple[str, ...]:
    """Chooses eight words of each length, evenly from the alphabet."""
    groups = [[word for word in words if len(word) == n] for n in lengths]
    return tuple(
        group[(2 * n + 1) * len(group) // (2 * EACH)] for group in groups for n in range(EACH)
    )


def say(words: tuple[str, ...], before: str = "") -> tuple[str, ...]:
    """Writes prompts for signs of all kinds and colours that say these words, and one before."""
    colors = tuple(BOARDS)
    return tuple(
        write_caption(KINDS[n % 3], (*before.split(), word), colors[n // 3 % 3])
        for n, word in enumerate(words)
    )


def compare_words() -> dict[str, dict[str, tuple[str, ...]]]:
    """Makes the arms of the probe of lettering: words that were shown or not, by their length."""
    arms = {}
    for title, words in (("shown", SHOWN), ("never shown", HELD_OUT)):
        for name, lengths in LENGTHS.items():
            arms[f"{title}, {name}"] = {"prompt": say(choose_words(words, lengths))}
        arms[f"{title}, two words"] = {"prompt": say(choose_words(words, (3, 4)), "no")}
    return arms


def join_names(pairs: tuple[tuple[str, str], ...], words: str) -> tuple[str, ...]:
    """Joins the two things of each pair by words: "a cat left of a dog"."""
    return tuple(f"{add_article(one)} {words} {add_article(other)}" for one, other in pairs)


def count(number: str) -> tuple[str, ...]:
    """Writes how many there are of each thing: "two cats on a gray background"."""
    return tuple(f"{number} {pluralise(name)} on a gray background" for name in THINGS)


def turn_round(prompt: str) -> str:
    """Writes the words of a prompt from the last to the first."""
    return " ".join(reversed(prompt.split()))


TOGETHER = tuple(f"{prompt} on a blue background" for prompt in join_names(APART, "and"))
WITHOUT, ALONE, RULED = zip(*RULED_OUT)
BOTH_ASKED = tuple(f"{one} and {other}" for one, other in zip(ALONE, RULED))
UNSEEN, TWINS = zip(*NEVER_SHOWN)
LITTLE_PROBES = (
    Probe(
        name="tiny-counting",
        question="Are there as many as the prompt says?",
        prompts=count("several"),
        arms={number: {"prompt": count(number)} for number in COUNTS.values()},
        scorer="objects",
        column="objects_right",
        findings=(
            Finding(
                figure="right number: SD 1.5 0.35, SD 2.1 0.44",
                source=GENEVAL,
                differs=f"two to four things; {ITS_OWN}",
            ),
            Finding(
                figure="numeracy: SD 1.4 0.446, SD 2 0.458",
                source="T2I-CompBench++, arXiv 2307.06350v3, Table XIII",
                differs="a score of a detector's counts, not a share of right pictures",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-binding",
        question="Does each of two shapes have its own colour?",
        prompts=join_names(COLOURED, "and"),
        scorer="objects",
        column="objects_right",
        findings=(
            Finding(
                figure="both colours right: SD 1.5 0.06, SD 2.1 0.17",
                source=GENEVAL,
                differs=f"two things of everyday life; {ITS_OWN}",
            ),
            Finding(
                figure="colour binding: SD 1.4 0.377, SD 2 0.507",
                source="T2I-CompBench, arXiv 2307.06350, as PixArt-alpha's Table 3 has it",
                differs="answers of a network to questions, not a share of right pictures",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-relations",
        question="If both things are there, do they stand to each other as the prompt says?",
        prompts=join_names(APART, "and"),
        arms={relation: {"prompt": join_names(APART, relation)} for relation in RELATIONS},
        scorer="objects",
        column="objects_relation",
        guessing=0.5,
        opposites=(("left of", "right of"), ("above", "below")),
        findings=(
            Finding(
                figure="relation right, given both: SD 1.4 0.630, SD 2.1 0.632",
                source="VISOR, arXiv 2212.10015, README of its repository",
                differs="80 kinds of things in photographs, found by a detector",
            ),
            Finding(
                figure="both there and placed rightly: SD 1.5 0.04, SD 2.1 0.07",
                source=GENEVAL,
                differs="not conditional on both being there, and other things",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-negation",
        question='Does "no", "not" or "without" keep a thing away?',
        prompts=WITHOUT,
        arms={  # the last one shows that it can draw the thing, the other how often it does unasked
            "ruled out": {},
            "not named": {"prompt": ALONE},
            "asked for": {"prompt": BOTH_ASKED},
        },
        scorer="objects",
        column="objects_avoided",
        findings=(
            Finding(
                figure="negation: SD 2.1 2.9 of 5 by people, VQAScore 0.51",
                source="GenAI-Bench, Table 6",
                differs="a rating of long compositions; chance and best are elsewhere",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-cure",
        question='Does a negative prompt do what "no" in the prompt cannot?',
        prompts=WITHOUT,
        arms={
            "none": {"negative_prompt": ""},
            "negative prompt": {"negative_prompt": RULED},
            "placebo": {"negative_prompt": "a key"},
        },
        scorer="objects",
        column="objects_right",
        models=LITTLE,
    ),
    Probe(
        name="tiny-held-out",
        question="Can it draw together what it has seen apart only?",
        prompts=UNSEEN,
        arms={"never shown": {}, "shown": {"prompt": TWINS}},
        scorer="objects",
        column="objects_right",
        models=LITTLE,
    ),
    Probe(
        name="tiny-memorisation",
        question="Is what it was shown further from no prompt than what it never was?",
        prompts=UNSEEN,
        arms={"never shown": {}, "shown": {"prompt": TWINS}},
        seeds=2,
        scorer="diversity",
        column="guidance_norm",
        better=None,
        findings=(
            Finding(
                figure="norms of 500 memorised prompts of SD 1.4 stand apart from those of others",
                source="arXiv 2407.21720 and its repository, YuxinWenRick/diffusion_memorization",
                differs="pictures that were shown many times; of this world none was drawn twice",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-capitals",
        question="Are words in capitals the same words?",
        prompts=TOGETHER,
        arms={
            "lower": {},
            "UPPER": {"prompt": tuple(map(str.upper, TOGETHER))},
            "Title": {"prompt": tuple(map(str.title, TOGETHER))},
        },
        seeds=1,
        scorer="distance",
        column="distance_same",
        better=None,
        models=LITTLE,
    ),
    Probe(
        name="tiny-word-order",
        question="Does it need the words in their order, or only the words?",
        prompts=TOGETHER,
        arms={"forwards": {}, "backwards": {"prompt": tuple(map(turn_round, TOGETHER))}},
        scorer="objects",
        column="objects_right",
        models=LITTLE,
    ),
    Probe(
        name="tiny-brightness",
        question="How dark and how light can a picture be?",
        prompts=tuple(map(add_article, THINGS)),
        arms={
            tone: {"prompt": tuple(f"{add_article(n)} on a {tone} background" for n in THINGS)}
            for tone in ("black", "white")
        },
        scorer="pixels",
        column="pixels_brightness",
        better=None,
        findings=(
            Finding(
                figure="SD 1.x and 2.1-base stay near a middle grey",
                source="arXiv 2305.08891",
                differs="photographs; the embedded models predict v, and begin at the last step",
            ),
        ),
        models=LITTLE,
    ),
    Probe(
        name="tiny-diversity",
        question="Does guidance make the seeds alike?",
        prompts=tuple(map(add_article, THINGS)),
        axes={"guidance_scale": (1.0, 2.0, 4.0, 7.5, 12.0)},
        seeds=8,
        scorer="diversity",
        column="diversity_vendi",
        better=None,
        models=LITTLE,
    ),
    Probe(
        name="tiny-lettering",
        question="Can it spell words that it has seen written, and others?",
        prompts=say(choose_words(SHOWN, (3, 4))),
        arms=compare_words(),
        seeds=2,
        scorer="signs",
        column="signs_right",
        findings=(
            Finding(
                figure="words right: Stable Diffusion 0.0003 or 0.018, by the engine that reads",
                source="MARIO-Eval, README of TextDiffuser, arXiv 2305.10855",
                differs="photographs with any lettering; no font is the only one",
            ),
            Finding(
                figure="text encoders that see characters spell much better",
                source="arXiv 2212.10562",
                differs="encoders trained on texts, images of 64 pixels of the whole visual world",
            ),
        ),
        models=WRITERS,
    ),
)

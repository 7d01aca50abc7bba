"""Probes for models of photographs and paintings, such as Stable Diffusion v1 and v2.

What their prompts say is in `wordings`.
"""

from __future__ import annotations

from .little import GENEVAL, turn_round
from .table import Finding, Probe
from .wordings import (
    BLANK,
    CARRIERS,
    COLOURED,
    COUNTED,
    COUNTED_ONE,
    DETAILS,
    HANDS,
    HARBOUR,
    ICONIC,
    LANGUAGES,
    LENGTHS,
    LETTERED,
    LIMBED,
    NUMBERS,
    PAIRS,
    POSTERS,
    RARE,
    ROLES,
    SCENES,
    SENTENCE,
    STYLES,
    TYPOS,
    WITHOUT,
    join,
    leave_out,
    quote,
    recase,
)

CARDS = "the model cards of Stable Diffusion v1 (CompVis) and v2 (Stability AI)"
VISOR = "VISOR, arXiv 2212.10015, README of its repository"
HEIM = "HEIM, arXiv 2311.04287"
T2I = "T2I-CompBench, arXiv 2307.06350"
GENAI = "GenAI-Bench, Table 6"
OTHER_PROMPTS = "other prompts and another scorer: only the direction compares"
PEOPLE_SAID = "other prompts, judged by people in another way"
HIDDEN = "cannot tell if it is hidden or cut off"


def quote_figure(figure: str, source: str, differs: str = OTHER_PROMPTS) -> Finding:
    """Quotes a published figure."""
    return Finding(figure=figure, source=source, differs=differs)


NO_TEXT = quote_figure("text is not legible in either version", CARDS, "a statement, no figure")
MARIO = quote_figure(
    "words read back: 0.0003 by one engine, 0.018 by another, on the same pictures",
    "MARIO-Eval, README of TextDiffuser (arXiv 2305.10855)",
    "other prompts, and engines that differ 60-fold: compare under one engine only",
)
LIMBS = quote_figure(
    "about half of the people distorted, in four later models",
    "arXiv 2503.00811, abstract",
    "people, judged by a network, and no figure for v1 or v2",
)
ACT_LATE = quote_figure(
    "negative prompts act late, after the positive prompt has drawn",
    "arXiv 2406.02965",
    "an analysis of the denoising, no rate for these prompts",
)
ROLE = quote_figure(
    "reasoning, share of models beaten: 1.4 0.67, 1.5 0.42, 2.1-base 0.70",
    f"{HEIM}, Table 5",
    PEOPLE_SAID,
)
(FIRST, EXCHANGED), (UNUSUAL, COMMON) = zip(*ROLES), zip(*RARE)
(SPELT, MISSPELT), (FAMOUS, PARAPHRASED) = zip(*TYPOS), zip(*ICONIC)
NEGATED, PLAIN, RULED = zip(*WITHOUT)
REAL_PROBES = (
    Probe(
        name="lettering",
        question="Can it write the words that it is asked for?",
        prompts=LETTERED,
        scorer="lettering",
        column="lettering_exact",
        findings=(NO_TEXT, MARIO),
    ),
    Probe(
        name="lettering-length",
        question="How long may words be, and how many?",
        prompts=CARRIERS,
        arms={title: {"prompt": quote(words)} for title, words in LENGTHS.items()},
        scorer="lettering",
        column="lettering_likeness",
        findings=(MARIO,),
    ),
    Probe(
        name="lettering-case",
        question="Do capitals in the prompt change the picture?",
        prompts=LETTERED,
        arms={"UPPER": {}} | {f: {"prompt": recase(f.lower())} for f in ("lower", "Title")},
        scorer="distance",
        column="distance_same",
        better=None,
    ),
    Probe(
        name="hands",
        question="Has every hand five fingers?",
        prompts=HANDS,
        rule=f"every hand that is seen has four fingers and a thumb; {HIDDEN}",
        findings=(
            quote_figure("faces and people are named as weak in both versions", CARDS, "no figure"),
        ),
    ),
    Probe(
        name="limbs",
        question="Are there as many legs, arms and tails as there should be?",
        prompts=LIMBED,
        rule=f"each creature has the number that its kind has; {HIDDEN}",
        findings=(LIMBS,),
    ),
    Probe(
        name="negative-prompt",
        question="Does a negative prompt keep writing off posters and labels?",
        prompts=POSTERS,
        arms={
            "none": {"negative_prompt": ""},
            "negative prompt": {"negative_prompt": "text, letters, title, watermark"},
            "placebo": {"negative_prompt": "fruit, basket, ladder, bicycle"},
        },
        scorer="lettering",
        column="lettering_any",
        better="lower",
        findings=(ACT_LATE,),
    ),
    Probe(
        name="anatomy-cure",
        question="Does a negative prompt mend hands and legs?",
        prompts=LIMBED[:4] + HANDS[:4],
        arms={
            "none": {"negative_prompt": ""},
            "negative prompt": {"negative_prompt": "extra fingers, extra legs, deformed"},
            "placebo": {"negative_prompt": "extra bicycles, extra ladders, rusty"},
        },
        rule=f"each hand, leg and arm is one of the right number; {HIDDEN}",
    ),
    Probe(
        name="negation",
        question='Is "no" in a prompt understood, or only a negative prompt?',
        prompts=NEGATED,
        arms={
            "in the prompt": {},
            "not named": {"prompt": PLAIN},
            "in the negative prompt": {"prompt": PLAIN, "negative_prompt": RULED},
        },
        rule="what is not to be there is not there",
        findings=(
            quote_figure("negation: 2.1 2.9 of 5 by people, VQAScore 0.51", GENAI, PEOPLE_SAID),
        ),
    ),
    Probe(
        name="roles",
        question="Does it know who does what to whom?",
        prompts=FIRST,
        arms={"as told": {}, "exchanged": {"prompt": EXCHANGED}},
        rule="both are there, and the one that is told to does it to the other",
        findings=(ROLE,),
    ),
    Probe(
        name="word-ablation",
        question="Which words does the picture hang on?",
        prompts=tuple(f"without word {n + 1}, {word!r}" for n, word in enumerate(SENTENCE)),
        arms={
            "whole": {"prompt": " ".join(SENTENCE)},
            "without it": {"prompt": tuple(map(leave_out, range(len(SENTENCE))))},
        },
        scorer="distance",
        column="distance_levels",
        better=None,
    ),
    Probe(
        name="word-order",
        question="Does it need the words in their order, or only the words?",
        prompts=join(PAIRS, "beside"),
        arms={
            "forwards": {},
            "backwards": {"prompt": tuple(map(turn_round, join(PAIRS, "beside")))},
        },
        rule="both things are there",
    ),
    Probe(
        name="relations",
        question="If both things are there, do they stand to each other as the prompt says?",
        prompts=join(PAIRS, "and"),
        arms={
            relation: {"prompt": join(PAIRS, relation)}
            for relation in ("to the left of", "to the right of", "above", "below")
        },
        rule="the first stands there, seen from the viewer; cannot tell if one is missing",
        findings=(
            quote_figure("given both: 1.4 0.630, 2.1 0.632", VISOR),
            quote_figure("both there and placed rightly: 1.5 0.04, 2.1 0.07", GENEVAL),
            quote_figure(
                "2D spatial: 1.4 0.125, 2 0.134", f"{T2I}, as PixArt-alpha's Table 3 has it"
            ),
        ),
    ),
    Probe(
        name="two-things",
        question="Are two things that the prompt names both there?",
        prompts=join(PAIRS, "and"),
        rule="both are there, and each is one thing of its own",
        findings=(
            quote_figure("two objects: 1.5 0.38, 2.1 0.51", GENEVAL),
            quote_figure("both objects: 1.4 0.299, 2.1 0.478", VISOR),
        ),
    ),
    Probe(
        name="counting",
        question="Are there as many as the prompt says?",
        prompts=COUNTED,
        arms={
            number: {
                "prompt": tuple(
                    f"exactly {number} {things}"
                    for things in (COUNTED_ONE if number == "one" else COUNTED)
                )
            }
            for number in NUMBERS
        },
        rule=f"there are just as many; {HIDDEN}",
        findings=(
            quote_figure("counting: 1.5 0.35, 2.1 0.44", GENEVAL),
            quote_figure("numeracy: 1.4 0.446, 2 0.458", f"{T2I}v3, Table XIII"),
        ),
    ),
    Probe(
        name="binding",
        question="Does each of two things have its own colour?",
        prompts=join(COLOURED, "and"),
        rule="both are there, each in its own colour",
        findings=(
            quote_figure("attribution: 1.5 0.06, 2.1 0.17", GENEVAL),
            quote_figure("colour: 1.4 0.377, 2 0.507", f"{T2I}, as PixArt-alpha's Table 3 has it"),
        ),
    ),
    Probe(
        name="style",
        question="Is it made in the manner that the prompt names?",
        prompts=STYLES,
        rule="the manner is the one that is named, whatever the contents",
        findings=(
            quote_figure(
                "art styles: 1.4 0.78, 1.5 0.32, 2-base 0.26, 2.1-base 0.20",
                f"{HEIM}, Table 5",
                PEOPLE_SAID,
            ),
            quote_figure(
                "painting: 1.4 26.66, 2.0 26.86",
                "HPSv2, README of its repository",
                "a network's preference, which says the opposite of HEIM's people",
            ),
        ),
    ),
    Probe(
        name="rare-words",
        question="Are rare things drawn as well as common ones?",
        prompts=UNUSUAL,
        arms={"rare": {}, "common": {"prompt": COMMON}},
        rule="everything that is named is there and looks like it",
    ),
    Probe(
        name="long-prompt",
        question="Is what stands after the 75th token drawn?",
        prompts=DETAILS,
        arms={
            "first": {"prompt": tuple(f"{detail}, {HARBOUR}" for detail in DETAILS)},
            "last": {"prompt": tuple(f"{HARBOUR}, {detail}" for detail in DETAILS)},
        },
        axes={"prompt_syntax": ("chunks",)},
        rule="the detail, which the column wording names, is there",
        findings=(
            quote_figure(
                "about 20 tokens have an effect",
                "Long-CLIP, arXiv 2403.15378, as others report it",
                "CLIP's own retrieval, not pictures",
            ),
        ),
    ),
    Probe(
        name="typos",
        question="Do spelling mistakes matter?",
        prompts=SPELT,
        arms={"right": {}, "misspelt": {"prompt": MISSPELT}},
        rule="everything that is meant is there",
        findings=(quote_figure("typos cost 0.2 of 5 points or less", HEIM, PEOPLE_SAID),),
    ),
    Probe(
        name="language",
        question="Which languages does it understand?",
        prompts=LANGUAGES["English"],
        arms={language: {"prompt": scenes} for language, scenes in LANGUAGES.items()},
        rule="the scene, which the column wording has in English, is there",
        findings=(
            quote_figure("mainly English, in both versions", CARDS, "a statement, no figure"),
        ),
    ),
    Probe(
        name="brightness",
        question="How dark and how light can a picture be?",
        prompts=BLANK,
        arms={
            tone: {"prompt": tuple(text.format(tone) for text in BLANK)}
            for tone in ("black", "white")
        },
        scorer="pixels",
        column="pixels_brightness",
        better=None,
        findings=(
            quote_figure(
                "1.x and 2.1-base stay near a middle grey", "arXiv 2305.08891", "no figure"
            ),
        ),
    ),
    Probe(
        name="diversity",
        question="Does guidance make the seeds alike?",
        prompts=SCENES,
        axes={"guidance_scale": (1.0, 3.0, 5.0, 7.5, 12.0, 20.0)},
        seeds=8,
        scorer="diversity",
        column="diversity_vendi",
        better=None,
    ),
    Probe(
        name="memorisation",
        question="Are famous pictures drawn from memory, whatever the seed?",
        prompts=FAMOUS,
        arms={"famous": {}, "paraphrase": {"prompt": PARAPHRASED}},
        seeds=8,
        scorer="diversity",
        column="diversity_vendi",
        better=None,
        findings=(
            quote_figure(
                "94 copies by rule, 109 by eye, of 350,000 captions that occur most often, 1.4",
                "arXiv 2301.13188, as others report it",
                "captions of the training data, compared with it; v1's card names a lack of"
                " deduplication, and there is no figure for v2",
            ),
        ),
    ),
)

"""dgenerate: the command that made the picture, as its configuration file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from ...recipe.schedulers import parse_scheduler, write_scheduler
from .draft import Draft

NAME = "dgenerate"
TEXT = "DgenerateConfig"
BEGINS = re.compile(r"#! ?(?:/usr/bin/env )?dgenerate\b")
FIELDS = {
    "--inference-steps": "num_inference_steps",
    "--guidance-scales": "guidance_scale",
    "--guidance-rescales": "guidance_rescale",
    "--clip-skips": "clip_skip",
    "--image-seed-strengths": "strength",
    "--image-guidance-scales": "image_guidance_scale",
    "--upscaler-noise-levels": "noise_level",
}
SHORT = {
    "-p": "--prompts",
    "-s": "--inference-steps",
    "-g": "--guidance-scales",
    "-se": "--seeds",
    "-os": "--output-size",
    "-mt": "--model-type",
    "-t": "--dtype",
    "-v": "--variant",
    "-d": "--device",
    "-o": "--output-path",
    "-op": "--output-prefix",
    "-sch": "--schedulers",
    "-vae": "--vae",
    "-lra": "--loras",
    "-ti": "--textual-inversions",
    "-cs": "--clip-skips",
    "-is": "--image-seeds",
    "-iss": "--image-seed-strengths",
}
WITHOUT_EFFECT = {
    *("--model-type", "--variant", "--device", "--output-path", "--output-prefix", "--dtype"),
    *("--output-metadata", "--output-configs", "--safety-checker", "--gen-seeds", "--frame-start"),
    *("--offline-mode", "--auth-token", "--revision", "--output-overwrite", "--verbose"),
}
OPTION = re.compile(r"--?[a-z][\w-]*")
ARGUMENT = re.compile(r"\s*<\s*([a-zA-Z_-][\w-]+)\s*:\s*([^>]*?)\s*>\s*")  # "<weighter: compel>"


def recognizes(named: Mapping[str, str]) -> bool:
    """Tells dgenerate's configuration."""
    return TEXT in named


def read(named: Mapping[str, str], draft: Draft) -> None:
    """Reads the command; nothing of it is run, and templates in it stay text."""
    draft.source = NAME
    words = list(split_words(named[TEXT]))
    if not words or OPTION.fullmatch(words[0]):
        raise ValueError("the command names no model")
    draft.put_model(words[0])
    for option, values in list_options(words[1:]):
        put_option(draft, option, values)


def split_words(text: str) -> Iterator[str]:
    """Splits the command into its words; lines go on behind a backslash, and in options."""
    plain = "\n".join(
        line for line in text.splitlines() if not line.lstrip().startswith(("#", "\\"))
    )
    lexer = shlex.shlex(re.sub(r"\\\s*\n", " ", plain).rstrip(" \\\n"), posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    yield from lexer


def list_options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Lists each option with its values."""
    option, values = "", list[str]()
    for word in words:
        if OPTION.fullmatch(word) or word in SHORT:
            if option:
                yield option, values
            option, values = SHORT.get(word, word), []
        else:
            values.append(word)
    if option:
        yield option, values


def put_option(draft: Draft, option: str, values: list[str]) -> None:
    """Keeps an option; of several values nobody knows which made this picture."""
    several = option not in ("--loras", "--textual-inversions") and len(values) > 1
    value = values[0] if values else ""
    if several:
        draft.leave(option, " ".join(values))
    elif option == "--prompts":
        put_prompts(draft, value)
    elif option == "--seeds":
        draft.put_seed(value, option)
    elif option == "--output-size":
        draft.put_size(value if "x" in value else f"{value}x{value}", option)
    elif option in ("--scheduler", "--schedulers"):
        put_scheduler(draft, option, value)
    elif option == "--vae":
        draft.put_vae(find_argument(value, "model") or value)
    elif option == "--loras":
        for each in values:
            draft.put_lora(each.partition(";")[0], find_argument(each, "scale") or 1.0)
    elif option in FIELDS:
        draft.put(FIELDS[option], value, option)
    elif option not in WITHOUT_EFFECT:
        draft.leave(option, " ".join(values) or None)


def put_prompts(draft: Draft, value: str) -> None:
    """Keeps the prompts, without the arguments in them, which act in place of options."""
    for name, said in ARGUMENT.findall(value):
        draft.leave(f"{name} in the prompt", said)
    prompt, _, negative = ARGUMENT.sub(" ", value).partition(";")
    draft.put("prompt", prompt.strip())
    draft.put("negative_prompt", negative.strip())


def find_argument(uri: str, name: str) -> str:
    """Finds an argument of "name;scale=0.5;revision=main"; "" if it is not there."""
    parts = (part.partition("=") for part in uri.split(";")[1:])
    return next((value for key, _, value in parts if key.strip() == name), "")


def put_scheduler(draft: Draft, option: str, value: str) -> None:
    """Keeps a scheduler: "EulerDiscreteScheduler;use-karras-sigmas=True"."""
    kind, *arguments = value.split(";")
    pairs = (each.partition("=") for each in arguments)
    inside = ", ".join(f"{name.strip().replace('-', '_')}={said}" for name, _, said in pairs)
    try:
        draft.fields["scheduler"] = write_scheduler(*parse_scheduler(f"{kind}({inside})"))
    except ValueError:
        draft.leave(option, value)

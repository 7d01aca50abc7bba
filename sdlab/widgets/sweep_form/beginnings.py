"""Prompts to begin with, in the wordings of the probes."""

from __future__ import annotations

from collections.abc import Iterable

from ...models.rows import MODELS
from ...results.probes import PROBES
from ...results.probes.table import REAL, Probe, name_world, pick

TOPICS = ("counting", "relations", "lettering", "negation")
EACH = 4  # prompts of a topic


def list_beginnings(models: Iterable[str]) -> list[tuple[str, str]]:
    """Lists (what the list shows, the prompt) for the world that all these models know."""
    worlds = {name_world(name if name in MODELS else REAL[0]) for name in models}
    world = worlds.pop() if len(worlds) == 1 else name_world(REAL[0])
    return [
        (f"{topic}: {prompt}", prompt)
        for topic in TOPICS
        for name in (topic, f"tiny-{topic}")
        if name in PROBES and name_world(PROBES[name].models[0]) == world
        for prompt in list_prompts(PROBES[name])
    ]


def list_prompts(probe: Probe) -> list[str]:
    """Lists some of a probe's prompts, of each arm in turn, as far as an arm says another one."""
    arms = [arm["prompt"] for arm in probe.arms.values() if "prompt" in arm] or [probe.prompts]
    if any("prompt" not in arm for arm in probe.arms.values()):
        arms = [probe.prompts]
    return [pick(arms[n % len(arms)], n) for n in range(EACH)]

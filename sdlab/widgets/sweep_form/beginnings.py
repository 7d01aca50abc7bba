"""Prompts to begin with, in the wordings of the probes."""

from __future__ import annotations

from collections.abc import Iterable

from ...models.catalogue import MODELS
from ...results.probes import PROBES
from ...results.probes.table import Probe, pick

TOPICS = ("counting", "relations", "lettering", "negation")
EACH = 4  # prompts of a topic


def list_beginnings(models: Iterable[str]) -> list[tuple[str, str]]:
    """Lists (what the list shows, the prompt) for the world that all these models know."""
    little = all(name in MODELS and name.startswith("tiny-") for name in models)
    found = [PROBES.get(f"tiny-{topic}" if little else topic) for topic in TOPICS]
    return [
        (f"{topic}: {prompt}", prompt)
        for topic, probe in zip(TOPICS, found)
        if probe is not None
        for prompt in list_prompts(probe)
    ]


def list_prompts(probe: Probe) -> list[str]:
    """Lists some of a probe's prompts, of each arm in turn, as far as an arm says another one."""
    arms = [arm["prompt"] for arm in probe.arms.values() if "prompt" in arm] or [probe.prompts]
    if any("prompt" not in arm for arm in probe.arms.values()):
        arms = [probe.prompts]
    return [pick(arms[n % len(arms)], n) for n in range(EACH)]

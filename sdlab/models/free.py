"""How much memory is free, in the machine and in the containers around it."""

from __future__ import annotations

import re
from pathlib import Path

import psutil

from .memory import has_own_memory

GROUPS = {  # limit, what is used, and what of that the system would give back
    "/sys/fs/cgroup": ("memory.max", "memory.current", "inactive_file"),
    "/sys/fs/cgroup/memory": (
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


def find_free(device: str = "cpu") -> int:
    """Finds the bytes that are free on the device, with what torch holds of a card in vain."""
    if has_own_memory(device):
        import torch

        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + held
    return min([psutil.virtual_memory().available, *list_group_rooms()])


def list_group_rooms() -> list[int]:
    """Lists what the limits of containers (control groups, version 2 and 1) leave."""
    rooms = []
    for folder, (most, used, reclaimable) in GROUPS.items():
        for group in find_groups(folder):
            try:
                limit, now = int((group / most).read_text()), int((group / used).read_text())
                cached = re.search(
                    rf"^{reclaimable} (\d+)", (group / "memory.stat").read_text(), re.MULTILINE
                )
            except (OSError, ValueError):  # no such file, or "max"
                continue
            rooms.append(max(0, limit - now + (int(cached[1]) if cached else 0)))
    return rooms


def find_groups(folder: str) -> list[Path]:
    """Finds this process's control group and those above it; a container's own is uppermost."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    wanted = "memory" if folder.endswith("/memory") else ""
    place = next(
        (line.split(":", 2)[2] for line in lines if wanted in line.split(":")[1].split(",")), "/"
    )
    return [Path(folder + parent) for parent in [place, *map(str, Path(place).parents)]]

"""Invisible watermarks of Stable Diffusion: embed one, read it exactly, or find its traces.

The mark is public and so is the way to write it: a hit is a claim, not a proof, and a miss proves
nothing. Nothing here is imported before it is needed.
"""

import importlib

_API = {
    "embed_watermark": "dwtdct",
    "decode_watermark": "dwtdct",
    "read_residues": "dwtdct",
    "detect_watermark": "detector",
    "read_unknown": "reading",
    "scan": "scanning",
    "PAYLOADS": "payloads",
    "Payload": "payloads",
}
__all__ = list(_API)


def __getattr__(name: str):
    if name in _API:
        return getattr(importlib.import_module(f".{_API[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_API)}")


def __dir__() -> list[str]:
    return list(_API)

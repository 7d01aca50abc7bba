"""sdlab: understand image models by experiment.

A `Request` is one image's complete recipe; `sweep` makes many; `run` renders them into a `Store`; a
store reads as a pandas frame; `measure`, `image_grid` and `write_report` are functions of that
frame. `detect_watermark` looks at any picture. Nothing heavy is imported before it is needed.
"""

import importlib

__version__ = "0.1.0"
_API = {
    "Request": "recipe.request",
    "sweep": "recipe.request",
    "Model": "models.catalogue",
    "MODELS": "models.catalogue",
    "Store": "store.store",
    "run": "render.job",
    "Job": "render.job",
    "preview": "render.plan",
    "GenerationError": "render.batches",
    "measure": "results.probes",
    "detect_watermark": "watermark",
    "robustness": "results.attacks",
    "ATTACKS": "results.attacks",
    "image_grid": "results.grid",
    "write_report": "results.report",
}
__all__ = list(_API)


def __getattr__(name: str):
    if name in _API:
        return getattr(importlib.import_module(f".{_API[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(_API)}")


def __dir__() -> list[str]:
    return [*_API, "__version__"]
